//! Why a credential was not accepted.
//!
//! Knows the reasons, in the words of authentication: which claim, which bound, which key id. Does not know HTTP: the gateway's
//! table gives each a status. Of a token no variant carries more than the beginning of its key id, so every text may be logged.

use super::key_id::KeyId;

/// A credential that was not accepted: of which kind it was, and why not.
///
/// The kind is that of the place where it stood. Where there is none, a bearer token is what is missing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// In the `Authorization` field, or a bearer token where none may be.
    #[error("bearer token: {0}")]
    Bearer(AuthError),
    /// In `?link=`.
    #[error("link token: {0}")]
    Link(AuthError),
    /// In a cookie, the gateway's own or that of single sign-on.
    #[error("cookie: {0}")]
    Cookie(AuthError),
}

impl CredentialError {
    /// Why it was not accepted.
    #[must_use]
    pub fn reason(&self) -> &AuthError {
        match self {
            Self::Bearer(reason) | Self::Link(reason) | Self::Cookie(reason) => reason,
        }
    }
}

/// Why nobody could be made out behind a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// There is no credential at all.
    #[error("no credential was presented")]
    Missing,
    /// The `Authorization` field names another scheme, such as Basic.
    #[error("the authorization scheme is not bearer")]
    UnsupportedScheme,
    /// The credential is not a token in JWS compact form, or has members that are refused; the text says which.
    #[error("malformed credential: {0}")]
    Malformed(&'static str),
    /// The token is longer than any that a request can bring.
    #[error("the token is longer than the {max_bytes} bytes of server.max_header_bytes")]
    TooLong {
        /// The longest token, in bytes.
        max_bytes: usize,
    },
    /// No configured issuer has the name in `iss`.
    #[error("unknown issuer: no [[auth.issuer]] has the name in claim iss")]
    UnknownIssuer,
    /// No key of this issuer has the key id in `kid`.
    #[error("unknown key id: {0}")]
    UnknownKey(KeyId),
    /// The keys of this issuer have not been had yet, so nobody can tell.
    #[error("the keys of the issuer are not known yet")]
    KeysUnavailable,
    /// The token names another algorithm than the key has, or one that does not exist here, such as `none`.
    #[error("the algorithm is not the key's: {0}")]
    AlgorithmMismatch(KeyId),
    /// No fitting key verifies the signature.
    #[error("the signature does not verify: {0}")]
    Signature(KeyId),
    /// `exp` has passed, the skew included.
    #[error("the token has expired, by its claim exp")]
    Expired,
    /// It is on the list of what is revoked.
    #[error("the token is revoked")]
    Revoked,
    /// A claim, `nbf` or `iat`, lies ahead by more than the skew.
    #[error("the token is not yet valid, by its claim {0}")]
    NotYetValid(&'static str),
    /// The gateway's own clock is before 1970, and so cannot say what has expired.
    #[error("the clock is before 1970")]
    Clock,
    /// The audience is nobody that is meant here; the text is the claim, or the key of the configuration that names it.
    #[error("the token is for another audience, by {0}")]
    WrongAudience(&'static str),
    /// A claim is missing, of the wrong type or out of range; the text is its name.
    #[error("claim {0} is missing or invalid")]
    Claim(&'static str),
    /// A claim that the configuration names is not as it must be: the key that names the claim, and what is wrong.
    #[error("the claim that {0} names: {1}")]
    Attribute(&'static str, &'static str),
    /// A claim with attributes of the subject has too many of them.
    #[error(
        "the claim that {key} names: more than {max} values, one for each 16 bytes of server.max_header_bytes"
    )]
    TooManyValues {
        /// The key of the configuration that names the claim.
        key: &'static str,
        /// The most values.
        max: usize,
    },
    /// A claim that the issuer's tokens must have is absent or says something else; the text is its name in the configuration.
    #[error("claim {0:?} of required_claims is missing or says something else")]
    Required(String),
    /// A link token was presented and none are configured.
    #[error("link tokens are not accepted")]
    LinksDisabled,
    /// A link token lives longer than its key may make it live.
    #[error("the link lives longer than the {max_s} s of max_ttl_s")]
    LinkTooLong {
        /// The longest life of the key's links, in seconds.
        max_s: u64,
    },
    /// A link token is for another source address.
    #[error("the link is for another address, by its claim ip")]
    LinkAddress,
    /// A link token names a PBX that its key does not reach.
    #[error("the link key does not reach this PBX, which claim pbx names")]
    LinkPbx,
}

impl AuthError {
    /// Whether the caller sent nothing that could be judged, rather than something wrong.
    ///
    /// RFC 6750 §3.1: such an answer carries no error code, only the scheme that is expected.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Missing | Self::UnsupportedScheme)
    }
}

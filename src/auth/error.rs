//! Reasons why a credential is not accepted.
//!
//! Knows the reasons in the words of authentication: the claim, the bound, the key id. Does not
//! know HTTP: the gateway's table gives each a status. No variant carries more of a token than the
//! start of its key id, so every text may be logged.

use super::key_id::KeyId;

/// A credential that was not accepted: its kind, and the reason.
///
/// The kind follows from the place where the credential stood. If there is none, the missing one
/// counts as a bearer token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// In the `Authorization` field, or a bearer token in a place where none is allowed.
    #[error("bearer token: {0}")]
    Bearer(AuthError),
    /// In `?link=`.
    #[error("link token: {0}")]
    Link(AuthError),
    /// In a cookie: the gateway's own or that of single sign-on.
    #[error("cookie: {0}")]
    Cookie(AuthError),
}

impl CredentialError {
    /// The reason.
    #[must_use]
    pub fn reason(&self) -> &AuthError {
        match self {
            Self::Bearer(reason) | Self::Link(reason) | Self::Cookie(reason) => reason,
        }
    }
}

/// The reason why a request was not authenticated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// The request has no credential.
    #[error("no credential was presented")]
    Missing,
    /// The `Authorization` field names another scheme, such as Basic.
    #[error("the authorization scheme is not bearer")]
    UnsupportedScheme,
    /// The credential is not a token in JWS compact form, or has members that are refused. The text
    /// says which.
    #[error("malformed credential: {0}")]
    Malformed(&'static str),
    /// The token is longer than any that a request can carry.
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
    /// The keys of this issuer have not been loaded yet, so the token cannot be checked.
    #[error("the keys of the issuer are not known yet")]
    KeysUnavailable,
    /// The token names another algorithm than the key has, or an unknown one such as `none`.
    #[error("the algorithm does not match the key: {0}")]
    AlgorithmMismatch(KeyId),
    /// No matching key verifies the signature.
    #[error("the signature does not verify: {0}")]
    Signature(KeyId),
    /// The time in `exp`, plus the skew, has passed.
    #[error("the token has expired, by its claim exp")]
    Expired,
    /// The list of revocations covers the token.
    #[error("the token is revoked")]
    Revoked,
    /// The claim `nbf` or `iat` is later than now plus the skew.
    #[error("the token is not yet valid, by its claim {0}")]
    NotYetValid(&'static str),
    /// The gateway's own clock is before 1970, so expiry cannot be checked.
    #[error("the clock is before 1970")]
    Clock,
    /// The token is for another audience. The text is the claim, or the configuration key that
    /// names the claim.
    #[error("the token is for another audience, by {0}")]
    WrongAudience(&'static str),
    /// A claim is missing, of the wrong type or out of range. The text is its name.
    #[error("claim {0} is missing or invalid")]
    Claim(&'static str),
    /// A claim that the configuration names is wrong: the configuration key, and the mistake.
    #[error("the claim that {0} names: {1}")]
    Attribute(&'static str, &'static str),
    /// A claim with attributes of the subject has too many values.
    #[error(
        "the claim that {key} names: more than {max} values, one for each 16 bytes of server.max_header_bytes"
    )]
    TooManyValues {
        /// The configuration key that names the claim.
        key: &'static str,
        /// The most values allowed.
        max: usize,
    },
    /// A claim required of the issuer's tokens is absent or has another value. The text is its name
    /// in the configuration.
    #[error("claim {0:?} of required_claims is missing or has another value")]
    Required(String),
    /// A link token was presented, and links are not configured.
    #[error("link tokens are not accepted")]
    LinksDisabled,
    /// A link token lives longer than its key allows.
    #[error("the link lives longer than the {max_s} s of max_ttl_s")]
    LinkTooLong {
        /// The longest lifetime of the key's links, in seconds.
        max_s: u64,
    },
    /// A link token is for another source address.
    #[error("the link is for another address, by its claim ip")]
    LinkAddress,
    /// A link token names a PBX that its key does not cover.
    #[error("the link key does not cover the PBX that claim pbx names")]
    LinkPbx,
}

impl AuthError {
    /// Returns true if the request carried no usable credential, rather than a wrong one.
    ///
    /// RFC 6750 §3.1: such an answer carries no error code, only the scheme that is expected.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Missing | Self::UnsupportedScheme)
    }
}

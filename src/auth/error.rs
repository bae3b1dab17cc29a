//! Why a credential was not accepted.
//!
//! Knows the reasons, in the words of authentication. Does not know HTTP: the gateway's table gives each a status.
//! No variant carries a part of the token, so every text may be logged.

/// A credential that was not accepted: of which kind it was, and why not.
///
/// The kind is that of the place where it stood. Where there is none, a bearer token is what is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
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

impl Rejected {
    /// Why it was not accepted.
    #[must_use]
    pub fn reason(self) -> AuthError {
        match self {
            Self::Bearer(reason) | Self::Link(reason) | Self::Cookie(reason) => reason,
        }
    }
}

/// Why nobody could be made out behind a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
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
    /// No configured issuer has the name in `iss`.
    #[error("unknown issuer")]
    UnknownIssuer,
    /// No key of this issuer has the key id in `kid`.
    #[error("unknown key id")]
    UnknownKey,
    /// The keys of this issuer have not been had yet, so nobody can tell.
    #[error("the keys of the issuer are not known yet")]
    KeysUnavailable,
    /// The token names another algorithm than the key has, or one that does not exist here, such as `none`.
    #[error("the algorithm is not the key's")]
    AlgorithmMismatch,
    /// No fitting key verifies the signature.
    #[error("the signature does not verify")]
    Signature,
    /// `exp` has passed, the skew included.
    #[error("the token has expired")]
    Expired,
    /// It is on the list of what is revoked.
    #[error("the token is revoked")]
    Revoked,
    /// `nbf` or `iat` lies ahead by more than the skew.
    #[error("the token is not yet valid")]
    NotYetValid,
    /// `aud` names nobody that is meant here.
    #[error("the token is for another audience")]
    WrongAudience,
    /// A claim is missing, of the wrong type or out of range; the text is its name.
    #[error("claim {0} is missing or invalid")]
    Claim(&'static str),
    /// A claim with an attribute of the subject is not as it must be: the key of the configuration that names the claim, and
    /// what is wrong.
    #[error("the claim that {0} names: {1}")]
    Attribute(&'static str, &'static str),
    /// A link token was presented and none are configured.
    #[error("link tokens are not accepted")]
    LinksDisabled,
    /// A link token lives longer than its key may make it live.
    #[error("the link lives too long")]
    LinkTooLong,
    /// A link token is for another source address.
    #[error("the link is for another address")]
    LinkAddress,
    /// A link token names a PBX that its key does not reach.
    #[error("the link key does not reach this PBX")]
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

//! Who is asking.
//!
//! Knows what remains of a token once it has been verified. Does not know the token itself, nor what the principal may
//! hear. Fields are private: only `auth` builds these values, so holding one is the proof.

use std::sync::Arc;
use std::time::SystemTime;

use super::link::LinkScope;

/// Somebody whose credential was verified: an issuer's subject, and how they proved it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    pub(super) id: PrincipalId,
    pub(super) credential: Credential,
    pub(super) token_id: Option<String>,
    pub(super) issued_at: Option<SystemTime>,
    pub(super) expires_at: SystemTime,
}

/// Who somebody is: an issuer and a subject of it. For counting by; it proves nothing, is cheap to clone, and has no
/// `Display`, so that it is in no text by accident.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PrincipalId(Arc<Names>);

#[derive(Debug, PartialEq, Eq, Hash)]
struct Names {
    issuer: String,
    subject: String,
}

impl PrincipalId {
    pub(crate) fn new(issuer: &str, subject: &str) -> Self {
        Self(Arc::new(Names {
            issuer: issuer.to_owned(),
            subject: subject.to_owned(),
        }))
    }
}

/// The kind of credential that decided, with what it is limited to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A bearer token of an issuer.
    Bearer,
    /// A link token, good for one recording.
    Link(LinkScope),
}

impl Principal {
    /// Who they are, by whichever credential; the same for all their requests.
    pub(crate) fn id(&self) -> PrincipalId {
        self.id.clone()
    }

    /// Who vouches for the subject: the claim `iss`; for a link token the id of its key, or `link` if that has none.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.id.0.issuer
    }

    /// The claim `sub`: 1 to 256 bytes without control characters, unique within the issuer only.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.id.0.subject
    }

    /// What was presented.
    #[must_use]
    pub fn credential(&self) -> &Credential {
        &self.credential
    }

    /// The claim `jti`, where the token has one; what a revocation names.
    #[must_use]
    pub fn token_id(&self) -> Option<&str> {
        self.token_id.as_deref()
    }

    /// The claim `iat`, where the token has one.
    #[must_use]
    pub fn issued_at(&self) -> Option<SystemTime> {
        self.issued_at
    }

    /// The claim `exp`, to the second and without the skew.
    #[must_use]
    pub fn expires_at(&self) -> SystemTime {
        self.expires_at
    }
}

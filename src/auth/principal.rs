//! Who is asking.
//!
//! Knows what remains of a token once it has been verified. Does not know the token itself, nor what the principal may
//! hear. Fields are private: only `auth` builds these values, so holding one is the proof.

use std::sync::Arc;
use std::time::SystemTime;

use super::attributes::Attributes;
use super::link::LinkScope;
use crate::principal::PrincipalId;

/// Somebody whose credential was verified: an issuer's subject, and how they proved it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    pub(super) id: PrincipalId,
    pub(super) credential: Credential,
    pub(super) token_id: Option<String>,
    pub(super) issued_at: Option<SystemTime>,
    pub(super) expires_at: SystemTime,
    pub(super) attributes: Arc<Attributes>,
    /// The PBXs that the issuer's tokens are for; all when `None`.
    pub(super) pbxs: Option<Arc<[String]>>,
}

/// The kind of credential that decided, with what it is limited to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A bearer token of an issuer.
    Bearer,
    /// A link token, good for one recording.
    Link(LinkScope),
    /// The gateway's own cookie, which a bearer token was exchanged for.
    Session,
    /// A cookie of the company's single sign-on that holds a bearer token.
    Sso,
}

impl Credential {
    /// Its kind, in one word.
    #[must_use]
    pub fn kind(&self) -> CredentialKind {
        match self {
            Self::Bearer => CredentialKind::Bearer,
            Self::Link(_) => CredentialKind::Link,
            Self::Session => CredentialKind::Session,
            Self::Sso => CredentialKind::Sso,
        }
    }
}

/// The kinds of credential there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialKind {
    /// A bearer token.
    Bearer,
    /// A link token.
    Link,
    /// The gateway's own cookie.
    Session,
    /// A cookie of the company's single sign-on.
    Sso,
}

impl CredentialKind {
    /// Every kind with its word, as policies and the log have it.
    pub(crate) const NAMES: [(&str, Self); 4] = [
        ("bearer", Self::Bearer),
        ("link", Self::Link),
        ("session", Self::Session),
        ("sso", Self::Sso),
    ];

    /// Its word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bearer => "bearer",
            Self::Link => "link",
            Self::Session => "session",
            Self::Sso => "sso",
        }
    }
}

impl Principal {
    /// A principal to try policies on (`[[policy.test]]`). No credential was verified for it, so no request may be
    /// answered to it: it has expired long ago.
    pub(crate) fn on_trial(
        id: PrincipalId,
        credential: Credential,
        attributes: Attributes,
        pbxs: Option<Arc<[String]>>,
    ) -> Self {
        Self {
            id,
            credential,
            token_id: None,
            issued_at: None,
            expires_at: SystemTime::UNIX_EPOCH,
            attributes: Arc::new(attributes),
            pbxs,
        }
    }

    /// Who they are, by whichever credential; the same for all their requests.
    pub(crate) fn id(&self) -> PrincipalId {
        self.id.clone()
    }

    /// Who vouches for the subject: the claim `iss`; for a link token the id of its key, or `link` if that has none.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.id.issuer()
    }

    /// The claim `sub`: 1 to 256 bytes without control characters, unique within the issuer only.
    #[must_use]
    pub fn subject(&self) -> &str {
        self.id.subject()
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

    /// What the issuer says of them; nothing, for a link.
    #[must_use]
    pub fn attributes(&self) -> &Attributes {
        &self.attributes
    }

    /// Whether their issuer's tokens are for this PBX.
    #[must_use]
    pub fn reaches(&self, pbx: &str) -> bool {
        let pbxs = self.pbxs.as_deref();
        pbxs.is_none_or(|pbxs| pbxs.iter().any(|one| one == pbx))
    }
}

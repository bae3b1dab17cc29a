//! The authenticated caller.
//!
//! Knows what remains of a token once it has been verified. Does not know the token itself, or what
//! the principal may hear. Fields are private: only `auth` builds these values, so holding one is
//! the proof.

use std::sync::Arc;
use std::time::SystemTime;

use super::attributes::Attributes;
use super::link::LinkScope;
use crate::principal::PrincipalId;

/// A subject whose credential was verified: an issuer's subject, and the kind of credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    pub(super) id: PrincipalId,
    pub(super) credential: Credential,
    pub(super) token_id: Option<Arc<str>>,
    pub(super) issued_at: Option<SystemTime>,
    pub(super) expires_at: SystemTime,
    pub(super) attributes: Arc<Attributes>,
    /// The PBXs that the issuer's tokens are for; all when `None`.
    pub(super) pbxs: Option<Arc<[String]>>,
}

/// The credential that decided, with its limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A bearer token of an issuer.
    Bearer,
    /// A link token for one recording.
    Link(LinkScope),
    /// The gateway's own cookie, which was issued for a bearer token.
    Session,
    /// A cookie of the company's single sign-on that holds a bearer token.
    Sso,
}

impl Credential {
    /// The kind of this credential.
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

/// The kinds of credential.
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
    /// Every kind with its word in policies and in the log.
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
    /// Makes a principal for trying policies (`[[policy.test]]`). No credential was verified for
    /// it, so it must never be used to answer a request; it is already expired.
    pub(crate) fn for_policy_trial(
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

    /// The identity, the same for every credential and every request.
    pub(crate) fn id(&self) -> PrincipalId {
        self.id.clone()
    }

    /// The issuer of the subject: the claim `iss`. For a link, the id of its key, or `link` if the
    /// key has none.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.id.issuer()
    }

    /// The same as [`Principal::issuer`].
    pub(crate) fn shared_issuer(&self) -> &Arc<str> {
        self.id.issuer()
    }

    /// The claim `sub`: 1 to 256 bytes without control characters, unique within the issuer only.
    #[must_use]
    pub fn subject(&self) -> &str {
        self.id.subject()
    }

    /// The same as [`Principal::subject`].
    pub(crate) fn shared_subject(&self) -> &Arc<str> {
        self.id.subject()
    }

    /// The credential that was presented.
    #[must_use]
    pub fn credential(&self) -> &Credential {
        &self.credential
    }

    /// The claim `jti`, if the token has one. A revocation can name it.
    #[must_use]
    pub fn token_id(&self) -> Option<&str> {
        self.token_id.as_deref()
    }

    /// The same as [`Principal::token_id`].
    pub(crate) fn shared_token_id(&self) -> Option<Arc<str>> {
        self.token_id.clone()
    }

    /// The claim `iat`, if the token has one.
    #[must_use]
    pub fn issued_at(&self) -> Option<SystemTime> {
        self.issued_at
    }

    /// The claim `exp`, to the second and without the skew.
    #[must_use]
    pub fn expires_at(&self) -> SystemTime {
        self.expires_at
    }

    /// The attributes that the issuer states. A link has none.
    #[must_use]
    pub fn attributes(&self) -> &Attributes {
        &self.attributes
    }

    /// Returns true if the issuer's tokens are for this PBX.
    #[must_use]
    pub fn reaches(&self, pbx: &str) -> bool {
        let pbxs = self.pbxs.as_deref();
        pbxs.is_none_or(|pbxs| pbxs.iter().any(|one| one == pbx))
    }
}

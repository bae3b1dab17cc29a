//! Decisions that an operator expects, to try policies before they are in force.
//!
//! Knows how to suppose a principal that no token was verified for, which leaves nothing but a yes or no. Does not know the
//! configuration.

use std::fmt;
use std::sync::Arc;

use super::{Action, Context, Policy, PolicyError};
use crate::auth::attributes::{Attributes, Extension};
use crate::auth::link::LinkScope;
use crate::auth::principal::{Credential, CredentialKind, Principal};
use crate::principal::PrincipalId;
use crate::recording::RecordingName;

/// A request that is only supposed, and what is to come of it.
#[derive(Clone, Debug)]
pub struct Trial {
    /// Who vouches for the subject: an issuer, or the id of a link's key.
    pub issuer: String,
    /// Who asks.
    pub subject: String,
    /// Their roles.
    pub roles: Vec<String>,
    /// Their extensions.
    pub extensions: Vec<Extension>,
    /// Their tenant.
    pub tenant: Option<String>,
    /// The PBXs that the issuer's tokens are for; all when `None`.
    pub pbxs: Option<Arc<[String]>>,
    /// What they present. A link is one for the recording.
    pub credential: CredentialKind,
    /// What they want to do.
    pub action: Action,
    /// The PBX that has the recording.
    pub pbx: String,
    /// The recording.
    pub recording: RecordingName,
    /// From where, and when.
    pub context: Context,
    /// What is to come of it.
    pub expected: Expected,
    /// The policies that are to decide, and no others; any, when `None`.
    pub by: Option<Vec<String>>,
}

/// What is to come of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// It is allowed.
    Allow,
    /// It is denied.
    Deny,
}

impl Expected {
    /// Both with their words.
    pub(crate) const NAMES: [(&str, Self); 2] = [("allow", Self::Allow), ("deny", Self::Deny)];
}

impl Trial {
    /// Tries it.
    ///
    /// # Errors
    /// When it comes out otherwise: how, and by which policies.
    pub fn run(&self, policy: &Policy) -> Result<(), String> {
        let decision = policy.decide(
            &self.principal(),
            self.action,
            &self.pbx,
            &self.recording,
            &self.context,
        );
        let (came_out, by) = match &decision {
            Ok(policies) => (Expected::Allow, policies.as_slice()),
            Err(error) => (Expected::Deny, error.policies()),
        };
        if came_out == self.expected && self.names(by) {
            return Ok(());
        }
        Err(format!(
            "expected {}, but it is {}",
            self.told(),
            Told(&decision)
        ))
    }

    fn names(&self, by: &[Arc<str>]) -> bool {
        let Some(expected) = &self.by else {
            return true;
        };
        let mut expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        expected.sort_unstable();
        expected.dedup();
        expected.into_iter().eq(by.iter().map(AsRef::as_ref))
    }

    fn told(&self) -> String {
        let word = match self.expected {
            Expected::Allow => "allow",
            Expected::Deny => "deny",
        };
        match &self.by {
            None => word.to_owned(),
            Some(by) if by.is_empty() => format!("{word} by no policy"),
            Some(by) => format!("{word} by {}", by.join(", ")),
        }
    }

    fn principal(&self) -> Principal {
        let credential = match self.credential {
            CredentialKind::Link => {
                Credential::Link(LinkScope::new(self.recording.clone(), self.pbx.clone()))
            }
            CredentialKind::Bearer => Credential::Bearer,
            CredentialKind::Session => Credential::Session,
            CredentialKind::Sso => Credential::Sso,
        };
        let id = PrincipalId::new(&self.issuer, &self.subject);
        let (roles, extensions) = (self.roles.clone(), self.extensions.clone());
        let attributes = Attributes::new(roles, extensions, self.tenant.clone());
        Principal::on_trial(id, credential, attributes, self.pbxs.clone())
    }
}

/// A decision in words.
struct Told<'d>(&'d Result<Vec<Arc<str>>, PolicyError>);

impl fmt::Display for Told<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Ok(policies) => write!(formatter, "allowed by {}", policies.join(", ")),
            Err(error) => write!(formatter, "denied: {error}"),
        }
    }
}

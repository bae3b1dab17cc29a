//! Expected decisions, to test policies before they are in force.
//!
//! Knows how to make a principal without a token; the result is only a yes or no. Does not know the
//! configuration.

use std::fmt;
use std::sync::Arc;

use super::reuse::PolicyIds;
use super::{Action, Context, Policy, PolicyError};
use crate::auth::attributes::{Attributes, Extension};
use crate::auth::link::LinkScope;
use crate::auth::principal::{Credential, CredentialKind, Principal};
use crate::principal::PrincipalId;
use crate::recording::RecordingName;

/// A hypothetical request with its expected decision.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The issuer of the subject, or the id of a link's key.
    pub issuer: String,
    /// The subject.
    pub subject: String,
    /// The subject's roles.
    pub roles: Vec<String>,
    /// The subject's extensions.
    pub extensions: Vec<Extension>,
    /// The subject's tenant.
    pub tenant: Option<String>,
    /// The PBXs that the issuer's tokens are for; all when `None`.
    pub pbxs: Option<Arc<[String]>>,
    /// The kind of credential. A link is one for the recording.
    pub credential: CredentialKind,
    /// The action.
    pub action: Action,
    /// The PBX that has the recording.
    pub pbx: String,
    /// The recording.
    pub recording: RecordingName,
    /// The source address and the time.
    pub context: Context,
    /// The expected decision.
    pub expected: ExpectedDecision,
    /// The policies that must decide, and no others; any policies when `None`.
    pub by: Option<Vec<String>>,
}

/// The expected decision of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpectedDecision {
    /// It is allowed.
    Allow,
    /// It is denied.
    Deny,
}

impl ExpectedDecision {
    /// Both with their words in the configuration.
    pub(crate) const NAMES: [(&str, Self); 2] = [("allow", Self::Allow), ("deny", Self::Deny)];
}

impl Trial {
    /// Runs the trial.
    ///
    /// # Errors
    /// When the decision differs: the decision and its policies.
    pub fn run(&self, policy: &Policy) -> Result<(), String> {
        let decision = policy.decide(
            &self.principal(),
            self.action,
            &self.pbx,
            &self.recording,
            &self.context,
        );
        let (came_out, by) = match &decision {
            Ok(policies) => (ExpectedDecision::Allow, &policies[..]),
            Err(error) => (ExpectedDecision::Deny, error.policies()),
        };
        if came_out == self.expected && self.expects_policies(by) {
            return Ok(());
        }
        Err(format!(
            "expected {}, but it is {}",
            self.expectation(),
            DecisionText(&decision)
        ))
    }

    fn expects_policies(&self, by: &[Arc<str>]) -> bool {
        let Some(expected) = &self.by else {
            return true;
        };
        let mut expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        expected.sort_unstable();
        expected.dedup();
        expected.into_iter().eq(by.iter().map(AsRef::as_ref))
    }

    fn expectation(&self) -> String {
        let word = match self.expected {
            ExpectedDecision::Allow => "allow",
            ExpectedDecision::Deny => "deny",
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
        Principal::for_policy_trial(id, credential, attributes, self.pbxs.clone())
    }
}

/// A decision in words.
struct DecisionText<'d>(&'d Result<PolicyIds, PolicyError>);

impl fmt::Display for DecisionText<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Ok(policies) => write!(formatter, "allowed by {}", policies.join(", ")),
            Err(error) => write!(formatter, "denied: {error}"),
        }
    }
}

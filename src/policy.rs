//! Authorization: decides whether a principal may do something with a recording, and makes a grant.
//!
//! Knows the order: a link covers only the recording that it names, an issuer's tokens only its
//! PBXs, and within these limits the operator's policies decide, which are written in Cedar.
//! Nothing is allowed unless a policy permits it, and anything that cannot be evaluated is denied.
//! Does not know tokens, whether the recording exists, or the PBX. Pure: no I/O; time and address
//! are parameters.

mod cedar;
mod denial;
mod entities;
mod facts;
mod groups;
mod reuse;
mod source;
mod tenantless;
mod trial;
mod uses;
mod viewer;

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use self::cedar::Engine;
pub use self::denial::{EvaluationFailure, PolicyError};
pub use self::facts::Facts;
pub use self::groups::Groups;
use self::reuse::{PolicyIds, ReusedDecisions};
pub use self::source::Flaw;
pub use self::trial::{ExpectedDecision, Trial};
pub use self::viewer::Viewer;
use crate::auth::principal::{Credential, Principal};
use crate::limits::rate::Counted;
use crate::recording::RecordingName;

/// The schema that policies are checked against, in Cedar's notation.
pub const SCHEMA: &str = include_str!("../config/policy.cedarschema");

/// The policies in force.
#[derive(Clone)]
pub struct Policy {
    /// `None` if no policies are configured.
    engine: Option<Arc<Engine>>,
    groups: Groups,
    /// The permissions that these policies have given, with these groups.
    decisions: ReusedDecisions,
}

/// An action on a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Hear it, or see it in a list.
    Listen,
    /// Make a link to it. This requires the right to hear it as well.
    Share,
}

/// The circumstances of a request that policies may look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// The source address.
    pub source: IpAddr,
    /// The time of the decision.
    pub now: SystemTime,
}

/// A positive decision: this principal may do this with this recording now. Only a policy makes
/// one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    principal: Principal,
    action: Action,
    pbx: Arc<str>,
    recording: RecordingName,
    /// The source address of the request.
    source: IpAddr,
    policies: PolicyIds,
}

impl Action {
    /// Every action with its name in policies.
    pub(crate) const NAMES: [(&str, Self); 2] = [("listen", Self::Listen), ("share", Self::Share)];
}

impl Policy {
    /// The policy when none is configured: nothing is allowed.
    #[must_use]
    pub fn nobody() -> Self {
        Self {
            engine: None,
            groups: Groups::default(),
            decisions: ReusedDecisions::new(),
        }
    }

    /// Allows every authenticated principal to hear every recording. A link still opens only the
    /// one that it names.
    ///
    /// # Errors
    /// Never, as long as [`SCHEMA`] is the one that was shipped.
    pub fn everyone() -> Result<Self, Flaw> {
        let text = "@id(\"everyone\") permit(principal, action, resource);";
        let parsed = Self::parse(text, Groups::default());
        parsed.map_err(|flaws| flaws.into_iter().next().unwrap_or_default())
    }

    /// Reads policies in Cedar and checks them against [`SCHEMA`]. `groups` are the numbers that
    /// stand for other numbers.
    ///
    /// # Errors
    /// All mistakes, each with its line and column.
    pub fn parse(text: &str, groups: Groups) -> Result<Self, Vec<Flaw>> {
        Ok(Self {
            engine: Some(Arc::new(Engine::parse(text)?)),
            groups,
            decisions: ReusedDecisions::new(),
        })
    }

    /// The same policies with other groups.
    #[must_use]
    pub fn with_groups(self, groups: Groups) -> Self {
        Self {
            groups,
            decisions: ReusedDecisions::new(),
            ..self
        }
    }

    /// Returns true if there are policies. Without any, nothing is allowed.
    #[must_use]
    pub fn is_configured(&self) -> bool {
        self.engine.is_some()
    }

    /// The line on which a policy starts.
    #[must_use]
    pub fn line_of(&self, policy: &str) -> Option<usize> {
        self.engine.as_ref()?.line_of(policy)
    }

    /// The ids of the policies that forbid something, but only to principals with a tenant.
    pub fn forbidding_only_with_tenant(&self) -> impl Iterator<Item = &str> {
        let engine = self.engine.iter();
        engine.flat_map(|engine| engine.forbidding_only_with_tenant())
    }

    /// Decides whether a principal may do something with a recording of a PBX. Sharing requires the
    /// right to listen: the policies are asked for that first.
    ///
    /// # Errors
    /// When a credential is used beyond its scope, or the policies deny or cannot be evaluated.
    pub fn authorize(
        &self,
        principal: Counted<Principal>,
        action: Action,
        pbx: &str,
        recording: RecordingName,
        context: &Context,
    ) -> Result<Grant, PolicyError> {
        let principal = principal.into_inner();
        let policies = self.decide(&principal, action, pbx, &recording, context)?;
        Ok(Grant {
            principal,
            action,
            pbx: pbx.into(),
            recording,
            source: context.source,
            policies,
        })
    }

    /// Returns true if both are the same policies, loaded together, not only equal ones.
    #[must_use]
    pub fn is_same_policy(&self, other: &Self) -> bool {
        let same = match (&self.engine, &other.engine) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (one, other) => one.is_none() && other.is_none(),
        };
        same && self.groups.is_same_set(&other.groups)
    }

    /// Returns true if these policies still allow a grant at this time.
    #[must_use]
    pub fn still_allows(&self, grant: &Grant, now: SystemTime) -> bool {
        let (principal, source) = (&grant.principal, grant.source);
        let context = Context { source, now };
        let (pbx, name) = (&grant.pbx, &grant.recording);
        self.decide(principal, grant.action, pbx, name, &context)
            .is_ok()
    }

    /// Authorizes a principal to list a PBX.
    ///
    /// # Errors
    /// When the credential is a link, which covers one recording only, or is not for this PBX.
    pub fn view(
        &self,
        principal: Counted<Principal>,
        pbx: &str,
        context: &Context,
    ) -> Result<Viewer<'_>, PolicyError> {
        self.viewer(principal.into_inner(), pbx, context)
    }

    /// Authorizes the same principal to list the same PBX under these policies.
    ///
    /// # Errors
    /// As for [`Policy::view`].
    pub fn review(
        &self,
        viewer: &Viewer<'_>,
        context: &Context,
    ) -> Result<Viewer<'_>, PolicyError> {
        self.viewer(viewer.principal.clone(), &viewer.pbx, context)
    }

    fn viewer(
        &self,
        principal: Principal,
        pbx: &str,
        context: &Context,
    ) -> Result<Viewer<'_>, PolicyError> {
        if let Credential::Link(_) = principal.credential() {
            return Err(PolicyError::LinkForAnotherRecording);
        }
        if !principal.reaches(pbx) {
            return Err(PolicyError::PbxOutOfReach);
        }
        let engine = self.engine.as_ref();
        Ok(Viewer {
            policy: self,
            requester: engine.and_then(|engine| engine.requester(&principal, context).ok()),
            principal,
            pbx: pbx.to_owned(),
            decided: Mutex::default(),
        })
    }

    /// The attributes of a request that policies can look at, for display.
    #[must_use]
    pub fn facts(
        &self,
        principal: &Principal,
        pbx: &str,
        name: &RecordingName,
        context: &Context,
    ) -> Facts {
        Facts::of(principal, pbx, name, &self.groups, context)
    }

    /// The ids of the policies that allow it, in alphabetical order. The decision is for display
    /// and opens nothing.
    ///
    /// # Errors
    /// As for [`Policy::authorize`].
    pub fn decide(
        &self,
        principal: &Principal,
        action: Action,
        pbx: &str,
        recording: &RecordingName,
        context: &Context,
    ) -> Result<PolicyIds, PolicyError> {
        if action == Action::Share {
            require_sharer(principal)?;
        }
        if let Credential::Link(scope) = principal.credential()
            && (scope.pbx() != pbx || scope.recording() != recording)
        {
            return Err(PolicyError::LinkForAnotherRecording);
        }
        if !principal.reaches(pbx) {
            return Err(PolicyError::PbxOutOfReach);
        }
        let engine = self.engine.as_ref().ok_or(PolicyError::NO_PERMIT)?;
        let facts = engine.facts(pbx, recording);
        let question = engine.question(principal, action, &facts, context);
        if let Some(policies) = question.and_then(|question| self.decisions.find(&question)) {
            return Ok(policies);
        }
        let requester = engine.requester(principal, context)?;
        let decide = |action| engine.decide(&requester, action, &facts, &self.groups);
        let policies: PolicyIds = match action {
            Action::Listen => decide(Action::Listen)?,
            Action::Share => decide(Action::Listen).and_then(|_| decide(Action::Share))?,
        }
        .into();
        if let Some(question) = question {
            self.decisions.remember(question, Arc::clone(&policies));
        }
        Ok(policies)
    }
}

/// Refuses a principal that can never share, whatever the policies say.
///
/// # Errors
/// When the credential is a link.
pub(crate) fn require_sharer(principal: &Principal) -> Result<(), PolicyError> {
    match principal.credential() {
        Credential::Link(_) => Err(PolicyError::LinkMakesNoLinks),
        Credential::Bearer | Credential::Session | Credential::Sso => Ok(()),
    }
}

/// Shows the ids only: policies are long.
impl fmt::Debug for Policy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids = self.engine.iter().flat_map(|engine| engine.ids());
        formatter.write_str("Policy ")?;
        formatter.debug_list().entries(ids).finish()
    }
}

impl Grant {
    /// The principal.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The action.
    #[must_use]
    pub fn action(&self) -> Action {
        self.action
    }

    /// The configured name of the recording's PBX.
    #[must_use]
    pub fn pbx(&self) -> &str {
        &self.pbx
    }

    /// The same, shared.
    pub(crate) fn shared_pbx(&self) -> Arc<str> {
        Arc::clone(&self.pbx)
    }

    /// The recording.
    #[must_use]
    pub fn recording(&self) -> &RecordingName {
        &self.recording
    }

    /// The ids of the policies that permit it, in alphabetical order.
    #[must_use]
    pub fn policies(&self) -> &[Arc<str>] {
        &self.policies
    }
}

#[cfg(test)]
mod tests;

//! Who may hear what: (principal, action, recording, circumstances) → grant.
//!
//! Knows the order: a link reaches no further than the recording it names, an issuer's tokens no further than its PBXs, and
//! within that the policies of the operator decide, which are written in Cedar; nothing is allowed unless one permits it, and
//! whatever cannot be evaluated is denied. Does not know tokens, whether the recording exists, or the PBX. Pure: no I/O, and
//! time and address are parameters.

mod cedar;
mod denial;
mod entities;
mod facts;
mod groups;
mod source;
mod tenantless;
mod trial;
mod uses;

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use self::cedar::{Asker, Engine};
pub use self::denial::{Failure, PolicyError};
pub use self::facts::Facts;
use self::facts::RecordingFacts;
pub use self::groups::Groups;
pub use self::source::Flaw;
pub use self::trial::{Expected, Trial};
use crate::auth::principal::{Credential, Principal};
use crate::limits::rate::Counted;
use crate::recording::RecordingName;

/// The schema that policies are checked against, in Cedar's own notation.
pub const SCHEMA: &str = include_str!("../config/policy.cedarschema");

/// The policies in force.
#[derive(Clone)]
pub struct Policy {
    /// `None` where there are none.
    engine: Option<Arc<Engine>>,
    groups: Groups,
}

/// What somebody wants to do with a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Hear it, or see it in a list.
    Listen,
    /// Make a link to it, which takes the right to hear it as well.
    Share,
}

/// What matters of a request beyond who asks for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// The address it comes from.
    pub source: IpAddr,
    /// When it is decided.
    pub now: SystemTime,
}

/// The positive decision: this principal may do this with this recording now. Only a policy makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    principal: Principal,
    action: Action,
    pbx: String,
    recording: RecordingName,
    /// Where the request came from.
    source: IpAddr,
    policies: Vec<Arc<str>>,
}

/// Somebody who may look at the list of a PBX: at each recording in it that they may hear. Only a policy makes one.
pub struct Viewer<'p> {
    policy: &'p Policy,
    principal: Principal,
    pbx: String,
    /// `None` where they may hear nothing.
    asker: Option<Asker>,
    /// Most rows are alike in what policies ask about: the extensions of a company are few.
    decided: Mutex<HashMap<RecordingFacts, bool>>,
}

/// The most different recordings of one list whose decisions are remembered.
const MAX_DECIDED: usize = 4_096;

impl Action {
    /// Every action with its name in policies.
    pub(crate) const NAMES: [(&str, Self); 2] = [("listen", Self::Listen), ("share", Self::Share)];
}

impl Policy {
    /// Nobody may hear anything: the policy where none is configured.
    #[must_use]
    pub fn nobody() -> Self {
        Self {
            engine: None,
            groups: Groups::default(),
        }
    }

    /// Whoever is authenticated may hear every recording; a link still opens only the one it names.
    ///
    /// # Errors
    /// None, as long as [`SCHEMA`] is as it was shipped.
    pub fn everyone() -> Result<Self, Flaw> {
        let text = "@id(\"everyone\") permit(principal, action, resource);";
        let parsed = Self::parse(text, Groups::default());
        parsed.map_err(|flaws| flaws.into_iter().next().unwrap_or_default())
    }

    /// Reads policies in Cedar and checks them against [`SCHEMA`]; `groups` are the numbers that stand for others.
    ///
    /// # Errors
    /// Everything that is wrong with them, each with its place.
    pub fn parse(text: &str, groups: Groups) -> Result<Self, Vec<Flaw>> {
        Ok(Self {
            engine: Some(Arc::new(Engine::parse(text)?)),
            groups,
        })
    }

    /// The same policies with other groups.
    #[must_use]
    pub fn with_groups(self, groups: Groups) -> Self {
        Self { groups, ..self }
    }

    /// Whether there are policies at all; without any nobody may hear anything.
    #[must_use]
    pub fn is_configured(&self) -> bool {
        self.engine.is_some()
    }

    /// The line on which a policy begins.
    #[must_use]
    pub fn line_of(&self, policy: &str) -> Option<usize> {
        self.engine.as_ref()?.line_of(policy)
    }

    /// The ids of the policies that forbid something, and only to principals who have a tenant.
    pub fn forbidding_only_with_tenant(&self) -> impl Iterator<Item = &str> {
        let engine = self.engine.iter();
        engine.flat_map(|engine| engine.forbidding_only_with_tenant())
    }

    /// Decides whether a principal may do something with a recording of a PBX. Who hands one on has to be allowed to hear it,
    /// too: the policies are asked for that first, and whichever denies decides.
    ///
    /// # Errors
    /// When a credential is used beyond its scope, or the policies do not allow it or cannot be evaluated.
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
            pbx: pbx.to_owned(),
            recording,
            source: context.source,
            policies,
        })
    }

    /// Whether both are the same, and not only alike: those of another reading of the configuration are not.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        let same = match (&self.engine, &other.engine) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (one, other) => one.is_none() && other.is_none(),
        };
        same && self.groups.is(&other.groups)
    }

    /// Whether what was granted is still allowed, by these policies and at this time.
    #[must_use]
    pub fn still_allows(&self, grant: &Grant, now: SystemTime) -> bool {
        let (principal, source) = (&grant.principal, grant.source);
        let context = Context { source, now };
        let (pbx, name) = (&grant.pbx, &grant.recording);
        self.decide(principal, grant.action, pbx, name, &context)
            .is_ok()
    }

    /// Lets a principal look at the list of a PBX.
    ///
    /// # Errors
    /// When the credential is a link, which reaches no further than its recording, or is not for this PBX.
    pub fn view(
        &self,
        principal: Counted<Principal>,
        pbx: &str,
        context: &Context,
    ) -> Result<Viewer<'_>, PolicyError> {
        self.viewer(principal.into_inner(), pbx, context)
    }

    /// Looks at the list again, for the same principal under other policies.
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
            asker: engine.and_then(|engine| engine.asker(&principal, context).ok()),
            principal,
            pbx: pbx.to_owned(),
            decided: Mutex::default(),
        })
    }

    /// What the policies are told of a request, to be shown.
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

    /// The ids of the policies that allow it, in alphabetical order. A decision to be shown: it opens nothing.
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
    ) -> Result<Vec<Arc<str>>, PolicyError> {
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
        let engine = self.engine.as_ref().ok_or(PolicyError::DEFAULT)?;
        let asker = engine.asker(principal, context)?;
        let facts = engine.facts(pbx, recording);
        let decide = |action| engine.decide(&asker, action, &facts, &self.groups);
        match action {
            Action::Listen => decide(Action::Listen),
            Action::Share => decide(Action::Listen).and_then(|_| decide(Action::Share)),
        }
    }
}

/// Refuses who can share nothing, whatever it is and whatever the policies say.
///
/// # Errors
/// For a link.
pub(crate) fn require_sharer(principal: &Principal) -> Result<(), PolicyError> {
    match principal.credential() {
        Credential::Link(_) => Err(PolicyError::LinkMakesNoLinks),
        Credential::Bearer | Credential::Session | Credential::Sso => Ok(()),
    }
}

/// The ids alone: policies are long, and their order in memory means nothing.
impl fmt::Debug for Policy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids = self.engine.iter().flat_map(|engine| engine.ids());
        formatter.write_str("Policy ")?;
        formatter.debug_list().entries(ids).finish()
    }
}

impl Viewer<'_> {
    /// Who looks.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The configured name of the PBX whose list it is.
    #[must_use]
    pub fn pbx(&self) -> &str {
        &self.pbx
    }

    /// Whether they may hear this recording.
    #[must_use]
    pub fn may_hear(&self, recording: &RecordingName) -> bool {
        let (Some(engine), Some(asker)) = (&self.policy.engine, &self.asker) else {
            return false;
        };
        let facts = engine.facts(&self.pbx, recording);
        let decided = || self.decided.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(allowed) = decided().get(&facts) {
            return *allowed;
        }
        let allowed = engine.allows(asker, Action::Listen, &facts, &self.policy.groups);
        let mut decided = decided();
        if decided.len() < MAX_DECIDED {
            decided.insert(facts, allowed);
        }
        allowed
    }
}

impl fmt::Debug for Viewer<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Viewer")
            .field("principal", &self.principal)
            .field("pbx", &self.pbx)
            .finish_non_exhaustive()
    }
}

impl Grant {
    /// Who may.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// What they may do.
    #[must_use]
    pub fn action(&self) -> Action {
        self.action
    }

    /// The configured name of the PBX that has it.
    #[must_use]
    pub fn pbx(&self) -> &str {
        &self.pbx
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

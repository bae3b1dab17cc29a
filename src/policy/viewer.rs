//! A principal that lists a PBX: the policies decide about each row.
//!
//! Knows which rows are alike to the policies, and asks once for them. Does not know where the rows
//! come from.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use super::cedar::Requester;
use super::facts::RecordingFacts;
use super::{Action, Policy};
use crate::auth::principal::Principal;
use crate::recording::RecordingName;

/// A principal that may list a PBX: the list shows the recordings that the principal may hear. Only
/// a policy makes one.
pub struct Viewer<'p> {
    pub(super) policy: &'p Policy,
    pub(super) principal: Principal,
    pub(super) pbx: String,
    /// `None` if the principal may hear nothing.
    pub(super) requester: Option<Requester>,
    /// Remembers decisions: most rows are equal in the attributes that policies look at, since a
    /// company has few extensions.
    pub(super) decided: Mutex<HashMap<RecordingFacts, bool>>,
}

/// The most decisions remembered for one list.
pub(super) const MAX_REMEMBERED_DECISIONS: usize = 4_096;

impl Viewer<'_> {
    /// The principal that lists.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The configured name of the PBX that is listed.
    #[must_use]
    pub fn pbx(&self) -> &str {
        &self.pbx
    }

    /// Returns true if the principal may hear this recording.
    #[must_use]
    pub fn may_hear(&self, recording: &RecordingName) -> bool {
        let (Some(engine), Some(requester)) = (&self.policy.engine, &self.requester) else {
            return false;
        };
        let facts = engine.facts(&self.pbx, recording);
        let decided = || self.decided.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(allowed) = decided().get(&facts) {
            return *allowed;
        }
        let allowed = engine.allows(requester, Action::Listen, &facts, &self.policy.groups);
        let mut decided = decided();
        if decided.len() < MAX_REMEMBERED_DECISIONS {
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

//! Proofs that a decision is in the audit log, and the operations that each proof allows.
//!
//! Knows that only the audit log makes these proofs. Does not know how a line is written, or how a
//! recording is read.
//!
//! A [`Grant`] is a decision, not yet a right: it becomes one when its line is in the log.
//!
//! ```
//! use wavegate::audit::{Recorded, RecordedRead, SystemRead};
//! use wavegate::policy::Grant;
//!
//! fn reads_for_a_caller(grant: &Recorded<Grant>) -> RecordedRead {
//!     RecordedRead::from(grant)
//! }
//! fn reads_for_the_gateway(read: &Recorded<SystemRead>) -> RecordedRead {
//!     RecordedRead::from(read)
//! }
//! ```
//!
//! The cache and the PBXs take a [`RecordedRead`], and a bare grant does not make one:
//!
//! ```compile_fail
//! use wavegate::audit::RecordedRead;
//! use wavegate::policy::Grant;
//!
//! fn reads_without_a_line(grant: &Grant) -> RecordedRead {
//!     RecordedRead::from(grant)
//! }
//! ```
//!
//! Nobody but the audit log writes a proof down:
//!
//! ```compile_fail
//! use wavegate::audit::Recorded;
//! use wavegate::policy::Grant;
//!
//! fn made_up(grant: Grant) -> Recorded<Grant> {
//!     Recorded(std::sync::Arc::new(grant))
//! }
//! ```
//!
//! The body of an answer takes a [`RecordedAnswer`]. The grant of a caller makes one:
//!
//! ```
//! use wavegate::audit::{Recorded, RecordedAnswer};
//! use wavegate::policy::Grant;
//!
//! fn answers_a_caller(grant: &Recorded<Grant>) -> RecordedAnswer {
//!     RecordedAnswer::from(grant)
//! }
//! ```
//!
//! A recorded read of the gateway itself makes none, so its bytes reach no caller:
//!
//! ```compile_fail
//! use wavegate::audit::{Recorded, RecordedAnswer, SystemRead};
//!
//! fn answers_nobody(read: &Recorded<SystemRead>) -> RecordedAnswer {
//!     RecordedAnswer::from(read)
//! }
//! ```
//!
//! A bare grant does not make one either:
//!
//! ```compile_fail
//! use wavegate::audit::RecordedAnswer;
//! use wavegate::policy::Grant;
//!
//! fn answers_without_a_line(grant: &Grant) -> RecordedAnswer {
//!     RecordedAnswer::from(grant)
//! }
//! ```

use std::ops::Deref;
use std::sync::Arc;

use super::line::Decision;
use crate::policy::{Action, Grant, Viewer};
use crate::principal::PrincipalId;
use crate::recording::RecordingName;

/// A decision whose line is in the audit log, or would be if one were configured. Only the audit
/// log makes one. Clones are the same decision.
#[derive(Debug)]
pub struct Recorded<T>(Arc<T>);

impl<T> Recorded<T> {
    /// For the audit log alone, once the line is on disk.
    pub(super) fn new(decided: T) -> Self {
        Self(Arc::new(decided))
    }
}

impl<T> Clone for Recorded<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Deref for Recorded<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// A decision that allows something, and fills in the fields of its line.
pub(crate) trait Allowed {
    /// Fills in the fields of the line that only the decision itself knows; it overwrites them.
    fn describe(&self, decision: &mut Decision);
}

impl Allowed for Grant {
    fn describe(&self, decision: &mut Decision) {
        let action = match self.action() {
            Action::Listen => "listen",
            Action::Share => "share",
        };
        decision.action = action.into();
        decision.tell_principal(self.principal());
        decision.pbx = self.shared_pbx();
        decision.recording = Some(self.recording().shared());
        decision.policies = self.policies().to_vec();
    }
}

impl Allowed for Viewer<'_> {
    fn describe(&self, decision: &mut Decision) {
        decision.action = "list".into();
        decision.tell_principal(self.principal());
        decision.pbx = self.pbx().into();
        decision.recording = None;
        decision.policies = Vec::new();
    }
}

/// A read of a recording that no caller asked for: `doctor` looks at its first bytes.
#[derive(Debug)]
pub struct SystemRead {
    purpose: &'static str,
    pbx: String,
    recording: RecordingName,
}

impl SystemRead {
    /// A read for one of the gateway's own purposes, such as `doctor`.
    pub(crate) fn new(purpose: &'static str, pbx: &str, recording: &RecordingName) -> Self {
        Self {
            purpose,
            pbx: pbx.to_owned(),
            recording: recording.clone(),
        }
    }

    /// The word in the audit log.
    pub(super) fn purpose(&self) -> &'static str {
        self.purpose
    }

    /// The configured name of the PBX.
    pub(super) fn pbx(&self) -> &str {
        &self.pbx
    }

    /// The recording that is read.
    pub(crate) fn recording(&self) -> &RecordingName {
        &self.recording
    }
}

/// A recorded reason to read one recording from its PBX. The cache and the PBXs open nothing
/// without one.
#[derive(Debug, Clone)]
pub struct RecordedRead {
    pbx: Arc<str>,
    recording: RecordingName,
    reader: PrincipalId,
}

impl RecordedRead {
    /// The only PBX that may be read from.
    pub(crate) fn pbx(&self) -> &Arc<str> {
        &self.pbx
    }

    /// The only recording that may be read.
    pub(crate) fn recording(&self) -> &RecordingName {
        &self.recording
    }

    /// The principal whom the read's place in the queue and its memory count for.
    pub(crate) fn reader(&self) -> &PrincipalId {
        &self.reader
    }
}

impl From<&Recorded<Grant>> for RecordedRead {
    fn from(grant: &Recorded<Grant>) -> Self {
        Self {
            pbx: grant.shared_pbx(),
            recording: grant.recording().clone(),
            reader: grant.principal().id(),
        }
    }
}

impl From<&Recorded<SystemRead>> for RecordedRead {
    fn from(read: &Recorded<SystemRead>) -> Self {
        Self {
            pbx: read.pbx.as_str().into(),
            recording: read.recording.clone(),
            reader: PrincipalId::new("", ""),
        }
    }
}

/// A recorded reason to send a recording to the caller who was granted it. The body of an answer is
/// not made without one.
#[derive(Debug, Clone)]
pub struct RecordedAnswer(Recorded<Grant>);

impl RecordedAnswer {
    /// The grant that the answer follows.
    pub(crate) fn grant(&self) -> &Recorded<Grant> {
        &self.0
    }
}

impl From<&Recorded<Grant>> for RecordedAnswer {
    fn from(grant: &Recorded<Grant>) -> Self {
        Self(grant.clone())
    }
}

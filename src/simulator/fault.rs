//! Scripted faults: what goes wrong, on which call, how often.
//!
//! Knows the kinds of faults, and which of them strike a given request. Does not know how they are
//! carried out. Their text form is in [`text`].

use std::time::Duration;

mod text;

pub use text::FaultError;

/// A kind of call of the API, which a fault can strike and which the counters tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallKind {
    /// `login`; `get_token` of the P-Series.
    Login,
    /// `token/refresh`; `refresh_token` of the P-Series.
    Refresh,
    /// `recording/get_random`; on the P-Series `recording/download`, which answers the address of a
    /// file.
    GetRandom,
    /// `recording/download`; on the P-Series the request for that address.
    Download,
    /// `heartbeat`.
    Heartbeat,
    /// `logout`; `del_token` of the P-Series.
    Logout,
    /// `cdr/get_random`.
    CdrRandom,
    /// `cdr/download`.
    CdrDownload,
    /// `recording/list` and `recording/search` of the P-Series.
    List,
    /// Every request, also to an unknown path. Only faults use it.
    Any,
}

/// The number of requests that a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// This many requests; then the fault is removed.
    Exactly(u32),
    /// Every request.
    Forever,
}

/// One way in which an answer goes wrong.
///
/// Byte counts mean bytes of the body; the head is always sent whole. A download that a fault
/// strikes still spends its ticket. Any other call whose answer is replaced is not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misbehavior {
    /// The answer starts later by this time.
    Slow(Duration),
    /// The body is written at this rate.
    Throttle {
        /// Bytes per second; 0 counts as 1.
        bytes_per_s: u64,
    },
    /// The connection is closed in an orderly way inside the body.
    Cut {
        /// Body bytes that are sent before the close. A body that is shorter is sent whole.
        after_bytes: u64,
        /// True if the head announces the whole length. Otherwise the cut looks like a normal end.
        with_length: bool,
    },
    /// The connection is reset inside the body. Bytes that the peer has not received yet are lost.
    Reset {
        /// Body bytes that are handed to the network before the reset.
        after_bytes: u64,
    },
    /// The answer stops, and the connection stays open until the peer closes it.
    Stall {
        /// Body bytes that are sent before the answer stops.
        after_bytes: u64,
    },
    /// The connection ends without the TLS close_notify.
    NoCloseNotify,
    /// A page replaces the answer. With status 200 it is the login page of the web interface.
    Html {
        /// Its HTTP status.
        status: u16,
    },
    /// Well-formed JSON of another shape replaces the answer.
    WrongJson,
    /// Bytes that are neither JSON nor audio nor a page replace the answer.
    NotJsonGarbage,
    /// The call fails with this `errno`. On a P-Series it is the `errcode`, which may be negative.
    Errno(String),
    /// This HTTP status with an empty body replaces the answer.
    Status(u16),
    /// A JSON object of 10 MiB that is never closed replaces the answer.
    HugeJson,
    /// The connection is closed before an answer.
    CloseBeforeAnswer,
    /// A requested range starts one byte too early, and `Content-Range` says so.
    OtherRange,
    /// The token of the request ends; on a P-Series its refresh token stays good. A download finds
    /// it ended; for other calls it ends after the answer.
    DeadTokenAfterTicket,
}

/// One scripted fault.
///
/// Every fault for its kind of call strikes a request. Of several faults with the same effect
/// (delay, pace, replaced answer, early end, close_notify, other range, ended token) only the first
/// strikes; the next one waits for another request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptedFault {
    /// The kind of call that the fault strikes.
    pub kind: CallKind,
    /// If set, the fault strikes only downloads of this recording. Other calls belong to no
    /// recording.
    pub recording: Option<String>,
    /// The number of requests that the fault strikes.
    pub times: Times,
    /// The effect on the answer.
    pub misbehavior: Misbehavior,
}

impl ScriptedFault {
    /// Returns a fault that strikes the next request of this kind.
    pub fn once(kind: CallKind, misbehavior: Misbehavior) -> Self {
        Self::new(kind, Times::Exactly(1), misbehavior)
    }

    /// Returns a fault that strikes the next `times` requests of this kind.
    pub fn times(times: u32, kind: CallKind, misbehavior: Misbehavior) -> Self {
        Self::new(kind, Times::Exactly(times), misbehavior)
    }

    /// Returns a fault that strikes every request of this kind.
    pub fn forever(kind: CallKind, misbehavior: Misbehavior) -> Self {
        Self::new(kind, Times::Forever, misbehavior)
    }

    /// Limits the fault to downloads of one recording.
    pub fn for_recording(mut self, recording: impl Into<String>) -> Self {
        self.recording = Some(recording.into());
        self
    }

    fn new(kind: CallKind, times: Times, misbehavior: Misbehavior) -> Self {
        Self {
            kind,
            recording: None,
            times,
            misbehavior,
        }
    }

    fn strikes(&self, kind: Option<CallKind>, recording: Option<&str>) -> bool {
        let names_recording = self.recording.is_none() || self.recording.as_deref() == recording;
        names_recording && (self.kind == CallKind::Any || Some(self.kind) == kind)
    }

    /// Counts one strike. Returns false when the fault has struck its last request.
    fn count_strike(&mut self) -> bool {
        if let Times::Exactly(left) = &mut self.times {
            *left = left.saturating_sub(1);
            return *left > 0;
        }
        true
    }
}

/// An early end of a body: how it ends, and after how many of its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyBreak {
    Cut { after: u64, with_length: bool },
    Reset { after: u64 },
    Stall { after: u64 },
}

/// All effects of faults on one request. `None` and false mean no effect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FaultPlan {
    pub(super) delay: Option<Duration>,
    pub(super) bytes_per_s: Option<u64>,
    /// The misbehavior that replaces the answer.
    pub(super) replacement: Option<Misbehavior>,
    pub(super) early_end: Option<BodyBreak>,
    pub(super) no_close_notify: bool,
    pub(super) other_range: bool,
    pub(super) dead_token: bool,
}

impl FaultPlan {
    /// Adds the misbehavior. Returns false if there is one with the same effect already.
    pub(super) fn add(&mut self, misbehavior: &Misbehavior) -> bool {
        match *misbehavior {
            Misbehavior::Slow(delay) => fill_if_empty(&mut self.delay, delay),
            Misbehavior::Throttle { bytes_per_s } => {
                fill_if_empty(&mut self.bytes_per_s, bytes_per_s.max(1))
            }
            Misbehavior::Cut {
                after_bytes: after,
                with_length,
            } => fill_if_empty(&mut self.early_end, BodyBreak::Cut { after, with_length }),
            Misbehavior::Reset { after_bytes: after } => {
                fill_if_empty(&mut self.early_end, BodyBreak::Reset { after })
            }
            Misbehavior::Stall { after_bytes: after } => {
                fill_if_empty(&mut self.early_end, BodyBreak::Stall { after })
            }
            Misbehavior::NoCloseNotify => !std::mem::replace(&mut self.no_close_notify, true),
            Misbehavior::OtherRange => !std::mem::replace(&mut self.other_range, true),
            Misbehavior::DeadTokenAfterTicket => !std::mem::replace(&mut self.dead_token, true),
            Misbehavior::Html { .. }
            | Misbehavior::WrongJson
            | Misbehavior::NotJsonGarbage
            | Misbehavior::Errno(_)
            | Misbehavior::Status(_)
            | Misbehavior::HugeJson
            | Misbehavior::CloseBeforeAnswer => {
                fill_if_empty(&mut self.replacement, misbehavior.clone())
            }
        }
    }
}

/// Puts `value` into `slot` if that is empty. Returns false if it was not.
fn fill_if_empty<T>(slot: &mut Option<T>, value: T) -> bool {
    let empty = slot.is_none();
    if empty {
        *slot = Some(value);
    }
    empty
}

/// The faults that have not struck their last request, oldest first.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<ScriptedFault>);

impl Faults {
    pub(super) fn add(&mut self, fault: ScriptedFault) {
        if fault.times != Times::Exactly(0) {
            self.0.push(fault);
        }
    }

    /// Collects the faults that strike one request, and counts their strikes. `kind` is `None` for
    /// a request of no known kind, and `recording` is `None` for a request that is not a download.
    pub(super) fn meet(&mut self, kind: Option<CallKind>, recording: Option<&str>) -> FaultPlan {
        let mut plan = FaultPlan::default();
        self.0.retain_mut(|fault| {
            let struck = fault.strikes(kind, recording) && plan.add(&fault.misbehavior);
            !struck || fault.count_strike()
        });
        plan
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_with_the_same_effect_strike_one_after_the_other() {
        let mut faults = Faults::default();
        let status = |status| ScriptedFault::once(CallKind::Login, Misbehavior::Status(status));
        faults.add(status(500));
        faults.add(status(503));
        faults.add(ScriptedFault::forever(
            CallKind::Any,
            Misbehavior::NoCloseNotify,
        ));

        assert_eq!(
            faults.meet(Some(CallKind::Download), None).replacement,
            None
        );
        let first = faults.meet(Some(CallKind::Login), None);
        assert_eq!(first.replacement, Some(Misbehavior::Status(500)));
        assert!(first.no_close_notify);
        let second = faults.meet(Some(CallKind::Login), None);
        assert_eq!(second.replacement, Some(Misbehavior::Status(503)));
        assert_eq!(faults.meet(Some(CallKind::Login), None).replacement, None);
        assert!(faults.meet(None, None).no_close_notify);
    }

    #[test]
    fn a_fault_for_two_requests_strikes_two_requests() {
        let mut faults = Faults::default();
        faults.add(ScriptedFault::times(
            2,
            CallKind::Download,
            Misbehavior::HugeJson,
        ));
        let mut meets = || {
            faults
                .meet(Some(CallKind::Download), None)
                .replacement
                .is_some()
        };
        assert_eq!([meets(), meets(), meets()], [true, true, false]);
    }

    #[test]
    fn a_fault_for_one_recording_strikes_its_downloads_only() {
        let mut faults = Faults::default();
        let huge = |name| {
            ScriptedFault::once(CallKind::Download, Misbehavior::HugeJson).for_recording(name)
        };
        faults.add(huge("a.wav"));
        faults.add(huge("a.wav"));
        faults.add(huge("b.wav"));
        let mut meets = |recording| {
            let plan = faults.meet(Some(CallKind::Download), recording);
            plan.replacement.is_some()
        };
        assert!(!meets(None) && !meets(Some("c.wav")));
        assert_eq!([meets(Some("a.wav")), meets(Some("b.wav"))], [true, true]);
        assert_eq!([meets(Some("a.wav")), meets(Some("b.wav"))], [true, false]);
        assert!(!meets(Some("a.wav")));
    }
}

//! Scripted misbehaviour: what goes wrong, on which call, how often.
//!
//! Knows what can be asked for and which faults meet a given request. Does not know how they are
//! carried out. Their text form is in [`text`].

use std::time::Duration;

mod text;

pub use text::FaultError;

/// The calls a fault can strike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallKind {
    /// `login`; `get_token` of the P-Series.
    Login,
    /// `token/refresh`; `refresh_token` of the P-Series.
    Refresh,
    /// `recording/get_random`; `recording/download` of the P-Series, which gives an address.
    GetRandom,
    /// `recording/download`; the address itself on the P-Series.
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
    /// Every request, those to unknown paths included.
    Any,
}

/// How many requests a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// That many, then it is gone.
    Exactly(u32),
    /// All of them.
    Forever,
}

/// What goes wrong.
///
/// Byte counts are bytes of the answer's body; the head is always sent whole. A download that meets
/// a fault spends its random all the same; any other call whose answer is replaced is not carried
/// out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misbehavior {
    /// The answer starts that much later.
    Slow(Duration),
    /// The body is written at this rate.
    Throttle {
        /// Bytes per second; 0 counts as 1.
        bytes_per_s: u64,
    },
    /// The connection is closed in an orderly way inside the body.
    Cut {
        /// Body bytes that are still sent; a shorter body is sent whole.
        after_bytes: u64,
        /// Whether the whole length was announced. Without it the cut looks like a normal end.
        with_length: bool,
    },
    /// The connection is reset inside the body. Bytes the peer has not received by then are lost.
    Reset {
        /// Body bytes that are handed to the network before.
        after_bytes: u64,
    },
    /// Nothing more is sent, and the connection stays open until the peer leaves.
    Stall {
        /// Body bytes that are sent before.
        after_bytes: u64,
    },
    /// The connection ends without the TLS close_notify.
    NoCloseNotify,
    /// A page instead of the answer; with status 200 the login page of the web interface.
    Html {
        /// Its HTTP status.
        status: u16,
    },
    /// Well-formed JSON of another shape.
    WrongJson,
    /// Bytes that are neither JSON nor audio nor a page.
    NotJsonGarbage,
    /// `Failed` with this `errno`; on a P-Series this `errcode`, which may be negative.
    Errno(String),
    /// This HTTP status with an empty body.
    Status(u16),
    /// A JSON object that does not end for 10 MiB.
    HugeJson,
    /// The connection is closed before anything is sent.
    CloseBeforeAnswer,
    /// A part that was asked for comes one byte too early, and says so.
    OtherRange,
    /// The token of the request dies, and on a P-Series not its refresh token: after the answer, or on a download before it.
    DeadTokenAfterTicket,
}

/// One scripted fault.
///
/// A request meets every fault for its operation, but of faults of one kind (delay, pace, replaced
/// answer, early end, close_notify, other range, dead token) only the first; the next waits for its turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptedFault {
    /// The call it strikes.
    pub on: CallKind,
    /// The recording whose downloads it strikes, `None` for all; other calls tell of no recording.
    pub of: Option<String>,
    /// How many requests it strikes.
    pub times: Times,
    /// What goes wrong then.
    pub what: Misbehavior,
}

impl ScriptedFault {
    /// Makes a fault that strikes the next request only.
    pub fn once(on: CallKind, what: Misbehavior) -> Self {
        Self::of_all(on, Times::Exactly(1), what)
    }

    /// Makes a fault that strikes the next `times` requests.
    pub fn times(times: u32, on: CallKind, what: Misbehavior) -> Self {
        Self::of_all(on, Times::Exactly(times), what)
    }

    /// Makes a fault that strikes every request.
    pub fn forever(on: CallKind, what: Misbehavior) -> Self {
        Self::of_all(on, Times::Forever, what)
    }

    /// The same for the downloads of one recording only.
    pub fn of(mut self, recording: impl Into<String>) -> Self {
        self.of = Some(recording.into());
        self
    }

    fn of_all(on: CallKind, times: Times, what: Misbehavior) -> Self {
        Self {
            on,
            of: None,
            times,
            what,
        }
    }

    fn strikes(&self, operation: Option<CallKind>, recording: Option<&str>) -> bool {
        let names_recording = self.of.is_none() || self.of.as_deref() == recording;
        names_recording && (self.on == CallKind::Any || Some(self.on) == operation)
    }

    /// Counts one strike; false once there are none left.
    fn count_strike(&mut self) -> bool {
        if let Times::Exactly(left) = &mut self.times {
            *left = left.saturating_sub(1);
            return *left > 0;
        }
        true
    }
}

/// Where a body ends too early, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyBreak {
    Cut { after: u64, with_length: bool },
    Reset { after: u64 },
    Stall { after: u64 },
}

/// All that goes wrong with one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FaultPlan {
    pub(super) delay: Option<Duration>,
    pub(super) bytes_per_s: Option<u64>,
    /// The misbehaviour that replaces the answer.
    pub(super) instead: Option<Misbehavior>,
    pub(super) ending: Option<BodyBreak>,
    pub(super) no_close_notify: bool,
    pub(super) other_range: bool,
    pub(super) dead_token: bool,
}

impl FaultPlan {
    /// Takes the misbehaviour in, unless there is one of its kind already.
    pub(super) fn add(&mut self, what: &Misbehavior) -> bool {
        match *what {
            Misbehavior::Slow(delay) => fill_if_empty(&mut self.delay, delay),
            Misbehavior::Throttle { bytes_per_s } => {
                fill_if_empty(&mut self.bytes_per_s, bytes_per_s.max(1))
            }
            Misbehavior::Cut {
                after_bytes: after,
                with_length,
            } => fill_if_empty(&mut self.ending, BodyBreak::Cut { after, with_length }),
            Misbehavior::Reset { after_bytes: after } => {
                fill_if_empty(&mut self.ending, BodyBreak::Reset { after })
            }
            Misbehavior::Stall { after_bytes: after } => {
                fill_if_empty(&mut self.ending, BodyBreak::Stall { after })
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
            | Misbehavior::CloseBeforeAnswer => fill_if_empty(&mut self.instead, what.clone()),
        }
    }
}

/// Puts `value` into an empty `slot`; false if it was not empty.
fn fill_if_empty<T>(slot: &mut Option<T>, value: T) -> bool {
    let empty = slot.is_none();
    if empty {
        *slot = Some(value);
    }
    empty
}

/// The faults still to come, in the order they were asked for.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<ScriptedFault>);

impl Faults {
    pub(super) fn add(&mut self, fault: ScriptedFault) {
        if fault.times != Times::Exactly(0) {
            self.0.push(fault);
        }
    }

    /// Takes out what meets one request: `None` is a request that is no known operation, or no download of a recording.
    pub(super) fn meet(
        &mut self,
        operation: Option<CallKind>,
        recording: Option<&str>,
    ) -> FaultPlan {
        let mut plan = FaultPlan::default();
        self.0.retain_mut(|fault| {
            let struck = fault.strikes(operation, recording) && plan.add(&fault.what);
            !struck || fault.count_strike()
        });
        plan
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_of_one_kind_come_one_after_the_other() {
        let mut faults = Faults::default();
        let status = |status| ScriptedFault::once(CallKind::Login, Misbehavior::Status(status));
        faults.add(status(500));
        faults.add(status(503));
        faults.add(ScriptedFault::forever(
            CallKind::Any,
            Misbehavior::NoCloseNotify,
        ));

        assert_eq!(faults.meet(Some(CallKind::Download), None).instead, None);
        let first = faults.meet(Some(CallKind::Login), None);
        assert_eq!(first.instead, Some(Misbehavior::Status(500)));
        assert!(first.no_close_notify);
        let second = faults.meet(Some(CallKind::Login), None);
        assert_eq!(second.instead, Some(Misbehavior::Status(503)));
        assert_eq!(faults.meet(Some(CallKind::Login), None).instead, None);
        assert!(faults.meet(None, None).no_close_notify);
    }

    #[test]
    fn a_fault_for_two_requests_strikes_two() {
        let mut faults = Faults::default();
        faults.add(ScriptedFault::times(
            2,
            CallKind::Download,
            Misbehavior::HugeJson,
        ));
        let mut meets = || {
            faults
                .meet(Some(CallKind::Download), None)
                .instead
                .is_some()
        };
        assert_eq!([meets(), meets(), meets()], [true, true, false]);
    }

    #[test]
    fn a_fault_of_one_recording_waits_for_its_downloads() {
        let mut faults = Faults::default();
        let huge = |name| ScriptedFault::once(CallKind::Download, Misbehavior::HugeJson).of(name);
        faults.add(huge("a.wav"));
        faults.add(huge("a.wav"));
        faults.add(huge("b.wav"));
        let mut meets = |recording| {
            let plan = faults.meet(Some(CallKind::Download), recording);
            plan.instead.is_some()
        };
        assert!(!meets(None) && !meets(Some("c.wav")));
        assert_eq!([meets(Some("a.wav")), meets(Some("b.wav"))], [true, true]);
        assert_eq!([meets(Some("a.wav")), meets(Some("b.wav"))], [true, false]);
        assert!(!meets(Some("a.wav")));
    }
}

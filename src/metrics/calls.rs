//! The counters of the calls to a PBX, by operation and outcome.
//!
//! Knows their words. Logins and downloads have counters of their own, in words of their own. Does
//! not know when a call is made.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

use super::words::{Labels, Words};

/// The purpose of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    /// Exchange the PBX token for a new one.
    Refresh,
    /// Keep the PBX token alive.
    Prolong,
    /// Give the PBX token back.
    Logout,
    /// Get a ticket for a recording.
    Ticket,
    /// Get a list, its ticket included.
    List,
}

/// The outcome of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallOutcome {
    Done,
    /// The PBX says no, in its own words.
    Refused,
    /// Another answer than the API has.
    Unusable,
    /// No answer, or a part of one.
    Unanswered,
}

/// The counters of the calls to one PBX.
pub(super) struct Calls([(Call, Words<CallOutcome, 4>); 5]);

impl Calls {
    /// The counters in `family` that have these `labels`.
    pub(super) fn of(family: &Family<Labels, Counter>, labels: &Labels) -> Self {
        Self(Call::WORDS.map(|(call, word)| {
            let mut labels = labels.clone();
            labels.push(("operation", word.to_owned()));
            (
                call,
                Words::of(family, labels, "outcome", CallOutcome::WORDS),
            )
        }))
    }

    pub(super) fn count(&self, call: Call, outcome: CallOutcome) {
        if let Some((_, outcomes)) = self.0.iter().find(|(other, _)| *other == call) {
            outcomes.count(outcome);
        }
    }
}

impl Call {
    const WORDS: [(Self, &'static str); 5] = [
        (Self::Refresh, "refresh"),
        (Self::Prolong, "prolong"),
        (Self::Logout, "logout"),
        (Self::Ticket, "ticket"),
        (Self::List, "list"),
    ];
}

impl CallOutcome {
    const WORDS: [(Self, &'static str); 4] = [
        (Self::Done, "done"),
        (Self::Refused, "refused"),
        (Self::Unusable, "unusable"),
        (Self::Unanswered, "unanswered"),
    ];
}

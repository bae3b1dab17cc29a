//! The relay: the bodies of answers, the watchdog that ends stalled ones, and the access log.
//!
//! Knows streams, their limits and their outcomes. Does not know how a caller was
//! authenticated, or how a PBX is asked.

pub(crate) mod access_line;
mod body;
mod document;
mod pieces;
pub(crate) mod settings;
mod speed;
mod watchdog;

pub(crate) use body::{AbortHandle, BrokenTransfer, RelayBody};
pub(crate) use document::DocumentBody;
pub(crate) use pieces::Pieces;
pub(crate) use watchdog::{Watchdog, WatchdogVerdict};

use crate::metrics::TransferEnd;

/// The outcome of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The connection took every byte.
    Complete,
    /// The PBX broke the recording off, or ended it early.
    UpstreamFailed,
    /// The PBX sent nothing for too long.
    UpstreamIdle,
    /// The caller took nothing for too long.
    DownstreamIdle,
    /// The caller took too little while others waited for its download.
    DownstreamSlow,
    /// The caller left.
    DownstreamGone,
    /// The time to drain was up when the program ended.
    Drained,
    /// The caller lost the right to hear it.
    Revoked,
    /// The cache entry of the recording was deleted.
    Deleted,
    /// It lasted longer than `relay.max_stream_s`.
    Overdue,
}

impl Outcome {
    /// The word in the access log.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::UpstreamFailed => "upstream-failed",
            Self::UpstreamIdle => "upstream-idle",
            Self::DownstreamIdle => "downstream-idle",
            Self::DownstreamSlow => "downstream-slow",
            Self::DownstreamGone => "downstream-gone",
            Self::Drained => "drained",
            Self::Revoked => "revoked",
            Self::Deleted => "deleted",
            Self::Overdue => "overdue",
        }
    }
}

impl From<Outcome> for TransferEnd {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Complete => Self::Complete,
            Outcome::UpstreamFailed | Outcome::UpstreamIdle => Self::Broken,
            Outcome::DownstreamIdle | Outcome::DownstreamSlow => Self::TooSlow,
            Outcome::DownstreamGone => Self::Left,
            Outcome::Revoked | Outcome::Deleted => Self::Withdrawn,
            Outcome::Drained | Outcome::Overdue => Self::Overdue,
        }
    }
}

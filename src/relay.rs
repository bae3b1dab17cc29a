//! The body of an answer: a recording's bytes from the PBX to the caller as they come, or a document.
//!
//! Knows streams, limits and how a transfer ended; and what of a recording a request wants, by its conditions and its
//! range. Does not know who asks, but for an id to count by, or which PBX answers.

pub(crate) mod access_line;
mod body;
mod document;
pub(crate) mod settings;
mod watchdog;

pub(crate) use body::{BrokenOff, Cutter, RelayBody};
pub(crate) use document::DocumentBody;
pub(crate) use watchdog::{Verdict, Watchdog};

/// How a transfer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Every byte was handed to the connection.
    Complete,
    /// The PBX broke off, or ended the recording before its end.
    UpstreamFailed,
    /// The PBX sent nothing for too long.
    UpstreamIdle,
    /// The caller took nothing for too long.
    DownstreamIdle,
    /// The caller took too little while others waited for its place.
    DownstreamSlow,
    /// The caller left.
    DownstreamGone,
    /// The program ended, and did not wait any longer.
    Drained,
    /// The caller may not hear it any more.
    Revoked,
    /// What is held of the recording was ended.
    Deleted,
    /// It lasted longer than any may.
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

//! The failures between the gateway and a PBX, each with advice for an operator.
//!
//! Knows the PBX's side only: no HTTP status of ours, no caller. No text here holds a URL, a token
//! or a ticket.

mod hold_off;
mod rows;

use std::time::Duration;

use thiserror::Error;

use super::dialect::{Operation, Refusal, RefusalClass};
use crate::tls::client::TlsError;
pub(crate) use hold_off::HoldOff;

/// How long a PBX refuses an address after too many wrong logins.
pub(in crate::pbx) const LOCK_OUT: Duration = Duration::from_secs(10 * 60);
/// The first pause without a login if all slots for tokens are taken.
pub(in crate::pbx) const FIRST_SLOTS_PAUSE: Duration = Duration::from_secs(5 * 60);

/// The limit that an answer of the PBX did not keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeLimit {
    /// `pbx.connect_timeout_ms`: a connection and its handshake.
    Connect,
    /// `pbx.answer_timeout_ms`: a whole JSON answer, or the head of a download.
    Answer,
    /// `pbx.first_byte_timeout_ms`: the first bytes of a download.
    FirstByte,
    /// `pbx.idle_timeout_ms`: the next bytes of a download.
    Idle,
    /// A list as a whole. It cannot be configured.
    List,
    /// A login with credentials that were accepted before. It cannot be configured.
    Login,
}

impl TimeLimit {
    fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Answer => "answer",
            Self::FirstByte => "first byte",
            Self::Idle => "idle",
            Self::List => "list",
            Self::Login => "10 s",
        }
    }
}

/// Why bytes did not move. The details are texts already freed of URLs, so the value can be shared
/// and logged.
#[derive(Debug, Clone, Error)]
pub(crate) enum TransportError {
    #[error("cannot connect: {0}")]
    Unreachable(String),
    #[error("TLS: {0}")]
    Tls(TlsError),
    #[error("no answer within the {} limit", .0.as_str())]
    Timeout(TimeLimit),
    #[error("the connection broke: {0}")]
    Broken(String),
    #[error("the answer is longer than any answer of this kind")]
    TooLong,
}

/// Why a recording, or a list, cannot be read from the PBX.
#[derive(Debug, Clone, Error)]
pub(crate) enum PbxError {
    #[error("{}: {source}", .operation.as_str())]
    Transport {
        operation: Operation,
        source: TransportError,
    },
    #[error("the PBX refused {}: {refusal}", .operation.as_str())]
    Refused {
        operation: Operation,
        refusal: Refusal,
    },
    #[error("the answer to {} cannot be read: {what}", .operation.as_str())]
    Unreadable {
        operation: Operation,
        what: &'static str,
    },
    #[error("the PBX answered {} with a redirect (status {status})", .operation.as_str())]
    Redirected { operation: Operation, status: u16 },
    #[error("the PBX answered {} with status {status}", .operation.as_str())]
    Status { operation: Operation, status: u16 },
    #[error("the PBX answered {} with a web page", .operation.as_str())]
    Page { operation: Operation },
    #[error("the PBX answered the download with nothing")]
    Empty,
    #[error("the PBX has the recording, and says that it has no bytes")]
    EmptyRecording,
    #[error("the PBX answered the download with something that is neither WAV nor MP3")]
    NotAudio,
    #[error("the ticket grew stale before it could be used")]
    TicketStale,
    #[error("no login for another {} s: {reason}", .retry_after.as_secs_f64().ceil())]
    HeldOff {
        retry_after: Duration,
        reason: HoldOff,
    },
    #[error("no login until the credentials change or SIGHUP: the PBX refused them twice")]
    LoginStopped,
    #[error("all downloads of this PBX are taken, and none ended in time")]
    Saturated,
    #[error("all lists of this PBX that may be read at once are, and none ended in time")]
    ListsSaturated,
    #[error("as many requests wait for this PBX as pbx.max_waiting allows")]
    Crowded,
    #[error("the PBX is reached over IPv6, and allowed_ip must be an IPv4 address")]
    NoOwnAddress,
    #[error("the recorded read is for another PBX")]
    OtherPbx,
    #[error("the recording of a young call is not there yet")]
    NotReady,
}

impl PbxError {
    /// The class of a refusal; `None` for every other error.
    pub(crate) fn refusal_class(&self) -> Option<RefusalClass> {
        match self {
            Self::Refused { refusal, .. } => Some(refusal.class),
            _ => None,
        }
    }

    /// "Not found" by errno, or by the status of a server that says it that way.
    pub(crate) fn is_not_found(&self) -> bool {
        let by_status = matches!(
            self,
            Self::Status {
                operation: Operation::Download,
                status: 404
            }
        );
        by_status || self.refusal_class() == Some(RefusalClass::NotFound)
    }

    /// The PBX says that there is no such recording, or none any more, or nothing in it.
    pub(crate) fn is_gone(&self) -> bool {
        self.is_not_found()
            || self.refusal_class() == Some(RefusalClass::Deleted)
            || matches!(self, Self::EmptyRecording)
    }

    /// The ticket refused by errno, or by the status of a server that says it that way.
    pub(crate) fn is_ticket_refused(&self) -> bool {
        let by_status = matches!(
            self,
            Self::Status {
                operation: Operation::Download | Operation::ListDownload,
                status: 401 | 403
            }
        );
        by_status || self.refusal_class() == Some(RefusalClass::TicketRefused)
    }

    /// Returns true if the request has waited for as long as it may.
    pub(crate) fn is_out_of_patience(&self) -> bool {
        match self {
            Self::Saturated => true,
            Self::HeldOff { reason, .. } => reason.passes_soon(),
            _ => false,
        }
    }

    /// The PBX has not finished with the recording, or with another one.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                operation: Operation::Ticket | Operation::Download,
                refusal
            } if refusal.class == RefusalClass::Busy
        )
    }

    /// A page, or a status that asks for credentials: on some PBXs the sign of a dead token.
    pub(crate) fn looks_logged_out(&self) -> bool {
        matches!(
            self,
            Self::Page { operation } | Self::Status {
                operation,
                status: 401 | 403
            } if operation.is_of_recordings()
        )
    }

    /// Returns true if the connection broke in the middle of things.
    pub(crate) fn is_broken_connection(&self) -> bool {
        matches!(
            self,
            Self::Transport {
                source: TransportError::Broken(_),
                ..
            }
        )
    }

    /// The advice for an operator.
    pub(crate) fn advice(&self) -> &'static str {
        self.row().advice
    }
}

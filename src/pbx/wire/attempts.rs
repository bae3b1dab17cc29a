//! The tries for one request: which failure is worth another one.
//!
//! Knows every way to fail. Does not know sockets or time. Pure.

use std::time::Duration;

use crate::pbx::dialect::{Operation, RefusalClass};
use crate::pbx::error::{PbxError, TransportError};

/// The limit on the tickets that one request may cost.
const MAX_TICKETS: u32 = 2;

/// The limit on tokens that may die under one request, where a new one costs no login: other
/// requests may have used them up.
const MAX_EXCHANGES: u32 = 5;

/// The way in which a token died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pbx) enum TokenDeath {
    /// The PBX says so, the token had worked before, and a new one costs no login, or is that of
    /// another instance, which may have ended with all others.
    WornOut,
    /// The token may not be at fault, or a new one costs a login.
    Other,
}

/// The tries for one request so far.
#[derive(Default)]
pub(in crate::pbx) struct Attempts {
    began: bool,
    /// The last try began on a connection that was kept from an earlier request.
    kept: bool,
    tickets: u32,
    reconnected: bool,
    renewals: u32,
    delayed: bool,
}

impl Attempts {
    /// Begins a try. Returns true if it is the first.
    pub(in crate::pbx) fn begin(&mut self) -> bool {
        first(&mut self.began)
    }

    /// Notes whether this try's connection was kept from an earlier request.
    pub(in crate::pbx) fn note_kept(&mut self, kept: bool) {
        self.kept = kept;
    }

    /// Counts a ticket that the PBX gave out.
    pub(in crate::pbx) fn count_ticket(&mut self) {
        self.tickets += 1;
    }

    /// Returns true if the PBX has given out a ticket.
    pub(in crate::pbx) fn had_ticket(&self) -> bool {
        self.tickets > 0
    }

    /// Counts a token that died. Returns true if another try is worth it.
    pub(in crate::pbx) fn after_dead_token(&mut self, death: TokenDeath) -> bool {
        self.renewals += 1;
        match death {
            TokenDeath::WornOut => self.renewals <= MAX_EXCHANGES,
            TokenDeath::Other => self.renewals <= 1 && self.tickets < MAX_TICKETS,
        }
    }

    /// The pause before another try; `None` if `error` is not worth one. Each cause is tried again
    /// once, and no ticket is taken beyond the limit.
    pub(in crate::pbx) fn next(&mut self, error: &PbxError, delay: Duration) -> Option<Duration> {
        if self.tickets >= MAX_TICKETS {
            return None;
        }
        match error {
            PbxError::Refused { operation, refusal } => match refusal.class {
                RefusalClass::Internal => first(&mut self.delayed).then_some(delay),
                // The recording may be gone, or the ticket: only a fresh one can tell.
                RefusalClass::TicketRefused | RefusalClass::NotFound | RefusalClass::Other => {
                    operation.spends_ticket().then_some(Duration::ZERO)
                }
                // A list holds no permit that others wait for.
                RefusalClass::Busy if *operation == Operation::ListPage => {
                    first(&mut self.delayed).then_some(delay)
                }
                // `after_dead_token` deals with a dead token, and longer pauses without a permit
                // with a busy PBX.
                RefusalClass::TokenDead
                | RefusalClass::Busy
                | RefusalClass::LoginRefused
                | RefusalClass::LockedOut
                | RefusalClass::TokenLimit
                | RefusalClass::PermissionMissing
                | RefusalClass::AddressForbidden
                | RefusalClass::ApiOff
                | RefusalClass::Name
                | RefusalClass::Deleted
                | RefusalClass::Unsupported
                | RefusalClass::Request => None,
            },
            // An overloaded embedded server answers 503, or refuses connections; a proxy in front
            // of a Cloud PBX answers 504.
            PbxError::Status {
                status: 503 | 504, ..
            }
            | PbxError::Transport {
                source: TransportError::Unreachable(_),
                ..
            } => first(&mut self.delayed).then_some(delay),
            // The PBX may be starting, or a proxy in front of it fails; no ticket is lost by asking
            // again.
            PbxError::Status {
                status: 500..,
                operation: Operation::Ticket | Operation::ListTicket | Operation::ListPage,
            }
            | PbxError::Page {
                operation: Operation::Ticket | Operation::ListTicket | Operation::ListPage,
            } => first(&mut self.delayed).then_some(delay),
            // A kept connection may have been closed or forgotten since; no ticket is lost by
            // asking again.
            PbxError::Transport {
                source: TransportError::Broken(_),
                operation: Operation::Ticket | Operation::ListTicket | Operation::ListPage,
            } => first(&mut self.reconnected).then_some(Duration::ZERO),
            PbxError::Transport {
                source: TransportError::Timeout(_),
                operation: Operation::Ticket | Operation::ListTicket | Operation::ListPage,
            } if self.kept => first(&mut self.reconnected).then_some(Duration::ZERO),
            PbxError::Transport {
                source: TransportError::Broken(_),
                operation: Operation::Download | Operation::ListDownload,
            }
            | PbxError::Status {
                operation: Operation::Download | Operation::ListDownload,
                ..
            }
            | PbxError::Page {
                operation: Operation::Download | Operation::ListDownload,
            }
            // A table may have been cut within its header.
            | PbxError::Unreadable {
                operation: Operation::ListDownload,
                ..
            }
            | PbxError::Empty
            | PbxError::NotAudio
            | PbxError::TicketStale => Some(Duration::ZERO),
            PbxError::Transport { .. }
            | PbxError::Unreadable { .. }
            | PbxError::Redirected { .. }
            | PbxError::Status { .. }
            | PbxError::Page { .. }
            | PbxError::HeldOff { .. }
            | PbxError::LoginStopped
            | PbxError::Saturated
            | PbxError::ListsSaturated
            | PbxError::Crowded
            | PbxError::NoOwnAddress
            | PbxError::OtherPbx
            | PbxError::EmptyRecording
            | PbxError::NotReady => None,
        }
    }
}

/// Sets `done`. Returns true if it was not set before.
fn first(done: &mut bool) -> bool {
    !std::mem::replace(done, true)
}

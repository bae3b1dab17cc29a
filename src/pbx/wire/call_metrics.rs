//! The words under which a call to a PBX is counted.
//!
//! Knows which calls are counted elsewhere: logins and downloads. Does not know when a call ends.

use crate::metrics::{Call, CallOutcome, PbxMetrics};
use crate::pbx::dialect::Operation;
use crate::pbx::error::PbxError;

/// Counts a call by the error in which it ended.
pub(in crate::pbx) fn count(metrics: &PbxMetrics, operation: Operation, error: Option<&PbxError>) {
    if let Some(call) = call_of(operation) {
        metrics.called(call, outcome_of(error));
    }
}

fn call_of(operation: Operation) -> Option<Call> {
    match operation {
        Operation::Refresh => Some(Call::Refresh),
        Operation::Prolong => Some(Call::Prolong),
        Operation::Logout => Some(Call::Logout),
        Operation::Ticket => Some(Call::Ticket),
        Operation::ListTicket | Operation::ListDownload | Operation::ListPage => Some(Call::List),
        Operation::Login | Operation::Download => None,
    }
}

fn outcome_of(error: Option<&PbxError>) -> CallOutcome {
    match error {
        None => CallOutcome::Done,
        Some(PbxError::Refused { .. }) => CallOutcome::Refused,
        Some(PbxError::Transport { .. }) => CallOutcome::Unanswered,
        Some(_) => CallOutcome::Unusable,
    }
}

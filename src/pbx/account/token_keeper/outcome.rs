//! The meaning of a failed login for the next one. Pure.
//!
//! Knows the ways in which a login fails. Does not know time.

use std::time::Duration;

use crate::pbx::account::login_history::LoginEnd;
use crate::pbx::dialect::RefusalClass;
use crate::pbx::error::{PbxError, TransportError};

/// The pauses without a login where all slots for tokens are taken: the first, and the longest. A
/// slot comes free when a token of another program ends, which takes up to 30 minutes.
const SLOTS_PAUSES: (Duration, Duration) =
    (Duration::from_secs(5 * 60), Duration::from_secs(30 * 60));

/// Judges a failed login by what it means for the next one.
pub(super) fn judge(error: &PbxError) -> LoginEnd {
    match error {
        PbxError::Refused { refusal, .. } => match refusal.class {
            RefusalClass::LoginRefused => LoginEnd::Refused,
            RefusalClass::LockedOut => LoginEnd::LockedOut,
            RefusalClass::Other | RefusalClass::Request | RefusalClass::PermissionMissing => {
                LoginEnd::Unanswered
            }
            _ => LoginEnd::Unjudged,
        },
        PbxError::Status {
            status: 401 | 403, ..
        } => LoginEnd::Refused,
        // No credential is sent before the connection is open and the peer is trusted.
        PbxError::Transport {
            source:
                TransportError::Unreachable(_)
                | TransportError::Tls(_)
                | TransportError::Timeout("connect"),
            ..
        } => LoginEnd::Unsent,
        // A web server whose API is not up yet.
        PbxError::Status {
            status: 404 | 500..,
            ..
        }
        | PbxError::Redirected { .. } => LoginEnd::Unjudged,
        PbxError::Page { .. } => LoginEnd::Page,
        // Any other answer may be a refusal in a form that is not known here.
        _ => LoginEnd::Unanswered,
    }
}

/// Returns true if a failed exchange means that the pair of tokens is of no use any more. Trouble
/// on the way, or at the PBX, says nothing about the pair.
pub(super) fn spoils_pair(error: &PbxError) -> bool {
    match error {
        PbxError::Transport { .. } | PbxError::Status { status: 500.., .. } => false,
        PbxError::Refused { refusal, .. } => !matches!(
            refusal.class,
            RefusalClass::Internal
                | RefusalClass::Busy
                | RefusalClass::AddressForbidden
                | RefusalClass::ApiOff
                | RefusalClass::LockedOut
                | RefusalClass::TokenLimit
        ),
        _ => true,
    }
}

/// The pause after this number of logins in a row that found all slots taken: twice as long each
/// time.
pub(super) fn slots_pause(times: u32) -> Duration {
    let (first, most) = SLOTS_PAUSES;
    let doubled = first.saturating_mul(2_u32.saturating_pow(times.saturating_sub(1)));
    doubled.min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_all_slots_are_taken_the_pauses_grow_to_half_an_hour() {
        let minutes = [1, 2, 3, 4, 40].map(|times| slots_pause(times).as_secs() / 60);
        assert_eq!(minutes, [5, 10, 20, 30, 30]);
    }
}

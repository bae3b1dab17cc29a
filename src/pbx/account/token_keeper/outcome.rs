//! The meaning of a failed login for the next one. Pure.
//!
//! Knows the ways in which a login fails. Does not know time.

use crate::pbx::account::login_history::LoginEnd;
use crate::pbx::dialect::RefusalClass;
use crate::pbx::error::{PbxError, TimeLimit, TransportError};

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
                | TransportError::Timeout(TimeLimit::Connect),
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

//! The state of the logins to a PBX, for an operator.
//!
//! Knows what holds logins off and until when, and how many were refused and how many got no
//! answer. Does not log in.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde::Serialize;

use super::login_history::LoginCounts;
use crate::pbx::error::PbxError;

/// The state of the next login to a PBX, and the counts of those so far.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct LoginReport {
    state: LoginState,
    /// The reason why logins are held off.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The time when the next login may be tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<&'static str>,
    /// The PBX has accepted these credentials, and not refused them since.
    accepted: bool,
    /// Logins refused in a row.
    refused: u32,
    /// Logins since the last acceptance that may have been judged, and whose answer is not known.
    unanswered: u32,
    /// Logins since the last acceptance that cannot have been judged.
    unjudged: u32,
    /// Logins of the last ten minutes that took the place of a token which another program had
    /// ended; at most 20.
    renewals: usize,
}

/// The state of the next login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum LoginState {
    Allowed,
    HeldOff,
    /// Until the credentials change or the operator says so.
    Stopped,
}

impl LoginReport {
    /// A report of the next login, which is `allowed` or not, and of those so far.
    pub(super) fn new(allowed: &Result<(), PbxError>, counts: LoginCounts) -> Self {
        let (state, reason, until) = match allowed {
            Ok(()) => (LoginState::Allowed, None, None),
            Err(PbxError::HeldOff {
                retry_after,
                reason,
            }) => (
                LoginState::HeldOff,
                Some(reason.to_string()),
                end_of(*retry_after),
            ),
            Err(error) => (LoginState::Stopped, Some(error.to_string()), None),
        };
        Self {
            state,
            reason,
            until,
            advice: allowed.as_ref().err().map(PbxError::advice),
            accepted: counts.accepted,
            refused: counts.refused,
            unanswered: counts.unanswered,
            unjudged: counts.unjudged,
            renewals: counts.renewals,
        }
    }

    /// A sentence on another program that ends our tokens, where there is one.
    pub(crate) fn rival(&self) -> Option<String> {
        (self.renewals > 0).then(|| {
            format!(
                "our token was ended at least {} times within ten minutes, as by another program that logs in with this account",
                self.renewals
            )
        })
    }
}

/// The second in which a pause is over.
pub(crate) fn end_of(left: Duration) -> Option<Timestamp> {
    let end = Timestamp::try_from(SystemTime::now() + left).ok()?;
    Timestamp::from_second(end.as_second().saturating_add(1)).ok()
}

//! How one PBX has been doing: by its last answer to a request, since nobody asks it without need.
//!
//! Knows whether the PBX or our account on it is at fault, and since when. Does not know what is done about it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::Serialize;
use tracing::{info, warn};

use super::dialect::RefusalClass;
use super::error::PbxError;

/// What the last request came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// Nothing was asked of it yet.
    Unknown,
    Well,
    Failing,
}

/// A PBX's health, as an operator sees it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    name: String,
    state: State,
    /// Since when it has been like that.
    since: Timestamp,
    /// What it did wrong last.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<&'static str>,
}

/// The health of one PBX.
pub(super) struct Health(Mutex<Report>);

impl Health {
    pub(super) fn new(name: &str) -> Self {
        Self(Mutex::new(Report {
            name: name.to_owned(),
            state: State::Unknown,
            since: Timestamp::now(),
            problem: None,
            advice: None,
        }))
    }

    pub(super) fn report(&self) -> Report {
        self.lock().clone()
    }

    /// Notes how a request ended. Only a change is logged: each failure has its own line.
    pub(super) fn note<T>(&self, result: &Result<T, PbxError>) {
        let error = match result {
            Ok(_) => None,
            Err(error) if is_to_blame(error) => Some(error),
            Err(_) => return,
        };
        let mut report = self.lock();
        let state = if error.is_some() {
            State::Failing
        } else {
            State::Well
        };
        if state != report.state {
            match (report.state, error) {
                (State::Failing, None) => info!(pbx = report.name, "the PBX is well again"),
                (_, Some(error)) => warn!(pbx = report.name, %error, "the PBX is failing"),
                _ => {}
            }
            report.state = state;
            report.since = Timestamp::now();
        }
        if error.is_some() || report.problem.is_some() {
            report.problem = error.map(ToString::to_string);
            report.advice = error.map(PbxError::advice);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Report> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the PBX, our account on it or the way to it is at fault, and not the name that was asked for or our own
/// limits.
fn is_to_blame(error: &PbxError) -> bool {
    match error {
        // Downloads may do without the permission to list, and the other way round.
        error if error.refusal_class() == Some(RefusalClass::PermissionMissing) => false,
        PbxError::Saturated | PbxError::ListsSaturated | PbxError::Crowded | PbxError::NotReady => {
            false
        }
        error if error.is_not_found() => false,
        error => !matches!(
            error.refusal_class(),
            Some(RefusalClass::Deleted | RefusalClass::Name | RefusalClass::Busy)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::dialect::{Operation, Refusal};
    use super::*;

    #[test]
    fn a_missing_permission_says_nothing_of_the_rest() {
        let health = Health::new("office");
        let refusal = Refusal {
            class: RefusalClass::PermissionMissing,
            code: "10005".to_owned(),
        };
        let operation = Operation::ListPage;
        health.note::<()>(&Err(PbxError::Refused { operation, refusal }));
        assert_eq!(health.report().state, State::Unknown);
    }

    #[test]
    fn only_what_the_pbx_does_wrong_makes_it_fail() {
        let health = Health::new("office");
        let state = || health.report().state;
        assert_eq!(state(), State::Unknown);
        health.note::<()>(&Err(PbxError::NotReady));
        assert_eq!(state(), State::Unknown);
        health.note(&Ok(()));
        health.note::<()>(&Err(PbxError::Saturated));
        assert_eq!(state(), State::Well);
        health.note::<()>(&Err(PbxError::NotAudio));
        assert_eq!(state(), State::Failing);
        assert!(
            health
                .report()
                .problem
                .is_some_and(|text| text.contains("WAV"))
        );
        health.note::<()>(&Err(PbxError::Crowded));
        assert_eq!(state(), State::Failing);
        health.note(&Ok(()));
        let report = health.report();
        assert_eq!((report.state, report.problem), (State::Well, None));
    }
}

//! The health of one PBX, by its last answer to a request: the gateway never asks it just to see.
//!
//! Knows whether the PBX or our account on it is at fault, and since when. Does not know the
//! remedy.

use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::Serialize;
use tracing::{info, warn};

use super::account::login_report::LoginReport;
use super::dialect::RefusalClass;
use super::error::PbxError;

/// The outcome of the last request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum HealthState {
    /// There has been no request yet.
    Unknown,
    Well,
    Failing,
}

/// The health of one kind of request.
#[derive(Debug, Clone, Serialize)]
struct RequestHealth {
    state: HealthState,
    /// The time of the last change.
    since: Timestamp,
    /// The last failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<&'static str>,
}

/// A PBX's health, as an operator sees it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct HealthReport {
    #[serde(flatten)]
    tracks: HealthByRequest,
    logins: LoginReport,
}

/// The health of each kind of request. Downloads and lists are apart: the account may have the
/// permission for one of them only.
#[derive(Debug, Clone, Serialize)]
struct HealthByRequest {
    name: String,
    downloads: RequestHealth,
    lists: RequestHealth,
}

/// The health of one PBX.
pub(in crate::pbx) struct Health(Mutex<HealthByRequest>);

impl Health {
    pub(in crate::pbx) fn new(name: &str) -> Self {
        Self(Mutex::new(HealthByRequest {
            name: name.to_owned(),
            downloads: RequestHealth::new(),
            lists: RequestHealth::new(),
        }))
    }

    pub(in crate::pbx) fn report(&self, logins: LoginReport) -> HealthReport {
        let tracks = self.lock().clone();
        HealthReport { tracks, logins }
    }

    /// The kinds of requests that were made, and whether the last one of each kind failed.
    pub(in crate::pbx) fn failing(&self) -> Vec<(&'static str, bool)> {
        let tracks = self.lock();
        let kinds = [
            ("downloads", tracks.downloads.state),
            ("lists", tracks.lists.state),
        ];
        let known = kinds
            .into_iter()
            .filter(|(_, state)| *state != HealthState::Unknown);
        known
            .map(|(kind, state)| (kind, state == HealthState::Failing))
            .collect()
    }

    /// Notes how a download began.
    pub(in crate::pbx) fn note<T>(&self, result: &Result<T, PbxError>) {
        let tracks = &mut *self.lock();
        tracks.downloads.note(result, &tracks.name, "downloads");
    }

    /// Notes how a list went.
    pub(in crate::pbx) fn note_list<T>(&self, result: &Result<T, PbxError>) {
        let tracks = &mut *self.lock();
        tracks.lists.note(result, &tracks.name, "lists");
    }

    fn lock(&self) -> MutexGuard<'_, HealthByRequest> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RequestHealth {
    fn new() -> Self {
        Self {
            state: HealthState::Unknown,
            since: Timestamp::now(),
            problem: None,
            advice: None,
        }
    }

    /// Notes a result, and logs a change only: each failure has a line of its own.
    fn note<T>(&mut self, result: &Result<T, PbxError>, pbx: &str, what: &'static str) {
        let error = match result {
            Ok(_) => None,
            Err(error) if is_to_blame(error) => Some(error),
            Err(_) => return,
        };
        let state = error.map_or(HealthState::Well, |_| HealthState::Failing);
        if state != self.state {
            match (self.state, error) {
                (HealthState::Failing, None) => info!(pbx, what, "the PBX is well again"),
                (_, Some(error)) => warn!(pbx, what, %error, "the PBX is failing"),
                _ => {}
            }
            self.state = state;
            self.since = Timestamp::now();
        }
        if error.is_some() || self.problem.is_some() {
            self.problem = error.map(ToString::to_string);
            self.advice = error.map(PbxError::advice);
        }
    }
}

/// Returns true if the PBX, our account on it or the way to it is at fault, and not the name that
/// was asked for or our own limits.
fn is_to_blame(error: &PbxError) -> bool {
    match error {
        PbxError::Saturated
        | PbxError::ListsSaturated
        | PbxError::Crowded
        | PbxError::EmptyRecording
        | PbxError::NotReady => false,
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
    fn lists_that_fail_say_nothing_of_downloads() {
        let health = Health::new("office");
        health.note(&Ok(()));
        let refusal = Refusal {
            class: RefusalClass::PermissionMissing,
            code: "10005".to_owned(),
        };
        let operation = Operation::ListPage;
        health.note_list::<()>(&Err(PbxError::Refused { operation, refusal }));
        let report = health.lock().clone();
        assert_eq!(report.downloads.state, HealthState::Well);
        assert_eq!(report.lists.state, HealthState::Failing);
        assert!(
            report
                .lists
                .advice
                .is_some_and(|advice| advice.contains("Query"))
        );
    }

    #[test]
    fn only_faults_of_the_pbx_make_it_fail() {
        let health = Health::new("office");
        let state = || health.lock().clone().downloads.state;
        assert_eq!(state(), HealthState::Unknown);
        health.note::<()>(&Err(PbxError::NotReady));
        assert_eq!(state(), HealthState::Unknown);
        health.note(&Ok(()));
        health.note::<()>(&Err(PbxError::Saturated));
        health.note::<()>(&Err(PbxError::EmptyRecording));
        assert_eq!(state(), HealthState::Well);
        health.note::<()>(&Err(PbxError::NotAudio));
        assert_eq!(state(), HealthState::Failing);
        assert!(
            health
                .lock()
                .downloads
                .problem
                .as_ref()
                .is_some_and(|text| text.contains("WAV"))
        );
        health.note::<()>(&Err(PbxError::Crowded));
        assert_eq!(state(), HealthState::Failing);
        health.note(&Ok(()));
        let downloads = health.lock().clone().downloads;
        assert_eq!(
            (downloads.state, downloads.problem),
            (HealthState::Well, None)
        );
    }
}

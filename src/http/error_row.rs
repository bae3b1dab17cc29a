//! The row of an error in the table of answers: problem, retry, concern, advice.
//!
//! Knows the columns. Does not know which error has which row: a `match` for each error
//! enum lists them without a wildcard, so that a new variant needs exactly one row.

use std::time::Duration;

use super::problem::Problem;

/// The pause before a retry if a permit or a file may be free again at once.
pub(crate) const SOON: Duration = Duration::from_secs(2);
/// The pause before a retry if the PBX needs time.
pub(crate) const LATER: Duration = Duration::from_secs(30);

/// One row.
#[derive(Debug)]
pub(crate) struct ErrorRow {
    /// The slug and the status of the answer.
    pub(crate) problem: &'static Problem,
    /// The pause after which a retry may succeed; `None` if a retry changes nothing.
    pub(crate) retry_after: Option<Duration>,
    pub(crate) concern: Concern,
    /// The remedy for an operator; empty if the error concerns the caller alone.
    pub(crate) advice: &'static str,
    /// The detail that the caller needs to mend the request; `None` if the problem says enough. It
    /// repeats nothing that the caller sent, except the name of an unknown member.
    pub(crate) reason: Option<String>,
}

/// The person whom an error concerns. It decides where and at which level the error is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Concern {
    /// The caller can mend it: only the access log has the reason.
    Caller,
    /// Nobody has to act: a log line at level info.
    Nobody,
    /// The operator has to act if it continues: a log line at level warn.
    Operator,
    /// The operator has to act now: a log line at level error.
    OperatorNow,
}

impl ErrorRow {
    /// A row for an error of the caller.
    pub(crate) fn caller(problem: &'static Problem) -> Self {
        Self::new(problem, Concern::Caller, "")
    }

    /// A row for an error on which nobody has to act.
    pub(crate) fn nobody(problem: &'static Problem, advice: &'static str) -> Self {
        Self::new(problem, Concern::Nobody, advice)
    }

    /// A row for an error on which the operator has to act if it continues.
    pub(crate) fn operator(problem: &'static Problem, advice: &'static str) -> Self {
        Self::new(problem, Concern::Operator, advice)
    }

    /// A row for an error on which the operator has to act now.
    pub(crate) fn operator_now(problem: &'static Problem, advice: &'static str) -> Self {
        Self::new(problem, Concern::OperatorNow, advice)
    }

    fn new(problem: &'static Problem, concern: Concern, advice: &'static str) -> Self {
        Self {
            problem,
            retry_after: None,
            concern,
            advice,
            reason: None,
        }
    }

    /// The same row with a pause after which a retry may succeed.
    pub(crate) fn retry(self, after: Duration) -> Self {
        Self {
            retry_after: Some(after),
            ..self
        }
    }

    /// The same row with a detail for the caller.
    pub(crate) fn explain(self, reason: String) -> Self {
        Self {
            reason: Some(reason),
            ..self
        }
    }

    /// The same answer as an error of the caller: no log line for an operator.
    pub(crate) fn for_caller(self) -> Self {
        Self {
            concern: Concern::Caller,
            advice: "",
            ..self
        }
    }

    /// The same row with other advice.
    pub(crate) fn advise(self, advice: &'static str) -> Self {
        Self { advice, ..self }
    }
}

//! An answer of the PBX, read: a value, or the error that says where the fault lies.
//!
//! Knows HTTP's status, and lets a dialect read the body. Pure.

use crate::pbx::content::sniff::{self, Beginning};
use crate::pbx::dialect::{AnswerError, Operation};
use crate::pbx::error::PbxError;
use crate::pbx::wire::transport::JsonAnswer;

/// Reads an answer to a JSON call. HTTP's status is of little use: this API answers errors with
/// 200, and a proxy in front of it answers with a page and another status.
pub(in crate::pbx) fn read_answer<T>(
    operation: Operation,
    answer: JsonAnswer,
    read: impl FnOnce(&[u8]) -> Result<T, AnswerError>,
) -> Result<T, PbxError> {
    if answer.status.is_redirection() {
        return Err(PbxError::Redirected {
            operation,
            status: answer.status.as_u16(),
        });
    }
    match read(&answer.body) {
        Err(AnswerError::Unreadable(_)) if !answer.status.is_success() => Err(PbxError::Status {
            operation,
            status: answer.status.as_u16(),
        }),
        Err(AnswerError::Unreadable(what)) => Err(match answer.broken {
            Some(source) => PbxError::Transport { operation, source },
            None if sniff::sniff(&answer.body) == Beginning::Page => PbxError::Page { operation },
            None => PbxError::Unreadable { operation, what },
        }),
        Err(error) => Err(answer_error(operation, error)),
        Ok(value) => Ok(value),
    }
}

pub(in crate::pbx) fn answer_error(operation: Operation, error: AnswerError) -> PbxError {
    match error {
        AnswerError::Refused(refusal) => PbxError::Refused { operation, refusal },
        AnswerError::Unreadable(what) => PbxError::Unreadable { operation, what },
    }
}

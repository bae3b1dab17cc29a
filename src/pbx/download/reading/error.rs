//! The ways in which a reading fails.
//!
//! Knows that a recording broke off, cannot be asked for again, or is another one. Does not know
//! who hears of it.

use thiserror::Error;

use crate::pbx::error::PbxError;
use crate::pbx::wire::body_end::StreamError;

/// Why a reading ended before its end.
#[derive(Debug, Clone, Error)]
pub(crate) enum ReadingError {
    /// The last connection broke off, and there is no further try.
    #[error("{0}")]
    Broken(#[from] StreamError),
    /// The recording cannot be asked for again.
    #[error("it broke off, and could not be asked for again: {0}")]
    NotAgain(#[source] PbxError),
    /// The bytes that come now are not those that came before.
    #[error("the PBX now gives out another content under this name")]
    Differs,
}

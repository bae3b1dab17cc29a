//! Why an entry has no more bytes to give.
//!
//! Knows the reasons. Does not know what they mean to a caller.

use thiserror::Error;

use crate::pbx::{PbxError, ReadingError};

/// Why an entry has no more bytes to give.
#[derive(Debug, Clone, Error)]
pub(crate) enum CacheError {
    /// The recording could not be had.
    #[error(transparent)]
    NotOpened(#[from] PbxError),
    /// It broke off.
    #[error(transparent)]
    Broken(#[from] ReadingError),
    /// There is no block for it, not even one.
    #[error("no memory came free for the recording")]
    NoRoom,
    /// The entry was ended from outside.
    #[error("{}", .0.as_str())]
    Ended(Ended),
}

/// Why an entry was ended from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Nobody reads it any more, and it has been kept long enough.
    Idle,
    /// Its memory was needed.
    Room,
    /// It was too old.
    Age,
    /// Somebody said so.
    Deleted,
    /// Its PBX is configured anew.
    Reload,
    /// Its last reader left before there was anything worth keeping.
    Deserted,
}

impl Ended {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "the recording was no longer kept",
            Self::Room => "the memory of the recording was needed",
            Self::Age => "the recording had been kept for cache.max_age_s",
            Self::Deleted => "the recording was deleted",
            Self::Reload => "the PBX was configured anew",
            Self::Deserted => "nobody was left to read the recording",
        }
    }
}

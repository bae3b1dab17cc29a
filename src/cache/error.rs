//! Why an entry has no more bytes to give.
//!
//! Knows the reasons. Does not know which answer a caller gets.

use thiserror::Error;

use crate::pbx::{PbxError, ReadingError};

/// Why an entry has no more bytes to give.
#[derive(Debug, Clone, Error)]
pub(crate) enum CacheError {
    /// The PBX did not give the recording out.
    #[error(transparent)]
    NotOpened(#[from] PbxError),
    /// The recording broke off, and could not be mended.
    #[error(transparent)]
    Broken(#[from] ReadingError),
    /// Not even one block of memory is free for the recording.
    #[error("no memory came free for the recording")]
    NoRoom,
    /// The entry was ended before it was whole.
    #[error("{}", .0.as_str())]
    Ended(EndReason),
}

/// Why an entry was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndReason {
    /// It had no reader for `cache.keep_s`.
    Idle,
    /// Another recording needed its memory.
    Room,
    /// It was kept for `cache.max_age_s`.
    Age,
    /// The operator deleted it.
    Deleted,
    /// A reload changed or removed its PBX.
    Reload,
    /// Its last reader left before there was anything worth keeping.
    Deserted,
}

impl EndReason {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "the recording was no longer kept in memory",
            Self::Room => "the memory of the recording was needed",
            Self::Age => "the recording had been kept for cache.max_age_s",
            Self::Deleted => "the recording was deleted",
            Self::Reload => "a reload changed the PBX",
            Self::Deserted => "the last reader of the recording left",
        }
    }
}

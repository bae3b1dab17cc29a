//! The limits of recordings in memory, and of requests for a part of one.

use std::time::Duration;

/// Recordings in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheSettings {
    /// Bytes of all recordings together; 0 keeps none.
    pub max_bytes: u64,
    /// Bytes of one recording; a longer one is forgotten behind its readers.
    pub max_recording_bytes: u64,
    /// How long a recording is read on when nobody listens any more.
    pub linger: Duration,
    /// How long it is kept after its last listener has gone.
    pub keep: Duration,
    /// How long it is kept at most.
    pub max_age: Duration,
    /// How long its length, type and `ETag` are remembered.
    pub remember: Duration,
    /// How long it is remembered that a recording is missing.
    pub remember_missing: Duration,
}

/// Requests for a part of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeSettings {
    /// How long a range waits for the end of a recording whose length the PBX does not tell.
    pub wait: Duration,
}

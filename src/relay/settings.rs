//! The limits on streams.

use std::time::Duration;

use crate::http::headers::BrowserCache;

/// The limits on streams.
#[derive(Debug, Clone)]
pub struct RelaySettings {
    /// Recordings and lists that are answered at once, including those that wait for the PBX.
    pub max_streams: usize,
    /// The same for one principal.
    pub max_streams_per_principal: usize,
    /// Recordings that are read from PBXs per minute for one principal.
    pub max_reads_per_minute: usize,
    /// The time after which a caller that takes nothing is disconnected.
    pub idle_timeout: Duration,
    /// The longest time that one answer may take.
    pub max_stream: Duration,
    /// True if browsers may keep recordings.
    pub browser_cache: BrowserCache,
}

//! Limits of the streams, typed and checked.

use std::time::Duration;

use crate::http::headers::BrowserCache;

/// Limits of the streams.
#[derive(Debug, Clone)]
pub struct RelaySettings {
    /// Recordings being answered at once, waiting ones included.
    pub max_streams: usize,
    /// How many of them one principal may have.
    pub max_streams_per_principal: usize,
    /// Recordings that one principal may have read from PBXs anew, per minute.
    pub max_reads_per_minute: usize,
    /// How long a caller may take nothing before it is cut.
    pub idle_timeout: Duration,
    /// How long one answer may take in all.
    pub max_stream: Duration,
    /// Whether browsers may keep recordings.
    pub browser_cache: BrowserCache,
}

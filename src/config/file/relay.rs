//! `[relay]`: limits of the streams, and what browsers keep of them.

use std::time::Duration;

use crate::config::kinds::*;
use crate::config::rows::rows;
use crate::config::section::Section;
use crate::http::headers::BrowserCache;
use crate::relay::settings::RelaySettings;

rows! {
    /// Limits of the streams.
    mod keys = "[relay]";

    /// Recordings that may be answered at once, those that wait included; further requests get 503.
    max_streams: Number<usize> = count(1..=1_000_000, 1_000);

    /// How many of them one principal may have; its further requests get 429. A principal is an
    /// issuer and a subject of it (iss and sub), or a link key and the sub of its links.
    max_streams_per_principal: Number<usize> = count(1..=1_000_000, 256);

    /// How many recordings may be read anew from PBXs per minute for one principal; HEAD and the
    /// probes of a player count as well. So many at once after a quiet minute, and so many per
    /// minute in the long run. Further requests get 429 with the time to wait.
    max_reads_per_minute: Number<usize> = count(1..=1_000_000, 600);

    /// How long a caller may take no bytes before it is cut. A paused player takes none.
    idle_timeout_ms: Number<Duration> = milliseconds(50..=DAY_MS, 30_000);

    /// How long one answer may take in all. Then it breaks off, and the caller can go on with a new
    /// range.
    max_stream_s: Number<Duration> = seconds(1..=DAY_S, 14_400);

    /// Whether browsers keep what they played. revalidated: they keep it on disk, and ask before
    /// each use; so rights are checked each time, and an unchanged recording is not sent again. A
    /// cache that several people share may never keep any.
    browser_cache: OneOf<BrowserCache> = one_of(&BrowserCache::NAMES, BrowserCache::Never);
}

pub(super) fn read_relay(section: &mut Section<'_>) -> RelaySettings {
    RelaySettings {
        max_streams: keys::max_streams.get(section),
        max_streams_per_principal: keys::max_streams_per_principal.get(section),
        max_reads_per_minute: keys::max_reads_per_minute.get(section),
        idle_timeout: keys::idle_timeout_ms.get(section),
        max_stream: keys::max_stream_s.get(section),
        browser_cache: keys::browser_cache.get(section),
    }
}

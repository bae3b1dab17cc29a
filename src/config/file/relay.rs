//! `[relay]`: limits of the streams, and what browsers keep of them.

use super::DAY_MS;
use crate::config::section::Section;
use crate::http::headers::BrowserCache;
use crate::relay::settings::RelaySettings;

pub(super) fn read_relay(section: &mut Section<'_>) -> RelaySettings {
    let default = RelaySettings::default();
    RelaySettings {
        max_streams: section.size("max_streams", 1..=1_000_000, default.max_streams),
        max_streams_per_principal: section.size(
            "max_streams_per_principal",
            1..=1_000_000,
            default.max_streams_per_principal,
        ),
        max_reads_per_minute: section.size(
            "max_reads_per_minute",
            1..=1_000_000,
            default.max_reads_per_minute,
        ),
        idle_timeout: section.milliseconds("idle_timeout_ms", 50..=DAY_MS, default.idle_timeout),
        max_stream: section.seconds("max_stream_s", 1..=DAY_MS / 1000, default.max_stream),
        browser_cache: section.choice("browser_cache", &BrowserCache::NAMES, default.browser_cache),
    }
}

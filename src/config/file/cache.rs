//! `[cache]` and `[range]`: what is kept of recordings, and how long a part of one may be waited for.

use std::ops::RangeInclusive;

use crate::cache::settings::{CacheSettings, RangeSettings};
use crate::config::section::Section;

const MAX_BYTES: RangeInclusive<u64> = 1 << 20..=1 << 40;

pub(super) fn read_cache(section: &mut Section<'_>) -> CacheSettings {
    let default = CacheSettings::default();
    let max_bytes = read_max_bytes(section, default.max_bytes);
    CacheSettings {
        max_bytes,
        max_recording_bytes: read_max_recording_bytes(
            section,
            max_bytes,
            default.max_recording_bytes,
        ),
        linger: section.milliseconds("linger_ms", 0..=600_000, default.linger),
        keep: section.seconds("keep_s", 0..=86_400, default.keep),
        max_age: section.seconds("max_age_s", 1..=86_400, default.max_age),
        remember: section.seconds("remember_s", 0..=604_800, default.remember),
        remember_missing: section.milliseconds(
            "remember_missing_ms",
            0..=10_000,
            default.remember_missing,
        ),
    }
}

fn read_max_bytes(section: &mut Section<'_>, default: u64) -> u64 {
    let max = section.integer("max_bytes", 0..=*MAX_BYTES.end());
    let max = max.unwrap_or(default);
    if max != 0 && !MAX_BYTES.contains(&max) {
        section.problem(
            "max_bytes",
            format!(
                "neither 0, which turns the cache off, nor from {} up",
                MAX_BYTES.start()
            ),
        );
    }
    max
}

/// Bytes of one recording, within those of all.
fn read_max_recording_bytes(section: &mut Section<'_>, all: u64, default: u64) -> u64 {
    let all = if all == 0 { *MAX_BYTES.end() } else { all };
    let given = section.integer("max_recording_bytes", 65_536..=*MAX_BYTES.end());
    if given.is_some_and(|given| given > all) {
        section.problem("max_recording_bytes", "more than max_bytes");
    }
    given.unwrap_or(default.min(all))
}

pub(super) fn read_range(section: &mut Section<'_>) -> RangeSettings {
    RangeSettings {
        wait: section.milliseconds("wait_ms", 0..=60_000, RangeSettings::default().wait),
    }
}

//! `[cache]` and `[range]`: recordings in memory, and how long a part of one may be waited for.

use std::time::Duration;

use crate::cache::settings::{CacheSettings, RangeSettings};
use crate::config::kinds::*;
use crate::config::rows::{DefaultedKind, rows};
use crate::config::section::Section;

/// The least memory that is worth a cache.
const MIN_BYTES: u64 = 1 << 20;
const MAX_BYTES: u64 = 1 << 40;

rows! {
    /// Recordings in memory. A recording is read once from the PBX for all who ask for it, and for
    /// every part of it. Nothing is written to disk.
    mod keys = "[cache]";

    /// Memory for all recordings together: 0, or from 1048576 up. 0 keeps none: every request and
    /// every jump reads from the PBX again. The recordings of one caller take at most a quarter. If
    /// this is more than the machine has, the system may end the gateway.
    max_bytes: Number<u64> = bytes(0..=MAX_BYTES, 256 << 20);

    /// Memory for one recording, at most max_bytes. The start of a longer recording is forgotten
    /// while it is played; to go back there reads from the PBX again. If max_bytes is less than the
    /// default, max_bytes is the default.
    max_recording_bytes: Number<u64> = bytes(65_536..=MAX_BYTES, 64 << 20);

    /// How long a recording is read on after the last listener has gone, since a player that jumps
    /// comes back. A longer time keeps the PBX busy for nobody.
    linger_ms: Number<Duration> = milliseconds(0..=600_000, 10_000);

    /// How long a recording stays after it is read and its last listener has gone. A shorter time
    /// reads more from the PBX.
    keep_s: Number<Duration> = seconds(0..=DAY_S, 600);

    /// How long a recording stays in any case. A recording that was deleted on the PBX may play for
    /// so long.
    max_age_s: Number<Duration> = seconds(1..=DAY_S, 3_600);

    /// How long length, type and ETag of a recording are remembered, so that HEAD need not ask the
    /// PBX. HEAD may describe a recording that was deleted there for so long.
    remember_s: Number<Duration> = seconds(0..=7 * DAY_S, 14_400);

    /// How long it is remembered that a recording is missing or empty, so that a page that asks
    /// again and again does not reach the PBX. A recording that has just appeared is missing for so
    /// long.
    remember_missing_ms: Number<Duration> = milliseconds(0..=10_000, 3_000);
}

rows! {
    /// Requests for a part of a recording.
    mod range_keys = "[range]";

    /// How long such a request waits for the end of a recording whose length the PBX does not tell.
    /// After that the answer does not tell the length either, and some players cannot jump.
    wait_ms: Number<Duration> = milliseconds(0..=60_000, 2_000);
}

pub(super) fn read_cache(section: &mut Section<'_>) -> CacheSettings {
    let max_bytes = read_max_bytes(section);
    CacheSettings {
        max_bytes,
        max_recording_bytes: read_max_recording_bytes(section, max_bytes),
        linger: keys::linger_ms.get(section),
        keep: keys::keep_s.get(section),
        max_age: keys::max_age_s.get(section),
        remember: keys::remember_s.get(section),
        remember_missing: keys::remember_missing_ms.get(section),
    }
}

fn read_max_bytes(section: &mut Section<'_>) -> u64 {
    let max = keys::max_bytes.get(section);
    if (1..MIN_BYTES).contains(&max) {
        section.problem(
            keys::max_bytes.name,
            format!("neither 0, which turns the cache off, nor from {MIN_BYTES} up"),
        );
    }
    max
}

/// Bytes of one recording, within those of all.
fn read_max_recording_bytes(section: &mut Section<'_>, all: u64) -> u64 {
    let all = if all == 0 { MAX_BYTES } else { all };
    let given = keys::max_recording_bytes.given(section);
    if given.is_some_and(|given| given > all) {
        section.problem(keys::max_recording_bytes.name, "more than max_bytes");
    }
    let default = keys::max_recording_bytes.kind.default();
    given.unwrap_or(default.min(all))
}

pub(super) fn read_range(section: &mut Section<'_>) -> RangeSettings {
    RangeSettings {
        wait: range_keys::wait_ms.get(section),
    }
}

//! The speeds of one transfer: that at which its caller takes the bytes, and that of their source.
//!
//! Knows periods in which there was something to take, and the least bytes that count in each. Does
//! not know who waits for the caller. Pure.

use std::time::{Duration, Instant};

/// The speed at which the caller takes the bytes that are there.
pub(super) struct DownstreamSpeed {
    since: Instant,
    bytes: u64,
    /// The time in which there was nothing to take.
    pub(super) waited: Duration,
}

impl DownstreamSpeed {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            since: now,
            bytes: 0,
            waited: Duration::ZERO,
        }
    }

    /// Measures once for every `period` in which there was something to take. Returns true if the
    /// caller took less than `least` bytes per second in it.
    pub(super) fn measure(
        &mut self,
        now: Instant,
        period: Duration,
        bytes: u64,
        least: Option<u64>,
    ) -> bool {
        let elapsed = now.saturating_duration_since(self.since);
        let elapsed = elapsed.saturating_sub(self.waited);
        if elapsed < period {
            return false;
        }
        let taken = bytes - self.bytes;
        *self = Self {
            bytes,
            ..Self::new(now)
        };
        let wanted = |least: u64| u128::from(least) * elapsed.as_millis() / 1000;
        least.is_some_and(|least| u128::from(taken) < wanted(least))
    }
}

/// The speed at which bytes come from the source, as far as the caller takes them.
pub(super) struct SourceSpeed {
    since: Instant,
    bytes: u64,
    is_fast: bool,
}

impl SourceSpeed {
    /// The bytes over which the speed is measured, and the time within which a fast source brings
    /// them: 64 MB/s.
    const MEASURED_BYTES: u64 = 256 * 1024;
    const FAST: Duration = Duration::from_millis(4);

    pub(super) fn new(now: Instant) -> Self {
        Self {
            since: now,
            bytes: 0,
            is_fast: false,
        }
    }

    pub(super) fn note(&mut self, now: Instant, bytes: u64) {
        self.bytes += bytes;
        if self.bytes >= Self::MEASURED_BYTES {
            *self = Self {
                is_fast: now.saturating_duration_since(self.since) < Self::FAST,
                ..Self::new(now)
            };
        }
    }

    /// Whether the last measured bytes came fast.
    pub(super) fn is_fast(&self) -> bool {
        self.is_fast
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_secs(2);
    const LEAST: u64 = 1_000;

    /// Measures at each of `looks`: a time in ms, and the bytes that the caller has taken by then.
    #[track_caller]
    fn check(least: Option<u64>, waited_ms: u64, looks: &[(u64, u64)], expected: &[bool]) {
        let begun = Instant::now();
        let mut speed = DownstreamSpeed::new(begun);
        speed.waited = Duration::from_millis(waited_ms);
        let too_slow: Vec<bool> = looks
            .iter()
            .map(|(at, bytes)| {
                let now = begun + Duration::from_millis(*at);
                speed.measure(now, PERIOD, *bytes, least)
            })
            .collect();
        assert_eq!(too_slow, expected);
    }

    #[test]
    fn less_than_the_least_over_a_period_is_too_slow() {
        check(Some(LEAST), 0, &[(2_000, 1_999)], &[true]);
        check(Some(LEAST), 0, &[(2_000, 2_000)], &[false]);
        check(Some(LEAST), 0, &[(2_500, 2_499)], &[true]);
        check(Some(LEAST), 0, &[(2_500, 2_500)], &[false]);
        check(Some(LEAST), 0, &[(2_000, 0)], &[true]);
    }

    #[test]
    fn within_a_period_no_caller_is_too_slow() {
        check(Some(LEAST), 0, &[(0, 0), (1_999, 0)], &[false, false]);
    }

    #[test]
    fn each_period_counts_for_itself() {
        let looks = [(2_000, 100_000), (3_000, 100_000), (4_000, 101_999)];
        check(Some(LEAST), 0, &looks, &[false, false, true]);
        // The bytes of the period before neither help nor harm.
        let looks = [(2_000, 0), (4_000, 2_000), (6_000, 3_999)];
        check(Some(LEAST), 0, &looks, &[true, false, true]);
    }

    #[test]
    fn time_without_anything_to_take_does_not_count() {
        check(Some(LEAST), 1_500, &[(3_499, 0)], &[false]);
        check(Some(LEAST), 1_500, &[(3_500, 1_999)], &[true]);
        check(Some(LEAST), 1_500, &[(3_500, 2_000)], &[false]);
        // The next period starts without it.
        let looks = [(3_500, 2_000), (5_500, 3_999)];
        check(Some(LEAST), 1_500, &looks, &[false, true]);
    }

    #[test]
    fn while_no_one_waits_every_caller_is_fast_enough() {
        check(None, 0, &[(2_000, 0), (4_000, 0)], &[false, false]);
    }

    #[test]
    fn a_long_time_and_a_high_rate_do_not_overflow() {
        let year = 365 * 24 * 3_600 * 1_000;
        check(Some(u64::MAX), 0, &[(year, u64::MAX)], &[true]);
    }

    #[test]
    fn a_source_is_fast_as_long_as_it_brings_many_bytes_in_a_short_time() {
        let begun = Instant::now();
        let mut speed = SourceSpeed::new(begun);
        let mut check = |at_us: u64, bytes: u64, expected: bool| {
            speed.note(begun + Duration::from_micros(at_us), bytes);
            assert_eq!(speed.is_fast(), expected, "at {at_us} us");
        };
        check(1_000, 200_000, false);
        check(3_900, 100_000, true);
        check(100_000, 200_000, true);
        check(100_000, 100_000, false);
        check(101_000, 1_000_000, true);
    }
}

//! Keyed rate limiter (GCRA, the generic cell rate algorithm) with a bounded number of keys.
//!
//! Knows how much each key has used lately. Does not know what is counted, or who has which key.

use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use governor::clock::Clock;
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota};

/// The number of keys below which none is swept, and the number of counts between two sweeps.
const SWEEP_AFTER: usize = 1_024;
/// The largest number of keys. Beyond it, all new keys share one rate.
const MAX_KEYS: usize = 65_536;

/// A value that was counted under a rate limit, or for which no limit is configured. A stage that
/// takes one cannot be reached without the count.
#[derive(Debug)]
pub struct Counted<T>(T);

impl<T> Counted<T> {
    /// A value that did not come over the network, for tests and benches.
    pub fn unlimited(value: T) -> Self {
        Self(value)
    }

    /// A value that has just been counted.
    pub(super) fn new(value: T) -> Self {
        Self(value)
    }

    /// Returns the value.
    pub(crate) fn into_inner(self) -> T {
        self.0
    }
}

impl<T> std::ops::Deref for Counted<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// Counts `value` for `key` under `limit`. Without a limit, it always succeeds.
///
/// # Errors
/// The time to wait, if the limit is reached. The value is not counted then.
pub(crate) fn count<K: Hash + Eq + Clone, T>(
    limit: Option<&RateLimit<K>>,
    key: &K,
    value: T,
) -> Result<Counted<T>, Duration> {
    limit.map_or(Ok(()), |limit| limit.check(key))?;
    Ok(Counted(value))
}

/// A rate for each key: a burst at once after a pause, and the rate in the long run.
pub(crate) struct RateLimit<K: Hash + Eq + Clone> {
    quota: Quota,
    limiter: DefaultKeyedRateLimiter<K>,
    /// The rate that all keys beyond [`MAX_KEYS`] share.
    rest: DefaultDirectRateLimiter,
    /// The number of keys at which keys that have recovered their whole burst are dropped.
    sweep_at: AtomicUsize,
    /// The number of counts since the last sweep.
    counted: AtomicUsize,
}

impl<K: Hash + Eq + Clone> RateLimit<K> {
    /// `max` per minute, all of them at once after a quiet minute.
    pub(crate) fn per_minute(max: usize) -> Self {
        Self::new(Quota::per_minute(at_least_one(max)))
    }

    /// `max` per second, and `burst` at once after a pause.
    pub(crate) fn per_second(max: usize, burst: usize) -> Self {
        Self::new(Quota::per_second(at_least_one(max)).allow_burst(at_least_one(burst)))
    }

    /// True if this is [`RateLimit::per_minute`] of `max`.
    pub(crate) fn is_per_minute(&self, max: usize) -> bool {
        self.quota == Quota::per_minute(at_least_one(max))
    }

    fn new(quota: Quota) -> Self {
        Self {
            quota,
            limiter: DefaultKeyedRateLimiter::keyed(quota),
            rest: DefaultDirectRateLimiter::direct(quota),
            sweep_at: AtomicUsize::new(SWEEP_AFTER),
            counted: AtomicUsize::new(0),
        }
    }

    /// Counts one more for `key`.
    ///
    /// # Errors
    /// The time to wait, if the limit is reached. It is not counted then.
    pub(crate) fn check(&self, key: &K) -> Result<(), Duration> {
        let until = match self.limiter.len() < MAX_KEYS {
            true => self.limiter.check_key(key),
            false => self.rest.check(),
        };
        self.sweep();
        until.map_err(|until| until.wait_time_from(self.limiter.clock().now()))
    }

    /// The number of keys.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.limiter.len()
    }

    /// Drops the keys that have recovered their whole burst. Runs when there are twice as many keys
    /// as the last sweep left, or [`MAX_KEYS`].
    fn sweep(&self) {
        let counted = self.counted.fetch_add(1, Relaxed);
        if counted < SWEEP_AFTER || self.limiter.len() < self.sweep_at.load(Relaxed) {
            return;
        }
        self.counted.store(0, Relaxed);
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
        let next = self
            .limiter
            .len()
            .saturating_mul(2)
            .clamp(SWEEP_AFTER, MAX_KEYS);
        self.sweep_at.store(next, Relaxed);
    }
}

fn at_least_one(number: usize) -> NonZeroU32 {
    let number = u32::try_from(number).unwrap_or(u32::MAX);
    NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_per_minute_knows_its_number() {
        let limit = RateLimit::<u8>::per_minute(2);
        assert!(limit.is_per_minute(2));
        assert!(!limit.is_per_minute(3));
        assert!(!RateLimit::<u8>::per_second(2, 2).is_per_minute(2));
    }

    #[test]
    fn a_key_at_its_limit_survives_the_sweep() {
        let limit = RateLimit::per_minute(1);
        assert_eq!(limit.check(&0), Ok(()));
        for number in 1..=3 * SWEEP_AFTER {
            assert_eq!(limit.check(&number), Ok(()));
        }
        assert!(limit.check(&0).is_err());
        assert_eq!(limit.len(), 3 * SWEEP_AFTER + 1);
    }

    #[test]
    fn a_key_that_has_recovered_is_dropped() {
        // Each key recovers within 60 µs.
        let limit = RateLimit::per_minute(1_000_000);
        for number in 0..20 * SWEEP_AFTER {
            assert_eq!(limit.check(&number), Ok(()));
        }
        assert!(limit.len() <= 3 * SWEEP_AFTER, "{}", limit.len());
    }

    #[test]
    fn keys_beyond_the_bound_share_one_rate() {
        let limit = RateLimit::per_minute(3);
        for number in 0..MAX_KEYS {
            assert_eq!(limit.check(&number), Ok(()));
        }
        for number in MAX_KEYS..MAX_KEYS + 3 {
            assert_eq!(limit.check(&number), Ok(()));
        }
        assert!(limit.check(&(MAX_KEYS + 3)).is_err());
        assert_eq!(limit.len(), MAX_KEYS);
    }

    #[test]
    fn a_burst_is_allowed_and_the_error_tells_the_pause() {
        let limit = RateLimit::per_second(2, 5);
        for _ in 0..5 {
            assert_eq!(limit.check(&"a"), Ok(()));
        }
        let pause = limit.check(&"a").unwrap_err();
        assert!(
            pause > Duration::ZERO && pause <= Duration::from_millis(500),
            "{pause:?}"
        );
        assert_eq!(
            limit.check(&"b"),
            Ok(()),
            "a key takes nothing from another"
        );
    }
}

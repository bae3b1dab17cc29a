//! So many of something per minute or second, for each of many.
//!
//! Knows how many each has had lately. Does not know of what, or who they are.

use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use governor::clock::Clock;
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota};

/// So many are remembered without asking whether they need be, and so many are counted before that is asked again.
const FEW: usize = 1_024;
/// So many are remembered at the most; beyond that, all who come share one rate.
const MANY: usize = 65_536;

/// A value that has been counted under a rate limit, or for which none is configured. A stage that takes one cannot be
/// reached without the count.
#[derive(Debug)]
pub struct Counted<T>(T);

impl<T> Counted<T> {
    /// For commands, tests and benches: a value that nobody sent over the network.
    pub fn unlimited(value: T) -> Self {
        Self(value)
    }

    /// Hands the value on.
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

/// Counts `value` for `key` under `limit`; without a limit it always may be.
///
/// # Errors
/// How long to wait. The value is not counted then.
pub(crate) fn count<K: Hash + Eq + Clone, T>(
    limit: Option<&Rates<K>>,
    key: &K,
    value: T,
) -> Result<Counted<T>, Duration> {
    limit.map_or(Ok(()), |limit| limit.check(key))?;
    Ok(Counted(value))
}

/// A rate for each key, by the generic cell rate algorithm: a number at once after a pause, and a rate in the long run.
pub(crate) struct Rates<K: Hash + Eq + Clone> {
    limiter: DefaultKeyedRateLimiter<K>,
    /// The rate of those for whom there is no room.
    rest: DefaultDirectRateLimiter,
    /// When so many are remembered, it is time to forget those whose past does not count any more.
    sweep_at: AtomicUsize,
    /// How often was counted since it was last looked for them.
    counted: AtomicUsize,
}

impl<K: Hash + Eq + Clone> Rates<K> {
    /// So many per minute, and at once after a quiet minute.
    pub(crate) fn per_minute(max: usize) -> Self {
        Self::new(Quota::per_minute(at_least_one(max)))
    }

    /// So many per second, and `burst` at once after a pause.
    pub(crate) fn per_second(max: usize, burst: usize) -> Self {
        Self::new(Quota::per_second(at_least_one(max)).allow_burst(at_least_one(burst)))
    }

    fn new(quota: Quota) -> Self {
        Self {
            limiter: DefaultKeyedRateLimiter::keyed(quota),
            rest: DefaultDirectRateLimiter::direct(quota),
            sweep_at: AtomicUsize::new(FEW),
            counted: AtomicUsize::new(0),
        }
    }

    /// Counts one more, if it may be.
    ///
    /// # Errors
    /// How long to wait for it. It is not counted then.
    pub(crate) fn check(&self, key: &K) -> Result<(), Duration> {
        let until = match self.limiter.len() < MANY {
            true => self.limiter.check_key(key),
            false => self.rest.check(),
        };
        self.sweep();
        until.map_err(|until| until.wait_time_from(self.limiter.clock().now()))
    }

    /// How many are remembered.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.limiter.len()
    }

    /// Forgets who need not be remembered, whenever there are twice as many as the last time that left, or as many as may be.
    fn sweep(&self) {
        let counted = self.counted.fetch_add(1, Relaxed);
        if counted < FEW || self.limiter.len() < self.sweep_at.load(Relaxed) {
            return;
        }
        self.counted.store(0, Relaxed);
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
        let next = self.limiter.len().saturating_mul(2).clamp(FEW, MANY);
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
    fn who_is_at_the_limit_is_not_forgotten_however_many_others_come() {
        let rates = Rates::per_minute(1);
        assert_eq!(rates.check(&0), Ok(()));
        for number in 1..=3 * FEW {
            assert_eq!(rates.check(&number), Ok(()));
        }
        assert!(rates.check(&0).is_err());
        assert_eq!(rates.len(), 3 * FEW + 1);
    }

    #[test]
    fn who_might_start_anew_is_forgotten() {
        // Each counts for 60 µs.
        let rates = Rates::per_minute(1_000_000);
        for number in 0..20 * FEW {
            assert_eq!(rates.check(&number), Ok(()));
        }
        assert!(rates.len() <= 3 * FEW, "{}", rates.len());
    }

    #[test]
    fn those_for_whom_there_is_no_room_share_one_rate() {
        let rates = Rates::per_minute(3);
        for number in 0..MANY {
            assert_eq!(rates.check(&number), Ok(()));
        }
        for number in MANY..MANY + 3 {
            assert_eq!(rates.check(&number), Ok(()));
        }
        assert!(rates.check(&(MANY + 3)).is_err());
        assert_eq!(rates.len(), MANY);
    }

    #[test]
    fn a_burst_comes_after_a_pause_and_the_rate_says_when_to_come_back() {
        let rates = Rates::per_second(2, 5);
        for _ in 0..5 {
            assert_eq!(rates.check(&"a"), Ok(()));
        }
        let pause = rates.check(&"a").unwrap_err();
        assert!(
            pause > Duration::ZERO && pause <= Duration::from_millis(500),
            "{pause:?}"
        );
        assert_eq!(rates.check(&"b"), Ok(()));
    }
}

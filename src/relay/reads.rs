//! How many recordings one principal may have read from PBXs, per minute.
//!
//! Knows how many each has had lately. Does not know who a principal is, which PBX it is or what is read.

use std::num::NonZeroU32;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use governor::clock::Clock;
use governor::{DefaultKeyedRateLimiter, Quota};

use crate::auth::PrincipalId;

/// So many principals are remembered without asking whether they need be.
const FEW: usize = 1_024;

/// The reads of each principal: so many at once after a quiet minute, and so many per minute in the long run.
pub(crate) struct Reads {
    max_per_minute: usize,
    limiter: DefaultKeyedRateLimiter<PrincipalId>,
    /// When so many principals are remembered, it is time to forget those whose reads do not count any more.
    sweep_at: AtomicUsize,
}

impl Reads {
    pub(crate) fn new(max_per_minute: usize) -> Self {
        let max = u32::try_from(max_per_minute).ok();
        let max = max.and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
        Self {
            max_per_minute,
            limiter: DefaultKeyedRateLimiter::keyed(Quota::per_minute(max)),
            sweep_at: AtomicUsize::new(FEW),
        }
    }

    /// Whether this is the limit.
    pub(crate) fn is(&self, max_per_minute: usize) -> bool {
        self.max_per_minute == max_per_minute
    }

    /// Counts one more read, if it may be.
    ///
    /// # Errors
    /// How long to wait for it. It is not counted then.
    pub(crate) fn check(&self, who: &PrincipalId) -> Result<(), Duration> {
        let checked = self.limiter.check_key(who);
        self.sweep();
        checked.map_err(|until| until.wait_time_from(self.limiter.clock().now()))
    }

    /// Forgets who need not be remembered, whenever there are twice as many as the last time that left.
    fn sweep(&self) {
        if self.limiter.len() < self.sweep_at.load(Relaxed) {
            return;
        }
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
        let next = self.limiter.len().saturating_mul(2).max(FEW);
        self.sweep_at.store(next, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> PrincipalId {
        PrincipalId::new("https://idp.example", name)
    }

    #[test]
    fn one_principal_takes_nothing_from_another_and_is_told_when_to_come_back() {
        let reads = Reads::new(2);
        for name in ["alice", "bob"] {
            assert_eq!(reads.check(&id(name)), Ok(()), "{name}");
            assert_eq!(reads.check(&id(name)), Ok(()), "{name}");
            let pause = reads.check(&id(name)).unwrap_err();
            assert!(pause > Duration::ZERO && pause <= Duration::from_secs(30));
        }
    }

    #[test]
    fn who_is_at_the_limit_is_not_forgotten_however_many_others_come() {
        let reads = Reads::new(1);
        assert_eq!(reads.check(&id("alice")), Ok(()));
        for number in 0..3 * FEW {
            assert_eq!(reads.check(&id(&number.to_string())), Ok(()));
        }
        assert!(reads.check(&id("alice")).is_err());
        assert_eq!(reads.limiter.len(), 3 * FEW + 1);
    }

    #[test]
    fn who_might_start_anew_is_forgotten() {
        // Each counts for 60 µs.
        let reads = Reads::new(1_000_000);
        for number in 0..20 * FEW {
            assert_eq!(reads.check(&id(&number.to_string())), Ok(()));
        }
        assert!(reads.limiter.len() <= 2 * FEW, "{}", reads.limiter.len());
    }
}

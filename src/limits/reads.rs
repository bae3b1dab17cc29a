//! How many recordings one principal may have read from PBXs, per minute.
//!
//! Knows how many each has had lately. Does not know who a principal is, which PBX it is or what is read.

use std::time::Duration;

use crate::limits::rate::Rates;
use crate::principal::PrincipalId;

/// The reads of each principal: so many at once after a quiet minute, and so many per minute in the long run.
pub(crate) struct Reads {
    max_per_minute: usize,
    rates: Rates<PrincipalId>,
}

impl Reads {
    pub(crate) fn new(max_per_minute: usize) -> Self {
        Self {
            max_per_minute,
            rates: Rates::per_minute(max_per_minute),
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
        self.rates.check(who)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_principal_takes_nothing_from_another_and_is_told_when_to_come_back() {
        let reads = Reads::new(2);
        for name in ["alice", "bob"] {
            let id = PrincipalId::new("https://idp.example", name);
            assert_eq!(reads.check(&id), Ok(()), "{name}");
            assert_eq!(reads.check(&id), Ok(()), "{name}");
            let pause = reads.check(&id).unwrap_err();
            assert!(pause > Duration::ZERO && pause <= Duration::from_secs(30));
        }
    }
}

//! One PBX token: how it ages, and when it is no longer used.
//!
//! Knows times. Does not know how a token is got.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::pbx::dialect::TokenLife;
use crate::secret::Secret;

/// A token this close to its end is not used any more: it could die between ticket and download. A
/// token of a short life is used for nine tenths of it.
const END_MARGIN: Duration = Duration::from_secs(60);
/// A token in use is exchanged this long before its end, so that no request has to wait for that. A
/// token of a short life is used for four fifths of it.
const EXCHANGE_BEFORE: Duration = Duration::from_secs(5 * 60);

/// A PBX token in use.
pub(crate) struct PbxToken {
    text: Secret,
    life: TokenLife,
    /// The fencing number under which a fleet got it; 0 where this instance got it on its own.
    pub(in crate::pbx) fence: u64,
    /// Another instance of a fleet got it.
    pub(in crate::pbx) is_of_another: bool,
    pub(in crate::pbx) since: Instant,
    /// The time of its last use.
    touched: Mutex<Instant>,
}

impl PbxToken {
    pub(in crate::pbx) fn new(text: Secret, life: TokenLife, fence: u64) -> Self {
        Self::aged(text, life, fence, (Duration::ZERO, Duration::ZERO))
    }

    /// A token of this age, that was used this long ago.
    pub(in crate::pbx) fn aged(
        text: Secret,
        life: TokenLife,
        fence: u64,
        (age, unused_for): (Duration, Duration),
    ) -> Self {
        let now = Instant::now();
        let ago = |time| now.checked_sub(time).unwrap_or(now);
        Self {
            text,
            life,
            fence,
            is_of_another: false,
            since: ago(age),
            touched: Mutex::new(ago(unused_for)),
        }
    }

    pub(in crate::pbx) fn life(&self) -> TokenLife {
        self.life
    }

    pub(crate) fn text(&self) -> &Secret {
        &self.text
    }

    /// Notes a call that the PBX answered: it may prolong the token.
    pub(crate) fn touch(&self) {
        *self.touched.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Returns true if the PBX has accepted it for any call.
    pub(crate) fn has_worked(&self) -> bool {
        self.last_use() > self.since
    }

    pub(in crate::pbx) fn last_use(&self) -> Instant {
        *self.touched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in crate::pbx) fn unused_for(&self) -> Duration {
        self.last_use().elapsed()
    }

    /// The time for which it can still be used.
    pub(in crate::pbx) fn left(&self) -> Duration {
        let (life, age) = match self.life {
            TokenLife::Sliding(life) => (life, self.unused_for()),
            TokenLife::Fixed(life) => (life, self.since.elapsed()),
        };
        life.saturating_sub(age + END_MARGIN.min(life / 10))
    }

    /// Returns true if it is in use and ends before long, whatever its use.
    pub(in crate::pbx) fn wants_exchange(&self) -> bool {
        let TokenLife::Fixed(life) = self.life else {
            return false;
        };
        self.has_worked() && self.left() < EXCHANGE_BEFORE.min(life / 5)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_of_a_fixed_life_ends_however_much_it_is_used() {
        let token = |life| PbxToken::new(Secret::new("t"), life, 0);
        let life = Duration::from_secs(1800);
        for life in [TokenLife::Fixed(life), TokenLife::Sliding(life)] {
            let left = token(life).left();
            assert!(left <= Duration::from_secs(1740) && left > Duration::from_secs(1700));
        }
        let ended = token(TokenLife::Fixed(Duration::from_nanos(10)));
        ended.touch();
        assert!(ended.left().is_zero());
    }

    #[test]
    fn only_a_token_in_use_is_exchanged_and_only_near_its_end() {
        let aged = |life, age| {
            let mut token = PbxToken::new(Secret::new("t"), life, 0);
            token.since = token.since.checked_sub(Duration::from_secs(age)).unwrap();
            token
        };
        let fixed = TokenLife::Fixed(Duration::from_secs(1800));
        assert!(!aged(fixed, 1430).wants_exchange());
        assert!(aged(fixed, 1450).wants_exchange());
        assert!(aged(fixed, 3600).wants_exchange());
        let short = TokenLife::Fixed(Duration::from_secs(60));
        assert!(!aged(short, 40).wants_exchange() && aged(short, 43).wants_exchange());
        let unused = aged(fixed, 1500);
        *unused.touched.lock().unwrap() = unused.since;
        assert!(!unused.wants_exchange());
        let sliding = TokenLife::Sliding(Duration::from_secs(1800));
        assert!(!aged(sliding, 1750).wants_exchange());
    }
}

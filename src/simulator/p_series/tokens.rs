//! The tokens of the P-Series: pairs of tokens, and slots for the access tokens.
//!
//! Knows how long tokens live and how many there may be. Does not know JSON or credentials.
//!
//! Source: Yeastar, "P-Series Developer Guide", "Authorization Rule" and "Get Access Token": an
//! access token lives for 30 minutes from its issue, a refresh token for 24 hours, and at most 8
//! access tokens are good at a time. Published clients report that a refresh takes no further slot.
//! That `del_token` ends the refresh token too is an assumption.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

/// The number of access tokens that are good at a time.
const MAX_ACCESS_TOKENS: usize = 8;

/// All tokens that are good.
pub(in crate::simulator) struct PSeriesTokens {
    access_life: Duration,
    refresh_life: Duration,
    /// The number of calls after which an access token ends; `None` means no limit.
    max_calls: Option<u32>,
    access: HashMap<String, PSeriesAccessToken>,
    refresh: HashMap<String, PSeriesRefreshToken>,
    /// The times at which another program took its tokens; each takes a slot.
    foreign: Vec<Instant>,
    /// The number of the last slot taken. Numbers are not used again.
    next: u64,
}

struct PSeriesAccessToken {
    slot: u64,
    issued: Instant,
    calls: u32,
}

struct PSeriesRefreshToken {
    slot: u64,
    issued: Instant,
}

/// The tokens that a login or a refresh answers.
#[derive(Clone, Debug)]
pub(super) struct PSeriesTokenPair {
    pub(super) access: String,
    pub(super) refresh: String,
}

/// Rules for a refresh. The default is the documented behavior.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RenewalRules {
    pub(super) old_lives_on: bool,
    pub(super) needs_slot: bool,
}

/// The reason why a login or a refresh gives no tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PairRefusal {
    /// The refresh token is not good.
    Unknown,
    /// All slots are taken.
    Full,
}

impl PSeriesTokens {
    pub(super) fn new(
        access_life: Duration,
        refresh_life: Duration,
        max_calls: Option<u32>,
    ) -> Self {
        Self {
            access_life,
            refresh_life,
            max_calls,
            access: HashMap::new(),
            refresh: HashMap::new(),
            foreign: Vec::new(),
            next: 0,
        }
    }

    pub(super) fn access_life(&self) -> Duration {
        self.access_life
    }

    pub(super) fn refresh_life(&self) -> Duration {
        self.refresh_life
    }

    /// Adds the pair of a login, in a new slot.
    pub(super) fn add(&mut self, pair: &PSeriesTokenPair, now: Instant) -> Result<(), PairRefusal> {
        self.forget_expired(now);
        if self.free_slots() == 0 {
            return Err(PairRefusal::Full);
        }
        self.next += 1;
        self.insert(pair, self.next, now);
        Ok(())
    }

    /// Replaces the pair that `refresh` belongs to. The new pair takes over its slot.
    pub(super) fn renew(
        &mut self,
        refresh: &str,
        pair: &PSeriesTokenPair,
        rules: RenewalRules,
        now: Instant,
    ) -> Result<(), PairRefusal> {
        self.forget_expired(now);
        let slot = self.refresh.get(refresh).ok_or(PairRefusal::Unknown)?.slot;
        let held = self.access.values().any(|access| access.slot == slot);
        if rules.needs_slot && !held && self.free_slots() == 0 {
            return Err(PairRefusal::Full);
        }
        self.refresh.remove(refresh);
        if !rules.old_lives_on {
            self.access.retain(|_, access| access.slot != slot);
        }
        self.insert(pair, slot, now);
        Ok(())
    }

    fn insert(&mut self, pair: &PSeriesTokenPair, slot: u64, issued: Instant) {
        let access = PSeriesAccessToken {
            slot,
            issued,
            calls: 0,
        };
        self.access.insert(pair.access.clone(), access);
        let refresh = PSeriesRefreshToken { slot, issued };
        self.refresh.insert(pair.refresh.clone(), refresh);
    }

    /// Counts one use of an access token. Returns false if the token is not good.
    pub(super) fn count_use(&mut self, token: &str, now: Instant) -> bool {
        self.forget_expired(now);
        let access = self.access.get_mut(token);
        access.map(|access| access.calls += 1).is_some()
    }

    /// True if the access token is good now. Does not count as a use of it.
    pub(in crate::simulator) fn is_live(&mut self, token: &str, now: Instant) -> bool {
        self.forget_expired(now);
        self.access.contains_key(token)
    }

    /// Ends an access token, as if it had timed out.
    pub(in crate::simulator) fn erase(&mut self, token: &str) {
        self.access.remove(token);
    }

    /// Ends the access tokens and the refresh token of the slot of this access token.
    pub(super) fn revoke(&mut self, token: &str) {
        if let Some(PSeriesAccessToken { slot, .. }) = self.access.remove(token) {
            self.access.retain(|_, access| access.slot != slot);
            self.refresh.retain(|_, refresh| refresh.slot != slot);
        }
    }

    pub(in crate::simulator) fn expire_all(&mut self) {
        self.access.clear();
        self.foreign.clear();
    }

    pub(in crate::simulator) fn expire_refresh(&mut self) {
        self.refresh.clear();
    }

    /// Takes up to `tokens` free slots, as another program would.
    pub(in crate::simulator) fn occupy(&mut self, tokens: usize, now: Instant) {
        self.forget_expired(now);
        let free = self.free_slots();
        self.foreign
            .extend(std::iter::repeat_n(now, tokens.min(free)));
    }

    pub(in crate::simulator) fn release(&mut self) {
        self.foreign.clear();
    }

    /// The number of access tokens that are good, with those of the other program.
    pub(in crate::simulator) fn count(&mut self, now: Instant) -> usize {
        self.forget_expired(now);
        self.access.len() + self.foreign.len()
    }

    fn free_slots(&self) -> usize {
        let held: HashSet<u64> = self.access.values().map(|access| access.slot).collect();
        MAX_ACCESS_TOKENS.saturating_sub(held.len() + self.foreign.len())
    }

    fn forget_expired(&mut self, now: Instant) {
        let (access_life, refresh_life) = (self.access_life, self.refresh_life);
        let young = |issued: Instant, life| now.saturating_duration_since(issued) < life;
        let max = self.max_calls.unwrap_or(u32::MAX);
        self.access
            .retain(|_, access| young(access.issued, access_life) && access.calls < max);
        self.refresh
            .retain(|_, refresh| young(refresh.issued, refresh_life));
        self.foreign.retain(|issued| young(*issued, access_life));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str) -> PSeriesTokenPair {
        PSeriesTokenPair {
            access: name.to_owned(),
            refresh: format!("{name}-refresh"),
        }
    }

    fn tokens(max_calls: Option<u32>) -> (PSeriesTokens, Instant) {
        let (access_life, refresh_life) = (Duration::from_secs(10), Duration::from_secs(100));
        let tokens = PSeriesTokens::new(access_life, refresh_life, max_calls);
        (tokens, Instant::now())
    }

    #[test]
    fn use_does_not_prolong_a_token() {
        let (mut tokens, start) = tokens(None);
        let after = |seconds| start + Duration::from_secs(seconds);
        tokens.add(&pair("a"), start).unwrap();
        assert!(tokens.count_use("a", after(9)));
        assert!(!tokens.count_use("a", after(10)));
        let renewed = |tokens: &mut PSeriesTokens, seconds| {
            tokens.renew(
                "a-refresh",
                &pair("b"),
                RenewalRules::default(),
                after(seconds),
            )
        };
        assert_eq!(renewed(&mut tokens, 100), Err(PairRefusal::Unknown));
    }

    #[test]
    fn an_access_token_ends_after_its_last_call() {
        let (mut tokens, now) = tokens(Some(2));
        tokens.add(&pair("a"), now).unwrap();
        assert_eq!(
            [(); 3].map(|()| tokens.count_use("a", now)),
            [true, true, false]
        );
        assert_eq!(tokens.count(now), 0);
    }

    #[test]
    fn a_refresh_keeps_its_slot() {
        let (mut tokens, now) = tokens(None);
        tokens.occupy(7, now);
        tokens.add(&pair("a"), now).unwrap();
        assert_eq!(tokens.add(&pair("b"), now), Err(PairRefusal::Full));
        let lives_on = RenewalRules {
            old_lives_on: true,
            needs_slot: true,
        };
        assert_eq!(tokens.renew("a-refresh", &pair("b"), lives_on, now), Ok(()));
        assert_eq!(
            tokens.renew("a-refresh", &pair("c"), lives_on, now),
            Err(PairRefusal::Unknown)
        );
        assert_eq!(tokens.count(now), 9);
        assert!(tokens.count_use("a", now) && tokens.count_use("b", now));
        assert_eq!(
            tokens.renew("b-refresh", &pair("c"), RenewalRules::default(), now),
            Ok(())
        );
        assert!(!tokens.count_use("a", now) && !tokens.count_use("b", now));
        assert_eq!((tokens.count(now), tokens.free_slots()), (8, 0));
        tokens.revoke("c");
        assert_eq!((tokens.count(now), tokens.refresh.len()), (7, 0));
    }

    #[test]
    fn a_refresh_needs_a_free_slot_under_its_switch_only() {
        let (mut tokens, now) = tokens(None);
        tokens.add(&pair("a"), now).unwrap();
        tokens.erase("a");
        tokens.occupy(100, now);
        let needs_slot = RenewalRules {
            old_lives_on: false,
            needs_slot: true,
        };
        assert_eq!(
            tokens.renew("a-refresh", &pair("b"), needs_slot, now),
            Err(PairRefusal::Full)
        );
        assert_eq!(
            tokens.renew("a-refresh", &pair("b"), RenewalRules::default(), now),
            Ok(())
        );
        tokens.release();
        assert_eq!(tokens.count(now), 1);
    }
}

//! The tokens of the S-Series and the Cloud PBX that logins gave out.
//!
//! Knows how long each token lives, and the address that logged in for it. Does not know JSON or
//! credentials.
//!
//! Source: Yeastar, "S-Series API Guide", "API Authentication": a token lives for 30 minutes after
//! the last request and is erased then. A token of Cloud PBX 1.1.0 is not prolonged by use ("Cloud
//! PBX API", "Login"): for it, callers of this module never prolong. Refreshing is from Yeastar,
//! "S-Series API 2.0" and "Cloud PBX API", "Token Refresh": only the latest refreshtoken is good.
//! The lifetime of a refreshtoken is not documented; that it ends with its token is an assumption,
//! with a switch.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::errno::Errno;

/// The number of ended tokens, and of refreshtokens, at which old ones are dropped.
const MAX_REMEMBERED_TOKENS: usize = 100_000;

/// The live tokens, the ones that timed out, and the refreshtokens.
pub(super) struct LoginTokens {
    life: Duration,
    live: HashMap<String, LiveToken>,
    timed_out: HashSet<String>,
    /// For each refreshtoken the token of the same pair, and the address that logged in.
    refreshes: HashMap<String, (String, IpAddr)>,
}

/// A token that is good now.
#[derive(Clone, Debug)]
pub(super) struct LiveToken {
    pub(super) login_peer: IpAddr,
    /// The time of the last use. For a token that use does not prolong, it is the time of issue.
    pub(super) last_used: Instant,
}

/// Rules for the exchange of a refreshtoken. The default is the documented behavior.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RefreshRules {
    /// The exchange works even if the token has timed out.
    pub(super) even_timed_out: bool,
    /// The old token stays good.
    pub(super) keeps_token: bool,
    /// The refreshtoken stays good.
    pub(super) keeps_refresh: bool,
}

impl LoginTokens {
    pub(super) fn new(life: Duration) -> Self {
        Self {
            life,
            live: HashMap::new(),
            timed_out: HashSet::new(),
            refreshes: HashMap::new(),
        }
    }

    pub(super) fn add(
        &mut self,
        token: &str,
        refresh: Option<String>,
        login_peer: IpAddr,
        now: Instant,
    ) {
        self.forget_expired(now);
        let entry = LiveToken {
            login_peer,
            last_used: now,
        };
        self.live.insert(token.to_owned(), entry);
        if self.refreshes.len() >= MAX_REMEMBERED_TOKENS {
            let live = &self.live;
            self.refreshes
                .retain(|_, (token, _)| live.contains_key(token));
        }
        let owner = (token.to_owned(), login_peer);
        self.refreshes
            .extend(refresh.map(|refresh| (refresh, owner)));
    }

    /// Finds a live token. Prolongs its life if `prolong` is true.
    ///
    /// # Errors
    ///
    /// When the token is blank, unknown, erased or timed out.
    pub(super) fn find(
        &mut self,
        token: &str,
        now: Instant,
        prolong: bool,
    ) -> Result<LiveToken, Errno> {
        if token.trim().is_empty() {
            return Err(Errno::TOKEN_BLANK);
        }
        self.forget_expired(now);
        if self.timed_out.contains(token) {
            return Err(Errno::TOKEN_TIMED_OUT);
        }
        let entry = self.live.get_mut(token).ok_or(Errno::NO_SUCH_TOKEN)?;
        if prolong {
            entry.last_used = now;
        }
        Ok(entry.clone())
    }

    pub(super) fn erase(&mut self, token: &str) {
        self.live.remove(token);
    }

    pub(super) fn erase_all(&mut self) {
        self.live.clear();
    }

    /// Uses up a refreshtoken and erases its token, as far as `rules` say so. Returns the address
    /// that logged in for them, or `None` if the refreshtoken is not good.
    pub(super) fn take_refresh(
        &mut self,
        refresh: &str,
        rules: RefreshRules,
        now: Instant,
    ) -> Option<IpAddr> {
        self.forget_expired(now);
        let (token, login_peer) = self.refreshes.get(refresh)?.clone();
        let outlived = rules.even_timed_out && self.timed_out.contains(&token);
        if !self.live.contains_key(&token) && !outlived {
            return None;
        }
        if !rules.keeps_token {
            self.live.remove(&token);
        }
        if !rules.keeps_refresh {
            self.refreshes.remove(refresh);
        }
        Some(login_peer)
    }

    /// Lets every token time out now.
    pub(super) fn expire_all(&mut self) {
        self.timed_out
            .extend(self.live.drain().map(|(token, _)| token));
    }

    pub(super) fn count(&mut self, now: Instant) -> usize {
        self.forget_expired(now);
        self.live.len()
    }

    fn forget_expired(&mut self, now: Instant) {
        if self.timed_out.len() >= MAX_REMEMBERED_TOKENS {
            self.timed_out.clear();
        }
        let life = self.life;
        let expired = |entry: &LiveToken| now.saturating_duration_since(entry.last_used) >= life;
        let gone = self
            .live
            .extract_if(|_, entry| expired(entry))
            .map(|(token, _)| token);
        self.timed_out.extend(gone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn use_prolongs_a_token_and_disuse_ends_it() {
        let mut tokens = LoginTokens::new(Duration::from_secs(10));
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        tokens.add("a", None, PEER, start);
        assert!(tokens.find("a", after(9), true).is_ok());
        assert!(tokens.find("a", after(18), false).is_ok());
        assert_eq!(
            tokens.find("a", after(19), true).unwrap_err(),
            Errno::TOKEN_TIMED_OUT
        );
        assert_eq!(
            tokens.find("b", start, true).unwrap_err(),
            Errno::NO_SUCH_TOKEN
        );
        assert_eq!(
            tokens.find(" ", start, true).unwrap_err(),
            Errno::TOKEN_BLANK
        );
        assert_eq!(tokens.count(after(19)), 0);
    }

    #[test]
    fn a_refreshtoken_works_once() {
        let mut tokens = LoginTokens::new(Duration::from_secs(10));
        let now = Instant::now();
        let rules = RefreshRules::default();
        tokens.add("a", Some("r".into()), PEER, now);
        assert_eq!(tokens.take_refresh("r", rules, now), Some(PEER));
        assert_eq!(tokens.take_refresh("r", rules, now), None);
        assert_eq!(
            tokens.find("a", now, true).unwrap_err(),
            Errno::NO_SUCH_TOKEN
        );
    }

    #[test]
    fn a_refreshtoken_ends_with_its_token() {
        let now = Instant::now();
        for (even_timed_out, expected) in [(false, None), (true, Some(PEER))] {
            let mut tokens = LoginTokens::new(Duration::from_secs(10));
            let rules = RefreshRules {
                even_timed_out,
                ..RefreshRules::default()
            };
            tokens.add("a", Some("r".into()), PEER, now);
            let late = now + Duration::from_secs(10);
            assert_eq!(tokens.take_refresh("r", rules, late), expected);
            tokens.add("b", Some("s".into()), PEER, now);
            tokens.erase("b");
            assert_eq!(tokens.take_refresh("s", rules, now), None);
        }
    }
}

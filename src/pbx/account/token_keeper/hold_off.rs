//! The pauses in which no token may be asked for, or no login may be tried.
//!
//! Knows the reasons to wait, and which pause counts: those after failed logins and between two
//! renewals, by `login_history/record.rs`, and the one while all slots for tokens are taken. Does
//! not know how a token is got.

use std::time::{Duration, Instant, SystemTime};

use super::{KeeperState, TokenKeeper};
use crate::pbx::account::login_history::{LoginVerdict, outage_pause};
use crate::pbx::account::login_report::LoginReport;
use crate::pbx::dialect::RefusalClass;
use crate::pbx::error::{FIRST_SLOTS_PAUSE, HoldOff, PbxError};

/// The longest pause without a login if all slots for tokens are taken. A slot comes free when a
/// token of another program ends, which takes up to 30 minutes.
const LONGEST_SLOTS_PAUSE: Duration = Duration::from_secs(30 * 60);

impl TokenKeeper {
    /// The state of the logins now.
    pub(in crate::pbx) fn logins(&self) -> LoginReport {
        let allowed = self.allow_login(&self.lock());
        let counts = self.history().counts(SystemTime::now());
        LoginReport::new(&allowed, counts)
    }

    /// A word for the reason why no login may be tried now.
    pub(in crate::pbx) fn hold_off(&self) -> Option<&'static str> {
        match self.allow_login(&self.lock()) {
            Ok(()) => None,
            Err(PbxError::HeldOff { reason, .. }) => Some(reason.as_str()),
            Err(_) => Some("stopped"),
        }
    }

    /// The age of the token, if there is one.
    pub(in crate::pbx) fn token_age(&self) -> Option<Duration> {
        let state = self.lock();
        state.token.as_ref().map(|token| token.since.elapsed())
    }

    /// A pause of a few seconds in which no login is tried, where there is no token either.
    pub(in crate::pbx) fn short_pause(&self) -> Option<PbxError> {
        let state = self.lock();
        let paused = match &state.token {
            None => self.allow_login(&state).err(),
            Some(_) => None,
        };
        paused.filter(PbxError::is_out_of_patience)
    }

    /// Allows an exchange of the token for a new one, or gives the reason to wait.
    pub(super) fn allow_exchange(&self, state: &KeeperState) -> Result<(), PbxError> {
        self.allow_call(state)?;
        if let Some((times, began)) = state.lost_exchanges {
            // An exchange without an answer is not in the history, which counts logins only.
            // Without this pause, a PBX that hangs would be asked again by every request.
            let pause = outage_pause(times).saturating_sub(began.elapsed());
            if !pause.is_zero() {
                return held_off(pause, HoldOff::Outage);
            }
        }
        // Of the history only a lock-out counts: an exchange sends no password, so it cannot be
        // refused as a login can.
        match self.history().verdict(SystemTime::now()) {
            LoginVerdict::Locked(left) => held_off(left, HoldOff::LockedOut),
            _ => Ok(()),
        }
    }

    /// Notes an exchange that began then and got no answer. The next one waits as a login would.
    pub(super) fn note_lost_exchange(&self, began: Instant) {
        let mut state = self.lock();
        let times = state.lost_exchanges.map_or(0, |(times, _)| times);
        state.lost_exchanges = Some((times.saturating_add(1), began));
    }

    /// Allows a call for a token, as far as it does not depend on the history of logins.
    fn allow_call(&self, state: &KeeperState) -> Result<(), PbxError> {
        if state.retired {
            // The keeper that has taken over logs in; a request that still has this one asks again.
            return held_off(Duration::from_secs(1), HoldOff::Retired);
        }
        if let Some((times, last)) = state.slots_taken {
            let pause = slots_pause(times).saturating_sub(last.elapsed());
            if !pause.is_zero() {
                return held_off(pause, HoldOff::SlotsTaken);
            }
        }
        Ok(())
    }

    /// Allows a login, or gives the reason to wait.
    pub(super) fn allow_login(&self, state: &KeeperState) -> Result<(), PbxError> {
        self.allow_call(state)?;
        let now = SystemTime::now();
        // Bound on its own: in the `match` the guard of the history would live on, and be taken
        // once more.
        let verdict = self.history().verdict(now);
        match verdict {
            LoginVerdict::Go => {
                // Two programs that end each other's tokens would log in without a pause. A token
                // that lived its time has no part in that.
                let pause = self.history().renewal_pause(now);
                match pause.filter(|_| state.ended_early) {
                    None => Ok(()),
                    Some(left) => held_off(left, HoldOff::TokensEnded),
                }
            }
            LoginVerdict::Wait(left) => held_off(left, HoldOff::LoginRefused),
            LoginVerdict::Unanswered(left) => held_off(left, HoldOff::LoginsUnanswered),
            LoginVerdict::Outage(left) => held_off(left, HoldOff::Outage),
            LoginVerdict::Locked(left) => held_off(left, HoldOff::LockedOut),
            LoginVerdict::Brink(left) => held_off(left, HoldOff::Brink),
            LoginVerdict::Stopped => Err(PbxError::LoginStopped),
        }
    }

    /// Notes what a failed login or exchange says about the next one, beside what the history has
    /// of logins.
    pub(super) fn note_refusal(&self, error: &PbxError) {
        match error.refusal_class() {
            Some(RefusalClass::TokenLimit) => {
                let mut state = self.lock();
                let times = state.slots_taken.map_or(0, |(times, _)| times);
                state.slots_taken = Some((times.saturating_add(1), Instant::now()));
            }
            Some(RefusalClass::LockedOut) => {
                // Noted here as well as at the end of a login: an exchange may be the call that
                // finds out.
                self.note("noting a lock-out", |history| {
                    history.lock_out(SystemTime::now())
                });
            }
            _ => {}
        }
    }
}

pub(super) fn held_off<T>(retry_after: Duration, reason: HoldOff) -> Result<T, PbxError> {
    Err(PbxError::HeldOff {
        retry_after,
        reason,
    })
}

/// The pause after this number of logins in a row that found all slots taken: twice as long each
/// time.
fn slots_pause(times: u32) -> Duration {
    let doubled = FIRST_SLOTS_PAUSE.saturating_mul(2_u32.saturating_pow(times.saturating_sub(1)));
    doubled.min(LONGEST_SLOTS_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_all_slots_are_taken_the_pauses_grow_to_half_an_hour() {
        let minutes = [1, 2, 3, 4, 40].map(|times| slots_pause(times).as_secs() / 60);
        assert_eq!(minutes, [5, 10, 20, 30, 30]);
    }
}

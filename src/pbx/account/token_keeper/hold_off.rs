//! When no token may be asked for, and when no login may be tried.
//!
//! Knows the reasons to wait and how long. Does not know how a token is had.

use std::time::{Duration, Instant, SystemTime};

use super::outcome::slots_pause;
use super::{KeeperState, TokenKeeper};
use crate::pbx::account::login_history::{LoginVerdict, outage_pause};
use crate::pbx::dialect::RefusalClass;
use crate::pbx::error::{HoldOff, PbxError};

impl TokenKeeper {
    /// A pause of a few seconds in which no login is tried, where there is no token either.
    pub(in crate::pbx) fn short_pause(&self) -> Option<PbxError> {
        let state = self.lock();
        let paused = match &state.token {
            None => self.allow_login(&state).err(),
            Some(_) => None,
        };
        paused.filter(PbxError::is_out_of_patience)
    }

    /// Whether a token may be asked for in any way.
    pub(super) fn allow_exchange(&self, state: &KeeperState) -> Result<(), PbxError> {
        self.allow_call(state)?;
        if let Some((times, began)) = state.lost_exchanges {
            let pause = outage_pause(times).saturating_sub(began.elapsed());
            if !pause.is_zero() {
                return held_off(pause, HoldOff::Outage);
            }
        }
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

    /// Whether a call for a token may be made, whatever the history of logins says.
    fn allow_call(&self, state: &KeeperState) -> Result<(), PbxError> {
        if state.retired {
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

    /// Whether a login may be tried.
    pub(super) fn allow_login(&self, state: &KeeperState) -> Result<(), PbxError> {
        self.allow_call(state)?;
        let now = SystemTime::now();
        let verdict = self.history().verdict(now);
        match verdict {
            LoginVerdict::Go => {
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

    /// Notes what a failed login or exchange says about the next one, beside what the history has of logins.
    pub(super) fn note_refusal(&self, error: &PbxError) {
        match error.refusal_class() {
            Some(RefusalClass::TokenLimit) => {
                let mut state = self.lock();
                let times = state.slots_taken.map_or(0, |(times, _)| times);
                state.slots_taken = Some((times.saturating_add(1), Instant::now()));
            }
            Some(RefusalClass::LockedOut) => {
                self.note("noting a lock-out", |history| {
                    history.lock_out(SystemTime::now())
                });
            }
            _ => {}
        }
    }
}

fn held_off<T>(retry_after: Duration, reason: HoldOff) -> Result<T, PbxError> {
    Err(PbxError::HeldOff {
        retry_after,
        reason,
    })
}

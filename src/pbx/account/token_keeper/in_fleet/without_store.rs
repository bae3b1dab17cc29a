//! Logins of one instance of a fleet while the store is away.
//!
//! Knows whose turn it is. Does not know how a token is got.
//!
//! Without the store, instances cannot tell each other of a refused login. So only credentials that
//! the fleet has had accepted are tried, once in each outage, and in turns that are so far apart
//! that the PBX never counts a third refusal within the time in which it counts.

use std::time::{Duration, Instant};

use super::super::TokenKeeper;
use super::super::hold_off::held_off;
use crate::fleet::{self, Membership};
use crate::pbx::error::{HoldOff, LOCK_OUT, PbxError};

/// The turn of one instance without the store: time enough for a login.
const TURN: Duration = Duration::from_secs(5);
/// The number of instances that have a turn before the PBX may have counted as many refusals as one
/// instance makes.
const TURNS_AT_ONCE: usize = 2;
/// The time after which the PBX has forgotten a refusal for sure.
const FORGOTTEN: Duration = LOCK_OUT.saturating_add(Duration::from_secs(60));
/// The longest delay by chance, so that instances that do not know their places differ.
const MAX_JITTER: Duration = Duration::from_millis(500);
/// The pause before a second login in one outage. Two instances that end each other's tokens would
/// else go on and on.
const OUTAGE_PAUSE: Duration = Duration::from_secs(5 * 60);

/// A time without the store.
pub(in super::super) struct StoreOutage {
    /// The time when this instance may log in.
    turn: Instant,
    last_login: Option<Instant>,
}

impl TokenKeeper {
    /// Allows a login while the store is away, or gives the reason to wait.
    pub(super) fn allow_without_store(
        &self,
        membership: Option<Membership>,
    ) -> Result<(), PbxError> {
        if membership.is_some_and(|members| members.count == 1) {
            return Ok(());
        }
        if !self.is_accepted() {
            return held_off(TURN, HoldOff::StoreAway);
        }
        let mut state = self.lock();
        let turn = turn_of(membership);
        let outage = state.store_outage.get_or_insert_with(|| StoreOutage {
            turn: Instant::now() + turn + fleet::jittered(MAX_JITTER),
            last_login: None,
        });
        let next = outage.last_login.map(|last| last + OUTAGE_PAUSE);
        let left = next
            .unwrap_or(outage.turn)
            .saturating_duration_since(Instant::now());
        if !left.is_zero() {
            return held_off(left, HoldOff::StoreAway);
        }
        outage.last_login = Some(Instant::now());
        Ok(())
    }
}

/// The time after which an instance has its turn to log in without the store. An instance that has
/// never seen the store does not know its place, and comes late.
fn turn_of(membership: Option<Membership>) -> Duration {
    let rank = membership.map_or(TURNS_AT_ONCE, |members| members.rank);
    let rounds = u32::try_from(rank / TURNS_AT_ONCE).unwrap_or(u32::MAX);
    let turns = u32::try_from(rank % TURNS_AT_ONCE).unwrap_or(0);
    FORGOTTEN
        .saturating_mul(rounds)
        .saturating_add(TURN.saturating_mul(turns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_third_instance_has_its_turn_before_the_pbx_has_forgotten_the_first() {
        let turn = |rank| turn_of(Some(Membership { count: 9, rank }));
        assert_eq!([turn(0), turn(1)], [Duration::ZERO, TURN]);
        for rank in 2..50 {
            assert!(
                turn(rank) - turn(rank - 2) > LOCK_OUT + MAX_JITTER,
                "{rank}"
            );
        }
        assert_eq!(turn_of(None), FORGOTTEN);
    }
}

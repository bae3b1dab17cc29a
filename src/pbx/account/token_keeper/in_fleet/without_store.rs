//! Logins of one instance of a fleet while the store is away.
//!
//! Knows whose turn it is. Does not know how a token is got.
//!
//! Without the store, instances cannot tell each other of a refused login. So only credentials that
//! the fleet has had accepted are tried, and in turns, which are counted from the loss of the store
//! on. Two instances have their turns within one minute, then nobody for ten: so long a PBX counts
//! a refusal. An instance that never saw the store does not know its turn, and has none.

use std::time::{Duration, Instant};

use super::super::TokenKeeper;
use super::super::hold_off::held_off;
use crate::fleet::Place;
use crate::pbx::error::{HoldOff, LOCK_OUT, PbxError};

/// The time for which turns are open. The turn of the second instance begins a little later.
const OPEN: Duration = Duration::from_secs(60);
/// The time from one open minute to the next. The PBX has forgotten a refusal by then.
const ROUND: Duration = LOCK_OUT.saturating_add(OPEN);
/// The pause before the first turn: the store may be back in a moment.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The time that the second instance leaves to the first: enough for a login.
const LEAD: Duration = Duration::from_secs(5);
/// The instances that have their turns in the same minute: as many as one instance makes logins
/// that are refused.
const AT_ONCE: usize = 2;

impl TokenKeeper {
    /// Allows a login while the store is away, or gives the reason to wait.
    pub(super) fn allow_without_store(&self, place: Option<Place>) -> Result<(), PbxError> {
        let Some(place) = place.filter(|place| place.count == 1 || self.is_accepted()) else {
            return held_off(LEAD, HoldOff::StoreAway);
        };
        if place.count == 1 {
            return Ok(());
        }
        let last = self.lock().lone_try;
        let since = last.map_or(ROUND, |last| last.elapsed());
        let left = wait_for_turn(place).max(ROUND.saturating_sub(since));
        match left.is_zero() {
            true => Ok(()),
            false => held_off(left, HoldOff::StoreAway),
        }
    }

    /// Notes that credentials or a token are about to be sent without the lease of the fleet.
    pub(in super::super) fn note_lone_try(&self) {
        self.lock().lone_try = Some(Instant::now());
    }
}

/// The time until the turn of an instance; none while it lasts.
fn wait_for_turn(place: Place) -> Duration {
    let rounds = u32::try_from(place.count.div_ceil(AT_ONCE)).unwrap_or(u32::MAX);
    let round = u32::try_from(place.rank / AT_ONCE).unwrap_or(u32::MAX);
    let lead = match place.rank % AT_ONCE {
        0 => FIRST_PAUSE,
        _ => FIRST_PAUSE + LEAD,
    };
    let (all, opens) = (ROUND.saturating_mul(rounds), ROUND.saturating_mul(round));
    let now = Duration::from_secs_f64(place.away_for.as_secs_f64() % all.as_secs_f64());
    if now < opens + lead {
        opens + lead - now
    } else if now < opens + OPEN {
        Duration::ZERO
    } else {
        all - now + opens + lead
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The seconds of an outage in which an instance may log in.
    fn turns(count: usize, rank: usize) -> Vec<u64> {
        let has_turn = |second: &u64| {
            let away_for = Duration::from_secs(*second);
            let place = Place {
                count,
                rank,
                away_for,
            };
            wait_for_turn(place).is_zero()
        };
        (0..6 * 3600).filter(has_turn).collect()
    }

    #[test]
    fn never_more_than_two_instances_have_a_turn_within_the_memory_of_a_pbx() {
        for count in 2..7 {
            let turns: Vec<_> = (0..count).map(|rank| turns(count, rank)).collect();
            for start in 0..6 * 3600 - LOCK_OUT.as_secs() {
                let memory = start..start + LOCK_OUT.as_secs();
                let has = |turns: &&Vec<u64>| turns.iter().any(|turn| memory.contains(turn));
                let with_turn = turns.iter().filter(has).count();
                assert!(
                    with_turn <= AT_ONCE,
                    "{with_turn} of {count} from {start} on"
                );
            }
        }
    }

    #[test]
    fn each_instance_has_its_turn_again_and_again() {
        for rank in 0..5 {
            let turns = turns(5, rank);
            let first = turns.first().copied().unwrap();
            let opens = ROUND.as_secs() * (rank as u64 / 2);
            assert!((opens + 1..=opens + 6).contains(&first), "{rank}: {first}");
            assert!(turns.last().copied().unwrap() > 5 * 3600);
        }
    }
}

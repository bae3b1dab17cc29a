//! Trouble at random: a third of all answers is broken.
//!
//! Knows how likely each kind of trouble is. The same seed gives the same row of dice, though not the same run: the order of
//! requests is the network's.

use super::fault::{FaultPlan, Misbehavior};

/// Chances out of a hundred.
const PERCENT_OF_EACH_KIND: u64 = 6;
const PERCENT_OF_DEAD_TOKENS: u64 = 3;
/// A recording breaks off within so many bytes, and any other answer within the second number: all are longer.
const MAX_BYTES_BEFORE_BREAK: (u64, u64) = (64 * 1024, 20);

/// Dice of a seed.
pub(super) struct Chaos(u64);

impl Chaos {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Adds to the plan for one request what goes wrong with it.
    pub(super) fn add_to(&mut self, plan: &mut FaultPlan, is_download: bool) {
        let (recording, other) = MAX_BYTES_BEFORE_BREAK;
        let within = if is_download { recording } else { other };
        let dice = self.next() % 100;
        let after_bytes = self.next() % within;
        let with_length = self.next().is_multiple_of(2);
        let status = [500, 502, 503, 504].into_iter().nth(pick(self.next()));
        let kinds = [
            Misbehavior::Reset { after_bytes },
            Misbehavior::Stall { after_bytes },
            Misbehavior::Html { status: 200 },
            Misbehavior::Html {
                status: status.unwrap_or(500),
            },
            Misbehavior::Cut {
                after_bytes,
                with_length,
            },
        ];
        let kind = usize::try_from(dice / PERCENT_OF_EACH_KIND).ok();
        let what = match kind.and_then(|kind| kinds.get(kind)) {
            Some(kind) => kind,
            None if dice >= 100 - PERCENT_OF_DEAD_TOKENS => &Misbehavior::DeadTokenAfterTicket,
            None => return,
        };
        plan.add(what);
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

fn pick(dice: u64) -> usize {
    usize::try_from(dice % 4).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_third_of_all_answers_is_broken_and_a_seed_tells_which() {
        let broken = |seed| {
            let mut chaos = Chaos::new(seed);
            let plans = (0..10_000).map(|_| {
                let mut plan = FaultPlan::default();
                chaos.add_to(&mut plan, true);
                plan != FaultPlan::default()
            });
            plans.collect::<Vec<_>>()
        };
        for seed in 1..=5 {
            let first = broken(seed);
            assert_eq!(first, broken(seed));
            let share = first.iter().filter(|broken| **broken).count();
            assert!((3_100..3_500).contains(&share), "{share} with seed {seed}");
        }
    }
}

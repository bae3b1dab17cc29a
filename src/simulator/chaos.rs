//! Faults at random: a third of all answers breaks.
//!
//! Knows how likely each kind of fault is. The same seed gives the same sequence of decisions, but
//! not the same run, because the network decides the order of requests.

use super::fault::{FaultPlan, Misbehavior};

/// The chance of each of the five kinds of early end and replaced answer, in percent.
const PERCENT_OF_EACH_KIND: u64 = 6;
/// The chance that the token of the request ends, in percent.
const PERCENT_OF_DEAD_TOKENS: u64 = 3;
/// The early end of a recording lies within the first number of bytes, and that of any other answer
/// within the second. Both are shorter than the answers.
const MAX_BYTES_BEFORE_BREAK: (u64, u64) = (64 * 1024, 20);

/// A generator of pseudo-random faults.
pub(super) struct Chaos(u64);

impl Chaos {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Draws the faults of one request and adds them to its plan.
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

    /// Returns the next pseudo-random number (SplitMix64).
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
    fn a_third_of_all_answers_breaks_and_the_seed_decides_which() {
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

//! How fast one PBX is read, all downloads together, so that they do not hurt the calls on the same line.
//!
//! Knows a rate, and whose turn it is. Does not know what the bytes are.
//!
//! Everybody reads a piece, then waits until the rate allows all pieces that were read before theirs to be forgotten.
//! So those who read take turns, and nobody waits for one who does not.

use std::pin::Pin;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::{Sleep, sleep_until};

/// The rate of one PBX.
pub(crate) struct Pace {
    /// Bytes per second; 0 for no limit.
    rate: AtomicU64,
    /// When everything read so far is paid for.
    paid: Mutex<Instant>,
}

impl Pace {
    pub(crate) fn new(rate: Option<u64>) -> Self {
        Self {
            rate: AtomicU64::new(rate.unwrap_or(0)),
            paid: Mutex::new(Instant::now()),
        }
    }

    /// Changes the rate, for those who read already, too.
    pub(crate) fn set(&self, rate: Option<u64>) {
        self.rate.store(rate.unwrap_or(0), Relaxed);
    }

    /// Notes that `bytes` have just been read. Returns until when their reader waits before the next.
    fn charge(&self, bytes: usize, now: Instant) -> Option<Instant> {
        let rate = self.rate.load(Relaxed);
        if rate == 0 {
            return None;
        }
        let nanoseconds = (bytes as u128 * 1_000_000_000).div_ceil(u128::from(rate));
        let cost = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX));
        let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        *paid = (*paid).max(now) + cost;
        Some(*paid)
    }
}

/// The turns of one reader.
pub(crate) struct Turns {
    pace: Arc<Pace>,
    /// Set while it waits.
    wait: Option<Pin<Box<Sleep>>>,
}

impl Turns {
    pub(crate) fn new(pace: Arc<Pace>) -> Self {
        Self { pace, wait: None }
    }

    /// Ready when it is this reader's turn.
    pub(crate) fn poll_turn(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Some(wait) = &mut self.wait {
            if wait.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            self.wait = None;
        }
        Poll::Ready(())
    }

    /// Whether its turn has not come yet.
    pub(crate) fn is_waiting(&self) -> bool {
        self.wait.is_some()
    }

    /// Notes what the reader got at its turn.
    pub(crate) fn charge(&mut self, bytes: usize) {
        if let Some(until) = self.pace.charge(bytes, Instant::now()) {
            self.wait = Some(Box::pin(sleep_until(until.into())));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIECE: usize = 1_000;

    /// Lets readers take pieces as fast as they may for some seconds; the one of `slow` takes one in ten of its turns.
    fn run(readers: usize, slow: Option<usize>, seconds: u64) -> Vec<usize> {
        let pace = Pace::new(Some(100_000));
        let start = Instant::now();
        let mut next = vec![start; readers];
        let mut taken = vec![0; readers];
        loop {
            let (reader, now) = next
                .iter()
                .copied()
                .enumerate()
                .min_by_key(|(_, at)| *at)
                .unwrap();
            if now >= start + Duration::from_secs(seconds) {
                return taken;
            }
            let until = pace.charge(PIECE, now).unwrap();
            taken[reader] += PIECE;
            next[reader] = until;
            if slow == Some(reader) {
                next[reader] += Duration::from_millis(500);
            }
        }
    }

    #[test]
    fn readers_share_the_rate_fairly() {
        for readers in [1, 2, 7] {
            let taken = run(readers, None, 10);
            let total: usize = taken.iter().sum();
            assert!(
                (1_000_000..=1_000_000 + readers * PIECE).contains(&total),
                "{total}"
            );
            let (least, most) = (taken.iter().min().unwrap(), taken.iter().max().unwrap());
            assert!(most - least <= PIECE, "{taken:?}");
        }
    }

    #[test]
    fn what_a_slow_reader_leaves_is_for_the_others() {
        let taken = run(3, Some(0), 10);
        let total: usize = taken.iter().sum();
        assert!(total >= 1_000_000 && taken[0] < 30_000, "{taken:?}");
    }

    #[test]
    fn without_a_rate_nobody_waits() {
        let pace = Pace::new(None);
        assert_eq!(pace.charge(PIECE, Instant::now()), None);
        pace.set(Some(1));
        assert!(pace.charge(PIECE, Instant::now()).is_some());
    }

    #[test]
    fn a_pause_earns_nothing() {
        let pace = Pace::new(Some(1_000));
        let now = Instant::now() + Duration::from_secs(60);
        let until = pace.charge(PIECE, now).unwrap();
        assert_eq!(until, now + Duration::from_secs(1));
    }
}

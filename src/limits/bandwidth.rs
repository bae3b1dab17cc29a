//! The bandwidth limit of one PBX, for all its downloads together: they must not hurt the calls on
//! the same line.
//!
//! Knows a rate and the order of the readers. Does not know what the bytes are.
//!
//! Each reader takes a piece, then waits until the rate has paid for all pieces up to and including
//! its own. So active readers take turns, and no reader waits for an idle one.

use std::pin::Pin;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::{Sleep, sleep_until};

/// A bandwidth limit that its readers share.
pub(crate) struct BandwidthLimit {
    /// Bytes per second; 0 for no limit.
    rate: AtomicU64,
    /// The time at which the rate has paid for all bytes read so far.
    paid: Mutex<Instant>,
}

impl BandwidthLimit {
    pub(crate) fn new(rate: Option<u64>) -> Self {
        Self {
            rate: AtomicU64::new(rate.unwrap_or(0)),
            paid: Mutex::new(Instant::now()),
        }
    }

    /// Changes the rate, also for readers that exist already.
    pub(crate) fn set(&self, rate: Option<u64>) {
        self.rate.store(rate.unwrap_or(0), Relaxed);
    }

    /// Counts `bytes` that were just read. Returns the time until which their reader has to wait.
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

/// The turns of one reader under a [`BandwidthLimit`].
pub(crate) struct Turns {
    limit: Arc<BandwidthLimit>,
    /// Set while the reader waits for its turn.
    wait: Option<Pin<Box<Sleep>>>,
}

impl Turns {
    pub(crate) fn new(limit: Arc<BandwidthLimit>) -> Self {
        Self { limit, wait: None }
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

    /// True while the reader has to wait for its turn.
    pub(crate) fn is_waiting(&self) -> bool {
        self.wait.is_some()
    }

    /// Counts the bytes that the reader took at its turn.
    pub(crate) fn charge(&mut self, bytes: usize) {
        if let Some(until) = self.limit.charge(bytes, Instant::now()) {
            self.wait = Some(Box::pin(sleep_until(until.into())));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIECE: usize = 1_000;

    /// Lets readers take pieces as fast as they may for some seconds. The reader `slow` pauses half
    /// a second after each piece. Returns the bytes of each reader.
    fn run(readers: usize, slow: Option<usize>, seconds: u64) -> Vec<usize> {
        let limit = BandwidthLimit::new(Some(100_000));
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
            let until = limit.charge(PIECE, now).unwrap();
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
    fn the_others_use_what_a_slow_reader_leaves() {
        let taken = run(3, Some(0), 10);
        let total: usize = taken.iter().sum();
        assert!(total >= 1_000_000 && taken[0] < 30_000, "{taken:?}");
    }

    #[test]
    fn without_a_rate_no_reader_waits() {
        let limit = BandwidthLimit::new(None);
        assert_eq!(limit.charge(PIECE, Instant::now()), None);
        limit.set(Some(1));
        assert!(limit.charge(PIECE, Instant::now()).is_some());
    }

    #[test]
    fn a_pause_earns_no_credit() {
        let limit = BandwidthLimit::new(Some(1_000));
        let now = Instant::now() + Duration::from_secs(60);
        let until = limit.charge(PIECE, now).unwrap();
        assert_eq!(until, now + Duration::from_secs(1));
    }
}

//! Whether the log can be written, and what was carried out while it could not be.
//!
//! Knows since when, and how many decisions have no line. Does not know why, and does not try.

use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::line::WriteGap;
use super::writer::time;

/// The state of the log, as the writer and those who wait for it see it.
#[derive(Default)]
pub(super) struct Outage(Mutex<OutageState>);

#[derive(Default)]
struct OutageState {
    /// None while it can be written.
    since: Option<Timestamp>,
    /// Decisions that were carried out and have no line, and none that says so.
    missed: u64,
    missed_since: Option<Timestamp>,
}

impl Outage {
    fn lock(&self) -> MutexGuard<'_, OutageState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing can be written now.
    pub(super) fn is_on(&self) -> bool {
        self.lock().since.is_some()
    }

    /// Nothing can be written any more. Returns whether that is new.
    pub(super) fn begin(&self, now: Timestamp) -> bool {
        let mut state = self.lock();
        let is_new = state.since.is_none();
        state.since.get_or_insert(now);
        is_new
    }

    /// Lines were brought to the disk, and who waited for them has been told.
    pub(super) fn end(&self) {
        self.lock().since = None;
    }

    /// So many decisions were carried out and have no line.
    pub(super) fn miss(&self, decisions: u64, now: Timestamp) {
        let mut state = self.lock();
        let since = state.since.unwrap_or(now);
        state.missed_since.get_or_insert(since);
        state.missed = state.missed.saturating_add(decisions);
    }

    /// What is to be written about decisions without a line, if there are any. It is told once.
    pub(super) fn missed(&self) -> Option<WriteGap> {
        let mut state = self.lock();
        let since = state.missed_since.take()?;
        Some(WriteGap {
            since: time(since),
            decisions: std::mem::take(&mut state.missed),
        })
    }

    /// What is to be written about the outage, whether or not a decision is missing.
    pub(super) fn gap(&self, now: Timestamp) -> WriteGap {
        let since = self.lock().since.unwrap_or(now);
        self.missed().unwrap_or_else(|| WriteGap {
            since: time(since),
            decisions: 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[track_caller]
    fn check(told: Option<WriteGap>, expected: Option<(i64, u64)>) {
        let told = told.map(|told| (told.since, told.decisions));
        assert_eq!(
            told,
            expected.map(|(since, decisions)| (time(at(since)), decisions))
        );
    }

    #[test]
    fn each_outage_has_its_own_beginning() {
        let outage = Outage::default();
        assert!(outage.begin(at(10)));
        assert!(!outage.begin(at(11)));
        outage.miss(2, at(12));
        check(Some(outage.gap(at(13))), Some((10, 2)));
        check(Some(outage.gap(at(14))), Some((10, 0)));
        outage.end();
        assert!(!outage.is_on());
        check(outage.missed(), None);
        outage.miss(1, at(20));
        check(outage.missed(), Some((20, 1)));
        outage.begin(at(30));
        outage.miss(1, at(31));
        outage.end();
        // It is told later, and of that outage.
        check(outage.missed(), Some((30, 1)));
        check(Some(outage.gap(at(40))), Some((40, 0)));
    }
}

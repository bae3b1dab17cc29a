//! Outages of the log, and the decisions that were carried out without a line meanwhile.
//!
//! Knows since when nothing can be written, and how many decisions have no line. Does not know the
//! cause, and does not try to write.

use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::line::WriteGap;
use super::writer::time;

/// The outage state, shared by the writer and the requests that wait for it.
#[derive(Default)]
pub(super) struct Outage(Mutex<OutageState>);

#[derive(Default)]
struct OutageState {
    /// When the outage began; `None` while the log can be written.
    since: Option<Timestamp>,
    /// Decisions that were carried out without a line, and that no line reports yet.
    missed: u64,
    missed_since: Option<Timestamp>,
}

impl Outage {
    fn lock(&self) -> MutexGuard<'_, OutageState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an outage is going on.
    pub(super) fn is_on(&self) -> bool {
        self.lock().since.is_some()
    }

    /// Begins an outage. Returns `false` if one is going on already.
    pub(super) fn begin(&self, now: Timestamp) -> bool {
        let mut state = self.lock();
        let is_new = state.since.is_none();
        state.since.get_or_insert(now);
        is_new
    }

    /// Ends the outage. Call it after lines are on disk and the requests that waited for them have
    /// been told.
    pub(super) fn end(&self) {
        self.lock().since = None;
    }

    /// Counts decisions that were carried out without a line.
    pub(super) fn miss(&self, decisions: u64, now: Timestamp) {
        let mut state = self.lock();
        let since = state.since.unwrap_or(now);
        state.missed_since.get_or_insert(since);
        state.missed = state.missed.saturating_add(decisions);
    }

    /// Takes the report of decisions without a line, if there are any. Each decision is reported
    /// once.
    pub(super) fn missed(&self) -> Option<WriteGap> {
        let mut state = self.lock();
        let since = state.missed_since.take()?;
        Some(WriteGap {
            since: time(since),
            decisions: std::mem::take(&mut state.missed),
        })
    }

    /// Takes the report of the outage, also if no decision is missing.
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
        // The outage is over; its report still names its beginning.
        check(outage.missed(), Some((30, 1)));
        check(Some(outage.gap(at(40))), Some((40, 0)));
    }
}

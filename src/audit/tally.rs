//! Counts of requests without a valid credential, by address and minute.
//!
//! Knows a bounded number of addresses, and counts requests from further ones together. Does not
//! know the requests.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use super::line::RefusalCount;

/// Bound on the addresses that are counted apart within a minute.
const MAX_ADDRESSES: usize = 256;

/// The counts of the current minute.
#[derive(Default)]
pub(super) struct Tally(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    /// Minutes since the epoch.
    minute: i64,
    addresses: HashMap<IpAddr, u64>,
    others: u64,
    /// Lines of earlier minutes that are not written yet.
    done: Vec<RefusalCount>,
}

impl Tally {
    /// Counts one request.
    pub(super) fn count(&self, source: IpAddr, now: Timestamp) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.turn(now);
        let has_room = counts.addresses.len() < MAX_ADDRESSES;
        match counts.addresses.get_mut(&source) {
            Some(count) => *count = count.saturating_add(1),
            None if has_room => drop(counts.addresses.insert(source, 1)),
            None => counts.others = counts.others.saturating_add(1),
        }
    }

    /// Takes the lines of the minutes that are over; with `all`, also of the current one.
    pub(super) fn take(&self, now: Timestamp, all: bool) -> Vec<RefusalCount> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.turn(now);
        if all {
            counts.close();
        }
        std::mem::take(&mut counts.done)
    }
}

impl Counts {
    fn turn(&mut self, now: Timestamp) {
        let minute = now.as_second().div_euclid(60);
        if minute != self.minute {
            self.close();
            self.minute = minute;
        }
    }

    /// Ends the current minute. Lines that nobody has fetched for long, since the log cannot be
    /// written, are dropped: their number is bounded.
    fn close(&mut self) {
        let minute = Timestamp::from_second(self.minute.saturating_mul(60)).unwrap_or_default();
        let line = |source: String, count| RefusalCount {
            source,
            minute: minute.to_string(),
            count,
        };
        if self.done.len() > 4 * MAX_ADDRESSES {
            self.done.clear();
        }
        let mut lines: Vec<_> = self.addresses.drain().collect();
        lines.sort_unstable();
        let lines = lines
            .into_iter()
            .map(|(source, count)| line(source.to_string(), count));
        self.done.extend(lines);
        if self.others > 0 {
            self.done.push(line("others".to_owned(), self.others));
            self.others = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn told(tally: &Tally, second: i64, all: bool) -> Vec<(String, u64)> {
        let lines = tally.take(at(second), all).into_iter();
        lines.map(|line| (line.source, line.count)).collect()
    }

    #[test]
    fn each_address_has_one_line_a_minute() {
        let tally = Tally::default();
        let [one, two] = ["192.0.2.1", "2001:db8::1"].map(|text| text.parse().unwrap());
        for (source, second) in [(one, 0), (two, 1), (one, 59)] {
            tally.count(source, at(second));
        }
        assert_eq!(told(&tally, 59, false), []);
        tally.count(one, at(60));
        let expected = [("192.0.2.1".to_owned(), 2), ("2001:db8::1".to_owned(), 1)];
        assert_eq!(told(&tally, 61, false), expected);
        assert_eq!(told(&tally, 61, true), [("192.0.2.1".to_owned(), 1)]);
        assert_eq!(told(&tally, 200, true), []);
    }

    #[test]
    fn any_number_of_addresses_has_a_bounded_number_of_lines() {
        let tally = Tally::default();
        for index in 0..10_000u32 {
            tally.count(IpAddr::from(index.to_be_bytes()), at(0));
        }
        let lines = told(&tally, 60, false);
        assert_eq!(lines.len(), MAX_ADDRESSES + 1);
        assert_eq!(lines.last().unwrap(), &("others".to_owned(), 10_000 - 256));
        assert_eq!(lines.iter().map(|line| line.1).sum::<u64>(), 10_000);
    }
}

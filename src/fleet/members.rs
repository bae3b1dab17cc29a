//! The members of a fleet, as an instance remembers them.
//!
//! Knows who was there of late, and since when the store is away. Does not know what follows from
//! it. A member is remembered for a while after it was seen last, so that instances which lose the
//! store one after another still agree on their places.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tracing::info;

/// The time for which a member is remembered: longer than a PBX remembers a refused login.
const MEMORY: Duration = Duration::from_secs(11 * 60);

/// The members of late.
pub(crate) struct Members {
    seen: HashMap<String, Instant>,
    own: String,
    /// Instances at the last look.
    count: usize,
    /// The time when the store was lost, or this instance started without it.
    lost: Instant,
}

/// The place of this instance in a time without the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// The number of instances of late, this one included.
    pub(crate) count: usize,
    /// The place of this instance among them, from 0.
    pub(crate) rank: usize,
    /// The time since the store was lost.
    pub(crate) away_for: Duration,
}

impl Members {
    pub(super) fn new() -> Self {
        Self {
            seen: HashMap::new(),
            own: String::new(),
            count: 0,
            lost: Instant::now(),
        }
    }

    /// The number of instances, as the store counted them last; 0 if it never was there.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// The place of this instance; `None` if the store never was there.
    pub(crate) fn place(&self) -> Option<Place> {
        let recent = |seen: &Instant| self.lost.saturating_duration_since(*seen) < MEMORY;
        let recent = self.seen.iter().filter(|(_, seen)| recent(seen));
        let mut recent: Vec<_> = recent.map(|(member, _)| member).collect();
        recent.sort_unstable();
        Some(Place {
            count: recent.len(),
            rank: recent.iter().position(|member| **member == self.own)?,
            away_for: self.lost.elapsed(),
        })
    }

    /// Notes a look at the store.
    pub(super) fn note(&mut self, own: &str, members: Vec<String>) {
        if members.len() != self.count {
            let instances = members.len();
            info!(instances, "the number of instances in the fleet");
        }
        self.count = members.len();
        own.clone_into(&mut self.own);
        let now = Instant::now();
        self.seen.retain(|_, seen| seen.elapsed() < MEMORY);
        self.seen
            .extend(members.into_iter().map(|member| (member, now)));
        self.lost = now;
    }

    /// Notes that the store was lost.
    pub(super) fn note_lost(&mut self) {
        self.lost = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_member_that_was_lost_a_moment_ago_keeps_its_place() {
        let mut members = Members::new();
        assert_eq!(members.place(), None);
        members.note("c", names(&["a", "b", "c"]));
        members.note("c", names(&["c"]));
        assert_eq!(members.count(), 1);
        let place = members.place().unwrap();
        assert_eq!((place.count, place.rank), (3, 2));
    }

    #[test]
    fn a_member_that_was_lost_long_ago_counts_no_more() {
        let mut members = Members::new();
        members.note("b", names(&["a", "b"]));
        let long_ago = Instant::now().checked_sub(MEMORY).unwrap();
        members.seen.insert("a".to_owned(), long_ago);
        members.note("b", names(&["b"]));
        let place = members.place().unwrap();
        assert_eq!((place.count, place.rank), (1, 0));
    }
}

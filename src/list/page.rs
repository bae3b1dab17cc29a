//! Collects one page from a list of any length and in any order, in no more memory than the page
//! needs.
//!
//! Knows the sort key of an entry and how many entries are kept. Does not know where entries come
//! from. Pure.
//!
//! Limit: a name that tells no start (`hello001`) is sorted by the time of its row. If it has
//! several rows with different times that fall on different pages, it appears on each of those
//! pages: a page knows nothing of the rows before its cursor.

use std::collections::BTreeMap;

use super::cursor::{Position, SortKey};
use super::{ListEntry, Order};

/// The entries of one page, collected while the whole list passes: the first ones after the end of
/// the last page.
///
/// The order of the entries does not matter, and they may repeat. So a page is the same whether the
/// PBX lists its newest calls first or last, and calls added meanwhile make neither a gap nor a
/// repeat.
pub(crate) struct PageCollector {
    order: Order,
    page_size: usize,
    after: Option<SortKey>,
    /// At most one more entry than the page has. That one shows that there is a next page.
    kept: BTreeMap<SortKey, ListEntry>,
}

impl PageCollector {
    pub(crate) fn new(order: Order, page_size: usize, after: Option<SortKey>) -> Self {
        Self {
            order,
            page_size,
            after,
            kept: BTreeMap::new(),
        }
    }

    /// Keeps an entry if it belongs to the page, by the entries seen so far. `is_visible` is called
    /// only then.
    pub(crate) fn offer(&mut self, entry: ListEntry, is_visible: impl FnOnce(&ListEntry) -> bool) {
        let key = SortKey {
            start: entry.started.unwrap_or_default(),
            name: entry.name.as_str().to_owned(),
        };
        if !self.has_room_for(&key) || self.kept.contains_key(&key) || !is_visible(&entry) {
            return;
        }
        if !entry.start_is_named && !self.replace_later_row(&key) {
            return;
        }
        self.kept.insert(key, entry);
        if self.kept.len() > self.page_size + 1 {
            match self.order {
                Order::Ascending => self.kept.pop_last(),
                Order::Descending => self.kept.pop_first(),
            };
        }
    }

    fn has_room_for(&self, key: &SortKey) -> bool {
        let order = self.order;
        let is_behind = self
            .after
            .as_ref()
            .is_none_or(|after| order.is_before(after, key));
        let last = match order {
            Order::Ascending => self.kept.last_key_value(),
            Order::Descending => self.kept.first_key_value(),
        };
        let is_full = self.kept.len() > self.page_size;
        is_behind && (!is_full || last.is_none_or(|(last, _)| order.is_before(key, last)))
    }

    /// Compares rows of one recording whose name has no time, since their times may differ. The
    /// earliest counts: returns true if `key` is the earliest, and removes a later one.
    fn replace_later_row(&mut self, key: &SortKey) -> bool {
        let same = self.kept.keys().find(|kept| kept.name == key.name).cloned();
        match same {
            None => true,
            Some(other) if key.start < other.start => self.kept.remove(&other).is_some(),
            Some(_) => false,
        }
    }

    /// The number of entries kept.
    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        self.kept.len()
    }

    /// The page, and its end if another page follows.
    pub(crate) fn finish(self) -> (Vec<ListEntry>, Option<Position>) {
        let mut kept: Vec<(SortKey, ListEntry)> = self.kept.into_iter().collect();
        if self.order == Order::Descending {
            kept.reverse();
        }
        let has_next = kept.len() > self.page_size;
        kept.truncate(self.page_size);
        let next = kept.last().map(|(key, _)| Position::Start(key.clone()));
        let entries = kept.into_iter().map(|(_, entry)| entry).collect();
        (entries, next.filter(|_| has_next))
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    use super::super::{ListRow, Second};
    use super::*;

    fn named(start: Second, number: u64) -> ListEntry {
        let row = ListRow {
            name: format!("20260302091407-{start}.{number}-1001-1003-Internal.wav"),
            ..ListRow::default()
        };
        ListEntry::from_row(row, &TimeZone::UTC).unwrap()
    }

    /// Reads all pages and returns all entries. `list` is the list of the PBX at each request.
    fn walk(
        order: Order,
        page_size: usize,
        mut list: impl FnMut() -> Vec<ListEntry>,
    ) -> Vec<ListEntry> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let mut page = PageCollector::new(order, page_size, after);
            for entry in list() {
                page.offer(entry, |_| true);
                assert!(page.held() <= page_size + 1);
            }
            let (entries, next) = page.finish();
            assert!(entries.len() <= page_size);
            all.extend(entries);
            match next {
                Some(Position::Start(key)) => after = Some(key),
                Some(Position::Id { .. }) => panic!("not of this list"),
                None => return all,
            }
        }
    }

    fn shuffled(mut entries: Vec<ListEntry>) -> Vec<ListEntry> {
        // Any order that is not sorted.
        entries.sort_by_key(|entry| {
            entry
                .started
                .map(|start| start.wrapping_mul(0x9E37_79B9) % 1_009)
        });
        entries
    }

    #[test]
    fn of_fifty_thousand_rows_only_one_page_is_kept() {
        let rows = || (0..50_000).map(|n| named(1_700_000_000 + (n * 7919) % 50_000, 1));
        for order in [Order::Ascending, Order::Descending] {
            let mut page = PageCollector::new(order, 100, None);
            let mut most = 0;
            for entry in rows() {
                page.offer(entry, |_| true);
                most = most.max(page.held());
            }
            assert_eq!(most, 101);
            let (entries, next) = page.finish();
            let starts: Vec<_> = entries.iter().map(|entry| entry.started.unwrap()).collect();
            let expected: Vec<_> = match order {
                Order::Ascending => (1_700_000_000..1_700_000_100).collect(),
                Order::Descending => (1_700_049_900..1_700_050_000).rev().collect(),
            };
            assert_eq!(starts, expected);
            assert!(next.is_some());
        }
    }

    #[test]
    fn pages_have_no_gap_or_repeat_while_calls_are_added() {
        for order in [Order::Ascending, Order::Descending] {
            let mut list: Vec<_> = (0..1_000)
                .map(|n| named(1_700_000_000 + n / 3, 1))
                .collect();
            list.extend((0..1_000).map(|n| named(1_700_000_000 + n / 3, n.unsigned_abs())));
            let mut expected: Vec<_> = list
                .iter()
                .map(|entry| entry.name.as_str().to_owned())
                .collect();
            let mut added = 0;
            let all = walk(order, 37, || {
                added += 1;
                list.push(named(1_800_000_000 + added, 1));
                shuffled(list.clone())
            });
            let mut names: Vec<_> = all
                .iter()
                .map(|entry| entry.name.as_str().to_owned())
                .collect();
            let listed = names.len();
            names.sort();
            names.dedup();
            assert_eq!(names.len(), listed);
            expected.sort();
            expected.dedup();
            expected.retain(|name| names.binary_search(name).is_err());
            assert_eq!(expected, [""; 0]);
            let in_order =
                all.is_sorted_by(|one, other| !order.is_before(&other.started, &one.started));
            assert!(in_order);
        }
    }

    #[test]
    fn the_rows_of_a_recording_are_one_entry() {
        let leg = |name: &str, second| {
            let row = ListRow {
                name: name.to_owned(),
                local_start: Some(jiff::civil::date(2026, 3, 2).at(9, 0, second, 0)),
                ..ListRow::default()
            };
            ListEntry::from_row(row, &TimeZone::UTC).unwrap()
        };
        for order in [Order::Ascending, Order::Descending] {
            let mut page = PageCollector::new(order, 10, None);
            for (name, second) in [("x", 9), ("x", 2), ("x", 5), ("y", 3), ("y", 3)] {
                page.offer(leg(name, second), |_| true);
            }
            let (entries, next) = page.finish();
            let mut found: Vec<_> = entries
                .iter()
                .map(|entry| (entry.name.as_str(), entry.started.unwrap() % 60))
                .collect();
            found.sort();
            assert_eq!((found, next), (vec![("x", 2), ("y", 3)], None));
        }
    }

    #[test]
    fn entries_that_may_not_be_seen_take_no_room() {
        let mut page = PageCollector::new(Order::Ascending, 2, None);
        for n in 0..10 {
            page.offer(named(1_700_000_000 + n, 1), |entry| {
                entry.started.unwrap() % 2 == 1
            });
        }
        let (entries, next) = page.finish();
        let starts: Vec<_> = entries.iter().map(|entry| entry.started.unwrap()).collect();
        assert_eq!(starts, [1_700_000_001, 1_700_000_003]);
        let Some(Position::Start(last)) = next else {
            panic!("there is more");
        };
        assert_eq!(last.start, 1_700_000_003);
    }

    proptest! {
        #[test]
        fn all_pages_together_list_everything(count in 0_i64..60, page_size in 1_usize..20, ascending: bool) {
            let order = if ascending { Order::Ascending } else { Order::Descending };
            let all = walk(order, page_size, || shuffled((0..count).map(|n| named(1_700_000_000 + n, 1)).collect()));
            prop_assert_eq!(all.len(), usize::try_from(count).unwrap());
        }
    }
}

//! Finding one's place again in a list whose pages shift.
//!
//! Knows ids, their order and the numbers of pages. Does not know how a page is fetched or what is on it. Pure.
//!
//! The PBX numbers its pages from the end where the walk began. Entries that are added there, or deleted, move all others
//! to other pages between two calls. So the place is the last entry's id, and the page where it stood is a hint: from
//! there the walk goes back or forth until it sees the place, which is between an entry that was passed and one that
//! was not. How many entries a page has is not relied upon, since a PBX may give fewer than it is asked for.

use thiserror::Error;

use crate::list::{Order, Position};

/// The PBX does not keep the order that it was asked for, so a place means nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the entries of the list are not in the order of their ids")]
pub(super) struct Disorder;

/// What a page is for the walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// Its entries from this one on come next.
    From(usize),
    /// It shows the way to another page.
    Elsewhere,
    /// There is nothing any more.
    End,
}

/// A walk along a list.
pub(super) struct Walk {
    order: Order,
    /// The last entry that was passed.
    last: Option<u64>,
    /// Where it stood, or else is looked for.
    hint: u64,
    /// The page to fetch.
    page: u64,
    /// All entries of the page before this one have been passed, and that one was the last to be seen.
    follows: bool,
    /// How far the last step back went.
    stride: u64,
    /// The first and last id of the page seen last.
    edges: Option<(u64, u64)>,
    /// The length of the list when it was last told.
    total: Option<u64>,
}

impl Walk {
    /// Begins behind `after`; a position of another kind of list is none.
    pub(super) fn new(order: Order, after: Option<&Position>) -> Self {
        let (last, page) = match after {
            Some(Position::Id { last, page }) => (Some(*last), (*page).max(1)),
            Some(Position::Start(_)) | None => (None, 1),
        };
        Self {
            order,
            last,
            hint: page,
            page,
            follows: false,
            stride: 0,
            edges: None,
            total: None,
        }
    }

    /// The page to fetch next.
    pub(super) fn page(&self) -> u64 {
        self.page
    }

    /// Where another walk can go on; `None` while nothing was passed.
    pub(super) fn position(&self) -> Option<Position> {
        let (last, page) = (self.last?, self.hint);
        Some(Position::Id { last, page })
    }

    /// Looks at the page that was fetched: the ids on it, and how many the list has.
    pub(super) fn look(&mut self, ids: &[u64], total: Option<u64>) -> Result<Look, Disorder> {
        let order = self.order;
        if !ids.is_sorted_by(|one, other| order.is_before(one, other)) {
            return Err(Disorder);
        }
        // After a deletion the first entries of this page may stand on the one before by now.
        let shrunk = matches!((self.total, total), (Some(old), Some(new)) if new < old);
        let follows = std::mem::take(&mut self.follows) && !shrunk;
        self.total = total;
        let (Some(first), Some(end)) = (ids.first(), ids.last()) else {
            return Ok(self.look_at_nothing(follows));
        };
        // A PBX that gives its last page for every further one, or one page for all.
        let edges = Some((*first, *end));
        if follows && self.edges == edges {
            return Ok(Look::End);
        }
        self.edges = edges;
        let passed = |id: &u64| self.last.is_some_and(|last| !order.is_before(&last, id));
        let next = ids.partition_point(passed);
        if next == ids.len() {
            return Ok(self.turn(ids.len()));
        }
        if next == 0 && self.page > 1 && !follows {
            self.step_back();
            return Ok(Look::Elsewhere);
        }
        Ok(Look::From(next))
    }

    fn look_at_nothing(&mut self, follows: bool) -> Look {
        if follows || self.page == 1 {
            return Look::End;
        }
        self.step_back();
        Look::Elsewhere
    }

    fn step_back(&mut self) {
        self.stride = self.stride.saturating_mul(2).max(1);
        self.page = self.page.saturating_sub(self.stride).max(1);
        self.hint = self.page;
    }

    /// Notes an entry of the page as passed.
    pub(super) fn pass(&mut self, id: u64) {
        self.last = Some(id);
        self.hint = self.page;
    }

    /// Goes on from a page of `count` entries that have all been passed.
    pub(super) fn turn(&mut self, count: usize) -> Look {
        // Full pages have at least as many entries as this one, so at least so many stand up to its end.
        let stands = self.page.saturating_mul(count as u64);
        if self.total.is_some_and(|total| stands >= total) {
            return Look::End;
        }
        self.hint = self.page;
        self.page = self.page.saturating_add(1);
        self.follows = true;
        self.stride = 0;
        Look::Elsewhere
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    /// A PBX with a list of ids.
    #[derive(Clone)]
    struct List {
        ids: Vec<u64>,
        page_size: usize,
        tells_total: bool,
    }

    impl List {
        fn page(&self, order: Order, page: u64) -> (Vec<u64>, Option<u64>) {
            let mut ids = self.ids.clone();
            if order == Order::Descending {
                ids.reverse();
            }
            let pages = ids.chunks(self.page_size);
            let index = usize::try_from(page - 1).unwrap();
            let found = pages.skip(index).take(1).flatten().copied().collect();
            (found, self.tells_total.then_some(ids.len() as u64))
        }
    }

    const MAX_CALLS: usize = 20;

    /// One request for up to `size` entries, with `change` before each call of the PBX.
    fn request(
        list: &mut List,
        order: Order,
        size: usize,
        after: Option<&Position>,
        mut change: impl FnMut(&mut List),
    ) -> (Vec<u64>, Option<Position>) {
        let mut walk = Walk::new(order, after);
        let mut found = Vec::new();
        for _ in 0..MAX_CALLS {
            change(list);
            let (ids, total) = list.page(order, walk.page());
            match walk.look(&ids, total).unwrap() {
                Look::End => return (found, None),
                Look::Elsewhere => continue,
                Look::From(next) => {
                    for id in &ids[next..] {
                        walk.pass(*id);
                        found.push(*id);
                        if found.len() == size {
                            return (found, walk.position());
                        }
                    }
                }
            }
            if walk.turn(ids.len()) == Look::End {
                return (found, None);
            }
        }
        (found, walk.position())
    }

    fn walk(
        list: &mut List,
        order: Order,
        size: usize,
        mut change: impl FnMut(&mut List),
    ) -> Vec<u64> {
        let (mut all, mut after) = (Vec::new(), None);
        for _ in 0..100_000 {
            let (found, next) = request(list, order, size, after.as_ref(), &mut change);
            all.extend(found);
            match next {
                Some(position) => after = Some(position),
                None => return all,
            }
        }
        panic!("the walk has no end");
    }

    const ORDERS: [Order; 2] = [Order::Ascending, Order::Descending];

    #[test]
    fn ten_thousand_entries_are_walked_while_some_are_added() {
        for order in ORDERS {
            for (page_size, size, tells_total) in
                [(100, 100, true), (30, 1_000, false), (100, 7, false)]
            {
                let ids: Vec<u64> = (1..=10_000).map(|id| id * 3).collect();
                let mut list = List {
                    ids: ids.clone(),
                    page_size,
                    tells_total,
                };
                let mut next = 30_000;
                let walked = walk(&mut list, order, size, |list| {
                    next += 1;
                    // The oldest-first walk would never end if entries came as fast as it goes.
                    if next % 3 == 0 && next < 40_000 {
                        list.ids.push(next);
                    }
                });
                assert!(walked.is_sorted_by(|one, other| order.is_before(one, other)));
                let seen: HashSet<&u64> = walked.iter().collect();
                let missing = ids.iter().filter(|id| !seen.contains(id)).count();
                assert_eq!(missing, 0, "{order:?} {page_size} {size}");
            }
        }
    }

    #[test]
    fn entries_deleted_between_requests_leave_no_gap() {
        for order in ORDERS {
            let ids: Vec<u64> = (1..=3_000).collect();
            let mut list = List {
                ids,
                page_size: 100,
                tells_total: false,
            };
            let (first, after) = request(&mut list, order, 1_000, None, |_| ());
            // The oldest go, as a PBX's clean-up has it.
            list.ids.drain(..950);
            let mut all = first;
            let mut after = after;
            while let Some(position) = after {
                let (found, next) = request(&mut list, order, 1_000, Some(&position), |_| ());
                all.extend(found);
                after = next;
            }
            let expected = match order {
                Order::Ascending => 3_000,
                Order::Descending => 2_050,
            };
            assert_eq!(all.len(), expected);
            assert!(all.is_sorted_by(|one, other| order.is_before(one, other)));
        }
    }

    #[test]
    fn entries_deleted_between_calls_leave_no_gap_where_the_length_is_told() {
        let ids: Vec<u64> = (1..=2_000).collect();
        let mut list = List {
            ids,
            page_size: 100,
            tells_total: true,
        };
        let mut calls = 0;
        let all = walk(&mut list, Order::Ascending, 1_000, |list| {
            calls += 1;
            if calls % 4 == 0 && list.ids.len() > 1_500 {
                list.ids.drain(..30);
            }
        });
        assert_eq!(all, (1..=2_000).collect::<Vec<_>>());
    }

    #[test]
    fn a_list_that_became_short_is_no_endless_walk() {
        for order in ORDERS {
            let ids: Vec<u64> = (1..=50).collect();
            let mut list = List {
                ids,
                page_size: 10,
                tells_total: false,
            };
            let far = Position::Id { last: 40, page: 90 };
            let (found, next) = request(&mut list, order, 100, Some(&far), |_| ());
            let expected = match order {
                Order::Ascending => 10,
                Order::Descending => 39,
            };
            assert_eq!((found.len(), next), (expected, None));
            list.ids.clear();
            let (found, next) = request(&mut list, order, 100, Some(&far), |_| ());
            assert_eq!((found, next), (vec![], None));
        }
    }

    #[test]
    fn a_pbx_that_repeats_its_last_page_comes_to_an_end() {
        let mut walk = Walk::new(Order::Ascending, None);
        assert_eq!(walk.look(&[1, 2], None), Ok(Look::From(0)));
        walk.pass(1);
        walk.pass(2);
        assert_eq!(walk.turn(2), Look::Elsewhere);
        assert_eq!(walk.look(&[1, 2], None), Ok(Look::End));
    }

    #[test]
    fn a_list_in_no_order_is_refused() {
        for (order, ids) in [
            (Order::Ascending, [2, 1]),
            (Order::Descending, [1, 2]),
            (Order::Ascending, [1, 1]),
        ] {
            assert_eq!(Walk::new(order, None).look(&ids, None), Err(Disorder));
        }
    }

    proptest! {
        #[test]
        fn wherever_a_walk_goes_on_it_finds_what_comes_next(
            count in 0_u64..300, page_size in 1_usize..40, size in 1_usize..60, hint in 1_u64..60,
            last in 0_u64..320, ascending: bool, tells_total: bool,
        ) {
            let order = if ascending { Order::Ascending } else { Order::Descending };
            let mut list = List { ids: (1..=count).collect(), page_size, tells_total };
            let mut after = Some(Position::Id { last, page: hint });
            let mut found = Vec::new();
            let mut requests = 0;
            while let Some(position) = after {
                let (some, next) = request(&mut list, order, size, Some(&position), |_| ());
                found.extend(some);
                after = next;
                requests += 1;
                prop_assert!(requests < 1_000);
            }
            let mut expected: Vec<u64> = (1..=count).filter(|id| order.is_before(&last, id)).collect();
            if !ascending {
                expected.reverse();
            }
            prop_assert_eq!(found, expected);
        }
    }
}

//! Walks along lists that change between any two calls.

use std::collections::HashSet;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::*;

/// A PBX with a list of ids.
#[derive(Clone)]
struct List {
    ids: Vec<u64>,
    /// The most that it gives a page.
    limit: usize,
    tells_total: bool,
}

impl List {
    fn new(ids: impl IntoIterator<Item = u64>, limit: usize, tells_total: bool) -> Self {
        let ids = ids.into_iter().collect();
        Self {
            ids,
            limit,
            tells_total,
        }
    }

    fn page(&self, order: Order, ask: PageAddress) -> (Vec<u64>, Option<u64>) {
        let mut ids = self.ids.clone();
        if order == Order::Descending {
            ids.reverse();
        }
        let size = usize::try_from(ask.size).unwrap().min(self.limit);
        let before = usize::try_from(ask.page - 1).unwrap() * size;
        let found = ids.iter().skip(before).take(size).copied().collect();
        (found, self.tells_total.then_some(ids.len() as u64))
    }
}

fn told(ids: &[u64], total: Option<u64>) -> PageSummary<'_> {
    let (rows, is_refusal) = (ids.len() as u64, false);
    PageSummary {
        ids,
        rows,
        behind: 0,
        total,
        is_refusal,
    }
}

const REFUSAL: PageSummary<'static> = PageSummary {
    ids: &[],
    rows: 0,
    behind: 0,
    total: None,
    is_refusal: true,
};

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
        let (ids, total) = list.page(order, walk.ask());
        match walk.look(told(&ids, total)).unwrap() {
            WalkStep::End => return (found, None),
            WalkStep::Elsewhere => continue,
            WalkStep::From(next) => {
                for id in &ids[next..] {
                    walk.pass(*id);
                    found.push(*id);
                    if found.len() == size {
                        return (found, walk.position());
                    }
                }
            }
        }
        if walk.turn() == WalkStep::End {
            return (found, None);
        }
    }
    (found, walk.position())
}

fn walk(list: &mut List, order: Order, size: usize, mut change: impl FnMut(&mut List)) -> Vec<u64> {
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
        for (limit, size, tells_total) in [(100, 100, true), (30, 1_000, false), (200, 7, false)] {
            let ids: Vec<u64> = (1..=10_000).map(|id| id * 3).collect();
            let mut list = List::new(ids.clone(), limit, tells_total);
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
            assert_eq!(missing, 0, "{order:?} {limit} {size}");
        }
    }
}

#[test]
fn a_thousand_entries_cost_no_more_than_fourteen_calls() {
    for (order, tells_total) in [(Order::Ascending, true), (Order::Descending, false)] {
        let mut list = List::new(1..=100_000, 1_000, tells_total);
        let mut after = None;
        for _ in 0..5 {
            let mut calls = 0;
            let (found, next) = request(&mut list, order, 1_000, after.as_ref(), |_| calls += 1);
            assert_eq!(found.len(), 1_000);
            assert!(calls <= 14, "{calls}");
            after = next;
        }
    }
}

#[test]
fn entries_deleted_between_requests_leave_no_gap() {
    for order in ORDERS {
        let mut list = List::new(1..=3_000, 100, false);
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
fn as_many_added_as_deleted_leave_no_gap() {
    for tells_total in [true, false] {
        let mut list = List::new(1..=2_000, 100, tells_total);
        let (mut calls, mut next) = (0, 2_000);
        let all = walk(&mut list, Order::Ascending, 1_000, |list| {
            calls += 1;
            if calls % 2 == 0 && next < 2_300 {
                list.ids.drain(..30);
                list.ids.extend(next + 1..=next + 30);
                next += 30;
            }
        });
        assert_eq!(all, (1..=2_300).collect::<Vec<_>>(), "{tells_total}");
    }
}

#[test]
fn a_list_that_became_short_is_no_endless_walk() {
    for order in ORDERS {
        for tells_total in [true, false] {
            let mut list = List::new(1..=50, 20, tells_total);
            let (last, place) = (40, 900);
            let far = Position::Id { last, place };
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
}

/// Begins with a page of a hundred, and gives `answer` ever after.
fn goes_wrong(total: Option<u64>, answer: PageSummary<'_>) -> Result<WalkStep, WalkError> {
    let mut walk = Walk::new(Order::Ascending, None);
    let ids: Vec<u64> = (1..=100).collect();
    assert_eq!(walk.look(told(&ids, total)), Ok(WalkStep::From(0)));
    ids.iter().for_each(|id| walk.pass(*id));
    assert_eq!(walk.turn(), WalkStep::Elsewhere);
    // One page that is right does not help.
    let asked = walk.ask();
    for _ in 0..MAX_CALLS {
        let rows = answer.rows.min(walk.ask().size);
        let ids = &answer.ids[..usize::try_from(rows).unwrap()];
        match walk.look(PageSummary {
            ids,
            rows,
            ..answer
        }) {
            Ok(WalkStep::Elsewhere) => {}
            other => return other,
        }
    }
    panic!("asked for ever from {asked:?} on");
}

#[test]
fn a_list_that_goes_wrong_midway_never_looks_whole() {
    let ids: Vec<u64> = (1..=100).collect();
    for total in [Some(10_000), Some(150)] {
        assert_eq!(goes_wrong(total, told(&[], total)), Err(WalkError::Short));
        assert_eq!(goes_wrong(total, told(&[], None)), Err(WalkError::Short));
        assert_eq!(
            goes_wrong(total, told(&ids[50..], total)),
            Err(WalkError::Short)
        );
        assert_eq!(goes_wrong(total, told(&ids, total)), Err(WalkError::Short));
        assert_eq!(goes_wrong(total, REFUSAL), Err(WalkError::Short));
    }
    assert_eq!(goes_wrong(None, told(&ids, None)), Err(WalkError::Short));
    assert_eq!(goes_wrong(None, REFUSAL), Err(WalkError::Short));
}

#[test]
fn a_page_that_goes_wrong_once_is_asked_for_again() {
    let ids: Vec<u64> = (1..=150).collect();
    for wrong in [
        told(&[], Some(150)),
        told(&[], None),
        told(&[101], Some(150)),
        REFUSAL,
    ] {
        let mut walk = Walk::new(Order::Ascending, None);
        assert_eq!(
            walk.look(told(&ids[..100], Some(150))),
            Ok(WalkStep::From(0))
        );
        ids[..100].iter().for_each(|id| walk.pass(*id));
        walk.turn();
        let ask = walk.ask();
        assert_eq!((ask.page, ask.size), (2, 99));
        assert_eq!(walk.look(wrong), Ok(WalkStep::Elsewhere));
        assert_eq!(walk.ask(), ask);
        assert_eq!(
            walk.look(told(&ids[99..], Some(150))),
            Ok(WalkStep::From(1))
        );
        ids[100..].iter().for_each(|id| walk.pass(*id));
        assert_eq!(walk.turn(), WalkStep::End);
    }
}

#[test]
fn an_empty_page_counts_if_repeated_or_with_a_total_of_zero() {
    let after = Position::Id { last: 7, place: 7 };
    let looks = |after: Option<&Position>, answer: PageSummary<'static>| {
        let mut walk = Walk::new(Order::Ascending, after);
        [walk.look(answer), walk.look(answer)]
    };
    let (again, end) = (Ok(WalkStep::Elsewhere), Ok(WalkStep::End));
    assert_eq!(looks(None, REFUSAL), [again, end]);
    assert_eq!(looks(None, told(&[], None)), [again, end]);
    assert_eq!(looks(None, told(&[], Some(0)))[0], end);
    assert_eq!(
        looks(None, told(&[], Some(3))),
        [again, Err(WalkError::Short)]
    );
    assert_eq!(looks(Some(&after), REFUSAL), [again, Err(WalkError::Short)]);
    assert_eq!(looks(Some(&after), told(&[], None)), [again, end]);
}

#[test]
fn a_list_in_no_order_or_of_too_long_pages_is_refused() {
    for (order, ids) in [
        (Order::Ascending, [2, 1]),
        (Order::Descending, [1, 2]),
        (Order::Ascending, [1, 1]),
    ] {
        let looked = Walk::new(order, None).look(told(&ids, None));
        assert_eq!(looked, Err(WalkError::Disorder));
    }
    let ids: Vec<u64> = (1..=101).collect();
    let looked = Walk::new(Order::Ascending, None).look(told(&ids, None));
    assert_eq!(looked, Err(WalkError::Excess));
}

/// A change of the list before a call: entries are added at one end, and those from a place on are
/// deleted.
type Change = (u64, usize, usize);

fn change_of(list: &mut List, next: &mut u64, (added, from, deleted): Change) {
    let from = from.min(list.ids.len());
    let to = (from + deleted).min(list.ids.len());
    list.ids.drain(from..to);
    list.ids.extend(*next..*next + added);
    *next += added;
}

proptest! {
    #[test]
    fn a_walk_finds_all_later_entries_from_any_position(
        count in 0_u64..300, limit in 16_usize..140, size in 1_usize..60, hint in 1_u64..600,
        last in 0_u64..320, ascending: bool, tells_total: bool,
    ) {
        let order = if ascending { Order::Ascending } else { Order::Descending };
        let mut list = List::new(1..=count, limit, tells_total);
        let mut after = Some(Position::Id { last, place: hint });
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

    #[test]
    fn entries_that_stay_are_listed_once_despite_changes(
        count in 0_u64..1_500, limit in 16_usize..140, size in 1_usize..400,
        changes in proptest::collection::vec((0_u64..40, 0_usize..1_500, 0_usize..60), 0..60),
        ascending: bool, tells_total: bool,
    ) {
        let order = if ascending { Order::Ascending } else { Order::Descending };
        let mut list = List::new(1..=count, limit, tells_total);
        let (mut next, mut changes) = (count + 1, changes.into_iter());
        let found = walk(&mut list, order, size, |list| {
            if let Some(change) = changes.next() {
                change_of(list, &mut next, change);
            }
        });
        let is_in_order = found.is_sorted_by(|one, other| order.is_before(one, other));
        prop_assert!(is_in_order, "a repeat");
        let seen: HashSet<u64> = found.into_iter().collect();
        let stayed = list.ids.iter().filter(|id| **id <= count);
        let missing: Vec<&u64> = stayed.filter(|id| !seen.contains(id)).collect();
        if !missing.is_empty() {
            return Err(TestCaseError::fail(format!("a gap: {missing:?}")));
        }
    }
}

//! A walk along a list whose pages shift, which finds its place again.
//!
//! Knows ids, their order, and the numbers and sizes of pages. Does not know how a page is fetched
//! or what is on it. Pure.
//!
//! The PBX numbers its pages from the end where the walk began. Entries that are added there, or
//! deleted, move all others to other places between two calls, and the total does not tell of one
//! that came for one that went. So the place is the id of the last entry that was passed; the
//! number of entries up to it is a hint. Every page is asked for in a size that puts the place
//! within it: the entries that follow the place on one page follow it in the list. Where the page
//! begins behind the place, the walk goes back until it sees the place.
//!
//! Assumed: a PBX gives as many entries as it is asked for, up to a limit of its own, which is at
//! least `MIN_PAGE_LIMIT`.

use crate::list::{Order, Position};

/// The entries of a page that is asked for. A PBX may give fewer.
const PAGE_SIZE: u64 = 100;
/// The least number of entries on a page that any PBX is assumed to give, where it has them.
const MIN_PAGE_LIMIT: u64 = 16;

/// The limit on empty pages, each of which may come from a deletion.
const MAX_VOIDS: u32 = 5;

/// The limit on pages in a row that are the same: as many entries may be added as the walk goes on.
const MAX_REPEATS: u32 = 4;

/// The reason why a page leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WalkError {
    Disorder,
    Excess,
    /// It is empty, short or a page of another number, the second time, too.
    Short,
}

impl WalkError {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Disorder => "its entries are not in the order that was asked for",
            Self::Excess => "it has more entries than were asked for",
            Self::Short => "it ends before the list does",
        }
    }
}

/// The step of the walk that a page shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WalkStep {
    /// The entries of the page from this one on come next.
    From(usize),
    /// Another page comes next.
    Elsewhere,
    /// The list has ended.
    End,
}

/// The address of a page: its number, from 1, in a list cut into pages of this size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PageAddress {
    pub(super) page: u64,
    pub(super) size: u64,
}

impl PageAddress {
    pub(super) const FIRST: Self = Self {
        page: 1,
        size: PAGE_SIZE,
    };

    /// The number of entries before the page.
    fn before(self) -> u64 {
        (self.page - 1).saturating_mul(self.size)
    }
}

/// The page that the PBX gave, as far as the walk needs it.
#[derive(Debug, Clone, Copy)]
pub(super) struct PageSummary<'a> {
    pub(super) ids: &'a [u64],
    /// Entries on the page, those that it repeats and those without an id too.
    pub(super) rows: u64,
    /// Entries without an id behind the last one that has one.
    pub(super) behind: u64,
    /// The number of entries of the list, where the PBX tells it.
    pub(super) total: Option<u64>,
    /// The PBX said that there is no such page, and not that the page is empty.
    pub(super) is_refusal: bool,
}

/// The place of a page in the list.
struct PagePlace {
    /// The number of entries before it, if the PBX gives as many a page as it was asked for.
    before: u64,
    /// The PBX gives as many a page as it was asked for.
    is_known: bool,
    /// The list's last entry is on it.
    ends: bool,
    /// The list goes on behind the page, though the page has room left.
    is_short: bool,
}

/// A walk along a list.
pub(super) struct Walk {
    order: Order,
    /// The last entry that was passed.
    last: Option<u64>,
    /// The number of entries up to it, or up to the place where it is looked for.
    place: u64,
    /// The most entries that a page had so far: the PBX gives at least that many.
    limit: Option<u64>,
    /// The length of the last step back.
    stride: u64,
    /// The first id of the last page, and the number of entries before it.
    last_page: Option<(u64, u64)>,
    /// The length of the list when the PBX last told it.
    total: Option<u64>,
    /// Pages in a row that were the same in another place.
    repeats: u32,
    /// Pages in a row that cannot be right.
    doubts: u32,
    /// Empty pages, since an entry was passed, where the walk had seen its place.
    voids: u32,
    /// The last page has the list's last entry.
    ends: bool,
}

impl Walk {
    /// Begins behind `after`; a position of another kind of list is none.
    pub(super) fn new(order: Order, after: Option<&Position>) -> Self {
        let (last, place) = match after {
            Some(Position::Id { last, place }) => (Some(*last), *place),
            Some(Position::Start(_)) | None => (None, 0),
        };
        Self {
            order,
            last,
            place,
            limit: None,
            stride: 0,
            last_page: None,
            total: None,
            repeats: 0,
            doubts: 0,
            voids: 0,
            ends: false,
        }
    }

    /// The page to ask for next: the one with the place, of the size that brings the most entries
    /// behind it.
    pub(super) fn ask(&self) -> PageAddress {
        let limit = self.limit.unwrap_or(PAGE_SIZE);
        let Some(index) = self.place.checked_sub(1) else {
            let (page, size) = (1, limit);
            return PageAddress { page, size };
        };
        let behind = |size: &u64| size - 1 - index % size;
        let size = (2..=limit).max_by_key(behind).unwrap_or(limit);
        let page = index / size + 1;
        PageAddress { page, size }
    }

    /// The position at which another walk can go on; `None` while no entry was passed.
    pub(super) fn position(&self) -> Option<Position> {
        let (last, place) = (self.last?, self.place.max(1));
        Some(Position::Id { last, place })
    }

    /// Looks at the answer to `ask`, which no call of `look` has come after.
    ///
    /// # Errors
    /// The list cannot be walked, or not now.
    pub(super) fn look(&mut self, answer: PageSummary<'_>) -> Result<WalkStep, WalkError> {
        let (order, ask) = (self.order, self.ask());
        let is_before = |one: &u64, other: &u64| order.is_before(one, other);
        if !answer.ids.is_sorted_by(is_before) {
            return Err(WalkError::Disorder);
        }
        if answer.rows > ask.size {
            return Err(WalkError::Excess);
        }
        self.total = answer.total.or(self.total);
        self.place = self.place.min(answer.total.unwrap_or(u64::MAX));
        match answer.ids.first() {
            Some(first) => self.look_at_entries(ask, answer, *first),
            None if answer.rows > 0 => self.look_at_strangers(ask, answer),
            None => self.look_at_nothing(ask, answer.is_refusal),
        }
    }

    fn look_at_entries(
        &mut self,
        ask: PageAddress,
        answer: PageSummary<'_>,
        first: u64,
    ) -> Result<WalkStep, WalkError> {
        let measure = self.measure(ask, answer);
        if measure.is_short {
            return self.doubt();
        }
        let order = self.order;
        let passed = |id: &u64| self.last.is_some_and(|last| !order.is_before(&last, id));
        let next = answer.ids.partition_point(passed);
        // Every entry was passed before, and the same page stood elsewhere: the PBX may give one
        // page for all numbers. Entries that were added may have moved it here, too, so the walk
        // looks at a few more.
        let here = Some((first, measure.before)).filter(|_| measure.is_known);
        let repeats = next == answer.ids.len() && is_elsewhere(self.last_page, here);
        self.last_page = here.or(self.last_page);
        self.repeats = if repeats { self.repeats + 1 } else { 0 };
        if self.repeats > MAX_REPEATS {
            return Err(WalkError::Short);
        }
        self.doubts = 0;
        self.ends = measure.ends && !repeats;
        if next == 0 && ask.page > 1 {
            self.step_back(measure.before);
            return Ok(WalkStep::Elsewhere);
        }
        if measure.is_known {
            let left = (answer.ids.len() - next) as u64;
            // The place is that of an entry with an id, which it is found again by.
            let rows = answer.rows.saturating_sub(answer.behind);
            let stands = measure.before.saturating_add(rows);
            self.place = stands.saturating_sub(left);
        }
        if next == answer.ids.len() {
            return Ok(self.turn());
        }
        Ok(WalkStep::From(next))
    }

    /// Finds the place of a page, and learns how many entries the PBX gives at once.
    fn measure(&mut self, ask: PageAddress, answer: PageSummary<'_>) -> PagePlace {
        let before = ask.before();
        let is_full = answer.rows == ask.size;
        let has_limit = self.limit.is_some();
        let limit = self.limit.unwrap_or(MIN_PAGE_LIMIT).max(answer.rows);
        self.limit = Some(limit);
        let is_known = ask.page == 1 || is_full || has_limit;
        let ends = match answer.total {
            _ if !is_known => false,
            Some(total) => before.saturating_add(answer.rows) >= total,
            None => has_limit && !is_full,
        };
        PagePlace {
            before,
            is_known,
            ends,
            is_short: has_limit && !is_full && !ends,
        }
    }

    /// Looks at a page without any id. As the only page it is the whole list; in the middle of a
    /// list it leads nowhere.
    fn look_at_strangers(
        &mut self,
        ask: PageAddress,
        answer: PageSummary<'_>,
    ) -> Result<WalkStep, WalkError> {
        if ask.page > 1 {
            return self.look_before(ask.before());
        }
        let is_whole = match answer.total {
            Some(total) => answer.rows >= total,
            None => answer.rows < MIN_PAGE_LIMIT,
        };
        match is_whole {
            true => Ok(WalkStep::End),
            false => self.doubt(),
        }
    }

    /// Looks at an empty page. It is believed at once only where the total confirms it.
    fn look_at_nothing(
        &mut self,
        ask: PageAddress,
        is_refusal: bool,
    ) -> Result<WalkStep, WalkError> {
        let before = ask.before();
        match self.total {
            Some(0) => Ok(WalkStep::End),
            Some(total) if total > before => self.doubt(),
            None if ask.page == 1 => {
                let is_believed = self.last.is_none() || !is_refusal;
                if is_believed && self.doubts > 0 {
                    return Ok(WalkStep::End);
                }
                self.doubt()
            }
            Some(_) | None => self.look_before(before),
        }
    }

    /// Goes back: entries up to the place may have been deleted. The limit is for a PBX that has
    /// entries on one page and nothing on the next, which would lead back and forth for ever.
    fn look_before(&mut self, before: u64) -> Result<WalkStep, WalkError> {
        self.voids += u32::from(self.stride == 0);
        if self.voids > MAX_VOIDS {
            return Err(WalkError::Short);
        }
        self.step_back(before);
        Ok(WalkStep::Elsewhere)
    }

    /// Asks for the page again, once: the first time may be chance.
    fn doubt(&mut self) -> Result<WalkStep, WalkError> {
        self.doubts += 1;
        if self.doubts > 1 {
            return Err(WalkError::Short);
        }
        Ok(WalkStep::Elsewhere)
    }

    /// Looks for the place further to the front than the page behind `before` entries.
    fn step_back(&mut self, before: u64) {
        let least = self.limit.unwrap_or(PAGE_SIZE) / 2;
        self.stride = self.stride.saturating_mul(2).max(least);
        self.place = self.place.min(before).saturating_sub(self.stride);
    }

    /// Notes an entry of the page as passed.
    pub(super) fn pass(&mut self, id: u64) {
        self.last = Some(id);
        self.voids = 0;
        self.place = self.place.saturating_add(1);
    }

    /// Goes on from a page whose entries have all been passed.
    pub(super) fn turn(&mut self) -> WalkStep {
        self.stride = 0;
        if self.ends {
            WalkStep::End
        } else {
            WalkStep::Elsewhere
        }
    }
}

/// Returns true if the same page was seen at another place.
fn is_elsewhere(last_page: Option<(u64, u64)>, here: Option<(u64, u64)>) -> bool {
    matches!((last_page, here), (Some(one), Some(other)) if one.0 == other.0 && one.1 != other.1)
}

#[cfg(test)]
mod tests;

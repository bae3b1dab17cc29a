//! Finding one's place again in a list whose pages shift.
//!
//! Knows ids, their order, and the numbers and sizes of pages. Does not know how a page is fetched or what is on it.
//! Pure.
//!
//! The PBX numbers its pages from the end where the walk began. Entries that are added there, or deleted, move all others
//! to other places between two calls, and no total tells of one that came for one that went. So the place is the last
//! entry's id, and how many entries stood up to it is a hint. Every page is asked for in a size that puts the place
//! within it: what follows an entry that was passed, on one page, follows it in the list. Where the page begins behind
//! the place, the walk goes back until it sees the place.
//!
//! Assumed: a PBX gives as many entries as it is asked for, up to a limit of its own, which is at least `LEAST_LIMIT`.

use crate::list::{Order, Position};

/// Entries asked for at once. A PBX may give fewer.
const PAGE_SIZE: u64 = 100;
/// No PBX is taken to give fewer entries a page than this, where it has them and is asked for them.
const LEAST_LIMIT: u64 = 16;

/// Empty pages that may be deletions, each.
const MAX_VOIDS: u32 = 5;

/// Pages in a row that may be the same because as many entries were added as the walk went on.
const MAX_REPEATS: u32 = 4;

/// Why a page means nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WalkError {
    Disorder,
    Excess,
    /// It is empty, short or that of another number, and was so when it was asked for again.
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

/// What a page is for the walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WalkStep {
    /// Its entries from this one on come next.
    From(usize),
    /// It shows the way to another page.
    Elsewhere,
    /// There is nothing any more.
    End,
}

/// A page to fetch: its number, from 1, in a list cut into pages of this size.
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

    /// How many entries stand before the page.
    fn before(self) -> u64 {
        (self.page - 1).saturating_mul(self.size)
    }
}

/// What the PBX said of the page that was asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct PageSummary<'a> {
    pub(super) ids: &'a [u64],
    /// Entries on the page, those that it repeats and those without an id too.
    pub(super) rows: u64,
    /// Entries without an id behind the last one that has one.
    pub(super) behind: u64,
    /// How many the list has, where that is told.
    pub(super) total: Option<u64>,
    /// It said that there is no such thing, and not that there is nothing.
    pub(super) is_refusal: bool,
}

/// Where a page stands in the list.
struct PagePlace {
    /// How many entries stand before it, if the PBX gives as many a page as it was asked for.
    before: u64,
    /// It does.
    is_known: bool,
    /// The list's last entry is on it.
    ends: bool,
    /// The list goes on, and the page has room left.
    is_short: bool,
}

/// A walk along a list.
pub(super) struct Walk {
    order: Order,
    /// The last entry that was passed.
    last: Option<u64>,
    /// How many entries stood up to it, or up to where it is looked for.
    place: u64,
    /// A page of this many entries was seen, so the PBX gives that many.
    limit: Option<u64>,
    /// How far the last step back went.
    stride: u64,
    /// The first id of the page seen last, and how many entries stood before it.
    seen: Option<(u64, u64)>,
    /// The length of the list when it was last told.
    total: Option<u64>,
    /// Pages in a row that were the same in another place.
    repeats: u32,
    /// Pages in a row that cannot be right.
    doubts: u32,
    /// Empty pages where the place had been seen, since an entry was passed.
    voids: u32,
    /// The page seen last has the list's last entry.
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
            seen: None,
            total: None,
            repeats: 0,
            doubts: 0,
            voids: 0,
            ends: false,
        }
    }

    /// The page to fetch next: the one with the place, and as much behind it as can be had.
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

    /// Where another walk can go on; `None` while nothing was passed.
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
        // A PBX that gives one page for all. What was added may have moved it here, so the one behind it is seen, too.
        let here = Some((first, measure.before)).filter(|_| measure.is_known);
        let repeats = next == answer.ids.len() && is_elsewhere(self.seen, here);
        self.seen = here.or(self.seen);
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
            // The place is that of an entry with an id: by that it is found again.
            let rows = answer.rows.saturating_sub(answer.behind);
            let stands = measure.before.saturating_add(rows);
            self.place = stands.saturating_sub(left);
        }
        if next == answer.ids.len() {
            return Ok(self.turn());
        }
        Ok(WalkStep::From(next))
    }

    /// Finds out where a page stands, and learns how much the PBX gives at once.
    fn measure(&mut self, ask: PageAddress, answer: PageSummary<'_>) -> PagePlace {
        let before = ask.before();
        let is_full = answer.rows == ask.size;
        let has_limit = self.limit.is_some();
        let limit = self.limit.unwrap_or(LEAST_LIMIT).max(answer.rows);
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

    /// Not one entry of the page has an id. By itself it is a list; in the middle of one it leads
    /// nowhere.
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
            None => answer.rows < LEAST_LIMIT,
        };
        match is_whole {
            true => Ok(WalkStep::End),
            false => self.doubt(),
        }
    }

    /// Nothing is believed at once only where the total bears it out.
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

    /// Entries up to the place may have been deleted. A PBX that has them on one page and nothing on the next would lead
    /// back and forth for ever.
    fn look_before(&mut self, before: u64) -> Result<WalkStep, WalkError> {
        self.voids += u32::from(self.stride == 0);
        if self.voids > MAX_VOIDS {
            return Err(WalkError::Short);
        }
        self.step_back(before);
        Ok(WalkStep::Elsewhere)
    }

    /// Once may be chance.
    fn doubt(&mut self) -> Result<WalkStep, WalkError> {
        self.doubts += 1;
        if self.doubts > 1 {
            return Err(WalkError::Short);
        }
        Ok(WalkStep::Elsewhere)
    }

    /// Looks for the place further to the front than the page behind so many entries.
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

/// Whether the same page was seen in another place.
fn is_elsewhere(seen: Option<(u64, u64)>, here: Option<(u64, u64)>) -> bool {
    matches!((seen, here), (Some(one), Some(other)) if one.0 == other.0 && one.1 != other.1)
}

#[cfg(test)]
mod tests;

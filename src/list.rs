//! The list of recordings, in one form for every PBX: its query, its entries, its pages.
//!
//! Knows parameters, filters, pages and cursors. Does not know how a PBX is queried, who the caller
//! is, or HTTP. Pure: no clock.

mod cursor;
mod document;
mod form;
mod page;
mod query;

use std::cmp::Ordering;
use std::time::SystemTime;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

pub(crate) use crate::recording::Direction;
use crate::recording::RecordingName;
pub(crate) use cursor::Position;
pub(crate) use document::{next_link, write};
pub(crate) use page::PageCollector;
pub(crate) use query::{ListFilter, Query, QueryError};

/// A time in whole seconds since 1970.
pub(crate) type Second = i64;

/// The longest party or id that is kept, the same as for a name. It bounds the size of a page,
/// whatever the rows hold.
const MAX_FIELD_BYTES: usize = 255;

/// The order of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Oldest first.
    Ascending,
    /// Newest first.
    Descending,
}

impl Order {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ascending => "asc",
            Self::Descending => "desc",
        }
    }

    /// Returns true if `one` comes before `other` in this order.
    pub(crate) fn is_before<T: Ord>(self, one: &T, other: &T) -> bool {
        match self {
            Self::Ascending => one.cmp(other) == Ordering::Less,
            Self::Descending => one.cmp(other) == Ordering::Greater,
        }
    }
}

/// The rows of a PBX's list that are left out because they cannot be read. The caller learns their
/// number, but not their contents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct UnreadableRows {
    pub(crate) rows: u64,
    /// The reason for the first one.
    pub(crate) first: &'static str,
}

impl UnreadableRows {
    pub(crate) const NO_NAME: &'static str = "its recording has no name that an address can hold";

    pub(crate) fn add(&mut self, rows: u64, why: &'static str) {
        if self.rows == 0 && rows > 0 {
            self.first = why;
        }
        self.rows = self.rows.saturating_add(rows);
    }
}

/// A row of a PBX's list, in the PBX's local time. A blank text means that the value is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ListRow {
    pub(crate) name: String,
    /// The start of the call by the row's own field, not by the name.
    pub(crate) local_start: Option<DateTime>,
    /// `Name<number>`, or the number.
    pub(crate) caller: String,
    pub(crate) callee: String,
    pub(crate) direction: String,
    pub(crate) duration_s: Option<u64>,
    pub(crate) size_bytes: Option<u64>,
    pub(crate) call_id: String,
}

/// One recording of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListEntry {
    pub(crate) name: RecordingName,
    pub(crate) started: Option<Second>,
    /// True if the start comes from the name, and so is the same in every row of the recording.
    pub(crate) start_is_named: bool,
    pub(crate) caller: Option<String>,
    pub(crate) callee: Option<String>,
    pub(crate) direction: Option<Direction>,
    pub(crate) duration_s: Option<u64>,
    pub(crate) size_bytes: Option<u64>,
    pub(crate) call_id: Option<String>,
}

impl ListEntry {
    /// Reads a row of a PBX in `zone`. `None` if it names no recording, or a name that no path of
    /// the gateway can hold.
    ///
    /// The start is the UTC epoch in the name, or else the local time in the name, or else the
    /// row's own. The name comes first because it is the same in all rows of a recording, and the
    /// order of the list depends on that.
    pub(crate) fn from_row(row: ListRow, zone: &TimeZone) -> Option<Self> {
        let name: RecordingName = row.name.trim().parse().ok()?;
        let named = name.call_started().and_then(second);
        let named = named.or_else(|| unix_second(name.stamp()?, zone));
        Some(Self {
            started: named.or_else(|| unix_second(row.local_start?, zone)),
            start_is_named: named.is_some(),
            name,
            caller: number(&row.caller),
            callee: number(&row.callee),
            direction: Direction::of(&row.direction),
            duration_s: row.duration_s,
            size_bytes: row.size_bytes,
            call_id: non_blank(&row.call_id),
        })
    }
}

fn second(time: SystemTime) -> Option<Second> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok()
}

/// Converts a local time to UTC. If the clock was put back and the time occurs twice, takes the
/// first.
pub(crate) fn unix_second(time: DateTime, zone: &TimeZone) -> Option<Second> {
    let time = zone.to_ambiguous_timestamp(time).compatible().ok()?;
    Some(time.as_second())
}

/// Converts a second to the local time in `zone`. A second outside all calendars becomes the
/// nearest time.
pub(crate) fn local_time(second: Second, zone: &TimeZone) -> DateTime {
    let bounds = Timestamp::MIN.as_second()..=Timestamp::MAX.as_second();
    let within = second.clamp(*bounds.start(), *bounds.end());
    let time = Timestamp::from_second(within).unwrap_or(Timestamp::UNIX_EPOCH);
    zone.to_datetime(time)
}

/// The number in `Name<number>`, or the whole text.
fn number(party: &str) -> Option<String> {
    let party = party.trim();
    let inner = party.strip_suffix('>').and_then(|rest| {
        let (_, number) = rest.rsplit_once('<')?;
        Some(number)
    });
    non_blank(inner.unwrap_or(party))
}

/// Drops an empty text, which some PBXs write for an absent value, and one that is too long.
fn non_blank(text: &str) -> Option<String> {
    let text = text.trim();
    (1..=MAX_FIELD_BYTES)
        .contains(&text.len())
        .then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone() -> TimeZone {
        TimeZone::get("Europe/Berlin").unwrap()
    }

    #[track_caller]
    fn check_start(name: &str, row: Option<&str>, expected: Option<Second>) {
        let row = ListRow {
            name: name.to_owned(),
            local_start: row.map(|text| text.parse().unwrap()),
            ..ListRow::default()
        };
        let entry = ListEntry::from_row(row, &zone()).unwrap();
        assert_eq!(entry.started, expected, "{name}");
    }

    #[test]
    fn the_start_stands_in_the_name_or_in_the_row() {
        let row = Some("2017-09-14T11:30:15");
        let second = 1_505_381_415;
        check_start(
            "20170914093038-1505352615.274-1-9-Outbound.wav",
            row,
            Some(1_505_352_615),
        );
        check_start(
            "20170914113015-1505352615_274-1-9-Outbound.wav",
            None,
            Some(1_505_352_615),
        );
        check_start("20170914113015-x-1-9-Outbound.wav", None, Some(second));
        check_start("hello001", row, Some(second));
        check_start("hello001", None, None);
    }

    #[test]
    fn a_local_time_that_occurs_twice_is_the_first() {
        let twice = "2026-10-25T02:30:00".parse().unwrap();
        let utc = unix_second(twice, &zone()).unwrap();
        assert_eq!(local_time(utc + 3_600, &zone()), local_time(utc, &zone()));
        assert!(local_time(i64::MAX, &zone()).year() > 9_000);
    }

    #[track_caller]
    fn check_number(party: &str, expected: Option<&str>) {
        assert_eq!(number(party).as_deref(), expected, "{party}");
    }

    #[test]
    fn a_party_is_its_number() {
        check_number("1001", Some("1001"));
        check_number("Jo Doe<1001>", Some("1001"));
        check_number("Doe, \"Jo\" < +49 30 1 >", Some("+49 30 1"));
        check_number("a<b<1001>", Some("1001"));
        check_number("<1001", Some("<1001"));
        check_number("Jo<>", None);
        check_number(" ", None);
        check_number("", None);
    }

    #[test]
    fn a_field_longer_than_a_name_is_dropped() {
        let of = |bytes: usize| {
            let text = "1".repeat(bytes);
            let row = ListRow {
                name: "a.wav".to_owned(),
                caller: text.clone(),
                callee: format!("{}<{text}>", "Jo".repeat(1_000)),
                call_id: text,
                ..ListRow::default()
            };
            let entry = ListEntry::from_row(row, &TimeZone::UTC).unwrap();
            [entry.caller, entry.callee, entry.call_id].map(|field| field.map(|text| text.len()))
        };
        assert_eq!(of(255), [Some(255); 3]);
        assert_eq!(of(256), [None; 3]);
        let named = |bytes: usize| {
            let row = ListRow {
                name: "1".repeat(bytes),
                ..ListRow::default()
            };
            ListEntry::from_row(row, &TimeZone::UTC).is_some()
        };
        assert_eq!([255, 256].map(named), [true, false]);
    }

    #[test]
    fn a_value_that_the_pbx_does_not_give_is_absent() {
        let row = ListRow {
            name: " a.wav ".to_owned(),
            direction: "Callback".to_owned(),
            call_id: " ".to_owned(),
            ..ListRow::default()
        };
        let entry = ListEntry::from_row(row, &TimeZone::UTC).unwrap();
        assert_eq!(entry.name.as_str(), "a.wav");
        assert_eq!((entry.direction, entry.call_id), (None, None));
        assert_eq!(Direction::of("INBOUND "), Some(Direction::Inbound));
        for name in ["", " ", "a/b.wav", ".hidden"] {
            let name = name.to_owned();
            let row = ListRow {
                name,
                ..ListRow::default()
            };
            assert_eq!(ListEntry::from_row(row, &TimeZone::UTC), None);
        }
    }
}

//! The page of a list, chosen from a table of calls while it goes by.
//!
//! Knows when a table has all its rows, as far as the table itself tells. Does not know where it comes from. Pure.

use aws_lc_rs::digest::{Context, SHA256};
use jiff::tz::TimeZone;

use super::super::dialect::csv::{Record, Records};
use super::super::dialect::{Columns, FoundRow, RowError};
use super::{ListPage, Visible};
use crate::list::{ListEntry, ListRow, PageCollector, Position, Query, UnreadableRows};

/// What a table came to.
pub(super) struct Chosen {
    pub(super) page: ListPage,
    /// The last row has its line end. One without may be cut in its last field.
    pub(super) ends_in_line: bool,
    /// What two readings of the table are compared by.
    pub(super) hash: Vec<u8>,
    pub(super) rows: u64,
    /// Rows of calls without a recording.
    pub(super) nameless: u64,
}

/// A table that goes by.
pub(super) struct Choice<'a> {
    records: Records,
    rows: Rows<'a>,
    hash: Context,
    last: Option<u8>,
}

impl<'a> Choice<'a> {
    pub(super) fn new(query: &'a Query, zone: &'a TimeZone, visible: &'a Visible<'a>) -> Self {
        let after = match &query.after {
            Some(Position::Start(key)) => Some(key.clone()),
            Some(Position::Id { .. }) | None => None,
        };
        Self {
            records: Records::new(),
            rows: Rows {
                query,
                zone,
                visible,
                columns: None,
                selection: PageCollector::new(query.order, query.page_size, after),
                rows: 0,
                nameless: 0,
                unreadable: UnreadableRows::default(),
            },
            hash: Context::new(&SHA256),
            last: None,
        }
    }

    /// Takes the next piece of the table.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), RowError> {
        self.hash.update(bytes);
        self.last = bytes.last().copied().or(self.last);
        let rows = &mut self.rows;
        self.records.push(bytes, |record| rows.take(record))
    }

    /// After the last piece.
    pub(super) fn finish(self) -> Result<Chosen, RowError> {
        let mut rows = self.rows;
        self.records.finish(|record| rows.take(record))?;
        if rows.columns.is_none() {
            return Err(RowError::NoRecordings);
        }
        let (entries, next) = rows.selection.finish();
        Ok(Chosen {
            page: ListPage {
                entries,
                next,
                unreadable: rows.unreadable,
            },
            ends_in_line: matches!(self.last, Some(b'\n' | b'\r')),
            hash: self.hash.finish().as_ref().to_vec(),
            rows: rows.rows,
            nameless: rows.nameless,
        })
    }
}

struct Rows<'a> {
    query: &'a Query,
    zone: &'a TimeZone,
    visible: &'a Visible<'a>,
    columns: Option<Columns>,
    selection: PageCollector,
    rows: u64,
    nameless: u64,
    unreadable: UnreadableRows,
}

impl Rows<'_> {
    fn take(&mut self, record: Record<'_>) -> Result<(), RowError> {
        let Some(columns) = &self.columns else {
            self.columns = Some(Columns::of(record)?);
            return Ok(());
        };
        let found = columns.row(record)?;
        self.rows += u64::from(found != FoundRow::Blank);
        match found {
            FoundRow::Recorded(row) => self.offer(row),
            FoundRow::Unrecorded => self.nameless += 1,
            FoundRow::Unreadable(why) => self.unreadable.add(1, why),
            FoundRow::Blank => {}
        }
        Ok(())
    }

    fn offer(&mut self, row: ListRow) {
        match ListEntry::from_row(row, self.zone) {
            Some(entry) if self.query.filter.matches(&entry) => {
                let visible = |entry: &ListEntry| (self.visible)(&entry.name);
                self.selection.offer(entry, visible);
            }
            Some(_) => {}
            None => self.unreadable.add(1, UnreadableRows::NO_NAME),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "callid,timestart,callfrom,recording,sn\n";

    fn row(number: u32) -> String {
        let start = 1_767_225_600 + number;
        let name = format!("20260101000000-{start}.{number}-1001-1003-Internal.wav");
        format!("{start}.{number},2026-01-01 00:00:00,1001,{name},36\n")
    }

    fn query(text: &str) -> Query {
        let window = "from=2026-01-01&to=2027-01-01";
        Query::parse(Some(&format!("{window}{text}")), "office", &TimeZone::UTC).unwrap()
    }

    fn choose(query: &Query, table: &str) -> Result<Chosen, RowError> {
        let zone = TimeZone::UTC;
        let mut choice = Choice::new(query, &zone, &|_| true);
        for piece in table.as_bytes().chunks(1_000) {
            choice.push(piece)?;
        }
        choice.finish()
    }

    #[test]
    fn a_table_is_walked_page_by_page() {
        let table: String = (0..5_000).map(row).collect();
        let table = format!("{HEAD}{table}");
        for order in ["&order=asc", "&order=desc"] {
            let (mut cursor, mut starts) = (String::new(), Vec::new());
            loop {
                let query = query(&format!("&page_size=400{order}{cursor}"));
                let chosen = choose(&query, &table).unwrap();
                assert_eq!((chosen.rows, chosen.nameless), (5_000, 0));
                starts.extend(
                    chosen
                        .page
                        .entries
                        .iter()
                        .map(|entry| entry.started.unwrap()),
                );
                match chosen.page.next {
                    Some(next) => cursor = format!("&cursor={}", query.cursor(&next)),
                    None => break,
                }
            }
            if order == "&order=desc" {
                starts.reverse();
            }
            assert!(starts.iter().copied().eq(1_767_225_600..1_767_230_600));
        }
    }

    #[test]
    fn a_table_that_was_cut_is_known_by_its_last_row_or_its_line_end() {
        let (first, second) = (row(1), row(2));
        let table = format!("{HEAD}{first}{second}");
        let query = query("");
        let whole = choose(&query, &table).unwrap();
        assert!(whole.ends_in_line && whole.page.entries.len() == 2);
        let within_last_field = table.len() - second.len() + second.rfind(',').unwrap();
        for length in 0..table.len() {
            let cut = choose(&query, &table[..length]).map(|chosen| chosen.ends_in_line);
            let is_line = table[..length].ends_with('\n');
            let expected = match length {
                _ if is_line => Ok(true),
                _ if length < HEAD.find(",sn").unwrap() => Err(RowError::NoRecordings),
                _ if length < HEAD.len() => Ok(false),
                _ if length > within_last_field => Ok(false),
                _ if length > HEAD.len() + first.rfind(',').unwrap()
                    && length < HEAD.len() + first.len() =>
                {
                    Ok(false)
                }
                _ => Err(RowError::Cut),
            };
            assert_eq!(cut, expected, "{length}");
        }
    }

    #[test]
    fn calls_without_a_recording_are_counted_and_left_out() {
        let table = format!("{HEAD}1.1,,1001,,36\n1.2,,1001, ,36\n1.3,,1001,../x.wav,36\n");
        let chosen = choose(&query(""), &table).unwrap();
        assert_eq!((chosen.rows, chosen.nameless), (3, 2));
        // That one is a recording, so the list is short by it.
        assert_eq!(chosen.page.unreadable.rows, 1);
        assert!(chosen.page.entries.is_empty() && chosen.page.next.is_none());
    }

    #[test]
    fn a_row_that_cannot_be_read_is_counted_and_no_cut() {
        let odd = "1.1,,Doe, Jo,a.wav,36\n";
        let (first, second) = (row(1), row(2));
        for (table, expected) in [
            (odd.to_owned(), (0, 1)),
            (format!("{odd}{first}{odd}{second}"), (2, 2)),
            (format!("{first}{second}{}", odd.trim_end()), (2, 1)),
        ] {
            let chosen = choose(&query(""), &format!("{HEAD}{table}")).unwrap();
            let page = &chosen.page;
            assert_eq!((page.entries.len(), page.unreadable.rows), expected);
            assert_eq!(chosen.rows, (expected.0 as u64) + expected.1);
        }
    }
}

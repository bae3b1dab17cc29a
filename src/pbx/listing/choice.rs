//! The page of a list, chosen from a table of calls while it goes by.
//!
//! Knows when a table has all its rows, as far as the table itself tells. Does not know where it comes from. Pure.

use aws_lc_rs::digest::{Context, SHA256};
use jiff::tz::TimeZone;
use thiserror::Error;

use super::super::dialect::csv::{Record, Records};
use super::super::dialect::{Columns, RowError};
use super::{ListPage, Visible};
use crate::list::{Entry, Position, Query, Selection};

/// Why a table gives no page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum TableError {
    #[error(transparent)]
    Row(#[from] RowError),
    /// It ends in the middle of a row.
    #[error("it ends within a row")]
    Cut,
}

/// What a table came to.
pub(super) struct Chosen {
    pub(super) page: ListPage,
    /// The last row has its line end. One without may be cut in its last field.
    pub(super) ends_in_line: bool,
    /// What two readings of the table are compared by.
    pub(super) hash: Vec<u8>,
    pub(super) rows: u64,
    /// Rows of calls without a recording, or whose recording no path of ours can name.
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
                selection: Selection::new(query.order, query.page_size, after),
                rows: 0,
                nameless: 0,
            },
            hash: Context::new(&SHA256),
            last: None,
        }
    }

    /// Takes the next piece of the table.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), TableError> {
        self.hash.update(bytes);
        self.last = bytes.last().copied().or(self.last);
        let rows = &mut self.rows;
        let pushed = self.records.push(bytes, |record| rows.take(record));
        pushed.map_err(TableError::Row)
    }

    /// After the last piece.
    pub(super) fn finish(self) -> Result<Chosen, TableError> {
        let mut rows = self.rows;
        let last = self.records.finish(|record| rows.take(record));
        last.map_err(|error| match error {
            RowError::Ragged => TableError::Cut,
            other => TableError::Row(other),
        })?;
        if rows.columns.is_none() {
            return Err(RowError::NoRecordings.into());
        }
        let (entries, next) = rows.selection.finish();
        Ok(Chosen {
            page: ListPage { entries, next },
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
    selection: Selection,
    rows: u64,
    nameless: u64,
}

impl Rows<'_> {
    fn take(&mut self, record: Record<'_>) -> Result<(), RowError> {
        let Some(columns) = &self.columns else {
            self.columns = Some(Columns::of(record)?);
            return Ok(());
        };
        self.rows += 1;
        match Entry::of(columns.row(record)?, self.zone) {
            Some(entry) if self.query.filter.wants(&entry) => {
                let visible = |entry: &Entry| (self.visible)(&entry.name);
                self.selection.offer(entry, visible);
            }
            Some(_) => {}
            None => self.nameless += 1,
        }
        Ok(())
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

    fn choose(query: &Query, table: &str) -> Result<Chosen, TableError> {
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
                _ if length < HEAD.find(",sn").unwrap() => {
                    Err(TableError::Row(RowError::NoRecordings))
                }
                _ if length < HEAD.len() => Ok(false),
                _ if length > within_last_field => Ok(false),
                _ if length > HEAD.len() + first.rfind(',').unwrap()
                    && length < HEAD.len() + first.len() =>
                {
                    Ok(false)
                }
                _ => Err(TableError::Cut),
            };
            assert_eq!(cut, expected, "{length}");
        }
    }

    #[test]
    fn calls_without_a_recording_are_counted_and_left_out() {
        let table = format!("{HEAD}1.1,,1001,,36\n1.2,,1001, ,36\n1.3,,1001,../x.wav,36\n");
        let chosen = choose(&query(""), &table).unwrap();
        assert_eq!((chosen.rows, chosen.nameless), (3, 3));
        assert!(chosen.page.entries.is_empty() && chosen.page.next.is_none());
    }

    #[test]
    fn a_row_of_another_number_of_fields_is_no_cut() {
        let table = format!("{HEAD}1.1,,Doe, Jo,a.wav,36\n");
        let ragged = choose(&query(""), &table).map(drop);
        assert_eq!(ragged, Err(TableError::Row(RowError::Ragged)));
    }
}

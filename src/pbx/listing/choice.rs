//! The page of a list, chosen from a table of calls while it goes by.
//!
//! Knows when a table has all its rows, as far as the table itself tells. Does not know where it
//! comes from. Pure.

use aws_lc_rs::digest::{Context, SHA256};
use jiff::tz::TimeZone;

use super::{ListPage, Visible};
use crate::list::{ListEntry, ListRow, PageCollector, Position, Query, UnreadableRows};
use crate::pbx::dialect::csv::{CsvReader, CsvRecord};
use crate::pbx::dialect::{TableColumns, TableError, TableRow};

/// The page that was chosen from a table, and the facts that tell whether the table is whole.
pub(super) struct TableSelection {
    pub(super) page: ListPage,
    /// The last row has its line end. One without may be cut in its last field.
    pub(super) ends_in_line: bool,
    /// Two readings of the table are compared by it.
    pub(super) hash: Vec<u8>,
    pub(super) rows: u64,
    /// Rows of calls without a recording.
    pub(super) nameless: u64,
}

/// Chooses the rows of a page while the table goes by.
pub(super) struct TableSelector<'a> {
    records: CsvReader,
    rows: RowSelector<'a>,
    hash: Context,
    last: Option<u8>,
}

impl<'a> TableSelector<'a> {
    pub(super) fn new(query: &'a Query, zone: &'a TimeZone, visible: &'a Visible<'a>) -> Self {
        let after = match &query.after {
            Some(Position::Start(key)) => Some(key.clone()),
            Some(Position::Id { .. }) | None => None,
        };
        Self {
            records: CsvReader::new(),
            rows: RowSelector {
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
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), TableError> {
        self.hash.update(bytes);
        self.last = bytes.last().copied().or(self.last);
        let rows = &mut self.rows;
        self.records.push(bytes, |record| rows.take(record))
    }

    /// After the last piece.
    pub(super) fn finish(self) -> Result<TableSelection, TableError> {
        let mut rows = self.rows;
        self.records.finish(|record| rows.take(record))?;
        if rows.columns.is_none() {
            return Err(TableError::NoRecordings);
        }
        let (entries, next) = rows.selection.finish();
        Ok(TableSelection {
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

struct RowSelector<'a> {
    query: &'a Query,
    zone: &'a TimeZone,
    visible: &'a Visible<'a>,
    columns: Option<TableColumns>,
    selection: PageCollector,
    rows: u64,
    nameless: u64,
    unreadable: UnreadableRows,
}

impl RowSelector<'_> {
    fn take(&mut self, record: CsvRecord<'_>) -> Result<(), TableError> {
        let Some(columns) = &self.columns else {
            self.columns = Some(TableColumns::of(record)?);
            return Ok(());
        };
        let found = columns.row(record)?;
        self.rows += u64::from(found != TableRow::Blank);
        match found {
            TableRow::Recorded(row) => self.offer(row),
            TableRow::Unrecorded => self.nameless += 1,
            TableRow::Unreadable(why) => self.unreadable.add(1, why),
            TableRow::Blank => {}
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

    fn choose(query: &Query, table: &str) -> Result<TableSelection, TableError> {
        let zone = TimeZone::UTC;
        let mut choice = TableSelector::new(query, &zone, &|_| true);
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
    fn a_cut_table_is_detected_by_its_last_row_or_line_end() {
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
                _ if length < HEAD.find(",sn").unwrap() => Err(TableError::NoRecordings),
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
        assert_eq!((chosen.rows, chosen.nameless), (3, 2));
        // The third row names a recording that cannot be read, so the list lacks one.
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

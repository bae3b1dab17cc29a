//! The CDR as a table of text: columns, rows, and the spelling of values.
//!
//! Knows which calls a selection includes, the order of rows, quotation marks, blanks and line
//! ends. Does not know who may have the table, or how it is sent. The values of columns are in
//! [`columns`], times are in [`clock`].
//!
//! Source: published clients that import `cdr/download` read the names of columns from the first
//! line, and accept quoted values, blanks and a byte order mark. The default form, the line end and
//! the order of rows are assumptions, with switches.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::HashMap;

use bytes::Bytes;

use super::calls::CallRecord;
use super::switch::{Switch, Switches};

mod clock;
mod columns;

pub(super) use clock::read_clock;
pub(super) use columns::CdrVersion;

use columns::CdrRow;

/// The time by which the second row of a call is later, under [`Switch::CsvRowsRepeat`].
const SECOND_ROW_AFTER_S: i64 = 7;
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// The conditions for calls of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CallSelection {
    /// The extensions that called or were called. `None` means all.
    pub(super) extensions: Option<Vec<String>>,
    /// First and last second of the period, in the Unix epoch.
    pub(super) start: i64,
    pub(super) end: i64,
}

/// A complete table.
pub(super) struct CdrTable {
    pub(super) bytes: Bytes,
    /// The position after the last byte of each row. The line with the names of columns has no
    /// entry.
    pub(super) row_ends: Vec<u64>,
}

impl CallSelection {
    fn includes(&self, time: i64, call: &CallRecord) -> bool {
        let named = |extension: &String| *extension == call.caller || *extension == call.callee;
        let of_extension = |extensions: &Vec<String>| extensions.iter().any(named);
        (self.start..=self.end).contains(&time) && self.extensions.as_ref().is_none_or(of_extension)
    }
}

/// Writes the table.
pub(super) fn table(
    calls: &[CallRecord],
    odd_rows: &HashMap<String, String>,
    selection: &CallSelection,
    version: CdrVersion,
    utc_offset_s: i64,
    switches: &Switches,
) -> CdrTable {
    if switches.has(Switch::CsvEmptyBody) {
        return CdrTable {
            bytes: Bytes::new(),
            row_ends: Vec::new(),
        };
    }
    let columns = version.columns(switches);
    let mut writer = CdrWriter::new(switches);
    writer.line(columns.iter().map(|column| column.title(version, switches)));
    let mut row_ends = Vec::new();
    for row in rows(calls, selection, switches) {
        match odd_rows.get(&row.call.recording) {
            Some(text) => writer.as_it_is(text),
            None => writer.line(
                columns
                    .iter()
                    .map(|column| column.value(&row, utc_offset_s, switches)),
            ),
        }
        row_ends.push(writer.text.len() as u64);
    }
    CdrTable {
        bytes: Bytes::from(writer.text),
        row_ends,
    }
}

fn rows<'a>(
    calls: &'a [CallRecord],
    selection: &CallSelection,
    switches: &Switches,
) -> Vec<CdrRow<'a>> {
    if switches.has(Switch::CsvHeaderOnly) {
        return Vec::new();
    }
    let repeats = switches.has(Switch::CsvRowsRepeat);
    let of_call = |call: &'a CallRecord| {
        let time = call.started;
        let second = repeats.then_some(time + SECOND_ROW_AFTER_S);
        [Some(time), second]
            .into_iter()
            .flatten()
            .map(move |time| CdrRow { time, call })
    };
    let all = calls.iter().flat_map(of_call);
    let mut rows: Vec<_> = all
        .filter(|row| selection.includes(row.time, row.call))
        .collect();
    if switches.has(Switch::CsvNewestFirst) {
        rows.sort_by_key(|row| Reverse(row.time));
    }
    rows
}

/// Writes the lines of the table.
struct CdrWriter {
    text: String,
    all_quoted: bool,
    blanks: bool,
    line_end: &'static str,
}

impl CdrWriter {
    fn new(switches: &Switches) -> Self {
        let start = if switches.has(Switch::CsvBom) {
            BYTE_ORDER_MARK
        } else {
            ""
        };
        let crlf = switches.has(Switch::CsvCrlf);
        Self {
            text: start.to_owned(),
            all_quoted: switches.has(Switch::CsvQuoted),
            blanks: switches.has(Switch::CsvBlanks),
            line_end: if crlf { "\r\n" } else { "\n" },
        }
    }

    fn line<'a>(&mut self, values: impl Iterator<Item = Cow<'a, str>>) {
        for (index, value) in values.enumerate() {
            if index > 0 {
                self.text.push(',');
            }
            self.value(&value);
        }
        self.text.push_str(self.line_end);
    }

    fn as_it_is(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push_str(self.line_end);
    }

    /// Writes a value. One with a comma, a quotation mark or a line end in it is always quoted (RFC
    /// 4180, section 2). Blanks stand inside the quotation marks.
    fn value(&mut self, value: &str) {
        let quoted = self.all_quoted || value.bytes().any(must_be_quoted);
        let around = [
            if quoted { "\"" } else { "" },
            if self.blanks { " " } else { "" },
        ];
        self.text.extend(around);
        for (index, part) in value.split('"').enumerate() {
            if index > 0 {
                self.text.push_str("\"\"");
            }
            self.text.push_str(part);
        }
        self.text.extend(around.into_iter().rev());
    }
}

fn must_be_quoted(byte: u8) -> bool {
    matches!(byte, b'"' | b',' | b'\r' | b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(switches: &[Switch], value: &str, expected: &str) {
        let mut set = Switches::default();
        switches.iter().for_each(|switch| set.set(*switch));
        let mut writer = CdrWriter::new(&set);
        writer.line([value.into(), "b".into()].into_iter());
        assert_eq!(writer.text, expected);
    }

    #[test]
    fn a_value_is_quoted_if_it_must_be_or_a_switch_is_set() {
        check(&[], "a", "a,b\n");
        check(&[], "", ",b\n");
        check(&[], "a, \"b\"", "\"a, \"\"b\"\"\",b\n");
        check(&[Switch::CsvCrlf], "a\nb", "\"a\nb\",b\r\n");
        check(
            &[Switch::CsvQuoted, Switch::CsvBom],
            "a",
            "\u{feff}\"a\",\"b\"\n",
        );
        check(&[Switch::CsvBlanks], "", "  , b \n");
        check(
            &[Switch::CsvQuoted, Switch::CsvBlanks],
            "a",
            "\" a \",\" b \"\n",
        );
    }
}

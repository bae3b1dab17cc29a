//! A table, as text for people, as CSV for spreadsheets and as JSON for programs.
//!
//! Knows which characters must not reach a terminal or a spreadsheet: strangers chose the names and
//! numbers in the log. Does not know the meaning of the columns.
//!
//! Sources: RFC 4180 (CSV); OWASP, "CSV Injection" (cells that a spreadsheet takes for formulas).

use std::fmt::Write;

use serde_json::{Map, Value, json};

/// Rows under named columns.
#[derive(Debug)]
pub(crate) struct ReportTable {
    pub(crate) columns: Vec<&'static str>,
    pub(crate) rows: Vec<Vec<Cell>>,
}

/// A cell of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cell {
    Text(String),
    Number(u64),
    /// Given in milliseconds, shown as seconds; `None` where unknown.
    Seconds(Option<u64>),
}

impl Cell {
    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
            Self::Seconds(None) => String::new(),
            Self::Seconds(Some(ms)) => format!("{}.{:03}", ms / 1000, ms % 1000),
        }
    }

    fn value(&self) -> Value {
        match self {
            Self::Text(text) => text.as_str().into(),
            Self::Number(number) => (*number).into(),
            // The text is a valid number of JSON, so no digit is lost.
            Self::Seconds(Some(_)) => serde_json::from_str(&self.text()).unwrap_or(Value::Null),
            Self::Seconds(None) => Value::Null,
        }
    }
}

impl ReportTable {
    /// Aligned columns, for people.
    pub(crate) fn for_eyes(&self) -> String {
        let heading: Vec<String> = self.columns.iter().map(|&name| name.to_owned()).collect();
        let cells = |row: &Vec<Cell>| row.iter().map(|cell| escape(&cell.text())).collect();
        let rows: Vec<Vec<String>> = self.rows.iter().map(cells).collect();
        let all = || std::iter::once(&heading).chain(&rows);
        let widths: Vec<usize> = (0..heading.len())
            .map(|column| {
                let cells = all().filter_map(|row| row.get(column));
                cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
            })
            .collect();
        let mut text = String::new();
        for row in all() {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                let _ = write!(line, "{cell:<width$}  ");
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    /// CSV, with a heading.
    pub(crate) fn csv(&self) -> String {
        let heading = self.columns.iter().map(|name| quoted(name));
        let mut text = heading.collect::<Vec<_>>().join(",") + "\r\n";
        for row in &self.rows {
            let cells = row.iter().map(|cell| quoted(&harmless(&cell.text())));
            text += &(cells.collect::<Vec<_>>().join(",") + "\r\n");
        }
        text
    }

    /// A list of objects.
    pub(crate) fn json(&self) -> String {
        let object = |row: &Vec<Cell>| {
            let members = self.columns.iter().zip(row);
            let members = members.map(|(name, cell)| ((*name).to_owned(), cell.value()));
            Value::Object(members.collect::<Map<_, _>>())
        };
        let list: Vec<Value> = self.rows.iter().map(object).collect();
        // A line end within a string is escaped by JSON, so these line ends are those between
        // members.
        let text = format!("{:#}", json!(list));
        let lines: Vec<String> = text.lines().map(escape).collect();
        lines.join("\n")
    }
}

/// Escapes characters that a terminal would obey, and invisible ones, which hide or reorder text.
/// They are written as JSON would.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if is_harmless(character) {
            escaped.push(character);
        } else {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        }
    }
    escaped
}

fn is_harmless(character: char) -> bool {
    !character.is_control() && !crate::recording::is_invisible(character)
}

/// Escapes the text so that no spreadsheet takes it for a formula.
fn harmless(text: &str) -> String {
    let escaped = escape(text);
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{escaped}")
    } else {
        escaped
    }
}

/// A cell of RFC 4180 §2.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, csv: &str, eyes: &str) {
        let table = ReportTable {
            columns: vec!["who"],
            rows: vec![vec![Cell::Text(text.to_owned())]],
        };
        assert_eq!(table.csv(), format!("who\r\n{csv}\r\n"));
        assert_eq!(table.for_eyes(), format!("who\n{eyes}\n"));
        let json: Value = serde_json::from_str(&table.json()).unwrap();
        assert_eq!(json[0]["who"], text);
    }

    #[test]
    fn nothing_is_a_formula_or_an_order_to_a_terminal() {
        check("alice", "alice", "alice");
        check("=1+1", "'=1+1", "=1+1");
        check("+49301234", "'+49301234", "+49301234");
        check("-1", "'-1", "-1");
        check("@SUM(A1)", "'@SUM(A1)", "@SUM(A1)");
        check("\t=1", "'\\u0009=1", "\\u0009=1");
        check("\r=1", "'\\u000d=1", "\\u000d=1");
        check("a,\"b\"", "\"a,\"\"b\"\"\"", "a,\"b\"");
        check("\u{1b}[31mred", "\\u001b[31mred", "\\u001b[31mred");
        check(
            "\u{9b}2J\n\u{202e}x",
            "\\u009b2J\\u000a\\u202ex",
            "\\u009b2J\\u000a\\u202ex",
        );
        check("\u{e0001}", "\\udb40\\udc01", "\\udb40\\udc01");
        check("\u{1}", "\\u0001", "\\u0001");
    }

    #[test]
    fn seconds_are_exact() {
        let table = ReportTable {
            columns: vec!["n", "s"],
            rows: vec![
                vec![Cell::Number(7), Cell::Seconds(Some(61_005))],
                vec![Cell::Number(8), Cell::Seconds(None)],
            ],
        };
        assert_eq!(table.csv(), "n,s\r\n7,61.005\r\n8,\r\n");
        assert_eq!(table.for_eyes(), "n  s\n7  61.005\n8\n");
        let json: Value = serde_json::from_str(&table.json()).unwrap();
        assert_eq!(json, json!([{"n": 7, "s": 61.005}, {"n": 8, "s": null}]));
    }

    proptest! {
        #[test]
        fn no_text_reaches_a_terminal_as_more_than_text(text in any::<String>()) {
            let table = ReportTable {
                columns: vec!["who"],
                rows: vec![vec![Cell::Text(text.clone())]],
            };
            for shown in [table.csv(), table.for_eyes(), table.json()] {
                let obeyed = |character: char| character.is_control() && !"\r\n".contains(character);
                prop_assert!(!shown.contains(obeyed));
            }
            let rows = table.csv().lines().count();
            prop_assert_eq!(rows, 2);
            let json: Value = serde_json::from_str(&table.json()).unwrap();
            prop_assert_eq!(json[0]["who"].as_str(), Some(text.as_str()));
        }
    }
}

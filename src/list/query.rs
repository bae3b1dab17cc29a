//! The parameters of a list.
//!
//! Knows names, forms and limits. Does not know which PBX needs which of them. Pure: no clock.
//!
//! Source: RFC 3339 (times). `form.rs` decodes a value.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use percent_encoding::utf8_percent_encode;
use thiserror::Error;

use super::cursor::{self, Position};
use super::form::decode;
use super::{Direction, ListEntry, Order, Second, unix_second};
use crate::recording::RESERVED;

/// The default size of a page, and the largest.
const DEFAULT_PAGE_SIZE: usize = 100;
pub(crate) const MAX_PAGE_SIZE: usize = 1_000;
/// The longest value of a parameter. Every number and every cursor is far shorter.
const MAX_VALUE_BYTES: usize = 1_024;

/// A mistake in a parameter. It names the parameter and never repeats its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum QueryError {
    #[error(
        "there is a parameter other than from, to, caller, callee, direction, order, page_size and cursor"
    )]
    Unknown,
    #[error("{0} is given more than once")]
    Repeated(&'static str),
    #[error("{0} is not {expected}", expected = expected(.0))]
    Value(&'static str),
    #[error("to is not later than from")]
    Empty,
    #[error("the cursor is malformed or belongs to another query")]
    Cursor,
}

/// The form that a parameter must have.
fn expected(name: &str) -> &'static str {
    match name {
        "from" | "to" => "a time such as 2026-03-02, 2026-03-02T10:45:00 or 2026-03-02T10:45:00Z",
        "direction" => "inbound, outbound or internal",
        "order" => "asc or desc",
        "page_size" => "a number from 1 to 1000",
        _ => "a text of at most 1024 bytes in UTF-8",
    }
}

/// The conditions on the entries of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ListFilter {
    /// The first second of the window.
    pub(crate) from: Option<Second>,
    /// The first second after the window.
    pub(crate) to: Option<Second>,
    pub(crate) caller: Option<String>,
    pub(crate) callee: Option<String>,
    pub(crate) direction: Option<Direction>,
}

impl ListFilter {
    /// Returns true if an entry matches. An entry without a known start is in no window.
    pub(crate) fn matches(&self, entry: &ListEntry) -> bool {
        let in_window = match entry.started {
            Some(start) => {
                self.from.is_none_or(|from| from <= start) && self.to.is_none_or(|to| start < to)
            }
            None => self.from.is_none() && self.to.is_none(),
        };
        let is =
            |wanted: &Option<String>, party: &Option<String>| wanted.is_none() || wanted == party;
        in_window
            && is(&self.caller, &entry.caller)
            && is(&self.callee, &entry.callee)
            && self
                .direction
                .is_none_or(|wanted| entry.direction == Some(wanted))
    }
}

/// The parsed query of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Query {
    pub(crate) filter: ListFilter,
    pub(crate) order: Order,
    pub(crate) page_size: usize,
    /// The position after which the page begins; `None` for the first page.
    pub(crate) after: Option<Position>,
    /// The parameters except the cursor, decoded and in their order.
    given: Vec<(&'static str, String)>,
    /// Identifies the cursors of this query.
    fingerprint: cursor::Fingerprint,
}

const PARAMETER_NAMES: [&str; 9] = [
    "from",
    "to",
    "caller",
    "callee",
    "direction",
    "order",
    "page_size",
    "cursor",
    "link",
];

impl Query {
    /// The first page without a filter.
    pub(crate) fn everything() -> Self {
        let (filter, order) = (ListFilter::default(), Order::Descending);
        Self {
            fingerprint: cursor::fingerprint("", &filter, order),
            filter,
            order,
            page_size: DEFAULT_PAGE_SIZE,
            after: None,
            given: Vec::new(),
        }
    }

    /// Reads a query for the list of `pbx`, whose clocks are in `zone`. Skips `link`, the
    /// credential.
    ///
    /// # Errors
    /// The first mistake found.
    pub(crate) fn parse(
        query: Option<&str>,
        pbx: &str,
        zone: &TimeZone,
    ) -> Result<Self, QueryError> {
        let mut given = parameters(query.unwrap_or_default())?;
        let cursor = take(&mut given, "cursor");
        let value = |name: &'static str| {
            let found = given.iter().find(|(one, _)| *one == name);
            found.map(|(_, value)| (name, value.as_str()))
        };
        let filter = ListFilter {
            from: value("from").map(|given| moment(given, zone)).transpose()?,
            to: value("to").map(|given| moment(given, zone)).transpose()?,
            caller: value("caller").map(party).transpose()?,
            callee: value("callee").map(party).transpose()?,
            direction: value("direction").map(direction).transpose()?,
        };
        if matches!((filter.from, filter.to), (Some(from), Some(to)) if to <= from) {
            return Err(QueryError::Empty);
        }
        let order = value("order").map_or(Ok(Order::Descending), order)?;
        let page_size = value("page_size").map_or(Ok(DEFAULT_PAGE_SIZE), page_size)?;
        let fingerprint = cursor::fingerprint(pbx, &filter, order);
        let after = cursor.map(|text| cursor::decode(&text, fingerprint));
        Ok(Self {
            after: after.transpose().map_err(|_| QueryError::Cursor)?,
            filter,
            order,
            page_size,
            given,
            fingerprint,
        })
    }

    /// Makes a cursor for the page after `position`.
    pub(crate) fn cursor(&self, position: &Position) -> String {
        cursor::encode(position, self.fingerprint)
    }

    /// The query string for another page of the same list.
    pub(super) fn with_cursor(&self, cursor: &str) -> String {
        let mut text = String::new();
        for (name, value) in &self.given {
            let _ = write!(text, "{name}={}&", utf8_percent_encode(value, RESERVED));
        }
        // A cursor needs no escape.
        text + "cursor=" + cursor
    }
}

/// Splits a query into parameters. A credential in it is not kept.
fn parameters(query: &str) -> Result<Vec<(&'static str, String)>, QueryError> {
    let mut found: Vec<(&'static str, String)> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let known = PARAMETER_NAMES.into_iter().find(|known| *known == name);
        let name = known.ok_or(QueryError::Unknown)?;
        if found.iter().any(|(known, _)| *known == name) {
            return Err(QueryError::Repeated(name));
        }
        if name == "link" {
            continue;
        }
        let value = decode(value).map_err(|_| QueryError::Value(name))?;
        if value.is_empty() || value.len() > MAX_VALUE_BYTES {
            return Err(QueryError::Value(name));
        }
        found.push((name, value));
    }
    Ok(found)
}

fn take(given: &mut Vec<(&'static str, String)>, name: &str) -> Option<String> {
    let index = given.iter().position(|(one, _)| *one == name)?;
    Some(given.remove(index).1)
}

type Parameter<'q> = (&'static str, &'q str);

/// A time with an offset, or a local time of the PBX, rounded up to whole seconds: starts are whole
/// seconds.
fn moment((name, text): Parameter<'_>, zone: &TimeZone) -> Result<Second, QueryError> {
    let wrong = QueryError::Value(name);
    if !text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-+:. ".contains(&byte))
    {
        return Err(wrong);
    }
    let time = match text.parse::<Timestamp>() {
        Ok(time) => time,
        // After the date only a time may follow. The parser would skip an offset, so it is excluded
        // here.
        Err(_)
            if text
                .get(10..)
                .is_some_and(|time| !time.contains(['+', '-'])) =>
        {
            let clock: DateTime = text.parse().map_err(|_| wrong)?;
            let second = unix_second(clock, zone).ok_or(wrong)?;
            return Ok(second + i64::from(clock.subsec_nanosecond() > 0));
        }
        Err(_) => return Err(wrong),
    };
    Ok(time.as_second() + i64::from(time.subsec_nanosecond() > 0))
}

fn party((name, text): Parameter<'_>) -> Result<String, QueryError> {
    if text.trim().is_empty() || text.chars().any(char::is_control) {
        return Err(QueryError::Value(name));
    }
    Ok(text.trim().to_owned())
}

fn direction((name, text): Parameter<'_>) -> Result<Direction, QueryError> {
    let exact = Direction::of(text).filter(|direction| direction.as_str() == text);
    exact.ok_or(QueryError::Value(name))
}

fn order((name, text): Parameter<'_>) -> Result<Order, QueryError> {
    let all = [Order::Ascending, Order::Descending];
    let found = all.into_iter().find(|order| order.as_str() == text);
    found.ok_or(QueryError::Value(name))
}

fn page_size((name, text): Parameter<'_>) -> Result<usize, QueryError> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let size = text
        .parse()
        .ok()
        .filter(|size| digits && (1..=MAX_PAGE_SIZE).contains(size));
    size.ok_or(QueryError::Value(name))
}

#[cfg(test)]
mod tests;

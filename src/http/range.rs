//! The part of a recording that a request asks for, and the fields that describe it in a response.
//!
//! Knows `Range` and `If-Range`. Does not know where the bytes are, or other conditions
//! ([`super::conditions`]). Pure.
//!
//! Source: RFC 9110 §14.1 and §14.2 (ranges), §14.4 (`Content-Range`), §13.1.5 (`If-Range`), §5.6.1
//! (lists).
//!
//! A server may ignore any range (§14.2). This one ignores several ranges and everything that
//! breaks the grammar: the response is then the whole recording. The grammar allows numbers of any
//! size. A number beyond `u64` counts as `u64::MAX`, which changes nothing: no recording has a byte
//! there, so a first position is after every end, and a last position or a suffix covers the whole
//! rest. The order of two such positions is lost: a range of both gets 416 even if it runs
//! backwards, which §14.2 leaves to the server.

use std::time::{Duration, SystemTime};

use http::header::{HeaderMap, IF_RANGE, RANGE};

use super::conditions::{Validators, date, single};
use super::etag::FieldTag;

/// The age from which the date of a recording identifies its bytes.
///
/// RFC 9110 §8.8.2.2 requires that the content did not change twice within the second, which a
/// gateway cannot see. It leaves the margin open; RFC 7232 §2.2.2 had this one.
const MIN_DATE_AGE: Duration = Duration::from_secs(60);

/// The range that a request asks for, before the length is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestedRange {
    Whole,
    /// From this byte to the end.
    From(u64),
    /// Both included; `first` is not greater than `last`.
    Between {
        first: u64,
        last: u64,
    },
    /// This number of bytes at the end.
    Last(u64),
}

/// The part of a recording of known length that a range selects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SelectedRange {
    Whole,
    /// Both included, both within the recording.
    Part {
        first: u64,
        last: u64,
    },
    /// The recording has no byte in the range: 416.
    Unsatisfiable,
}

/// The range that a request asks for. With any other method than GET a range has no meaning.
pub(crate) fn requested_range(
    headers: &HeaderMap,
    is_get: bool,
    validators: &Validators,
    now: SystemTime,
) -> RequestedRange {
    if !is_get || !is_unchanged(headers, validators, now) {
        return RequestedRange::Whole;
    }
    let field = single(headers, &RANGE).and_then(|field| field.to_str().ok());
    field.and_then(parse).unwrap_or(RequestedRange::Whole)
}

/// `bytes 0-1/5`, or `bytes 0-1/*` if the length is not known.
pub(crate) fn content_range(first: u64, last: u64, length: Option<u64>) -> String {
    match length {
        Some(length) => format!("bytes {first}-{last}/{length}"),
        None => format!("bytes {first}-{last}/*"),
    }
}

/// `bytes */5`, for a 416.
pub(crate) fn unsatisfied_range(length: u64) -> String {
    format!("bytes */{length}")
}

impl RequestedRange {
    /// The number of bytes of a recording of unknown length that must be read before the response
    /// can begin; `None` for all of them. A range from byte 0 is answered with the whole recording.
    pub(crate) fn reach(self) -> Option<u64> {
        match self {
            Self::From(first) | Self::Between { first, .. } => {
                (first > 0).then_some(first.saturating_add(1))
            }
            Self::Whole | Self::Last(_) => None,
        }
    }

    /// Applies the range to a recording of this length.
    pub(crate) fn resolve(self, length: u64) -> SelectedRange {
        let (first, end) = match self {
            Self::Whole => return SelectedRange::Whole,
            Self::From(first) => (first, length),
            Self::Between { first, last } => (first, length.min(last.saturating_add(1))),
            Self::Last(count) => (length.saturating_sub(count), length),
        };
        match end.checked_sub(1) {
            Some(last) if first <= last => SelectedRange::Part { first, last },
            _ => SelectedRange::Unsatisfiable,
        }
    }
}

/// Checks `If-Range`: returns true if the recording is still the one that the caller has a part of,
/// or if the field is absent.
fn is_unchanged(headers: &HeaderMap, validators: &Validators, now: SystemTime) -> bool {
    if !headers.contains_key(IF_RANGE) {
        return true;
    }
    let Some(field) = single(headers, &IF_RANGE) else {
        return false;
    };
    if let Some(tag) = FieldTag::parse(field.as_bytes()) {
        let own = validators.etag.as_ref();
        return own.is_some_and(|own| own.equals_strongly(&tag));
    }
    date(field).is_some_and(|date| {
        let age = now.duration_since(date).unwrap_or_default();
        validators.last_modified == Some(date) && age >= MIN_DATE_AGE
    })
}

/// Reads a `Range` with one range of bytes. Empty elements of the list are skipped.
fn parse(field: &str) -> Option<RequestedRange> {
    let (unit, list) = field.trim_ascii().split_once('=')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    // White space may surround commas, and nothing else. So none is removed before the first
    // element.
    let mut ranges = list
        .split(',')
        .enumerate()
        .map(|(index, range)| match index {
            0 => range.trim_ascii_end(),
            _ => range.trim_ascii(),
        })
        .filter(|range| !range.is_empty());
    let range = ranges.next()?;
    if ranges.next().is_some() {
        return None;
    }
    parse_range(range)
}

fn parse_range(range: &str) -> Option<RequestedRange> {
    match range.split_once('-')? {
        ("", count) => Some(RequestedRange::Last(number(count)?)),
        (first, "") => Some(RequestedRange::From(number(first)?)),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(RequestedRange::Between { first, last })
        }
    }
}

/// Reads digits. A number that is too large is `u64::MAX`; see the top of this file.
fn number(digits: &str) -> Option<u64> {
    let are_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    are_digits.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;

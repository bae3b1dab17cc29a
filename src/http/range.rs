//! The part of a recording that a request asks for, and what a part is called in the answer.
//!
//! Knows `Range` and `If-Range`. Does not know where the bytes are, nor other conditions ([`super::conditions`]). Pure.
//!
//! Source: RFC 9110 §14.1 and §14.2 (ranges), §14.4 (`Content-Range`), §13.1.5 (`If-Range`), §5.6.1 (lists).
//!
//! A server may ignore any range (§14.2), and ignoring is what this one does with several ranges and with whatever breaks
//! the grammar: the answer is the whole recording. Numbers of any size are of the grammar. One beyond `u64` counts as
//! `u64::MAX`, which changes nothing: no recording has a byte there, so as a first position it lies behind every end,
//! and as a last position or a suffix it reaches all there is. Which of two such positions comes first is not seen; a range
//! of both is answered 416 even if it runs backwards, which §14.2 leaves to the server.

use std::time::{Duration, SystemTime};

use http::header::{HeaderMap, IF_RANGE, RANGE};

use super::conditions::{Validators, date, single};
use super::etag::FieldTag;

/// So long ago a recording must have changed for its date to stand for its bytes.
///
/// RFC 9110 §8.8.2.2 wants to be sure that it did not change twice within the second, which a gateway cannot see; it
/// leaves the margin open, and RFC 7232 §2.2.2 had this one.
const SETTLED: Duration = Duration::from_secs(60);

/// What a request asks for, before the length is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    Whole,
    /// From this byte to the end.
    From(u64),
    /// Both included; `first` is not behind `last`.
    Between {
        first: u64,
        last: u64,
    },
    /// So many bytes at the end.
    Last(u64),
}

/// What that is of a recording of known length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Selection {
    Whole,
    /// Both included, both within the recording.
    Part {
        first: u64,
        last: u64,
    },
    /// No byte of it: 416.
    Unsatisfiable,
}

/// What a request asks for. `is_get` because a range means nothing with any other method.
pub(crate) fn wanted(
    headers: &HeaderMap,
    is_get: bool,
    validators: &Validators,
    now: SystemTime,
) -> Wanted {
    if !is_get || !is_unchanged(headers, validators, now) {
        return Wanted::Whole;
    }
    let field = single(headers, &RANGE).and_then(|field| field.to_str().ok());
    field.and_then(parse).unwrap_or(Wanted::Whole)
}

/// `bytes 0-1/5`, or `bytes 0-1/*` where the length is not known.
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

impl Wanted {
    /// How far a recording of unknown length has to be read before what has been read of it can be answered; `None` for to
    /// its end. From the start on it is the whole that is answered.
    pub(crate) fn reach(self) -> Option<u64> {
        match self {
            Self::From(first) | Self::Between { first, .. } => {
                (first > 0).then_some(first.saturating_add(1))
            }
            Self::Whole | Self::Last(_) => None,
        }
    }

    /// What it is of a recording of this length.
    pub(crate) fn of_length(self, length: u64) -> Selection {
        let (first, end) = match self {
            Self::Whole => return Selection::Whole,
            Self::From(first) => (first, length),
            Self::Between { first, last } => (first, length.min(last.saturating_add(1))),
            Self::Last(count) => (length.saturating_sub(count), length),
        };
        match end.checked_sub(1) {
            Some(last) if first <= last => Selection::Part { first, last },
            _ => Selection::Unsatisfiable,
        }
    }
}

/// `If-Range`: whether the recording is still the one of which the caller has a part; without the field it is.
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
        validators.last_modified == Some(date) && age >= SETTLED
    })
}

/// Reads a `Range` of one range of bytes. Empty elements of the list count as nothing.
fn parse(field: &str) -> Option<Wanted> {
    let (unit, list) = field.trim_ascii().split_once('=')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    // White space may surround commas, and nothing else; so there is none to take off in front of the list.
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

fn parse_range(range: &str) -> Option<Wanted> {
    match range.split_once('-')? {
        ("", count) => Some(Wanted::Last(number(count)?)),
        (first, "") => Some(Wanted::From(number(first)?)),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(Wanted::Between { first, last })
        }
    }
}

/// Reads digits. What does not fit is `u64::MAX`; see the head of this file.
fn number(digits: &str) -> Option<u64> {
    let are_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    are_digits.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;

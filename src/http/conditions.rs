//! The conditions of a request for one recording, by GET or HEAD.
//!
//! Knows the tag and the date of the recording, and the order in which conditions count. Does not
//! know how a response is made. `If-Range` belongs to [`super::range`]. Pure.
//!
//! Source: RFC 9110 §13.1 (fields), §13.2.2 (order), §5.6.7 (dates), §8.8.2 (`Last-Modified`).

use std::time::SystemTime;

use http::header::{
    HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    IF_UNMODIFIED_SINCE,
};

use super::etag::{ETag, FieldTag};
use crate::recording::RecordingName;

/// The validators of a recording, which conditions are compared with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Validators {
    /// `None` while the tag is not known. The recording exists all the same.
    pub(crate) etag: Option<ETag>,
    /// In whole seconds, as in the field; see [`last_modified`].
    pub(crate) last_modified: Option<SystemTime>,
}

/// The result of evaluating the conditions of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Evaluation {
    /// The request has no conditions, or all of them hold.
    Proceed,
    /// The caller has the recording already: 304.
    NotModified,
    /// The recording is another one than the caller expects: 412.
    Failed,
}

/// Evaluates the conditions of a GET or HEAD for a recording that exists. They come before any
/// range.
pub(crate) fn evaluate(headers: &HeaderMap, validators: &Validators) -> Evaluation {
    if !precondition_holds(headers, validators) {
        Evaluation::Failed
    } else if is_not_modified(headers, validators) {
        Evaluation::NotModified
    } else {
        Evaluation::Proceed
    }
}

/// Returns true if a condition, `If-Range` included, has a tag to compare with.
pub(crate) fn has_tag_condition(headers: &HeaderMap) -> bool {
    let fields = [IF_MATCH, IF_NONE_MATCH, IF_RANGE];
    let mut lines = fields.iter().flat_map(|field| headers.get_all(field));
    lines.any(|line| line.as_bytes().contains(&b'"'))
}

/// The time for `Last-Modified`: the start of the call. `None` if the name does not tell it, or if
/// it is in the future.
pub(crate) fn last_modified(name: &RecordingName, now: SystemTime) -> Option<SystemTime> {
    name.call_started().filter(|started| *started <= now)
}

/// Checks `If-Match`, or without it `If-Unmodified-Since`. A date is ignored if the recording has
/// none.
fn precondition_holds(headers: &HeaderMap, validators: &Validators) -> bool {
    if headers.contains_key(IF_MATCH) {
        return matches_field(headers, &IF_MATCH, validators, ETag::equals_strongly);
    }
    let date = single(headers, &IF_UNMODIFIED_SINCE).and_then(date);
    let times = validators.last_modified.zip(date);
    times.is_none_or(|(modified, date)| modified <= date)
}

/// Checks `If-None-Match`, or without it `If-Modified-Since`.
fn is_not_modified(headers: &HeaderMap, validators: &Validators) -> bool {
    if headers.contains_key(IF_NONE_MATCH) {
        return matches_field(headers, &IF_NONE_MATCH, validators, ETag::equals_weakly);
    }
    let date = single(headers, &IF_MODIFIED_SINCE).and_then(date);
    let times = validators.last_modified.zip(date);
    times.is_some_and(|(modified, date)| modified <= date)
}

/// Returns true if a field matches the recording: by `*`, which must be the whole field, or by a
/// tag in any of its lines.
fn matches_field(
    headers: &HeaderMap,
    field: &HeaderName,
    validators: &Validators,
    equals: fn(&ETag, &FieldTag<'_>) -> bool,
) -> bool {
    let any = single(headers, field).is_some_and(|line| line.as_bytes().trim_ascii() == b"*");
    let mut tags = headers
        .get_all(field)
        .iter()
        .flat_map(|line| FieldTag::list(line.as_bytes()));
    let own = validators.etag.as_ref();
    any || own.is_some_and(|own| tags.any(|tag| equals(own, &tag)))
}

/// The value of a field that has one line. A repeated field is malformed, unless it is a list.
pub(super) fn single<'a>(headers: &'a HeaderMap, field: &HeaderName) -> Option<&'a HeaderValue> {
    let mut lines = headers.get_all(field).iter();
    lines.next().filter(|_| lines.next().is_none())
}

/// Reads a date in any of its three forms. A date before 1970 counts as malformed: no recording is
/// that old.
pub(super) fn date(field: &HeaderValue) -> Option<SystemTime> {
    httpdate::parse_http_date(field.to_str().ok()?).ok()
}

#[cfg(test)]
pub(super) mod tests;

//! The conditions of a request for one recording, by GET or HEAD.
//!
//! Knows the tag and the date of the recording, and in which order conditions count. Does not know how an answer is made;
//! `If-Range` is a matter of [`super::range`]. Pure.
//!
//! Source: RFC 9110 §13.1 (fields), §13.2.2 (order), §5.6.7 (dates), §8.8.2 (`Last-Modified`).

use std::time::SystemTime;

use http::header::{
    HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    IF_UNMODIFIED_SINCE,
};

use super::etag::{ETag, FieldTag};
use crate::recording::RecordingName;

/// What is known of a recording that conditions can be compared with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Validators {
    /// `None` while it is not known; the recording exists all the same.
    pub(crate) etag: Option<ETag>,
    /// In whole seconds, as the field has it; see [`last_modified`].
    pub(crate) last_modified: Option<SystemTime>,
}

/// What the conditions of a request come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Evaluation {
    /// As if there were none.
    Proceed,
    /// The caller has it already: 304.
    NotModified,
    /// It is not what the caller expects: 412.
    Failed,
}

/// Evaluates the conditions of a GET or HEAD for a recording that exists, which come before any range.
pub(crate) fn evaluate(headers: &HeaderMap, validators: &Validators) -> Evaluation {
    if !is_as_expected(headers, validators) {
        Evaluation::Failed
    } else if is_known(headers, validators) {
        Evaluation::NotModified
    } else {
        Evaluation::Proceed
    }
}

/// Whether a condition, `If-Range` included, gives a tag to compare with.
pub(crate) fn name_a_tag(headers: &HeaderMap) -> bool {
    let fields = [IF_MATCH, IF_NONE_MATCH, IF_RANGE];
    let mut lines = fields.iter().flat_map(|field| headers.get_all(field));
    lines.any(|line| line.as_bytes().contains(&b'"'))
}

/// The time for `Last-Modified`: the start of the call. `None` where the name does not tell, or tells a time to come.
pub(crate) fn last_modified(name: &RecordingName, now: SystemTime) -> Option<SystemTime> {
    name.call_started().filter(|started| *started <= now)
}

/// `If-Match`, or without it `If-Unmodified-Since`. A date without anything to compare it with is ignored.
fn is_as_expected(headers: &HeaderMap, validators: &Validators) -> bool {
    if headers.contains_key(IF_MATCH) {
        return names(headers, &IF_MATCH, validators, ETag::equals_strongly);
    }
    let date = single(headers, &IF_UNMODIFIED_SINCE).and_then(date);
    let times = validators.last_modified.zip(date);
    times.is_none_or(|(modified, date)| modified <= date)
}

/// `If-None-Match`, or without it `If-Modified-Since`.
fn is_known(headers: &HeaderMap, validators: &Validators) -> bool {
    if headers.contains_key(IF_NONE_MATCH) {
        return names(headers, &IF_NONE_MATCH, validators, ETag::equals_weakly);
    }
    let date = single(headers, &IF_MODIFIED_SINCE).and_then(date);
    let times = validators.last_modified.zip(date);
    times.is_some_and(|(modified, date)| modified <= date)
}

/// Whether a field names the recording: by `*`, which is all of the field, or by a tag in any of its lines.
fn names(
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

/// The value of a field that stands in one line. One that is repeated is malformed, where it is no list.
pub(super) fn single<'a>(headers: &'a HeaderMap, field: &HeaderName) -> Option<&'a HeaderValue> {
    let mut lines = headers.get_all(field).iter();
    lines.next().filter(|_| lines.next().is_none())
}

/// Reads a date in any of its three forms. One before 1970 counts as malformed: no recording is that old.
pub(super) fn date(field: &HeaderValue) -> Option<SystemTime> {
    httpdate::parse_http_date(field.to_str().ok()?).ok()
}

#[cfg(test)]
pub(super) mod tests;

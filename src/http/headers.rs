//! The header fields of answers: a recording's, a list's.
//!
//! Knows which fields there are. Nothing of the PBX's own header passes. Pure.
//!
//! Sources: RFC 9110 (fields; §15.3.7 for a part, §15.4.5 for 304, §15.5.17 for 416), RFC 6266 and RFC 8187
//! (`Content-Disposition`), Fetch standard (`Cross-Origin-Resource-Policy`), nginx documentation (`X-Accel-Buffering`).

use std::time::{Duration, SystemTime};

use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
    ETAG, HeaderMap, HeaderName, HeaderValue, LAST_MODIFIED, LINK, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};

use crate::http::etag::ETag;
use crate::http::range;
use crate::recording::RecordingName;

/// Whether a browser may keep a recording. A cache that several people share never may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrowserCache {
    /// It keeps nothing.
    Never,
    /// It keeps it, and asks each time before it uses it: rights are checked, and what has not changed is not sent again.
    Revalidated,
}

impl BrowserCache {
    /// Both with their names in the configuration.
    pub(crate) const NAMES: [(&str, Self); 2] =
        [("never", Self::Never), ("revalidated", Self::Revalidated)];
}

const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-resource-policy");
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The first second that has no date of four digits, after 1970.
const YEAR_10000: Duration = Duration::from_secs(253_402_300_800);

/// What of a recording is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    /// All of it, of this length where it is known: 200.
    Whole(Option<u64>),
    /// From byte `first` to byte `last`, both included, of `total` where it is known: 206.
    Part {
        first: u64,
        last: u64,
        total: Option<u64>,
    },
}

impl Body {
    /// How many bytes are sent, where that is known.
    pub(crate) fn length(self) -> Option<u64> {
        match self {
            Self::Whole(length) => length,
            Self::Part { first, last, .. } => {
                last.checked_sub(first).and_then(|rest| rest.checked_add(1))
            }
        }
    }
}

/// What the fields are made of.
pub(crate) struct Recording<'a> {
    pub(crate) name: &'a RecordingName,
    pub(crate) media_type: &'static str,
    pub(crate) body: Body,
    /// To be saved rather than played.
    pub(crate) download: bool,
    pub(crate) kept: &'a Kept<'a>,
}

/// What every answer about a recording says, a 304 as well: what keeps a stored one usable.
pub(crate) struct Kept<'a> {
    pub(crate) etag: Option<&'a ETag>,
    pub(crate) last_modified: Option<SystemTime>,
    /// A link token decided: the recording may be embedded by pages of other sites.
    pub(crate) by_link: bool,
    pub(crate) cache: BrowserCache,
}

/// Fills in everything but the request id.
pub(crate) fn fill(headers: &mut HeaderMap, recording: &Recording<'_>) {
    let fixed = |text| HeaderValue::from_static(text);
    headers.insert(CONTENT_TYPE, fixed(recording.media_type));
    fill_body(headers, recording.body);
    headers.insert(ACCEPT_RANGES, fixed("bytes"));
    headers.insert(
        CONTENT_DISPOSITION,
        disposition(recording.name, recording.download),
    );
    headers.insert(X_ACCEL_BUFFERING, fixed("no"));
    fill_not_modified(headers, recording.kept);
}

/// Fills in what a 304 has, and any other answer as well; nothing about bytes.
///
/// Source: RFC 9111 §5.2.2.4: with `no-cache` a stored answer is not used before the server has said that it is still good.
pub(crate) fn fill_not_modified(headers: &mut HeaderMap, kept: &Kept<'_>) {
    let fixed = |text| HeaderValue::from_static(text);
    if let Some(etag) = kept.etag.and_then(ETag::field_value) {
        headers.insert(ETAG, etag);
    }
    if let Some(date) = kept.last_modified.and_then(date) {
        headers.insert(LAST_MODIFIED, date);
    }
    let cache = match kept.cache {
        BrowserCache::Never => "private, no-store",
        BrowserCache::Revalidated => "private, no-cache",
    };
    headers.insert(CACHE_CONTROL, fixed(cache));
    headers.insert(X_CONTENT_TYPE_OPTIONS, fixed("nosniff"));
    headers.insert(REFERRER_POLICY, fixed("no-referrer"));
    let policy = match kept.by_link {
        true => "cross-origin",
        false => "same-site",
    };
    headers.insert(CROSS_ORIGIN_RESOURCE_POLICY, fixed(policy));
}

/// Fills in what every answer has: it is what it says it is, tells no other site where it was, and is for pages of this one, where
/// nothing else was said before.
pub(crate) fn fill_common(headers: &mut HeaderMap) {
    for (field, value) in [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CROSS_ORIGIN_RESOURCE_POLICY, "same-site"),
    ] {
        headers
            .entry(field)
            .or_insert(HeaderValue::from_static(value));
    }
}

/// Adds to a 416 how long the recording is.
pub(crate) fn fill_unsatisfied(headers: &mut HeaderMap, length: u64) {
    insert_text(headers, CONTENT_RANGE, range::unsatisfied_range(length));
}

/// `Content-Length` is that of what is sent.
fn fill_body(headers: &mut HeaderMap, body: Body) {
    if let Body::Part { first, last, total } = body {
        insert_text(
            headers,
            CONTENT_RANGE,
            range::content_range(first, last, total),
        );
    }
    if let Some(length) = body.length() {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
}

/// Inserts a text of ASCII characters, which always is a field's value.
fn insert_text(headers: &mut HeaderMap, field: HeaderName, text: String) {
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert(field, value);
    }
}

/// A date as RFC 9110 §5.6.7 writes it, of a time that can be written so.
fn date(time: SystemTime) -> Option<HeaderValue> {
    let age = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let text = (age < YEAR_10000).then(|| httpdate::fmt_http_date(time))?;
    HeaderValue::try_from(text).ok()
}

/// Fills in the fields of a list; `link` leads to its next page.
pub(crate) fn fill_list(headers: &mut HeaderMap, link: Option<&str>) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Encoded, so always a field's value.
    if let Some(link) = link.and_then(|link| HeaderValue::from_str(link).ok()) {
        headers.insert(LINK, link);
    }
}

/// `filename` in ASCII for everybody, and `filename*` where that lost something.
fn disposition(name: &RecordingName, download: bool) -> HeaderValue {
    let kind = if download { "attachment" } else { "inline" };
    let safe = |character: char| match character {
        '"' | '\\' | '%' => '_',
        _ if character.is_ascii_graphic() || character == ' ' => character,
        _ => '_',
    };
    let ascii: String = name.as_str().chars().map(safe).collect();
    let text = if ascii == name.as_str() {
        format!("{kind}; filename=\"{ascii}\"")
    } else {
        format!(
            "{kind}; filename=\"{ascii}\"; filename*=UTF-8''{}",
            name.encoded()
        )
    };
    // The text is ASCII by now; a field without a name is the honest answer if that should ever change.
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(kind))
}

#[cfg(test)]
mod tests;

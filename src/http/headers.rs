//! The header fields of responses: of a recording, of a list.
//!
//! Knows the fields. No field from the PBX's own response is passed on. Pure.
//!
//! Sources: RFC 9110 (fields; §15.3.7 for a part, §15.4.5 for 304, §15.5.17 for 416), RFC 6266 and
//! RFC 8187 (`Content-Disposition`), Fetch standard (`Cross-Origin-Resource-Policy`), nginx
//! documentation (`X-Accel-Buffering`).

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
    ETAG, HeaderMap, HeaderName, HeaderValue, LAST_MODIFIED, LINK, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};

use crate::http::etag::ETag;
use crate::http::range;
use crate::recording::RecordingName;

/// Whether a browser may store a recording. A shared cache never may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrowserCache {
    /// The browser stores nothing.
    Never,
    /// The browser stores it, and revalidates each time before it uses it: rights are checked, and
    /// unchanged content is not sent again.
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

/// More than the fields of a recording, so that the map grows once.
const USUAL_FIELDS: usize = 20;

/// The first second after the year 9999, since 1970. Its date has no form with four digits.
const YEAR_10000: Duration = Duration::from_secs(253_402_300_800);

/// The part of a recording that the body of a response has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyExtent {
    /// The whole recording, with its length if known: 200.
    Whole(Option<u64>),
    /// From byte `first` to byte `last`, both included, of `total` if known: 206.
    Part {
        first: u64,
        last: u64,
        total: Option<u64>,
    },
}

impl BodyExtent {
    /// The number of bytes sent, if known.
    pub(crate) fn length(self) -> Option<u64> {
        match self {
            Self::Whole(length) => length,
            Self::Part { first, last, .. } => {
                last.checked_sub(first).and_then(|rest| rest.checked_add(1))
            }
        }
    }
}

/// The values for the fields of a recording.
pub(crate) struct RecordingHeaders<'a> {
    pub(crate) name: &'a RecordingName,
    pub(crate) media_type: &'static str,
    pub(crate) body: BodyExtent,
    /// True if it should be saved rather than played.
    pub(crate) download: bool,
    pub(crate) kept: &'a CachingHeaders<'a>,
}

/// The values for the fields of every response about a recording, 304 included: they keep a stored
/// response usable.
pub(crate) struct CachingHeaders<'a> {
    pub(crate) etag: Option<&'a ETag>,
    pub(crate) last_modified: Option<SystemTime>,
    /// True if a link token decided. Then pages of other sites may embed the recording.
    pub(crate) by_link: bool,
    pub(crate) cache: BrowserCache,
}

/// Sets all fields except the request id.
pub(crate) fn fill(headers: &mut HeaderMap, recording: &RecordingHeaders<'_>) {
    let fixed = |text| HeaderValue::from_static(text);
    headers.reserve(USUAL_FIELDS);
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

/// Sets the fields of a 304, which all other responses have as well; none of them is about bytes.
///
/// Source: RFC 9111 §5.2.2.4: with `no-cache` a stored response is not used before the server has
/// confirmed it.
pub(crate) fn fill_not_modified(headers: &mut HeaderMap, kept: &CachingHeaders<'_>) {
    let fixed = |text| HeaderValue::from_static(text);
    if let Some(etag) = kept.etag.map(ETag::field_value) {
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

/// Sets the fields of every response, unless they are set: no type sniffing, no referrer to other
/// sites, and no use by other sites.
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

/// Adds the length of the recording to a 416.
pub(crate) fn fill_unsatisfied(headers: &mut HeaderMap, length: u64) {
    insert_text(headers, CONTENT_RANGE, range::unsatisfied_range(length));
}

/// Sets the fields about bytes. `Content-Length` counts the bytes that are sent.
fn fill_body(headers: &mut HeaderMap, body: BodyExtent) {
    if let BodyExtent::Part { first, last, total } = body {
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

/// Inserts a text of ASCII characters, which is always a valid value.
fn insert_text(headers: &mut HeaderMap, field: HeaderName, text: String) {
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert(field, value);
    }
}

/// A date in the form of RFC 9110 §5.6.7, if the time has one.
fn date(time: SystemTime) -> Option<HeaderValue> {
    let age = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let text = (age < YEAR_10000).then(|| httpdate::fmt_http_date(time))?;
    HeaderValue::try_from(text).ok()
}

/// Sets the fields of a list. `link` leads to its next page.
pub(crate) fn fill_list(headers: &mut HeaderMap, link: Option<&str>) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // The link is encoded, so it is always a valid value.
    if let Some(link) = link.and_then(|link| HeaderValue::from_str(link).ok()) {
        headers.insert(LINK, link);
    }
}

/// `filename` in ASCII for all browsers, and `filename*` if that lost characters.
fn disposition(name: &RecordingName, download: bool) -> HeaderValue {
    let kind = if download { "attachment" } else { "inline" };
    let safe = |character: char| match character {
        '"' | '\\' | '%' => '_',
        _ if character.is_ascii_graphic() || character == ' ' => character,
        _ => '_',
    };
    let is_safe = |character| safe(character) == character;
    let ascii: Cow<'_, str> = match name.as_str().chars().all(is_safe) {
        true => name.as_str().into(),
        false => name.as_str().chars().map(safe).collect(),
    };
    let text = if ascii == name.as_str() {
        format!("{kind}; filename=\"{ascii}\"")
    } else {
        format!(
            "{kind}; filename=\"{ascii}\"; filename*=UTF-8''{}",
            name.encoded()
        )
    };
    // The text is ASCII, so this never fails; a field without a name is the safe answer if that
    // ever changes.
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(kind))
}

#[cfg(test)]
mod tests;

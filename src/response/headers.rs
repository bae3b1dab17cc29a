//! The header fields of answers: a recording's, a list's.
//!
//! Knows which fields there are. Nothing of the PBX's own header passes. Pure.
//!
//! Sources: RFC 9110 (fields), RFC 6266 and RFC 8187 (`Content-Disposition`), Fetch standard
//! (`Cross-Origin-Resource-Policy`), nginx documentation (`X-Accel-Buffering`).

use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap,
    HeaderName, HeaderValue, LINK, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};

use crate::recording::RecordingName;

const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-resource-policy");
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What the fields are made of.
pub(crate) struct Recording<'a> {
    pub(crate) name: &'a RecordingName,
    pub(crate) media_type: &'static str,
    /// The whole length, where it is known.
    pub(crate) length: Option<u64>,
    /// To be saved rather than played.
    pub(crate) download: bool,
    /// A link token decided: the recording may be embedded by pages of other sites.
    pub(crate) by_link: bool,
}

/// Fills in everything but the request id.
pub(crate) fn fill(headers: &mut HeaderMap, recording: &Recording<'_>) {
    let fixed = |text| HeaderValue::from_static(text);
    headers.insert(CONTENT_TYPE, fixed(recording.media_type));
    if let Some(length) = recording.length {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    // Until ranges are answered, nobody should be led to ask for them.
    headers.insert(ACCEPT_RANGES, fixed("none"));
    headers.insert(
        CONTENT_DISPOSITION,
        disposition(recording.name, recording.download),
    );
    headers.insert(CACHE_CONTROL, fixed("private, no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, fixed("nosniff"));
    headers.insert(REFERRER_POLICY, fixed("no-referrer"));
    let policy = if recording.by_link {
        "cross-origin"
    } else {
        "same-site"
    };
    headers.insert(CROSS_ORIGIN_RESOURCE_POLICY, fixed(policy));
    headers.insert(X_ACCEL_BUFFERING, fixed("no"));
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(name: &str, expected: &str) {
        assert_eq!(disposition(&name.parse().unwrap(), false), expected);
    }

    #[test]
    fn a_file_name_reaches_every_browser() {
        check("a-1.wav", r#"inline; filename="a-1.wav""#);
        check(
            "a\"b%.wav",
            r#"inline; filename="a_b_.wav"; filename*=UTF-8''a%22b%25.wav"#,
        );
        check(
            "Jörg.wav",
            r#"inline; filename="J_rg.wav"; filename*=UTF-8''J%C3%B6rg.wav"#,
        );
    }

    proptest! {
        #[test]
        fn every_name_makes_a_field(name in "[^/\\\\\\p{C}.][^/\\\\\\p{C}]{0,60}") {
            if let Ok(name) = name.parse::<RecordingName>() {
                let field = disposition(&name, true);
                prop_assert!(field.to_str().unwrap().starts_with("attachment; filename="));
            }
        }
    }
}

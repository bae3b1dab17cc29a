//! The header fields of each kind of response.

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

fn etag() -> ETag {
    ETag::of("office", &"a.wav".parse().unwrap(), 44, b"RIFF", 0)
}

/// 1994-11-15 12:45:26.
fn call() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(784_903_526)
}

fn kept(
    etag: Option<&ETag>,
    last_modified: Option<SystemTime>,
    by_link: bool,
) -> CachingHeaders<'_> {
    CachingHeaders {
        etag,
        last_modified,
        by_link,
        cache: BrowserCache::Never,
    }
}

fn filled(body: BodyExtent, etag: Option<&ETag>, last_modified: Option<SystemTime>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let recording = RecordingHeaders {
        name: &"a.wav".parse().unwrap(),
        media_type: "audio/wav",
        body,
        download: false,
        kept: &kept(etag, last_modified, false),
    };
    fill(&mut headers, &recording);
    headers
}

fn text(headers: &HeaderMap, field: HeaderName) -> Option<&str> {
    headers.get(field).map(|value| value.to_str().unwrap())
}

#[track_caller]
fn check_body(body: BodyExtent, length: Option<&str>, range: Option<&str>) {
    let headers = filled(body, None, None);
    assert_eq!(text(&headers, CONTENT_LENGTH), length, "{body:?}");
    assert_eq!(text(&headers, CONTENT_RANGE), range, "{body:?}");
    assert_eq!(text(&headers, ACCEPT_RANGES), Some("bytes"));
}

#[test]
fn content_length_counts_the_bytes_that_are_sent() {
    let part = |first, last, total| BodyExtent::Part { first, last, total };
    check_body(BodyExtent::Whole(None), None, None);
    check_body(BodyExtent::Whole(Some(44)), Some("44"), None);
    check_body(BodyExtent::Whole(Some(0)), Some("0"), None);
    check_body(part(0, 1, Some(44)), Some("2"), Some("bytes 0-1/44"));
    check_body(part(43, 43, Some(44)), Some("1"), Some("bytes 43-43/44"));
    check_body(part(0, 43, Some(44)), Some("44"), Some("bytes 0-43/44"));
    check_body(part(7, 9, None), Some("3"), Some("bytes 7-9/*"));
    let all = part(0, u64::MAX, None);
    check_body(all, None, Some("bytes 0-18446744073709551615/*"));
}

#[test]
fn validators_are_sent_if_they_are_known() {
    let etag = etag();
    let headers = filled(BodyExtent::Whole(None), Some(&etag), Some(call()));
    assert_eq!(headers[ETAG], etag.field_value());
    assert_eq!(headers[LAST_MODIFIED], "Tue, 15 Nov 1994 12:45:26 GMT");
    let headers = filled(BodyExtent::Whole(None), None, None);
    assert!(!headers.contains_key(ETAG) && !headers.contains_key(LAST_MODIFIED));
}

#[test]
fn a_time_without_a_date_makes_no_field() {
    let epoch = SystemTime::UNIX_EPOCH;
    let after = |seconds| epoch + Duration::from_secs(seconds);
    assert_eq!(date(epoch).unwrap(), "Thu, 01 Jan 1970 00:00:00 GMT");
    let last = date(after(253_402_300_799)).unwrap();
    assert_eq!(last, "Fri, 31 Dec 9999 23:59:59 GMT");
    assert_eq!(date(after(253_402_300_800)), None);
    assert_eq!(date(epoch - Duration::from_secs(1)), None);
}

#[test]
fn a_304_says_nothing_about_bytes() {
    let mut headers = HeaderMap::new();
    fill_not_modified(&mut headers, &kept(Some(&etag()), Some(call()), true));
    let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    let expected = [
        "cache-control",
        "cross-origin-resource-policy",
        "etag",
        "last-modified",
        "referrer-policy",
        "x-content-type-options",
    ];
    assert_eq!(names, expected);
    let whole = filled(BodyExtent::Whole(None), Some(&etag()), Some(call()));
    for field in [ETAG, LAST_MODIFIED, CACHE_CONTROL] {
        assert_eq!(headers[&field], whole[&field]);
    }
    assert_eq!(headers[CROSS_ORIGIN_RESOURCE_POLICY], "cross-origin");
    assert_eq!(whole[CROSS_ORIGIN_RESOURCE_POLICY], "same-site");
}

#[test]
fn a_416_says_how_long_the_recording_is() {
    let mut headers = HeaderMap::new();
    fill_unsatisfied(&mut headers, 44);
    assert_eq!(text(&headers, CONTENT_RANGE), Some("bytes */44"));
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

//! Conditions, one line per case, and properties that hold for any request.

use proptest::prelude::*;

use super::Evaluation::{Failed, NotModified, Proceed};
use super::*;

const NAME: &str = "19941115124526-784903526.7-1001-1003-Internal.wav";
/// The start of the call of [`NAME`], one second before it, and one second after.
const AT: &str = "Tue, 15 Nov 1994 12:45:26 GMT";
const BEFORE: &str = "Tue, 15 Nov 1994 12:45:25 GMT";
const AFTER: &str = "Tue, 15 Nov 1994 12:45:27 GMT";

/// The validators of a recording whose tag and date are known.
pub(in crate::http) fn validators() -> Validators {
    let name = NAME.parse().unwrap();
    Validators {
        etag: Some(ETag::of("office", &name, 44, b"RIFF", 0)),
        last_modified: name.call_started(),
    }
}

/// Field lines with ` | ` between them. `@` is the tag of [`validators`]; `AT`, `BEFORE` and
/// `AFTER` are dates around its own.
pub(in crate::http) fn headers(lines: &str) -> HeaderMap {
    let tag = validators().etag.unwrap().field_value();
    let mut headers = HeaderMap::new();
    for line in lines.split(" | ").filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').unwrap();
        let value = value
            .replace('@', tag.to_str().unwrap())
            .replace("AT", AT)
            .replace("BEFORE", BEFORE)
            .replace("AFTER", AFTER);
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        let value = value.strip_prefix(' ').unwrap();
        headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    headers
}

#[track_caller]
fn check(lines: &str, expected: Evaluation) {
    assert_eq!(
        evaluate(&headers(lines), &validators()),
        expected,
        "{lines}"
    );
}

#[test]
fn without_conditions_there_is_nothing_to_evaluate() {
    check("", Proceed);
    check("Range: bytes=0-1", Proceed);
    check("If-Range: \"other\"", Proceed);
    check("ETag: @", Proceed);
}

#[test]
fn if_match_needs_the_recordings_tag() {
    check("If-Match: @", Proceed);
    check("If-Match: *", Proceed);
    check("If-Match:  * ", Proceed);
    check("If-Match: \"other\", @", Proceed);
    check("If-Match: @,\"other\"", Proceed);
    check("If-Match: ,, @ ,,", Proceed);
    check("If-Match: W/\"other\",	@", Proceed);
    check("If-Match: \"a,b\", @", Proceed);
    check("If-Match: \"other\" | If-Match: @", Proceed);
    check("If-Match: @ | If-Match: \"other\"", Proceed);
    check("If-Match: garbage, @", Proceed);
    check("If-Match: \"open | If-Match: @", Proceed);
    check("If-Match: \"other\"", Failed);
    check("If-Match: \"\"", Failed);
    check("If-Match: W/@", Failed);
    check("If-Match: W/@, \"other\"", Failed);
    check("If-Match: \"other\", \"another\"", Failed);
    check("If-Match: \"other\" | If-Match: \"another\"", Failed);
}

#[test]
fn if_match_fails_where_it_is_malformed() {
    check("If-Match: ", Failed);
    check("If-Match: ,", Failed);
    check("If-Match: garbage", Failed);
    check("If-Match: 'other'", Failed);
    check("If-Match: w/@", Failed);
    check("If-Match: @x", Failed);
    check("If-Match: @@", Failed);
    check("If-Match: @ @", Failed);
    check("If-Match: \"open, @", Failed);
    check("If-Match: **", Failed);
    check("If-Match: \"*\"", Failed);
    check("If-Match: *, \"other\"", Failed);
    check("If-Match: * | If-Match: *", Failed);
    check("If-Match: é", Failed);
    check("If-Match: AT", Failed);
}

#[test]
fn if_none_match_with_the_recordings_tag_gives_304() {
    check("If-None-Match: @", NotModified);
    check("If-None-Match: W/@", NotModified);
    check("If-None-Match: *", NotModified);
    check("If-None-Match: \"other\", @", NotModified);
    check("If-None-Match: \"other\",W/@,\"another\"", NotModified);
    check("If-None-Match: ,\"a,b\" , @", NotModified);
    check("If-None-Match: \"other\" | If-None-Match: W/@", NotModified);
    check("If-None-Match: garbage, @", NotModified);
    check("If-None-Match: \"other\"", Proceed);
    check("If-None-Match: W/\"other\", \"another\"", Proceed);
    check("If-None-Match: \"other\" | If-None-Match: \"\"", Proceed);
}

#[test]
fn a_malformed_if_none_match_never_matches() {
    check("If-None-Match: ", Proceed);
    check("If-None-Match: , ,", Proceed);
    check("If-None-Match: garbage", Proceed);
    check("If-None-Match: w/@", Proceed);
    check("If-None-Match: W/ @", Proceed);
    check("If-None-Match: @x", Proceed);
    check("If-None-Match: @@", Proceed);
    check("If-None-Match: \"open, @", Proceed);
    check("If-None-Match: *, \"other\"", Proceed);
    check("If-None-Match: * | If-None-Match: \"other\"", Proceed);
    check("If-None-Match: \"*\"", Proceed);
    check("If-None-Match: é", Proceed);
}

#[test]
fn if_modified_since_compares_whole_seconds() {
    check("If-Modified-Since: AT", NotModified);
    check("If-Modified-Since: AFTER", NotModified);
    check("If-Modified-Since:  AT ", NotModified);
    check(
        "If-Modified-Since: Sat, 01 Jan 2095 00:00:00 GMT",
        NotModified,
    );
    check(
        "If-Modified-Since: Tuesday, 15-Nov-94 12:45:26 GMT",
        NotModified,
    );
    check("If-Modified-Since: Tue Nov 15 12:45:26 1994", NotModified);
    check("If-Modified-Since: BEFORE", Proceed);
    check("If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT", Proceed);
    check("If-Modified-Since: Tue Nov 15 12:45:25 1994", Proceed);
}

#[test]
fn if_unmodified_since_compares_whole_seconds() {
    check("If-Unmodified-Since: AT", Proceed);
    check("If-Unmodified-Since: AFTER", Proceed);
    check("If-Unmodified-Since: Tue Nov 15 12:45:26 1994", Proceed);
    check("If-Unmodified-Since: BEFORE", Failed);
    check(
        "If-Unmodified-Since: Tuesday, 15-Nov-94 12:45:25 GMT",
        Failed,
    );
    check("If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT", Failed);
}

#[test]
fn a_date_that_is_malformed_or_repeated_is_ignored() {
    for field in ["If-Modified-Since", "If-Unmodified-Since"] {
        for value in [
            "",
            "garbage",
            "0",
            "784903526",
            "@",
            "*",
            "AFTER, AFTER",
            "Tue, 15 Nov 1994 12:45:26",
            "Tue, 15 Nov 1994 12:45:26 UTC",
            "Tue, 15 Nov 1994 12:45:26 +0000",
            "Wed, 15 Nov 1994 12:45:26 GMT",
            "Tue, 32 Nov 1994 12:45:26 GMT",
            "Tue, 15 Nov 1994 24:45:26 GMT",
            "Tue, 15 nov 1994 12:45:26 gmt",
            "Sun, 15 Nov 1896 12:45:26 GMT",
            "1994-11-15T12:45:26Z",
            "é",
        ] {
            check(&format!("{field}: {value}"), Proceed);
        }
        check(&format!("{field}: BEFORE | {field}: BEFORE"), Proceed);
        check(&format!("{field}: AFTER | {field}: AFTER"), Proceed);
        check(&format!("{field}: AT | {field}: garbage"), Proceed);
    }
}

#[test]
fn conditions_count_in_the_order_of_the_rfc() {
    // If-Unmodified-Since only without If-Match.
    check("If-Match: @ | If-Unmodified-Since: BEFORE", Proceed);
    check("If-Match: \"other\" | If-Unmodified-Since: AFTER", Failed);
    check("If-Match: garbage | If-Unmodified-Since: AFTER", Failed);
    // If-Modified-Since only without If-None-Match.
    check("If-None-Match: \"other\" | If-Modified-Since: AT", Proceed);
    check("If-None-Match: garbage | If-Modified-Since: AT", Proceed);
    check("If-None-Match:  | If-Modified-Since: AT", Proceed);
    check("If-None-Match: @ | If-Modified-Since: BEFORE", NotModified);
    // A failed precondition comes before not modified.
    check("If-None-Match: @ | If-Match: \"other\"", Failed);
    check("If-None-Match: @ | If-Match: @", NotModified);
    check("If-None-Match: * | If-Match: *", NotModified);
    check("If-None-Match: @ | If-Unmodified-Since: BEFORE", Failed);
    check("If-None-Match: @ | If-Unmodified-Since: AT", NotModified);
    check(
        "If-Unmodified-Since: AT | If-Modified-Since: AT",
        NotModified,
    );
    check(
        "If-Unmodified-Since: BEFORE | If-Modified-Since: AT",
        Failed,
    );
    check("If-Match: @ | If-Modified-Since: AT", NotModified);
    check("If-Match: @ | If-Modified-Since: BEFORE", Proceed);
    check("If-Match: \"other\" | If-Modified-Since: BEFORE", Failed);
}

#[track_caller]
fn check_without_tag(lines: &str, expected: Evaluation) {
    let validators = Validators {
        etag: None,
        ..validators()
    };
    assert_eq!(evaluate(&headers(lines), &validators), expected, "{lines}");
}

#[test]
fn a_recording_with_an_unknown_tag_matches_only_a_star() {
    check_without_tag("If-Match: *", Proceed);
    check_without_tag("If-Match: @", Failed);
    check_without_tag("If-Match: W/@", Failed);
    check_without_tag("If-Match: ", Failed);
    check_without_tag("If-None-Match: *", NotModified);
    check_without_tag("If-None-Match: @", Proceed);
    check_without_tag("If-None-Match: W/@", Proceed);
    check_without_tag("If-None-Match: @ | If-Modified-Since: AT", Proceed);
    check_without_tag("If-Match: * | If-Modified-Since: AT", NotModified);
    check_without_tag("If-Unmodified-Since: BEFORE", Failed);
    check_without_tag("If-Modified-Since: AT", NotModified);
}

#[track_caller]
fn check_without_date(lines: &str, expected: Evaluation) {
    let validators = Validators {
        last_modified: None,
        ..validators()
    };
    assert_eq!(evaluate(&headers(lines), &validators), expected, "{lines}");
}

#[test]
fn a_date_is_ignored_if_the_recording_has_none() {
    check_without_date("If-Modified-Since: AT", Proceed);
    check_without_date("If-Modified-Since: AFTER", Proceed);
    check_without_date("If-Unmodified-Since: BEFORE", Proceed);
    check_without_date("If-Unmodified-Since: AFTER", Proceed);
    check_without_date("If-Match: @", Proceed);
    check_without_date("If-Match: \"other\"", Failed);
    check_without_date("If-None-Match: @ | If-Modified-Since: AT", NotModified);
    check_without_date(
        "If-Unmodified-Since: BEFORE | If-None-Match: @",
        NotModified,
    );
}

#[test]
fn last_modified_is_the_call_and_never_in_the_future() {
    let check = |name: &str, now: &str, expected: Option<&str>| {
        let time = |text| httpdate::parse_http_date(text).unwrap();
        let found = last_modified(&name.parse().unwrap(), time(now));
        assert_eq!(found, expected.map(time), "{name} {now}");
    };
    check(NAME, AFTER, Some(AT));
    check(NAME, AT, Some(AT));
    check(NAME, BEFORE, None);
    check("hello001", AFTER, None);
}

const FIELDS: [&str; 4] = [
    "If-Match",
    "If-Unmodified-Since",
    "If-None-Match",
    "If-Modified-Since",
];
const VALUES: [&str; 8] = [
    "@",
    "W/@",
    "\"other\"",
    "*",
    "garbage",
    "AT",
    "BEFORE",
    "AFTER",
];

/// Characters that surround a tag, a date or `*`, but never form one.
fn garbage() -> impl Strategy<Value = HeaderValue> {
    let pieces = prop::sample::select(vec![
        "\"", "W/", ",", " ", "*", "a", "-", "0", "bytes", "=", "GMT", "Tue", ":", "\t", "\u{e9}",
    ]);
    let near = prop::collection::vec(pieces, 0..12).prop_map(|pieces| pieces.concat().into_bytes());
    let far = prop::collection::vec(prop_oneof![Just(9), 32..127_u8, 128..=255_u8], 0..60);
    prop_oneof![near, far]
        .prop_filter("`*` says something", |bytes| bytes.trim_ascii() != b"*")
        .prop_map(|bytes| HeaderValue::from_bytes(&bytes).unwrap())
        .prop_filter("a date says something", |value| date(value).is_none())
}

/// A field with one to three lines.
pub(in crate::http) fn with_garbage(
    field: HeaderName,
    other: &'static str,
) -> impl Strategy<Value = HeaderMap> {
    prop::collection::vec(garbage(), 1..4).prop_map(move |lines| {
        let mut headers = headers(other);
        for line in lines {
            headers.append(&field, line);
        }
        headers
    })
}

proptest! {
    #[test]
    fn garbage_never_hides_a_recording(
        none_match in with_garbage(IF_NONE_MATCH, "If-Modified-Since: AFTER"),
        modified in with_garbage(IF_MODIFIED_SINCE, ""),
        unmodified in with_garbage(IF_UNMODIFIED_SINCE, ""),
    ) {
        for headers in [none_match, modified, unmodified] {
            prop_assert_eq!(evaluate(&headers, &validators()), Proceed);
        }
    }

    #[test]
    fn a_condition_is_ignored_if_an_earlier_one_decides(
        lines in prop::collection::vec(
            (prop::sample::select(FIELDS.to_vec()), prop::sample::select(VALUES.to_vec())),
            0..5,
        ),
    ) {
        let of = |field: &str| {
            let lines = lines.iter().filter(|(name, _)| *name == field);
            let lines: Vec<_> = lines.map(|(name, value)| format!("{name}: {value}")).collect();
            let headers = headers(&lines.join(" | "));
            (!headers.is_empty()).then(|| evaluate(&headers, &validators()))
        };
        let expected = of("If-Match").or(of("If-Unmodified-Since"));
        let known = of("If-None-Match").or(of("If-Modified-Since"));
        let all: Vec<_> = lines.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        let both = match expected {
            Some(Failed) => Failed,
            _ => known.unwrap_or(Proceed),
        };
        prop_assert_eq!(evaluate(&headers(&all.join(" | ")), &validators()), both);
    }

    #[test]
    fn garbage_in_if_match_always_fails(headers in with_garbage(IF_MATCH, "")) {
        prop_assert_eq!(evaluate(&headers, &validators()), Failed);
    }

    #[test]
    fn garbage_beside_a_tag_does_not_hide_it(
        expected in with_garbage(IF_MATCH, "If-Match: @"),
        known in with_garbage(IF_NONE_MATCH, "If-None-Match: @"),
    ) {
        prop_assert_eq!(evaluate(&expected, &validators()), Proceed);
        prop_assert_eq!(evaluate(&known, &validators()), NotModified);
    }
}

//! Ranges, one line per case, and properties that hold for any range.

use proptest::prelude::*;

use super::RequestedRange::{Between, From, Last, Whole};
use super::*;
use crate::http::conditions::tests::{headers, validators, with_garbage};

/// The time this many seconds after the recording's own date.
fn later(seconds: u64) -> SystemTime {
    validators().last_modified.unwrap() + Duration::from_secs(seconds)
}

#[track_caller]
fn check(lines: &str, expected: RequestedRange) {
    let wanted = requested_range(&headers(lines), true, &validators(), later(86_400));
    assert_eq!(wanted, expected, "{lines}");
}

#[track_caller]
fn check_range(range: &str, expected: RequestedRange) {
    check(&format!("Range: {range}"), expected);
}

fn between(first: u64, last: u64) -> RequestedRange {
    Between { first, last }
}

#[test]
fn a_range_has_a_beginning_an_end_or_both() {
    check("", Whole);
    check_range("bytes=0-0", between(0, 0));
    check_range("bytes=0-1", between(0, 1));
    check_range("bytes=500-999", between(500, 999));
    check_range("bytes=7-7", between(7, 7));
    check_range("bytes=0-", From(0));
    check_range("bytes=1000-", From(1000));
    check_range("bytes=-1", Last(1));
    check_range("bytes=-500", Last(500));
    check_range("bytes=-0", Last(0));
    check_range("bytes=000-0009", between(0, 9));
    check_range("bytes=-0005", Last(5));
}

#[test]
fn the_unit_is_bytes_in_any_letter_case() {
    check_range("BYTES=0-1", between(0, 1));
    check_range("Bytes=0-1", between(0, 1));
    check_range("bYtEs=-5", Last(5));
    check_range("byte=0-1", Whole);
    check_range("items=0-1", Whole);
    check_range("seconds=0-1", Whole);
    check_range("none=0-1", Whole);
    check_range("=0-1", Whole);
    check_range("0-1", Whole);
    check_range("bytes", Whole);
    check_range("bytes 0-1", Whole);
    check_range("bytes:0-1", Whole);
}

#[test]
fn white_space_stands_around_commas_only() {
    check_range(" bytes=0-1 ", between(0, 1));
    check_range("bytes=,0-1", between(0, 1));
    check_range("bytes=0-1,", between(0, 1));
    check_range("bytes=, ,0-1	, ,", between(0, 1));
    check_range("bytes= ,	0-1", between(0, 1));
    check_range("bytes=0-1 ,", between(0, 1));
    check_range("bytes= 0-1", Whole);
    check_range("bytes =0-1", Whole);
    check_range("bytes=0 -1", Whole);
    check_range("bytes=0- 1", Whole);
    check_range("bytes=- 1", Whole);
    check_range("by tes=0-1", Whole);
    check_range("bytes=1 0-20", Whole);
}

#[test]
fn a_range_that_breaks_the_grammar_is_ignored() {
    check_range("", Whole);
    check_range("=", Whole);
    check_range("bytes=", Whole);
    check_range("bytes=,", Whole);
    check_range("bytes= ", Whole);
    check_range("bytes=-", Whole);
    check_range("bytes=--1", Whole);
    check_range("bytes=-1-", Whole);
    check_range("bytes=0--1", Whole);
    check_range("bytes=0-1-2", Whole);
    check_range("bytes=5", Whole);
    check_range("bytes=a-b", Whole);
    check_range("bytes=0-b", Whole);
    check_range("bytes=a-1", Whole);
    check_range("bytes=0x0-0x1", Whole);
    check_range("bytes=+0-+1", Whole);
    check_range("bytes=-+1", Whole);
    check_range("bytes=0.0-1.0", Whole);
    check_range("bytes=1e3-", Whole);
    check_range("bytes=0–1", Whole);
    check_range("bytes=٠-١", Whole);
    check_range("bytes==0-1", Whole);
    check_range("bytes=*", Whole);
    check_range("bytes=\"0-1\"", Whole);
    check_range("bytes=2-1", Whole);
    check_range("bytes=1-0", Whole);
    check_range("bytes=0-1;q=1", Whole);
    check_range("bytes 0-1/5", Whole);
}

#[test]
fn several_ranges_are_answered_with_the_whole() {
    check_range("bytes=0-1,5-6", Whole);
    check_range("bytes=0-1, 5-6", Whole);
    check_range("bytes=0-1,0-1", Whole);
    check_range("bytes=0-,-1", Whole);
    check_range("bytes=0-1,garbage", Whole);
    check_range("bytes=garbage,0-1", Whole);
    check("Range: bytes=0-1 | Range: bytes=5-6", Whole);
    check("Range: bytes=0-1 | Range: bytes=0-1", Whole);
    check("Range: bytes=0-1 | Range: garbage", Whole);
    check("Range: bytes=0-1 | Range: ", Whole);
}

#[test]
fn a_number_beyond_u64_is_after_every_end() {
    check_range("bytes=18446744073709551614-", From(u64::MAX - 1));
    check_range("bytes=18446744073709551615-", From(u64::MAX));
    check_range("bytes=18446744073709551616-", From(u64::MAX));
    check_range("bytes=5-18446744073709551616", between(5, u64::MAX));
    check_range(
        &format!("bytes=5-{}", "9".repeat(300)),
        between(5, u64::MAX),
    );
    check_range(&format!("bytes={}-", "9".repeat(300)), From(u64::MAX));
    check_range(&format!("bytes=-{}", "9".repeat(300)), Last(u64::MAX));
    check_range(&format!("bytes={}5-9", "0".repeat(300)), between(5, 9));
    check_range("bytes=18446744073709551616-5", Whole);
    check_range(
        "bytes=18446744073709551617-18446744073709551616",
        between(u64::MAX, u64::MAX),
    );
}

#[test]
fn a_range_is_for_get_only() {
    for lines in ["Range: bytes=0-1", "Range: bytes=0-1 | If-Range: @"] {
        let headers = headers(lines);
        let head = requested_range(&headers, false, &validators(), later(86_400));
        assert_eq!(head, Whole, "{lines}");
    }
}

#[track_caller]
fn check_if_range(field: &str, holds: bool) {
    let expected = if holds { between(0, 1) } else { Whole };
    check(&format!("Range: bytes=0-1 | If-Range: {field}"), expected);
}

#[test]
fn if_range_wants_the_tag_by_strong_comparison() {
    check_if_range("@", true);
    check_if_range(" @ ", true);
    check_if_range("W/@", false);
    check_if_range("w/@", false);
    check_if_range("\"other\"", false);
    check_if_range("W/\"other\"", false);
    check_if_range("\"\"", false);
    check("If-Range: @", Whole);
    check("If-Range: @ | Range: bytes=0-1,5-6", Whole);
    check("If-Range: @ | Range: items=0-1", Whole);
}

#[test]
fn if_range_wants_exactly_the_recordings_date() {
    check_if_range("AT", true);
    check_if_range("Tuesday, 15-Nov-94 12:45:26 GMT", true);
    check_if_range("Tue Nov 15 12:45:26 1994", true);
    check_if_range("AFTER", false);
    check_if_range("BEFORE", false);
    check_if_range("Sat, 01 Jan 2095 00:00:00 GMT", false);
    check_if_range("Thu, 01 Jan 1970 00:00:00 GMT", false);
}

#[test]
fn a_malformed_or_repeated_if_range_never_holds() {
    check_if_range("", false);
    check_if_range("*", false);
    check_if_range("garbage", false);
    check_if_range("@, @", false);
    check_if_range("@, \"other\"", false);
    check_if_range("@x", false);
    check_if_range("\"open", false);
    check_if_range("AT, AT", false);
    check_if_range("Tue, 15 Nov 1994 12:45:26", false);
    check_if_range("Wed, 15 Nov 1994 12:45:26 GMT", false);
    check_if_range("é", false);
    check_if_range("@ | If-Range: @", false);
    check_if_range("AT | If-Range: AT", false);
    check_if_range("@ | If-Range: AT", false);
}

#[test]
fn a_date_is_a_strong_validator_only_after_a_minute() {
    let headers = headers("Range: bytes=0-1 | If-Range: AT");
    for (seconds, expected) in [(0, Whole), (59, Whole), (60, between(0, 1))] {
        let wanted = requested_range(&headers, true, &validators(), later(seconds));
        assert_eq!(wanted, expected, "{seconds}");
    }
    let earlier = later(0) - Duration::from_secs(120);
    assert_eq!(
        requested_range(&headers, true, &validators(), earlier),
        Whole
    );
}

#[test]
fn if_range_never_holds_without_a_validator() {
    let check = |lines: &str, known: &Validators, expected| {
        let wanted = requested_range(&headers(lines), true, known, later(86_400));
        assert_eq!(wanted, expected, "{lines}");
    };
    let nothing = Validators::default();
    check("Range: bytes=0-1", &nothing, between(0, 1));
    check("Range: bytes=0-1 | If-Range: @", &nothing, Whole);
    check("Range: bytes=0-1 | If-Range: AT", &nothing, Whole);
    let (etag, last_modified) = (None, validators().last_modified);
    let dated = Validators {
        etag,
        last_modified,
    };
    check("Range: bytes=0-1 | If-Range: @", &dated, Whole);
    check("Range: bytes=0-1 | If-Range: AT", &dated, between(0, 1));
}

#[track_caller]
fn check_part(wanted: RequestedRange, length: u64, expected: Option<(u64, u64)>) {
    let expected = match expected {
        Some((first, last)) => SelectedRange::Part { first, last },
        None => SelectedRange::Unsatisfiable,
    };
    assert_eq!(wanted.resolve(length), expected, "{wanted:?} of {length}");
}

#[test]
fn a_part_is_the_existing_bytes_of_a_range() {
    assert_eq!(Whole.resolve(10), SelectedRange::Whole);
    assert_eq!(Whole.resolve(0), SelectedRange::Whole);
    check_part(From(0), 10, Some((0, 9)));
    check_part(From(9), 10, Some((9, 9)));
    check_part(From(10), 10, None);
    check_part(From(11), 10, None);
    check_part(between(0, 1), 10, Some((0, 1)));
    check_part(between(0, 9), 10, Some((0, 9)));
    check_part(between(0, 10), 10, Some((0, 9)));
    check_part(between(9, 9), 10, Some((9, 9)));
    check_part(between(9, 99), 10, Some((9, 9)));
    check_part(between(10, 10), 10, None);
    check_part(between(10, 20), 10, None);
    check_part(Last(1), 10, Some((9, 9)));
    check_part(Last(9), 10, Some((1, 9)));
    check_part(Last(10), 10, Some((0, 9)));
    check_part(Last(11), 10, Some((0, 9)));
    check_part(Last(0), 10, None);
    check_part(between(0, 1), 1, Some((0, 0)));
    check_part(Last(5), 1, Some((0, 0)));
}

#[test]
fn an_empty_recording_has_no_part() {
    check_part(From(0), 0, None);
    check_part(between(0, 0), 0, None);
    check_part(between(0, u64::MAX), 0, None);
    check_part(Last(0), 0, None);
    check_part(Last(1), 0, None);
    check_part(Last(u64::MAX), 0, None);
}

#[test]
fn the_largest_numbers_give_a_valid_part() {
    const MAX: u64 = u64::MAX;
    check_part(From(MAX), MAX, None);
    check_part(From(MAX - 1), MAX, Some((MAX - 1, MAX - 1)));
    check_part(between(0, MAX), MAX, Some((0, MAX - 1)));
    check_part(between(MAX, MAX), MAX, None);
    check_part(Last(MAX), MAX, Some((0, MAX - 1)));
    check_part(Last(MAX), 10, Some((0, 9)));
}

#[test]
fn content_range_has_the_whole_length_if_known() {
    assert_eq!(content_range(0, 1, Some(44)), "bytes 0-1/44");
    assert_eq!(content_range(43, 43, Some(44)), "bytes 43-43/44");
    assert_eq!(content_range(0, 1, None), "bytes 0-1/*");
    assert_eq!(unsatisfied_range(44), "bytes */44");
    assert_eq!(unsatisfied_range(0), "bytes */0");
}

/// Writes a range as a caller would.
fn print(wanted: RequestedRange) -> String {
    match wanted {
        Whole => String::new(),
        From(first) => format!("bytes={first}-"),
        Between { first, last } => format!("bytes={first}-{last}"),
        Last(count) => format!("bytes=-{count}"),
    }
}

fn any_range(below: u64) -> impl Strategy<Value = RequestedRange> {
    prop_oneof![
        (0..=below).prop_map(From),
        (0..=below, 0..=below).prop_map(|(a, b)| between(a.min(b), a.max(b))),
        (0..=below).prop_map(Last),
    ]
}

proptest! {
    #[test]
    fn every_range_that_is_read_reads_back(
        field in prop_oneof![any::<String>(), "[bB]ytes=[-0-9]{0,50}", "bytes=[-0-9, \t]{0,9}"],
        length in any::<u64>(),
    ) {
        if let Some(wanted) = parse(&field) {
            prop_assert_ne!(wanted, Whole);
            prop_assert_eq!(parse(&print(wanted)), Some(wanted));
            if let SelectedRange::Part { first, last } = wanted.resolve(length) {
                prop_assert!(first <= last && last < length);
            }
        }
    }

    #[test]
    fn a_printed_range_parses_back_with_extra_separators(
        wanted in any_range(u64::MAX),
        before in "(,|,[ \t])?",
        after in "([ \t]?,[ \t]?)?",
    ) {
        let printed = print(wanted).replace('=', &format!("={before}"));
        prop_assert_eq!(parse(&format!("{printed}{after}")), Some(wanted));
    }

    #[test]
    fn a_part_is_within_any_length(wanted in any_range(u64::MAX), length in any::<u64>()) {
        match wanted.resolve(length) {
            SelectedRange::Part { first, last } => prop_assert!(first <= last && last < length),
            SelectedRange::Whole => prop_assert!(false, "a range is never the whole"),
            SelectedRange::Unsatisfiable => {}
        }
    }

    #[test]
    fn a_part_has_the_bytes_that_are_asked_for_and_exist(wanted in any_range(40), length in 0..40_u64) {
        let is_asked_for = |place: &u64| match wanted {
            Whole => true,
            From(first) => *place >= first,
            Between { first, last } => (first..=last).contains(place),
            Last(count) => place + count >= length,
        };
        let places: Vec<u64> = (0..length).filter(is_asked_for).collect();
        let expected = match (places.first(), places.last()) {
            (Some(&first), Some(&last)) => SelectedRange::Part { first, last },
            _ => SelectedRange::Unsatisfiable,
        };
        prop_assert_eq!(wanted.resolve(length), expected);
    }

    #[test]
    fn garbage_in_if_range_gives_the_whole(
        if_range in with_garbage(IF_RANGE, "Range: bytes=0-1"),
        repeated in with_garbage(IF_RANGE, "Range: bytes=0-1 | If-Range: @"),
    ) {
        for headers in [if_range, repeated] {
            prop_assert_eq!(requested_range(&headers, true, &validators(), later(86_400)), Whole);
        }
    }
}

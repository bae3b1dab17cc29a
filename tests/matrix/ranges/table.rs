//! The table: ranges, and conditions below, with their expected answers.
//!
//! Source: RFC 9110 §14; where the length is not known, docs/answers.md. Dates are equal to the
//! start of the call, or a second older or newer.

mod conditions;

use super::row::Answer::{Beyond, Failed, Head, Late, NoLength, NotModified, Part, Read, Whole};
use super::row::{LAST, LENGTH, Row, get, head, old_get, old_head};
use conditions::{DATES, IF_MATCH, IF_NONE_MATCH, IF_RANGE, ORDER};

/// A first and a last byte.
const CLOSED: &[Row] = &[
    get("", Whole, Whole),
    get("Range: bytes=0-0", Part(0, 0), Whole),
    get("Range: bytes=0-1", Part(0, 1), Whole),
    get("Range: bytes=0-511", Part(0, 511), Whole),
    get("Range: bytes=0-65535", Part(0, 65_535), Whole),
    get("Range: bytes=0-{before}", Part(0, LAST - 1), Whole),
    get("Range: bytes=0-{last}", Part(0, LAST), Whole),
    get("Range: bytes=0-{length}", Part(0, LAST), Whole),
    get("Range: bytes=0-18446744073709551615", Part(0, LAST), Whole),
    get(
        "Range: bytes=0-99999999999999999999999",
        Part(0, LAST),
        Whole,
    ),
    get("Range: bytes=1-1", Part(1, 1), Read(1, 1)),
    get("Range: bytes=1-{last}", Part(1, LAST), Read(1, LAST)),
    get("Range: bytes=511-512", Part(511, 512), Read(511, 512)),
    get("Range: bytes=512-512", Part(512, 512), Read(512, 512)),
    get("Range: bytes=1000-1999", Part(1000, 1999), Read(1000, 1999)),
    get(
        "Range: bytes=001000-0001999",
        Part(1000, 1999),
        Read(1000, 1999),
    ),
    get(
        "Range: bytes=16383-16384",
        Part(16_383, 16_384),
        Read(16_383, 16_384),
    ),
    get(
        "Range: bytes=65535-65536",
        Part(65_535, 65_536),
        Read(65_535, 65_536),
    ),
    get(
        "Range: bytes=65536-131071",
        Part(65_536, 131_071),
        Read(65_536, 131_071),
    ),
    get(
        "Range: bytes=99999-100000",
        Part(99_999, 100_000),
        Read(99_999, 100_000),
    ),
    get(
        "Range: bytes=100000-100001",
        Part(100_000, 100_001),
        Late(&Read(100_000, 100_001)),
    ),
    get(
        "Range: bytes=131072-196607",
        Part(131_072, 196_607),
        Late(&Read(131_072, 196_607)),
    ),
    get(
        "Range: bytes={before}-{last}",
        Part(LAST - 1, LAST),
        Late(&Read(LAST - 1, LAST)),
    ),
    get(
        "Range: bytes={last}-{last}",
        Part(LAST, LAST),
        Late(&Read(LAST, LAST)),
    ),
    get(
        "Range: bytes={last}-{length}",
        Part(LAST, LAST),
        Late(&Read(LAST, LAST)),
    ),
    get("Range: bytes={length}-{length}", Beyond, Late(&Beyond)),
    get("Range: bytes={length}-{beyond}", Beyond, Late(&Beyond)),
    get("Range: bytes={beyond}-999999999999", Beyond, Late(&Beyond)),
    get(
        "Range: bytes=18446744073709551615-18446744073709551615",
        Beyond,
        Late(&Beyond),
    ),
    get(
        "Range: bytes=99999999999999999999998-99999999999999999999999",
        Beyond,
        Late(&Beyond),
    ),
];

/// One end left open, and the end of the recording.
const OPEN: &[Row] = &[
    get("Range: bytes=0-", Part(0, LAST), Whole),
    get("Range: bytes=1-", Part(1, LAST), Read(1, LAST)),
    get("Range: bytes=44-", Part(44, LAST), Read(44, LAST)),
    get(
        "Range: bytes=65536-",
        Part(65_536, LAST),
        Read(65_536, LAST),
    ),
    get(
        "Range: bytes=99999-",
        Part(99_999, LAST),
        Read(99_999, LAST),
    ),
    get(
        "Range: bytes=100000-",
        Part(100_000, LAST),
        Late(&Read(100_000, LAST)),
    ),
    get(
        "Range: bytes={last}-",
        Part(LAST, LAST),
        Late(&Read(LAST, LAST)),
    ),
    get("Range: bytes={length}-", Beyond, Late(&Beyond)),
    get("Range: bytes={beyond}-", Beyond, Late(&Beyond)),
    get(
        "Range: bytes=99999999999999999999999-",
        Beyond,
        Late(&Beyond),
    ),
    // The place where the last bytes begin is unknown until the end has come.
    get("Range: bytes=-1", Part(LAST, LAST), Late(&Part(LAST, LAST))),
    get(
        "Range: bytes=-0002",
        Part(LAST - 1, LAST),
        Late(&Part(LAST - 1, LAST)),
    ),
    get(
        "Range: bytes=-65536",
        Part(LENGTH - 65_536, LAST),
        Late(&Part(LENGTH - 65_536, LAST)),
    ),
    get("Range: bytes=-{last}", Part(1, LAST), Late(&Part(1, LAST))),
    get(
        "Range: bytes=-{length}",
        Part(0, LAST),
        Late(&Part(0, LAST)),
    ),
    get(
        "Range: bytes=-{beyond}",
        Part(0, LAST),
        Late(&Part(0, LAST)),
    ),
    get(
        "Range: bytes=-99999999999999999999999",
        Part(0, LAST),
        Late(&Part(0, LAST)),
    ),
    get("Range: bytes=-0", Beyond, Late(&Beyond)),
];

/// A field that is not a valid range of bytes is ignored.
const MALFORMED: &[Row] = &[
    get("Range:", Whole, Whole),
    get("Range: bytes", Whole, Whole),
    get("Range: bytes=", Whole, Whole),
    get("Range: bytes=-", Whole, Whole),
    get("Range: bytes=--1", Whole, Whole),
    get("Range: bytes=5", Whole, Whole),
    get("Range: bytes=5-4", Whole, Whole),
    get("Range: bytes={last}-5", Whole, Whole),
    get("Range: bytes=5--9", Whole, Whole),
    get("Range: bytes=5-9-", Whole, Whole),
    get("Range: bytes=+5-9", Whole, Whole),
    get("Range: bytes=5-9x", Whole, Whole),
    get("Range: bytes=0x5-0x9", Whole, Whole),
    get("Range: bytes=5.0-9", Whole, Whole),
    get("Range: bytes= 5-9", Whole, Whole),
    get("Range: bytes=5 -9", Whole, Whole),
    get("Range: bytes=5- 9", Whole, Whole),
    get("Range: bytes =5-9", Whole, Whole),
    get("Range: bytes 5-9/200308", Whole, Whole),
    get("Range: bytes=5-9/200308", Whole, Whole),
    get("Range: 5-9", Whole, Whole),
    get("Range: seconds=5-9", Whole, Whole),
    get("Range: bytess=5-9", Whole, Whole),
    get("Range: bytes=a-b", Whole, Whole),
    // These are valid ranges.
    get("Range: BYTES=5-9", Part(5, 9), Read(5, 9)),
    get("Range: bytes=5-9 ", Part(5, 9), Read(5, 9)),
];

/// Several ranges in one request are answered with the whole.
const SEVERAL: &[Row] = &[
    get("Range: bytes=0-0,2-2", Whole, Whole),
    get("Range: bytes=5-9, -1", Whole, Whole),
    get("Range: bytes=5-9,5-9", Whole, Whole),
    get("Range: bytes=5-,6-", Whole, Whole),
    get("Range: bytes={length}-,{beyond}-", Whole, Whole),
    get("Range: bytes=5-9,{length}-", Whole, Whole),
    get("Range: bytes=5-9,nonsense", Whole, Whole),
    get("Range: bytes=5-9\nRange: bytes=5-9", Whole, Whole),
    get(
        "Range: bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14,16-16,18-18",
        Whole,
        Whole,
    ),
    // Empty elements of a list do not count.
    get("Range: bytes=,5-9", Part(5, 9), Read(5, 9)),
    get("Range: bytes=5-9 , ,", Part(5, 9), Read(5, 9)),
];

/// HEAD describes the whole recording, as GET without a range would: a range has no meaning for it.
const HEADS: &[Row] = &[
    head("", Head, Head),
    head("Range: bytes=0-1", Head, Head),
    head("Range: bytes=5-9", Head, Head),
    head("Range: bytes=-1", Head, Head),
    head("Range: bytes={length}-", Head, Head),
    head("Range: bytes=5-9\nIf-Range: {tag}", Head, Head),
    head("Range: bytes=5-9\nIf-Range: {other}", Head, Head),
    head("If-None-Match: {tag}", NotModified, Head),
    head("If-None-Match: {other}", Head, Head),
    head("If-None-Match: *", NotModified, NotModified),
    head("If-Match: {tag}", Head, Failed),
    head("If-Match: {other}", Failed, Failed),
    head("If-Match: *", Head, Head),
    head("If-Modified-Since: {same}", NotModified, NotModified),
    head("If-Unmodified-Since: {older}", Failed, Failed),
];

/// HTTP/1.0 needs a length: without one, a cut recording looks whole.
const OLD: &[Row] = &[
    old_get("", Whole, NoLength),
    old_get("Range: bytes=0-1", Part(0, 1), NoLength),
    old_get("Range: bytes=0-", Part(0, LAST), NoLength),
    old_get("Range: bytes=5-9", Part(5, 9), Read(5, 9)),
    old_get("Range: bytes=5-", Part(5, LAST), Read(5, LAST)),
    old_get(
        "Range: bytes=-5",
        Part(LENGTH - 5, LAST),
        Late(&Part(LENGTH - 5, LAST)),
    ),
    old_get("Range: bytes={length}-", Beyond, Late(&Beyond)),
    old_get("Range: bytes=5-9,11-12", Whole, NoLength),
    old_get("Range: bytes=5-9\nIf-Range: {tag}", Part(5, 9), NoLength),
    old_get("If-None-Match: {tag}", NotModified, NoLength),
    old_get("If-Match: {other}", Failed, Failed),
    old_get("If-Modified-Since: {same}", NotModified, NotModified),
    old_head("", Head, Head),
    old_head("Range: bytes=5-9", Head, Head),
    old_head("If-None-Match: {tag}", NotModified, Head),
];

/// All rows.
pub(super) fn rows() -> Vec<Row> {
    let rows = [
        CLOSED,
        OPEN,
        MALFORMED,
        SEVERAL,
        HEADS,
        IF_RANGE,
        IF_NONE_MATCH,
        IF_MATCH,
        DATES,
        ORDER,
        OLD,
    ]
    .concat();
    assert!(rows.len() >= 120, "{}", rows.len());
    rows
}

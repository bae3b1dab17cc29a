//! Conditions, alone and together, with their expected answers.
//!
//! Source: RFC 9110 §13.1, and §13.2.2 for their order.

use crate::ranges::row::Answer::{Beyond, Failed, Late, NotModified, Part, Read, Whole};
use crate::ranges::row::{LAST, LENGTH, Row, get, undated};

/// The range only if the tag or date matches the recording; otherwise the whole.
pub(super) const IF_RANGE: &[Row] = &[
    get("If-Range: {tag}", Whole, Whole),
    get("If-Range: {other}", Whole, Whole),
    get("Range: bytes=5-9\nIf-Range: {tag}", Part(5, 9), Whole),
    get("Range: bytes=0-1\nIf-Range: {tag}", Part(0, 1), Whole),
    get("Range: bytes=5-\nIf-Range: {tag}", Part(5, LAST), Whole),
    get(
        "Range: bytes=-5\nIf-Range: {tag}",
        Part(LENGTH - 5, LAST),
        Whole,
    ),
    get("Range: bytes={length}-\nIf-Range: {tag}", Beyond, Whole),
    get("Range: bytes=5-9,11-12\nIf-Range: {tag}", Whole, Whole),
    get("Range: bytes=5-4\nIf-Range: {tag}", Whole, Whole),
    get("Range: bytes=5-9\nIf-Range: {other}", Whole, Whole),
    get("Range: bytes={length}-\nIf-Range: {other}", Whole, Whole),
    get("Range: bytes=-5\nIf-Range: {other}", Whole, Whole),
    // A weak tag does not identify single bytes.
    get("Range: bytes=5-9\nIf-Range: W/{tag}", Whole, Whole),
    get("Range: bytes=5-9\nIf-Range: {bare}", Whole, Whole),
    get("Range: bytes=5-9\nIf-Range: *", Whole, Whole),
    get("Range: bytes=5-9\nIf-Range: {tag}, {other}", Whole, Whole),
    get(
        "Range: bytes=5-9\nIf-Range: {tag}\nIf-Range: {tag}",
        Whole,
        Whole,
    ),
    get("Range: bytes=5-9\nIf-Range:", Whole, Whole),
    get("Range: bytes=5-9\nIf-Range: {same}", Part(5, 9), Read(5, 9)),
    get(
        "Range: bytes=5-9\nIf-Range: {same-850}",
        Part(5, 9),
        Read(5, 9),
    ),
    get(
        "Range: bytes=5-9\nIf-Range: {same-asctime}",
        Part(5, 9),
        Read(5, 9),
    ),
    // Only the exact date matches, neither an earlier nor a later one.
    get("Range: bytes=5-9\nIf-Range: {older}", Whole, Whole),
    get("Range: bytes=5-9\nIf-Range: {newer}", Whole, Whole),
    get(
        "Range: bytes=5-9\nIf-Range: 2026-03-02T09:14:05Z",
        Whole,
        Whole,
    ),
    undated("Range: bytes=5-9\nIf-Range: {same}", Whole, Whole),
    undated("Range: bytes=5-9\nIf-Range: {tag}", Part(5, 9), Whole),
];

/// No body if the caller has the recording already.
pub(super) const IF_NONE_MATCH: &[Row] = &[
    get("If-None-Match: {tag}", NotModified, Whole),
    get("If-None-Match: W/{tag}", NotModified, Whole),
    get("If-None-Match: *", NotModified, NotModified),
    get("If-None-Match: {other}", Whole, Whole),
    get("If-None-Match: {other}, {tag}", NotModified, Whole),
    get(
        "If-None-Match: W/{other} , W/{tag},{third}",
        NotModified,
        Whole,
    ),
    get("If-None-Match: {other}, {third}", Whole, Whole),
    get(
        "If-None-Match: {other}\nIf-None-Match: {tag}",
        NotModified,
        Whole,
    ),
    get("If-None-Match: {bare}", Whole, Whole),
    get("If-None-Match: w/{tag}", Whole, Whole),
    get("If-None-Match: *, {other}", Whole, Whole),
    get("If-None-Match:", Whole, Whole),
    get(
        "If-None-Match: {tag}\nRange: bytes=5-9",
        NotModified,
        Read(5, 9),
    ),
    get(
        "If-None-Match: {tag}\nRange: bytes={length}-",
        NotModified,
        Late(&NotModified),
    ),
    get(
        "If-None-Match: *\nRange: bytes=5-9",
        NotModified,
        NotModified,
    ),
    get(
        "If-None-Match: {other}\nRange: bytes=5-9",
        Part(5, 9),
        Read(5, 9),
    ),
    get(
        "If-None-Match: {other}\nRange: bytes={length}-",
        Beyond,
        Late(&Beyond),
    ),
    get(
        "If-None-Match: {tag}\nRange: bytes=5-9\nIf-Range: {other}",
        NotModified,
        Whole,
    ),
    undated("If-None-Match: {tag}", NotModified, Whole),
    undated("If-None-Match: *", NotModified, NotModified),
];

/// No body if the recording differs from the one that the caller expects.
pub(super) const IF_MATCH: &[Row] = &[
    get("If-Match: {tag}", Whole, Failed),
    get("If-Match: {other}", Failed, Failed),
    get("If-Match: *", Whole, Whole),
    get("If-Match: W/{tag}", Failed, Failed),
    get("If-Match: {other}, {tag}", Whole, Failed),
    get("If-Match: {other}, W/{tag}", Failed, Failed),
    get("If-Match: {other}\nIf-Match: {tag}", Whole, Failed),
    get("If-Match: {bare}", Failed, Failed),
    get("If-Match:", Failed, Failed),
    get("If-Match: {tag}\nRange: bytes=5-9", Part(5, 9), Failed),
    get("If-Match: {tag}\nRange: bytes={length}-", Beyond, Failed),
    get("If-Match: *\nRange: bytes=5-9", Part(5, 9), Read(5, 9)),
    get("If-Match: {other}\nRange: bytes=5-9", Failed, Failed),
    get("If-Match: {other}\nRange: bytes={length}-", Failed, Failed),
    get(
        "If-Match: {tag}\nRange: bytes=5-9\nIf-Range: {tag}",
        Part(5, 9),
        Failed,
    ),
    get(
        "If-Match: {tag}\nRange: bytes=5-9\nIf-Range: {other}",
        Whole,
        Failed,
    ),
    undated("If-Match: *", Whole, Whole),
];

/// Dates, which are known from the recording's name.
pub(super) const DATES: &[Row] = &[
    get("If-Modified-Since: {same}", NotModified, NotModified),
    get("If-Modified-Since: {newer}", NotModified, NotModified),
    get("If-Modified-Since: {older}", Whole, Whole),
    get("If-Modified-Since: {same-850}", NotModified, NotModified),
    get(
        "If-Modified-Since: {same-asctime}",
        NotModified,
        NotModified,
    ),
    get("If-Modified-Since: 1772442845", Whole, Whole),
    get(
        "If-Modified-Since: {same}\nIf-Modified-Since: {same}",
        Whole,
        Whole,
    ),
    get(
        "If-Modified-Since: {same}\nRange: bytes=5-9",
        NotModified,
        NotModified,
    ),
    get(
        "If-Modified-Since: {older}\nRange: bytes=5-9",
        Part(5, 9),
        Read(5, 9),
    ),
    undated("If-Modified-Since: {same}", Whole, Whole),
    get("If-Unmodified-Since: {same}", Whole, Whole),
    get("If-Unmodified-Since: {newer}", Whole, Whole),
    get("If-Unmodified-Since: {older}", Failed, Failed),
    get("If-Unmodified-Since: {older-850}", Failed, Failed),
    get("If-Unmodified-Since: long ago", Whole, Whole),
    get(
        "If-Unmodified-Since: {same}\nRange: bytes=5-9",
        Part(5, 9),
        Read(5, 9),
    ),
    get(
        "If-Unmodified-Since: {older}\nRange: bytes=5-9",
        Failed,
        Failed,
    ),
    undated("If-Unmodified-Since: {older}", Whole, Whole),
];

/// The order of conditions: If-Match or otherwise If-Unmodified-Since, then If-None-Match or
/// otherwise If-Modified-Since.
pub(super) const ORDER: &[Row] = &[
    get("If-Match: {tag}\nIf-None-Match: {tag}", NotModified, Failed),
    get("If-Match: {other}\nIf-None-Match: {tag}", Failed, Failed),
    get("If-Match: *\nIf-None-Match: *", NotModified, NotModified),
    get("If-Match: {tag}\nIf-None-Match: {other}", Whole, Failed),
    get(
        "If-Match: *\nIf-None-Match: {other}\nRange: bytes=5-9",
        Part(5, 9),
        Read(5, 9),
    ),
    get(
        "If-Match: {tag}\nIf-Unmodified-Since: {older}",
        Whole,
        Failed,
    ),
    get("If-Match: *\nIf-Unmodified-Since: {older}", Whole, Whole),
    get(
        "If-Match: {other}\nIf-Unmodified-Since: {newer}",
        Failed,
        Failed,
    ),
    get(
        "If-Match: {tag}\nIf-Modified-Since: {same}",
        NotModified,
        Failed,
    ),
    get(
        "If-None-Match: {other}\nIf-Modified-Since: {same}",
        Whole,
        Whole,
    ),
    get(
        "If-None-Match: {tag}\nIf-Modified-Since: {older}",
        NotModified,
        Whole,
    ),
    get(
        "If-None-Match: {tag}\nIf-Unmodified-Since: {older}",
        Failed,
        Failed,
    ),
    get(
        "If-Unmodified-Since: {same}\nIf-Modified-Since: {same}",
        NotModified,
        NotModified,
    ),
    get(
        "If-Unmodified-Since: {older}\nIf-Modified-Since: {same}",
        Failed,
        Failed,
    ),
];

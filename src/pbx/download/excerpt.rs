//! A part of a recording, for a PBX that is trusted to give out parts.
//!
//! Knows when an answer is exactly that part. Does not know who wants it. Pure.

use http::header::CONTENT_RANGE;
use http::{HeaderMap, HeaderValue};

use crate::pbx::content::sniff::AudioType;
use crate::pbx::wire::body_end::BodyEnd;

/// A part of a recording whose length and kind are known from an earlier reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Excerpt {
    /// Its first byte; not that of the recording.
    pub(crate) first: u64,
    /// Its last byte.
    pub(crate) last: u64,
    /// The length of the whole recording.
    pub(crate) total: u64,
    /// The kind of the recording.
    pub(crate) audio: AudioType,
}

impl Excerpt {
    /// Returns true if a 206 with these header fields and a body that ends there is this part, and
    /// nothing else (RFC 9110, section 14.4).
    pub(in crate::pbx) fn is_told_by(&self, headers: &HeaderMap, framing: BodyEnd) -> bool {
        let Self {
            first, last, total, ..
        } = self;
        let told = format!("bytes {first}-{last}/{total}");
        let mut fields = headers.get_all(CONTENT_RANGE).iter();
        let is_told = fields.next().map(HeaderValue::as_bytes) == Some(told.as_bytes());
        let is_long = framing == BodyEnd::ContentLength(last.saturating_sub(*first) + 1);
        is_told && fields.next().is_none() && is_long
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXCERPT: Excerpt = Excerpt {
        first: 100,
        last: 199,
        total: 1_000,
        audio: AudioType::Mpeg,
    };

    #[track_caller]
    fn check(fields: &[&'static str], framing: BodyEnd, expected: bool) {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(CONTENT_RANGE, HeaderValue::from_static(field));
        }
        assert_eq!(
            EXCERPT.is_told_by(&headers, framing),
            expected,
            "{fields:?}"
        );
    }

    #[test]
    fn only_the_very_part_that_was_asked_for_is_believed() {
        let whole = BodyEnd::ContentLength(100);
        check(&["bytes 100-199/1000"], whole, true);
        for other in [
            "bytes 0-99/1000",
            "bytes 100-199/*",
            "bytes 100-199/1001",
            "bytes 100-198/1000",
            "bytes 101-199/1000",
            "bytes */1000",
            "bytes=100-199/1000",
            "Bytes 100-199/1000",
            "bytes 100-199/1000, bytes 100-199/1000",
            "",
        ] {
            check(&[other], whole, false);
        }
        check(&[], whole, false);
        check(&["bytes 100-199/1000", "bytes 100-199/1000"], whole, false);
    }

    #[test]
    fn a_part_of_another_length_than_it_says_is_not_believed() {
        for framing in [
            BodyEnd::ContentLength(99),
            BodyEnd::ContentLength(101),
            BodyEnd::LastChunk,
            BodyEnd::Close { notified: true },
        ] {
            check(&["bytes 100-199/1000"], framing, false);
        }
    }
}

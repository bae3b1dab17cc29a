//! A part of a recording, as it is asked of a PBX that is trusted to give out parts.
//!
//! Knows when an answer is exactly that part. Does not know who wants it. Pure.

use http::header::CONTENT_RANGE;
use http::{HeaderMap, HeaderValue};

use crate::pbx::content::sniff::AudioType;
use crate::pbx::wire::pending_response::Framing;

/// A part of a recording that has been seen before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Excerpt {
    /// Its first byte; not that of the recording.
    pub(crate) first: u64,
    /// Its last byte.
    pub(crate) last: u64,
    /// The length of the whole recording.
    pub(crate) total: u64,
    /// What the recording is.
    pub(crate) audio: AudioType,
}

impl Excerpt {
    /// Whether a 206 with these header fields and a body of this framing is this part, and nothing else (RFC 9110,
    /// section 14.4).
    pub(in crate::pbx) fn is_told_by(&self, headers: &HeaderMap, framing: Framing) -> bool {
        let Self {
            first, last, total, ..
        } = self;
        let told = format!("bytes {first}-{last}/{total}");
        let mut fields = headers.get_all(CONTENT_RANGE).iter();
        let is_told = fields.next().map(HeaderValue::as_bytes) == Some(told.as_bytes());
        let is_long =
            matches!(framing, Framing::Length(length) if length == last.saturating_sub(*first) + 1);
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
    fn check(fields: &[&'static str], framing: Framing, expected: bool) {
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
        let whole = Framing::Length(100);
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
            Framing::Length(99),
            Framing::Length(101),
            Framing::Chunked,
            Framing::UntilClose { tls: true },
        ] {
            check(&["bytes 100-199/1000"], framing, false);
        }
    }
}

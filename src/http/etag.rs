//! Entity tags: the one of a recording, and those in a request.
//!
//! Knows how a tag is made and how two are compared. Does not know the field of a tag. Pure.
//!
//! Source: RFC 9110 §8.8.3 (form, strong and weak comparison), §5.6.1 (lists).

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use http::HeaderValue;

use crate::recording::RecordingName;

/// The strong entity tag of one recording.
///
/// It depends only on the recording, so that several instances behind one address agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ETag(HeaderValue);

/// An entity tag that a request sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FieldTag<'a> {
    weak: bool,
    /// With its quotation marks.
    opaque: &'a [u8],
}

impl ETag {
    /// Makes the tag of a recording.
    ///
    /// `first_bytes` must have the same length on every instance (the whole recording if it is
    /// shorter), or instances disagree. `generation` counts the contents seen under one name with
    /// the same length and first bytes.
    pub(crate) fn of(
        pbx: &str,
        name: &RecordingName,
        length: u64,
        first_bytes: &[u8],
        generation: u64,
    ) -> Self {
        let mut hash = Context::new(&SHA256);
        let parts = [
            pbx.as_bytes(),
            name.as_str().as_bytes(),
            &length.to_be_bytes(),
            first_bytes,
            &generation.to_be_bytes(),
        ];
        for part in parts {
            // The length before each part keeps the parts apart.
            hash.update(&(part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let hash = hash.finish();
        // Half of the hash is enough against an accident, and a caller gains nothing from a
        // collision of recordings that they may hear.
        let half = hash.as_ref().first_chunk().copied().unwrap_or_default();
        let text = format!("\"{:032x}\"", u128::from_be_bytes(half));
        // Hexadecimal digits and quotation marks are always valid there.
        let value = HeaderValue::from_maybe_shared(Bytes::from(text));
        Self(value.unwrap_or(HeaderValue::from_static("\"\"")))
    }

    /// The tag as a field value.
    pub(crate) fn field_value(&self) -> HeaderValue {
        self.0.clone()
    }

    /// The strong comparison (RFC 9110 §8.8.3.2): a weak tag never matches.
    pub(crate) fn equals_strongly(&self, other: &FieldTag<'_>) -> bool {
        !other.weak && self.equals_weakly(other)
    }

    /// The weak comparison: only the part between the quotation marks counts.
    pub(crate) fn equals_weakly(&self, other: &FieldTag<'_>) -> bool {
        self.0.as_bytes() == other.opaque
    }
}

impl<'a> FieldTag<'a> {
    /// Reads one tag: `"…"` or `W/"…"`, with white space around it.
    pub(crate) fn parse(text: &'a [u8]) -> Option<Self> {
        let text = text.trim_ascii();
        let (weak, opaque) = match text.strip_prefix(b"W/") {
            Some(opaque) => (true, opaque),
            None => (false, text),
        };
        let inside = opaque.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        let is_tag = inside.iter().copied().all(is_tag_character);
        is_tag.then_some(Self { weak, opaque })
    }

    /// Reads the tags of a list, and skips elements that are not tags.
    ///
    /// A comma between quotation marks belongs to its tag. If a mark is missing, the rest of the
    /// line is not a tag.
    pub(crate) fn list(line: &'a [u8]) -> impl Iterator<Item = Self> {
        let mut quoted = false;
        line.split(move |byte| {
            quoted ^= *byte == b'"';
            *byte == b',' && !quoted
        })
        .filter_map(Self::parse)
    }
}

/// `etagc` of RFC 9110 §8.8.3: it has no escapes and no white space.
fn is_tag_character(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x7E | 0x80..=0xFF)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tag(pbx: &str, name: &str, length: u64, first_bytes: &[u8], generation: u64) -> ETag {
        ETag::of(pbx, &name.parse().unwrap(), length, first_bytes, generation)
    }

    #[test]
    fn every_instance_of_every_build_makes_the_same_tag() {
        // Made by another program: SHA-256 over each of the five parts, with its length in eight
        // bytes before it.
        let tag = tag("office", "a.wav", 44, b"RIFF", 0);
        assert_eq!(tag.field_value(), "\"5ee39e7ed1db0a381421300996354f04\"");
    }

    #[test]
    fn every_difference_makes_another_tag() {
        let tags = [
            tag("office", "a.wav", 44, b"RIFF", 0),
            tag("branch", "a.wav", 44, b"RIFF", 0),
            tag("office", "b.wav", 44, b"RIFF", 0),
            tag("office", "a.wav", 45, b"RIFF", 0),
            tag("office", "a.wav", 44, b"RIFX", 0),
            tag("office", "a.wav", 44, b"RIFF", 1),
            // Parts that would be equal if they were joined.
            tag("officea", "wav", 44, b"RIFF", 0),
            tag("office", "a.wavR", 44, b"IFF", 0),
            tag("office", "a.wav", 0, b"\0\0\0\x2CRIFF", 0),
            tag("", "officea.wav", 44, b"RIFF", 0),
            tag("office", "a.wav", 44, b"", 0),
            tag("office", "a.wav", 44, b"RIFF\0", 0),
        ];
        for (index, tag) in tags.iter().enumerate() {
            assert!(!tags[..index].contains(tag), "{index}");
        }
    }

    #[track_caller]
    fn check(line: &str, expected: &[(bool, &str)]) {
        let tags: Vec<_> = FieldTag::list(line.as_bytes())
            .map(|tag| (tag.weak, std::str::from_utf8(tag.opaque).unwrap()))
            .collect();
        assert_eq!(tags, expected, "{line}");
    }

    #[test]
    fn a_list_is_read_and_invalid_tags_are_skipped() {
        check(r#""a""#, &[(false, r#""a""#)]);
        check(r#"W/"a""#, &[(true, r#""a""#)]);
        check(r#""""#, &[(false, r#""""#)]);
        check(r#" "a" ,	W/"b" "#, &[(false, r#""a""#), (true, r#""b""#)]);
        check(r#","a",,,"b","#, &[(false, r#""a""#), (false, r#""b""#)]);
        check(r#""a,b""#, &[(false, r#""a,b""#)]);
        check(r#""a\","b""#, &[(false, r#""a\""#), (false, r#""b""#)]);
        check(r#""é""#, &[(false, r#""é""#)]);
        check(r#"a, "b""#, &[(false, r#""b""#)]);
        check(r#"w/"a""#, &[]);
        check(r#"W/ "a""#, &[]);
        check(r#"W/a"#, &[]);
        check(r#""a b""#, &[]);
        check(r#""a"x"#, &[]);
        check(r#""a""b""#, &[]);
        check(r#""a"#, &[]);
        check(r#"a""#, &[]);
        check(r#"""#, &[]);
        check(r#""a, "b""#, &[]);
        check(r#""a,"b","c""#, &[]);
        check("", &[]);
        check(",", &[]);
        check("*", &[]);
    }

    #[test]
    fn a_weak_tag_matches_weakly_only() {
        let own = tag("office", "a.wav", 44, b"RIFF", 0);
        let text = own.field_value();
        let weak = [b"W/", text.as_bytes()].concat();
        let [strong, weak] = [text.as_bytes(), &weak].map(|text| FieldTag::parse(text).unwrap());
        assert!(own.equals_strongly(&strong) && own.equals_weakly(&strong));
        assert!(!own.equals_strongly(&weak) && own.equals_weakly(&weak));
        let other = FieldTag::parse(b"\"a\"").unwrap();
        assert!(!own.equals_strongly(&other) && !own.equals_weakly(&other));
    }

    proptest! {
        #[test]
        fn no_line_panics(line in any::<Vec<u8>>()) {
            let _ = FieldTag::list(&line).count();
        }

        #[test]
        fn tags_with_commas_and_marks_are_read_as_they_were_written(
            tags in prop::collection::vec((any::<bool>(), "[!#-~\u{80}-\u{ff}]{0,12}"), 0..6),
            between in "[ \t]{0,2},[ ,\t]{0,3}",
        ) {
            let written: Vec<_> = tags
                .iter()
                .map(|(weak, text)| format!("{}\"{text}\"", if *weak { "W/" } else { "" }))
                .collect();
            let line = written.join(&between);
            let read: Vec<_> = FieldTag::list(line.as_bytes()).collect();
            prop_assert_eq!(read.len(), tags.len());
            for (read, written) in read.iter().zip(&written) {
                let opaque = written.strip_prefix("W/");
                prop_assert_eq!(read.weak, opaque.is_some());
                prop_assert_eq!(read.opaque, opaque.unwrap_or(written).as_bytes());
            }
        }
    }
}

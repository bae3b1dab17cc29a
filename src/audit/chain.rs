//! The chain of lines: each line holds the hash of the line before.
//!
//! Knows the hash of a line, and how the next line is made. Does not know files. Pure.
//!
//! The hash of a line is the SHA-256 of its bytes without the line end. These bytes hold the hash
//! of the line before, so the hash stands for all lines up to there. Anybody can check a link of
//! the chain with `sha256sum`.

use std::fmt;
use std::io::Write as _;
use std::str::FromStr;

use aws_lc_rs::digest;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::line::LogRecord;

/// The SHA-256 of a line; as text 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Hash([u8; 32]);

impl Hash {
    /// The hash of some bytes.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let digest = digest::digest(&digest::SHA256, bytes);
        let mut hash = [0; 32];
        for (to, from) in hash.iter_mut().zip(digest.as_ref()) {
            *to = *from;
        }
        Self(hash)
    }

    /// Gives the text to `use_digits`.
    fn digits<T>(&self, use_digits: impl FnOnce(&str) -> T) -> T {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digit = |value: u8| *DIGITS.get(usize::from(value)).unwrap_or(&b'0');
        let mut digits = [b'0'; 64];
        let (pairs, _) = digits.as_chunks_mut::<2>();
        for (pair, byte) in pairs.iter_mut().zip(self.0) {
            *pair = [digit(byte >> 4), digit(byte & 15)];
        }
        use_digits(str::from_utf8(&digits).unwrap_or_default())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.digits(|digits| formatter.write_str(digits))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for Hash {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        const WRONG: &str = "not 64 lower-case hexadecimal digits";
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Ok(byte - b'0'),
            b'a'..=b'f' => Ok(byte - b'a' + 10),
            _ => Err(WRONG),
        };
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != 32 || !rest.is_empty() {
            return Err(WRONG);
        }
        let mut hash = [0; 32];
        for (to, [high, low]) in hash.iter_mut().zip(pairs) {
            *to = digit(*high)? << 4 | digit(*low)?;
        }
        Ok(Self(hash))
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.digits(|digits| serializer.serialize_str(digits))
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// A link of the chain: the number and the hash of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ChainLink {
    /// 0 while there is no line.
    pub(crate) seq: u64,
    pub(crate) hash: Hash,
}

impl ChainLink {
    /// Writes the next line of the chain behind `lines`, with its line end, and becomes the link of
    /// that line: a [`Line`](super::line::Line). `time` has no character that JSON escapes.
    ///
    /// # Errors
    /// When the record cannot be written as JSON; then `lines` and the link are as before.
    pub(crate) fn append(
        &mut self,
        record: &LogRecord,
        time: &str,
        lines: &mut Vec<u8>,
    ) -> Result<(), serde_json::Error> {
        let (begin, seq) = (lines.len(), self.seq + 1);
        // A vector takes everything.
        let _ = write!(lines, "{{\"seq\":{seq},\"prev\":\"");
        self.hash
            .digits(|digits| lines.extend_from_slice(digits.as_bytes()));
        let _ = write!(lines, "\",\"time\":\"{time}\"");
        // The members of the record follow: a comma takes the place of its brace.
        let brace = lines.len();
        if let Err(error) = serde_json::to_writer(&mut *lines, record) {
            lines.truncate(begin);
            return Err(error);
        }
        if let Some(brace) = lines.get_mut(brace) {
            *brace = b',';
        }
        *self = Self {
            seq,
            hash: Hash::of(lines.get(begin..).unwrap_or_default()),
        };
        lines.push(b'\n');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::audit::line::{FileRecord, Line};

    #[test]
    fn a_line_holds_the_hash_of_the_one_before() {
        let (mut link, mut lines) = (ChainLink::default(), Vec::new());
        for _ in 0..2 {
            let record = LogRecord::File(FileRecord { previous: None });
            link.append(&record, "2026-03-02T09:14:07.000Z", &mut lines)
                .unwrap();
        }
        let text = String::from_utf8(lines).unwrap();
        let (first, second) = text.trim_end().split_once('\n').unwrap();
        assert_eq!(
            first,
            format!(
                r#"{{"seq":1,"prev":"{}","time":"2026-03-02T09:14:07.000Z","kind":"file","previous":null}}"#,
                "0".repeat(64)
            )
        );
        let second = Line::parse(second.as_bytes()).unwrap();
        assert_eq!((second.seq, second.prev), (2, Hash::of(first.as_bytes())));
        assert_eq!(link.seq, 2);
    }

    #[test]
    fn a_hash_is_the_standard_sha_256() {
        // FIPS 180-2, appendix B.1.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Hash::of(b"abc").to_string(), abc);
        assert_eq!(abc.parse(), Ok(Hash::of(b"abc")));
    }

    proptest! {
        #[test]
        fn a_text_that_is_no_hash_is_refused(text in "[0-9a-g]{60,68}") {
            let read = text.parse::<Hash>();
            let fits = text.len() == 64 && !text.contains('g');
            prop_assert_eq!(read.map(|hash| hash.to_string()).ok(), fits.then_some(text));
        }
    }
}

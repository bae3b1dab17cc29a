//! Traces of an editor or a shell in a secret file, besides the secret.
//!
//! Knows what is seldom intended. Does not know whether it is a mistake: that depends on the use of
//! the secret. Pure, and nothing here repeats the content.
//!
//! Sources: the Unicode Standard, 23.8 (byte order marks); PowerShell's `>` writes UTF-16 with one,
//! and some editors' "UTF-8 with BOM" writes one as well.

use std::fmt;

use crate::recording::is_invisible;

/// A trait of a secret that is seldom intended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Oddity {
    /// The text begins with the byte order mark of UTF-8.
    ByteOrderMark,
    /// The text has two or four bytes for each character.
    Utf16,
    NotUtf8,
    BlankAtStart,
    BlankAtEnd,
    SeveralLines,
}

impl Oddity {
    /// Returns true if a password cannot be intended this way.
    pub(crate) fn spoils_password(self) -> bool {
        matches!(self, Self::ByteOrderMark | Self::Utf16)
    }
}

impl fmt::Display for Oddity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::ByteOrderMark => {
                "begins with a byte order mark; save it as UTF-8 without one (without BOM)"
            }
            Self::Utf16 => "is in UTF-16; save it as UTF-8 without a byte order mark",
            Self::NotUtf8 => "is not in UTF-8",
            Self::BlankAtStart => "begins with a blank, which counts as part of it",
            Self::BlankAtEnd => "has a blank before the line end, which counts as part of it",
            Self::SeveralLines => "has more than one line, and all of them count as one secret",
        })
    }
}

/// Finds the oddities of a secret, after its line end has been removed. Keys in PEM have several
/// lines, and blanks in them do not matter.
pub(crate) fn oddities(secret: &[u8]) -> Vec<Oddity> {
    let text = str::from_utf8(secret);
    // Random bytes may hold zeros as well, but they are not text.
    let is_utf16 = secret.starts_with(b"\xFF\xFE") || secret.starts_with(b"\xFE\xFF");
    if is_utf16 || text.is_ok_and(|text| text.contains('\0')) {
        return vec![Oddity::Utf16];
    }
    let Ok(text) = text else {
        return vec![Oddity::NotUtf8];
    };
    if text.starts_with('\u{FEFF}') {
        return vec![Oddity::ByteOrderMark];
    }
    if text.trim_start().starts_with("-----BEGIN") {
        return Vec::new();
    }
    let is_blank = |character: char| character.is_whitespace() || is_invisible(character);
    let found = [
        (text.starts_with(is_blank), Oddity::BlankAtStart),
        (text.ends_with(is_blank), Oddity::BlankAtEnd),
        (text.contains(['\n', '\r']), Oddity::SeveralLines),
    ];
    let found = found.into_iter().filter(|(is_so, _)| *is_so);
    found.map(|(_, oddity)| oddity).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(secret: impl AsRef<[u8]>, expected: &[Oddity]) {
        let secret = secret.as_ref();
        assert_eq!(oddities(secret), expected, "{secret:?}");
    }

    fn in_utf16(text: &str, to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(to_bytes).collect()
    }

    #[test]
    fn every_oddity_is_found() {
        check("hunter2", &[]);
        check("two words, ä, \"quoted\"", &[]);
        check("\u{FEFF}hunter2 ", &[Oddity::ByteOrderMark]);
        for to_bytes in [u16::to_le_bytes, u16::to_be_bytes] {
            check(in_utf16("\u{FEFF}hunter2\r\n", to_bytes), &[Oddity::Utf16]);
            check(in_utf16("hunter2", to_bytes), &[Oddity::Utf16]);
            check(in_utf16("\u{FEFF}пароль", to_bytes), &[Oddity::Utf16]);
        }
        check(b"h\0\0\0u\0\0\0", &[Oddity::Utf16]);
        check(b"M\xFCller", &[Oddity::NotUtf8]);
        for blank in [" ", "\t", "\u{A0}", "\u{200B}", "\u{3000}"] {
            check(format!("hunter2{blank}"), &[Oddity::BlankAtEnd]);
            check(format!("{blank}hunter2"), &[Oddity::BlankAtStart]);
        }
        check(" x ", &[Oddity::BlankAtStart, Oddity::BlankAtEnd]);
        check("one\r\ntwo", &[Oddity::SeveralLines]);
        check("one \n\ntwo\t", &[Oddity::BlankAtEnd, Oddity::SeveralLines]);
        check(
            "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY----- ",
            &[],
        );
    }

    proptest! {
        #[test]
        fn random_bytes_are_not_taken_for_utf16(bytes in proptest::collection::vec(0x80_u8..0xC0, 1..40)) {
            prop_assert_eq!(oddities(&bytes), [Oddity::NotUtf8]);
        }

        #[test]
        fn no_words_repeat_the_secret(secret in "[a-z]{12}[ \t\n]{0,2}") {
            for oddity in oddities(secret.as_bytes()) {
                prop_assert!(!oddity.to_string().contains(&secret[..12]));
            }
        }
    }
}

//! The name of a recording, and the facts that the name tells.
//!
//! Knows which names are valid, how a name is written in a URL, and where the start of the call and
//! its parties stand in it. Does not know whether such a recording exists, or on which PBX.
//!
//! Sources: RFC 3986 §2 (percent-encoding, unreserved characters); Yeastar, "S-Series API Guide",
//! "Acquire Auto Recording files", and "P-Series OpenAPI", "Query recording list", whose samples
//! all have the form `20170914093038-1505352615.274-1000-91000-Outbound.wav`: stamp, UTC epoch of
//! the call and a counter, caller, callee, direction. The characters allowed in the parties are
//! documented nowhere, so little is assumed about them.

mod call;
mod parties;
mod range;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

pub use parties::{Direction, Parties};
pub use range::{NameRange, Stamp, StampError};

/// All characters except the unreserved ones of RFC 3986 §2.3.
pub(crate) const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The file name of one recording, as the PBX writes it in its CDR.
///
/// Invariant: 1 to 255 bytes of UTF-8, no separator, no control or invisible character, no leading
/// dot and so no dot segment. Samples of the vendor hold only digits, letters, `-` and `.`, but
/// nothing excludes `+`, `*`, `#` or spaces in a caller's number. So everything is percent-encoded
/// when it is written out ([`RecordingName::encoded`]). A clone costs no memory.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RecordingName(Arc<str>);

/// The reason why a text is not the name of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The name is empty.
    #[error("the name is empty")]
    Empty,
    /// The name is longer than [`RecordingName::MAX_BYTES`].
    #[error("the name is longer than 255 bytes")]
    TooLong,
    /// A `%` is not followed by two hexadecimal digits.
    #[error("the name has a percent sign without two hexadecimal digits")]
    Escape,
    /// The decoded bytes are not UTF-8.
    #[error("the name is not UTF-8")]
    NotUtf8,
    /// The name has a slash or a backslash, plain or encoded.
    #[error("the name has a path separator")]
    Separator,
    /// The name has a control character (Unicode Cc), such as NUL or DEL.
    #[error("the name has a control character")]
    Control,
    /// The name has a character that is invisible but changes how the rest is shown, such as a
    /// change of writing direction.
    #[error("the name has an invisible character")]
    Invisible,
    /// The name starts with a dot: a hidden file, `.` or `..`.
    #[error("the name starts with a dot")]
    LeadingDot,
}

impl RecordingName {
    /// The longest name, in bytes once decoded. The file systems of the PBXs allow no longer one.
    pub const MAX_BYTES: usize = 255;

    /// Reads a name from one segment of a URL's path, and decodes it exactly once.
    ///
    /// A `+` is a plus sign, as in every path. `%2541` is the name `%41`, since nothing is decoded
    /// twice.
    ///
    /// # Errors
    /// When an escape is broken, or the decoded text is not a name.
    pub fn from_path_segment(segment: &str) -> Result<Self, NameError> {
        // An escape has three bytes for one, so a longer segment cannot hold a name.
        if segment.len() > 3 * Self::MAX_BYTES {
            return Err(NameError::TooLong);
        }
        if !escapes_are_whole(segment) {
            return Err(NameError::Escape);
        }
        let name = percent_decode_str(segment)
            .decode_utf8()
            .map_err(|_| NameError::NotUtf8)?;
        Self::try_from(name.into_owned())
    }

    /// The name as the PBX knows it, not encoded.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same text, shared with this name.
    pub(crate) fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }

    /// The name for a path segment or a query value: all characters except RFC 3986's unreserved
    /// ones are escaped, `+` as `%2B`.
    #[must_use]
    pub fn encoded(&self) -> String {
        utf8_percent_encode(&self.0, RESERVED).to_string()
    }
}

impl TryFrom<String> for RecordingName {
    type Error = NameError;

    /// Takes a name that is not encoded, such as a claim.
    fn try_from(name: String) -> Result<Self, NameError> {
        check_name(&name)?;
        Ok(Self(name.into()))
    }
}

impl FromStr for RecordingName {
    type Err = NameError;

    /// Takes a name that is not encoded, such as an argument.
    fn from_str(name: &str) -> Result<Self, NameError> {
        check_name(name)?;
        Ok(Self(name.into()))
    }
}

impl fmt::Display for RecordingName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

fn check_name(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if name.len() > RecordingName::MAX_BYTES {
        return Err(NameError::TooLong);
    }
    if name.starts_with('.') {
        return Err(NameError::LeadingDot);
    }
    name.chars().try_for_each(check_character)
}

fn check_character(character: char) -> Result<(), NameError> {
    match character {
        '/' | '\\' => Err(NameError::Separator),
        _ if character.is_control() => Err(NameError::Control),
        _ if is_invisible(character) => Err(NameError::Invisible),
        _ => Ok(()),
    }
}

/// Returns true for format characters and separators that a log or a file dialog does not show:
/// zero-width characters, changes of direction, line and paragraph separators, annotations, tags
/// (Unicode 16, categories Cf, Zl and Zp).
pub(crate) fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{AD}'
            | '\u{61C}'
            | '\u{180E}'
            | '\u{200B}'..='\u{200F}'
            | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}'
            | '\u{FEFF}'
            | '\u{FFF9}'..='\u{FFFB}'
            | '\u{E0000}'..='\u{E007F}'
    )
}

/// Returns true if two hexadecimal digits follow every percent sign.
fn escapes_are_whole(segment: &str) -> bool {
    segment.split('%').skip(1).all(|after| {
        after
            .as_bytes()
            .first_chunk::<2>()
            .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(segment: &str, expected: Result<&str, NameError>) {
        let name = RecordingName::from_path_segment(segment);
        assert_eq!(
            name.as_ref().map(RecordingName::as_str),
            expected.as_ref().copied()
        );
    }

    #[test]
    fn a_segment_is_decoded_once_and_checked() {
        check(
            "20170914093038-1505352615.274-1000-91000-Outbound.wav",
            Ok("20170914093038-1505352615.274-1000-91000-Outbound.wav"),
        );
        check("hello001", Ok("hello001"));
        check("a+b", Ok("a+b"));
        check("a%2Bb", Ok("a+b"));
        check("a%2bb", Ok("a+b"));
        check("a%20b", Ok("a b"));
        check("%2541", Ok("%41"));
        check("%252e%252e", Ok("%2e%2e"));
        check("%E2%82%AC", Ok("€"));
        check("a..b", Ok("a..b"));
        check("", Err(NameError::Empty));
        check(".", Err(NameError::LeadingDot));
        check("..", Err(NameError::LeadingDot));
        check("%2e%2e", Err(NameError::LeadingDot));
        check(".hidden", Err(NameError::LeadingDot));
        check("a/b", Err(NameError::Separator));
        check("a%2Fb", Err(NameError::Separator));
        check("a\\b", Err(NameError::Separator));
        check("..%5cb", Err(NameError::LeadingDot));
        check("a%5Cb", Err(NameError::Separator));
        check("%", Err(NameError::Escape));
        check("a%2", Err(NameError::Escape));
        check("%zz", Err(NameError::Escape));
        check("%%41", Err(NameError::Escape));
        check("%+1", Err(NameError::Escape));
        check("%é", Err(NameError::Escape));
        check("%FF", Err(NameError::NotUtf8));
        check("%C0%AF", Err(NameError::NotUtf8));
        check("%ED%A0%80", Err(NameError::NotUtf8));
        check("a%00", Err(NameError::Control));
        check("a%0D%0Ab", Err(NameError::Control));
        check("a%7F", Err(NameError::Control));
        check("a%C2%85", Err(NameError::Control));
        check("a%E2%80%AEvaw.exe", Err(NameError::Invisible));
        check("%EF%BB%BFa", Err(NameError::Invisible));
        check(&"a".repeat(255), Ok(&"a".repeat(255)));
        check(&"a".repeat(256), Err(NameError::TooLong));
        check(&"%41".repeat(255), Ok(&"A".repeat(255)));
        check(&"%41".repeat(256), Err(NameError::TooLong));
    }

    #[test]
    fn everything_but_unreserved_characters_is_escaped() {
        let name: RecordingName = "a+b *#@~_-.%é".parse().unwrap();
        assert_eq!(name.encoded(), "a%2Bb%20%2A%23%40~_-.%25%C3%A9");
    }

    proptest! {
        #[test]
        fn no_segment_panics_and_what_is_accepted_is_clean(segment in any::<String>()) {
            if let Ok(name) = RecordingName::from_path_segment(&segment) {
                let text = name.as_str();
                prop_assert!(!text.is_empty() && text.len() <= RecordingName::MAX_BYTES);
                prop_assert!(!text.starts_with('.'));
                prop_assert!(!text.contains(|c: char| c == '/' || c == '\\' || c.is_control()));
            }
        }

        #[test]
        fn no_escape_panics_or_smuggles_a_character(segment in "[%0-9a-fA-F./+-]{0,40}") {
            if let Ok(name) = RecordingName::from_path_segment(&segment) {
                prop_assert!(!name.as_str().contains(|c: char| c == '/' || c == '\\' || c.is_control()));
                prop_assert!(!name.as_str().starts_with('.'));
                let _ = name.call_started();
            }
        }

        #[test]
        fn what_is_encoded_decodes_to_the_same_name(text in "[^./\\\\\\p{C}][^/\\\\\\p{C}]{0,60}") {
            if let Ok(name) = text.parse::<RecordingName>() {
                let encoded = name.encoded();
                prop_assert!(encoded.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%".contains(&b)));
                prop_assert_eq!(RecordingName::from_path_segment(&encoded), Ok(name));
            }
        }
    }
}

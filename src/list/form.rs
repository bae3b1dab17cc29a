//! Decodes the value of a parameter in a query: percent-escapes, and the meaning of a plus.
//!
//! Knows when a plus stands for a blank, and when it is a plus. Does not know parameters. Pure.
//!
//! Sources: RFC 3986 §2.1 (percent-encoding); WHATWG URL, "application/x-www-form-urlencoded",
//! which the form encoders of Python, JavaScript, PHP and Java follow: a blank is `+`, and a plus
//! is `%2B`. RFC 3339 §5.6 (times and their offsets).
//!
//! People who type an address write a plus as it is, before a number and before an offset. So a `+`
//! is a blank except in two places where a blank would have no meaning:
//!
//! - It begins a number: a digit follows, and before it stands nothing, or a bracket that every
//!   form encoder escapes.
//! - It begins an offset: a time of day stands before it, and a digit follows. After a bare date it
//!   is also a plus if the rest has the form of an offset (`2026-03-02+01:00`). No parameter
//!   accepts that, so it is refused and not guessed.

use std::string::FromUtf8Error;

use percent_encoding::percent_decode_str;

/// Decodes a value exactly once.
///
/// # Errors
/// When it is not UTF-8.
pub(super) fn decode(value: &str) -> Result<String, FromUtf8Error> {
    let mut decoded = Vec::with_capacity(value.len());
    let mut rest = Some(value);
    while let Some(text) = rest {
        let (part, after) = match text.split_once('+') {
            Some((part, after)) => (part, Some(after)),
            None => (text, None),
        };
        decoded.extend(percent_decode_str(part));
        if let Some(after) = after {
            let is_plus = after.starts_with(|next: char| next.is_ascii_digit())
                && (begins_number(part, &decoded) || begins_offset(&decoded, after));
            decoded.push(if is_plus { b'+' } else { b' ' });
        }
        rest = after;
    }
    String::from_utf8(decoded)
}

/// Returns true if a number can begin after the text before the plus. `part` is the end of that
/// text as it is written.
fn begins_number(part: &str, decoded: &[u8]) -> bool {
    decoded.is_empty() || part.ends_with(['(', '<', '['])
}

/// Returns true if the decoded text is a time that an offset can follow, or a date for which
/// `after` can be the offset.
fn begins_offset(decoded: &[u8], after: &str) -> bool {
    let (date, time) = match decoded.split_at_checked(10) {
        Some((date, time)) if is_date(date) => (date, time),
        _ => match decoded.split_at_checked(8) {
            Some((date, time)) => (date, time),
            None => return false,
        },
    };
    let is_of_time = |byte: &u8| byte.is_ascii_digit() || b":.,".contains(byte);
    match (date.len(), time.split_first()) {
        (10, None) => after.len() <= 5 && after.bytes().all(|byte| is_of_time(&byte)),
        (10, Some((b'T' | b't' | b' ', clock))) => {
            !clock.is_empty() && clock.iter().all(is_of_time)
        }
        // The short form of ISO 8601. With a blank it would be a telephone number.
        (8, Some((b'T' | b't', clock))) => {
            let is_date = date.iter().all(u8::is_ascii_digit);
            is_date && !clock.is_empty() && clock.iter().all(is_of_time)
        }
        _ => false,
    }
}

/// Returns true if the text has the form of a date with hyphens.
fn is_date(text: &[u8]) -> bool {
    text.iter().enumerate().all(|(index, byte)| match index {
        4 | 7 => *byte == b'-',
        _ => byte.is_ascii_digit(),
    })
}

#[cfg(test)]
mod tests {
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;
    use url::form_urlencoded::byte_serialize;

    use super::*;

    #[track_caller]
    fn check(value: &str, expected: &str) {
        assert_eq!(decode(value).as_deref(), Ok(expected), "{value}");
    }

    #[test]
    fn a_plus_is_a_blank_except_before_a_number_or_an_offset() {
        check("Jo+Doe", "Jo Doe");
        check("Jo%20Doe", "Jo Doe");
        check("Doe%2C+Jo+%2B+Co", "Doe, Jo + Co");
        check("Doe,+Jo", "Doe, Jo");
        check("Support+1", "Support 1");
        check("+4930123456", "+4930123456");
        check("%2B4930123456", "+4930123456");
        check("%2B49+30+123456", "+49 30 123456");
        check("+49+30+123456", "+49 30 123456");
        check("%2B", "+");
        check("+%2B49", " +49");
        check("(+49)30", "(+49)30");
        check("Jo+Doe<+4930>", "Jo Doe<+4930>");
        check("%28+49", "( 49");
        check("+Jo", " Jo");
        check("+", " ");
        check("Jo+", "Jo ");
        check("a++b", "a  b");
        check("20261025+0100", "20261025 0100");
        check("", "");
    }

    #[test]
    fn a_time_keeps_its_blank_and_its_offset() {
        check("2026-10-25+00%3A00%3A00", "2026-10-25 00:00:00");
        check("2026-10-25+00:00:00", "2026-10-25 00:00:00");
        check("2026-10-25+01%3A00", "2026-10-25 01:00");
        check("2026-10-25T00:00:00+01:00", "2026-10-25T00:00:00+01:00");
        check("2026-10-25t00:00+01", "2026-10-25t00:00+01");
        check("2026-10-25T00:00:00.5+0100", "2026-10-25T00:00:00.5+0100");
        check(
            "2026-10-25T00%3A00%3A00+01%3A00",
            "2026-10-25T00:00:00+01:00",
        );
        check(
            "2026-10-25+00%3A00%3A00%2B01%3A00",
            "2026-10-25 00:00:00+01:00",
        );
        check("2026-10-25+00:00:00+01:00", "2026-10-25 00:00:00+01:00");
        check("2026-10-25+00:00+01:00", "2026-10-25 00:00+01:00");
        check("20261025T000000+0100", "20261025T000000+0100");
        // Either the offset of a date or a time of day. Both readings are possible, so the plus
        // stays and the value is refused later.
        check("2026-10-25+01:00", "2026-10-25+01:00");
        check("2026-10-25+0100", "2026-10-25+0100");
        check("2026-10-25T00:00:00+", "2026-10-25T00:00:00 ");
    }

    #[test]
    fn a_value_that_is_not_utf8_is_refused() {
        for value in ["%FF", "a+%C3", "%C3+%A4"] {
            assert!(decode(value).is_err(), "{value}");
        }
    }

    proptest! {
        #[test]
        fn form_encoded_text_decodes_to_itself(text in "[^ 0-9][ -~äß€]{0,30}") {
            let written: String = byte_serialize(text.as_bytes()).collect();
            prop_assert_eq!(decode(&written), Ok(text));
        }

        #[test]
        fn percent_encoded_text_decodes_to_itself(text in ".{0,40}") {
            let written = utf8_percent_encode(&text, NON_ALPHANUMERIC).to_string();
            prop_assert_eq!(decode(&written), Ok(text));
        }

        #[test]
        fn a_time_means_the_same_however_it_is_written(
            year in 1970..2100, month in 1..13, day in 1..29, hour in 0..24, minute in 0..60,
            separator in "[Tt ]", offset in proptest::option::of(0..15), typed: bool,
        ) {
            let mut text = format!("{year}-{month:02}-{day:02}{separator}{hour:02}:{minute:02}:00");
            if let Some(offset) = offset {
                text += &format!("+{offset:02}:00");
            }
            let written = match typed {
                true => text.replace(' ', "+"),
                false => byte_serialize(text.as_bytes()).collect(),
            };
            prop_assert_eq!(decode(&written), Ok(text));
        }

        #[test]
        fn a_number_means_the_same_however_its_plus_is_written(number in "[0-9]{1,15}( [0-9]{1,5}){0,3}") {
            let typed = format!("+{}", number.replace(' ', "+"));
            let expected = Ok(format!("+{number}"));
            prop_assert_eq!(decode(&typed), expected.clone());
            let encoded: String = byte_serialize(format!("+{number}").as_bytes()).collect();
            prop_assert_eq!(decode(&encoded), expected);
        }

        #[test]
        fn no_value_makes_the_reader_panic(value in "[-0-9+T%ABC:(<äx ]{0,30}") {
            let _ = decode(&value);
        }
    }
}

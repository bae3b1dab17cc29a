//! Random strings: tokens, one-time strings, passwords.
//!
//! Knows where randomness comes from and how it is written. Does not keep anything.

use std::fmt::Write;
use std::io;

/// Makes 32 lower-case hexadecimal digits that nobody can guess.
///
/// # Errors
///
/// When the system has no randomness to give.
pub(super) fn fresh() -> io::Result<String> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| io::Error::other("no randomness"))?;
    Ok(hex(&bytes))
}

/// Makes that many letters and digits that nobody can guess.
///
/// # Errors
///
/// When the system has no randomness to give.
pub(super) fn alphanumeric(length: usize) -> io::Result<String> {
    let mut bytes = vec![0; length];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| io::Error::other("no randomness"))?;
    // Some come a little more often than others: 62 does not divide 256.
    let letters = bytes.iter().map(|byte| match byte % 62 {
        digit @ 0..10 => char::from(b'0' + digit),
        upper @ 10..36 => char::from(b'A' + upper - 10),
        lower => char::from(b'a' + lower - 36),
    });
    Ok(letters.collect())
}

/// Writes bytes as lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
            let _ = write!(text, "{byte:02x}"); // writing to a String cannot fail
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_32_digits_and_differ() {
        let (one, other) = (fresh().unwrap(), fresh().unwrap());
        assert_ne!(one, other);
        assert!(one.len() == 32 && one.bytes().all(|digit| digit.is_ascii_hexdigit()));
        assert_eq!(hex(&[0, 0xAB]), "00ab");
        let text = alphanumeric(1_000).unwrap();
        assert!(text.len() == 1_000 && text.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    }
}

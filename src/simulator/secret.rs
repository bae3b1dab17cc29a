//! Random values: tokens, tickets, passwords.
//!
//! Knows the source of randomness and the spelling of values. Keeps no values.

use std::fmt::Write;
use std::io;

/// Returns 32 random lower-case hexadecimal digits, 128 bits that nobody can guess.
///
/// # Errors
///
/// When the system provides no randomness.
pub(super) fn fresh() -> io::Result<String> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| io::Error::other("no randomness"))?;
    Ok(hex(&bytes))
}

/// Returns `length` random letters and digits, about 6 bits each, that nobody can guess.
///
/// # Errors
///
/// When the system provides no randomness.
pub(super) fn alphanumeric(length: usize) -> io::Result<String> {
    let mut bytes = vec![0; length];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| io::Error::other("no randomness"))?;
    // Some characters are a little more frequent than others, because 62 does not divide 256.
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
    fn fresh_secrets_have_32_digits_and_differ() {
        let (one, other) = (fresh().unwrap(), fresh().unwrap());
        assert_ne!(one, other);
        assert!(one.len() == 32 && one.bytes().all(|digit| digit.is_ascii_hexdigit()));
        assert_eq!(hex(&[0, 0xAB]), "00ab");
        let text = alphanumeric(1_000).unwrap();
        assert!(text.len() == 1_000 && text.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    }
}

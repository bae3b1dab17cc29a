//! The SHA-256 of a certificate, in the form that people compare.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest;
use thiserror::Error;

/// The SHA-256 of a leaf certificate's DER.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pin([u8; 32]);

/// The text is not a SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a SHA-256 in hexadecimal (64 digits, colons allowed)")]
pub struct PinError;

impl Pin {
    /// The SHA-256 of `certificate`, which is in DER.
    #[must_use]
    pub fn of(certificate: &[u8]) -> Self {
        let mut bytes = [0; 32];
        let digest = digest::digest(&digest::SHA256, certificate);
        bytes.copy_from_slice(digest.as_ref());
        Self(bytes)
    }
}

impl FromStr for Pin {
    type Err = PinError;

    /// Reads 64 hexadecimal digits in either case, with or without colons, as openssl and browsers
    /// show them.
    fn from_str(text: &str) -> Result<Self, PinError> {
        let digits: Vec<u8> = text
            .chars()
            .filter(|character| *character != ':')
            .map(|character| {
                character
                    .to_digit(16)
                    .and_then(|digit| u8::try_from(digit).ok())
            })
            .collect::<Option<_>>()
            .ok_or(PinError)?;
        let (pairs, []) = digits.as_chunks::<2>() else {
            return Err(PinError);
        };
        let bytes: Vec<u8> = pairs.iter().map(|[high, low]| (high << 4) | low).collect();
        bytes.try_into().map(Self).map_err(|_| PinError)
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_as_openssl_and_browsers_show_it() {
        let plain = "0123456789abcdef".repeat(4);
        let pin: Pin = plain.parse().unwrap();
        assert_eq!(pin.to_string(), plain);
        let pairs: Vec<_> = (0..64)
            .step_by(2)
            .map(|at| plain[at..at + 2].to_uppercase())
            .collect();
        assert_eq!(pairs.join(":").parse(), Ok(pin));
        for wrong in [
            "",
            "00",
            &plain[1..],
            "sha256/AAAA",
            &"zz".repeat(32),
            &"é".repeat(64),
        ] {
            assert_eq!(wrong.parse::<Pin>(), Err(PinError), "{wrong}");
        }
    }
}

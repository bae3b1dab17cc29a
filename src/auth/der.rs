//! The part of DER that is needed before a public key from PEM goes to the crypto library.
//!
//! Knows how to find the public key in a certificate and the length of an RSA modulus. Does not
//! know signatures, names or validity: a certificate is only an envelope for a key here, and
//! nothing in it is trusted or checked.
//!
//! Sources: X.690 §8.1 (tag, length, contents); RFC 5280 §4.1 (Certificate); RFC 8017 appendix
//! A.1.1 (RSAPublicKey).

const INTEGER: u8 = 0x02;
const SEQUENCE: u8 = 0x30;
/// The explicit tag of a certificate's version, absent in version 1.
const VERSION: u8 = 0xA0;

/// One element: all of it, and its contents.
struct Element<'d> {
    tag: u8,
    whole: &'d [u8],
    contents: &'d [u8],
}

/// The SubjectPublicKeyInfo of a certificate, still encoded.
pub(super) fn public_key_of_certificate(certificate: &[u8]) -> Option<&[u8]> {
    let certificate = sequence(certificate)?;
    let mut fields = elements(sequence(certificate)?).skip_while(|field| field.tag == VERSION);
    // These stand before it: serial number, signature algorithm, issuer, validity, subject.
    let public_key = fields.nth(5)?;
    (public_key.tag == SEQUENCE).then_some(public_key.whole)
}

/// The length in bits of the modulus of an RSAPublicKey.
pub(super) fn rsa_modulus_bits(public_key: &[u8]) -> Option<usize> {
    let (modulus, _) = rsa_numbers(public_key)?;
    let (first, rest) = modulus.split_first()?;
    Some(8 * rest.len() + (8 - first.leading_zeros() as usize))
}

/// The modulus and the exponent of an RSAPublicKey, without leading zeros.
pub(super) fn rsa_numbers(public_key: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut fields = elements(sequence(public_key)?);
    let mut number = || {
        let field = fields.next().filter(|field| field.tag == INTEGER)?;
        let start = field.contents.iter().position(|byte| *byte != 0)?;
        field.contents.get(start..)
    };
    Some((number()?, number()?))
}

/// An RSAPublicKey of a modulus and an exponent, both unsigned and most significant byte first.
pub(super) fn rsa_public_key(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let mut numbers = integer(modulus);
    numbers.extend(integer(exponent));
    element(SEQUENCE, &numbers)
}

/// X.690 §8.3: one leading zero if the number would else be negative, and no other.
fn integer(unsigned: &[u8]) -> Vec<u8> {
    let start = unsigned.iter().position(|byte| *byte != 0);
    let digits = start.and_then(|start| unsigned.get(start..));
    let digits = digits.unwrap_or(&[0]);
    let mut contents = Vec::with_capacity(digits.len() + 1);
    if digits.first().is_some_and(|byte| *byte >= 0x80) {
        contents.push(0);
    }
    contents.extend(digits);
    element(INTEGER, &contents)
}

fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = contents.len().to_be_bytes();
    let digits = length.iter().skip_while(|byte| **byte == 0);
    let mut whole = vec![tag];
    match u8::try_from(contents.len()) {
        Ok(short) if short < 0x80 => whole.push(short),
        _ => {
            let digits: Vec<u8> = digits.copied().collect();
            // The length has at most eight bytes.
            whole.push(0x80 | u8::try_from(digits.len()).unwrap_or_default());
            whole.extend(digits);
        }
    }
    whole.extend(contents);
    whole
}

/// The contents of the sequence at the start of the input.
fn sequence(input: &[u8]) -> Option<&[u8]> {
    split_element(input)
        .filter(|(element, _)| element.tag == SEQUENCE)
        .map(|(element, _)| element.contents)
}

fn elements(mut input: &[u8]) -> impl Iterator<Item = Element<'_>> {
    std::iter::from_fn(move || {
        let (element, rest) = split_element(input)?;
        input = rest;
        Some(element)
    })
}

fn split_element(input: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (tag, after_tag) = input.split_first()?;
    let (length, after_length) = split_length(after_tag)?;
    let (contents, rest) = after_length.split_at_checked(length)?;
    let whole = input.get(..input.len() - rest.len())?;
    Some((
        Element {
            tag: *tag,
            whole,
            contents,
        },
        rest,
    ))
}

/// A length of up to three bytes, 16 MiB: more than a secret file may hold.
fn split_length(input: &[u8]) -> Option<(usize, &[u8])> {
    let (first, rest) = input.split_first()?;
    match first {
        0..=0x7F => Some((usize::from(*first), rest)),
        0x81..=0x83 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7F))?;
            Some((
                bytes
                    .iter()
                    .fold(0, |length, byte| (length << 8) | usize::from(*byte)),
                rest,
            ))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_modulus_is_measured_in_bits() {
        assert_eq!(
            rsa_modulus_bits(&[0x30, 0x06, 0x02, 0x01, 0x7F, 0x02, 0x01, 0x03]),
            Some(7)
        );
        assert_eq!(
            rsa_modulus_bits(&[0x30, 0x07, 0x02, 0x02, 0x00, 0x80, 0x02, 0x01, 0x03]),
            Some(8)
        );
        assert_eq!(rsa_modulus_bits(&[0x30, 0x03, 0x02, 0x01, 0x00]), None);
        assert_eq!(rsa_modulus_bits(&[0x30, 0x84, 0, 0, 0, 0]), None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in any::<Vec<u8>>()) {
            let _ = (public_key_of_certificate(&bytes), rsa_modulus_bits(&bytes));
        }
    }
}

//! The thumbprint of a public key: the same for the same key, whatever its id and its origin.
//!
//! Knows the members of a JWK that it is made from. Does not know secrets: the thumbprint of a
//! secret would let others test guesses.
//!
//! Sources: RFC 7638 §3 (members in the order of their names, without white space, SHA-256) and
//! §3.2 (EC, RSA); RFC 8037 §2 (OKP); SEC 1 §2.3.3 (an uncompressed point is 4, x, y).

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, UnparsedPublicKey,
    VerificationAlgorithm,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::super::algorithm::KeyKind;
use super::super::der;

/// The thumbprint of a public key; `None` for a secret. A point that cannot be put into the
/// canonical form gets the hash of its own bytes.
pub(super) fn of(kind: KeyKind, public_key: &[u8]) -> Option<String> {
    let jwk = match kind {
        KeyKind::Secret { .. } => return None,
        kind => jwk(kind, public_key),
    };
    let hash = digest(&SHA256, jwk.as_ref().map_or(public_key, String::as_bytes));
    Some(encode(hash.as_ref()))
}

/// The members that are hashed.
fn jwk(kind: KeyKind, public_key: &[u8]) -> Option<String> {
    match kind {
        KeyKind::Rsa => {
            let (n, e) = der::rsa_numbers(public_key)?;
            let (n, e) = (encode(n), encode(e));
            Some(format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#))
        }
        KeyKind::P256 => point(
            "P-256",
            32,
            &canonical(public_key, &ECDSA_P256_SHA256_FIXED)?,
        ),
        KeyKind::P384 => point(
            "P-384",
            48,
            &canonical(public_key, &ECDSA_P384_SHA384_FIXED)?,
        ),
        KeyKind::Ed25519 => {
            let spki = canonical(public_key, &ED25519)?;
            let x = encode(spki.last_chunk::<32>()?);
            Some(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#))
        }
        KeyKind::Secret { .. } => None,
    }
}

/// The canonical SubjectPublicKeyInfo of a key that was read in any form. The key itself is at its
/// end.
fn canonical(public_key: &[u8], algorithm: &'static dyn VerificationAlgorithm) -> Option<Vec<u8>> {
    let parsed = UnparsedPublicKey::new(algorithm, public_key).parse().ok()?;
    let spki: PublicKeyX509Der<'_> = parsed.as_der().ok()?;
    Some(spki.as_ref().to_vec())
}

fn point(curve: &str, bytes: usize, spki: &[u8]) -> Option<String> {
    let (rest, y) = spki.split_at_checked(spki.len().checked_sub(bytes)?)?;
    let (rest, x) = rest.split_at_checked(rest.len().checked_sub(bytes)?)?;
    let (x, y) = (encode(x), encode(y));
    let jwk = format!(r#"{{"crv":"{curve}","kty":"EC","x":"{x}","y":"{y}"}}"#);
    rest.ends_with(&[0x04]).then_some(jwk)
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use crate::auth::Algorithm;
    use crate::auth::key_sets::document;
    use crate::auth::keys::VerifyingKey;
    use crate::secret::Secret;

    #[track_caller]
    fn check(jwk: &str, expected: &str) {
        let set = format!(r#"{{"keys":[{jwk}]}}"#);
        let read = document::read(set.as_bytes(), &[]).unwrap();
        assert_eq!(read.keys[0].thumbprint().as_deref(), Some(expected));
    }

    #[test]
    fn thumbprints_are_those_of_the_standards() {
        // RFC 7638 §3.1.
        check(
            r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}"#,
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
        );
        // RFC 8037 appendix A.3.
        check(
            r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
        );
        // RFC 9449 §6.1 states this thumbprint for the key in its §4.1.
        check(
            r#"{"kty":"EC","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}"#,
            "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I",
        );
    }

    #[test]
    fn a_secret_has_no_thumbprint() {
        let secret = Secret::new("a secret that is long enough for it".as_bytes());
        let key = VerifyingKey::secret(None, Algorithm::Hs256, &secret).unwrap();
        assert_eq!(key.thumbprint(), None);
    }
}

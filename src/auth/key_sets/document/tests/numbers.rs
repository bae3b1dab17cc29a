//! The same number written in several ways, and byte order marks before a set.

use super::*;

/// The member of a JWK, decoded.
fn bytes_of(jwk: &Value, member: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD
        .decode(jwk[member].as_str().unwrap())
        .unwrap()
}

/// Reads a JWK whose member is written in another way: the same key, or the reason why it is
/// skipped.
fn read_with(jwk: &Value, member: &str, text: &str) -> Result<(), JwkError> {
    let other = with(jwk.clone(), &json!({ member: text }));
    let jwks = read(&set(&[jwk.clone(), other]), &[]).unwrap();
    if let Some(skipped) = jwks.skipped.into_iter().next() {
        return Err(skipped.why);
    }
    let [key, other] = jwks.keys.as_slice() else {
        panic!("{} keys", jwks.keys.len());
    };
    assert!(key.is_same_as(other) && key.thumbprint() == other.thumbprint());
    Ok(())
}

/// A key with a coordinate that begins with a zero byte: one key in 256 has one.
fn ec_with_zero(curve: &str, algorithm: &'static EcdsaSigningAlgorithm, member: &str) -> Value {
    let keys = std::iter::repeat_with(|| ec(curve, algorithm));
    let mut keys =
        keys.filter(|key| bytes_of(key, member)[0] == 0 && bytes_of(key, member)[1] != 0);
    keys.next().unwrap()
}

#[test]
fn a_coordinate_may_lack_its_leading_zeros_or_have_one_more() {
    for (curve, algorithm) in [
        ("P-256", &ECDSA_P256_SHA256_FIXED_SIGNING),
        ("P-384", &ECDSA_P384_SHA384_FIXED_SIGNING),
    ] {
        for member in ["x", "y"] {
            let key = ec_with_zero(curve, algorithm, member);
            let check = |bytes: &[u8], expected: Result<(), JwkError>| {
                let found = read_with(&key, member, &encode(bytes));
                assert_eq!(found, expected, "{curve} {member} {bytes:?}");
            };
            let full = bytes_of(&key, member);
            let wrong = || Err(JwkError::Member(member));
            check(&full, Ok(()));
            check(&full[1..], Ok(()));
            check(&[&[0], full.as_slice()].concat(), Ok(()));
            // Longer by more than the one zero that keeps a number positive, or by another byte.
            check(&[&[0, 0], full.as_slice()].concat(), wrong());
            check(&[&[1], full.as_slice()].concat(), wrong());
            // The leading zero counts as the one extra byte, so the digits are another number, not
            // a point.
            check(&[full.as_slice(), &[0]].concat(), Err(JwkError::NoPoint));
            // Shorter, at either end: another number, and not a point.
            check(&full[2..], Err(JwkError::NoPoint));
            check(&full[1..full.len() - 1], Err(JwkError::NoPoint));
            // The leading zero is not part of the number, so without its last byte this is another
            // number.
            check(&full[..full.len() - 1], Err(JwkError::NoPoint));
            check(&[], wrong());
            check(&[0], wrong());
        }
    }
}

#[test]
fn base64url_may_have_padding_and_nothing_else() {
    let (rsa, p256, p384, okp) = (
        rsa(),
        ec("P-256", &ECDSA_P256_SHA256_FIXED_SIGNING),
        ec("P-384", &ECDSA_P384_SHA384_FIXED_SIGNING),
        okp(),
    );
    for (key, member) in [
        (&rsa, "n"),
        (&rsa, "e"),
        (&p256, "x"),
        (&p256, "y"),
        (&p384, "x"),
        (&okp, "x"),
    ] {
        let text = key[member].as_str().unwrap();
        let padding = ["", "", "==", "="][text.len() % 4];
        assert_eq!(read_with(key, member, &format!("{text}{padding}")), Ok(()));
        for other in [
            format!("{text}{padding}="),
            format!("{text}===="),
            format!("={text}"),
            format!("{text} "),
            format!("{text}\n"),
            format!("{}+{}", &text[..1], &text[2..]),
            format!("{}/{}", &text[..1], &text[2..]),
            format!("{}%3D", &text),
        ] {
            let found = read_with(key, member, &other);
            assert_eq!(found, Err(JwkError::Member(member)), "{other}");
        }
    }
    // A modulus may have leading zeros, as a number in DER does.
    for zeros in [1, 2] {
        let n = [vec![0; zeros], bytes_of(&rsa, "n")].concat();
        assert_eq!(read_with(&rsa, "n", &encode(&n)), Ok(()));
    }
    // An Ed25519 key is not a number.
    let x = bytes_of(&okp, "x");
    for other in [&x[1..], &[&[0], x.as_slice()].concat()] {
        let found = read_with(&okp, "x", &encode(other));
        assert_eq!(found, Err(JwkError::Member("x")));
    }
}

#[test]
fn one_byte_order_mark_before_a_set_is_skipped() {
    let text = set(&[okp()]);
    let marked = [b"\xEF\xBB\xBF", text.as_slice()].concat();
    assert_eq!(read(&marked, &[]).unwrap().keys.len(), 1);
    let utf16: Vec<u8> = str::from_utf8(&text)
        .unwrap()
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    for other in [
        [b"\xEF\xBB\xBF", marked.as_slice()].concat(),
        [b"\xEF\xBB", text.as_slice()].concat(),
        [b"\xFF\xFE", utf16.as_slice()].concat(),
        utf16,
    ] {
        assert_eq!(read(&other, &[]).map(drop), Err(JwksError::NotASet));
    }
}

//! Key sets as issuers publish them, and as they should not.

mod numbers;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RsaKeyPair,
};
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn rsa() -> Value {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let (n, e) = (pair.public_key().modulus(), pair.public_key().exponent());
    let (n, e) = (
        n.big_endian_without_leading_zero(),
        e.big_endian_without_leading_zero(),
    );
    json!({"kty": "RSA", "n": encode(n), "e": encode(e)})
}

fn ec(curve: &str, algorithm: &'static EcdsaSigningAlgorithm) -> Value {
    let pair = EcdsaKeyPair::generate(algorithm).unwrap();
    let point = pair.public_key().as_ref().to_vec();
    let (x, y) = point[1..].split_at((point.len() - 1) / 2);
    json!({"kty": "EC", "crv": curve, "x": encode(x), "y": encode(y)})
}

fn okp() -> Value {
    let pair = Ed25519KeyPair::generate().unwrap();
    json!({"kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key().as_ref())})
}

/// A JWK with other members.
fn with(mut jwk: Value, members: &Value) -> Value {
    let fields = jwk.as_object_mut().unwrap();
    for (name, value) in members.as_object().unwrap() {
        fields.insert(name.clone(), value.clone());
    }
    jwk
}

fn set(keys: &[Value]) -> Vec<u8> {
    json!({"keys": keys}).to_string().into_bytes()
}

/// Reads one JWK beside a good one: the algorithms of its keys, or the reason why it is skipped.
fn read_one(jwk: &Value, accepted: &[Algorithm]) -> Result<Vec<Algorithm>, JwkError> {
    let accepted_beside: Vec<_> = match accepted {
        [] => Vec::new(),
        _ => accepted.iter().copied().chain([Algorithm::EdDsa]).collect(),
    };
    let jwks = read(&set(&[okp(), jwk.clone()]), &accepted_beside).unwrap();
    match jwks.skipped.into_iter().next() {
        Some(skipped) => {
            assert_eq!((skipped.place, jwks.keys.len()), (1, 1));
            Err(skipped.why)
        }
        None => Ok(jwks.keys[1..].iter().map(VerifyingKey::algorithm).collect()),
    }
}

#[test]
fn every_kind_of_key_has_its_algorithms() {
    use Algorithm::{EdDsa, Es256, Es384, Ps256, Rs256, Rs512};

    let p256 = ec("P-256", &ECDSA_P256_SHA256_FIXED_SIGNING);
    let p384 = ec("P-384", &ECDSA_P384_SHA384_FIXED_SIGNING);
    let check = |jwk: &Value, accepted: &[Algorithm], expected: &[Algorithm]| {
        assert_eq!(read_one(jwk, accepted), Ok(expected.to_vec()), "{jwk}");
    };
    check(&p256, &[], &[Es256]);
    check(&p384, &[], &[Es384]);
    check(&okp(), &[], &[EdDsa]);
    check(&with(okp(), &json!({"alg": "Ed25519"})), &[], &[EdDsa]);
    // Some issuers name no algorithm for RSA.
    check(&rsa(), &[], &[Rs256]);
    check(&rsa(), &[Rs512, Ps256, Es256], &[Rs512, Ps256]);
    check(&with(rsa(), &json!({"alg": "PS256"})), &[], &[Ps256]);
    check(
        &with(rsa(), &json!({"alg": "RS512", "use": "sig"})),
        &[Rs512],
        &[Rs512],
    );
    check(
        &with(
            p256,
            &json!({"key_ops": ["verify"], "kid": "a", "x5t": "b"}),
        ),
        &[],
        &[Es256],
    );
}

#[test]
fn an_unusable_key_is_skipped_and_the_rest_stays() {
    let p256 = || ec("P-256", &ECDSA_P256_SHA256_FIXED_SIGNING);
    let rows = [
        (json!("a"), JwkError::Malformed),
        (json!({}), JwkError::Member("kty")),
        (json!({"kty": 1}), JwkError::Member("kty")),
        (
            with(rsa(), &json!({"use": "enc"})),
            JwkError::OtherUse("use"),
        ),
        (
            with(rsa(), &json!({"key_ops": ["encrypt"]})),
            JwkError::OtherUse("key_ops"),
        ),
        (
            with(rsa(), &json!({"key_ops": []})),
            JwkError::OtherUse("key_ops"),
        ),
        (with(rsa(), &json!({"d": "AQAB"})), JwkError::Secret("d")),
        (
            json!({"kty": "oct", "k": "c2VjcmV0"}),
            JwkError::Secret("k"),
        ),
        (
            json!({"kty": "oct", "alg": "HS256"}),
            JwkError::Secret("kty"),
        ),
        (
            with(rsa(), &json!({"k": "c2VjcmV0"})),
            JwkError::Secret("k"),
        ),
        (
            with(rsa(), &json!({"alg": "HS256"})),
            JwkError::Member("alg"),
        ),
        (
            with(rsa(), &json!({"alg": "ES256"})),
            JwkError::Member("alg"),
        ),
        (
            with(p256(), &json!({"alg": "ES384"})),
            JwkError::Member("alg"),
        ),
        (
            with(rsa(), &json!({"alg": "none"})),
            JwkError::Unsupported("alg"),
        ),
        (
            with(rsa(), &json!({"alg": "RSA-OAEP"})),
            JwkError::Unsupported("alg"),
        ),
        (
            with(rsa(), &json!({"kty": "RSA2"})),
            JwkError::Unsupported("kty"),
        ),
        (
            with(p256(), &json!({"crv": "secp256k1"})),
            JwkError::Unsupported("crv"),
        ),
        (
            with(okp(), &json!({"crv": "X25519"})),
            JwkError::Unsupported("crv"),
        ),
        (
            json!({"kty": "EC", "x": "AA", "y": "AA"}),
            JwkError::Member("crv"),
        ),
        (json!({"kty": "RSA", "e": "AQAB"}), JwkError::Member("n")),
        (json!({"kty": "RSA", "n": "AQAB"}), JwkError::Member("e")),
        (with(rsa(), &json!({"n": "!"})), JwkError::Member("n")),
        (with(p256(), &json!({"y": "AA"})), JwkError::Member("y")),
        (with(okp(), &json!({"x": "AA"})), JwkError::Member("x")),
        (with(rsa(), &json!({"kid": ""})), JwkError::Member("kid")),
        (with(rsa(), &json!({"kid": 7})), JwkError::Member("kid")),
        (with(rsa(), &json!({"n": ["AQAB"]})), JwkError::Member("n")),
        (with(p256(), &json!({"x": 7})), JwkError::Member("x")),
        (
            with(rsa(), &json!({"key_ops": "verify"})),
            JwkError::Member("key_ops"),
        ),
        (
            with(rsa(), &json!({"kid": "k".repeat(257)})),
            JwkError::Member("kid"),
        ),
    ];
    for (jwk, expected) in rows {
        assert_eq!(read_one(&jwk, &[]), Err(expected), "{jwk}");
    }
}

#[test]
fn a_key_that_is_too_short_or_invalid_is_skipped() {
    let short = json!({"kty": "RSA", "n": encode(&[0xC5; 128]), "e": "AQAB"});
    assert!(matches!(read_one(&short, &[]), Err(JwkError::Key(_))));
    let no_point = with(
        ec("P-256", &ECDSA_P256_SHA256_FIXED_SIGNING),
        &json!({"x": encode(&[1; 32])}),
    );
    assert_eq!(read_one(&no_point, &[]), Err(JwkError::NoPoint));
    let no_exponent = with(rsa(), &json!({"e": "AA"}));
    assert!(matches!(read_one(&no_exponent, &[]), Err(JwkError::Key(_))));
}

#[test]
fn an_algorithm_not_accepted_from_the_issuer_is_skipped() {
    let found = read_one(&rsa(), &[Algorithm::Es256]);
    assert_eq!(found, Err(JwkError::NotAccepted));
    let found = read_one(&with(rsa(), &json!({"alg": "PS256"})), &[Algorithm::Rs256]);
    assert_eq!(found, Err(JwkError::NotAccepted));
}

#[test]
fn a_set_without_a_key_is_refused() {
    let check = |json: &[u8], expected| {
        assert_eq!(read(json, &[]).map(|set| set.keys.len()), Err(expected));
    };
    let no_key = |why: &str| JwksError::NoKey(why.to_owned());
    check(&set(&[]), no_key("it is empty"));
    let faults = "keys[0] (kid \"a\\n\"): of a kind that is not supported, by kty; keys[1] (no kid): crv is missing or wrong";
    let bad = [json!({"kty": "x", "kid": "a\n"}), json!({"kty": "EC"})];
    check(&set(&bad), no_key(faults));
    let more = vec![json!({"kty": "EC"}); 9];
    let error = read(&set(&more), &[]).unwrap_err().to_string();
    assert!(
        error.contains("keys[3]") && error.ends_with("; and 5 more"),
        "{error}"
    );
    let secret = read(&set(&[json!({"kty": "oct", "k": "AA"})]), &[]);
    assert!(matches!(secret, Err(JwksError::NoKey(why)) if why.contains("by k:")));
    for text in [
        "",
        "[]",
        "{}",
        "null",
        r#"{"keys":{}}"#,
        r#"{"keys":[}"#,
        "<html>",
    ] {
        check(text.as_bytes(), JwksError::NotASet);
    }
    let one = r#"{"keys":[],"keys":[]}"#;
    check(one.as_bytes(), JwksError::NotASet);
    check(&set(&vec![okp(); 101]), JwksError::TooMany);
    assert_eq!(read(&set(&vec![okp(); 100]), &[]).unwrap().keys.len(), 100);
}

#[test]
fn an_rsa_key_of_a_set_equals_the_librarys_own() {
    let pair = RsaKeyPair::generate(KeySize::Rsa3072).unwrap();
    let public = pair.public_key();
    let (n, e) = (public.modulus(), public.exponent());
    let expected = AsDer::<aws_lc_rs::encoding::PublicKeyX509Der<'_>>::as_der(public).unwrap();
    let made = der::rsa_public_key(
        n.big_endian_without_leading_zero(),
        e.big_endian_without_leading_zero(),
    );
    // The SubjectPublicKeyInfo ends with the RSAPublicKey.
    assert!(expected.as_ref().ends_with(&made));
    let padded = [&[0, 0], n.big_endian_without_leading_zero()].concat();
    let again = der::rsa_public_key(&padded, e.big_endian_without_leading_zero());
    assert_eq!(made, again);
}

proptest! {
    #[test]
    fn nothing_panics(text in ".{0,400}") {
        let _ = read(text.as_bytes(), &[]);
        let _ = read(format!(r#"{{"keys":[{text}]}}"#).as_bytes(), &[]);
    }

    #[test]
    fn no_member_panics(
        kty in "(RSA|EC|OKP|oct)", crv in "(P-256|P-384|Ed25519|x)", text in "[A-Za-z0-9_-]{0,90}={0,2}",
    ) {
        let jwk = json!({"kty": kty, "crv": crv, "n": text, "e": text, "x": text, "y": text});
        let _ = read(&set(&[jwk]), &[]);
    }
}

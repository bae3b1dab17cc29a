//! Tokens and signatures that no issuer made, down to a single changed byte.
//!
//! Source: RFC 8725 §2.1: an RSA key used as an HMAC secret; RFC 7515 §5.2 on what is not a compact
//! form.

use proptest::prelude::*;

use super::attacks::{GOOD_CLAIMS, check_token};
use super::*;

const NOT_COMPACT: AuthError = AuthError::Malformed("not three segments of base64url");

#[test]
fn no_other_form_of_a_valid_token_is_accepted() {
    let good = forge(&hmac_pair(None, b'a').0, HEADER, GOOD_CLAIMS);
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (header, claims) = signed.split_once('.').unwrap();
    for token in [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        signed.to_owned(),
        format!("{signed}."),
        format!(".{claims}.{signature}"),
        format!("{header}..{signature}"),
        format!("{good}."),
        format!(".{good}"),
        format!("{good}.{signature}"),
        format!("{good}.a.b"),
        format!("{good}="),
        format!("{header}=.{claims}.{signature}"),
        format!("{good} "),
        format!("{good}\t"),
        format!("{good},{good}"),
        format!("{header} .{claims}.{signature}"),
        format!("{header}.{claims}.+{}", &signature[1..]),
        good.replace('.', "%2E"),
        format!("\"{good}\""),
        format!("Bearer {good}"),
    ] {
        check_token(&token, NOT_COMPACT);
    }
    let max_bytes = 16_384;
    check_token(&"a".repeat(max_bytes), NOT_COMPACT);
    let too_long = "a".repeat(max_bytes + 1);
    check_token(&too_long, AuthError::TooLong { max_bytes });
}

#[test]
fn no_signature_but_the_right_one_is_accepted() {
    let good = forge(&hmac_pair(None, b'a').0, HEADER, GOOD_CLAIMS);
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let other_claims = URL_SAFE_NO_PAD.encode(GOOD_CLAIMS.replace("alice", "admin"));
    let (header, _) = signed.split_once('.').unwrap();
    check_token(
        &format!("{header}.{other_claims}.{signature}"),
        AuthError::Signature(KeyId::default()),
    );
    check_token(
        &format!("{signed}.{}", URL_SAFE_NO_PAD.encode([0; 32])),
        AuthError::Signature(KeyId::default()),
    );
    check_token(
        &format!("{signed}.{}", &signature[..20]),
        AuthError::Signature(KeyId::default()),
    );
    check_token(
        &format!("{signed}.AA"),
        AuthError::Signature(KeyId::default()),
    );
    check_token(&format!("{good}A"), AuthError::Signature(KeyId::default()));
    check_token(
        &forge(&hmac_pair(None, b'b').0, HEADER, GOOD_CLAIMS),
        AuthError::Signature(KeyId::default()),
    );
}

#[test]
fn an_all_zero_signature_of_a_curve_is_refused() {
    for (algorithm, bytes) in [
        (Algorithm::Es256, 64),
        (Algorithm::Es384, 96),
        (Algorithm::EdDsa, 64),
    ] {
        let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"{algorithm}"}}"#));
        let signature = URL_SAFE_NO_PAD.encode(vec![0; bytes]);
        let token = format!(
            "{header}.{}.{signature}",
            URL_SAFE_NO_PAD.encode(GOOD_CLAIMS)
        );
        assert_eq!(
            authenticate_bearer(vec![key_pair(algorithm).1], &token),
            Err(AuthError::Signature(KeyId::default()))
        );
    }
}

#[test]
fn a_published_key_is_never_taken_for_a_shared_secret() {
    let public_pem = RSA.public.trim_end();
    let message = |signed: &str| {
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, public_pem.as_bytes());
        URL_SAFE_NO_PAD.encode(aws_lc_rs::hmac::sign(&key, signed.as_bytes()))
    };
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(HEADER),
        URL_SAFE_NO_PAD.encode(GOOD_CLAIMS)
    );
    let token = format!("{signed}.{}", message(&signed));
    let outcome = authenticate_bearer(vec![key_pair(Algorithm::Rs256).1], &token);
    assert_eq!(outcome, Err(AuthError::AlgorithmMismatch(KeyId::default())));
    let refused = VerifyingKey::secret(None, Algorithm::Hs256, &Secret::new(public_pem));
    assert_eq!(refused.unwrap_err(), keys::KeyError::SecretIsPem);
}

proptest! {
    #[test]
    fn no_request_panics(field in "(?i:bearer|basic)? ?[ -~]{0,80}", query in "(link=|token=|&|=|[ -~]){0,20}") {
        let authenticator = authenticator(vec![hmac_pair(None, b'a').1]);
        let mut headers = HeaderMap::new();
        let outcome = authenticator.authenticate(&headers, Some(&query), SOURCE, at(NOW));
        prop_assert!(outcome.is_err());
        headers.insert(AUTHORIZATION, HeaderValue::from_str(&field).unwrap());
        prop_assert!(authenticator.authenticate(&headers, Some(&query), SOURCE, at(NOW)).is_err());
    }

    #[test]
    fn no_header_and_no_claims_panic(header in "\\{(\"(alg|kid|typ|crit)\":(\"HS256\"|null|1|\\[\\]),?){0,3}\\}", claims in any::<String>()) {
        let token = forge(&hmac_pair(None, b'a').0, &header, &claims);
        prop_assert!(authenticate_bearer(vec![hmac_pair(None, b'a').1], &token).is_err());
    }

    #[test]
    fn no_changed_byte_goes_unnoticed(at in 0..200_usize, byte in 0x21..0x7F_u8) {
        let good = forge(&hmac_pair(None, b'a').0, HEADER, GOOD_CLAIMS);
        let mut bytes = good.clone().into_bytes();
        let place = at % bytes.len();
        bytes[place] = byte;
        let changed = String::from_utf8(bytes).unwrap();
        let outcome = authenticate_bearer(vec![hmac_pair(None, b'a').1], &changed);
        prop_assert_eq!(outcome.is_ok(), changed == good);
    }
}

//! Key sets in the spellings of different issuers, and the messages about sets that are unusable.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING};
use aws_lc_rs::signature::{EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use bytes::Bytes;
use serde_json::{Value, json};

use super::*;
use crate::harness::idp::{Idp, Mood};
use crate::harness::programs::{lines, run_wavegate, serve};
use crate::harness::{Call, gateway, soon};

const ES256: &EcdsaSigningAlgorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
const ES384: &EcdsaSigningAlgorithm = &ECDSA_P384_SHA384_FIXED_SIGNING;

/// A key of which one coordinate begins with a zero byte, as one in 128 keys does.
fn with_zero(
    algorithm: &'static EcdsaSigningAlgorithm,
    curve: &'static str,
) -> (Key, &'static str) {
    loop {
        let key = EcdsaKeyPair::generate(algorithm).unwrap();
        let point = key.public_key().as_ref();
        let (x, y) = point[1..].split_at(point.len() / 2);
        let place = [x, y]
            .iter()
            .position(|number| number[0] == 0 && number[1] != 0);
        if let Some(place) = place {
            return (Key::Curve(key, curve), ["x", "y"][place]);
        }
    }
}

fn decoded(jwk: &Value, member: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD
        .decode(jwk[member].as_str().unwrap())
        .unwrap()
}

fn changed(jwk: &Value, member: &str, text: &str) -> Value {
    with(jwk.clone(), json!({ member: text }))
}

/// A key, its algorithm, its JWK, and whether that is accepted.
type Row = (Key, &'static str, Value, bool);

/// A way to write the bytes of a number.
type Way = fn(&[u8]) -> Vec<u8>;

/// The ways to write a number, each with a key of its own.
fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (algorithm, name, curve) in [(ES256, "ES256", "P-256"), (ES384, "ES384", "P-384")] {
        let ways: [(Way, bool); 6] = [
            (|bytes| bytes.to_vec(), true),
            (|bytes| bytes[1..].to_vec(), true),
            (|bytes| [&[0], bytes].concat(), true),
            (|bytes| [&[0, 0], bytes].concat(), false),
            (|bytes| [&[1], bytes].concat(), false),
            (|bytes| bytes[2..].to_vec(), false),
        ];
        for (way, is_taken) in ways {
            let (key, member) = with_zero(algorithm, curve);
            let jwk = key.jwk("id");
            let text = base64(&way(&decoded(&jwk, member)));
            rows.push((key, name, changed(&jwk, member, &text), is_taken));
        }
    }
    for (name, members) in [
        ("RS256", &["n", "e"][..]),
        ("PS256", &["n"]),
        ("ES256", &["x", "y"]),
        ("ES384", &["x"]),
        ("EdDSA", &["x"]),
    ] {
        for member in members {
            let key = Key::generate(name);
            let jwk = with(key.jwk("id"), json!({ "alg": name }));
            let text = URL_SAFE.encode(decoded(&jwk, member));
            rows.push((key, name, changed(&jwk, member, &text), true));
            let key = Key::generate(name);
            let jwk = with(key.jwk("id"), json!({ "alg": name }));
            let text = format!("{}====", base64(&decoded(&jwk, member)));
            rows.push((key, name, changed(&jwk, member, &text), false));
        }
    }
    // The alphabet of plain base64 is refused.
    let keys = std::iter::repeat_with(|| Key::generate("RS256"));
    let mut keys = keys.filter(|key| key.jwk("")["n"].as_str().unwrap().contains(['-', '_']));
    let key = keys.next().unwrap();
    let jwk = key.jwk("id");
    let text = STANDARD_NO_PAD.encode(decoded(&jwk, "n"));
    let other = changed(&jwk, "n", &text);
    rows.push((key, "RS256", other, false));
    // With a leading zero byte, as a number in DER.
    let key = Key::generate("RS256");
    let jwk = key.jwk("id");
    let text = base64(&[&[0], decoded(&jwk, "n").as_slice()].concat());
    let other = changed(&jwk, "n", &text);
    rows.push((key, "RS256", other, true));
    rows
}

#[tokio::test]
async fn a_number_is_the_same_in_every_way_to_write_it() {
    let pbx = pbx().await;
    let mut builder = gateway(&pbx);
    let mut tokens = Vec::new();
    for (number, (key, algorithm, jwk, is_taken)) in rows().into_iter().enumerate() {
        let name = format!("https://issuer-{number}.test");
        // The set also has a good key, so that the set itself is accepted.
        let set = json!({"keys": [Key::generate("EdDSA").jwk("beside"), jwk]});
        std::fs::write(
            builder.folder().join(format!("{number}.json")),
            set.to_string(),
        )
        .unwrap();
        builder = builder.lines(
            "[[auth.issuer]]",
            &format!(
                "name = \"{name}\"\naudiences = [\"{AUDIENCE}\"]\njwks_file = \"{number}.json\""
            ),
        );
        let claims = bearer_claims(json!({ "iss": name })).to_string();
        let header = format!(r#"{{"alg":"{algorithm}","kid":"id"}}"#);
        let sign = |message: &[u8]| key.sign(algorithm, message);
        tokens.push((
            signed(header.as_bytes(), claims.as_bytes(), sign),
            jwk,
            is_taken,
        ));
    }
    let gateway = builder.start().await;
    for (token, jwk, is_taken) in tokens {
        let expected = if is_taken {
            "200"
        } else {
            "bearer-token-invalid"
        };
        assert_eq!(by_bearer(&gateway, &token).await, expected, "{jwk}");
    }
}

/// A set with a byte order mark before it, as some editors write it.
fn marked(set: &str) -> Bytes {
    Bytes::from(format!("\u{FEFF}{set}"))
}

#[tokio::test]
async fn a_key_set_may_begin_with_a_byte_order_mark() {
    let pbx = pbx().await;
    let (at_url, in_file) = (Idp::start().await, Idp::start().await);
    at_url.be(Mood::Says(200, "", marked(&at_url.set())));
    let builder = gateway(&pbx);
    std::fs::write(builder.folder().join("set.json"), marked(&in_file.set())).unwrap();
    let url = format!(
        "jwks_url = \"{}/keys\"\njwks_min_interval_s = 1",
        at_url.name()
    );
    let lines = at_url.lines(builder.folder(), &url);
    let name = in_file.name();
    let builder = builder.lines("[[auth.issuer]]", &lines).lines(
        "[[auth.issuer]]",
        &format!("name = \"{name}\"\naudiences = [\"{AUDIENCE}\"]\njwks_file = \"set.json\""),
    );
    let gateway = builder.start().await;
    assert_eq!(by_bearer(&gateway, &in_file.jwt("alice")).await, "200");
    let token = at_url.jwt("alice");
    soon(async { while by_bearer(&gateway, &token).await != "200" {} }).await;
}

/// The log's message about an issuer with this set, which is declared to be in a content coding.
async fn told(set: Bytes, coding: Option<&'static str>) -> String {
    let pbx = pbx().await;
    let idp = Idp::start().await;
    idp.encode(coding);
    idp.be(Mood::Says(200, "", set));
    let builder = gateway(&pbx);
    let lines = format!(
        "jwks_url = \"{}/keys\"\njwks_min_interval_s = 1",
        idp.name()
    );
    let lines = idp.lines(builder.folder(), &lines);
    let (running, addr) = serve(&builder.lines("[[auth.issuer]]", &lines).write()).await;
    let log = running
        .err
        .until(|log| log.contains("the keys of the issuer cannot be fetched"));
    let log = log.await;
    let call = Call::new(addr, http::Method::GET, &format!("/recordings/{NAME}"));
    let problem = call.bearer(&idp.jwt("alice")).send().await.problem().await;
    assert_eq!(problem.slug, "keys-unavailable");
    running.stop().await;
    let line = self::lines(&log)
        .find(|line| line["message"] == "the keys of the issuer cannot be fetched");
    line.unwrap()["error"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_log_names_the_wrong_member_of_each_unusable_key() {
    let p256 = Key::generate("ES256").jwk("of\nmany");
    let keys = json!({"keys": [
        changed(&p256, "y", "AA"),
        with(Key::generate("RS256").jwk("rsa"), json!({"use": "enc"})),
        with(Key::generate("RS256").jwk("one"), json!({"d": "a-private-exponent"})),
        {"kty": "EC", "crv": "P-521"},
        {"kty": 7},
        "x",
    ]});
    let error = told(Bytes::from(keys.to_string()), None).await;
    assert_eq!(
        error,
        "holds no key that verifies with an algorithm that is accepted here: \
         keys[0] (kid \"of\\nmany\"): y is missing or wrong; \
         keys[1] (kid \"rsa\"): not for verifying signatures, by use; \
         keys[2] (kid \"one\"): holds a secret, by d: a set is for public keys, and everyone who can read this one can sign; \
         keys[3] (no kid): of a kind that is not supported, by crv; \
         and 2 more"
    );
    // The same set in a file, as `check` reports it.
    let pbx = pbx().await;
    let builder = gateway(&pbx).lines(
        "[[auth.issuer]]",
        &format!("name = \"{OTHER}\"\naudiences = [\"{AUDIENCE}\"]\njwks_file = \"set.json\""),
    );
    std::fs::write(builder.folder().join("set.json"), keys.to_string()).unwrap();
    let config = builder.write();
    let ended = run_wavegate(&["check", "--config", config.to_str().unwrap()]).await;
    assert_eq!(ended.code, Some(78));
    assert!(
        ended
            .err
            .contains("keys[0] (kid \"of\\nmany\"): y is missing or wrong"),
        "{}",
        ended.err
    );
    assert!(!ended.err.contains("a-private-exponent"));
}

#[tokio::test]
async fn of_a_content_coding_the_log_says_which_it_is() {
    let set = Idp::start().await.set();
    for coding in ["gzip", "br", "x-odd"] {
        let error = told(Bytes::from(set.clone()), Some(coding)).await;
        assert_eq!(
            error,
            format!("the answer has the content coding \"{coding}\", and none was asked for")
        );
    }
}

#[tokio::test]
async fn of_a_document_of_another_issuer_the_log_says_both_names() {
    let pbx = pbx().await;
    let idp = Idp::start().await;
    let other = format!("{}/", idp.name());
    idp.rename(&other);
    let builder = gateway(&pbx);
    let lines = format!(
        "discovery_url = \"{}/.well-known/openid-configuration\"",
        idp.name()
    );
    let lines = idp.lines(builder.folder(), &lines);
    let (running, _) = serve(&builder.lines("[[auth.issuer]]", &lines).write()).await;
    let log = running
        .err
        .until(|log| log.contains("the keys of the issuer cannot be fetched"))
        .await;
    let name = idp.name();
    let line = self::lines(&log).find(|line| line["issuer"] == name && line["error"].is_string());
    assert_eq!(
        line.unwrap()["error"],
        format!(
            "the discovery document is of another issuer: its issuer is \"{other}\", and the name of this one is \"{name}\""
        )
    );
    assert_eq!(idp.asked(), 0);
    running.stop().await;
}

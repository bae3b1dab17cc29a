//! Headers with more members than necessary, and with bytes that are not UTF-8.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::*;
use crate::harness::gateway;

/// An address to which a header may refer. The gateway must never connect to it.
struct Trap {
    url: String,
    visits: Arc<AtomicUsize>,
}

impl Trap {
    async fn set() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let visits = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&visits);
        tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                counted.fetch_add(1, Relaxed);
            }
        });
        Self { url, visits }
    }

    /// Connects itself, after all earlier visitors, and counts those.
    async fn visits(&self) -> usize {
        let addr = self.url.strip_prefix("https://").unwrap();
        let before = self.visits.load(Relaxed);
        let _own = tokio::net::TcpStream::connect(addr).await.unwrap();
        crate::harness::soon(async {
            while self.visits.load(Relaxed) == before {
                tokio::task::yield_now().await;
            }
        })
        .await;
        self.visits.load(Relaxed) - 1
    }
}

/// A certificate of an unrelated key.
fn certificate() -> String {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["idp.test".to_owned()]).unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    pem.lines().filter(|line| !line.starts_with('-')).collect()
}

/// Header members that contain or refer to a key, in every form.
fn brought(key: &Key, id: &str, trap: &Trap) -> Vec<Value> {
    let url = |path: &str| json!(format!("{}/{path}", trap.url));
    let chain = [certificate(), certificate(), certificate()];
    vec![
        json!({"jku": url("keys")}),
        json!({"jku": null}),
        json!({"jku": "http://127.0.0.1:1/", "x5u": "file:///etc/passwd"}),
        json!({"x5u": url("chain.pem")}),
        json!({ "x5c": chain }),
        json!({"x5c": []}),
        json!({"x5c": null, "x5t": "AAAA", "x5t#S256": "AAAA"}),
        json!({"x5c": "not a list"}),
        json!({ "jwk": key.jwk(id) }),
        json!({"jwk": {"kty": "oct", "k": "AAAA"}}),
        json!({"jwk": null}),
        json!({"jwk": [[[{}]]]}),
        json!({"jku": url("keys"), "x5u": url("chain"), "x5c": chain, "jwk": key.jwk(id)}),
        json!({"jku": [], "x5u": 7, "jwk": "", "cty": "JWT", "nonce": null}),
    ]
}

#[tokio::test]
async fn keys_that_a_header_brings_or_leads_to_are_not_looked_at() {
    let pbx = pbx().await;
    for algorithm in ["ES256", "RS256", "EdDSA"] {
        let trap = Trap::set().await;
        let (key, attackers) = (Key::generate(algorithm), Key::generate(algorithm));
        let builder = with_other(gateway(&pbx), &key, algorithm, "own");
        let gateway = builder.set("auth.cookie", "sso").start().await;
        let claims = bearer_claims(json!({"iss": OTHER})).to_string();
        let token = |signer: &Key, header: &Value| {
            let sign = |message: &[u8]| signer.sign(algorithm, message);
            signed(header.to_string().as_bytes(), claims.as_bytes(), sign)
        };
        for (holder, signer, expected) in [
            (&key, &key, "200"),
            // The header has the attacker's key, and the configured key signs.
            (&attackers, &key, "200"),
            (&attackers, &attackers, "bearer-token-invalid"),
            (&key, &attackers, "bearer-token-invalid"),
        ] {
            for id in ["own", "other"] {
                for extra in brought(holder, id, &trap) {
                    let header = with(json!({"alg": algorithm, "kid": id}), extra);
                    // No key has the other id.
                    let expected = if id == "own" {
                        expected
                    } else {
                        "bearer-token-invalid"
                    };
                    let found = by_bearer(&gateway, &token(signer, &header)).await;
                    assert_eq!(found, expected, "{header:.200}");
                }
            }
        }
        // Also as a cookie.
        let header = json!({"alg": algorithm, "jwk": attackers.jwk("own"), "kid": "own"});
        assert_eq!(
            by_cookie(&gateway, "sso", &token(&key, &header)).await,
            "200"
        );
        assert_eq!(
            by_cookie(&gateway, "sso", &token(&attackers, &header)).await,
            "session-invalid"
        );
        assert_eq!(trap.visits().await, 0);
    }
}

#[tokio::test]
async fn header_keys_are_ignored_for_shared_secrets_and_links_too() {
    let pbx = pbx().await;
    let trap = Trap::set().await;
    let gateway = gateway(&pbx).start().await;
    let attackers = Key::secret("a secret of the attacker's own, long enough");
    let sign = |message: &[u8]| attackers.sign("HS256", message);
    let claims = bearer_claims(json!({})).to_string();
    let of_link = link_claims(json!({})).to_string();
    for extra in brought(&attackers, "one", &trap) {
        let header = with(json!({"alg": "HS256", "kid": "one"}), extra.clone()).to_string();
        assert_eq!(
            by_bearer(&gateway, &bearer(&header, &claims)).await,
            "200",
            "{extra}"
        );
        let forged = signed(header.as_bytes(), claims.as_bytes(), sign);
        assert_eq!(
            by_bearer(&gateway, &forged).await,
            "bearer-token-invalid",
            "{extra}"
        );
        let header = with(json!({"alg": "HS256", "kid": "crm"}), extra.clone()).to_string();
        assert_eq!(
            by_link(&gateway, &link(&header, &of_link)).await,
            "200",
            "{extra}"
        );
        let forged = signed(header.as_bytes(), of_link.as_bytes(), sign);
        assert_eq!(
            by_link(&gateway, &forged).await,
            "link-token-invalid",
            "{extra}"
        );
    }
    assert_eq!(trap.visits().await, 0);
}

#[tokio::test]
async fn null_or_empty_headers_and_crit_or_b64_are_refused() {
    let pbx = pbx().await;
    // A key without an id serves tokens of any id that no other key has.
    let builder = gateway(&pbx).lines("[[auth.issuer]]", &format!(
        "name = \"{OTHER}\"\naudiences = [\"{AUDIENCE}\"]\n[[auth.issuer.key]]\nalgorithm = \"HS256\"\nsecret_file = \"bearer\""
    ));
    let gateway = builder.start().await;
    for issuer in [ISSUER, OTHER] {
        let claims = bearer_claims(json!({ "iss": issuer })).to_string();
        for (header, expected) in [
            (r#"{"alg":"HS256"}"#, "200"),
            (r#"{"alg":"HS256","kid":"one"}"#, "200"),
            (r#"{"alg":"HS256","kid":null}"#, "bearer-token-invalid"),
            (r#"{"alg":"HS256","kid":""}"#, "bearer-token-invalid"),
            (r#"{"alg":"HS256","typ":null}"#, "bearer-token-invalid"),
            (r#"{"alg":"HS256","typ":""}"#, "bearer-token-invalid"),
            (r#"{"alg":null}"#, "bearer-token-invalid"),
            (r#"{"alg":""}"#, "bearer-token-invalid"),
            (r#"{"alg":"HS256","crit":null}"#, "bearer-token-invalid"),
            (r#"{"alg":"HS256","crit":""}"#, "bearer-token-invalid"),
            (r#"{"alg":"HS256","crit":[]}"#, "bearer-token-invalid"),
            (r#"{"alg":"HS256","crit":["exp"]}"#, "bearer-token-invalid"),
            (
                r#"{"alg":"HS256","crit":["jwk"],"jwk":{}}"#,
                "bearer-token-invalid",
            ),
            (r#"{"alg":"HS256","b64":null}"#, "bearer-token-invalid"),
            (r#"{"alg":"HS256","b64":""}"#, "bearer-token-invalid"),
            (r#"{"alg":"HS256","b64":true}"#, "bearer-token-invalid"),
        ] {
            let token = bearer(header, &claims);
            assert_eq!(
                by_bearer(&gateway, &token).await,
                expected,
                "{issuer} {header}"
            );
        }
    }
}

#[tokio::test]
async fn invalid_utf8_anywhere_makes_a_token_invalid() {
    let pbx = pbx().await;
    let builder = crate::harness::session::with_sessions(&pbx, "").set("auth.cookie", "sso");
    let gateway = builder.start().await;
    let get = async |target: &str, field: Option<(&str, &str)>| {
        let mut call = crate::harness::session::call(&gateway, http::Method::GET, target);
        if let Some((name, value)) = field {
            call = call
                .header(name, value)
                .header("sec-fetch-site", "same-origin");
        }
        outcome(call.send().await).await
    };
    let target = format!("/recordings/{NAME}");
    let claims = bearer_claims(json!({})).to_string().into_bytes();
    let of_link = link_claims(json!({})).to_string().into_bytes();
    let odd = |text: &str| text.replace('?', "\u{0}").into_bytes().into_iter();
    for bytes in [
        &b"\xFF\xFE"[..],
        b"\xC3",
        b"\xC0\x80",
        b"\xED\xA0\x80",
        b"\x80",
        b"\xF8\x88\x80\x80\x80",
    ] {
        let put = |text: &str| -> Vec<u8> {
            odd(text)
                .flat_map(|byte| match byte {
                    0 => bytes.to_vec(),
                    byte => vec![byte],
                })
                .collect()
        };
        let by_secret = |header: &[u8], claims: &[u8], secret: &str| {
            signed(header, claims, |message| {
                hmac("HS256", secret.as_bytes(), message)
            })
        };
        // In a value, in a name and in a nested value, of members that are ignored.
        for member in [
            r#""x":"?""#,
            r#""?":1"#,
            r#""x":{"a":["?"]}"#,
            r#""jku":"?""#,
            r#""x5c":["?"]"#,
        ] {
            let header = put(&format!(r#"{{"alg":"HS256",{member}}}"#));
            let token = by_secret(&header, &claims, BEARER_SECRET);
            let field = format!("Bearer {token}");
            assert_eq!(
                get(&target, Some(("authorization", &field))).await,
                "bearer-token-invalid",
                "{member}"
            );
            let field = format!("sso={token}");
            assert_eq!(
                get(&target, Some(("cookie", &field))).await,
                "session-invalid",
                "{member}"
            );
            let token = by_secret(&header, &of_link, LINK_SECRET);
            assert_eq!(
                get(&format!("{target}?link={token}"), None).await,
                "link-token-invalid",
                "{member}"
            );
            let good = String::from_utf8(claims.clone()).unwrap();
            let odd_claims = put(&format!("{},{member}}}", good.trim_end_matches('}')));
            let token = by_secret(HEADER.as_bytes(), &odd_claims, BEARER_SECRET);
            let field = format!("Bearer {token}");
            assert_eq!(
                get(&target, Some(("authorization", &field))).await,
                "bearer-token-invalid",
                "{member}"
            );
        }
    }
    // All valid UTF-8 is accepted.
    for text in ["\u{e9}\u{4e2d}\u{1f600}", "\u{fffd}", "\\ud83d\\ude00"] {
        let header = format!(r#"{{"alg":"HS256","x":"{text}","{text}":1}}"#);
        let token = bearer(&header, &bearer_claims(json!({"x": text})).to_string());
        let field = format!("Bearer {token}");
        assert_eq!(
            get(&target, Some(("authorization", &field))).await,
            "200",
            "{text}"
        );
    }
}

#[tokio::test]
async fn ignored_members_may_have_any_depth_and_length() {
    let pbx = pbx().await;
    let gateway = gateway(&pbx).start().await;
    let claims = bearer_claims(json!({})).to_string();
    let deep = |count: usize| format!("{}{}", "[".repeat(count), "]".repeat(count));
    let objects = |count: usize| format!("{}1{}", "{\"a\":".repeat(count), "}".repeat(count));
    for value in [
        deep(1_000),
        deep(4_000),
        objects(1_000),
        format!("\"{}\"", "x".repeat(9_000)),
        format!("[{}1]", "1,".repeat(4_000)),
        "1e999".to_owned(),
        "-0.0".to_owned(),
    ] {
        for name in ["x", "jwk", "jku", "x5c"] {
            let header = format!(r#"{{"alg":"HS256","kid":"one","{name}":{value}}}"#);
            let found = by_bearer(&gateway, &bearer(&header, &claims)).await;
            assert_eq!(found, "200", "{name} {value:.40}");
        }
        let further = format!(r#"{},"x":{value}}}"#, claims.trim_end_matches('}'));
        let found = by_bearer(&gateway, &bearer(HEADER, &further)).await;
        assert_eq!(found, "200", "{value:.40}");
    }
    // Claims that are read may not be nested.
    for claim in ["roles", "aud", "jti", "nbf"] {
        let claims = without(bearer_claims(json!({})), claim).to_string();
        let deep = format!(
            r#"{},"{claim}":{}}}"#,
            claims.trim_end_matches('}'),
            deep(2_000)
        );
        let found = by_bearer(&gateway, &bearer(HEADER, &deep)).await;
        assert_eq!(found, "bearer-token-invalid", "{claim}");
    }
    // A header that is not JSON is refused.
    for value in [
        "[".repeat(1_000),
        "\"".to_owned(),
        "nul".to_owned(),
        "\"\u{1}\"".to_owned(),
    ] {
        let header = format!(r#"{{"alg":"HS256","x":{value}}}"#);
        let found = by_bearer(&gateway, &bearer(&header, &claims)).await;
        assert_eq!(found, "bearer-token-invalid", "{value:.40}");
    }
}

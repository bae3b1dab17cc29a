//! For each 401 the log names the reason that the answer does not: the claim, the bound or the key
//! id. It contains nothing else of the token.

use http::Method;
use serde_json::{Value, json};

use super::*;
use crate::harness::programs::{lines, serve};
use crate::harness::{Call, gateway, soon};

/// A text in every token, and in no line of the log.
const MARK: &str = "marked-and-not-to-be-seen";

fn rows() -> Vec<(String, Option<&'static str>)> {
    let marked = |further: Value| with(bearer_claims(json!({ "x": MARK })), further);
    let of = |further: Value| format!("Bearer {}", jwt(&marked(further)));
    let headed =
        |header: &str| format!("Bearer {}", bearer(header, &marked(json!({})).to_string()));
    let other = |header: &str| {
        let sign =
            |message: &[u8]| hmac("HS256", b"another secret, as long as it has to be", message);
        let token = signed(
            header.as_bytes(),
            marked(json!({})).to_string().as_bytes(),
            sign,
        );
        format!("Bearer {token}")
    };
    let long = "k".repeat(70);
    vec![
        (of(json!({})), None),
        (
            of(json!({"exp": null})),
            Some("claim exp is missing or invalid"),
        ),
        (
            of(json!({"exp": 1})),
            Some("the token has expired, by its claim exp"),
        ),
        (
            of(json!({"nbf": now() + 600})),
            Some("the token is not yet valid, by its claim nbf"),
        ),
        (
            of(json!({"iat": now() + 600})),
            Some("the token is not yet valid, by its claim iat"),
        ),
        (
            of(json!({"iat": ""})),
            Some("claim iat is missing or invalid"),
        ),
        (
            of(json!({"jti": ""})),
            Some("claim jti is missing or invalid"),
        ),
        (
            of(json!({"sub": MARK.repeat(20)})),
            Some("claim sub is missing or invalid"),
        ),
        (
            of(json!({"aud": MARK})),
            Some("the token is for another audience, by claim aud"),
        ),
        (
            of(json!({"aud": null})),
            Some("claim aud is missing or invalid"),
        ),
        (
            of(json!({"iss": MARK})),
            Some("unknown issuer: no [[auth.issuer]] has the name in claim iss"),
        ),
        (
            of(json!({"iss": null})),
            Some("claim iss is missing or invalid"),
        ),
        (
            of(json!({"roles": [MARK, 7]})),
            Some("the claim that roles_claim names: a value is not a text"),
        ),
        (
            of(json!({"tenant": [MARK, "b"]})),
            Some("the claim that tenant_claim names: more than one"),
        ),
        (
            headed(r#"{"alg":"HS256","kid":"two"}"#),
            Some(r#"unknown key id: kid "two""#),
        ),
        (
            headed(r#"{"alg":"HS256","kid":"a\"\n\u001b[2J\u202e"}"#),
            Some(r#"unknown key id: kid "a\"\n\u{1b}[2J\u{202e}""#),
        ),
        (
            headed(&format!(r#"{{"alg":"HS256","kid":"{long}"}}"#)),
            Some(
                "unknown key id: kid \"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk\"\u{2026}",
            ),
        ),
        (
            headed(r#"{"alg":"HS384","kid":"one"}"#),
            Some(r#"the algorithm does not match the key: kid "one""#),
        ),
        (
            headed(r#"{"alg":"none","kid":"one"}"#),
            Some(r#"the algorithm does not match the key: kid "one""#),
        ),
        (
            other(HEADER),
            Some(r#"the signature does not verify: kid "one""#),
        ),
        (
            other(r#"{"alg":"HS256"}"#),
            Some("the signature does not verify: no kid"),
        ),
        (
            headed(r#"{"alg":"HS256","kid":""}"#),
            Some("malformed credential: header has an empty kid"),
        ),
        (
            headed(r#"{"alg":"HS256","crit":["x"]}"#),
            Some("malformed credential: header has extensions"),
        ),
    ]
}

#[tokio::test]
async fn the_log_names_the_claim_or_key_id_but_no_token_text() {
    let pbx = pbx().await;
    let (running, addr) = serve(&gateway(&pbx).write()).await;
    let target = format!("/recordings/{NAME}");
    let mut expected = Vec::new();
    for (field, reason) in rows() {
        let call = Call::new(addr, Method::GET, &target).header("authorization", &field);
        let answer = call.send().await;
        let id = answer.header("x-request-id").unwrap().to_owned();
        match reason {
            None => assert_eq!(answer.status(), 200),
            Some(reason) => {
                let problem = answer.problem().await;
                // The answer has no reason.
                assert_eq!(problem.slug, "bearer-token-invalid", "{reason}");
                assert!(!problem.text.contains("\"reason\""), "{}", problem.text);
                expected.push((id, format!("bearer token: {reason}"), field));
            }
        }
    }
    for (claims, reason) in [
        (
            json!({"exp": now() + 5_000}),
            "the link lives longer than the 900 s of max_ttl_s",
        ),
        (
            json!({"ip": "192.0.2.1"}),
            "the link is for another address, by its claim ip",
        ),
        (json!({"ip": null}), "claim ip is missing or invalid"),
        (
            json!({"recording": null}),
            "claim recording is missing or invalid",
        ),
        (json!({"pbx": ""}), "claim pbx is missing or invalid"),
    ] {
        let claims = with(link_claims(json!({ "x": MARK })), claims).to_string();
        let token = link(LINK_HEADER, &claims);
        let call = Call::new(addr, Method::GET, &format!("{target}?link={token}"));
        let problem = call.send().await.problem().await;
        let id = problem.headers["x-request-id"].to_str().unwrap().to_owned();
        expected.push((id, format!("link token: {reason}"), token));
    }
    let count = expected.len();
    let log = running
        .err
        .until(|log| log.matches("\"status\":401").count() == count);
    let log = soon(log).await;
    for (id, reason, token) in expected {
        let line = lines(&log).find(|line| line["request_id"] == id).unwrap();
        assert_eq!(line["reason"], reason);
        for part in token.trim_start_matches("Bearer ").split('.') {
            assert!(!log.contains(part), "{reason}");
        }
    }
    assert!(!log.contains(MARK));
    running.stop().await;
}

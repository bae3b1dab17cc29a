//! Claims and members of a token that do not decide anything, as identity providers write them.
//!
//! A claim that does not decide is ignored; a claim that decides is as strict as before. The
//! oddities, and the files that test them:
//!
//! - `bounds`: the permitted length of a token and its header, in the `Authorization` field, in
//!   `?link=` and in a cookie, over HTTP/1.1 and HTTP/2; the permitted number of roles and
//!   extensions; above that an answer that names the bound. Through nginx: `nginx::heads`.
//! - `claims`: `null` for `nbf`, `iat`, `jti` and the attributes, and an empty text for the
//!   attributes, by their usual names, by configured names, by paths and on the way of a path; in
//!   bearer tokens, links, single sign-on and the sessions made of them. A token without a time of
//!   issue falls under every "issued before". Members of `POST /links`.
//! - `headers`: keys and certificates that a header contains or links to, members of any depth and
//!   length, bytes that are not UTF-8.
//! - `key_sets`: the spellings of the numbers of a JWK, marks before a set, and the log's messages
//!   about sets and documents that are refused.
//! - `audiences`: issuers that write no `aud`.
//! - `links`: escapes in `?link=`.
//! - `reasons`: the log's message for each 401.
//!
//! Each file also tests what the lenient rule must not permit: the same values where they decide,
//! twice, within a list, or of another type; the keys in a header; a foreign `aud`; an escape of
//! anything else.

mod audiences;
mod bounds;
mod claims;
mod headers;
mod key_sets;
mod links;
mod reasons;

use std::time::{SystemTime, UNIX_EPOCH};

use http::StatusCode;
use serde_json::{Value, json};
use wavegate::simulator::{Api, Simulator, wav};

use crate::harness::keys::{Key, base64, hmac};
use crate::harness::{
    AUDIENCE, Answer, BEARER_SECRET, Builder, Gateway, ISSUER, LINK_AUDIENCE, LINK_SECRET, NAME,
    PBX,
};

/// Another issuer beside the usual one, with a public key.
const OTHER: &str = "https://other.test";
/// A header of the usual issuer's tokens.
const HEADER: &str = r#"{"alg":"HS256","typ":"JWT","kid":"one"}"#;
/// A header of links.
const LINK_HEADER: &str = r#"{"alg":"HS256","typ":"JWT","kid":"crm"}"#;

async fn pbx() -> Simulator {
    let builder = Simulator::builder(Api::SSeries200).recording(NAME, wav::music(1));
    builder.start().await.unwrap()
}

/// Seconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap().as_secs()
}

/// The claims of a good token of the usual issuer, with further claims.
fn bearer_claims(further: Value) -> Value {
    with(
        json!({"iss": ISSUER, "sub": "alice", "aud": AUDIENCE, "exp": now() + 600}),
        further,
    )
}

/// The claims of a good link, with further claims.
fn link_claims(further: Value) -> Value {
    with(
        json!({
            "aud": LINK_AUDIENCE, "sub": "bob", "pbx": PBX, "recording": NAME, "iat": now(), "exp": now() + 600,
        }),
        further,
    )
}

/// Replaces claims, or adds them.
fn with(mut claims: Value, further: Value) -> Value {
    let Value::Object(further) = further else {
        panic!("not claims");
    };
    claims.as_object_mut().unwrap().extend(further);
    claims
}

fn without(mut claims: Value, name: &str) -> Value {
    claims.as_object_mut().unwrap().remove(name);
    claims
}

/// A token of these bytes, with the signature that `sign` returns.
fn signed(header: &[u8], claims: &[u8], sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let message = format!("{}.{}", base64(header), base64(claims));
    let signature = base64(&sign(message.as_bytes()));
    format!("{message}.{signature}")
}

/// A token of the usual issuer.
fn bearer(header: &str, claims: &str) -> String {
    let sign = |message: &[u8]| hmac("HS256", BEARER_SECRET.as_bytes(), message);
    signed(header.as_bytes(), claims.as_bytes(), sign)
}

/// A token of the usual issuer with these claims.
fn jwt(claims: &Value) -> String {
    bearer(HEADER, &claims.to_string())
}

/// A link with these claims.
fn link(header: &str, claims: &str) -> String {
    let sign = |message: &[u8]| hmac("HS256", LINK_SECRET.as_bytes(), message);
    signed(header.as_bytes(), claims.as_bytes(), sign)
}

/// Adds [`OTHER`] with a public key under this id.
fn with_other(builder: Builder, key: &Key, algorithm: &str, id: &str) -> Builder {
    std::fs::write(builder.folder().join("other.pem"), key.pem()).unwrap();
    builder.lines("[[auth.issuer]]", &format!(
        "name = \"{OTHER}\"\naudiences = [\"{AUDIENCE}\"]\n[[auth.issuer.key]]\nid = \"{id}\"\nalgorithm = \"{algorithm}\"\n\
         public_key_file = \"other.pem\""
    ))
}

/// The answer to a request for the recording: 200, or the slug of the problem.
async fn outcome(answer: Answer) -> String {
    if answer.status() == StatusCode::OK {
        return "200".to_owned();
    }
    answer.problem().await.slug
}

async fn by_bearer(gateway: &Gateway, token: &str) -> String {
    outcome(gateway.get(NAME).bearer(token).send().await).await
}

/// Sends `token` as the value of `?link=`; it may already be escaped.
async fn by_link(gateway: &Gateway, token: &str) -> String {
    let target = format!("/recordings/{NAME}?link={token}");
    let call = gateway.request(http::Method::GET, &target);
    outcome(call.send().await).await
}

/// Sends a cookie, as a page of the gateway itself would.
async fn by_cookie(gateway: &Gateway, name: &str, token: &str) -> String {
    let call = gateway
        .get(NAME)
        .header("cookie", &format!("{name}={token}"));
    let call = call.header("sec-fetch-site", "same-origin");
    outcome(call.send().await).await
}

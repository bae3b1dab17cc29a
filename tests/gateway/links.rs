//! A link is made for a caller who may hear the recording. It opens that recording and nothing
//! else, and makes no further links.

mod rights;

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use wavegate::simulator::{Api, Simulator, wav};

use crate::harness::session::{HOST, ORIGIN, call, open, pbx, with_sessions};
use crate::harness::{
    Answer, Builder, Gateway, LINK_AUDIENCE, NAME, PBX, Problem, gateway, jwt, link, write_secret,
};

const OTHER: &str = "20260302094242-1772444562.1207-1002-1003-Internal.wav";

fn wish(members: Value) -> String {
    let mut wish = json!({"recording": NAME});
    let wish_members = wish.as_object_mut().unwrap();
    wish_members.extend(members.as_object().unwrap().clone());
    wish.to_string()
}

async fn ask(gateway: &Gateway, body: &str) -> Answer {
    let call = call(gateway, Method::POST, "/links").bearer(&jwt("alice"));
    call.json(body).send().await
}

/// Makes a link. Returns its address without the origin, and its expiry.
async fn made(gateway: &Gateway, body: &str) -> (String, SystemTime) {
    let answer = ask(gateway, body).await;
    assert_eq!(answer.status(), StatusCode::CREATED);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let document: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    assert_eq!(document.as_object().unwrap().len(), 2);
    let url = document["url"].as_str().unwrap();
    let ends: jiff::Timestamp = document["expires_at"].as_str().unwrap().parse().unwrap();
    (url.strip_prefix(ORIGIN).unwrap().to_owned(), ends.into())
}

async fn refused(gateway: &Gateway, body: &str) -> (String, String) {
    let Problem { slug, text, .. } = ask(gateway, body).await.problem().await;
    let document: Value = serde_json::from_str(&text).unwrap();
    let reason = document["reason"].as_str().unwrap_or_default();
    (slug, reason.to_owned())
}

fn claims(target: &str) -> Value {
    let token = target.split_once("?link=").unwrap().1;
    let claims = token.split(['.', '&']).nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

#[tokio::test]
async fn a_link_is_made_that_plays_without_any_other_credential() {
    let pbx = pbx().await;
    let gateway = with_sessions(&pbx, "").start().await;
    let (target, ends) = made(&gateway, &wish(json!({}))).await;
    let path = format!("/pbx/{PBX}/recordings/{NAME}?link=");
    assert!(target.starts_with(&path));
    let claims = claims(&target);
    assert_eq!(claims["aud"], LINK_AUDIENCE);
    assert_eq!(
        (&claims["sub"], &claims["pbx"]),
        (&json!("alice"), &json!(PBX))
    );
    assert_eq!(claims["recording"], NAME);
    assert_eq!(claims.get("ip"), None);
    assert_eq!(
        claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(),
        900
    );
    let exp = Duration::from_secs(claims["exp"].as_u64().unwrap());
    assert_eq!(ends, SystemTime::UNIX_EPOCH + exp);
    let jti: uuid::Uuid = claims["jti"].as_str().unwrap().parse().unwrap();
    let (another, _) = made(&gateway, &wish(json!({}))).await;
    assert_ne!(json!(jti.to_string()), self::claims(&another)["jti"]);
    assert_eq!(pbx.seen().requests.total(), 0);

    let answer = call(&gateway, Method::GET, &target).send().await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(
        answer
            .header("content-disposition")
            .unwrap()
            .starts_with("inline")
    );
    assert_eq!(
        answer.header("cross-origin-resource-policy"),
        Some("cross-origin")
    );
    assert_eq!(
        answer.bytes().await.unwrap(),
        pbx.recording_bytes(NAME).unwrap()
    );
    for method in [Method::GET, Method::HEAD] {
        let part = call(&gateway, method, &target).header("range", "bytes=0-1");
        assert!(part.send().await.status().is_success());
    }
}

#[tokio::test]
async fn a_link_is_as_it_was_wished_for() {
    let pbx = pbx().await;
    let gateway = with_sessions(&pbx, "").start().await;
    let all = json!({"pbx": PBX, "ttl_s": 60, "ip": "127.0.0.1", "download": true});
    let (target, _) = made(&gateway, &wish(all)).await;
    let claims = claims(&target);
    assert_eq!(
        claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(),
        60
    );
    assert_eq!(claims["ip"], "127.0.0.1");
    assert!(target.ends_with("&download=1"));
    let answer = call(&gateway, Method::GET, &target).send().await;
    assert_eq!(answer.status(), StatusCode::OK);
    let disposition = answer.header("content-disposition").unwrap();
    assert!(disposition.starts_with("attachment"));
    let elsewhere = json!({"ip": "192.0.2.1", "download": false});
    let (target, _) = made(&gateway, &wish(elsewhere)).await;
    assert!(!target.contains("download"));
    let refused = call(&gateway, Method::GET, &target).send().await;
    assert_eq!(refused.problem().await.slug, "link-token-invalid");
}

#[tokio::test]
async fn a_link_opens_its_recording_on_its_pbx_and_makes_no_links() {
    let office = Simulator::builder(Api::SSeries200).recording(NAME, wav::music(1));
    let office = office
        .recording(OTHER, wav::music(1))
        .start()
        .await
        .unwrap();
    let branch = pbx().await;
    let builder = with_sessions(&office, "").beside("branch", &branch);
    let gateway = builder.start().await;
    let (target, _) = made(&gateway, &wish(json!({}))).await;
    let query = target.split_once('?').unwrap().1;
    for path in [
        format!("/recordings/{OTHER}"),
        format!("/pbx/{PBX}/recordings/{OTHER}"),
        format!("/pbx/branch/recordings/{NAME}"),
        "/recordings".to_owned(),
    ] {
        let answer = call(&gateway, Method::GET, &format!("{path}?{query}"));
        let problem = answer.send().await.problem().await;
        assert_eq!(problem.slug, "link-for-another-recording", "{path}");
    }
    let by_link = format!("/links?link={}", link(PBX, NAME));
    for target in [format!("/links?{query}"), by_link] {
        let call = call(&gateway, Method::POST, &target).json(&wish(json!({})));
        let problem = call.send().await.problem().await;
        assert_eq!(
            (problem.status.as_u16(), &*problem.slug),
            (403, "link-cannot-share")
        );
    }
    assert_eq!(
        office.seen().requests.total() + branch.seen().requests.total(),
        0
    );
    // A PBX that is named explicitly is used.
    let (target, _) = made(&gateway, &wish(json!({"pbx": "branch"}))).await;
    assert!(target.starts_with("/pbx/branch/"));
    assert_eq!(
        call(&gateway, Method::GET, &target).send().await.status(),
        StatusCode::OK
    );
    assert_eq!(office.seen().requests.total(), 0);
}

#[tokio::test]
async fn an_invalid_link_request_is_refused_with_its_reason() {
    let pbx = pbx().await;
    let gateway = with_sessions(&pbx, "").start().await;
    let no_object = "not a JSON object whose members are there once each";
    let twice = format!("{{\"recording\":\"{NAME}\",\"recording\":\"{NAME}\"}}");
    for (body, reason) in [
        ("".to_owned(), no_object),
        ("[]".to_owned(), no_object),
        (twice, no_object),
        ("{}".to_owned(), "recording: missing"),
        (json!({"recording": 1}).to_string(), "recording: not a text"),
        (
            json!({"recording": "a/b"}).to_string(),
            "recording: the name has a path separator",
        ),
        (
            wish(json!({"recordings": []})),
            "recordings: not known here",
        ),
        (wish(json!({"a.b": 1})), "a member that is not known here"),
        (
            wish(json!({"pbx": "nowhere"})),
            "pbx: no PBX of this name is configured",
        ),
        (
            wish(json!({"ttl_s": 0})),
            "ttl_s: not a whole number from 1 to 900",
        ),
        (
            wish(json!({"ttl_s": 901})),
            "ttl_s: not a whole number from 1 to 900",
        ),
        (
            wish(json!({"ttl_s": "60"})),
            "ttl_s: not a whole number from 1 to 900",
        ),
        (
            wish(json!({"ttl_s": 1.5})),
            "ttl_s: not a whole number from 1 to 900",
        ),
        (
            wish(json!({"ip": "localhost"})),
            "ip: invalid IP address syntax",
        ),
        (
            wish(json!({"download": 1})),
            "download: neither true nor false",
        ),
    ] {
        let expected = ("request-body-invalid".to_owned(), reason.to_owned());
        assert_eq!(refused(&gateway, &body).await, expected);
    }
    let long = wish(json!({"recording": "x".repeat(4_096)}));
    let (slug, _) = refused(&gateway, &long).await;
    assert_eq!(slug, "request-too-large");
    for media_type in [
        None,
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
    ] {
        let mut call = call(&gateway, Method::POST, "/links").bearer(&jwt("alice"));
        if let Some(media_type) = media_type {
            call = call.header("content-type", media_type);
        }
        let answer = call.body(&wish(json!({}))).send().await;
        assert_eq!(answer.problem().await.slug, "json-required");
    }
    let call = call(&gateway, Method::POST, "/links").bearer(&jwt("alice"));
    let call = call.header("content-type", "Application/JSON; charset=utf-8");
    let answer = call.body(&wish(json!({}))).send().await;
    assert_eq!(answer.status(), StatusCode::CREATED);
}

#[tokio::test]
async fn a_link_obeys_the_lifetime_and_pbxs_of_its_key() {
    let pbx = pbx().await;
    let limited = |lines: &str| {
        let builder = gateway(&pbx).set("server.public_url", ORIGIN);
        let key = "id = \"short\"\nalgorithm = \"HS256\"\nsecret_file = \"short\"";
        write_secret(
            &builder.folder().join("short"),
            "another-secret-of-the-tests-for-links",
        );
        let builder = builder.set("links.signing_key", "short");
        builder.lines("[[links.key]]", &format!("{key}\n{lines}"))
    };
    let gateway = limited("max_ttl_s = 30").start().await;
    let (target, _) = made(&gateway, &wish(json!({}))).await;
    let claims = claims(&target);
    assert_eq!(
        claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(),
        30
    );
    assert_eq!(
        call(&gateway, Method::GET, &target).send().await.status(),
        StatusCode::OK
    );
    let (_, reason) = refused(&gateway, &wish(json!({"ttl_s": 31}))).await;
    assert_eq!(reason, "ttl_s: not a whole number from 1 to 30");

    let branch = self::pbx().await;
    let gateway = limited("pbxs = [\"branch\"]").beside("branch", &branch);
    let gateway = gateway.start().await;
    let (_, reason) = refused(&gateway, &wish(json!({}))).await;
    assert_eq!(
        reason,
        "pbx: the key of links.signing_key is not for this PBX"
    );
    made(&gateway, &wish(json!({"pbx": "branch"}))).await;
}

#[tokio::test]
async fn the_answer_names_the_setting_that_links_lack() {
    let pbx = pbx().await;
    let public = format!("public_url = \"{ORIGIN}\"");
    let rows: [(Builder, &str); 2] = [
        (
            gateway(&pbx).lines("[server]", &public),
            "links.signing_key",
        ),
        (
            gateway(&pbx).set("links.signing_key", "crm"),
            "server.public_url",
        ),
    ];
    for (builder, key) in rows {
        let gateway = builder.start().await;
        // The gateway never builds the link's address from the request.
        let (slug, reason) = refused(&gateway, &wish(json!({}))).await;
        assert_eq!(slug, "links-unconfigured");
        assert_eq!(reason, format!("{key} is not configured"));
        // A caller without credentials does not learn the setting.
        let unknown = call(&gateway, Method::POST, "/links")
            .json("{}")
            .send()
            .await;
        assert_eq!(unknown.problem().await.slug, "bearer-token-missing");
    }
}

#[tokio::test]
async fn only_post_makes_links_and_only_under_the_public_name() {
    let pbx = pbx().await;
    let gateway = with_sessions(&pbx, "").start().await;
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let answer = call(&gateway, method, "/links").bearer(&jwt("alice"));
        let answer = answer.send().await;
        assert_eq!(answer.header("allow"), Some("POST"));
        assert_eq!(answer.problem().await.slug, "method-not-allowed");
    }
    let answer = call(&gateway, Method::GET, "/session").send().await;
    assert_eq!(answer.header("allow"), Some("POST, DELETE"));
    let elsewhere = gateway
        .request(Method::POST, "/links")
        .bearer(&jwt("alice"));
    let elsewhere = elsewhere.header("host", "evil.test").json(&wish(json!({})));
    assert_eq!(elsewhere.send().await.problem().await.slug, "misdirected");
}

#[tokio::test]
async fn a_page_with_a_session_has_links_made_by_its_own_user() {
    let pbx = pbx().await;
    let gateway = with_sessions(&pbx, "").start().await;
    let cookie = format!("__Host-wavegate={}", open(&gateway, &jwt("carol")).await);
    let call = call(&gateway, Method::POST, "/links").header("cookie", &cookie);
    let answer = call
        .header("origin", ORIGIN)
        .json(&wish(json!({})))
        .send()
        .await;
    assert_eq!(answer.status(), StatusCode::CREATED);
    let document: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    let target = document["url"]
        .as_str()
        .unwrap()
        .strip_prefix(ORIGIN)
        .unwrap();
    assert_eq!(claims(target)["sub"], "carol");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let pbx = pbx().await;
    let gateway = with_sessions(&pbx, "").start().await;
    let head = |length: &str| {
        format!(
            "POST /links HTTP/1.1\r\nhost: {HOST}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
             connection: close\r\n{length}\r\n\r\n",
            jwt("alice")
        )
    };
    // Longer than permitted, by its `content-length`; and in chunks, which declare no length.
    let chunk = format!("1001\r\n{}\r\n0\r\n\r\n", " ".repeat(0x1001));
    let chunked = format!("{}{chunk}", head("transfer-encoding: chunked"));
    for request in [format!("{}{{", head("content-length: 5000")), chunked] {
        let mut stream = tokio::net::TcpStream::connect(gateway.addr())
            .await
            .unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = crate::harness::soon(stream.read_to_end(&mut answer)).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 413 "));
        assert!(answer.contains("request-too-large"));
    }
}

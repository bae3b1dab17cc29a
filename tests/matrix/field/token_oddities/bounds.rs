//! Tokens as long as single sign-on makes them, and the answers to tokens that are too long.

use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::harness::programs::{lines, serve};
use crate::harness::tls::Identity;
use crate::harness::{Call, Problem, gateway, soon};

/// The configuration key of the bound, as answers name it.
const BOUND: &str = "server.max_header_bytes";

/// Groups as a directory names them, each by a UUID.
fn groups(count: usize) -> Vec<String> {
    let groups = (0..count).map(|number| format!("6f9619ff-8b86-d011-b42d-{number:012}"));
    groups.collect()
}

/// A token of [`OTHER`] with this many groups.
fn with_groups(key: &Key, count: usize, header: Value) -> String {
    let claims =
        bearer_claims(json!({"iss": OTHER, "groups": groups(count), "roles": groups(count)[..1]}));
    let header = with(json!({"alg": "ES256", "typ": "JWT", "kid": "es"}), header);
    let sign = |message: &[u8]| key.sign("ES256", message);
    signed(
        header.to_string().as_bytes(),
        claims.to_string().as_bytes(),
        sign,
    )
}

/// A token of the usual issuer with this many bytes, or up to two more.
fn padded(bytes: usize) -> String {
    let short = jwt(&bearer_claims(json!({"x": ""})));
    let padding = "x".repeat(bytes.saturating_sub(short.len()).div_ceil(4) * 3);
    let token = jwt(&bearer_claims(json!({ "x": padding })));
    assert!(
        (bytes..bytes + 4).contains(&token.len()),
        "{} and {bytes}",
        token.len()
    );
    token
}

#[tokio::test]
async fn a_token_with_two_hundred_groups_works_everywhere() {
    let pbx = pbx().await;
    let key = Key::generate("ES256");
    let token = with_groups(&key, 200, json!({}));
    assert!((10_500..11_000).contains(&token.len()), "{}", token.len());
    let builder = with_other(gateway(&pbx), &key, "ES256", "es").set("auth.cookie", "sso");
    // An issuer whose groups are the roles.
    let builder = builder.lines("[[auth.issuer]]", &format!(
        "name = \"https://roles.test\"\naudiences = [\"{AUDIENCE}\"]\nroles_claim = \"groups\"\n[[auth.issuer.key]]\n\
         algorithm = \"ES256\"\npublic_key_file = \"other.pem\""
    ));
    let gateway = builder.start().await;
    for _ in 0..2 {
        assert_eq!(by_bearer(&gateway, &token).await, "200");
        assert_eq!(by_cookie(&gateway, "sso", &token).await, "200");
    }
    let claims = bearer_claims(json!({"iss": "https://roles.test", "groups": groups(200)}));
    let sign = |message: &[u8]| key.sign("ES256", message);
    let roles = signed(br#"{"alg":"ES256"}"#, claims.to_string().as_bytes(), sign);
    assert_eq!(by_bearer(&gateway, &roles).await, "200");
    let long = link(
        LINK_HEADER,
        &link_claims(json!({ "x": "x".repeat(7_000) })).to_string(),
    );
    assert!(long.len() > 9_000);
    assert_eq!(by_link(&gateway, &long).await, "200");
    // The gateway still checks the signature.
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let forged = format!("{}.{signature}", signed.replacen("eyJ", "eyI", 1));
    assert_eq!(by_bearer(&gateway, &forged).await, "bearer-token-invalid");
}

#[tokio::test]
async fn a_chain_of_certificates_in_the_header_is_not_too_long() {
    let pbx = pbx().await;
    let key = Key::generate("ES256");
    let gateway = with_other(gateway(&pbx), &key, "ES256", "es").start().await;
    let chain = vec!["MIIF".repeat(500); 3];
    let token = with_groups(&key, 1, json!({ "x5c": chain }));
    assert!(token.len() > 8 * 1_024);
    assert_eq!(by_bearer(&gateway, &token).await, "200");
}

#[tokio::test]
async fn a_token_with_three_hundred_roles_has_all_of_them() {
    let pbx = pbx().await;
    let policies =
        "permit(principal, action, resource) when { principal.roles.contains(\"role-00299\") };";
    let builder = gateway(&pbx).policies(policies).set("auth.cookie", "sso");
    let gateway = builder.start().await;
    let roles = |count: usize| {
        let roles: Vec<String> = (0..count)
            .map(|number| format!("role-{number:05}"))
            .collect();
        jwt(&bearer_claims(json!({ "roles": roles })))
    };
    for (count, expected) in [(299, "recording-denied"), (300, "200"), (700, "200")] {
        assert_eq!(
            by_bearer(&gateway, &roles(count)).await,
            expected,
            "{count}"
        );
        assert_eq!(
            by_cookie(&gateway, "sso", &roles(count)).await,
            expected,
            "{count}"
        );
    }
}

#[tokio::test]
async fn roles_and_extensions_beyond_the_bound_are_refused() {
    let pbx = pbx().await;
    let default = gateway(&pbx).start().await;
    let raised = gateway(&pbx).set("server.max_header_bytes", 32768);
    let raised = raised.set("auth.issuer.pbxs", ["office"]).start().await;
    let many = |claim: &str, count: usize| {
        let values: Vec<String> = (0..count).map(|number| format!("{number}")).collect();
        jwt(&bearer_claims(json!({ claim: values })))
    };
    for (claim, count, expected) in [
        ("roles", 1_024, ["200"; 2]),
        ("roles", 1_025, ["bearer-token-invalid", "200"]),
        (
            "roles",
            2_049,
            ["request-head-too-large", "bearer-token-invalid"],
        ),
        ("extensions", 1_025, ["bearer-token-invalid", "200"]),
    ] {
        let token = many(claim, count);
        for (gateway, expected) in [&default, &raised].into_iter().zip(expected) {
            assert_eq!(
                by_bearer(gateway, &token).await,
                expected,
                "{claim} {count}"
            );
        }
    }
}

/// A request with more fields than hyper reads gets the same answer. It also names that bound.
#[tokio::test]
async fn a_head_with_very_many_fields_is_told_of_both_bounds() {
    let pbx = pbx().await;
    let gateway = gateway(&pbx).start().await;
    let token = jwt(&bearer_claims(json!({})));
    let with_fields = |count: usize| {
        let call = gateway.get(NAME).bearer(&token);
        (0..count).fold(call, |call, number| {
            call.header(&format!("x-{number}"), "1")
        })
    };
    assert_eq!(outcome(with_fields(90).send().await).await, "200");
    let problem = with_fields(120).send().await.problem().await;
    names_the_bound(&problem, 16_384);
    assert!(
        problem.text.contains("more than 100 fields"),
        "{}",
        problem.text
    );
}

/// Checks that a problem names the bound in bytes.
fn names_the_bound(problem: &Problem, bytes: usize) {
    assert_eq!(problem.slug, "request-head-too-large");
    assert_eq!(problem.status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    let reason = format!("longer than the {bytes} bytes of {BOUND}");
    assert!(problem.text.contains(&reason), "{}", problem.text);
}

#[tokio::test]
async fn a_head_that_is_too_long_gets_an_answer_that_names_the_bound() {
    let pbx = pbx().await;
    for (lines, bytes) in [("", 16_384), ("max_header_bytes = 65536", 65_536)] {
        let gateway = gateway(&pbx).lines("[server]", lines).start().await;
        // The rest of the head is short.
        let fits = padded(bytes - 400);
        assert_eq!(by_bearer(&gateway, &fits).await, "200");
        for over in [0, 1_000, 20_000] {
            let token = padded(bytes + over);
            let problem = gateway.get(NAME).bearer(&token).send().await;
            names_the_bound(&problem.problem().await, bytes);
        }
        // Also in the query and in a cookie.
        let target = format!("/recordings/{NAME}?link={}", "a".repeat(bytes));
        if bytes < 65_000 {
            let call = gateway.request(Method::GET, &target).send().await;
            names_the_bound(&call.problem().await, bytes);
        }
        let cookie = format!("sso={}", "a".repeat(bytes));
        let call = gateway.get(NAME).header("cookie", &cookie).send().await;
        names_the_bound(&call.problem().await, bytes);
        // These requests have no effect on later ones.
        assert_eq!(by_bearer(&gateway, &padded(500)).await, "200");
    }
}

#[tokio::test]
async fn a_head_without_an_end_is_answered_and_heard_out() {
    let pbx = pbx().await;
    let gateway = gateway(&pbx).start().await;
    let mut stream = tokio::net::TcpStream::connect(gateway.addr())
        .await
        .unwrap();
    let (mut reader, mut writer) = stream.split();
    let head = format!(
        "GET / HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}",
        "a".repeat(1 << 20)
    );
    let mut answer = Vec::new();
    let sent = async {
        writer.write_all(head.as_bytes()).await.unwrap();
        writer.shutdown().await.unwrap();
    };
    let (_, read) = soon(async { tokio::join!(sent, reader.read_to_end(&mut answer)) }).await;
    read.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(
        head.starts_with("HTTP/1.1 431 Request Header Fields Too Large\r\n"),
        "{head}"
    );
    let head = head.to_ascii_lowercase();
    for field in [
        "connection: close",
        "cache-control: no-store",
        "x-request-id: ",
        "date: ",
    ] {
        assert!(head.contains(field), "{field}: {head}");
    }
    assert!(
        head.contains(&format!("content-length: {}", body.len())),
        "{head}"
    );
    assert!(body.contains(BOUND), "{body}");
    assert!(!answer.contains("aaaaaaaa"));
}

#[tokio::test]
async fn the_head_bound_is_the_same_over_tls_and_http_2() {
    let pbx = pbx().await;
    let identity = Identity::new();
    let builder = gateway(&pbx).tls(&identity);
    let gateway = builder.start().await;
    let addr = gateway.tls_addr();
    let call =
        |token: &str| Call::new(addr, Method::GET, &format!("/recordings/{NAME}")).bearer(token);
    let send = async |call: Call, alpn: &str| {
        let stream = identity.connect(addr, &[alpn]).await.unwrap();
        match alpn {
            "h2" => call.send_http2(stream).await,
            _ => call.send_on(stream).await,
        }
    };
    for alpn in ["http/1.1", "h2"] {
        for bytes in [10_682, 15_800] {
            let answer = send(call(&padded(bytes)), alpn).await;
            assert_eq!(answer.status(), StatusCode::OK, "{alpn} {bytes}");
        }
        for bytes in [16_384, 20_000] {
            let problem = send(call(&padded(bytes)), alpn).await.problem().await;
            names_the_bound(&problem, 16_384);
        }
    }
}

#[tokio::test]
async fn the_log_names_the_bound_too() {
    let pbx = pbx().await;
    let builder = gateway(&pbx);
    let (running, addr) = serve(&builder.write()).await;
    let target = format!("/recordings/{NAME}");
    let call = || Call::new(addr, Method::GET, &target);
    let mut expected = Vec::new();
    let roles: Vec<usize> = (0..1_025).collect();
    let roles: Vec<String> = roles.iter().map(usize::to_string).collect();
    let many = jwt(&bearer_claims(json!({ "roles": roles })));
    for (token, reason) in [
        (
            padded(17_000),
            "the head of the request is longer than the 16384 bytes of server.max_header_bytes, or has more than 100 fields",
        ),
        (
            many,
            "bearer token: the claim that roles_claim names: more than 1024 values, one for each 16 bytes of server.max_header_bytes",
        ),
    ] {
        let problem = call().bearer(&token).send().await.problem().await;
        let id = problem.headers["x-request-id"].to_str().unwrap().to_owned();
        expected.push((id, problem.status.as_u16(), reason));
    }
    let log = running
        .err
        .until(|log| log.matches("\"status\":4").count() == 2)
        .await;
    for (id, status, reason) in expected {
        let line = lines(&log).find(|line| line["request_id"] == id).unwrap();
        assert_eq!(
            (&line["status"], &line["reason"]),
            (&json!(status), &json!(reason))
        );
    }
    running.stop().await;
}

//! A browser with a cookie has the identity of its bearer token, for the same time, and no other
//! site can act with the cookie.

mod counts;
mod ends;
mod everywhere;
mod keys;
mod rights;
mod sites;

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Method, StatusCode};
use serde_json::Value;
use wavegate::auth::Algorithm;
use wavegate::auth::mint::{self, SigningKey};
use wavegate::secret::Secret;
use wavegate::simulator::{Api, Simulator, wav};

use crate::harness::idp::Idp;
use crate::harness::session::{
    COOKIE, CRM, ORIGIN, call, open, own, pbx, recording, set_cookies, value, with_sessions,
};
use crate::harness::{
    AUDIENCE, Answer, BEARER_SECRET, Builder, Call, Gateway, ISSUER, NAME, PBX, gateway, jwt, link,
    soon, write_secret,
};

/// Gets the recording as a page of the gateway itself would.
async fn get(gateway: &Gateway, cookies: &str) -> Answer {
    let call = call(gateway, Method::GET, &recording()).header("cookie", cookies);
    call.header("sec-fetch-site", "same-origin").send().await
}

/// Opens the recording as a browser does when its user enters the address.
async fn navigate(gateway: &Gateway, cookies: &str) -> Answer {
    let call = call(gateway, Method::GET, &recording()).header("cookie", cookies);
    let call = call.header("sec-fetch-site", "none");
    call.header("sec-fetch-mode", "navigate").send().await
}

fn attributes(cookie: &str) -> Vec<&str> {
    let mut attributes: Vec<_> = cookie.split("; ").skip(1).collect();
    attributes.sort_unstable();
    attributes
}

fn claims(token: &str) -> Value {
    let claims = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

/// Asserts that the answer clears the cookie in both forms, since a browser may have either.
fn assert_cleared(answer: &Answer) {
    let cleared = set_cookies(answer);
    let [lax, partitioned] = cleared.as_slice() else {
        panic!("{cleared:?}");
    };
    assert_eq!((value(lax), value(partitioned)), ("", ""));
    let common = ["HttpOnly", "Max-Age=0", "Path=/", "SameSite=Lax", "Secure"];
    assert_eq!(attributes(lax), common);
    let expected = [
        "HttpOnly",
        "Max-Age=0",
        "Partitioned",
        "Path=/",
        "SameSite=None",
        "Secure",
    ];
    assert_eq!(attributes(partitioned), expected);
}

#[tokio::test]
async fn a_bearer_token_gives_a_cookie_that_plays_seeks_and_lists() {
    let pbx = pbx().await;
    let gateway = with_sessions(&pbx, "").start().await;
    let answer = call(&gateway, Method::POST, "/session").bearer(&jwt("alice"));
    let answer = answer.send().await;
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    let set = set_cookies(&answer);
    // A cookie from before the setting changed is cleared, then the new one is set.
    let [other, ours] = set.as_slice() else {
        panic!("{}", set.len());
    };
    assert_eq!(value(other), "");
    assert!(attributes(other).contains(&"Partitioned") && attributes(other).contains(&"Max-Age=0"));
    let expected = ["HttpOnly", "Path=/", "SameSite=Lax", "Secure"];
    assert_eq!(attributes(ours), expected);
    assert!(answer.bytes().await.unwrap().is_empty());

    let cookie = own(value(ours));
    let whole = get(&gateway, &format!("theme=dark; {cookie}; lang=de")).await;
    assert_eq!(whole.status(), StatusCode::OK);
    assert_eq!(
        whole.header("cross-origin-resource-policy"),
        Some("same-site")
    );
    assert!(set_cookies(&whole).is_empty());
    let bytes = whole.bytes().await.unwrap();
    assert_eq!(bytes, pbx.recording_bytes(NAME).unwrap());
    for (method, status) in [(Method::GET, 206), (Method::HEAD, 200)] {
        let part = call(&gateway, method, &recording()).header("cookie", &cookie);
        let part = part.header("range", "bytes=0-1").send().await;
        assert_eq!(part.status(), status);
    }
    let list = "/recordings?from=2026-01-01&to=2026-06-01";
    let list = call(&gateway, Method::GET, list).header("cookie", &cookie);
    assert_eq!(list.send().await.status(), StatusCode::OK);
    // In two fields, as HTTP/2 may send them.
    let call = call(&gateway, Method::GET, &recording()).header("cookie", "a=b");
    let answer = call.header("cookie", &cookie).send().await;
    assert_eq!(answer.status(), StatusCode::OK);
}

#[tokio::test]
async fn embed_partitioned_lets_a_crm_frame_a_recording() {
    let pbx = pbx().await;
    let gateway = with_sessions(&pbx, "embed = \"partitioned\"").start().await;
    let answer = call(&gateway, Method::POST, "/session").bearer(&jwt("alice"));
    let set = set_cookies(&answer.send().await);
    assert_eq!((set.len(), value(&set[0])), (2, ""));
    assert!(attributes(&set[0]).contains(&"SameSite=Lax"));
    let expected = [
        "HttpOnly",
        "Partitioned",
        "Path=/",
        "SameSite=None",
        "Secure",
    ];
    assert_eq!(attributes(&set[1]), expected);
    // The iframe itself is a navigation that the CRM's page caused.
    let iframe = call(&gateway, Method::GET, &recording())
        .header("cookie", &own(value(&set[1])))
        .header("sec-fetch-site", "cross-site")
        .header("sec-fetch-mode", "navigate")
        .header("sec-fetch-dest", "iframe");
    assert_eq!(iframe.send().await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_session_names_its_token_and_ends_no_later_than_it() {
    let pbx = pbx().await;
    for (lines, lives) in [("", 3600), ("max_ttl_s = 60", 60)] {
        let gateway = with_sessions(&pbx, lines).start().await;
        let token = jwt("alice");
        let (bearer, session) = (claims(&token), claims(&open(&gateway, &token).await));
        let number = |claims: &Value, name: &str| claims[name].as_u64().unwrap();
        let ends = number(&session, "exp");
        assert!(ends <= number(&bearer, "exp"));
        // The token was issued a moment before.
        assert!(ends - number(&bearer, "iat") <= lives + 1);
        assert_eq!(session["bearer_issuer"], ISSUER);
        assert_eq!(session["bearer_subject"], "alice");
        assert_eq!(session["bearer_token_id"], bearer["jti"]);
        assert_eq!(session["bearer_issued_at"], bearer["iat"]);
        for claim in ["iss", "sub", "jti"] {
            assert!(session.get(claim).is_none(), "{claim}");
        }
    }
}

#[tokio::test]
async fn without_a_session_key_the_cookie_is_ignored() {
    let pbx = pbx().await;
    let with = with_sessions(&pbx, "").start().await;
    let cookie = open(&with, &jwt("alice")).await;
    let gateway = gateway(&pbx).start().await;
    for method in [Method::POST, Method::DELETE] {
        let answer = gateway.request(method, "/session").bearer(&jwt("alice"));
        let answer = answer.header("sec-fetch-site", "same-origin").send().await;
        assert!(set_cookies(&answer).is_empty());
        assert_eq!(answer.problem().await.slug, "no-such-resource");
    }
    for cookies in [own(&cookie), own("x"), format!("{0}; {0}", own("x"))] {
        let refused = get(&gateway, &cookies).await.problem().await;
        assert_eq!(refused.slug, "bearer-token-missing");
    }
}

#[tokio::test]
async fn a_session_begins_with_a_bearer_token_and_nothing_else() {
    let pbx = pbx().await;
    let builder = with_sessions(&pbx, "").set("auth.cookie", "sso");
    let gateway = builder.start().await;
    let cookie = own(&open(&gateway, &jwt("alice")).await);
    let begin = |fields: Vec<(&'static str, String)>, target: String| {
        let mut call = call(&gateway, Method::POST, &target).header("origin", ORIGIN);
        for (name, value) in fields {
            call = call.header(name, &value);
        }
        async move {
            let answer = call.send().await;
            assert!(set_cookies(&answer).is_empty());
            answer.problem().await.slug
        }
    };
    let plain = || "/session".to_owned();
    let by_link = format!("/session?link={}", link(PBX, NAME));
    let sso = format!("sso={}", jwt("alice"));
    assert_eq!(begin(vec![], plain()).await, "bearer-token-missing");
    assert_eq!(begin(vec![], by_link).await, "bearer-token-required");
    let by_cookie = begin(vec![("cookie", cookie.clone())], plain()).await;
    assert_eq!(by_cookie, "bearer-token-required");
    let by_sso = begin(vec![("cookie", sso)], plain()).await;
    assert_eq!(by_sso, "bearer-token-required");
    let wrong = format!("Bearer {}x", jwt("alice"));
    let fields = vec![("authorization", wrong), ("cookie", cookie)];
    assert_eq!(begin(fields, plain()).await, "bearer-token-invalid");
    let expired = format!("Bearer {}", crate::harness::expired_jwt("alice"));
    let fields = vec![("authorization", expired)];
    assert_eq!(begin(fields, plain()).await, "bearer-token-invalid");
}

#[tokio::test]
async fn the_first_credential_decides_and_no_other_covers_it() {
    let pbx = pbx().await;
    let gateway = with_sessions(&pbx, "")
        .set("auth.cookie", "sso")
        .start()
        .await;
    let good = own(&open(&gateway, &jwt("alice")).await);
    let sso = format!("sso={}", jwt("bob"));
    let both = format!("{good}; {sso}");
    let wrong_link = format!("{}?link=x", recording());
    let wrong_name = format!("{}?link={}", recording(), link(PBX, "another.wav"));
    let stray = format!("{}?access_token=x", recording());
    let before = pbx.seen().requests.total();
    for (target, bearer, cookies, slug) in [
        (recording(), Some("x"), both.clone(), "bearer-token-invalid"),
        (wrong_link, None, both.clone(), "link-token-invalid"),
        (wrong_name, None, both.clone(), "link-for-another-recording"),
        (stray, None, both, "bearer-token-invalid"),
        (
            recording(),
            None,
            format!("{}; {sso}", own("x")),
            "session-invalid",
        ),
        (
            recording(),
            None,
            format!("{}; {sso}", own("")),
            "session-invalid",
        ),
        (
            recording(),
            None,
            format!("{good}; {good}; {sso}"),
            "session-invalid",
        ),
        (
            recording(),
            None,
            format!("{sso}; {sso}"),
            "session-invalid",
        ),
        (recording(), None, "sso=x".to_owned(), "session-invalid"),
    ] {
        let mut call = call(&gateway, Method::GET, &target).header("cookie", &cookies);
        if let Some(token) = bearer {
            call = call.bearer(token);
        }
        let answer = call.header("sec-fetch-site", "same-origin").send().await;
        assert!(set_cookies(&answer).is_empty());
        assert_eq!(answer.problem().await.slug, slug);
    }
    assert_eq!(pbx.seen().requests.total(), before);
    // A valid first credential decides, and later ones are not read.
    let answer = get(&gateway, &format!("{good}; sso=x")).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let twice = format!("{0}; {0}", own("x"));
    let answer = call(&gateway, Method::GET, &recording()).bearer(&jwt("alice"));
    let answer = answer.header("cookie", &twice).send().await;
    assert_eq!(answer.status(), StatusCode::OK);
}

#[tokio::test]
async fn session_bearer_and_link_tokens_are_not_interchangeable() {
    let pbx = pbx().await;
    let gateway = with_sessions(&pbx, "")
        .set("auth.cookie", "sso")
        .start()
        .await;
    let session = open(&gateway, &jwt("alice")).await;
    let (bearer, link) = (jwt("alice"), link(PBX, NAME));
    let before = pbx.seen().requests.total();
    for value in [&bearer, &link] {
        let refused = get(&gateway, &own(value)).await.problem().await;
        assert_eq!(refused.slug, "session-invalid");
    }
    for value in [&session, &link] {
        let refused = get(&gateway, &format!("sso={value}")).await;
        assert_eq!(refused.problem().await.slug, "session-invalid");
    }
    let as_bearer = call(&gateway, Method::GET, &recording()).bearer(&session);
    let refused = as_bearer.send().await.problem().await;
    assert_eq!(refused.slug, "bearer-token-invalid");
    let target = format!("{}?link={session}", recording());
    let refused = call(&gateway, Method::GET, &target).send().await;
    assert_eq!(refused.problem().await.slug, "link-token-invalid");
    // The signed part has one more character.
    let (signed, signature) = session.rsplit_once('.').unwrap();
    let other = own(&format!("{signed}A.{signature}"));
    let refused = get(&gateway, &other).await.problem().await;
    assert_eq!(refused.slug, "session-invalid");
    assert_eq!(pbx.seen().requests.total(), before);
}

#[tokio::test]
async fn a_cookie_of_single_sign_on_counts_as_a_bearer_token() {
    let pbx = pbx().await;
    let gateway = with_sessions(&pbx, "")
        .set("auth.cookie", "sso")
        .start()
        .await;
    let sso = format!("sso={}", jwt("alice"));
    // Twice: the cache of verified tokens does not remember where a token stood.
    for _ in 0..2 {
        assert_eq!(get(&gateway, &sso).await.status(), StatusCode::OK);
        let bare = call(&gateway, Method::GET, &recording()).header("cookie", &sso);
        let refused = bare.send().await.problem().await;
        assert_eq!(refused.slug, "cross-site-refused");
        let bearer = call(&gateway, Method::GET, &recording()).bearer(&sso[4..]);
        assert_eq!(bearer.send().await.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn a_new_key_of_the_issuer_is_fetched_for_its_cookie_too() {
    let (pbx, idp) = (pbx().await, Idp::start().await);
    let builder = with_sessions(&pbx, "").set("auth.cookie", "sso");
    let keys = format!(
        "jwks_url = \"{}/keys\"\njwks_min_interval_s = 1",
        idp.name()
    );
    let lines = idp.lines(builder.folder(), &keys);
    let gateway = builder.lines("[[auth.issuer]]", &lines).start().await;
    let until_heard = async || {
        let cookie = format!("sso={}", idp.jwt("alice"));
        soon(async { while get(&gateway, &cookie).await.status() != StatusCode::OK {} }).await;
    };
    until_heard().await;
    idp.rotate();
    until_heard().await;
}

#[tokio::test]
async fn a_token_with_a_very_long_issuer_opens_no_session() {
    let pbx = pbx().await;
    let name = format!("https://{}.test", "x".repeat(3_000));
    let key = "[[auth.issuer.key]]\nalgorithm = \"HS256\"\nsecret_file = \"bearer\"";
    let lines = format!("name = \"{name}\"\naudiences = [\"{AUDIENCE}\"]\n{key}");
    let gateway = with_sessions(&pbx, "")
        .lines("[[auth.issuer]]", &lines)
        .start()
        .await;
    let claims = mint::BearerClaims {
        issuer: &name,
        subject: "alice",
        audience: AUDIENCE,
    };
    let secret = Secret::new(BEARER_SECRET);
    let key = SigningKey::secret(None, Algorithm::Hs256, &secret).unwrap();
    let hour = Duration::from_secs(3600);
    let token = mint::bearer(&key, &claims, SystemTime::now(), hour).unwrap();
    let answer = call(&gateway, Method::POST, "/session").bearer(&token);
    let answer = answer.send().await;
    assert!(set_cookies(&answer).is_empty());
    assert_eq!(answer.problem().await.slug, "session-too-large");
    let heard = call(&gateway, Method::GET, &recording()).bearer(&token);
    assert_eq!(heard.send().await.status(), StatusCode::OK);
}

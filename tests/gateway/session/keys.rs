//! Cookies and the keys that an issuer publishes: no request is refused because of a new key, and a
//! cookie that is not a token of the issuer causes no fetch.

use super::ends::{change, just_ended};
use super::*;
use crate::harness::admin::ask;

/// A gateway for this provider that fetches keys for an unknown key id only once in the whole test.
async fn asking_once(pbx: &Simulator, idp: &Idp, auth: &str) -> Gateway {
    let builder = with_sessions(pbx, "")
        .set("auth.cookie", "sso")
        .lines("[auth]", auth);
    let keys = format!(
        "jwks_url = \"{}/keys\"\njwks_min_interval_s = 3600",
        idp.name()
    );
    let lines = idp.lines(builder.folder(), &keys);
    let gateway = builder.lines("[[auth.issuer]]", &lines).start().await;
    let addr = gateway.app.admin_address();
    let ready = async || ask(addr, Method::GET, "/readyz", &[]).await.unwrap().status == 200;
    soon(async { while !ready().await {} }).await;
    assert_eq!(idp.asked(), 1);
    gateway
}

#[tokio::test]
async fn the_first_cookies_of_a_new_key_share_one_key_fetch() {
    let (pbx, idp) = (pbx().await, Idp::start().await);
    let gateway = asking_once(&pbx, &idp, "").await;
    let old = format!("sso={}", idp.jwt("alice"));
    assert_eq!(get(&gateway, &old).await.status(), StatusCode::OK);
    idp.rotate();
    let new = format!("sso={}", idp.jwt("alice"));
    let all = futures_of(&gateway, &new, 8).await;
    assert_eq!(all, [StatusCode::OK; 8]);
    assert_eq!(idp.asked(), 2);
    assert_eq!(get(&gateway, &old).await.status(), StatusCode::OK);
}

async fn futures_of(gateway: &Gateway, cookie: &str, count: usize) -> Vec<StatusCode> {
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..count {
        let call = call(gateway, Method::GET, &recording()).header("cookie", cookie);
        let call = call.header("sec-fetch-site", "same-origin");
        calls.spawn(async move { call.send().await.status() });
    }
    calls.join_all().await
}

#[tokio::test]
async fn a_wrong_session_asks_for_no_keys_whatever_stands_beside_it() {
    let (pbx, idp) = (pbx().await, Idp::start().await);
    let gateway = asking_once(&pbx, &idp, "").await;
    let good = open(&gateway, &jwt("alice")).await;
    let (signed, _) = good.rsplit_once('.').unwrap();
    idp.rotate();
    let sso = format!("sso={}", idp.jwt("alice"));
    for wrong in [
        // Wrong signatures, a bearer token, a token of the issuer, an empty value, and nonsense.
        format!("{signed}.AAAA"),
        format!("{signed}.{}", "A".repeat(43)),
        jwt("alice"),
        idp.jwt("alice"),
        String::new(),
        "x".to_owned(),
    ] {
        for cookies in [
            own(&wrong),
            format!("{}; {sso}", own(&wrong)),
            format!("{sso}; {}", own(&wrong)),
        ] {
            let refused = get(&gateway, &cookies).await.problem().await;
            assert_eq!(refused.slug, "session-invalid");
            let navigated = navigate(&gateway, &cookies).await;
            assert_eq!(navigated.status(), StatusCode::UNAUTHORIZED);
        }
    }
    assert_eq!(idp.asked(), 1);
    // A wrong link or a bearer token of another issuer causes no fetch either.
    let wrong_link = format!("{}?link={}x", recording(), link(PBX, NAME));
    let wrong_link = call(&gateway, Method::GET, &wrong_link).header("cookie", &sso);
    assert_eq!(
        wrong_link.send().await.problem().await.slug,
        "link-token-invalid"
    );
    let other = call(&gateway, Method::GET, &recording()).bearer(&format!("{}x", jwt("alice")));
    let other = other.header("cookie", &sso).send().await.problem().await;
    assert_eq!(other.slug, "bearer-token-invalid");
    assert_eq!(idp.asked(), 1);
    // The one permitted fetch is still available.
    assert_eq!(get(&gateway, &sso).await.status(), StatusCode::OK);
    assert_eq!(idp.asked(), 2);
}

#[tokio::test]
async fn a_new_key_is_fetched_for_a_cookie_behind_an_expired_one() {
    let (pbx, idp) = (pbx().await, Idp::start().await);
    let gateway = asking_once(&pbx, &idp, "skew_s = 300").await;
    let expired = own(&open(&gateway, &just_ended("alice")).await);
    // The reload fetches the keys, too.
    change(&gateway, "skew_s = 300", "skew_s = 0");
    soon(idp.until_asked(2)).await;
    idp.rotate();
    let cookies = format!("{expired}; sso={}", idp.jwt("alice"));
    soon(async { while navigate(&gateway, &cookies).await.status() != StatusCode::OK {} }).await;
    assert_eq!(idp.asked(), 3);
}

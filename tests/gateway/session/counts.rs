//! Rates and failure counts apply to principals and addresses, whichever credential was used.

use serde_json::json;

use super::*;
use crate::harness::audit::{dir, of_kind};
use crate::harness::{expired_jwt, jwt_with};

const NONE: &str = "principal_requests_per_second = 0\naddress_requests_per_second = 0";

fn limited(pbx: &Simulator, limits: &str) -> Builder {
    let builder = with_sessions(pbx, "").cache().set("auth.cookie", "sso");
    let builder = builder.set("server.trusted_proxies", ["127.0.0.1"]);
    builder.limits().lines("[limits]", limits)
}

fn from(gateway: &Gateway, method: Method, target: &str, address: &str) -> Call {
    let call = call(gateway, method, target).header("x-forwarded-for", address);
    call.header("sec-fetch-site", "same-origin")
}

#[tokio::test]
async fn all_credentials_of_a_principal_share_one_rate() {
    let pbx = pbx().await;
    let limits =
        "principal_requests_per_second = 1\nprincipal_burst = 60\naddress_requests_per_second = 0";
    let gateway = limited(&pbx, limits).start().await;
    let token = jwt("alice");
    let bob = own(&open(&gateway, &jwt("bob")).await);
    let credentials = [
        ("authorization", format!("Bearer {token}")),
        ("cookie", own(&open(&gateway, &token).await)),
        (
            "cookie",
            format!("sso={}", jwt_with("alice", json!({"roles": ["agent"]}))),
        ),
    ];
    let get = async |address: &str, (name, value): (&str, &str)| {
        let call = from(&gateway, Method::GET, &recording(), address).header(name, value);
        call.send().await
    };
    let mut served = 0;
    let refused = soon(async {
        loop {
            let (name, value) = &credentials[served % 3];
            let answer = get(&format!("203.0.113.{}", served % 200), (name, value)).await;
            if answer.status() != StatusCode::OK {
                return answer.problem().await;
            }
            served += 1;
        }
    })
    .await;
    assert_eq!(refused.slug, "rate-limited");
    // With a rate for each credential three times as many would be served.
    assert!((50..150).contains(&served), "{served}");
    assert_eq!(
        get("203.0.113.1", ("cookie", &bob)).await.status(),
        StatusCode::OK
    );
    // The subject of a link belongs to the link's key, so it is another principal.
    let target = format!(
        "{}?link={}",
        recording(),
        crate::harness::link_of("alice", PBX, NAME, None)
    );
    let by_link = from(&gateway, Method::GET, &target, "203.0.113.1");
    assert_eq!(by_link.send().await.status(), StatusCode::OK);
}

#[tokio::test]
async fn wrong_cookies_and_links_never_hold_up_a_good_cookie() {
    let pbx = pbx().await;
    let limits = format!("{NONE}\naddress_failures_per_minute = 6");
    let gateway = limited(&pbx, &limits).start().await;
    let good = own(&open(&gateway, &jwt("alice")).await);
    let wrong_link = format!("{}?link={}x", recording(), link(PBX, NAME));
    let ways: [(&str, &str, String); 4] = [
        (&recording(), "cookie", own("x")),
        (
            &recording(),
            "cookie",
            format!("sso={}", expired_jwt("alice")),
        ),
        (&wrong_link, "cookie", good.clone()),
        ("/links", "cookie", own("x")),
    ];
    // Each way alone, and then all in turn.
    for (address, ways) in [
        ("203.0.113.1", &ways[..1]),
        ("203.0.113.2", &ways[1..2]),
        ("203.0.113.3", &ways[2..3]),
        ("203.0.113.4", &ways[3..]),
        ("203.0.113.5", &ways),
    ] {
        let mut failed = 0;
        let slug = soon(async {
            loop {
                let (target, name, value) = &ways[failed % ways.len()];
                let method = if *target == "/links" {
                    Method::POST
                } else {
                    Method::GET
                };
                let answer = from(&gateway, method, target, address).header(name, value);
                let answer = answer.send().await;
                if answer.status() != StatusCode::UNAUTHORIZED {
                    return answer.problem().await.slug;
                }
                failed += 1;
            }
        })
        .await;
        assert_eq!(slug, "rate-limited");
        assert!((6..20).contains(&failed), "{failed}");
        let heard = from(&gateway, Method::GET, &recording(), address).header("cookie", &good);
        assert_eq!(heard.send().await.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn a_redirect_to_sign_in_is_no_failure_unlike_every_401() {
    let pbx = pbx().await;
    let limits = format!("{NONE}\naddress_failures_per_minute = 5");
    let builder = limited(&pbx, &limits).audit();
    let gateway = builder
        .set("auth.login_url", "https://sso.test/start?rd={return}")
        .start()
        .await;
    let here = "203.0.113.7";
    for _ in 0..30 {
        let call = from(&gateway, Method::GET, &recording(), here);
        let answer = call.header("sec-fetch-mode", "navigate").send().await;
        assert_eq!(answer.status(), StatusCode::FOUND);
    }
    // None of the redirects counted: every failure that the limit permits is still available, on
    // any route.
    let routes = [
        (Method::GET, recording()),
        (Method::GET, "/recordings".to_owned()),
        (Method::GET, format!("/pbx/{PBX}/recordings")),
        (Method::POST, "/links".to_owned()),
        (Method::POST, "/session".to_owned()),
    ];
    for (method, target) in &routes {
        let answer = from(&gateway, method.clone(), target, here).send().await;
        assert_eq!(
            answer.problem().await.slug,
            "bearer-token-missing",
            "{target}"
        );
    }
    // A refusal for another reason is not a failed authentication.
    let cookie = own(&open(&gateway, &jwt("alice")).await);
    let evil = call(&gateway, Method::POST, "/links").header("cookie", &cookie);
    let evil = evil
        .header("x-forwarded-for", here)
        .header("origin", "https://evil.test");
    assert_eq!(evil.send().await.problem().await.slug, "cross-site-refused");
    let out = from(&gateway, Method::DELETE, "/session", here);
    assert_eq!(out.send().await.status(), StatusCode::NO_CONTENT);
    // Requests over the limit are refused, and the audit log counts them.
    let more = 3;
    for _ in 0..more {
        let answer = from(&gateway, Method::HEAD, &recording(), here)
            .send()
            .await;
        assert!(answer.status().is_client_error());
    }
    let folder = dir(gateway.folder());
    assert!(gateway.app.shut_down().await);
    let refused = of_kind(&folder, "refused");
    assert!(refused.iter().all(|line| line["source"] == here));
    let counts = refused.iter().map(|line| line["count"].as_u64().unwrap());
    assert_eq!(counts.sum::<u64>(), routes.len() as u64 + more);
}

#[tokio::test]
async fn the_address_rate_limits_sign_outs() {
    let pbx = pbx().await;
    let limits =
        "principal_requests_per_second = 0\naddress_requests_per_second = 1\naddress_burst = 4";
    let gateway = limited(&pbx, limits).start().await;
    for cookie in ["a=b".to_owned(), own("x")] {
        let address = if cookie == "a=b" {
            "203.0.113.1"
        } else {
            "203.0.113.2"
        };
        let mut cleared = 0;
        let answer = soon(async {
            loop {
                let call = from(&gateway, Method::DELETE, "/session", address);
                let answer = call.header("cookie", &cookie).send().await;
                if answer.status() != StatusCode::NO_CONTENT {
                    return answer;
                }
                cleared += 1;
            }
        })
        .await;
        assert!(set_cookies(&answer).is_empty());
        assert_eq!(answer.problem().await.slug, "rate-limited");
        assert!((4..30).contains(&cleared), "{cleared}");
    }
    let other = from(&gateway, Method::DELETE, "/session", "203.0.113.3")
        .send()
        .await;
    assert_cleared(&other);
}

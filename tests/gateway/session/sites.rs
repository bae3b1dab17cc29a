//! Requests that another site causes with a user's cookie, and requests that a browser makes ahead
//! of time.

use super::*;

const EVIL: &str = "https://evil.test";

#[tokio::test]
async fn another_site_cannot_play_share_or_sign_out_by_cookie() {
    let pbx = pbx().await;
    let builder = with_sessions(&pbx, "embed = \"partitioned\"").set("auth.cookie", "sso");
    let gateway = builder.start().await;
    let session = own(&open(&gateway, &jwt("alice")).await);
    let sso = format!("sso={}", jwt("alice"));
    let before = pbx.seen().requests.total();
    let wish = format!("{{\"recording\":\"{NAME}\"}}");
    for cookie in [&session, &sso] {
        for (method, target) in [
            (Method::GET, recording()),
            (Method::HEAD, recording()),
            (Method::GET, "/recordings".to_owned()),
            (Method::POST, "/links".to_owned()),
            (Method::POST, "/session".to_owned()),
            (Method::DELETE, "/session".to_owned()),
        ] {
            let rows: [&[(&str, &str)]; 6] = [
                &[
                    ("sec-fetch-site", "cross-site"),
                    ("sec-fetch-mode", "no-cors"),
                ],
                &[("sec-fetch-site", "cross-site"), ("origin", EVIL)],
                &[("sec-fetch-site", "cross-site"), ("origin", "null")],
                &[("origin", EVIL)],
                &[("origin", "http://crm.test")],
                &[],
            ];
            for fields in rows {
                let mut call = call(&gateway, method.clone(), &target).header("cookie", cookie);
                for (name, value) in fields {
                    call = call.header(name, value);
                }
                let answer = call.json(&wish).send().await;
                assert!(set_cookies(&answer).is_empty());
                let what = format!("{method} {target} {fields:?}");
                assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{what}");
                if method != Method::HEAD {
                    assert_eq!(answer.problem().await.slug, "cross-site-refused", "{what}");
                }
            }
        }
        // A form of another site is a navigation, but also a write.
        let form = call(&gateway, Method::POST, "/links").header("cookie", cookie);
        let form = form
            .header("sec-fetch-site", "cross-site")
            .header("origin", EVIL);
        let form = form.header("sec-fetch-mode", "navigate").json(&wish);
        assert_eq!(
            form.send().await.page().await,
            "Request from another site refused"
        );
    }
    assert_eq!(pbx.seen().requests.total(), before);
}

#[tokio::test]
async fn listed_sites_play_and_so_do_navigations_from_anywhere() {
    let pbx = pbx().await;
    let gateway = with_sessions(&pbx, "").start().await;
    let cookie = own(&open(&gateway, &jwt("alice")).await);
    let rows: [&[(&str, &str)]; 5] = [
        &[("sec-fetch-site", "cross-site"), ("origin", CRM)],
        &[
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate"),
        ],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "none")],
        // A browser that sends no such fields, and a cookie that is restricted to this site.
        &[],
    ];
    for fields in rows {
        let mut call = call(&gateway, Method::GET, &recording()).header("cookie", &cookie);
        for (name, value) in fields {
            call = call.header(name, value);
        }
        assert_eq!(call.send().await.status(), StatusCode::OK, "{fields:?}");
    }
}

#[tokio::test]
async fn a_link_works_from_any_site() {
    let pbx = pbx().await;
    let gateway = with_sessions(&pbx, "").start().await;
    let by_link = format!("{}?link={}", recording(), link(PBX, NAME));
    let call = call(&gateway, Method::GET, &by_link)
        .header("sec-fetch-site", "cross-site")
        .header("origin", EVIL);
    assert_eq!(call.send().await.status(), StatusCode::OK);
}

/// As behind a proxy that knows the browser by a cookie, and adds a bearer token whichever site
/// caused the request.
#[tokio::test]
async fn another_site_cannot_use_a_bearer_token_of_a_proxy() {
    let pbx = pbx().await;
    let gateway = with_sessions(&pbx, "").start().await;
    let before = pbx.seen().requests.total();
    for (method, target) in [
        (Method::GET, recording()),
        (Method::GET, "/recordings".to_owned()),
        (Method::POST, "/session".to_owned()),
        (Method::POST, "/links".to_owned()),
    ] {
        for fields in [
            [
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-mode", "no-cors"),
            ],
            [("sec-fetch-site", "cross-site"), ("origin", EVIL)],
        ] {
            let mut call = call(&gateway, method.clone(), &target).bearer(&jwt("alice"));
            for (name, value) in fields {
                call = call.header(name, value);
            }
            let answer = call.send().await;
            assert!(set_cookies(&answer).is_empty());
            assert_eq!(answer.problem().await.slug, "cross-site-refused");
        }
    }
    assert_eq!(pbx.seen().requests.total(), before);
}

#[tokio::test]
async fn a_prefetch_is_refused_before_the_pbx_is_asked() {
    let pbx = pbx().await;
    let gateway = with_sessions(&pbx, "").start().await;
    let cookie = own(&open(&gateway, &jwt("alice")).await);
    let by_link = format!("{}?link={}", recording(), link(PBX, NAME));
    let calls = || {
        [
            call(&gateway, Method::GET, &recording()).bearer(&jwt("alice")),
            call(&gateway, Method::GET, &by_link),
            call(&gateway, Method::GET, &recording()).header("cookie", &cookie),
            call(&gateway, Method::GET, &recording()),
            call(&gateway, Method::GET, "/recordings").bearer(&jwt("alice")),
        ]
    };
    for (name, purpose) in [
        ("sec-purpose", "prefetch"),
        ("sec-purpose", "prefetch;prerender"),
        ("purpose", "prefetch"),
    ] {
        for call in calls() {
            let call = call.header("sec-fetch-mode", "navigate");
            let refused = call.header(name, purpose).send().await;
            // A browser drops an error, and asks again when the user opens the page. It would keep
            // a 204.
            assert_eq!(refused.status(), StatusCode::FORBIDDEN);
            assert_eq!(refused.page().await, "Recording not opened yet");
        }
    }
    assert_eq!(pbx.seen().requests.total(), 0);
    for call in calls().into_iter().take(3) {
        assert_eq!(call.send().await.status(), StatusCode::OK);
    }
}

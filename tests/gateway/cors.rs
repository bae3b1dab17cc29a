//! Scripts of listed origins can read every answer, with the credentials of their user. Scripts of
//! other origins can read none. A preflight needs no credential.
//!
//! Source: Fetch standard, "CORS protocol".

use http::{Method, StatusCode};
use wavegate::simulator::{Api, Simulator, wav};

use crate::harness::{Answer, Gateway, NAME, expired_jwt, gateway, jwt, link};

const CRM: &str = "https://crm.example";

async fn pbx() -> Simulator {
    let builder = Simulator::builder(Api::SSeries200).recording(NAME, wav::music(1));
    builder.start().await.unwrap()
}

/// A gateway that lists two origins, neither in the form that browsers send.
async fn listing(pbx: &Simulator) -> Gateway {
    let origins = "origins = [\"HTTPS://CRM.example:443/\", \"http://localhost:3000\"]";
    gateway(pbx).lines("[cors]", origins).start().await
}

fn vary(answer: &Answer) -> String {
    let fields: Vec<&str> = answer
        .headers()
        .get_all("vary")
        .iter()
        .map(|field| field.to_str().unwrap())
        .collect();
    fields.join(", ")
}

#[track_caller]
fn is_readable(answer: &Answer, origin: &str) {
    let allowed = answer.headers().get_all("access-control-allow-origin");
    assert_eq!(allowed.iter().collect::<Vec<_>>(), [origin]);
    assert_eq!(
        answer.header("access-control-allow-credentials"),
        Some("true")
    );
    let exposed = answer.header("access-control-expose-headers").unwrap();
    for field in [
        "Content-Range",
        "Content-Length",
        "Accept-Ranges",
        "Content-Disposition",
        "ETag",
        "X-Request-Id",
    ] {
        assert!(exposed.split(", ").any(|one| one == field), "{field}");
    }
    assert!(vary(answer).contains("Origin"));
}

#[track_caller]
fn is_not_readable(answer: &Answer) {
    for field in answer.headers().keys() {
        assert!(!field.as_str().starts_with("access-control-"), "{field}");
        assert_ne!(field, "timing-allow-origin");
    }
}

#[tokio::test]
async fn a_script_of_a_listed_origin_reads_recordings_and_problems() {
    let pbx = pbx().await;
    let gateway = listing(&pbx).await;
    let path = format!("/recordings/{NAME}");
    let link = format!("{path}?link={}", link(crate::harness::PBX, NAME));
    let bearer = format!("Bearer {}", jwt("alice"));
    let expired = format!("Bearer {}", expired_jwt("alice"));
    type Row<'a> = (Method, &'a str, &'a [(&'a str, &'a str)], u16);
    let rows: &[Row<'_>] = &[
        (Method::GET, &path, &[("authorization", &bearer)], 200),
        (Method::HEAD, &path, &[("authorization", &bearer)], 200),
        (
            Method::GET,
            &path,
            &[("authorization", &bearer), ("range", "bytes=0-1")],
            206,
        ),
        (
            Method::GET,
            &path,
            &[("authorization", &bearer), ("range", "bytes=99999999-")],
            416,
        ),
        (Method::GET, &link, &[], 200),
        (Method::GET, &path, &[], 401),
        (Method::GET, &path, &[("authorization", &expired)], 401),
        (
            Method::GET,
            &format!("/pbx/{}/recordings?page_size=1", crate::harness::PBX),
            &[("authorization", &bearer)],
            400,
        ),
        (Method::GET, "/nowhere", &[], 404),
        (
            Method::GET,
            &link.replace("/recordings/2", "/recordings/1"),
            &[],
            403,
        ),
        (
            Method::GET,
            "/recordings/a.wav",
            &[("authorization", &bearer)],
            404,
        ),
        (Method::DELETE, &path, &[("authorization", &bearer)], 405),
        (Method::OPTIONS, &path, &[], 405),
    ];
    for (method, path, fields, status) in rows {
        for origin in [
            Some(CRM),
            Some("http://localhost:3000"),
            Some("https://evil.example"),
            None,
        ] {
            let mut call = gateway.request(method.clone(), path);
            for (name, value) in *fields {
                call = call.header(name, value);
            }
            if let Some(origin) = origin {
                call = call.header("origin", origin);
            }
            let answer = call.send().await;
            assert_eq!(answer.status().as_u16(), *status, "{method} {origin:?}");
            match origin {
                Some("https://evil.example") | None => is_not_readable(&answer),
                Some(origin) => is_readable(&answer, origin),
            }
            assert!(vary(&answer).contains("Origin"));
            assert!(answer.bytes().await.is_ok());
        }
    }
}

#[tokio::test]
async fn a_preflight_needs_no_credential_and_asks_the_pbx_nothing() {
    let pbx = pbx().await;
    let gateway = listing(&pbx).await;
    let wanted = "range,x-playback-session-id,authorization,content-type,if-range";
    for path in [
        &*format!("/recordings/{NAME}"),
        "/pbx/office/recordings",
        "/links",
        "/session",
        "/nowhere",
        "/",
    ] {
        for method in ["GET", "HEAD", "POST", "DELETE"] {
            let ask = |origin: &str| {
                let call = gateway
                    .request(Method::OPTIONS, path)
                    .header("origin", origin);
                call.header("access-control-request-method", method)
                    .header("access-control-request-headers", wanted)
            };
            let answer = ask(CRM).send().await;
            assert_eq!(answer.status(), StatusCode::NO_CONTENT, "{path}");
            is_readable(&answer, CRM);
            let methods = answer.header("access-control-allow-methods").unwrap();
            assert!(methods.split(", ").any(|one| one == method), "{method}");
            let fields = answer.header("access-control-allow-headers").unwrap();
            for field in wanted.split(',') {
                let allowed = fields
                    .split(", ")
                    .any(|one| one.eq_ignore_ascii_case(field));
                assert!(allowed, "{field}");
            }
            assert!(answer.header("access-control-max-age").is_some());
            for field in [
                "Access-Control-Request-Method",
                "Access-Control-Request-Headers",
                "Origin",
            ] {
                assert!(vary(&answer).contains(field), "{field}");
            }
            assert!(answer.bytes().await.unwrap().is_empty());

            let answer = ask("https://evil.example").send().await;
            assert_eq!(answer.status(), StatusCode::NO_CONTENT);
            is_not_readable(&answer);
            assert!(vary(&answer).contains("Origin"));
        }
    }
    assert_eq!(pbx.seen().requests.total(), 0);
}

#[tokio::test]
async fn only_an_exactly_equal_origin_may_read_an_answer() {
    let pbx = pbx().await;
    let gateway = listing(&pbx).await;
    for origin in [
        "null",
        "*",
        "",
        "https://crm.example:443",
        "https://crm.example/",
        "HTTPS://crm.example",
        "https://CRM.example",
        "http://crm.example",
        "https://crm.example.evil.example",
        "https://evil.example/https://crm.example",
        "https://a.crm.example",
        "https://crm.example:8443",
        "https://crm.example, https://evil.example",
        "https://crm.example https://evil.example",
        "https://crm.exampl",
        "crm.example",
        "http://localhost",
        "http://localhost:30000",
    ] {
        let call = gateway
            .get(NAME)
            .bearer(&jwt("alice"))
            .header("origin", origin);
        let answer = call.send().await;
        assert_eq!(answer.status(), StatusCode::OK, "{origin}");
        is_not_readable(&answer);
    }
    // A browser never sends two fields.
    let call = gateway
        .get(NAME)
        .bearer(&jwt("alice"))
        .header("origin", CRM);
    is_not_readable(&call.header("origin", "https://evil.example").send().await);
}

#[tokio::test]
async fn without_listed_origins_no_answer_depends_on_any() {
    let pbx = pbx().await;
    let gateway = gateway(&pbx).start().await;
    for method in [Method::GET, Method::OPTIONS] {
        let call = gateway
            .request(method, &format!("/recordings/{NAME}"))
            .bearer(&jwt("alice"));
        let answer = call
            .header("origin", CRM)
            .header("access-control-request-method", "GET")
            .send()
            .await;
        assert!(answer.status().is_success());
        is_not_readable(&answer);
        assert_eq!(answer.header("vary"), None);
    }
}

#[tokio::test]
async fn a_reload_takes_a_new_origin_and_names_a_wrong_one() {
    let pbx = pbx().await;
    let gateway = listing(&pbx).await;
    let path = gateway.folder().join("wavegate.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let other = "https://other.example";
    std::fs::write(&path, text.replace("http://localhost:3000", other)).unwrap();
    gateway.reload().unwrap();
    let ask = |origin: &str| {
        gateway
            .get(NAME)
            .bearer(&jwt("alice"))
            .header("origin", origin)
            .send()
    };
    is_readable(&ask(other).await, other);
    is_not_readable(&ask("http://localhost:3000").await);
    for (origin, words) in [
        ("*", "wildcard"),
        ("null", "sandboxed"),
        ("https://*.example", "wildcard"),
        ("https://a.example/b", "only scheme"),
        ("crm", "not an origin"),
    ] {
        std::fs::write(&path, text.replace("http://localhost:3000", origin)).unwrap();
        let problem = gateway.reload().unwrap_err();
        assert!(
            problem.contains("cors.origins") && problem.contains(words),
            "{problem}"
        );
    }
}

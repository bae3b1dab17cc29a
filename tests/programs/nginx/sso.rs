//! The shipped single sign-on configuration, run for real, with a stand-in for oauth2-proxy.
//!
//! The stand-in answers as oauth2-proxy does with `set_authorization_header`: 202 with the ID token
//! for a browser that it knows by its cookie, 401 for any other.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::harness::{Answer, NAME, expired_jwt, jwt, soon};
use crate::proxies::heads::token;
use crate::proxies::instances::{Instance, behind};
use crate::proxies::process::{PROTOCOLS, Protocol, Proxy};
use crate::proxies::shipped::Kind;
use crate::proxies::{link_target, pbx};

const SSO: &str = include_str!("../../../config/nginx-sso.conf");
const COOKIE: &str = "_oauth2_proxy=alice";
/// The lines of nginx.conf that the file replaces.
const LOCATION: &str = "        location / {
            # No path after the name: the request goes on as it came, percent-encoding included.
            proxy_pass http://wavegate;
        }
";

/// Starts the stand-in for oauth2-proxy, and returns its address. It has this token for the browser
/// that it knows.
async fn oauth2_proxy(token: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let token = token.clone();
            tokio::spawn(async move {
                let service = service_fn(|request: Request<Incoming>| {
                    let response = answer(&request, &token);
                    async { Ok::<_, Infallible>(response) }
                });
                let connection = http1::Builder::new();
                let _ = connection
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    addr
}

fn answer(request: &Request<Incoming>, token: &str) -> Response<Empty<Bytes>> {
    let cookies = request.headers().get("cookie");
    let known = cookies.is_some_and(|cookies| cookies.to_str().unwrap().contains(COOKIE));
    let response = match request.uri().path() {
        "/oauth2/auth" if known => Response::builder()
            .status(202)
            .header("authorization", format!("Bearer {token}"))
            .header("set-cookie", "_oauth2_proxy=renewed; Path=/; HttpOnly"),
        "/oauth2/auth" => Response::builder().status(401),
        _ => Response::builder()
            .status(302)
            .header("location", "https://idp.example/authorize"),
    };
    response.body(Empty::new()).unwrap()
}

/// Runs `test` against nginx in front of a gateway, with a browser's token. Returns the number of
/// tickets that the PBX issued.
async fn run(token: String, test: impl AsyncFn(&Proxy)) -> Option<u64> {
    let pbx = pbx(1, &[]).await;
    let gateway = behind(&pbx).start().await;
    let proxy = oauth2_proxy(token).await;
    let include = "        include {folder}sso.conf;\n";
    let sso = SSO.replace("127.0.0.1:4180", &proxy.to_string());
    let nginx = Proxy::start_with(
        Kind::Nginx,
        &[Instance::of(&gateway)],
        &[(LOCATION, include)],
        &[("sso.conf", &sso)],
    )
    .await?;
    test(&nginx).await;
    Some(pbx.seen().tickets_issued)
}

async fn get(nginx: &Proxy, protocol: Protocol, fields: &[(&str, &str)]) -> Answer {
    let call = nginx.call(protocol, &format!("/recordings/{NAME}"));
    let call = fields
        .iter()
        .fold(call, |call, (name, value)| call.header(name, value));
    nginx.send(call, protocol).await
}

#[tokio::test]
async fn a_browser_that_oauth2_proxy_knows_hears_a_recording() {
    run(jwt("alice"), async |nginx| {
        for protocol in PROTOCOLS {
            let answer = get(nginx, protocol, &[("cookie", COOKIE)]).await;
            assert_eq!(answer.status(), StatusCode::OK, "{protocol:?}");
            let renewed = answer.header("set-cookie").unwrap();
            assert!(renewed.starts_with("_oauth2_proxy=renewed"), "{renewed}");
            let part = get(
                nginx,
                protocol,
                &[("cookie", COOKIE), ("range", "bytes=0-1")],
            )
            .await;
            assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
        }
    })
    .await;
}

#[tokio::test]
async fn a_token_of_oauth2_proxy_with_two_hundred_groups_passes() {
    run(token(200), async |nginx| {
        for protocol in PROTOCOLS {
            let answer = get(nginx, protocol, &[("cookie", COOKIE)]).await;
            assert_eq!(answer.status(), StatusCode::OK, "{protocol:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_browser_unknown_to_oauth2_proxy_gets_401() {
    let tickets = run(jwt("alice"), async |nginx| {
        for fields in [&[][..], &[("cookie", "_oauth2_proxy=mallory")]] {
            let problem = get(nginx, Protocol::Http1, fields).await.problem().await;
            assert_eq!(problem.slug, "bearer-token-missing");
        }
    })
    .await;
    assert!(tickets.is_none_or(|tickets| tickets == 0));
}

#[tokio::test]
async fn its_token_is_verified_like_every_other() {
    let tickets = run(expired_jwt("alice"), async |nginx| {
        let answer = get(nginx, Protocol::Http1, &[("cookie", COOKIE)]).await;
        assert_eq!(answer.problem().await.slug, "bearer-token-invalid");
    })
    .await;
    assert!(tickets.is_none_or(|tickets| tickets == 0));
}

#[tokio::test]
async fn a_token_and_a_link_of_ones_own_come_through_untouched() {
    // The single sign-on token is expired, so a request that uses it fails.
    run(expired_jwt("alice"), async |nginx| {
        let bearer = format!("Bearer {}", jwt("bob"));
        for fields in [
            &[("authorization", &*bearer)][..],
            &[("authorization", &bearer), ("cookie", COOKIE)],
        ] {
            let answer = get(nginx, Protocol::Http1, fields).await;
            assert_eq!(answer.status(), StatusCode::OK, "{fields:?}");
        }
        let call = nginx
            .call(Protocol::Http1, &link_target())
            .header("cookie", COOKIE);
        let answer = nginx.send(call, Protocol::Http1).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let wrong = get(nginx, Protocol::Http1, &[("authorization", "Bearer x")]).await;
        assert_eq!(wrong.problem().await.slug, "bearer-token-invalid");
    })
    .await;
}

/// The head of nginx's answer to a browser that oauth2-proxy knows, byte for byte.
async fn head(nginx: &Proxy, target: &str) -> String {
    let mut stream = nginx.connect(Ipv4Addr::LOCALHOST, Protocol::Http1).await;
    let request = format!(
        "GET {target} HTTP/1.1\r\nHost: localhost\r\nCookie: {COOKIE}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = soon(stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).to_ascii_lowercase()
}

#[tokio::test]
async fn callers_reach_oauth2_start_but_not_oauth2_auth() {
    run(jwt("alice"), async |nginx| {
        let login = head(nginx, "/oauth2/start?rd=/recordings/a.wav").await;
        assert!(
            login.starts_with("http/1.1 302") && login.contains("idp.example"),
            "{login}"
        );
        let inside = head(nginx, "/oauth2/auth").await;
        assert!(inside.starts_with("http/1.1 404"), "{inside}");
        assert!(!inside.contains("authorization:"), "{inside}");
    })
    .await;
}

//! The requests of browsers, single sign-on, issuers by URL and operators. Every path is asserted
//! to have been taken, with secrets in every place where one may be.

use std::net::SocketAddr;
use std::path::Path;

use bytes::Bytes;
use http::Method;

use super::record::Record;
use super::{operators, pbx, talkative};
use crate::harness::idp::{Idp, Mood};
use crate::harness::programs::serve;
use crate::harness::session::{CRM, HOST, ORIGIN, SESSION_SECRET};
use crate::harness::{
    BEARER_SECRET, Builder, Call, LINK_SECRET, NAME, PBX, expired_jwt, jwt, jwt_of, link,
    link_from, soon, write_secret,
};
use wavegate::simulator::{Api, Simulator};

pub(super) const OPERATOR: &str = "a-marked-token-of-the-operator-0123456789";
const RECORDING: &str = "/recordings/20260302091407-1772442845.1203-1001-1003-Internal.wav";
/// In the query of the address of keys, in the text of an issuer, and in bodies of requests.
const MARKS: [&str; 4] = [
    "marked-key-of-the-jwks-url",
    "marked-words-of-an-issuer",
    "marked-private-exponent-of-an-issuer",
    "marked-word-of-a-body",
];
const PAGE: (&str, &str) = ("sec-fetch-mode", "navigate");
const OURS: (&str, &str) = ("sec-fetch-site", "same-origin");

/// Issuers whose keys are published: a good one, and bad ones.
struct Issuers {
    good: Idp,
    bad: Vec<Idp>,
}

impl Issuers {
    async fn start() -> Self {
        let [_, words, exponent, _] = MARKS;
        let jwk = format!(
            "{{\"keys\":[{{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"k\",\"x\":\"{words}\",\"y\":\"\",\"d\":\"{exponent}\"}}]}}"
        );
        let elsewhere = format!("https://elsewhere.test/{words}");
        // The value of a header field must live as long as the test.
        let elsewhere: &'static str = Box::leak(elsewhere.into_boxed_str());
        let says = |text: String| Mood::Says(200, "", Bytes::from(text));
        let mut bad = Vec::new();
        for mood in [
            Mood::Down,
            says(format!("<html>{words}</html>")),
            says(format!("\"{words}\"")),
            says(jwk),
            Mood::Says(302, elsewhere, Bytes::new()),
            Mood::Says(500, "", Bytes::from(words)),
        ] {
            let idp = Idp::start().await;
            idp.be(mood);
            bad.push(idp);
        }
        Self {
            good: Idp::start().await,
            bad,
        }
    }

    fn configure(&self, mut builder: Builder) -> Builder {
        for (number, idp) in self.bad.iter().chain([&self.good]).enumerate() {
            let url = format!("jwks_url = \"{}/keys?key={}\"", idp.name(), MARKS[0]);
            let lines = format!("{url}\njwks_min_interval_s = 1");
            let lines = idp.lines(builder.folder(), &lines);
            // Each issuer has a certificate of its own.
            let (one, own) = ("idp-ca.pem", format!("idp-ca-{number}.pem"));
            std::fs::rename(builder.folder().join(one), builder.folder().join(&own)).unwrap();
            let lines = lines.replace(one, &own);
            builder = builder.lines("[[auth.issuer]]", &lines);
        }
        builder
    }
}

fn start(pbx: &Simulator, format: &str) -> Builder {
    let builder = talkative(pbx, format)
        .set("server.public_url", ORIGIN)
        .set("links.signing_key", "crm")
        .set("auth.cookie", "sso")
        .set("auth.skew_s", 300)
        .set("auth.login_url", "https://sso.test/start?rd={return}")
        .set("auth.revocation_file", "revoked.jsonl")
        .set("session.key_file", "session")
        .set("cors.origins", [CRM])
        .set("admin.token_file", "admin-token");
    write_secret(&builder.folder().join("session"), SESSION_SECRET);
    write_secret(&builder.folder().join("admin-token"), OPERATOR);
    builder
}

fn call(addr: SocketAddr, method: Method, target: &str, fields: &[(&str, &str)]) -> Call {
    let mut call = Call::new(addr, method, target).header("host", HOST);
    for (name, value) in fields {
        call = call.header(name, value);
    }
    call
}

async fn drive(format: &str) {
    let mut record = Record::default();
    let own = [BEARER_SECRET, LINK_SECRET, SESSION_SECRET, OPERATOR];
    record.secrets.extend(own.map(str::to_owned));
    record.secrets.extend(MARKS.map(str::to_owned));
    let pbx = pbx(Api::SSeries200, &[]).await;
    let issuers = Issuers::start().await;
    let builder = issuers.configure(start(&pbx, format));
    let path = builder.write();
    let (gateway, addr) = serve(&path).await;
    published_keys(&mut record, addr, &issuers).await;
    people(&mut record, addr).await;
    other_sites(&mut record, addr).await;
    bodies(&mut record, addr).await;
    for idp in issuers.bad.iter().chain([&issuers.good]) {
        record.secrets.extend(idp.private_keys());
    }
    let admin = operators::admin_address(&gateway);
    operators::calls(&mut record, admin).await;
    operators::reloads(&mut record, &gateway, &path).await;
    // After all that, the gateway serves as before.
    assert_eq!(record.get_with_host(addr, HOST).await, 200);
    operators::reads(&mut record, admin).await;
    let folder = builder.folder().to_owned();
    record.end(gateway, &folder).await;
    operators::commands(&mut record, &path, &folder).await;
    too_many(&mut record, &pbx, format).await;
    // Each bad issuer was bad in its own way.
    for words in [
        "not a JWK Set",
        "holds no key that verifies",
        "the answer is a redirect",
        "the answer has status 500",
        "error sending request",
    ] {
        assert!(record.logs.contains(words), "{words}");
    }
    record.add_pbx(&pbx);
    record.check();
}

async fn published_keys(record: &mut Record, addr: SocketAddr, issuers: &Issuers) {
    let mut token = |idp: &Idp| record.token(idp.jwt("alice"));
    let bad: Vec<String> = issuers.bad.iter().map(&mut token).collect();
    let good = token(&issuers.good);
    let get = |fields: &[(&str, &str)]| call(addr, Method::GET, RECORDING, fields);
    soon(async {
        let bearer = format!("Bearer {good}");
        while record.note(get(&[("authorization", &bearer)])).await != 200 {}
    })
    .await;
    for token in bad {
        let (bearer, cookie) = (format!("Bearer {token}"), format!("sso={token}"));
        let by_bearer = get(&[("authorization", &bearer)]);
        record.take(by_bearer, "503 keys-unavailable").await;
        let by_cookie = get(&[("cookie", &cookie), OURS]);
        record.take(by_cookie, "503 keys-unavailable").await;
    }
    issuers.good.rotate();
    let cookie = format!("sso={}", record.token(issuers.good.jwt("alice")));
    record.take(get(&[("cookie", &cookie), OURS]), "200").await;
    // Signed with the wrong key: by the provider for another issuer, and by another issuer for the
    // provider.
    let for_other = record.token(issuers.good.jwt_as("https://idp.test", "alice"));
    let by_other = record.token(jwt_of(&issuers.good.name(), "alice", serde_json::json!({})));
    for token in [for_other, by_other] {
        let bearer = format!("Bearer {token}");
        let call = get(&[("authorization", &bearer)]);
        record.take(call, "401 bearer-token-invalid").await;
        let cookie = format!("sso={token}");
        record
            .take(get(&[("cookie", &cookie), OURS]), "401 session-invalid")
            .await;
    }
}

/// The pages and redirects of a browser.
async fn people(record: &mut Record, addr: SocketAddr) {
    let (bearer, expired) = (record.bearer(), record.token(expired_jwt("alice")));
    let elsewhere = link_from(PBX, NAME, Some("203.0.113.7".parse().unwrap()));
    let (good, elsewhere) = (record.link(), record.token(elsewhere));
    let other = record.token(link(PBX, "another.wav"));
    let session = session(record, addr, &bearer).await;
    let (own, sso) = (
        format!("__Host-wavegate={session}"),
        format!("sso={bearer}"),
    );
    let old = format!("sso={expired}");
    let broken = format!("{}AAAA", &own[..own.len() - 4]);
    let twice = format!("{own}; {own}");
    let spoilt = format!("Bearer {}AAAA", &bearer[..bearer.len() - 4]);
    let query = |name: &str, value: &str| format!("{RECORDING}?{name}={value}");
    let rows = [
        (query("state", &bearer), vec![], "302"),
        (format!("/recordings?caller={bearer}"), vec![], "302"),
        (query("state", &bearer), vec![("cookie", &*old)], "302"),
        (query("access_token", &bearer), vec![], "401 page"),
        (query("link", &elsewhere), vec![], "401 page"),
        (query("link", &other), vec![], "403 page"),
        (query("link", &bearer), vec![], "401 page"),
        (format!("/nowhere/{bearer}?link={good}"), vec![], "404 page"),
        (
            RECORDING.to_owned(),
            vec![("authorization", &*spoilt)],
            "401 page",
        ),
        (RECORDING.to_owned(), vec![("cookie", &*broken)], "401 page"),
        (RECORDING.to_owned(), vec![("cookie", &*twice)], "401 page"),
        (RECORDING.to_owned(), vec![("cookie", &*own)], "200"),
        (RECORDING.to_owned(), vec![("cookie", &*sso)], "200"),
        (format!("/recordings?link={good}"), vec![], "403 page"),
        (
            format!("/recordings?{bearer}=1"),
            vec![("cookie", &*sso)],
            "400 page",
        ),
    ];
    for (target, mut fields, expected) in rows {
        fields.extend([PAGE, ("sec-fetch-site", "none"), ("referer", &*target)]);
        let get = call(addr, Method::GET, &target, &fields);
        record.take(get, expected).await;
        for purpose in ["prefetch", "prefetch;prerender"] {
            fields.push(("sec-purpose", purpose));
            let call = call(addr, Method::GET, &target, &fields);
            let ahead = match expected {
                "404 page" => expected,
                _ => "403 page",
            };
            record.take(call, ahead).await;
            fields.pop();
        }
        let head = call(addr, Method::HEAD, &target, &fields);
        record.note(head).await;
        // The answers to a player or a script.
        fields.retain(|field| *field != PAGE);
        fields.push(("sec-fetch-mode", "no-cors"));
        record.note(call(addr, Method::GET, &target, &fields)).await;
    }
    let cookies = [("cookie", &*broken), ("cookie", &*twice), ("cookie", &*own)];
    for cookie in cookies {
        let out = call(addr, Method::DELETE, "/session", &[cookie, OURS]);
        record.take(out, "204").await;
    }
}

/// A session's value. The one answer that must contain it is not recorded.
async fn session(record: &mut Record, addr: SocketAddr, bearer: &str) -> String {
    let opened = call(addr, Method::POST, "/session", &[]).bearer(bearer);
    let opened = opened.send().await;
    let cookie = opened.headers().get_all("set-cookie").iter().next_back();
    let cookie = cookie.unwrap().to_str().unwrap().split(';').next().unwrap();
    let (_, value) = cookie.split_once('=').unwrap();
    record.token(value.to_owned())
}

/// Preflights, scripts of other origins, and requests that other sites cause.
async fn other_sites(record: &mut Record, addr: SocketAddr) {
    let (bearer, link) = (record.bearer(), record.link());
    let own = format!("__Host-wavegate={}", session(record, addr, &bearer).await);
    let sso = format!("sso={bearer}");
    let marked = format!("https://{}.test", &bearer[..40]);
    record.secrets.push(marked.clone());
    let target = format!("{RECORDING}?link={link}");
    for origin in [CRM, &*marked, "null", &*bearer] {
        let authorization = format!("Bearer {bearer}");
        let asks = [
            ("origin", origin),
            ("access-control-request-method", "GET"),
            ("access-control-request-headers", &*bearer),
            ("authorization", &*authorization),
            ("cookie", &*own),
        ];
        for target in [&*target, RECORDING, "/links", "/session", "/nowhere"] {
            let preflight = call(addr, Method::OPTIONS, target, &asks);
            record.take(preflight, "204").await;
        }
        let read = call(addr, Method::GET, &target, &[("origin", origin)]);
        record.take(read, "200").await;
        for cookie in [&own, &sso] {
            let fields = [
                ("origin", origin),
                ("cookie", cookie),
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-mode", "cors"),
            ];
            for (method, target) in [(Method::GET, RECORDING), (Method::POST, "/links")] {
                let expected = match (origin == CRM, &method) {
                    (false, _) => "403 cross-site-refused",
                    (true, &Method::GET) => "200",
                    (true, _) => "400 request-body-invalid",
                };
                let call = call(addr, method, target, &fields).json("{}");
                record.take(call, expected).await;
            }
        }
    }
}

/// Bodies that are not valid requests for a link, with every kind of credential.
async fn bodies(record: &mut Record, addr: SocketAddr) {
    let (bearer, link, mark) = (record.bearer(), record.link(), MARKS[3]);
    let own = format!("__Host-wavegate={}", session(record, addr, &bearer).await);
    let authorization = format!("Bearer {bearer}");
    let long = format!("{{\"recording\":\"{}\"}}", mark.repeat(300));
    let bodies = [
        (format!("\"{bearer}\""), "400 request-body-invalid"),
        (format!("{{\"{bearer}\":1}}"), "400 request-body-invalid"),
        (
            format!("{{\"{mark}\":\"{mark}\"}}"),
            "400 request-body-invalid",
        ),
        (
            format!("{{\"recording\":\"{mark}/\"}}"),
            "400 request-body-invalid",
        ),
        (
            format!("{{\"recording\":{{\"{mark}\":1}}}}"),
            "400 request-body-invalid",
        ),
        (
            format!("{{\"recording\":\"{NAME}\",\"pbx\":\"{mark}\"}}"),
            "400 request-body-invalid",
        ),
        (
            format!("{{\"recording\":\"{NAME}\",\"ip\":\"{link}\"}}"),
            "400 request-body-invalid",
        ),
        (
            format!("{{\"recording\":\"{NAME}\",\"ttl_s\":\"{mark}\"}}"),
            "400 request-body-invalid",
        ),
        (
            format!("{{\"recording\":\"{NAME}\",\"x\":\"{mark}"),
            "400 request-body-invalid",
        ),
        (long, "413 request-too-large"),
    ];
    let by_cookie = [("cookie", &*own), ("origin", ORIGIN)];
    for fields in [&[("authorization", &*authorization)][..], &by_cookie] {
        for (body, expected) in &bodies {
            let wish = call(addr, Method::POST, "/links", fields);
            record.take(wish.json(body), expected).await;
            let wish = call(addr, Method::POST, "/links", fields);
            record.take(wish.body(body), "415 json-required").await;
        }
    }
    // A body is ignored where none is expected.
    for (body, _) in &bodies[..9] {
        let begin = call(addr, Method::POST, "/session", &by_cookie).json(body);
        record.take(begin, "403 bearer-token-required").await;
    }
    let target = format!("/links?link={link}");
    let wish = call(addr, Method::POST, &target, &[]).json(&bodies[0].0);
    record.take(wish, "403 link-cannot-share").await;
}

/// Callers that exceed each of the three rates.
async fn too_many(record: &mut Record, pbx: &Simulator, format: &str) {
    let (per_person, per_address, failures) = (
        "principal_requests_per_second = 1\nprincipal_burst = 1",
        "address_requests_per_second = 1\naddress_burst = 1",
        "address_failures_per_minute = 1",
    );
    for limits in [per_person, per_address, failures] {
        let builder = start(pbx, format).limits().lines("[limits]", limits);
        let (gateway, addr) = serve(&builder.write()).await;
        let bearer = record.bearer();
        let spoilt = format!("{}AAAA", &bearer[..bearer.len() - 4]);
        let token = if limits == failures { spoilt } else { bearer };
        let (authorization, cookie) = (format!("Bearer {token}"), format!("sso={token}"));
        for (field, expected) in [
            (("authorization", &*authorization), "429 rate-limited"),
            (("cookie", &*cookie), "429 rate-limited"),
            (("cookie", &*cookie), "429 page"),
        ] {
            let mut fields = vec![field, OURS];
            fields.extend((expected == "429 page").then_some(PAGE));
            let target = format!("{RECORDING}?state={token}");
            let get = || call(addr, Method::GET, &target, &fields);
            soon(async { while record.told(get()).await != expected {} }).await;
        }
        record.end(gateway, builder.folder()).await;
    }
}

#[tokio::test]
async fn no_secret_of_browsers_issuers_and_operators_is_seen_in_json() {
    drive("json").await;
}

#[tokio::test]
async fn no_secret_of_browsers_issuers_and_operators_is_seen_in_text() {
    drive("text").await;
}

/// The path of a file beside the configuration.
pub(super) fn beside(config: &Path, name: &str) -> std::path::PathBuf {
    config.with_file_name(name)
}

/// A further token, of another subject.
pub(super) fn another(record: &mut Record) -> String {
    record.token(jwt("carol"))
}

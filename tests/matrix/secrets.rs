//! No secret leaves the gateway: not in a log line, not in an answer, not in a file.
//!
//! The real program runs at level trace while the tests cause every failure. Then they search for
//! secrets in several spellings: those that the test made up, and every token and ticket that the
//! PBX ever issued.

mod browsers;
mod operators;
mod record;

use std::net::SocketAddr;

use http::Method;
use wavegate::app::GatewayParts;
use wavegate::simulator::{Api, CallKind, Misbehavior, ScriptedFault, Simulator, Switch, wav};

use crate::harness::programs::{Running, serve};
use crate::harness::session::SESSION_SECRET;
use crate::harness::{
    BEARER_SECRET, Builder, Call, LINK_SECRET, NAME, PBX, expired_jwt, gateway, write_secret,
};
use record::{Record, Search, spellings};

const WRONG_PASSWORD: &str = "marked-and-wrong-password";

/// A gateway that logs all it can, and has short limits.
fn talkative(pbx: &Simulator, format: &str) -> Builder {
    gateway(pbx)
        .audit()
        .set("log.level", "trace")
        .set("log.format", format)
        .set("server.header_timeout_ms", 200)
        .set("pbx.retry_delay_ms", 0)
        .set("pbx.idle_timeout_ms", 200)
        .set("pbx.login_retry_s", 1)
}

async fn pbx(api: Api, switches: &[Switch]) -> Simulator {
    let mut pbx = Simulator::builder(api).recording(NAME, wav::music(3));
    for switch in switches {
        pbx = pbx.switch(*switch);
    }
    pbx.start().await.unwrap()
}

/// Every invalid answer of a PBX.
fn replaced_answers(api: Api) -> Vec<Misbehavior> {
    let errnos: &[&str] = match api {
        Api::PSeries => &[
            "10001", "10004", "10005", "60001", "60002", "70004", "70087", "70123", "40002", "-1",
            "-2", "1", "99999",
        ],
        _ => &[
            "20002", "20003", "20004", "20006", "20010", "20012", "20013", "20014", "10003",
            "99999",
        ],
    };
    let errnos = errnos.iter().map(|errno| (*errno).to_owned());
    let mut all: Vec<_> = errnos.map(Misbehavior::Errno).collect();
    all.extend([302, 403, 404, 500, 503].map(Misbehavior::Status));
    all.extend([
        Misbehavior::Html { status: 200 },
        Misbehavior::Html { status: 503 },
        Misbehavior::WrongJson,
        Misbehavior::NotJsonGarbage,
        Misbehavior::HugeJson,
        Misbehavior::CloseBeforeAnswer,
    ]);
    all
}

/// Reloads the gateway, so that it forgets refusals and early deaths and the next fault is reached.
async fn forget(gateway: &Running) {
    let reloads = |log: &str| log.matches("the configuration was read again").count();
    let before = reloads(&gateway.err.text());
    gateway.signal("HUP");
    gateway.err.until(|log| reloads(log) > before).await;
}

async fn pbx_at_fault(record: &mut Record, format: &str, api: Api) {
    let pbx = pbx(api, &[]).await;
    let builder = talkative(&pbx, format);
    let (gateway, addr) = serve(&builder.write()).await;
    assert_eq!(record.get_recording(addr).await, 200);
    for operation in [CallKind::Login, CallKind::GetRandom, CallKind::Download] {
        for what in replaced_answers(api) {
            if operation == CallKind::Login {
                // Where tokens are exchanged, the exchange must fail, too.
                pbx.expire_tokens();
                pbx.inject(ScriptedFault::once(CallKind::Refresh, what.clone()));
            }
            // More often than the gateway retries.
            pbx.inject(ScriptedFault::times(9, operation, what.clone()));
            let status = record.get_recording(addr).await;
            // A download may still succeed by its one retry, the other calls never.
            assert_ne!(status, 200, "{operation} {what}");
            pbx.clear_faults();
            forget(&gateway).await;
            if operation == CallKind::Login {
                // Four failures in a row would prevent the next try.
                assert_eq!(record.get_recording(addr).await, 200, "after {what}");
            }
        }
    }
    lists_at_fault(record, &pbx, &gateway, addr).await;
    let endings = [
        Misbehavior::Cut {
            after_bytes: 9_000,
            with_length: true,
        },
        Misbehavior::Cut {
            after_bytes: 9_000,
            with_length: false,
        },
        Misbehavior::Reset { after_bytes: 9_000 },
        Misbehavior::Stall { after_bytes: 9_000 },
        Misbehavior::NoCloseNotify,
        Misbehavior::DeadTokenAfterTicket,
    ];
    for what in endings {
        pbx.inject(ScriptedFault::once(CallKind::Download, what));
        // A recording that breaks at once may leave only a closed connection, so there is no answer
        // to check.
        let token = record.bearer();
        let request = format!(
            "GET /recordings/{NAME} HTTP/1.1\r\nhost: {addr}\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n"
        );
        record.send_raw(addr, request.as_bytes()).await;
    }
    pbx.expire_tokens();
    assert_eq!(record.get_recording(addr).await, 200);
    record.end(gateway, builder.folder()).await;
    record.add_pbx(&pbx);
}

/// Makes each call that a list needs fail in every way.
async fn lists_at_fault(record: &mut Record, pbx: &Simulator, gateway: &Running, addr: SocketAddr) {
    assert_eq!(record.get_list(addr).await, 200);
    let operations: &[CallKind] = match pbx.api() {
        Api::PSeries => &[CallKind::List],
        _ => &[CallKind::CdrRandom, CallKind::CdrDownload],
    };
    let mut endings = vec![
        Misbehavior::Cut {
            after_bytes: 100,
            with_length: true,
        },
        Misbehavior::Reset { after_bytes: 100 },
        Misbehavior::Stall { after_bytes: 100 },
        Misbehavior::NoCloseNotify,
        Misbehavior::DeadTokenAfterTicket,
    ];
    endings.extend(replaced_answers(pbx.api()));
    for operation in operations {
        for what in &endings {
            pbx.inject(ScriptedFault::once(*operation, what.clone()));
            record.get_list(addr).await;
            pbx.clear_faults();
            forget(gateway).await;
        }
    }
}

/// PBXs that cannot be used at all, each for another reason.
async fn no_pbx(record: &mut Record, format: &str) {
    let good = pbx(Api::SSeries200, &[]).await;
    let redirecting = pbx(Api::SSeries200, &[Switch::RedirectFromPort80]).await;
    let elsewhere = pbx(Api::PSeries, &[Switch::ResourceUrlElsewhere]).await;
    let backslash = pbx(Api::PSeries, &[Switch::ResourceUrlBackslash]).await;
    let gone = pbx(Api::SSeries200, &[]).await;
    let rows = [
        talkative(&good, format).password(WRONG_PASSWORD),
        talkative(&good, format).without_pin(),
        talkative(&redirecting, format),
        talkative(&elsewhere, format),
        talkative(&backslash, format),
        talkative(&gone, format),
    ];
    record.secrets.push(WRONG_PASSWORD.to_owned());
    record.add_pbx(&gone);
    gone.stop().await;
    for builder in rows {
        let (gateway, addr) = serve(&builder.write()).await;
        for _ in 0..3 {
            assert!(record.get_recording(addr).await >= 500);
        }
        record.end(gateway, builder.folder()).await;
    }
    for pbx in [good, redirecting, elsewhere, backslash] {
        record.add_pbx(&pbx);
    }
}

async fn callers_at_fault(record: &mut Record, format: &str) {
    let pbx = pbx(Api::SSeries200, &[]).await;
    let host = "recordings.test";
    let builder = talkative(&pbx, format)
        .set("server.public_url", format!("https://{host}"))
        .set("links.signing_key", "crm")
        .set("auth.cookie", "sso")
        .set("session.key_file", "session");
    write_secret(&builder.folder().join("session"), SESSION_SECRET);
    let (gateway, addr) = serve(&builder.write()).await;
    cookies_and_wishes(record, addr, host).await;
    let (bearer, link, other) = (record.bearer(), record.link(), record.link());
    let expired = record.token(expired_jwt("alice"));
    let for_another = record.token(crate::harness::link(PBX, "another.wav"));
    let tampered = format!("{}AAAA", &bearer[..bearer.len() - 4]);
    let good = format!("/recordings/{NAME}");
    let long = "x".repeat(9_000);
    let targets = [
        format!("{good}?link={link}"),
        format!("{good}?link={for_another}"),
        format!("{good}?link={bearer}"),
        format!("{good}?link={link}&link={other}"),
        format!("{good}?link={link}{long}"),
        format!("{good}?access_token={bearer}"),
        format!("{good}?token={bearer}&download=1"),
        format!("/recordings/{bearer}"),
        format!("/recordings/{bearer}%2f.."),
        format!("/pbx/{bearer}/recordings/{NAME}"),
        format!("/nowhere?link={link}"),
        format!("/{link}"),
        format!("/livez?access_token={bearer}"),
        format!("/recordings?link={link}"),
        format!("/recordings?link={bearer}"),
        format!("/recordings?{bearer}=1"),
        format!("/recordings?caller={bearer}&caller={bearer}"),
        format!("/pbx/{PBX}/recordings?from=2026-01-01&to=2026-06-01&cursor={bearer}"),
    ];
    let headers = [
        ("accept", "*/*".to_owned()),
        ("authorization", format!("Bearer {tampered}")),
        ("authorization", format!("Bearer {expired}")),
        ("authorization", format!("Bearer {link}")),
        ("authorization", format!("Bearer {bearer} {bearer}")),
        ("authorization", format!("Basic {bearer}")),
        ("authorization", bearer.clone()),
        ("cookie", format!("session={bearer}")),
        ("x-request-id", bearer.clone()),
        ("x-forwarded-for", bearer.clone()),
        ("referer", format!("https://crm.test/?link={link}")),
        ("user-agent", link.clone()),
        ("range", bearer.clone()),
    ];
    for method in ["GET", "HEAD", "POST", &bearer.replace('.', "")] {
        let method = method.parse::<Method>().unwrap();
        for target in &targets {
            let call = Call::new(addr, method.clone(), target).header("host", host);
            record.note(call).await;
        }
        for (name, value) in &headers {
            let call = Call::new(addr, method.clone(), &good).header("host", host);
            record.note(call.header(name, value)).await;
        }
    }
    let elsewhere = Call::new(addr, Method::GET, &targets[0]);
    assert_eq!(
        record
            .note(elsewhere.header("host", &format!("{}.test", &bearer[..60])))
            .await,
        421
    );

    let head = format!("GET {good}?link={link} HTTP/1.1\r\nhost: {host}\r\n");
    let raw = [
        // Too large, incomplete, and not HTTP.
        format!("{head}x-large: {}\r\n\r\n", bearer.repeat(80)),
        format!(
            "GET {good}?link={} HTTP/1.1\r\nhost: {host}\r\n\r\n",
            link.repeat(80)
        ),
        format!("{head}authorization: Bearer {bearer}"),
        format!("{head}content-length: {bearer}\r\n\r\n"),
        format!("{head}authorization Bearer {bearer}\r\n\r\n"),
        format!("GET {good}?link={link} HTTP/9.9\r\n\r\n"),
        format!("{bearer}\r\n\r\n"),
        format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{bearer}"),
        format!("GET {good}?link={link} HTTP/1.0\r\nhost: {host}\r\n\r\n"),
    ];
    for bytes in raw {
        record.send_raw(addr, bytes.as_bytes()).await;
    }
    record.end(gateway, builder.folder()).await;
    for kind in ["bearer", "link", "session", "sso"] {
        let (json, text) = (
            format!("\"credential\":\"{kind}\""),
            format!("credential=\"{kind}\""),
        );
        assert!(record.logs.contains(&json) || record.logs.contains(&text));
    }
    record.add_pbx(&pbx);
}

/// Opens, uses and is refused sessions and links.
async fn cookies_and_wishes(record: &mut Record, addr: SocketAddr, host: &str) {
    let call = |method, target: &str| Call::new(addr, method, target).header("host", host);
    let (bearer, link) = (record.bearer(), record.link());
    let (recording, wish) = (
        format!("/recordings/{NAME}"),
        format!("{{\"recording\":\"{NAME}\"}}"),
    );
    // The two answers that must contain a secret.
    let opened = call(Method::POST, "/session").bearer(&bearer).send().await;
    let cookie = opened.headers().get_all("set-cookie").iter().next_back();
    let cookie = cookie.unwrap().to_str().unwrap().split(';').next().unwrap();
    let (name, session) = cookie.split_once('=').unwrap();
    let session = record.token(session.to_owned());
    let made = call(Method::POST, "/links").bearer(&bearer).json(&wish);
    let made = made.send().await.bytes().await.unwrap();
    let made: serde_json::Value = serde_json::from_slice(&made).unwrap();
    let (_, made) = made["url"].as_str().unwrap().split_once("link=").unwrap();
    let made = record.token(made.to_owned());

    let cookies = [
        cookie.to_owned(),
        format!("{name}={bearer}"),
        format!("{name}={session}x"),
        format!("{cookie}; {cookie}"),
        format!("sso={bearer}"),
        format!("sso={session}"),
        format!("sso={link}"),
        format!("{session}={bearer}"),
    ];
    let targets = [
        (Method::GET, &*recording),
        (Method::POST, "/links"),
        (Method::POST, "/session"),
        (Method::GET, "/session"),
    ];
    for (method, target) in targets {
        for cookie in &cookies {
            for site in ["same-origin", "cross-site"] {
                let call = call(method.clone(), target).header("cookie", cookie);
                let call = call.header("sec-fetch-site", site).json("{}");
                record.note(call.header("origin", &bearer)).await;
            }
        }
    }
    for body in [
        format!("{{\"{bearer}\":1}}"),
        format!("{{\"recording\":\"{link}/\"}}"),
        format!("{{\"recording\":\"a\",\"ip\":\"{bearer}\"}}"),
        format!("{{\"recording\":\"a\",\"pbx\":\"{bearer}\"}}"),
        bearer.clone(),
    ] {
        let call = call(Method::POST, "/links").bearer(&bearer);
        record.note(call.json(&body)).await;
    }
    for target in [
        format!("{recording}?link={made}"),
        format!("{recording}?link={session}"),
        format!("/links?link={made}"),
        format!("/session?link={made}"),
    ] {
        for method in [Method::GET, Method::POST] {
            record.note(call(method, &target).json(&wish)).await;
        }
    }
}

async fn drive(format: &str) {
    let mut record = Record::default();
    for secret in [BEARER_SECRET, LINK_SECRET, SESSION_SECRET] {
        record.secrets.push(secret.to_owned());
    }
    for api in [Api::SSeries200, Api::Cloud110, Api::PSeries] {
        pbx_at_fault(&mut record, format, api).await;
    }
    no_pbx(&mut record, format).await;
    callers_at_fault(&mut record, format).await;
    assert!(record.logs.contains("TRACE") || record.logs.contains("DEBUG"));
    record.check();
}

#[tokio::test]
async fn no_secret_is_seen_with_a_log_in_json() {
    drive("json").await;
}

#[tokio::test]
async fn no_secret_is_seen_with_a_log_in_text() {
    drive("text").await;
}

#[tokio::test]
async fn the_configuration_shows_no_secret_when_it_is_printed() {
    let pbx = pbx(Api::SSeries200, &[]).await;
    let builder = gateway(&pbx)
        .set("links.signing_key", "crm")
        .set("session.key_file", "session");
    write_secret(&builder.folder().join("session"), SESSION_SECRET);
    let config = GatewayParts::load(&builder.write()).unwrap();
    let keys = [BEARER_SECRET, LINK_SECRET, SESSION_SECRET];
    let secrets = [[pbx.password(), pbx.username()].as_slice(), &keys].concat();
    let secrets: Vec<_> = secrets.into_iter().map(str::to_owned).collect();
    for text in [format!("{config:?}"), format!("{config:#?}")] {
        assert!(Search::new(&secrets).found(&text).is_empty(), "{text}");
        assert!(!Search::new(&[PBX.to_owned()]).found(&text).is_empty());
    }
}

#[test]
fn a_secret_is_found_in_every_spelling() {
    // Two secrets with the same beginning, and a short one.
    let secrets = ["a-marked-secret", "a-marked-other", "short"].map(str::to_owned);
    let search = Search::new(&secrets);
    for secret in &secrets {
        for spelling in spellings(secret) {
            for text in [
                format!("before {spelling} after"),
                format!("a-marked-a-mark{spelling}"),
                spelling.clone(),
            ] {
                assert_eq!(search.found(&text), [secret.as_str()].into(), "{text}");
            }
        }
    }
    let both = search.found("a-marked-other,a-marked-secret");
    assert_eq!(both.len(), 2);
    assert!(search.found("nothing").is_empty() && search.found("").is_empty());
}

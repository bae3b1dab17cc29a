//! Issuers that publish their keys: fetched, kept fresh, and kept through an outage.

mod told;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, StatusCode};
use tokio::task::JoinSet;
use tokio::time::sleep;
use wavegate::config::Problems;
use wavegate::simulator::{Api, Simulator, wav};

use crate::harness::admin::{ask, number};
use crate::harness::idp::{Idp, Mood};
use crate::harness::{Answer, Gateway, NAME, gateway, jwt, soon};

async fn pbx() -> Simulator {
    let builder = Simulator::builder(Api::SSeries200).recording(NAME, wav::music(1));
    builder.start().await.unwrap()
}

/// A gateway that also accepts tokens of this provider.
async fn with(pbx: &Simulator, idp: &Idp, lines: &str) -> Gateway {
    let builder = gateway(pbx).cache();
    let lines = idp.lines(builder.folder(), lines);
    builder.lines("[[auth.issuer]]", &lines).start().await
}

fn keys_url(idp: &Idp, lines: &str) -> String {
    format!("jwks_url = \"{}/keys\"\n{lines}", idp.name())
}

async fn get(gateway: &Gateway, token: &str) -> Answer {
    gateway.get(NAME).bearer(token).send().await
}

/// Waits until the gateway has keys of all issuers.
async fn until_ready(gateway: &Gateway) {
    let addr = gateway.app.admin_address();
    soon(async {
        loop {
            let answer = ask(addr, Method::GET, "/readyz", &[]).await.unwrap();
            if answer.status == StatusCode::OK {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn keys_come_from_a_url_and_from_where_discovery_says() {
    let pbx = pbx().await;
    for discovers in [false, true] {
        let idp = Idp::start().await;
        let lines = match discovers {
            false => keys_url(&idp, ""),
            true => format!(
                "discovery_url = \"{}/.well-known/openid-configuration\"",
                idp.name()
            ),
        };
        let gateway = with(&pbx, &idp, &lines).await;
        until_ready(&gateway).await;
        assert_eq!(
            get(&gateway, &idp.jwt("alice")).await.status(),
            StatusCode::OK
        );
        // Tokens of the other issuer, whose key is in a file, are valid as before.
        assert_eq!(get(&gateway, &jwt("alice")).await.status(), StatusCode::OK);
        assert_eq!(idp.asked(), 1);
    }
}

#[tokio::test]
async fn keys_rotate_under_load_and_nobody_is_refused() {
    let (pbx, idp) = (pbx().await, Arc::new(Idp::start().await));
    let gateway = Arc::new(with(&pbx, &idp, &keys_url(&idp, "jwks_min_interval_s = 1")).await);
    until_ready(&gateway).await;
    let began = Instant::now();
    let done = Arc::new(AtomicBool::new(false));
    let mut callers = JoinSet::new();
    for caller in 0..8 {
        let (gateway, idp, done) = (Arc::clone(&gateway), Arc::clone(&idp), Arc::clone(&done));
        callers.spawn(async move {
            let mut asked = 0;
            while !done.load(Relaxed) {
                let answer = get(&gateway, &idp.jwt(&format!("caller-{caller}"))).await;
                assert_eq!(answer.status(), StatusCode::OK);
                asked += 1;
            }
            asked
        });
    }
    for rotation in 1..=3 {
        idp.rotate();
        soon(idp.until_asked(1 + rotation)).await;
        // The minimum interval between two fetches has to pass.
        sleep(Duration::from_millis(1_100)).await;
    }
    done.store(true, Relaxed);
    let asked: Vec<u32> = callers.join_all().await;
    assert!(asked.iter().all(|asked| *asked > 10), "{asked:?}");
    // After the first fetch, at most one fetch per interval. A slow machine has more intervals.
    let intervals = began.elapsed().as_secs() + 1;
    assert!(
        idp.asked() <= 1 + intervals,
        "{} in {intervals}",
        idp.asked()
    );
}

#[tokio::test]
async fn a_key_that_is_newer_than_the_fetch_under_way_is_fetched() {
    let (pbx, idp) = (pbx().await, Idp::start().await);
    let lines = keys_url(&idp, "jwks_refresh_s = 1\njwks_min_interval_s = 3600");
    let gateway = with(&pbx, &idp, &lines).await;
    until_ready(&gateway).await;
    let old = idp.jwt("alice");
    idp.hold();
    // This is the regular refresh, which no request caused.
    soon(idp.until_asked(idp.asked() + 1)).await;
    idp.rotate();
    let mut callers = JoinSet::new();
    for caller in 0..8 {
        let call = gateway
            .get(NAME)
            .bearer(&idp.jwt(&format!("caller-{caller}")));
        callers.spawn(async move { call.send().await.status() });
    }
    // Requests sent after them are answered, so they are waiting by now.
    for _ in 0..8 {
        assert_eq!(get(&gateway, &old).await.status(), StatusCode::OK);
    }
    idp.release();
    for status in soon(callers.join_all()).await {
        assert_eq!(status, StatusCode::OK);
    }
}

#[tokio::test]
async fn made_up_key_ids_cost_one_request_per_interval() {
    let (pbx, idp, other) = (pbx().await, Idp::start().await, Idp::start().await);
    let gateway = with(&pbx, &idp, &keys_url(&idp, "jwks_min_interval_s = 3600")).await;
    until_ready(&gateway).await;
    let gateway = Arc::new(gateway);
    let mut callers = JoinSet::new();
    // The claims name this issuer, but the key is not its own.
    for caller in 0..50 {
        let gateway = Arc::clone(&gateway);
        let token = forged(&idp, &other, caller);
        callers.spawn(async move { get(&gateway, &token).await.problem().await });
    }
    for problem in callers.join_all().await {
        assert_eq!(problem.slug, "bearer-token-invalid");
    }
    assert_eq!(idp.asked(), 2);
    assert_eq!(pbx.seen().tickets_issued, 0);
    assert_eq!(
        get(&gateway, &idp.jwt("alice")).await.status(),
        StatusCode::OK
    );
}

/// A token that names an issuer but is signed by another one, with a key id that the first never
/// had.
fn forged(idp: &Idp, other: &Idp, caller: u32) -> String {
    for _ in 0..=caller % 3 {
        other.rotate();
    }
    other.rotate();
    other.rotate();
    other.jwt_as(&idp.name(), "mallory")
}

#[tokio::test]
async fn known_keys_work_while_the_issuer_is_down() {
    let (pbx, idp) = (pbx().await, Idp::start().await);
    let lines = keys_url(&idp, "jwks_refresh_s = 1\njwks_min_interval_s = 1");
    let gateway = with(&pbx, &idp, &lines).await;
    until_ready(&gateway).await;
    let token = idp.jwt("alice");
    for mood in [
        Mood::Down,
        Mood::Says(500, "", Bytes::new()),
        Mood::Says(200, "", Bytes::from_static(b"<html>maintenance</html>")),
        Mood::Says(200, "", Bytes::from_static(b"{\"keys\":[]}")),
        Mood::Says(302, "https://elsewhere.example/keys", Bytes::new()),
        Mood::Says(200, "", Bytes::from(vec![b' '; 300_000])),
    ] {
        idp.be(mood.clone());
        let before = idp.asked();
        soon(idp.until_asked(before + 2)).await;
        let answer = get(&gateway, &token).await;
        assert_eq!(answer.status(), StatusCode::OK, "{mood:?}");
        // A new subject is accepted, too: the known keys still verify tokens.
        assert_eq!(
            get(&gateway, &idp.jwt("bob")).await.status(),
            StatusCode::OK
        );
    }
    let age = format!(
        "wavegate_issuer_keys_age_seconds{{issuer=\"{}\"}}",
        idp.name()
    );
    let addr = gateway.app.admin_address();
    assert!(number(addr, &age).await >= 1);
    // A reload keeps the keys, also where another setting of the issuer has changed.
    gateway.reload().unwrap();
    assert_eq!(get(&gateway, &token).await.status(), StatusCode::OK);
    let path = gateway.folder().join("wavegate.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let text = text.replace("jwks_refresh_s = 1\n", "jwks_refresh_s = 2\n");
    std::fs::write(&path, text).unwrap();
    gateway.reload().unwrap();
    assert_eq!(get(&gateway, &token).await.status(), StatusCode::OK);
    idp.be(Mood::Well);
    idp.withdraw();
    soon(async { while get(&gateway, &token).await.status() != StatusCode::UNAUTHORIZED {} }).await;
    assert_eq!(
        get(&gateway, &idp.jwt("alice")).await.status(),
        StatusCode::OK
    );
}

#[tokio::test]
async fn without_any_key_tokens_get_503_until_the_issuer_answers() {
    let (pbx, idp) = (pbx().await, Idp::start().await);
    idp.be(Mood::Down);
    let gateway = with(&pbx, &idp, &keys_url(&idp, "jwks_min_interval_s = 1")).await;
    let token = idp.jwt("alice");
    let answer = get(&gateway, &token).await;
    assert!(answer.header("retry-after").is_some());
    assert_eq!(answer.header("www-authenticate"), None);
    let problem = answer.problem().await;
    assert_eq!(
        (&*problem.slug, problem.status.as_u16()),
        ("keys-unavailable", 503)
    );
    let ready = ask(gateway.app.admin_address(), Method::GET, "/readyz", &[]).await;
    assert_eq!(ready.unwrap().status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(pbx.seen().tickets_issued, 0);
    // Tokens of the other issuer are accepted meanwhile.
    assert_eq!(get(&gateway, &jwt("alice")).await.status(), StatusCode::OK);

    idp.be(Mood::Well);
    soon(async { while get(&gateway, &token).await.status() != StatusCode::OK {} }).await;
}

#[tokio::test]
async fn a_document_of_another_issuer_gives_no_keys() {
    let (pbx, idp) = (pbx().await, Idp::start().await);
    idp.rename("https://sso.example");
    let lines = format!(
        "discovery_url = \"{}/.well-known/openid-configuration\"\njwks_min_interval_s = 1",
        idp.name()
    );
    let gateway = with(&pbx, &idp, &lines).await;
    // The gateway has asked for the document again, so it did not accept the first one.
    soon(idp.until_asked_where(2)).await;
    let problem = get(&gateway, &idp.jwt("alice")).await.problem().await;
    assert_eq!(problem.slug, "keys-unavailable");
    assert_eq!(idp.asked(), 0);
    // Only the name in the document was wrong.
    idp.rename(&idp.name());
    until_ready(&gateway).await;
    let answer = get(&gateway, &idp.jwt("alice")).await;
    assert_eq!(answer.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_key_set_file_is_read_again_for_an_unknown_key() {
    let (pbx, idp) = (pbx().await, Idp::start().await);
    let builder = gateway(&pbx).cache();
    let path = builder.folder().join("keys.json");
    std::fs::write(&path, idp.set()).unwrap();
    let lines = "jwks_file = \"keys.json\"\njwks_min_interval_s = 1";
    let name = idp.name();
    let lines = format!("name = \"{name}\"\naudiences = [\"recordings\"]\n{lines}");
    let gateway = builder.lines("[[auth.issuer]]", &lines).start().await;
    assert_eq!(
        get(&gateway, &idp.jwt("alice")).await.status(),
        StatusCode::OK
    );
    idp.rotate();
    std::fs::write(&path, idp.set()).unwrap();
    assert_eq!(
        get(&gateway, &idp.jwt("alice")).await.status(),
        StatusCode::OK
    );
    assert_eq!(idp.asked(), 0);
}

#[tokio::test]
async fn mistakes_about_published_keys_are_reported() {
    let pbx = pbx().await;
    let check = |lines: &str, expected: &[(&str, &str)]| {
        let builder = gateway(&pbx);
        std::fs::write(builder.folder().join("empty.json"), r#"{"keys":[]}"#).unwrap();
        let lines = format!("name = \"https://sso.example\"\naudiences = [\"a\"]\n{lines}");
        let builder = builder.lines("[[auth.issuer]]", &lines);
        let path = builder.write();
        let problems: Problems = wavegate::app::GatewayParts::load(&path).unwrap_err();
        let text = problems.to_string();
        for (key, words) in expected {
            let line = text.lines().find(|line| line.contains(key));
            assert!(line.is_some_and(|line| line.contains(words)), "{text}");
        }
    };
    check("", &[("issuer[1].key", "jwks_url")]);
    check(
        "jwks_url = \"http://sso.example/k\"",
        &[("jwks_url", "not https")],
    );
    check(
        "jwks_url = \"https://u:p@sso.example/k\"",
        &[("jwks_url", "user name")],
    );
    check(
        "jwks_url = \"https://a.example\"\ndiscovery_url = \"https://a.example\"",
        &[("jwks_url", "not two")],
    );
    check("jwks_file = \"none.json\"", &[("jwks_file", "none.json")]);
    check("jwks_file = \"empty.json\"", &[("jwks_file", "no key")]);
    check(
        "jwks_url = \"https://a.example\"\nalgorithms = [\"HS256\"]",
        &[("algorithms", "no public keys")],
    );
    check(
        "jwks_url = \"https://a.example\"\nalgorithms = [\"none\"]",
        &[("algorithms", "not one of")],
    );
}

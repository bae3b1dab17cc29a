//! The metrics: the numbers are right, a monitor can read them, and they reveal nothing about
//! callers.

use std::sync::Arc;

use http::{Method, StatusCode};
use wavegate::simulator::{Api, CallKind, Misbehavior, ScriptedFault, Simulator, wav};

use crate::harness::idp::Idp;
use crate::harness::metrics::Numbers;
use crate::harness::tls::Identity;
use crate::harness::{NAME, PBX, expired_jwt, gateway, jwt, link, soon};

const PAGE: &str = include_str!("../../docs/metrics.md");
const RECORDING: &str = "/recordings/{name}";
const OTHER: &str = "other";

async fn pbx() -> Simulator {
    Simulator::builder(Api::SSeries200)
        .recording(NAME, wav::music(3))
        .start()
        .await
        .unwrap()
}

#[tokio::test]
async fn answers_and_downloads_are_counted() {
    let pbx = pbx().await;
    let gateway = gateway(&pbx).set("pbx.retry_delay_ms", 0).start().await;
    let before = Numbers::of(&gateway).await;
    assert_eq!(before.answered(), 0);
    assert_eq!(before.downloads(PBX, "begun"), 0);
    assert_eq!(before.at("cache_max_bytes"), 0, "it is off in this test");

    let status = async |method: Method, path: &str, token: &str| {
        let call = gateway.request(method, path).bearer(token);
        call.send().await.status().as_u16()
    };
    let (token, good) = (jwt("alice"), format!("/recordings/{NAME}"));
    for _ in 0..2 {
        gateway.fetch(NAME).await;
    }
    for (method, path, status_code) in [
        (Method::HEAD, good.as_str(), 200),
        (Method::GET, &format!("/pbx/{PBX}{good}"), 200),
        (Method::GET, "/recordings/absent.wav", 404),
        (Method::GET, "/pbx/nowhere/recordings/absent.wav", 404),
        (Method::GET, "/recordings", 400),
        (Method::GET, "/nowhere", 404),
        (Method::POST, &good, 405),
    ] {
        let answered = status(method.clone(), path, &token).await;
        assert_eq!(answered, status_code, "{method} {path}");
    }
    assert_eq!(status(Method::GET, &good, &expired_jwt("alice")).await, 401);
    pbx.add_recording("broken.wav", wav::music(1));
    let error = Misbehavior::Status(500);
    pbx.inject(ScriptedFault::forever(CallKind::Download, error));
    let broken = "/recordings/broken.wav";
    assert_eq!(status(Method::GET, broken, &token).await, 502);

    let numbers = Numbers::of(&gateway).await;
    assert_eq!(numbers.requests(RECORDING, 200), 3);
    assert_eq!(numbers.requests("/pbx/{pbx}/recordings/{name}", 200), 1);
    assert_eq!(numbers.requests(RECORDING, 404), 1);
    assert_eq!(numbers.requests("/pbx/{pbx}/recordings/{name}", 404), 1);
    assert_eq!(numbers.requests("/recordings", 400), 1);
    assert_eq!(numbers.requests(OTHER, 404), 1);
    assert_eq!(numbers.requests(OTHER, 405), 1);
    assert_eq!(numbers.requests(RECORDING, 401), 1);
    assert_eq!(numbers.requests(RECORDING, 502), 1);
    assert_eq!(numbers.answered(), 11);
    let (seen, begun) = (pbx.seen(), numbers.downloads(PBX, "begun"));
    let failed = numbers.downloads(PBX, "failed");
    assert_eq!(begun, seen.downloads_started);
    assert!(
        failed > 0 && begun + failed == seen.tickets_used,
        "{seen:?}"
    );
    assert_eq!(numbers.downloads(PBX, "not-found"), 1);
    assert_eq!(numbers.at("streams_open"), 0);
    assert_eq!(numbers.waiting(PBX), 0);

    // A reload keeps the counts.
    gateway.reload().unwrap();
    assert_eq!(Numbers::of(&gateway).await.samples, numbers.samples);
}

#[tokio::test]
async fn the_page_of_metrics_explains_every_number() {
    let (pbx, idp) = (pbx().await, Idp::start().await);
    let builder = gateway(&pbx).tls(&Identity::new());
    let lines = format!("jwks_url = \"{}/keys\"", idp.name());
    let lines = idp.lines(builder.folder(), &lines);
    let gateway = builder.lines("[[auth.issuer]]", &lines).start().await;
    gateway.fetch(NAME).await;
    let numbers = soon(async {
        loop {
            let numbers = Numbers::of(&gateway).await;
            let has_keys = |sample: &String| sample.starts_with("wavegate_issuer_keys_age");
            if numbers.samples.keys().any(has_keys) {
                return numbers;
            }
        }
    })
    .await;
    // The numbers of a fleet are looked at where there is one (tests/programs/fleet/trouble.rs).
    let is_here =
        |row: &&str| row.starts_with("| `wavegate_") && !row.contains("absent without `[shared]`");
    let rows = PAGE.lines().filter(is_here);
    let mut explained: Vec<&str> = rows.filter_map(|row| row.split('`').nth(1)).collect();
    let mut told: Vec<&str> = numbers
        .samples
        .keys()
        .filter_map(|sample| sample.split('{').next())
        .collect();
    told.dedup();
    explained.sort_unstable();
    assert_eq!(explained, told);
}

#[tokio::test]
async fn metrics_show_open_streams_and_waiting_requests() {
    let (slow, hung) = (pbx().await, pbx().await);
    let stall = Misbehavior::Stall { after_bytes: 1_000 };
    slow.inject(ScriptedFault::forever(CallKind::Download, stall));
    hung.inject("any:stall-after=0:times=forever".parse().unwrap());
    let gateway = gateway(&slow)
        .beside("hung", &hung)
        .set("pbx[1].answer_timeout_ms", 600000)
        .start()
        .await;
    let gateway = Arc::new(gateway);

    let answer = gateway.get(NAME).bearer(&jwt("alice")).send().await;
    assert_eq!(answer.status(), StatusCode::OK);
    let caller = Arc::clone(&gateway);
    let stuck = tokio::spawn(async move {
        let path = format!("/pbx/hung/recordings/{NAME}");
        let call = caller.request(Method::GET, &path);
        call.bearer(&jwt("alice")).send().await
    });
    hung.until(|seen| seen.requests.login == 1).await;

    let numbers = Numbers::of(&gateway).await;
    assert_eq!(numbers.at("streams_open"), 2);
    assert_eq!((numbers.waiting(PBX), numbers.waiting("hung")), (0, 1));
    assert_eq!(numbers.downloads("hung", "begun"), 0);
    assert_eq!(numbers.answered(), 1);

    drop(answer);
    stuck.abort();
    let left = async |stay: u64| {
        while Numbers::of(&gateway).await.at("streams_open") != stay {
            tokio::task::yield_now().await;
        }
    };
    crate::harness::soon(left(0)).await;
    assert_eq!(Numbers::of(&gateway).await.waiting("hung"), 0);
}

#[tokio::test]
async fn the_numbers_name_no_recording_no_person_and_no_address() {
    let pbx = pbx().await;
    let gateway = gateway(&pbx).start().await;
    let (token, link) = (jwt("alice"), link(PBX, NAME));
    gateway.fetch(NAME).await;
    for path in [
        format!("/recordings/{NAME}?link={link}"),
        format!("/recordings/{token}"),
        format!("/pbx/{token}/recordings/{NAME}"),
        format!("/{token}"),
    ] {
        let _ = gateway.request(Method::GET, &path).send().await;
    }
    let numbers = Numbers::of(&gateway).await;
    assert_eq!(numbers.answered(), 5);
    let secrets = pbx.seen().secrets;
    let (address, user, password) = (pbx.addr().to_string(), pbx.username(), pbx.password());
    let (host, _) = address.split_once(':').unwrap();
    let hidden = [NAME, "alice", "bob", &token, &link, host, user, password];
    for word in hidden.into_iter().chain(secrets.iter().map(String::as_str)) {
        assert!(!numbers.text.contains(word), "{word} in {}", numbers.text);
    }
}

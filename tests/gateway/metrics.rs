//! The metrics: the numbers are right, they are what a monitor can read, and they tell nothing of anybody.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{Method, StatusCode};
use wavegate::simulator::{Api, CallKind, Misbehavior, ScriptedFault, Simulator, wav};

use crate::harness::admin::ask;
use crate::harness::idp::Idp;
use crate::harness::{Gateway, NAME, PBX, expired_jwt, gateway, jwt, link, soon};

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

/// The numbers, each by its name and labels.
pub(crate) struct Numbers {
    text: String,
    samples: BTreeMap<String, u64>,
}

impl Numbers {
    pub(crate) async fn of(gateway: &Gateway) -> Self {
        let addr = gateway.app.admin_address();
        let reply = ask(addr, Method::GET, "/metrics", &[]).await.unwrap();
        assert_eq!(reply.status, 200);
        let media_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        assert_eq!(reply.header("content-type"), Some(media_type));
        Self {
            samples: samples(&reply.text),
            text: reply.text,
        }
    }

    /// The number under this name, which must be there.
    #[track_caller]
    pub(crate) fn at(&self, sample: &str) -> u64 {
        let sample = format!("wavegate_{sample}");
        let number = self.samples.get(&sample);
        *number.unwrap_or_else(|| panic!("no {sample} in {}", self.text))
    }

    #[track_caller]
    fn requests(&self, route: &str, status: u16) -> u64 {
        self.at(&format!(
            "requests_total{{route=\"{route}\",status=\"{status}\"}}"
        ))
    }

    #[track_caller]
    fn downloads(&self, pbx: &str, outcome: &str) -> u64 {
        self.at(&format!(
            "pbx_downloads_total{{pbx=\"{pbx}\",outcome=\"{outcome}\"}}"
        ))
    }

    #[track_caller]
    fn waiting(&self, pbx: &str) -> u64 {
        self.at(&format!("pbx_requests_waiting{{pbx=\"{pbx}\"}}"))
    }

    /// Answered requests of every kind.
    fn answered(&self) -> u64 {
        let requests = self
            .samples
            .iter()
            .filter(|(sample, _)| sample.starts_with("wavegate_requests_total{"));
        requests.map(|(_, number)| number).sum()
    }
}

/// Reads OpenMetrics text line by line: each family has one help, one type and perhaps a unit, and then its samples, each
/// once; the end is marked.
#[track_caller]
fn samples(text: &str) -> BTreeMap<String, u64> {
    let mut samples = BTreeMap::new();
    let mut families = Vec::new();
    let (mut family, mut kind) = (String::new(), String::new());
    let body = text.strip_suffix("# EOF\n").expect("the end is marked");
    for line in body.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let [word, name, rest] = *comment.splitn(3, ' ').collect::<Vec<_>>() else {
                panic!("{line}");
            };
            assert!(!rest.is_empty(), "{line}");
            match word {
                "HELP" => {
                    assert!(!families.contains(&name), "{name} stands there twice");
                    families.push(name);
                    name.clone_into(&mut family);
                    assert!(rest.ends_with('.'), "{line}");
                }
                "TYPE" => rest.clone_into(&mut kind),
                "UNIT" => assert!(name.ends_with(rest), "{line}"),
                _ => panic!("{line}"),
            }
            assert_eq!(name, family, "{line}");
            continue;
        }
        let (sample, number) = line.rsplit_once(' ').unwrap();
        let (name, labels) = match sample.split_once('{') {
            Some((name, labels)) => (name, labels.strip_suffix('}').unwrap()),
            None => (sample, ""),
        };
        let expected = match kind.as_str() {
            "counter" => format!("{family}_total"),
            "gauge" => family.clone(),
            _ => panic!("{kind}"),
        };
        assert_eq!(name, expected);
        assert!(name.starts_with("wavegate_"), "{line}");
        for label in labels.split(',').filter(|label| !label.is_empty()) {
            let (label, value) = label.split_once("=\"").unwrap();
            let value = value.strip_suffix('"').unwrap();
            assert!(label.bytes().all(|byte| byte.is_ascii_lowercase()));
            assert!(!value.contains(['"', '\\', '\n']), "{line}");
        }
        let number = number.parse().unwrap();
        assert_eq!(samples.insert(sample.to_owned(), number), None, "{line}");
    }
    samples
}

#[tokio::test]
async fn what_was_answered_and_asked_for_is_counted() {
    let pbx = pbx().await;
    let gateway = gateway(&pbx).pbx("retry_delay_ms = 0").start().await;
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

    // What was counted is counted on after a reload.
    gateway.reload().unwrap();
    assert_eq!(Numbers::of(&gateway).await.samples, numbers.samples);
}

#[tokio::test]
async fn the_page_of_metrics_explains_every_number() {
    let (pbx, idp) = (pbx().await, Idp::start().await);
    let builder = gateway(&pbx);
    let lines = format!("jwks_url = \"{}/keys\"", idp.name());
    let lines = idp.lines(builder.folder(), &lines);
    let gateway = builder.issuer(&lines).start().await;
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
    let rows = PAGE.lines().filter(|line| line.starts_with("| `wavegate_"));
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
async fn who_is_served_and_who_waits_is_seen_as_it_is() {
    let (slow, hung) = (pbx().await, pbx().await);
    let stall = Misbehavior::Stall { after_bytes: 1_000 };
    slow.inject(ScriptedFault::forever(CallKind::Download, stall));
    hung.inject("any:stall-after=0:times=forever".parse().unwrap());
    let gateway = gateway(&slow)
        .beside("hung", &hung, "answer_timeout_ms = 600000")
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

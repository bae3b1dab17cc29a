//! A recording without a byte, as a PBX stores it for a call that nobody answered.
//!
//! A `Content-Length` of 0, or a first chunk that is the last, shows that a recording is empty. It
//! has its own problem, `recording-empty` (404), costs one ticket, and the PBX stays healthy.
//! While the call is young the recording may still arrive, so the problem is `recording-not-ready`,
//! as before.
//!
//! The kind: WAV and MP3, every API generation, connections that close and that stay open, HEAD,
//! ranges and conditions, the cache on and off. The gateway remembers an empty recording as long as
//! a missing one, and forgets its earlier metadata. The doctor, the audit log, the metrics and a
//! page for people name it.
//!
//! The rule must not permit more: a connection that closes before any byte is a failed download, as
//! before, and so are a body shorter than its length, chunks without a last one, blanks, and other
//! statuses. A recording that is empty at a later reading breaks off.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::Value;
use wavegate::simulator::{Api, Simulator, Switch, wav};

use crate::harness::admin;
use crate::harness::audit::{dir, until};
use crate::harness::metrics::Numbers;
use crate::harness::programs::run_wavegate;
use crate::harness::{Answer, Builder, Gateway, NAME, PBX, gateway_for, jwt};

/// Another recording of the same PBX.
const OTHER: &str = "20260302104512-1772448301.1219-0205550147-1000-Inbound.wav";
const CACHES: [&str; 2] = [
    "max_bytes = 0\nremember_missing_ms = 0",
    "remember_missing_ms = 0",
];
const REMEMBERING: &str = "remember_missing_ms = 10000";
const LIMITS: &str = "retry_delay_ms = 10\nnot_ready_retry_ms = [1, 1]";

async fn start(api: Api, switches: &[Switch], name: &str, bytes: &'static [u8]) -> Simulator {
    let mut builder = Simulator::builder(api)
        .recording(name, Bytes::from_static(bytes))
        .recording(OTHER, wav::music(1));
    for switch in switches {
        builder = builder.switch(*switch);
    }
    builder.start().await.unwrap()
}

fn prepared(pbx: &Simulator, cache: &str) -> Builder {
    gateway_for(pbx, pbx.api())
        .cache()
        .lines("[cache]", cache)
        .lines("[pbx]", LIMITS)
}

fn tickets(pbx: &Simulator) -> u64 {
    pbx.seen().tickets_issued
}

/// The state of the downloads of the only PBX.
async fn state(gateway: &Gateway) -> String {
    let reply = admin::ask(gateway.app.admin_address(), Method::GET, "/pbxs", &[]).await;
    let pbxs: Value = serde_json::from_str(&reply.unwrap().text).unwrap();
    let state = &pbxs["pbxs"][0]["downloads"]["state"];
    state.as_str().unwrap().to_owned()
}

async fn head(gateway: &Gateway, name: &str) -> Answer {
    let call = gateway.request(Method::HEAD, &format!("/recordings/{name}"));
    call.bearer(&jwt("alice")).send().await
}

/// The ways in which a PBX can send an empty recording.
fn ways(api: Api) -> Vec<Vec<Switch>> {
    use Switch::{DownloadChunked, DownloadWithLength, KeepAlive, PlainHttp};

    // The files of a P-Series always have a length.
    let with_length = || match api {
        Api::PSeries => Vec::new(),
        _ => vec![DownloadWithLength],
    };
    vec![
        with_length(),
        [with_length(), vec![PlainHttp]].concat(),
        vec![KeepAlive],
        vec![DownloadChunked],
        vec![DownloadChunked, PlainHttp],
        vec![DownloadChunked, KeepAlive],
    ]
}

#[tokio::test]
async fn a_recording_that_is_said_to_be_empty_is_a_problem_of_its_own() {
    let mp3 = NAME.replace(".wav", ".mp3");
    for &api in Api::ALL {
        for (way, switches) in ways(api).into_iter().enumerate() {
            let row = format!("{api} {switches:?}");
            let pbx = start(api, &switches, NAME, b"").await;
            pbx.add_recording(&mp3, Bytes::new());
            let gateway = prepared(&pbx, CACHES[way % 2]).start().await;
            gateway.fetch(OTHER).await;
            for (name, spent) in [(NAME, 1), (&mp3, 2)] {
                let problem = gateway.problem(name).await;
                assert_eq!(problem.slug, "recording-empty", "{row} {name}");
                assert_eq!(problem.status, StatusCode::NOT_FOUND, "{row} {name}");
                assert!(!problem.headers.contains_key("retry-after"), "{row}");
                assert_eq!(tickets(&pbx), 1 + spent, "{row} {name}");
                assert_eq!(state(&gateway).await, "well", "{row} {name}");
            }
        }
    }
}

#[tokio::test]
async fn every_request_for_an_empty_recording_is_a_problem() {
    let pbx = start(Api::SSeries200, &[Switch::DownloadWithLength], NAME, b"").await;
    for cache in CACHES {
        let gateway = prepared(&pbx, cache).start().await;
        for (field, value) in [
            ("range", "bytes=0-1"),
            ("range", "bytes=-8"),
            ("range", "bytes=0-"),
            ("if-none-match", "*"),
            ("if-match", "*"),
            ("if-range", "\"a\""),
        ] {
            let call = gateway.get(NAME).bearer(&jwt("alice"));
            let problem = call.header(field, value).send().await.problem().await;
            assert_eq!(problem.slug, "recording-empty", "{field}: {value}");
        }
        let call = gateway.get(NAME).bearer(&jwt("alice")).http10();
        assert_eq!(call.send().await.problem().await.slug, "recording-empty");
        let answer = head(&gateway, NAME).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
        assert!(answer.bytes().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_recording_not_stated_empty_is_a_failed_download() {
    use Switch::{DownloadChunked, DownloadWithLength, NoCloseNotify, PlainHttp};

    for (switches, bytes, fault, slug) in [
        (&[][..], &b""[..], "", "pbx-protocol"),
        (&[NoCloseNotify], b"", "", "pbx-unreachable"),
        (&[PlainHttp], b"", "", "pbx-protocol"),
        (&[DownloadWithLength], b" \r\n", "", "pbx-protocol"),
        (&[DownloadChunked], b"\xEF\xBB\xBF", "", "pbx-protocol"),
        (&[DownloadWithLength], b"RIFF", "", "pbx-protocol"),
        (
            &[DownloadWithLength],
            b"RIFF",
            "download:cut-after=0:with-length:times=forever",
            "pbx-unreachable",
        ),
        (
            &[DownloadChunked],
            b"RIFF",
            "download:cut-after=0:times=forever",
            "pbx-unreachable",
        ),
        (
            &[DownloadWithLength],
            b"",
            "download:close-before-answer:times=forever",
            "pbx-unreachable",
        ),
        (
            &[DownloadWithLength],
            b"",
            "download:status=204:times=forever",
            "pbx-protocol",
        ),
        (
            &[DownloadWithLength],
            b"",
            "download:status=200:times=forever",
            "pbx-protocol",
        ),
    ] {
        for cache in CACHES {
            let row = format!("{switches:?} {bytes:?} {fault} {cache}");
            let pbx = start(Api::SSeries200, switches, NAME, bytes).await;
            if !fault.is_empty() {
                pbx.inject(fault.parse().unwrap());
            }
            let gateway = prepared(&pbx, cache).start().await;
            assert_eq!(gateway.problem(NAME).await.slug, slug, "{row}");
            assert_eq!(tickets(&pbx), 2, "{row}");
            assert_eq!(state(&gateway).await, "failing", "{row}");
        }
    }
}

#[tokio::test]
async fn an_empty_recording_of_a_young_call_is_not_ready() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let young = format!("20260302091407-{}.7-1001-1003-Internal.wav", now.as_secs());
    for api in [Api::SSeries200, Api::PSeries] {
        for (way, switches) in ways(api).into_iter().enumerate() {
            let row = format!("{api} {switches:?}");
            let pbx = start(api, &switches, &young, b"").await;
            let gateway = prepared(&pbx, CACHES[way % 2]).start().await;
            gateway.fetch(OTHER).await;
            let before = tickets(&pbx);
            let problem = gateway.problem(&young).await;
            assert_eq!(problem.slug, "recording-not-ready", "{row}");
            assert!(problem.headers.contains_key("retry-after"), "{row}");
            assert_eq!(tickets(&pbx) - before, 3, "{row}");
            assert_eq!(state(&gateway).await, "well", "{row}");
            // The gateway remembers nothing of that.
            pbx.add_recording(&young, wav::music(1));
            assert!(gateway.fetch(&young).await == wav::music(1), "{row}");
        }
    }
}

#[tokio::test]
async fn an_empty_recording_is_remembered_like_a_missing_one() {
    for cache in [REMEMBERING, &format!("max_bytes = 0\n{REMEMBERING}")] {
        let pbx = start(Api::SSeries200, &[Switch::DownloadWithLength], NAME, b"").await;
        let gateway = prepared(&pbx, cache).start().await;
        for _ in 0..3 {
            assert_eq!(gateway.problem(NAME).await.slug, "recording-empty");
            assert_eq!(head(&gateway, NAME).await.status(), StatusCode::NOT_FOUND);
        }
        assert_eq!(tickets(&pbx), 1);
    }
    // It is remembered no longer than configured.
    let pbx = start(Api::SSeries200, &[Switch::DownloadWithLength], NAME, b"").await;
    let gateway = prepared(&pbx, CACHES[1]).start().await;
    assert_eq!(gateway.problem(NAME).await.slug, "recording-empty");
    pbx.add_recording(NAME, wav::music(1));
    assert!(gateway.fetch(NAME).await == wav::music(1));
}

#[tokio::test]
async fn metadata_is_forgotten_when_a_recording_becomes_empty() {
    for cache in [
        "max_bytes = 0\nremember_missing_ms = 0",
        "max_bytes = 0\nremember_missing_ms = 10000",
    ] {
        let pbx = start(Api::SSeries200, &[Switch::DownloadWithLength], NAME, b"").await;
        pbx.add_recording(NAME, wav::music(1));
        let gateway = prepared(&pbx, cache).start().await;
        assert!(gateway.fetch(NAME).await == wav::music(1));
        assert_eq!(head(&gateway, NAME).await.status(), StatusCode::OK);
        pbx.add_recording(NAME, Bytes::new());
        assert_eq!(gateway.problem(NAME).await.slug, "recording-empty");
        assert_eq!(head(&gateway, NAME).await.status(), StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn a_recording_that_is_empty_at_a_further_pass_breaks_off() {
    let recording = wav::pcm_of_size(400_308);
    for cache in CACHES {
        let pbx = start(Api::SSeries200, &[Switch::DownloadWithLength], NAME, b"").await;
        pbx.add_recording(NAME, recording.clone());
        pbx.replace_after_download(NAME, Bytes::new());
        let cut = "download:cut-after=200000:with-length";
        pbx.inject(cut.parse().unwrap());
        let gateway = prepared(&pbx, cache).start().await;
        let answer = gateway.get(NAME).bearer(&jwt("alice")).send().await;
        assert_eq!(answer.status(), StatusCode::OK);
        let broken = answer.bytes().await.map(|bytes| bytes.len());
        assert!(recording.starts_with(&broken.unwrap_err().received));
        assert_eq!(tickets(&pbx), 2);
        assert_eq!(gateway.problem(NAME).await.slug, "recording-empty");
    }
}

#[tokio::test]
async fn audit_log_metrics_and_a_page_name_it() {
    let pbx = start(Api::SSeries200, &[Switch::DownloadWithLength], NAME, b"").await;
    let gateway = prepared(&pbx, CACHES[1]).audit().start().await;
    gateway.problem(NAME).await;
    let lines = until(&dir(gateway.folder()), "delivery", 1).await;
    assert_eq!(lines[0]["outcome"], "recording-empty");
    assert_eq!(lines[0]["status"], 404);
    let numbers = Numbers::of(&gateway).await;
    for (outcome, count) in [("empty", 1), ("failed", 0), ("not-found", 0)] {
        let metric = format!("pbx_downloads_total{{pbx=\"{PBX}\",outcome=\"{outcome}\"}}");
        assert_eq!(numbers.at(&metric), count, "{outcome}");
    }

    let call = gateway.get(NAME).bearer(&jwt("alice"));
    let call = call.header("sec-fetch-mode", "navigate");
    let answer = call.header("accept", "text/html").send().await;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    assert_eq!(answer.page().await, "Recording empty");
}

#[tokio::test]
async fn the_doctor_says_that_it_is_empty_and_why() {
    for (api, switches) in [
        (Api::SSeries200, &[Switch::DownloadWithLength][..]),
        (Api::PSeries, &[]),
    ] {
        let pbx = start(api, switches, NAME, b"").await;
        let builder = prepared(&pbx, "");
        let config = builder.write();
        let config = config.to_str().unwrap();
        let arguments = ["doctor", "--config", config, "--recording", NAME];
        let told = run_wavegate(&arguments).await;
        assert!(told.out.contains("has no bytes"), "{}", told.out);
        assert!(told.out.contains("nobody answered"), "{}", told.out);
    }
}

//! A PBX connection that breaks in the middle is mended without notice to the caller: the gateway
//! takes another ticket, reads the recording again from its start, and continues at the break. It
//! does so twice per download at most, and only while the PBX sends the same content. No caller
//! ever gets bytes of two contents, and a cut recording never looks whole.

use bytes::Bytes;
use http::{Method, StatusCode};
use wavegate::simulator::{Api, Simulator, Switch, wav};

use crate::harness::{self, Answer, Gateway, NAME, gateway, jwt};

mod contents;
mod ends;
mod many;
mod waiting;

/// Bytes of the recording.
const LENGTH: usize = 400_308;
/// Another recording of the same PBX.
const OTHER: &str = "20260302104512-1772448301.1219-0205550147-1000-Inbound.wav";
/// Lines of `[cache]`: off, with its defaults, and with room for a few blocks only.
const CACHES: [&str; 3] = ["max_bytes = 0", "", "max_bytes = 1048576"];
/// Long for a busy machine, and short for a test.
const PATIENT: &str = "idle_timeout_ms = 1000\nretry_delay_ms = 10";

/// Runs a check with every cache setting at once.
async fn with_every_cache<F: Future<Output = ()>>(check: impl Fn(&'static str) -> F) {
    let [off, usual, small] = CACHES;
    tokio::join!(check(off), check(usual), check(small));
}

async fn start(switches: &[Switch], recording: &Bytes) -> Simulator {
    let mut builder = Simulator::builder(Api::SSeries200).recording(NAME, recording.clone());
    for switch in switches {
        builder = builder.switch(*switch);
    }
    builder.start().await.unwrap()
}

fn tight(pbx: &Simulator, cache: &str) -> harness::Builder {
    gateway(pbx)
        .cache()
        .lines("[cache]", cache)
        .set("pbx.max_downloads", 1)
        .lines("[pbx]", PATIENT)
}

fn inject(pbx: &Simulator, faults: &str) {
    for fault in faults.split_whitespace() {
        pbx.inject(fault.parse().unwrap());
    }
}

async fn ask(gateway: &Gateway, name: &str) -> Answer {
    gateway.get(name).bearer(&jwt("alice")).send().await
}

/// The ETag in the answer to HEAD.
async fn etag(gateway: &Gateway) -> Option<String> {
    let call = gateway.request(Method::HEAD, &format!("/recordings/{NAME}"));
    let answer = call.bearer(&jwt("alice")).send().await;
    assert_eq!(answer.status(), StatusCode::OK);
    answer.header("etag").map(str::to_owned)
}

/// A file of the same length that differs from its byte `from` on.
fn altered(recording: &Bytes, from: usize) -> Bytes {
    let (same, rest) = recording.split_at(from);
    let rest: Vec<u8> = rest.iter().map(|byte| byte ^ 0x55).collect();
    [same, &rest].concat().into()
}

/// A recording whose format has no length, of about [`LENGTH`] bytes.
fn mp3() -> Bytes {
    wav::mp3(400)
}

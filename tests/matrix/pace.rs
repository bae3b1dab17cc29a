//! While other requests wait for a PBX, a caller cannot hold a download by reading it very slowly.
//! No caller is cut for a delay that it does not cause.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use wavegate::simulator::{Api, CallKind, Misbehavior, ScriptedFault, Simulator, Switch, wav};

use crate::harness::listener::Listener;
use crate::harness::programs::{Running, requests_of, serve};
use crate::harness::{Builder, Call, gateway, jwt};

const ALICE: &str = "alice";
const BOB: &str = "bob";
const LONG: &str = "long.wav";
const SHORT: &str = "short.wav";
/// Far more than all buffers between the PBX and a listener hold together.
const LARGE: usize = 16 << 20;
/// The bytes that a caller must take per second.
const LEAST: u64 = 1_000_000;
/// The limit on silence, over which the pace is measured, too.
const PERIOD: Duration = Duration::from_secs(1);

async fn pbx(bytes: usize) -> Simulator {
    Simulator::builder(Api::SSeries200)
        .switch(Switch::PlainHttp)
        .recording(LONG, wav::pcm_of_size(bytes))
        .recording(SHORT, wav::music(1))
        .start()
        .await
        .unwrap()
}

fn one_at_a_time(pbx: &Simulator) -> Builder {
    gateway(pbx)
        .set("relay.idle_timeout_ms", PERIOD.as_millis() as u64)
        .set("pbx.max_downloads", 1)
        .set("pbx.min_bytes_per_second", LEAST)
        .set("pbx.queue_timeout_ms", 600000)
}

/// Reads slowly, without a long pause, for several of the periods over which the pace is measured.
/// Each piece has 16 KiB at most, a third of the required pace.
async fn trickle(listener: &mut Listener) -> Result<(), hyper::Error> {
    for _ in 0..80 {
        tokio::time::sleep(PERIOD / 30).await;
        assert!(listener.next().await?);
    }
    assert!(listener.place() < LARGE / 2, "this was not slow");
    Ok(())
}

async fn fetch(addr: std::net::SocketAddr, who: &str, name: &str) -> Bytes {
    let call = Call::new(addr, Method::GET, &format!("/recordings/{name}"));
    let answer = call.bearer(&jwt(who)).send().await;
    assert_eq!(answer.status(), StatusCode::OK);
    answer.bytes().await.expect("whole")
}

/// The outcomes of the requests of each principal.
async fn outcomes(running: Running) -> [Vec<String>; 2] {
    let log = running.stop().await.err;
    [ALICE, BOB].map(|who| {
        let lines = requests_of(&log, who).into_iter();
        lines
            .map(|line| line["outcome"].as_str().unwrap().to_owned())
            .collect()
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trickle_is_cut_once_another_waits_and_not_before() {
    // Passed through, and through a window.
    for cache in ["max_bytes = 0", "max_recording_bytes = 65536"] {
        let pbx = pbx(LARGE).await;
        let builder = one_at_a_time(&pbx).cache().lines("[cache]", cache);
        let (running, addr) = serve(&builder.write()).await;
        let bytes = pbx.recording_bytes(LONG).unwrap();
        let mut slow = Listener::begin(addr, ALICE, LONG, &bytes).await;
        trickle(&mut slow).await.expect("nobody waits");

        let other = tokio::spawn(fetch(addr, BOB, SHORT));
        assert!(trickle(&mut slow).await.is_err(), "it went on");

        assert!(other.await.unwrap() == pbx.recording_bytes(SHORT).unwrap());
        let expected = [vec!["downstream-slow"], vec!["complete"]];
        assert_eq!(outcomes(running).await, expected, "{cache}");
        assert_eq!(pbx.seen().downloads_running_max, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trickle_goes_on_to_its_end_while_nobody_waits() {
    let pbx = pbx(LARGE).await;
    let builder = one_at_a_time(&pbx);
    let (running, addr) = serve(&builder.write()).await;
    let bytes = pbx.recording_bytes(LONG).unwrap();
    let mut slow = Listener::begin(addr, ALICE, LONG, &bytes).await;
    trickle(&mut slow).await.unwrap();
    slow.finish().await;
    assert_eq!(outcomes(running).await, [vec!["complete"], vec![]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_listener_is_cut_for_a_slow_pbx() {
    const SIZE: usize = 1_000_000;
    let pbx = pbx(SIZE).await;
    let slowly = Misbehavior::Throttle {
        bytes_per_s: LEAST / 5,
    };
    pbx.inject(ScriptedFault::once(CallKind::Download, slowly));
    let builder = one_at_a_time(&pbx);
    let (running, addr) = serve(&builder.write()).await;
    let bytes = pbx.recording_bytes(LONG).unwrap();
    let quick = Listener::begin(addr, ALICE, LONG, &bytes).await;
    let other = tokio::spawn(fetch(addr, BOB, SHORT));

    quick.finish().await;

    assert!(other.await.unwrap() == pbx.recording_bytes(SHORT).unwrap());
    assert_eq!(outcomes(running).await, [["complete"], ["complete"]]);
    assert_eq!(pbx.seen().downloads_running_max, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trickle_from_the_cache_delays_no_download_and_goes_on() {
    let pbx = pbx(LARGE).await;
    let builder = one_at_a_time(&pbx).cache();
    let (running, addr) = serve(&builder.write()).await;
    let bytes = pbx.recording_bytes(LONG).unwrap();
    let mut slow = Listener::begin(addr, ALICE, LONG, &bytes).await;
    assert!(slow.next().await.unwrap());
    assert!(fetch(addr, BOB, SHORT).await == pbx.recording_bytes(SHORT).unwrap());
    trickle(&mut slow).await.unwrap();
    slow.finish().await;
    assert_eq!(outcomes(running).await, [["complete"], ["complete"]]);
}

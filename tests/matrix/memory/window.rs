//! A recording that is too long for the cache is dropped behind its readers, and each of them gets
//! all of it from the one download. A later reader causes another download.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use tokio::task::JoinHandle;
use wavegate::simulator::{Simulator, Switch};

use super::{CACHE_BYTES, Watch, pbx, recording};
use crate::harness::admin::number;
use crate::harness::listener::Listener;
use crate::harness::wire::Wire;
use crate::harness::{Gateway, NAME, gateway, jwt, soon};

const LONG: usize = 6_000_000;
/// With a length, and without.
const FORMS: [&[Switch]; 2] = [&[Switch::DownloadWithLength], &[]];
const WAITING: &str = "wavegate_pbx_requests_waiting{pbx=\"office\"}";
const TIGHT: &str = "max_recording_bytes = 65536";

async fn long(switches: &[Switch]) -> (Simulator, Bytes) {
    let bytes = recording(0, LONG);
    let pbx = pbx(&[(NAME.to_owned(), bytes.clone())], switches).await;
    (pbx, bytes)
}

/// A gateway whose connection to the PBX the test controls.
async fn wired(pbx: &Simulator, relay: &str) -> (Gateway, Wire) {
    let wire = Wire::to(pbx).await;
    let builder = gateway(pbx)
        .pbx_url(wire.url())
        .cache()
        .lines("[cache]", TIGHT)
        .lines("[relay]", relay);
    (builder.start().await, wire)
}

/// Two listeners. The second has joined the first before the first byte came.
async fn together(gateway: &Gateway, wire: &Wire, bytes: &Bytes) -> (Listener, Listener) {
    let (addr, admin) = (gateway.addr(), gateway.app.admin_address());
    wire.hold();
    let first = begin(addr, "alice", bytes);
    soon(wire.until_connections(1)).await;
    let second = begin(addr, "bob", bytes);
    soon(async { while number(admin, WAITING).await < 2 {} }).await;
    wire.release();
    (first.await.unwrap(), second.await.unwrap())
}

fn begin(addr: SocketAddr, who: &'static str, bytes: &Bytes) -> JoinHandle<Listener> {
    let bytes = bytes.clone();
    tokio::spawn(async move { Listener::begin(addr, who, NAME, &bytes).await })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_readers_share_one_download_within_a_small_window() {
    for form in FORMS {
        let (pbx, bytes) = long(form).await;
        let (gateway, wire) = wired(&pbx, "").await;
        let (mut slow, quick) = together(&gateway, &wire, &bytes).await;
        let watch = Watch::start(gateway.app.admin_address());
        let quick = tokio::spawn(quick.finish());
        while slow.place() < LONG / 2 {
            assert!(slow.next().await.unwrap());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(pbx.seen().tickets_issued, 1);
        assert!(!quick.is_finished(), "it waits for the slower one");

        // A new reader cannot join a window.
        Listener::begin(gateway.addr(), "carol", NAME, &bytes)
            .await
            .finish()
            .await;
        assert_eq!(pbx.seen().tickets_issued, 2);
        slow.finish().await;
        quick.await.unwrap();
        let (most, looks) = watch.end();
        println!("{most} bytes held at most, {looks} looks");
        // Two windows of four blocks, and the bytes on their way to readers.
        assert!(most <= 1 << 20 && looks > 20, "{most} in {looks} looks");
        assert_eq!(pbx.seen().tickets_issued, 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_who_stalls_is_let_go_and_the_other_goes_on() {
    for form in FORMS {
        let (pbx, bytes) = long(form).await;
        let (gateway, wire) = wired(&pbx, "idle_timeout_ms = 500").await;
        let (mut stalled, other) = together(&gateway, &wire, &bytes).await;
        assert!(stalled.next().await.unwrap());

        other.finish().await;

        assert!(stalled.until_broken().await < LONG);
        assert_eq!(pbx.seen().tickets_issued, 1);
        let admin = gateway.app.admin_address();
        soon(async { while number(admin, CACHE_BYTES).await > 0 {} }).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_far_ahead_is_reached_although_nobody_reads_up_to_it() {
    let [told, untold] = FORMS;
    for (form, range, content_range, first) in [
        (
            told,
            "bytes=5000000-",
            "bytes 5000000-5999999/6000000",
            5_000_000,
        ),
        (
            told,
            "bytes=-1000",
            "bytes 5999000-5999999/6000000",
            5_999_000,
        ),
        (
            untold,
            "bytes=5000000-5000999",
            "bytes 5000000-5000999/*",
            5_000_000,
        ),
        (
            untold,
            "bytes=-1000",
            "bytes 5999000-5999999/6000000",
            5_999_000,
        ),
    ] {
        let (pbx, bytes) = long(form).await;
        let gateway = gateway(&pbx)
            .cache()
            .lines("[cache]", TIGHT)
            .set("range.wait_ms", 50)
            .start()
            .await;
        let call = gateway
            .get(NAME)
            .bearer(&jwt("alice"))
            .header("range", range);
        let answer = call.send().await;
        assert_eq!(answer.status(), StatusCode::PARTIAL_CONTENT, "{range}");
        assert_eq!(answer.header("content-range"), Some(content_range));
        let part = answer.bytes().await.expect("whole");
        assert!(bytes[first..].starts_with(&part), "{range}");
    }
}

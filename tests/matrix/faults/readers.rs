//! Callers who stall are cut, and their places become free. Callers who are only slow are served.
//! When a caller leaves, the connection to the PBX closes. No caller affects another.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wavegate::simulator::{Api, Simulator, Switch, wav};

use crate::harness::admin::number;
use crate::harness::listener::{Listener, narrow};
use crate::harness::tls::Identity;
use crate::harness::{self, Answer, Call, NAME, gateway, jwt, soon};

/// Far more than all buffers between the PBX and a reader hold together.
const LARGE: usize = 16 << 20;
const SMALL: &str = "20260302104512-1772448301.1219-0205550147-1000-Inbound.wav";

async fn pbx() -> Simulator {
    Simulator::builder(Api::SSeries200)
        .recording(NAME, wav::pcm_of_size(LARGE))
        .recording(SMALL, wav::music(3))
        .start()
        .await
        .unwrap()
}

/// A gateway for one download at a time, which soon cuts a caller who stalls.
fn impatient(pbx: &Simulator) -> harness::Builder {
    gateway(pbx)
        .set("relay.max_streams", 1)
        .set("relay.idle_timeout_ms", 300)
        .set("pbx.max_downloads", 1)
}

/// Begins to get the large recording, and reads a little of it.
async fn begin(addr: SocketAddr) -> (Answer, Bytes) {
    let call = Call::new(addr, Method::GET, &format!("/recordings/{NAME}"));
    let mut answer = call.bearer(&jwt("alice")).send_on(narrow(addr).await).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let first = answer.chunk().await.unwrap().unwrap();
    (answer, first)
}

#[tokio::test]
async fn a_reader_who_stalls_is_let_go() {
    let pbx = pbx().await;
    let gateway = impatient(&pbx).start().await;
    let (answer, _) = begin(gateway.addr()).await;

    soon(pbx.until(|seen| seen.downloads_running == 0)).await;

    let seen = pbx.seen();
    assert_eq!(
        (seen.downloads_aborted_by_peer, seen.downloads_complete),
        (1, 0)
    );
    assert_eq!(
        gateway.fetch(SMALL).await,
        pbx.recording_bytes(SMALL).unwrap()
    );
    // Bytes that were on their way still arrive; the end does not.
    assert!(answer.bytes().await.is_err());
}

#[tokio::test]
async fn a_paused_player_is_let_go_and_goes_on_without_another_ticket() {
    for switches in [&[][..], &[Switch::DownloadWithLength]] {
        let bytes = wav::pcm_of_size(LARGE);
        let mut builder = Simulator::builder(Api::SSeries200).recording(NAME, bytes.clone());
        for switch in switches {
            builder = builder.switch(*switch);
        }
        let pbx = builder.start().await.unwrap();
        let gateway = gateway(&pbx)
            .cache()
            .set("relay.idle_timeout_ms", 300)
            .start()
            .await;
        let (addr, admin) = (gateway.addr(), gateway.app.admin_address());
        // The player keeps its connection open, and reads nothing.
        let mut player = Listener::begin(addr, "alice", NAME, &bytes).await;
        assert!(player.next().await.unwrap());
        soon(async { while number(admin, "wavegate_streams_open").await > 0 {} }).await;
        soon(pbx.until(|seen| seen.downloads_complete == 1)).await;

        let place = player.until_broken().await;
        assert!(place < LARGE);
        let resumed = Listener::begin_at(addr, "alice", NAME, &bytes, place).await;
        resumed.finish().await;
        assert_eq!(pbx.seen().tickets_issued, 1);
    }
}

#[tokio::test]
async fn a_reader_who_is_merely_slow_is_served() {
    let pbx = pbx().await;
    let gateway = gateway(&pbx)
        .set("relay.idle_timeout_ms", 1500)
        .start()
        .await;
    let (mut answer, first) = begin(gateway.addr()).await;
    let mut received = first.to_vec();
    // Never silent for long, but much too slow for the socket's buffers.
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(40)).await;
        let chunk = answer.chunk().await.unwrap();
        received.extend_from_slice(&chunk.expect("still served"));
    }
    assert!(received.len() < LARGE / 4, "this was not slow");
    received.extend_from_slice(&answer.bytes().await.expect("served to the end"));
    assert!(received == pbx.recording_bytes(NAME).unwrap());
}

#[tokio::test]
async fn a_reader_who_leaves_closes_the_connection_to_the_pbx() {
    // While the PBX sends, while it stalls within the recording, and before its first byte.
    for fault in ["", "download:stall-after=100000", "download:stall-after=0"] {
        let pbx = pbx().await;
        if !fault.is_empty() {
            pbx.inject(fault.parse().unwrap());
        }
        let gateway = gateway(&pbx)
            .set("relay.max_streams", 1)
            .set("pbx.max_downloads", 1)
            .set("pbx.first_byte_timeout_ms", 600000)
            .set("pbx.idle_timeout_ms", 600000)
            .start()
            .await;
        let mut stream = narrow(gateway.addr()).await;
        let head = format!(
            "GET /recordings/{NAME} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n",
            jwt("alice")
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        soon(pbx.until(|seen| seen.downloads_started == 1)).await;
        if fault != "download:stall-after=0" {
            soon(stream.read_exact(&mut [0; 1000])).await.unwrap();
        }
        drop(stream);
        soon(pbx.until(|seen| seen.downloads_running == 0)).await;
        assert_eq!(
            gateway.fetch(SMALL).await,
            pbx.recording_bytes(SMALL).unwrap(),
            "{fault}"
        );
    }
}

#[tokio::test]
async fn a_stream_that_stalls_does_not_harm_another_of_its_connection() {
    let pbx = pbx().await;
    pbx.add_recording(SMALL, wav::pcm_of_size(300_000));
    let identity = Identity::new();
    let builder = gateway(&pbx)
        .set("relay.idle_timeout_ms", 300)
        .set("pbx.max_downloads", 2)
        .tls(&identity);
    let gateway = builder.start().await;
    let connection = identity.http2(gateway.tls_addr()).await;
    let get = |name| gateway.get(name).bearer(&jwt("alice"));

    let stalled = connection.send(get(NAME)).await;
    // This download still runs when the stalled one is cut.
    pbx.inject("download:throttle=100000".parse().unwrap());
    let other = connection.send(get(SMALL)).await;
    let other = tokio::spawn(other.bytes());
    soon(pbx.until(|seen| seen.downloads_aborted_by_peer == 1)).await;

    let other = other.await.unwrap().expect("unharmed");
    assert!(other == pbx.recording_bytes(SMALL).unwrap());
    assert!(stalled.bytes().await.is_err());
}

#[tokio::test]
async fn a_stalled_stream_does_not_harm_a_waiting_one() {
    let pbx = pbx().await;
    let identity = Identity::new();
    let builder = gateway(&pbx)
        .set("relay.idle_timeout_ms", 300)
        .set("pbx.max_downloads", 1)
        .set("pbx.queue_timeout_ms", 60000)
        .tls(&identity);
    let gateway = builder.start().await;
    let connection = identity.http2(gateway.tls_addr()).await;
    let get = |name| gateway.get(name).bearer(&jwt("alice"));

    let stalled = connection.send(get(NAME)).await;
    let other = connection.send(get(SMALL)).await;

    assert_eq!(other.status(), StatusCode::OK);
    assert_eq!(
        other.bytes().await.expect("unharmed"),
        pbx.recording_bytes(SMALL).unwrap()
    );
    drop(stalled);
}

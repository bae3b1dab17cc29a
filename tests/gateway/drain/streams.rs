//! `SIGTERM` during a hundred streams: the real program finishes all of them, from the cache or
//! passed through. It waits neither for a caller who stalls nor for a fill without listeners.

use std::net::SocketAddr;

use bytes::Bytes;
use tokio::task::JoinSet;
use wavegate::simulator::{Api, CallKind, Misbehavior, ScriptedFault, Simulator, Switch, wav};

use super::until_closed;
use crate::harness::admin::number;
use crate::harness::listener::Listener;
use crate::harness::programs::{Ended, Running, admin_address, requests_of, serve};
use crate::harness::{Builder, NAME, gateway, soon};

const STREAMS: usize = 100;
const RECORDINGS: usize = 4;
/// Half of it is far more than all buffers on the way to a listener hold together.
const BYTES: usize = 2 << 20;
const ALICE: &str = "alice";
const CUT: &str = "did not end in time";

/// A PBX that sends the length of each recording.
async fn pbx(recordings: &[(String, Bytes)]) -> Simulator {
    let mut builder = Simulator::builder(Api::SSeries200).switch(Switch::DownloadWithLength);
    for (name, bytes) in recordings {
        builder = builder.recording(name, bytes.clone());
    }
    builder.start().await.unwrap()
}

/// Recordings of different sizes, with their names.
fn recordings() -> Vec<(String, Bytes)> {
    (0..RECORDINGS)
        .map(|number| (format!("{number}.wav"), wav::pcm_of_size(BYTES + number)))
        .collect()
}

/// A gateway that waits for streams as long as a test may take.
fn patient(pbx: &Simulator) -> Builder {
    gateway(pbx)
        .set("relay.idle_timeout_ms", 600000)
        .set("server.drain_timeout_ms", 600000)
}

async fn until_streams(admin: SocketAddr, open: u64) {
    soon(async { while number(admin, "wavegate_streams_open").await != open {} }).await;
}

/// A hundred listeners, some from the start and some from a later place. None of them has read more
/// than one piece.
async fn crowd(addr: SocketAddr, recordings: &[(String, Bytes)]) -> Vec<Listener> {
    let mut crowd = Vec::new();
    for number in 0..STREAMS {
        let (name, bytes) = &recordings[number % recordings.len()];
        let listener = match number % 3 {
            0 => {
                let mut listener = Listener::begin(addr, ALICE, name, bytes).await;
                assert!(listener.next().await.unwrap());
                listener
            }
            _ => {
                let place = number * BYTES / 2 / STREAMS;
                Listener::begin_at(addr, ALICE, name, bytes, place).await
            }
        };
        crowd.push(listener);
    }
    crowd
}

/// Sends SIGTERM while all streams run, and then reads all streams to the end.
async fn ended_under(crowd: Vec<Listener>, running: Running, addr: SocketAddr) -> Ended {
    until_streams(admin_address(&running), STREAMS as u64).await;
    running.signal("TERM");
    until_closed(addr).await;
    let mut listening: JoinSet<()> = crowd.into_iter().map(Listener::finish).collect();
    while let Some(finished) = listening.join_next().await {
        finished.unwrap();
    }
    soon(running.end()).await
}

/// Asserts that the program exited by itself, and that every stream was complete.
#[track_caller]
fn assert_all_complete(ended: &Ended) {
    assert_eq!(ended.code, Some(0));
    assert!(!ended.err.contains(CUT));
    let requests = requests_of(&ended.err, ALICE);
    assert_eq!(requests.len(), STREAMS);
    for request in requests {
        assert_eq!(request["outcome"], "complete", "{request}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_streams_of_recordings_being_read_are_finished() {
    let recordings = recordings();
    let pbx = pbx(&recordings).await;
    // No stream can be complete when the signal comes: the PBX has not sent enough yet.
    let throttle = Misbehavior::Throttle {
        bytes_per_s: BYTES as u64 / 5,
    };
    pbx.inject(ScriptedFault::forever(CallKind::Download, throttle));
    let builder = patient(&pbx).cache();
    let (running, addr) = serve(&builder.write()).await;
    let crowd = crowd(addr, &recordings).await;

    assert_all_complete(&ended_under(crowd, running, addr).await);
    assert_eq!(pbx.seen().tickets_issued, RECORDINGS as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_streams_that_go_straight_through_are_finished() {
    let recordings = recordings();
    let pbx = pbx(&recordings).await;
    let builder = patient(&pbx).set("pbx.max_downloads", STREAMS);
    let (running, addr) = serve(&builder.write()).await;
    let crowd = crowd(addr, &recordings).await;

    assert_all_complete(&ended_under(crowd, running, addr).await);
    assert_eq!(pbx.seen().tickets_issued, STREAMS as u64);
}

#[tokio::test]
async fn a_reader_who_stalls_is_cut_and_the_program_ends_well() {
    // Passed through, from the cache, and through a window of the cache.
    for cache in ["max_bytes = 0", "", "max_recording_bytes = 65536"] {
        let bytes = wav::pcm_of_size(4 * BYTES);
        let pbx = pbx(&[(NAME.to_owned(), bytes.clone())]).await;
        let builder = gateway(&pbx)
            .cache()
            .lines("[cache]", cache)
            .set("relay.idle_timeout_ms", 600000)
            .set("server.drain_timeout_ms", 300);
        let (running, addr) = serve(&builder.write()).await;
        let mut stalled = Listener::begin(addr, ALICE, NAME, &bytes).await;
        assert!(stalled.next().await.unwrap());

        let ended = soon(running.stop()).await;

        assert_eq!(ended.code, Some(0), "{cache}");
        assert!(ended.err.contains(CUT), "{cache}: {}", ended.err);
        let [request] = &*requests_of(&ended.err, ALICE) else {
            panic!("{}", ended.err);
        };
        assert_eq!(request["outcome"], "drained", "{cache}");
        assert!(stalled.until_broken().await < bytes.len());
        soon(pbx.until(|seen| seen.downloads_running == 0)).await;
    }
}

#[tokio::test]
async fn a_recording_that_nobody_listens_to_does_not_hold_the_exit() {
    let bytes = wav::pcm_of_size(BYTES);
    let pbx = pbx(&[(NAME.to_owned(), bytes.clone())]).await;
    // Without the shutdown the fill would wait for the PBX for ten minutes.
    let silence = Misbehavior::Stall {
        after_bytes: BYTES as u64 / 2,
    };
    pbx.inject(ScriptedFault::once(CallKind::Download, silence));
    let builder = patient(&pbx)
        .cache()
        .set("cache.linger_ms", 600000)
        .set("pbx.idle_timeout_ms", 600000)
        .set("pbx.logout", true);
    let (running, addr) = serve(&builder.write()).await;
    let mut listener = Listener::begin(addr, ALICE, NAME, &bytes).await;
    assert!(listener.next().await.unwrap());
    drop(listener);
    until_streams(admin_address(&running), 0).await;
    assert_eq!(pbx.seen().downloads_running, 1);

    let ended = soon(running.stop()).await;

    assert_eq!(ended.code, Some(0));
    assert!(!ended.err.contains(CUT), "{}", ended.err);
    soon(pbx.until(|seen| seen.downloads_running == 0)).await;
    assert_eq!((pbx.seen().logouts, pbx.tokens_live()), (1, 0));
}

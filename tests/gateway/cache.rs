//! The cache entry of a recording after its listeners leave: the download from the PBX stops, the
//! bytes read so far are kept and served, and bytes read later are never of another content. The
//! end of an entry is in [`ends`], the metadata kept after it in [`known`], and waiting for the PBX
//! in [`waiting`].

mod dates;
mod ends;
mod hits;
mod known;
mod resume;
mod waiting;

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Method, StatusCode};
use wavegate::simulator::{Api, Simulator, Switch, wav};

use crate::harness::admin::ask;
use crate::harness::{Answer, Gateway, NAME, gateway, jwt, soon};

const LENGTH: usize = 4_000_000;
/// The number of bytes that are read when the listeners leave.
const READ: usize = 1_000_000;

/// A PBX that sends no more than the first [`READ`] bytes for now.
async fn held(tells_length: bool) -> Simulator {
    let mut builder = Simulator::builder(Api::SSeries200).recording(NAME, wav::pcm_of_size(LENGTH));
    if tells_length {
        builder = builder.switch(Switch::DownloadWithLength);
    }
    let pbx = builder.start().await.unwrap();
    pbx.hold_downloads(READ as u64);
    pbx
}

/// The recording, with one byte changed.
fn changed_at(place: usize) -> Bytes {
    let mut bytes = BytesMut::from(&wav::pcm_of_size(LENGTH)[..]);
    bytes[place] ^= 1;
    bytes.freeze()
}

async fn get(gateway: &Gateway) -> Answer {
    gateway.get(NAME).bearer(&jwt("alice")).send().await
}

/// Begins to get the recording, and reads all that the PBX sends for now.
async fn begin(gateway: &Gateway) -> Answer {
    let mut answer = get(gateway).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let mut heard = 0;
    while heard < READ {
        heard += answer.chunk().await.unwrap().unwrap().len();
    }
    answer
}

/// The bytes of a range, which must be answered exactly, and the ETag of the whole recording.
async fn part(gateway: &Gateway, first: usize, last: usize) -> (Bytes, String) {
    let call = gateway.get(NAME).bearer(&jwt("alice"));
    let call = call.header("range", &format!("bytes={first}-{last}"));
    let answer = call.send().await;
    let range = format!("bytes {first}-{last}/{LENGTH}");
    assert_eq!(answer.header("content-range"), Some(&*range));
    let tag = answer.header("etag").unwrap().to_owned();
    (answer.bytes().await.unwrap(), tag)
}

async fn head(gateway: &Gateway) -> Answer {
    let target = format!("/recordings/{NAME}");
    let call = gateway.request(Method::HEAD, &target);
    call.bearer(&jwt("alice")).send().await
}

fn tickets(pbx: &Simulator) -> u64 {
    pbx.seen().tickets_issued
}

async fn until_let_go(pbx: &Simulator) {
    soon(pbx.until(|seen| seen.downloads_running == 0)).await;
}

/// Waits until a metric is at least this large.
async fn until_metric(gateway: &Gateway, sample: &str, least: u64) {
    let addr = gateway.app.admin_address();
    soon(async {
        loop {
            let metrics = ask(addr, Method::GET, "/metrics", &[]).await.unwrap().text;
            let line = metrics.lines().find_map(|line| line.strip_prefix(sample));
            let value: u64 = line.unwrap().trim().parse().unwrap();
            if value >= least {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

/// A gateway whose fill has stopped after the first bytes of the recording.
async fn stopped(pbx: &Simulator, range: &str) -> Gateway {
    let gateway = gateway(pbx)
        .cache()
        .set("cache.linger_ms", 0)
        .lines("[range]", range);
    let gateway = gateway.start().await;
    drop(begin(&gateway).await);
    until_let_go(pbx).await;
    assert_eq!(pbx.seen().downloads_complete, 0);
    pbx.release_downloads();
    gateway
}

#[tokio::test]
async fn kept_bytes_are_served_without_the_pbx() {
    let pbx = held(true).await;
    let gateway = stopped(&pbx, "").await;
    let whole = wav::pcm_of_size(LENGTH);

    for (first, last) in [
        (0, 1),
        (0, READ - 1),
        (500_000, 500_999),
        (READ - 1, READ - 1),
    ] {
        let (bytes, _) = part(&gateway, first, last).await;
        assert!(bytes == whole[first..=last], "{first}-{last}");
    }
    assert_eq!(head(&gateway).await.status(), StatusCode::OK);
    assert_eq!(tickets(&pbx), 1);

    // A range beyond the kept bytes costs another read, which reads the rest for everyone.
    let (bytes, _) = part(&gateway, READ - 1, READ + 9).await;
    assert!(bytes == whole[READ - 1..READ + 10]);
    assert_eq!(tickets(&pbx), 2);
}

#[tokio::test]
async fn a_stopped_entry_that_is_read_on_becomes_whole() {
    for tells_length in [true, false] {
        let pbx = held(tells_length).await;
        let gateway = stopped(&pbx, "wait_ms = 60000").await;
        let whole = wav::pcm_of_size(LENGTH);
        assert!(gateway.fetch(NAME).await == whole);
        for (first, last) in [(0, 1), (READ - 1, READ), (LENGTH - 1, LENGTH - 1)] {
            let (bytes, _) = part(&gateway, first, last).await;
            assert!(bytes == whole[first..=last], "{first}-{last}");
        }
        assert_eq!(tickets(&pbx), 2);
        assert_eq!(pbx.seen().downloads_complete, 1);
    }
}

#[tokio::test]
async fn a_listener_who_returns_in_time_joins_the_same_download() {
    let pbx = held(true).await;
    let gateway = gateway(&pbx)
        .cache()
        .set("cache.linger_ms", 60000)
        .start()
        .await;
    drop(begin(&gateway).await);
    let again = begin(&gateway).await;
    drop(again);
    let next = get(&gateway).await;
    pbx.release_downloads();
    assert!(next.bytes().await.unwrap() == wav::pcm_of_size(LENGTH));
    let seen = pbx.seen();
    assert_eq!((seen.tickets_issued, seen.downloads_started), (1, 1));
}

#[tokio::test]
async fn a_nearly_complete_recording_is_read_on_without_listeners() {
    for tells_length in [true, false] {
        let pbx = held(tells_length).await;
        pbx.hold_downloads(LENGTH as u64 / 2 + 1_000);
        let gateway = gateway(&pbx)
            .cache()
            .set("cache.linger_ms", 0)
            .set("range.wait_ms", 60000);
        let gateway = gateway.start().await;
        let mut answer = get(&gateway).await;
        let mut heard = 0;
        while heard < LENGTH / 2 + 1_000 {
            heard += answer.chunk().await.unwrap().unwrap().len();
        }
        drop(answer);
        // The gateway has noticed the listener leave once the stream is free again.
        until_streams(&gateway, 0).await;
        pbx.release_downloads();
        soon(pbx.until(|seen| seen.downloads_complete == 1)).await;
        assert!(gateway.fetch(NAME).await == wav::pcm_of_size(LENGTH));
        assert_eq!(tickets(&pbx), 1);
    }
}

#[tokio::test]
async fn an_overlong_recording_is_not_read_on_without_listeners() {
    const MOST: u64 = 2_000_000;
    // The header declares less than half of the recording, so that little seems to be left.
    let recording = wav::riff_size(&wav::pcm_of_size(LENGTH), 1_900_000);
    let builder = Simulator::builder(Api::SSeries200).recording(NAME, recording);
    let pbx = builder.start().await.unwrap();
    pbx.hold_downloads(READ as u64);
    let cache = format!("linger_ms = 0\nmax_recording_bytes = {MOST}");
    let gateway = gateway(&pbx).cache().lines("[cache]", &cache).start().await;
    drop(begin(&gateway).await);
    until_streams(&gateway, 0).await;
    // The PBX now sends more than the gateway would have to read, but not all: only the gateway can
    // end this download.
    pbx.hold_downloads(3_500_000);

    until_let_go(&pbx).await;

    let seen = pbx.seen();
    assert_eq!(seen.downloads_aborted_by_peer, 1);
    assert!(seen.bytes_sent > READ as u64, "it went on for nobody");
    pbx.release_downloads();
    gateway.fetch(NAME).await;
    // The header does not give the true end, so the last download takes two readings.
    assert_eq!(tickets(&pbx), 3);
}

/// Waits until this many answers are being sent.
async fn until_streams(gateway: &Gateway, count: u64) {
    let addr = gateway.app.admin_address();
    let line = format!("wavegate_streams_open {count}\n");
    soon(async {
        loop {
            let metrics = ask(addr, Method::GET, "/metrics", &[]).await.unwrap().text;
            if metrics.contains(&line) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_changed_recording_is_never_joined_to_its_old_beginning() {
    for tells_length in [true, false] {
        let pbx = held(tells_length).await;
        let gateway = stopped(&pbx, "wait_ms = 60000").await;
        // The same length and the same beginning, but one other byte inside the kept part.
        let other = changed_at(600_000);
        pbx.add_recording(NAME, other.clone());

        let answer = get(&gateway).await;
        let old = wav::pcm_of_size(LENGTH);
        let old_tag = answer.header("etag").map(str::to_owned);
        let Err(broken) = answer.bytes().await else {
            panic!("a mixture");
        };
        assert!(old.starts_with(&broken.received), "{broken:?}");
        assert!(broken.received.len() <= READ, "{broken:?}");

        assert!(gateway.fetch(NAME).await == other);
        let (bytes, tag) = part(&gateway, 599_990, 600_009).await;
        assert!(bytes == other[599_990..600_010]);
        assert_ne!(Some(&tag), old_tag.as_ref());
        assert_eq!(tickets(&pbx), 3);
    }
}

#[tokio::test]
async fn a_recording_of_another_length_replaces_the_cached_one() {
    let longer = wav::pcm_of_size(LENGTH + 1_000);
    for tells_length in [true, false] {
        let pbx = held(tells_length).await;
        let gateway = stopped(&pbx, "wait_ms = 60000").await;
        pbx.add_recording(NAME, longer.clone());

        // The gateway notices the other length before it sends the first byte.
        assert!(gateway.fetch(NAME).await == longer);
        assert_eq!(tickets(&pbx), 3);
    }
}

#[tokio::test]
async fn another_content_is_noticed_at_its_first_byte() {
    let pbx = held(true).await;
    let gateway = stopped(&pbx, "").await;
    pbx.add_recording(NAME, changed_at(600_000));
    // The download stops before the gateway could compare the kept part as a whole.
    pbx.hold_downloads(700_000);
    assert!(get(&gateway).await.bytes().await.is_err());
    assert_eq!(tickets(&pbx), 2);
}

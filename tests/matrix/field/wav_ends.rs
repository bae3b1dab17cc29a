//! A WAV header that declares more than there is, from a PBX that sends no length.
//!
//! Asterisk's wav49 writer rounds its sizes up to even and writes the pad byte when it closes the
//! file. A recording of a call that a restart cut is one byte short for ever, and other writers
//! leave the size that they meant to reach. Such a file has no trustworthy end, and neither has one
//! that declares 0 or 0xFFFFFFFF, or an MP3. Two readings that end in an orderly way at the same
//! byte with the same content count as the end.
//!
//! The kind: sizes that are wrong by one, by a pad byte, by the same size again and by 2 GiB; a
//! wrong RIFF size with a correct size of the audio; a list after the audio that is missing, or
//! half there. Ends by close_notify, by a FIN without it, over plain HTTP, by a last chunk, and on
//! connections that stay open; every API generation; HEAD, ranges, HTTP/1.0, with the cache and
//! without; ranges that the PBX serves itself; breaks between the two ends (`mending/ends.rs` has
//! the rows).
//!
//! The rule must not permit more: a reset, another alert, a PBX that falls silent, and an end
//! inside a chunk or between two chunks are cuts. A cut, or two different ends, never look whole. A
//! header that declares less than there is decides as before. A young recording is not cached, and
//! its metadata is not kept. An attacker who can close a stream twice at the same byte can shorten
//! such a recording: the audit log and a metric report it.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use wavegate::simulator::{Api, Simulator, Switch, wav};

use crate::harness::audit::{dir, until};
use crate::harness::metrics::Numbers;
use crate::harness::programs::run_wavegate;
use crate::harness::wire::Wire;
use crate::harness::{Answer, Builder, Gateway, NAME, PBX, gateway, gateway_for, jwt, soon};

const AUDIO: usize = 40_000;
const LENGTH: usize = wav::HEADER_BYTES + AUDIO;
/// The correct RIFF size of such a recording.
const RIGHT: u32 = LENGTH as u32 - 8;
/// The cache off, with its defaults, and with room for a few blocks only.
const CACHES: [&str; 3] = ["max_bytes = 0", "", "max_bytes = 1048576"];
/// Long for a busy machine, and short for a test. Requests always wait for the end.
const PATIENT: &str = "idle_timeout_ms = 1000\nretry_delay_ms = 10";
const WAITING: u32 = 60_000;

/// Recordings whose headers declare more than there is.
fn recordings() -> Vec<(&'static str, Bytes)> {
    let whole = wav::pcm_of_size(LENGTH);
    let with_list =
        |bytes: usize| Bytes::from([&whole[..], &b"LIST\x40\0\0\0INFO"[..bytes]].concat());
    let gsm = wav::gsm(3);
    assert_eq!(gsm.last(), Some(&0), "it has a pad byte");
    vec![
        ("40,001", wav::with_missing(&whole, 1)),
        ("40,008", wav::with_missing(&whole, 8)),
        ("80,000", wav::with_missing(&whole, 40_000)),
        (
            "0x7FFFF000",
            wav::with_missing(&whole, 0x7FFF_F000 - AUDIO as u32),
        ),
        ("the RIFF size alone", wav::riff_size(&whole, RIGHT + 1)),
        ("nearly all ones", wav::riff_size(&whole, u32::MAX - 1)),
        ("no pad byte", gsm.slice(..gsm.len() - 1)),
        ("no list", wav::riff_size(&with_list(0), RIGHT + 72)),
        ("half a list", wav::riff_size(&with_list(12), RIGHT + 72)),
    ]
}

/// The ways in which a PBX ends an answer without a length.
const WAYS: [&[Switch]; 7] = [
    &[],
    &[Switch::NoCloseNotify],
    &[Switch::Tls13],
    &[Switch::PlainHttp],
    &[Switch::DownloadChunked],
    &[Switch::DownloadChunked, Switch::PlainHttp],
    &[Switch::DownloadChunked, Switch::KeepAlive],
];

async fn start(api: Api, switches: &[Switch], name: &str, recording: &Bytes) -> Simulator {
    let mut builder = Simulator::builder(api).recording(name, recording.clone());
    if api == Api::PSeries && !switches.contains(&Switch::DownloadChunked) {
        builder = builder.switch(Switch::DownloadWithoutLength);
    }
    for switch in switches {
        builder = builder.switch(*switch);
    }
    builder.start().await.unwrap()
}

async fn s_series(switches: &[Switch], recording: &Bytes) -> Simulator {
    start(Api::SSeries200, switches, NAME, recording).await
}

fn patient(pbx: &Simulator, cache: &str) -> Builder {
    let builder = gateway_for(pbx, pbx.api());
    builder
        .cache()
        .lines("[cache]", cache)
        .set("range.wait_ms", WAITING)
        .lines("[pbx]", PATIENT)
}

fn tickets(pbx: &Simulator) -> u64 {
    pbx.seen().tickets_issued
}

async fn head(gateway: &Gateway, name: &str) -> Answer {
    let call = gateway.request(Method::HEAD, &format!("/recordings/{name}"));
    call.bearer(&jwt("alice")).send().await
}

/// Requests a range, which must be answered exactly.
async fn check_part(gateway: &Gateway, range: &str, first: usize, part: &[u8], length: usize) {
    let call = gateway.get(NAME).bearer(&jwt("alice"));
    let answer = call.header("range", &format!("bytes={range}")).send().await;
    assert_eq!(answer.status(), StatusCode::PARTIAL_CONTENT, "{range}");
    let told = format!("bytes {first}-{}/{length}", first + part.len() - 1);
    assert_eq!(answer.header("content-range"), Some(&*told), "{range}");
    assert!(answer.bytes().await.unwrap() == part, "{range}");
}

async fn agreed(gateway: &Gateway) -> u64 {
    let numbers = Numbers::of(gateway).await;
    numbers.at(&format!("pbx_agreed_ends_total{{pbx=\"{PBX}\"}}"))
}

/// Checks that the recording is whole at the first request, and that its length is known from then
/// on.
async fn check(api: Api, switches: &[Switch], cache: &str, what: &str, recording: &Bytes) {
    let row = format!("{what} {api} {switches:?} {cache}");
    let pbx = start(api, switches, NAME, recording).await;
    let gateway = patient(&pbx, cache).start().await;
    let answer = gateway.get(NAME).bearer(&jwt("alice")).send().await;
    assert_eq!(answer.status(), StatusCode::OK, "{row}");
    assert_eq!(answer.header("content-length"), None, "{row}");
    match answer.bytes().await {
        Ok(bytes) => assert!(bytes == recording, "{row}: {} bytes", bytes.len()),
        Err(broken) => panic!("{row}: {broken:?}"),
    }
    assert_eq!(tickets(&pbx), 2, "{row}");
    assert_eq!(agreed(&gateway).await, 1, "{row}");

    let length = recording.len();
    let known = head(&gateway, NAME).await;
    let told = known.header("content-length").map(str::to_owned);
    assert_eq!(told, Some(length.to_string()), "{row}");
    assert!(known.header("etag").is_some(), "{row}");
    assert_eq!(tickets(&pbx), 2, "{row}");
    assert!(gateway.fetch(NAME).await == *recording, "{row}");
    check_part(&gateway, "0-1", 0, &recording[..2], length).await;
    check_part(&gateway, "-8", length - 8, &recording[length - 8..], length).await;
    // Without the cache each request costs one ticket, and none needs a second one for the end.
    let spent = if cache == CACHES[0] { 2 + 3 } else { 2 };
    assert_eq!(tickets(&pbx), spent, "{row}");
    assert_eq!(agreed(&gateway).await, 1, "{row}");
}

#[tokio::test]
async fn two_ends_that_agree_are_the_end_whatever_the_header_says() {
    let mut running = JoinSet::new();
    for (number, (what, recording)) in recordings().into_iter().enumerate() {
        running.spawn(async move {
            for (way, switches) in WAYS.into_iter().enumerate() {
                // The first recording with every cache setting, the others with one each.
                let is_meant = |turn: usize| number == 0 || turn == (number + way) % CACHES.len();
                for (turn, cache) in CACHES.into_iter().enumerate() {
                    if is_meant(turn) {
                        check(Api::SSeries200, switches, cache, what, &recording).await;
                    }
                }
            }
        });
    }
    running.join_all().await;
}

#[tokio::test]
async fn every_api_is_served_despite_a_header_that_says_too_much() {
    let recording = wav::with_missing(&wav::pcm_of_size(LENGTH), 1);
    for &api in Api::ALL {
        check(api, &[], CACHES[1], "40,001", &recording).await;
        check(
            api,
            &[Switch::DownloadChunked],
            CACHES[0],
            "40,001",
            &recording,
        )
        .await;
    }
}

#[tokio::test]
async fn a_probe_for_two_bytes_gets_them_and_the_length() {
    for (what, recording) in recordings() {
        for cache in CACHES {
            let pbx = s_series(&[], &recording).await;
            let gateway = patient(&pbx, cache).start().await;
            check_part(&gateway, "0-1", 0, &recording[..2], recording.len()).await;
            let spent = tickets(&pbx);
            assert_eq!(spent, if cache == CACHES[0] { 3 } else { 2 }, "{what}");
            check_part(&gateway, "5-6", 5, &recording[5..7], recording.len()).await;
            let further = if cache == CACHES[0] { 1 } else { 0 };
            assert_eq!(tickets(&pbx), spent + further, "{what}");
        }
    }
}

#[tokio::test]
async fn http_1_0_gets_it_with_its_length() {
    let recording = wav::with_missing(&wav::pcm_of_size(LENGTH), 8);
    for cache in CACHES {
        let pbx = s_series(&[Switch::PlainHttp], &recording).await;
        let gateway = patient(&pbx, cache).start().await;
        let call = gateway.get(NAME).bearer(&jwt("alice")).http10();
        let answer = call.send().await;
        assert_eq!(answer.status(), StatusCode::OK, "{cache}");
        let length = recording.len().to_string();
        assert_eq!(answer.header("content-length"), Some(&*length), "{cache}");
        assert!(answer.bytes().await.unwrap() == recording, "{cache}");
    }
}

#[tokio::test]
async fn head_costs_one_ticket_and_makes_no_length_up() {
    let recording = wav::with_missing(&wav::pcm_of_size(LENGTH), 1);
    let pbx = s_series(&[], &recording).await;
    let gateway = patient(&pbx, CACHES[0]).start().await;
    let answer = head(&gateway, NAME).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.header("content-length"), None);
    assert_eq!(tickets(&pbx), 1);
}

#[tokio::test]
async fn trusted_ranges_use_a_length_that_two_readings_agreed_on() {
    let recording = wav::with_missing(&wav::pcm_of_size(LENGTH), 1);
    let pbx = s_series(&[Switch::HonoursRange], &recording).await;
    let gateway = patient(&pbx, CACHES[0]).set("pbx.upstream_ranges", "trust");
    let gateway = gateway.start().await;
    assert!(gateway.fetch(NAME).await == recording);
    let sent = pbx.seen().bytes_sent;
    for (range, first) in [("30000-30999", 30_000), ("-1000", LENGTH - 1000)] {
        let part = &recording[first..first + 1000];
        check_part(&gateway, range, first, part, LENGTH).await;
    }
    let seen = pbx.seen();
    assert_eq!((seen.range_headers_seen, seen.bytes_sent - sent), (2, 2000));
}

/// Requests a recording that must break off, after this many tickets.
async fn breaks(gateway: &Gateway, pbx: &Simulator, tickets: u64, row: &str) {
    let answer = gateway.get(NAME).bearer(&jwt("alice")).send().await;
    let recording = pbx.recording_bytes(NAME).unwrap();
    match answer.bytes().await {
        Ok(bytes) => panic!("{row}: {} bytes look whole", bytes.len()),
        Err(broken) => assert!(recording.starts_with(&broken.received), "{row}"),
    }
    assert_eq!(pbx.seen().tickets_issued, tickets, "{row}");
    assert_eq!(agreed(gateway).await, 0, "{row}");
}

#[tokio::test]
async fn a_cut_at_the_same_byte_each_time_never_looks_whole() {
    // Its header is correct, or declares too much: no reader can tell the two apart.
    let recording = wav::pcm_of_size(2 * LENGTH);
    let mut running = JoinSet::new();
    for cache in CACHES {
        for switches in WAYS {
            let recording = recording.clone();
            running.spawn(async move {
                let is_chunked = switches.contains(&Switch::DownloadChunked);
                for (fault, is_cut) in [
                    ("reset-after", true),
                    ("stall-after", true),
                    // Inside a chunk that is a cut; otherwise it is an end like any other.
                    ("cut-after", is_chunked),
                ] {
                    let row = format!("{fault} {switches:?} {cache}");
                    let pbx = s_series(switches, &recording).await;
                    let fault = format!("download:{fault}={LENGTH}:times=forever");
                    pbx.inject("download:throttle=4000000:times=forever".parse().unwrap());
                    pbx.inject(fault.parse().unwrap());
                    let gateway = patient(&pbx, cache).start().await;
                    if is_cut {
                        breaks(&gateway, &pbx, 3, &row).await;
                    } else {
                        let came = gateway.fetch(NAME).await;
                        assert!(came == recording[..LENGTH], "{row}");
                        assert_eq!(agreed(&gateway).await, 1, "{row}");
                    }
                }
            });
        }
    }
    running.join_all().await;
}

#[tokio::test]
async fn an_end_between_two_chunks_is_a_cut() {
    let recording = wav::with_missing(&wav::pcm_of_size(LENGTH), 40_000);
    let switches = [Switch::DownloadChunked, Switch::TokenDeathCutsDownload];
    let pbx = s_series(&switches, &recording).await;
    // Slowly, so that the PBX sends several chunks.
    pbx.inject("download:throttle=100000:times=3".parse().unwrap());
    let gateway = patient(&pbx, CACHES[0]).start().await;
    let answer = gateway.get(NAME).bearer(&jwt("alice")).send().await;
    for pass in 1..=3 {
        soon(pbx.until(|seen| seen.downloads_started == pass)).await;
        pbx.expire_tokens();
    }
    let came = answer.bytes().await.map(|bytes| bytes.len());
    assert!(recording.starts_with(&came.unwrap_err().received));
    assert_eq!(tickets(&pbx), 3);
}

#[tokio::test]
async fn an_alert_that_is_not_close_notify_is_a_cut() {
    for switches in [&[][..], &[Switch::Tls13]] {
        for cache in CACHES {
            let pbx = s_series(switches, &wav::pcm_of_size(2 * LENGTH)).await;
            pbx.hold_downloads(LENGTH as u64);
            let wire = Wire::to(&pbx).await;
            let builder = gateway(&pbx)
                .cache()
                .lines("[cache]", cache)
                .set("pbx.idle_timeout_ms", 60000);
            let gateway = builder.pbx_url(wire.url()).start().await;
            let call = gateway.get(NAME).bearer(&jwt("alice"));
            let answer = tokio::spawn(async move { call.send().await.bytes().await });
            for pass in 1..=3 {
                soon(pbx.until(|seen| seen.bytes_sent == pass * LENGTH as u64)).await;
                // A record that cannot be decrypted: the PBX sends an alert, and closes.
                wire.say(&[&b"\x17\x03\x03\0\x40"[..], &[0x55; 64]].concat());
            }
            let came = soon(answer).await.unwrap().map(|bytes| bytes.len());
            let received = came.unwrap_err().received;
            assert!(wav::pcm_of_size(2 * LENGTH).starts_with(&received));
            assert_eq!((tickets(&pbx), agreed(&gateway).await), (3, 0));
        }
    }
}

#[tokio::test]
async fn different_ends_never_look_whole() {
    let recording = wav::with_missing(&wav::pcm_of_size(LENGTH), 40_000);
    for places in [
        [LENGTH, LENGTH - 1, LENGTH - 2, LENGTH - 3],
        [LENGTH - 3, LENGTH - 2, LENGTH - 1, LENGTH],
        [1_000, LENGTH, 1_000, 2_000],
    ] {
        for switches in [&[][..], &[Switch::PlainHttp], &[Switch::DownloadChunked]] {
            for cache in CACHES {
                let row = format!("{places:?} {switches:?} {cache}");
                // The PBX sends all the bytes that it has, so the answer also ends with a last
                // chunk.
                let pbx = s_series(switches, &recording.slice(..places[0])).await;
                for place in &places[1..] {
                    pbx.replace_after_download(NAME, recording.slice(..*place));
                }
                let gateway = patient(&pbx, cache).start().await;
                let answer = gateway.get(NAME).bearer(&jwt("alice")).send().await;
                let came = answer.bytes().await.map(|bytes| bytes.len());
                assert!(
                    recording.starts_with(&came.expect_err(&row).received),
                    "{row}"
                );
                assert_eq!((tickets(&pbx), agreed(&gateway).await), (4, 0), "{row}");
            }
        }
    }
}

#[tokio::test]
async fn a_length_that_is_known_and_fits_the_header_is_not_shortened() {
    let recording = wav::pcm_of_size(LENGTH);
    for switches in WAYS {
        let pbx = s_series(switches, &recording).await;
        let gateway = patient(&pbx, CACHES[0]).start().await;
        assert!(gateway.fetch(NAME).await == recording);
        assert_eq!(tickets(&pbx), 1, "{switches:?}");
        // Two ends agree, at a byte that is known not to be the end.
        for _ in 0..2 {
            pbx.inject("download:cut-after=20000".parse().unwrap());
        }
        assert!(gateway.fetch(NAME).await == recording, "{switches:?}");
        assert_eq!((tickets(&pbx), agreed(&gateway).await), (4, 0));
    }
}

#[tokio::test]
async fn a_young_recording_is_served_and_not_remembered() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let young = format!("20260302091407-{}.7-1001-1003-Internal.wav", now.as_secs());
    for (what, recording) in recordings() {
        for cache in CACHES {
            let pbx = start(Api::SSeries200, &[], &young, &recording).await;
            let gateway = patient(&pbx, cache).start().await;
            for times in 1..=2 {
                assert!(gateway.fetch(&young).await == recording, "{what} {cache}");
                assert_eq!(tickets(&pbx), 2 * times, "{what} {cache}");
            }
            // HEAD must ask the PBX, so the metadata was not kept.
            let answer = head(&gateway, &young).await;
            assert_eq!(answer.header("content-length"), None, "{what} {cache}");
            assert_eq!(answer.header("last-modified"), None, "{what} {cache}");
            assert!(tickets(&pbx) > 4, "{what} {cache}");
        }
    }
}

#[tokio::test]
async fn a_header_that_says_less_does_not_set_the_end() {
    let recording = wav::riff_size(&wav::pcm_of_size(LENGTH), RIGHT - 1000);
    for switches in [
        &[][..],
        &[Switch::PlainHttp],
        &[Switch::DownloadChunked],
        &[Switch::NoCloseNotify],
    ] {
        let pbx = s_series(switches, &recording).await;
        let gateway = patient(&pbx, CACHES[0]).start().await;
        assert!(gateway.fetch(NAME).await == recording, "{switches:?}");
        assert_eq!(
            (tickets(&pbx), agreed(&gateway).await),
            (2, 1),
            "{switches:?}"
        );
    }
    // One end after the declared size does not count: a PBX process that died looks the same.
    let pbx = s_series(&[Switch::PlainHttp], &recording).await;
    for byte in [LENGTH - 500, LENGTH - 400, LENGTH - 300, LENGTH - 200] {
        pbx.inject(format!("download:cut-after={byte}").parse().unwrap());
    }
    let gateway = patient(&pbx, CACHES[0]).start().await;
    let answer = gateway.get(NAME).bearer(&jwt("alice")).send().await;
    assert!(answer.bytes().await.is_err());
}

#[tokio::test]
async fn the_audit_log_tells_of_every_end_that_was_agreed_on() {
    let recordings = [
        (wav::with_missing(&wav::pcm_of_size(LENGTH), 40_000), true),
        (wav::riff_size(&wav::pcm_of_size(LENGTH), 0), true),
        (wav::mp3(30), true),
        (wav::pcm_of_size(LENGTH), false),
    ];
    for (recording, is_agreed) in recordings {
        for cache in CACHES {
            let pbx = s_series(&[], &recording).await;
            let gateway = patient(&pbx, cache).audit().start().await;
            gateway.fetch(NAME).await;
            gateway.fetch(NAME).await;
            head(&gateway, NAME).await;
            let lines = until(&dir(gateway.folder()), "delivery", 3).await;
            for line in &lines {
                let expected = if is_agreed { json!(true) } else { Value::Null };
                assert_eq!(line["agreed_end"], expected, "{cache} {line}");
            }
            // The audit log counts the bytes that came, not those that the header declares.
            let first = &lines[0];
            if first["audio"].is_object() {
                assert_eq!(first["heard_ms"], AUDIO / 16, "{cache}");
                assert_eq!(first["audio"]["end"].is_null(), is_agreed, "{cache}");
            }
            let id = first["id"].as_str().unwrap();
            let folder = dir(gateway.folder());
            let told = run_wavegate(&["why", id, "--dir", folder.to_str().unwrap()]).await;
            let says = told.out.contains("two readings agreed on the end");
            assert_eq!(says, is_agreed, "{}", told.out);
        }
    }
}

#[tokio::test]
async fn a_broken_transfer_logs_no_agreed_end() {
    let recording = wav::with_missing(&wav::pcm_of_size(LENGTH), 1);
    let pbx = s_series(&[], &recording).await;
    pbx.inject("download:stall-after=30000:times=3".parse().unwrap());
    let gateway = patient(&pbx, CACHES[0]).audit().start().await;
    breaks(&gateway, &pbx, 3, "stalled").await;
    let lines = until(&dir(gateway.folder()), "delivery", 1).await;
    assert_eq!(lines[0]["outcome"], "upstream-idle");
    assert!(lines[0].get("agreed_end").is_none());
}

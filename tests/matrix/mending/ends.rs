//! A recording without a trustworthy length is whole when two readings end in an orderly way at the
//! same byte, with the same content. This applies to an MP3, to a header without a size, and to a
//! header that declares more than there is.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::task::JoinSet;
use wavegate::simulator::{Switch, wav};

use super::{CACHES, LENGTH, altered, ask, etag, inject, mp3, start, tight};
use crate::harness::NAME;

/// A fault that takes its turn without an effect: no answer is that long.
const NONE: &str = "cut-after=1000000000";

/// The end of each reading, whether the recording is then whole, and the tickets that it costs.
type Row = (&'static [&'static str], bool, u64);

fn recordings() -> [Bytes; 5] {
    let whole = wav::pcm_of_size(LENGTH);
    [
        mp3(),
        wav::riff_size(&whole, 0),
        wav::riff_size(&whole, u32::MAX),
        wav::with_missing(&whole, 1),
        wav::with_missing(&whole, LENGTH as u32),
    ]
}

async fn check(recording: &Bytes, switches: &[Switch], cache: &str, row: Row) {
    let (passes, is_whole, tickets) = row;
    let row = format!("{passes:?} {switches:?} {cache}");
    let pbx = start(switches, recording).await;
    let gateway = tight(&pbx, cache).start().await;
    for fault in passes {
        inject(&pbx, &format!("download:{fault}"));
    }
    match ask(&gateway, NAME).await.bytes().await {
        Ok(bytes) => assert!(
            is_whole && bytes == recording,
            "{row}: {} bytes look whole",
            bytes.len()
        ),
        Err(broken) => {
            let came = broken.received;
            assert!(!is_whole, "{row}: {} bytes came", came.len());
            assert!(recording.starts_with(&came), "{row}: not as on the PBX");
        }
    }
    assert_eq!(pbx.seen().tickets_issued, tickets, "{row}");
    pbx.clear_faults();
    assert!(gateway.fetch(NAME).await == recording, "{row}: afterwards");
}

#[tokio::test]
async fn two_ends_that_agree_make_a_recording_whole() {
    let rows: [Row; 13] = [
        (&[], true, 2),
        // A shorter end does not count, in whichever reading; the two others agree.
        (&["cut-after=1000"], true, 3),
        (&[NONE, "cut-after=1000"], true, 3),
        (&[NONE, "stall-after=1000"], true, 3),
        (&["stall-after=1000"], true, 3),
        (&[NONE, "cut-after=1000", "cut-after=1000"], true, 4),
        (&[NONE, "cut-after=1000", "cut-after=2000"], true, 4),
        (&["cut-after=1000", "cut-after=2000"], true, 4),
        (&["stall-after=1000", "stall-after=2000"], true, 4),
        // No other reading agrees with the end.
        (
            &["stall-after=1000", "cut-after=500", "cut-after=1000"],
            false,
            4,
        ),
        (
            &["cut-after=1000", "cut-after=2000", "cut-after=3000"],
            false,
            4,
        ),
        (
            &[NONE, "cut-after=1000", "cut-after=1000", "cut-after=1000"],
            false,
            4,
        ),
        // A download is mended twice at most.
        (
            &["stall-after=1000", "stall-after=2000", "stall-after=3000"],
            false,
            3,
        ),
    ];
    let mut running = JoinSet::new();
    for recording in recordings() {
        for switches in [&[][..], &[Switch::PlainHttp]] {
            for cache in CACHES {
                let recording = recording.clone();
                running.spawn(async move {
                    for row in rows {
                        check(&recording, switches, cache, row).await;
                    }
                });
            }
        }
    }
    running.join_all().await;
}

#[tokio::test]
async fn an_equal_end_after_another_content_does_not_count() {
    for recording in &recordings() {
        for switches in [&[][..], &[Switch::PlainHttp]] {
            for cache in CACHES {
                let pbx = start(switches, recording).await;
                let gateway = tight(&pbx, cache).start().await;
                let new = altered(recording, LENGTH / 2);
                pbx.replace_after_download(NAME, new.clone());
                let came = ask(&gateway, NAME).await.bytes().await;
                let came = came.map(|bytes| bytes.len()).unwrap_err().received;
                assert!(recording.starts_with(&came), "{switches:?} {cache}");
                assert_eq!(pbx.seen().tickets_issued, 2);
                assert!(gateway.fetch(NAME).await == new, "{switches:?} {cache}");
                assert!(etag(&gateway).await.is_some());
            }
        }
    }
}

#[tokio::test]
async fn a_length_that_is_known_from_earlier_needs_one_end() {
    for recording in &recordings() {
        for switches in [&[][..], &[Switch::PlainHttp]] {
            let pbx = start(switches, recording).await;
            let gateway = tight(&pbx, "max_bytes = 0").start().await;
            for tickets in [2, 3, 4] {
                assert!(gateway.fetch(NAME).await == recording);
                assert_eq!(pbx.seen().tickets_issued, tickets, "{switches:?}");
            }
            // A shorter end does not count.
            inject(&pbx, "download:cut-after=1000");
            assert!(gateway.fetch(NAME).await == recording);
            assert_eq!(pbx.seen().tickets_issued, 6, "{switches:?}");
            // Three earlier ends: two are mended, the third breaks the transfer.
            for place in [1_000, 2_000, 3_000] {
                inject(&pbx, &format!("download:cut-after={place}"));
            }
            assert!(ask(&gateway, NAME).await.bytes().await.is_err());
            assert_eq!(pbx.seen().tickets_issued, 9, "{switches:?}");
        }
    }
}

#[tokio::test]
async fn a_young_recording_unlike_its_header_is_not_kept() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let young = format!("20260302091407-{}.7-1001-1003-Internal.wav", now.as_secs());
    let whole = wav::pcm_of_size(LENGTH);
    let right = LENGTH as u32 - 8;
    for (name, told, size, tickets) in [
        (young.as_str(), true, right, 1),
        (&young, false, right, 1),
        (&young, true, right - 1000, 2),
        (&young, true, right + 1000, 2),
        (&young, true, 0, 2),
        // Two fetches, each with two ends.
        (&young, false, right - 1000, 4),
        (&young, false, 0, 4),
        (&young, false, u32::MAX, 4),
        (&young, false, right + 1, 4),
        (&young, false, right + 1000, 4),
        // An old recording does not grow any more, so it is cached.
        (NAME, false, right - 1000, 2),
        (NAME, false, 0, 2),
        (NAME, false, right + 1, 2),
    ] {
        let switches: &[Switch] = if told {
            &[Switch::DownloadWithLength]
        } else {
            &[]
        };
        let pbx = start(switches, &whole).await;
        let recording = wav::riff_size(&whole, size);
        pbx.add_recording(name, recording.clone());
        let gateway = tight(&pbx, "").start().await;
        for _ in 0..2 {
            let row = format!("{name} {told} {size}");
            assert!(gateway.fetch(name).await == recording, "{row}");
        }
        assert_eq!(pbx.seen().tickets_issued, tickets, "{name} {told} {size}");
    }
}

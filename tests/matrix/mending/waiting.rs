//! A mend while others wait: for the same recording, for a part of it, or for a place among the
//! downloads.

use std::sync::Arc;

use http::StatusCode;
use wavegate::simulator::{Api, Simulator, Switch, wav};

use super::{CACHES, LENGTH, OTHER, ask, inject, start, tight, with_every_cache};
use crate::harness::metrics::Numbers;
use crate::harness::{NAME, PBX, jwt, soon};

/// The byte at which the connections break.
const BREAK: usize = 200_000;

#[tokio::test]
async fn a_mend_keeps_its_place_while_others_wait_for_it() {
    with_every_cache(|cache| async move {
        let recording = wav::pcm_of_size(LENGTH);
        let pbx = start(&[], &recording).await;
        pbx.add_recording(OTHER, wav::music(1));
        let gateway = Arc::new(tight(&pbx, cache).start().await);
        inject(
            &pbx,
            "download:stall-after=200000 download:stall-after=300000",
        );
        let broken = ask(&gateway, NAME).await;
        let caller = Arc::clone(&gateway);
        let waiting = tokio::spawn(async move {
            let call = caller.get(OTHER).bearer(&jwt("bob"));
            call.send().await.bytes().await.unwrap()
        });
        let waits = format!("pbx_requests_waiting{{pbx=\"{PBX}\"}}");
        soon(async {
            while !waiting.is_finished() && Numbers::of(&gateway).await.at(&waits) < 1 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert!(broken.bytes().await.unwrap() == recording, "{cache}");
        assert!(waiting.await.unwrap() == wav::music(1), "{cache}");
        let seen = pbx.seen();
        assert_eq!(seen.ticket_recordings, [NAME, NAME, NAME, OTHER], "{cache}");
        assert_eq!(seen.downloads_running_max, 1, "{cache}");
    })
    .await;
}

#[tokio::test]
async fn a_mend_is_one_for_all_who_listen() {
    for switches in [&[][..], &[Switch::DownloadWithLength]] {
        let recording = wav::pcm_of_size(LENGTH);
        let pbx = start(switches, &recording).await;
        let gateway = tight(&pbx, "").set("range.wait_ms", 60000).start().await;
        inject(&pbx, &format!("download:stall-after={BREAK}"));
        let one = ask(&gateway, NAME).await;
        let two = ask(&gateway, NAME).await;
        let call = gateway.get(NAME).bearer(&jwt("bob"));
        // The range begins after the break. Without a length it also waits for the end of the
        // recording.
        let part = call.header("range", "bytes=300000-").send().await;
        assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
        assert!(part.bytes().await.unwrap() == recording[300_000..]);
        for answer in [one, two] {
            assert!(answer.bytes().await.unwrap() == recording);
        }
        assert_eq!(pbx.seen().tickets_issued, 2, "{switches:?}");
        let mended = Numbers::of(&gateway)
            .await
            .at("mends_total{outcome=\"mended\"}");
        assert_eq!(mended, 1);
    }
}

#[tokio::test]
async fn every_break_that_was_passed_is_counted() {
    for (faults, mended) in [
        ("", 0),
        ("download:cut-after=100000", 1),
        ("download:cut-after=100000 download:cut-after=300000", 2),
        // With a length: without one these would be two equal ends.
        (
            "download:cut-after=100000:with-length download:cut-after=100000:with-length",
            2,
        ),
        // The second reading breaks before the place of the first break.
        ("download:cut-after=300000 download:cut-after=100000", 1),
    ] {
        for cache in CACHES {
            let pbx = start(&[], &wav::pcm_of_size(LENGTH)).await;
            let gateway = tight(&pbx, cache).start().await;
            inject(&pbx, faults);
            assert!(gateway.fetch(NAME).await == wav::pcm_of_size(LENGTH));
            let numbers = Numbers::of(&gateway).await;
            let mends = ["mended", "failed", "differs"]
                .map(|outcome| numbers.at(&format!("mends_total{{outcome=\"{outcome}\"}}")));
            assert_eq!(mends, [mended, 0, 0], "{faults} {cache}");
        }
    }
}

#[tokio::test]
async fn a_pass_that_is_refused_twice_breaks_the_transfer() {
    with_every_cache(|cache| async move {
        let recording = wav::pcm_of_size(LENGTH);
        for (refusals, is_whole) in [(1, true), (2, false)] {
            let pbx = start(&[], &recording).await;
            let gateway = tight(&pbx, cache).start().await;
            inject(&pbx, &format!("download:stall-after={BREAK}"));
            let answer = ask(&gateway, NAME).await;
            soon(pbx.until(|seen| seen.bytes_sent == BREAK as u64)).await;
            inject(&pbx, &format!("download:garbage:times={refusals}"));
            match answer.bytes().await {
                Ok(bytes) => assert!(is_whole && bytes == recording, "{cache} {refusals}"),
                Err(broken) => {
                    assert!(!is_whole, "{cache} {refusals}");
                    assert!(recording.starts_with(&broken.received));
                }
            }
            assert_eq!(pbx.seen().tickets_issued, 3, "{cache} {refusals}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_pbx_that_is_busy_at_the_mend_is_asked_again() {
    let recording = wav::pcm_of_size(LENGTH);
    for (busy, is_whole) in [(2, true), (3, false)] {
        let pbx = Simulator::builder(Api::PSeries).recording(NAME, recording.clone());
        let pbx = pbx.start().await.unwrap();
        let gateway = tight(&pbx, "").set("pbx.not_ready_retry_ms", [5, 5]);
        let gateway = gateway.start().await;
        inject(&pbx, &format!("download:stall-after={BREAK}"));
        let answer = ask(&gateway, NAME).await;
        soon(pbx.until(|seen| seen.bytes_sent == BREAK as u64)).await;
        inject(&pbx, &format!("get-random:errno=70082:times={busy}"));
        match answer.bytes().await {
            Ok(bytes) => assert!(is_whole && bytes == recording, "{busy}"),
            Err(broken) => assert!(!is_whole && recording.starts_with(&broken.received)),
        }
        assert_eq!(pbx.seen().requests.get_random, 1 + 3);
    }
}

//! The kept beginning of a recording stays valid while its PBX fails, and the rest is read after it
//! once the PBX recovers. It is dropped when the PBX no longer has the recording.

use http::StatusCode;
use wavegate::simulator::wav;

use super::{LENGTH, READ, get, held, part, stopped, tickets};
use crate::harness::{Answer, Gateway, NAME, gateway, jwt};

async fn range(gateway: &Gateway, range: &str) -> Answer {
    let call = gateway.get(NAME).bearer(&jwt("alice"));
    call.header("range", range).send().await
}

/// Requests the bytes after the kept beginning.
async fn beyond(gateway: &Gateway) -> Answer {
    range(gateway, &format!("bytes={READ}-")).await
}

async fn check_part(gateway: &Gateway, first: usize, last: usize) {
    let (bytes, _) = part(gateway, first, last).await;
    let whole = wav::pcm_of_size(LENGTH);
    assert!(bytes == whole[first..=last], "{first}-{last}");
}

#[tokio::test]
async fn kept_bytes_are_served_while_the_pbx_fails_then_completed() {
    for fault in [
        "get-random:status=500",
        "get-random:close-before-answer",
        "download:status=500",
        "download:garbage",
        "download:cut-after=0",
        "download:reset-after=500000",
    ] {
        let pbx = held(true).await;
        let gateway = stopped(&pbx, "").await;
        pbx.inject(format!("{fault}:times=forever").parse().unwrap());
        for _ in 0..2 {
            let answer = beyond(&gateway).await;
            if answer.status().is_success() {
                assert!(answer.bytes().await.is_err(), "{fault}");
            } else {
                let status = answer.problem().await.status.as_u16();
                assert!([502, 503].contains(&status), "{fault}: {status}");
            }
            let spent = tickets(&pbx);
            check_part(&gateway, 0, READ - 1).await;
            check_part(&gateway, 500_000, 500_009).await;
            assert_eq!(tickets(&pbx), spent, "{fault}");
        }
        pbx.clear_faults();

        let spent = tickets(&pbx);
        check_part(&gateway, READ - 10, LENGTH - 1).await;
        assert!(gateway.fetch(NAME).await == wav::pcm_of_size(LENGTH));
        assert_eq!(tickets(&pbx), spent + 1, "{fault}");
    }
}

#[tokio::test]
async fn the_bytes_before_a_third_cut_are_kept() {
    for tells_length in [true, false] {
        // The longest of the three readings is the first, or the last.
        for places in [[READ, 600_000, 800_000], [600_000, 800_000, READ]] {
            let pbx = held(tells_length).await;
            pbx.release_downloads();
            let gateway = gateway(&pbx).cache().set("range.wait_ms", 0).start().await;
            for place in places {
                let announced = if tells_length { ":with-length" } else { "" };
                let fault = format!("download:cut-after={place}{announced}");
                pbx.inject(fault.parse().unwrap());
            }
            assert!(get(&gateway).await.bytes().await.is_err(), "{places:?}");
            // Without a length a cut looks like an end. One more reading shows that the last cut
            // was not the end.
            let spent = if tells_length { 3 } else { 4 };
            assert_eq!(tickets(&pbx), spent, "{places:?}");

            if tells_length {
                check_part(&gateway, 0, READ - 1).await;
                check_part(&gateway, READ - 10, READ - 1).await;
                assert_eq!(tickets(&pbx), spent, "{places:?}");
            }
            assert!(gateway.fetch(NAME).await == wav::pcm_of_size(LENGTH));
            check_part(&gateway, 0, LENGTH - 1).await;
            assert_eq!(tickets(&pbx), spent + 1, "{places:?}");
        }
    }
}

#[tokio::test]
async fn the_beginning_of_a_recording_that_is_gone_goes_with_it() {
    let pbx = held(true).await;
    let gateway = stopped(&pbx, "").await;
    pbx.remove_recording(NAME);
    check_part(&gateway, 0, READ - 1).await;

    assert_eq!(beyond(&gateway).await.status(), StatusCode::NOT_FOUND);

    let answer = range(&gateway, "bytes=0-9").await;
    assert_eq!(answer.problem().await.slug, "recording-not-found");
}

#[tokio::test]
async fn without_a_wait_kept_bytes_are_served_with_length_unknown() {
    let pbx = held(false).await;
    let gateway = stopped(&pbx, "wait_ms = 0").await;
    for (wanted, told, cost) in [
        ("bytes=500000-500009", "bytes 500000-500009/*", 0),
        ("bytes=500000-", "bytes 500000-999999/*", 0),
        ("bytes=999990-2000000", "bytes 999990-999999/*", 0),
        ("bytes=-10", "bytes 3999990-3999999/4000000", 1),
    ] {
        let spent = tickets(&pbx);
        let answer = range(&gateway, wanted).await;
        assert_eq!(answer.header("content-range"), Some(told), "{wanted}");
        assert!(!answer.bytes().await.unwrap().is_empty(), "{wanted}");
        assert_eq!(tickets(&pbx), spent + cost, "{wanted}");
    }
}

#[tokio::test]
async fn a_range_within_the_kept_bytes_does_not_wait_for_the_length() {
    let pbx = held(false).await;
    let gateway = stopped(&pbx, "wait_ms = 60000").await;
    pbx.inject("get-random:status=500:times=forever".parse().unwrap());
    let answer = range(&gateway, "bytes=500000-500009").await;
    assert_eq!(
        answer.header("content-range"),
        Some("bytes 500000-500009/*")
    );
    assert_eq!(answer.bytes().await.unwrap().len(), 10);
    assert_eq!(tickets(&pbx), 1);
    pbx.clear_faults();
    // This range needs all bytes to the end, so the gateway reads on.
    let answer = range(&gateway, "bytes=500000-").await;
    assert_eq!(
        answer.header("content-range"),
        Some("bytes 500000-3999999/4000000")
    );
    assert_eq!(tickets(&pbx), 2);
}

//! A WAV file whose header declares more than there is, for a browser and for `curl`: it plays,
//! comes whole, and never looks whole if it was cut. Other tests of such headers:
//! `tests/matrix/field/wav_ends.rs`.

use bytes::Bytes;
use wavegate::simulator::{Api, Simulator, wav};

use crate::browser;
use crate::harness::programs::program;
use crate::harness::{NAME, gateway};
use crate::players::curl;

async fn pbx(recording: &Bytes) -> Simulator {
    let builder = Simulator::builder(Api::SSeries200).recording(NAME, recording.clone());
    builder.start().await.unwrap()
}

fn tickets(pbx: &Simulator) -> u64 {
    pbx.seen().tickets_issued
}

/// A minute of audio whose header declares one byte too many.
fn minute() -> Bytes {
    wav::with_missing(&wav::music(60), 1)
}

#[tokio::test]
async fn a_header_that_is_one_byte_too_long_plays_in_a_browser() {
    for cache in ["", "max_bytes = 0"] {
        let pbx = pbx(&minute()).await;
        let gateway = gateway(&pbx).cache().lines("[cache]", cache).start().await;
        let Some((duration, position)) = browser::play(&browser::url(gateway.addr())).await else {
            return;
        };
        assert!(position > 1.0, "{cache}");
        assert!((59.0..=61.0).contains(&duration), "{cache} {duration}");
    }
}

#[tokio::test]
async fn curl_gets_it_whole_and_sees_each_of_ten_resets() {
    let Some(program) = program("curl") else {
        return;
    };
    let recording = minute();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("recording.wav");
    for cache in ["", "max_bytes = 0"] {
        let pbx = pbx(&recording).await;
        let gateway = gateway(&pbx)
            .cache()
            .lines("[cache]", cache)
            .set("pbx.idle_timeout_ms", 1000)
            .set("pbx.retry_delay_ms", 10)
            .start()
            .await;
        let url = browser::url(gateway.addr());
        // Fast enough for some bytes to arrive before the reset.
        for fault in ["throttle=4000000", "reset-after=150000"] {
            let fault = format!("download:{fault}:times=forever");
            pbx.inject(fault.parse().unwrap());
        }
        for time in 1..=10 {
            let ended = curl(&program, &[], &file, &url).end().await;
            assert_eq!(ended.code, Some(18), "{cache} {time}: {}", ended.err);
            let came = std::fs::read(&file).unwrap();
            assert!(came.len() < 200_000 && recording.starts_with(&came));
        }
        pbx.clear_faults();
        let ended = curl(&program, &[], &file, &url).end().await;
        assert_eq!((ended.code, &*ended.err), (Some(0), ""), "{cache}");
        assert!(std::fs::read(&file).unwrap() == recording, "{cache}");
        let spent = tickets(&pbx);
        let ended = curl(&program, &[], &file, &url).end().await;
        assert_eq!((ended.code, &*ended.err), (Some(0), ""), "{cache}");
        assert!(std::fs::read(&file).unwrap() == recording, "{cache}");
        assert_eq!(tickets(&pbx) - spent, u64::from(!cache.is_empty()));
    }
}

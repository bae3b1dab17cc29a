//! `Last-Modified` is the start of the call, which is the same while a recording is being written
//! and once it is complete. So only recordings that will not change any more have the field.

use std::time::{Duration, SystemTime};

use http::StatusCode;
use wavegate::simulator::{Api, Simulator, Switch, wav};

use super::{LENGTH, READ};
use crate::harness::{Answer, Gateway, gateway, jwt};

/// The start of a call, this many seconds ago.
fn began(seconds_ago: u64) -> SystemTime {
    SystemTime::now() - Duration::from_secs(seconds_ago)
}

/// The name of the recording of a call that began at this time.
pub(super) fn recording_since(began: SystemTime) -> String {
    let epoch = began.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    format!(
        "20260302091407-{}.7-1001-1003-Internal.wav",
        epoch.as_secs()
    )
}

#[tokio::test]
async fn a_date_stands_for_finished_recordings_only() {
    for (unfinished, dated) in [(true, false), (false, true)] {
        let name = recording_since(began(0));
        let mut builder = Simulator::builder(Api::SSeries200)
            .recording(&name, wav::music(3))
            .switch(Switch::DownloadWithLength);
        if unfinished {
            builder = builder.switch(Switch::RiffSizeZero);
        }
        let pbx = builder.start().await.unwrap();
        let gateway = gateway(&pbx).cache().start().await;
        let answer = gateway.get(&name).bearer(&jwt("alice")).send().await;
        let has_date = answer.header("last-modified").is_some();
        assert_eq!(has_date, dated, "unfinished: {unfinished}");
        answer.bytes().await.unwrap();
    }
}

/// Requests a range of the recording with `If-Range` and this date.
async fn part_if(gateway: &Gateway, name: &str, date: &str) -> Answer {
    let call = gateway.get(name).bearer(&jwt("alice"));
    let call = call.header("range", "bytes=5-9").header("if-range", date);
    call.send().await
}

#[tokio::test]
async fn a_young_recording_is_dated_only_once_it_is_complete() {
    let length = u32::try_from(LENGTH).unwrap();
    for cache in ["", "max_bytes = 0"] {
        for (told, is_complete) in [(length - 8, true), (length - 1_000, false)] {
            let row = format!("{cache} {told}");
            // Long enough ago for the date to be trusted.
            let began = began(600);
            let (name, date) = (recording_since(began), httpdate::fmt_http_date(began));
            let recording = wav::riff_size(&wav::pcm_of_size(LENGTH), told);
            let builder = Simulator::builder(Api::SSeries200).recording(&name, recording.clone());
            let pbx = builder.start().await.unwrap();
            pbx.hold_downloads(READ as u64);
            let gateway = gateway(&pbx)
                .cache()
                .lines("[cache]", cache)
                .set("range.wait_ms", 0)
                .start()
                .await;

            let first = gateway.get(&name).bearer(&jwt("alice")).send().await;
            assert_eq!(first.header("last-modified"), None, "{row}");
            let other = part_if(&gateway, &name, &date).await;
            assert_eq!(other.status(), StatusCode::OK, "{row}");
            assert_eq!(other.header("last-modified"), None, "{row}");
            pbx.release_downloads();
            for answer in [first, other] {
                assert!(answer.bytes().await.unwrap() == recording, "{row}");
            }

            let again = part_if(&gateway, &name, &date).await;
            let status = if is_complete { 206 } else { 200 };
            assert_eq!(again.status(), status, "{row}");
            let dated = is_complete.then_some(&*date);
            assert_eq!(again.header("last-modified"), dated, "{row}");
        }
    }
}

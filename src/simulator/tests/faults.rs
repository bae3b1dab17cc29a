//! Tests of scripted faults over real sockets.

use super::client::{Client, ReceivedAnswer};
use super::*;

/// Downloads twice. A fault strikes the first download only.
async fn two_downloads(what: Misbehavior) -> [Result<ReceivedAnswer, String>; 2] {
    let builder = Simulator::builder(Api::SSeries110).recording(NAME, wav::music(3));
    let pbx = builder
        .fault(ScriptedFault::once(CallKind::Download, what))
        .start()
        .await
        .unwrap();
    let client = Client::of(&pbx);
    [client.fetch(NAME).await, client.fetch(NAME).await]
}

#[track_caller]
fn whole(answer: &Result<ReceivedAnswer, String>) {
    assert_eq!(answer.as_ref().unwrap().body, wav::music(3));
}

#[tokio::test]
async fn a_cut_shows_only_if_the_length_was_announced() {
    for with_length in [true, false] {
        let [first, second] = two_downloads(Misbehavior::Cut {
            after_bytes: 1000,
            with_length,
        })
        .await;
        let first = first.unwrap();
        assert_eq!((first.body.len(), first.ended_cleanly), (1000, true));
        assert_eq!(
            first.field("content-length"),
            with_length.then_some("48308")
        );
        whole(&second);
    }
}

#[tokio::test]
async fn a_cut_in_chunks_ends_inside_a_chunk() {
    for (fault, sent) in [
        (None, 16_308),
        (Some("download:cut-after=1000"), 1000),
        (Some("download:cut-after=1000:with-length"), 1000),
    ] {
        let pbx = Simulator::builder(Api::SSeries110)
            .recording(NAME, wav::music(1))
            .switch(Switch::DownloadChunked)
            .start()
            .await
            .unwrap();
        if let Some(fault) = fault {
            pbx.inject(fault.parse().unwrap());
        }
        let answer = Client::of(&pbx).fetch(NAME).await.unwrap();
        assert_eq!(answer.field("transfer-encoding"), Some("chunked"));
        assert_eq!(answer.field("content-length"), None);
        assert!(answer.body == wav::music(1)[..sent], "{fault:?}");
        assert_eq!(answer.ended_cleanly, fault.is_none());
    }
}

#[tokio::test]
async fn a_reset_breaks_the_connection() {
    let [first, second] = two_downloads(Misbehavior::Reset { after_bytes: 1000 }).await;
    assert!(first.is_err() || first.is_ok_and(|answer| !answer.ended_cleanly));
    whole(&second);
}

#[tokio::test]
async fn a_stall_lasts_until_the_peer_leaves() {
    let pbx = started(Api::SSeries110).await;
    pbx.inject(ScriptedFault::once(
        CallKind::Download,
        Misbehavior::Stall { after_bytes: 1000 },
    ));
    let client = Client::of(&pbx);
    let token = client.login().await.unwrap();
    let random = client.get_random(&token, NAME).await.unwrap();
    let open = client
        .open("GET", &client.download_path(&token, NAME, &random), "")
        .await
        .unwrap();
    pbx.until(|seen| seen.bytes_sent == 1000).await;
    assert_eq!(pbx.seen().downloads_running, 1);
    drop(open);
    pbx.until(|seen| seen.downloads_cut == 1 && seen.downloads_running == 0)
        .await;
}

#[tokio::test]
async fn a_held_download_goes_on_when_released() {
    let pbx = started(Api::SSeries110).await;
    pbx.hold_downloads(1_000);
    let client = Client::of(&pbx);
    let held = async {
        pbx.until(|seen| seen.bytes_sent == 1_000).await;
        // The download goes on to the new limit and stops there again.
        pbx.hold_downloads(1_500);
        pbx.until(|seen| seen.bytes_sent == 1_500).await;
        pbx.release_downloads();
    };
    let (answer, ()) = tokio::join!(client.fetch(NAME), held);
    whole(&answer);
    whole(&client.fetch(NAME).await);
}

#[tokio::test]
async fn a_held_download_ends_when_the_peer_leaves() {
    let pbx = started(Api::SSeries110).await;
    pbx.hold_downloads(1_000);
    let client = Client::of(&pbx);
    tokio::select! {
        _ = client.fetch(NAME) => panic!("it is held"),
        () = pbx.until(|seen| seen.bytes_sent == 1_000) => {}
    }
    pbx.until(|seen| seen.downloads_aborted_by_peer == 1).await;
}

#[tokio::test]
async fn a_removed_recording_is_unknown_until_added_again() {
    let pbx = started(Api::SSeries110).await;
    let client = Client::of(&pbx);
    let token = client.login().await.unwrap();
    pbx.remove_recording(NAME);
    assert_eq!(pbx.recording_bytes(NAME), None);
    assert!(client.get_random(&token, NAME).await.is_err());
    pbx.add_recording(NAME, wav::music(2));
    assert_eq!(client.fetch(NAME).await.unwrap().body, wav::music(2));
}

#[tokio::test]
async fn a_missing_close_notify_is_not_a_clean_end() {
    let [first, second] = two_downloads(Misbehavior::NoCloseNotify).await;
    let first = first.unwrap();
    assert_eq!((first.body.len(), first.ended_cleanly), (48_308, false));
    whole(&second);
}

#[tokio::test]
async fn a_throttled_or_late_answer_is_complete() {
    let [first, _] = two_downloads(Misbehavior::Throttle {
        bytes_per_s: 1_000_000,
    })
    .await;
    whole(&first);
    let [first, _] = two_downloads(Misbehavior::Slow(Duration::from_millis(5))).await;
    whole(&first);
}

#[track_caller]
fn replaced(answers: [Result<ReceivedAnswer, String>; 2], status: u16, start: &[u8]) {
    let [first, second] = answers;
    let first = first.unwrap();
    assert_eq!(first.status, status);
    assert!(
        first.body.starts_with(start) && first.body.is_empty() == start.is_empty(),
        "{first:?}"
    );
    whole(&second);
}

#[tokio::test]
async fn a_fault_replaces_an_answer() {
    replaced(
        two_downloads(Misbehavior::Html { status: 200 }).await,
        200,
        b"<!DOCTYPE",
    );
    replaced(
        two_downloads(Misbehavior::Html { status: 503 }).await,
        503,
        b"<HTML>",
    );
    replaced(two_downloads(Misbehavior::Status(500)).await, 500, b"");
    replaced(two_downloads(Misbehavior::WrongJson).await, 200, b"[");
    replaced(two_downloads(Misbehavior::NotJsonGarbage).await, 200, b"\0");
    replaced(
        two_downloads(Misbehavior::Errno("20014".into())).await,
        200,
        br#"{"status":"Failed","errno":"20014"}"#,
    );
    let [first, second] = two_downloads(Misbehavior::CloseBeforeAnswer).await;
    assert!(first.is_err());
    whole(&second);
}

#[tokio::test]
async fn huge_json_has_ten_mebibytes() {
    let [first, second] = two_downloads(Misbehavior::HugeJson).await;
    assert_eq!(first.unwrap().body.len(), 10 * 1024 * 1024);
    whole(&second);
}

#[tokio::test]
async fn a_token_ends_between_ticket_and_download() {
    let pbx = started(Api::SSeries110).await;
    pbx.inject("get-random:dead-token-after-ticket".parse().unwrap());
    let client = Client::of(&pbx);
    assert_eq!(client.fetch(NAME).await.unwrap().errno(), "20004");
    whole(&client.fetch(NAME).await);
}

#[tokio::test]
async fn a_replaced_login_gives_no_token() {
    let pbx = started(Api::SSeries110).await;
    pbx.inject(ScriptedFault::forever(
        CallKind::Any,
        Misbehavior::Errno("20002".into()),
    ));
    let client = Client::of(&pbx);
    assert_eq!(client.login().await.unwrap_err(), "20002");
    assert_eq!(pbx.tokens_live(), 0);
    pbx.clear_faults();
    whole(&client.fetch(NAME).await);
}

#[tokio::test]
async fn faults_for_one_recording_strike_its_downloads_in_turn() {
    const OTHER: &str = "other.wav";
    for api in [Api::SSeries110, Api::Cloud200] {
        let pbx = started(api).await;
        pbx.add_recording(OTHER, wav::music(3));
        for bytes in [1000, 2000] {
            let what = Misbehavior::Cut {
                after_bytes: bytes,
                with_length: false,
            };
            pbx.inject(ScriptedFault::once(CallKind::Download, what).for_recording(NAME));
        }
        let client = Client::of(&pbx).api(api);
        for (name, bytes) in [(OTHER, 48_308), (NAME, 1000), (OTHER, 48_308), (NAME, 2000)] {
            assert_eq!(client.fetch(name).await.unwrap().body.len(), bytes, "{api}");
        }
        whole(&client.fetch(NAME).await);
    }
}

#[tokio::test]
async fn a_replacement_takes_over_after_one_more_download() {
    let pbx = started(Api::SSeries110).await;
    let client = Client::of(&pbx);
    pbx.replace_after_download(NAME, wav::music(1));
    for recording in [wav::music(3), wav::music(1), wav::music(1)] {
        assert_eq!(pbx.recording_bytes(NAME).unwrap(), recording);
        assert_eq!(client.fetch(NAME).await.unwrap().body, recording);
    }
    pbx.remove_recording(NAME);
    assert_eq!(pbx.recording_bytes(NAME), None);
    assert_eq!(client.fetch(NAME).await.unwrap_err(), "20012");
}

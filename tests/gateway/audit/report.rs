//! The output of the audit commands: who heard which recording, how often and for how long, and the
//! history of one request.

use std::fs;
use std::path::Path;

use http::Method;
use serde_json::{Value, json};
use wavegate::simulator::{Api, Simulator, Switch, wav};

use super::{audited, dir, ended, id};
use crate::harness::audit::{audio_begins, files, report};
use crate::harness::programs::{Ended, run_wavegate};
use crate::harness::{NAME, PBX, gateway, jwt, link};

const INBOUND: &str = "20260302091407-1772442845.1204-+49301234-1003-Inbound.wav";
const OUTBOUND: &str = "20260302091407-1772442845.1205-1003-0049301234-Outbound.wav";

async fn command(dir: &Path, arguments: &[&str]) -> Ended {
    let dir = dir.to_str().unwrap();
    run_wavegate(&[&["audit", "report", dir], arguments].concat()).await
}

/// The recording with a header that declares only the first `bytes` bytes of its audio, as the PBX
/// writes it before the rest is there.
fn with_early_header(recording: &[u8], bytes: u32) -> Vec<u8> {
    let begin = usize::try_from(audio_begins(recording)).unwrap();
    let mut file = recording.to_vec();
    let riff = u32::try_from(begin).unwrap() - 8 + bytes;
    file[4..8].copy_from_slice(&riff.to_le_bytes());
    file[begin - 4..begin].copy_from_slice(&bytes.to_le_bytes());
    file
}

#[tokio::test]
async fn an_early_header_does_not_limit_the_heard_time() {
    let whole = wav::music(3);
    let begin = usize::try_from(audio_begins(&whole)).unwrap();
    let second = wav::BYTES_PER_SECOND;
    let half = begin + usize::try_from(second).unwrap();
    let unknown = |size: u32| {
        let mut file = whole[..half].to_vec();
        file[4..8].copy_from_slice(&size.to_le_bytes());
        file[begin - 4..begin].copy_from_slice(&size.to_le_bytes());
        file
    };
    for switch in [None, Some(Switch::DownloadWithLength)] {
        let builder = Simulator::builder(Api::SSeries200).recording(NAME, whole.clone());
        let builder = switch
            .into_iter()
            .fold(builder, |builder, switch| builder.switch(switch));
        let pbx = builder.start().await.unwrap();
        let gateway = gateway(&pbx).audit().start().await;
        for (file, told_end, heard_ms) in [
            (unknown(0), false, 1000),
            (unknown(u32::MAX), false, 1000),
            (with_early_header(&whole, second / 2), false, 3000),
            (whole.to_vec(), true, 3000),
        ] {
            pbx.add_recording(NAME, file.clone());
            let answer = gateway.get(NAME).bearer(&jwt("alice")).send().await;
            let id = id(&answer);
            assert!(answer.bytes().await.unwrap() == file, "{switch:?}");
            let (_, delivery) = ended(&gateway, &id).await;
            assert_eq!(delivery["heard_ms"], heard_ms, "{switch:?}");
            assert_eq!(delivery["audio"]["end"].is_u64(), told_end, "{switch:?}");
        }
        // The report has the same three seconds, whatever the header declared.
        let rows = report(&dir(&gateway), &["--by", "recording"]).await;
        assert_eq!(
            (&rows[0]["requests"], &rows[0]["heard_s"]),
            (&json!(4), &json!(3.0))
        );
    }
}

#[tokio::test]
async fn a_second_that_was_played_twice_counts_once() {
    let mut builder = Simulator::builder(Api::SSeries200).switch(Switch::DownloadWithLength);
    for name in [NAME, INBOUND, OUTBOUND] {
        builder = builder.recording(name, wav::music(3));
    }
    let pbx = builder.start().await.unwrap();
    let gateway = audited(&pbx).await;
    let rate = u64::from(wav::BYTES_PER_SECOND);
    let begin = audio_begins(&wav::music(3));
    let part = async |who: &str, name: &str, first: u64, last: u64| {
        let range = format!("bytes={first}-{last}");
        let answer = gateway
            .get(name)
            .bearer(&jwt(who))
            .header("range", &range)
            .send()
            .await;
        answer.bytes().await.unwrap().len() as u64
    };
    // Two seconds that overlap by half, and then both of them again.
    let mut bytes = part("alice", NAME, begin, begin - 1 + rate).await;
    bytes += part("alice", NAME, begin + rate / 2, begin - 1 + 2 * rate).await;
    bytes += part("alice", NAME, begin, begin - 1 + 2 * rate).await;
    part("bob", INBOUND, begin, begin - 1 + rate).await;
    part("bob", OUTBOUND, begin, begin - 1 + rate).await;
    let target = format!("/recordings/{INBOUND}?link={}", link(PBX, NAME));
    gateway
        .request(Method::GET, &target)
        .send()
        .await
        .problem()
        .await;
    let folder = dir(&gateway);
    assert!(gateway.app.shut_down().await);

    let rows = report(&folder, &["--by", "recording"]).await;
    let told = |row: &Value| {
        let members = ["recording", "subject", "requests", "denied", "heard_s"];
        members.map(|name| row[name].clone())
    };
    let expected = [
        [json!(NAME), json!("alice"), json!(3), json!(0), json!(2.0)],
        [json!(INBOUND), json!("bob"), json!(1), json!(1), json!(0.0)],
        [json!(INBOUND), json!("bob"), json!(1), json!(0), json!(1.0)],
        [
            json!(OUTBOUND),
            json!("bob"),
            json!(1),
            json!(0),
            json!(1.0),
        ],
    ];
    // bob of a link key and bob of the issuer are two principals.
    assert_eq!(rows.iter().map(told).collect::<Vec<_>>(), expected);
    assert_eq!(rows[0]["bytes"], bytes);
    assert_eq!(
        (&rows[1]["issuer"], &rows[1]["pbx"]),
        (&json!("crm"), &json!(PBX))
    );

    let people = report(&folder, &["--by", "person"]).await;
    let subjects: Vec<_> = people
        .iter()
        .map(|row| row["subject"].as_str().unwrap())
        .collect();
    assert_eq!(subjects, ["bob", "alice", "bob", "bob"]);
    for by in ["hour", "day"] {
        let rows = report(&folder, &["--by", by]).await;
        let sum = |name: &str| {
            rows.iter()
                .map(|row| row[name].as_f64().unwrap())
                .sum::<f64>()
        };
        // The hour or the day may have changed between the requests.
        assert!(sum("requests") == 6.0 && sum("denied") == 1.0 && sum("heard_s") >= 4.0);
    }
    for party in ["+49 30 1234", "0049301234"] {
        let rows = report(&folder, &["--party", party]).await;
        assert!(rows.len() == 3 && rows.iter().all(|row| row["recording"] != NAME));
    }
    assert!(report(&folder, &["--party", "1003"]).await.is_empty());
    assert!(report(&folder, &["--to", "2020-01-01"]).await.is_empty());
    assert_eq!(
        report(&folder, &["--from", "2020-01-01T00:00:00Z"])
            .await
            .len(),
        4
    );
}

#[tokio::test]
async fn the_report_escapes_terminal_codes_and_formulas() {
    let recording = wav::music(1);
    let pbx = Simulator::builder(Api::SSeries200).recording(INBOUND, recording);
    let pbx = pbx.start().await.unwrap();
    let gateway = audited(&pbx).await;
    gateway
        .get(INBOUND)
        .bearer(&jwt("=HYPERLINK(\"x\")"))
        .send()
        .await
        .bytes()
        .await
        .unwrap();
    let folder = dir(&gateway);
    assert!(gateway.app.shut_down().await);
    // A line of the log now contains a terminal escape sequence.
    let file = files(&folder).remove(0);
    let text = fs::read_to_string(&file).unwrap();
    fs::write(
        &file,
        text.replace(PBX, "\\u001b]0;owned\\u0007\\u009b2J\\u202e"),
    )
    .unwrap();

    let csv = command(&folder, &["--format", "csv"]).await.out;
    assert!(csv.contains("\"'=HYPERLINK(\"\"x\"\")\""), "{csv}");
    for format in ["table", "csv", "json"] {
        let out = command(&folder, &["--format", format]).await.out;
        assert!(
            out.contains("\\u001b]0;owned\\u0007\\u009b2J\\u202e"),
            "{out}"
        );
        let obeyed = |character: char| character.is_control() && !"\r\n".contains(character);
        assert!(!out.contains(obeyed) && !out.contains('\u{202e}'));
    }
    let ended = run_wavegate(&["audit", "verify", folder.to_str().unwrap()]).await;
    assert_eq!(ended.code, Some(1));
}

#[tokio::test]
async fn why_prints_the_log_lines_of_a_request_id() {
    let pbx = super::pbx().await;
    let gateway = gateway(&pbx).cache().audit().start().await;
    let call = gateway
        .get(NAME)
        .bearer(&jwt("alice"))
        .header("range", "bytes=0-");
    let answer = call.send().await;
    let id = id(&answer);
    answer.bytes().await.unwrap();
    ended(&gateway, &id).await;
    let folder = dir(&gateway);
    let folder = folder.to_str().unwrap();
    let why = async |id: &str| run_wavegate(&["why", id, "--dir", folder]).await;
    let told = why(id.as_str().unwrap()).await;
    assert_eq!(told.code, Some(0), "{}", told.err);
    let lines: Vec<_> = told.out.lines().collect();
    assert_eq!(lines.len(), 2, "{}", told.out);
    assert!(
        lines[0].contains("alice of https://idp.test asked from 127.0.0.1"),
        "{}",
        lines[0]
    );
    assert!(lines[0].contains(", bytes=0-): allowed"), "{}", lines[0]);
    assert!(
        lines[1].contains("answered 206") && lines[1].contains("3.000 s of audio"),
        "{}",
        lines[1]
    );
    let none = why("nobody").await;
    assert_eq!((none.code, &*none.out), (Some(1), ""));
    let unreadable = run_wavegate(&["why", "x", "--dir", "/nonexistent"]).await;
    assert_eq!(unreadable.code, Some(2));
}

//! Players that request a recording in pieces get all pieces, and the PBX is read once: Safari by a
//! log of its requests, `curl` and FFmpeg themselves.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use wavegate::simulator::{Api, Simulator, Switch, wav};

use crate::harness::programs::{Ended, Running, program};
use crate::harness::{Answer, Gateway, NAME, PBX, gateway, link, soon};

async fn pbx(whole: &Bytes, tells_length: bool) -> Simulator {
    let mut builder = Simulator::builder(Api::SSeries200).recording(NAME, whole.clone());
    if tells_length {
        builder = builder.switch(Switch::DownloadWithLength);
    }
    builder.start().await.unwrap()
}

fn target() -> String {
    format!("/pbx/{PBX}/recordings/{NAME}?link={}", link(PBX, NAME))
}

fn url(gateway: &Gateway) -> String {
    format!("http://{}{}", gateway.addr(), target())
}

/// Requests always wait for the end of a recording.
const PATIENT: u32 = 60_000;

/// The length of the file in the log below, and its requests: two bytes, the whole, and after a
/// click on the time line the rest from there; then pieces of 64 KiB before that.
///
/// Source: a server's log of Safari, in github.com/lukekarrys/livefromquarantine.club, issue 244
/// (2021-04-20). The first three are the same in github.com/soundcloud/areweplayingyet, issue 49
/// (2014-02-05).
const SAFARI_LENGTH: u64 = 25_718_013;
const SAFARI: [(u64, u64); 6] = [
    (0, 1),
    (0, 25_718_012),
    (7_471_104, 25_718_012),
    (7_274_496, 7_340_031),
    (7_340_032, 7_405_567),
    (7_405_568, 7_471_103),
];
/// The bytes that it reads of a request before it leaves.
const SAFARI_HEARS: usize = 1 << 20;

async fn ask_as_safari(gateway: &Gateway, first: u64, last: u64) -> Answer {
    let call = gateway
        .request(Method::GET, &target())
        .header("range", &format!("bytes={first}-{last}"))
        .header("accept", "*/*")
        .header("accept-encoding", "identity")
        .header(
            "x-playback-session-id",
            "6E7B1D5A-0000-4000-8000-000000000001",
        );
    let answer = call.send().await;
    // It accepts nothing else: no 200, and no range of an unknown total length.
    assert_eq!(answer.status(), StatusCode::PARTIAL_CONTENT);
    let range = format!("bytes {first}-{last}/{SAFARI_LENGTH}");
    assert_eq!(answer.header("content-range"), Some(&*range));
    let length = (last - first + 1).to_string();
    assert_eq!(answer.header("content-length"), Some(&*length));
    assert_eq!(answer.header("accept-ranges"), Some("bytes"));
    answer
}

#[tokio::test]
async fn the_requests_of_safari_cost_one_ticket() {
    let whole = wav::pcm_of_size(usize::try_from(SAFARI_LENGTH).unwrap());
    for tells_length in [true, false] {
        let pbx = pbx(&whole, tells_length).await;
        let gateway = gateway(&pbx)
            .cache()
            .set("range.wait_ms", PATIENT)
            .start()
            .await;
        for (number, (first, last)) in SAFARI.into_iter().enumerate() {
            let mut answer = ask_as_safari(&gateway, first, last).await;
            let part = usize::try_from(first).unwrap()..=usize::try_from(last).unwrap();
            let part = whole.slice(part);
            if number == 1 {
                let mut heard = 0;
                while heard < SAFARI_HEARS {
                    let piece = answer.chunk().await.unwrap().unwrap();
                    assert!(part[heard..].starts_with(&piece));
                    heard += piece.len();
                }
            } else {
                assert!(answer.bytes().await.unwrap() == part, "{first}-{last}");
            }
        }
        let seen = pbx.seen();
        assert_eq!((seen.tickets_issued, seen.downloads_started), (1, 1));
        assert_eq!(seen.range_headers_seen, 0);
    }
}

/// Starts `curl` for the recording, into a file.
pub(crate) fn curl(program: &Path, arguments: &[&str], file: &Path, url: &str) -> Running {
    let mut command = Command::new(program);
    command
        .args(["--silent", "--show-error", "--noproxy", "*"])
        .args(arguments)
        .arg("--output")
        .arg(file)
        .arg(url)
        .stdin(Stdio::null());
    Running::start(&mut command)
}

#[track_caller]
fn succeeded(ended: &Ended) {
    assert_eq!((ended.code, &*ended.err), (Some(0), ""));
}

#[tokio::test]
async fn curl_resumes_a_download_that_was_cut() {
    let Some(program) = program("curl") else {
        return;
    };
    let whole = wav::pcm_of_size(2_000_000);
    for (tells_length, cache) in [(true, ""), (false, ""), (false, "max_bytes = 0")] {
        let pbx = pbx(&whole, tells_length).await;
        let gateway = gateway(&pbx)
            .cache()
            .lines("[cache]", cache)
            .set("range.wait_ms", PATIENT)
            .start()
            .await;
        let (folder, url) = (tempfile::tempdir().unwrap(), url(&gateway));
        let file = folder.path().join("recording.wav");
        let has = || std::fs::read(&file).unwrap_or_default();

        pbx.hold_downloads(500_000);
        let cut = curl(&program, &["--no-buffer"], &file, &url);
        soon(async {
            while has().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        cut.stop().await;
        let begun = has();
        assert!(begun.len() <= 500_000 && whole.starts_with(&begun));
        pbx.release_downloads();

        let resume = ["--continue-at", "-"];
        succeeded(&curl(&program, &resume, &file, &url).end().await);
        assert!(has() == whole);
        // Resuming a complete file does no harm.
        succeeded(&curl(&program, &resume, &file, &url).end().await);
        assert!(has() == whole);
        if cache.is_empty() {
            assert_eq!(pbx.seen().tickets_issued, 1);
        }
    }
}

/// The output of `ffprobe` for the recording.
async fn ffprobe(program: &Path, arguments: &[&str], url: &str) -> String {
    let mut command = Command::new(program);
    command
        .args(["-v", "error", "-of", "csv=p=0"])
        .args(arguments)
        .arg(url)
        .stdin(Stdio::null());
    let ended = Running::start(&mut command).end().await;
    succeeded(&ended);
    ended.out.trim().trim_end_matches(',').to_owned()
}

#[tokio::test]
async fn ffprobe_reads_the_true_duration_and_jumps() {
    let Some(program) = program("ffprobe") else {
        return;
    };
    let whole = wav::music(600);
    for tells_length in [true, false] {
        let pbx = pbx(&whole, tells_length).await;
        let gateway = gateway(&pbx)
            .cache()
            .set("range.wait_ms", PATIENT)
            .start()
            .await;
        let url = url(&gateway);

        let duration = ["-show_entries", "format=duration,size"];
        let told = ffprobe(&program, &duration, &url).await;
        assert_eq!(told, format!("600.000000,{}", whole.len()));
        // The first packet at nine minutes.
        let jump = [
            "-read_intervals",
            "540%+#1",
            "-show_entries",
            "packet=pts_time",
        ];
        let place: f64 = ffprobe(&program, &jump, &url).await.parse().unwrap();
        assert!((539.0..=540.0).contains(&place), "{place}");
        assert_eq!(pbx.seen().tickets_issued, 1);
    }
}

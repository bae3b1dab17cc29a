//! Ten thousand downloads by fifty people, with ranges and disconnects: the report agrees with the
//! bytes that each of them counted.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use http::Method;
use tokio::task::JoinSet;
use wavegate::simulator::{Api, Simulator, Switch, wav};

use crate::harness::audit::{HEAD_PUBLIC_KEY, audio_begins, dir, of_kind, report, verified};
use crate::harness::{Call, NAME, gateway, jwt};

const PEOPLE: u64 = 50;
const DOWNLOADS: u64 = 10_000;
const RECORDINGS: usize = 8;
/// One person in this many sometimes leaves before the end.
const RESTLESS: u64 = 5;
/// The bytes that may be on their way when a caller leaves: the socket's buffers on both sides, and
/// the gateway's.
const SEND_BUFFERS: u64 = 8 << 20;
/// A recording whose transfers are cut. It is longer than all buffers on the way.
const LONG: &str = "20260302091407-1772442845.9999-1001-1003-Internal.wav";
const LONG_BYTES: usize = 24 << 20;

/// Numbers that are the same in every run: an LCG with the constants of MMIX.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

fn name(index: usize) -> String {
    NAME.replace(".1203-", &format!(".{index}-"))
}

fn size(index: usize) -> u64 {
    20_000 + 5_000 * index as u64
}

/// The counts of one person for one recording.
#[derive(Default, Clone)]
struct Counted {
    requests: u64,
    /// Bytes that arrived.
    bytes: u64,
    /// Bytes that may have been on their way when the person left.
    further: u64,
    /// For each byte, whether it belongs to the audio and arrived in any of the requests.
    audio: Vec<bool>,
}

impl Counted {
    fn got(&mut self, first: u64, bytes: u64, begin: u64) {
        self.requests += 1;
        self.bytes += bytes;
        let (from, end) = (first.max(begin) as usize, (first + bytes) as usize);
        if from < end {
            self.audio.resize(self.audio.len().max(end), false);
            self.audio[from..end].fill(true);
        }
    }

    fn milliseconds(&self) -> u64 {
        self.audio.iter().filter(|came| **came).count() as u64 * 1000
            / u64::from(wav::BYTES_PER_SECOND)
    }
}

/// One person's downloads.
async fn downloads(addr: SocketAddr, person: u64, begin: u64) -> BTreeMap<String, Counted> {
    let token = jwt(&format!("person-{person}"));
    let mut dice = Dice(person);
    let mut counted: BTreeMap<String, Counted> = BTreeMap::new();
    for _ in 0..DOWNLOADS / PEOPLE {
        let index = dice.below(RECORDINGS as u64) as usize;
        let (name, size) = (name(index), size(index));
        let target = format!("/recordings/{name}");
        let call = Call::new(addr, Method::GET, &target).bearer(&token);
        let one = counted.entry(name).or_default();
        let (call, first) = match dice.below(3) {
            0 => (call, 0),
            1 => {
                let first = dice.below(size);
                let last = (first + dice.below(9_000)).min(size - 1);
                (
                    call.header("range", &format!("bytes={first}-{last}")),
                    first,
                )
            }
            _ => {
                let last = 1 + dice.below(size);
                (call.header("range", &format!("bytes=-{last}")), size - last)
            }
        };
        let mut answer = call.send().await;
        assert!(answer.status().is_success());
        if person.is_multiple_of(RESTLESS) && dice.below(4) == 0 {
            let length: u64 = answer.header("content-length").unwrap().parse().unwrap();
            let received = answer.chunk().await.unwrap().unwrap().len() as u64;
            one.further += length - received;
            one.got(first, received, begin);
        } else {
            let received = answer.bytes().await.unwrap().len() as u64;
            one.got(first, received, begin);
        }
    }
    counted
}

/// Begins to read the long recording, and leaves.
async fn leave(addr: SocketAddr, person: u64, begin: u64) -> (u64, Counted) {
    let token = jwt(&format!("person-{person}"));
    let target = format!("/recordings/{LONG}");
    let mut answer = Call::new(addr, Method::GET, &target)
        .bearer(&token)
        .send()
        .await;
    let mut received = 0;
    while received < 50_000 + 10_000 * person {
        received += answer.chunk().await.unwrap().unwrap().len() as u64;
    }
    let mut counted = Counted {
        further: SEND_BUFFERS,
        ..Counted::default()
    };
    counted.got(0, received, begin);
    (person, counted)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_tells_what_each_client_counted() {
    let mut builder = Simulator::builder(Api::SSeries200).switch(Switch::DownloadWithLength);
    for index in 0..RECORDINGS {
        builder = builder.recording(name(index), wav::pcm_of_size(size(index) as usize));
    }
    builder = builder.recording(LONG, wav::pcm_of_size(LONG_BYTES));
    let pbx = builder.start().await.unwrap();
    let gateway = gateway(&pbx)
        .cache()
        .audit()
        .set("log.level", "error")
        .start()
        .await;
    let begin = audio_begins(&wav::pcm_of_size(LONG_BYTES));
    let (addr, folder) = (gateway.addr(), Arc::new(dir(gateway.folder())));

    let begun = Instant::now();
    let mut people = JoinSet::new();
    for person in 0..PEOPLE {
        people.spawn(async move { (person, downloads(addr, person, begin).await) });
    }
    let mut counted: BTreeMap<(String, String), Counted> = BTreeMap::new();
    for (person, downloads) in people.join_all().await {
        for (name, one) in downloads {
            counted.insert((name, format!("person-{person}")), one);
        }
    }
    let seconds = begun.elapsed().as_secs_f32();
    let mut leaving = JoinSet::new();
    (0..PEOPLE).for_each(|person| drop(leaving.spawn(leave(addr, person, begin))));
    for (person, one) in leaving.join_all().await {
        counted.insert((LONG.to_owned(), format!("person-{person}")), one);
    }
    assert!(gateway.app.shut_down().await);

    let rows = report(&folder, &["--by", "recording"]).await;
    assert_eq!(rows.len(), counted.len());
    let mut exact = 0;
    for row in rows {
        let text = |name: &str| row[name].as_str().unwrap().to_owned();
        let one = &counted[&(text("recording"), text("subject"))];
        let (bytes, heard) = (
            row["bytes"].as_u64().unwrap(),
            row["heard_s"].as_f64().unwrap(),
        );
        let heard_ms = (heard * 1000.0).round() as u64;
        assert_eq!(
            (&row["requests"], &row["denied"]),
            (&one.requests.into(), &0.into())
        );
        // If every transfer was whole, `further` is 0, and both numbers are equal.
        let (further, ms) = (one.further, one.milliseconds());
        assert!((one.bytes..=one.bytes + further).contains(&bytes), "{row}");
        let further_ms = (further * 1000).div_ceil(u64::from(wav::BYTES_PER_SECOND));
        assert!((ms..=ms + further_ms).contains(&heard_ms), "{row}");
        exact += u64::from(further == 0);
    }
    assert!(exact > PEOPLE, "{exact}");
    let decisions = of_kind(&folder, "decision").len() as u64;
    assert_eq!(decisions, DOWNLOADS + PEOPLE);
    assert_eq!(of_kind(&folder, "delivery").len() as u64, decisions);
    let told = verified(&folder, &["--key", HEAD_PUBLIC_KEY]).await;
    assert!(told.contains("It agrees with"), "{told}");
    println!("{DOWNLOADS} downloads in {seconds:.1} s");
}

//! Many downloads at once, over connections that break at random places.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use tokio::task::JoinSet;
use wavegate::simulator::{Api, CallKind, Misbehavior, ScriptedFault, Simulator, Switch, wav};

use super::{CACHES, ask};
use crate::harness::metrics::Numbers;
use crate::harness::{Gateway, gateway};

const BYTES: usize = 1 << 20;
const SEED: u64 = 0x9E37_79B9_7F4A_7C15;
/// The ways in which a PBX ends its downloads. With three cache settings each there are twelve
/// combinations.
const WAYS: [&[Switch]; 4] = [
    &[],
    &[Switch::PlainHttp],
    &[Switch::DownloadWithLength],
    &[Switch::PlainHttp, Switch::DownloadWithLength],
];
/// Downloads from one PBX, so 504 in all.
const DOWNLOADS: usize = 42;
/// Concurrent callers of one gateway.
const CALLERS: usize = 14;
/// The number of different contents. Consecutive recordings never have the same.
const CONTENTS: usize = 7;
const LIMITS: &str = "max_downloads = 16\nidle_timeout_ms = 2000\nretry_delay_ms = 10";

/// A PBX with recordings, and the number of breaks.
struct Plan {
    pbx: Simulator,
    recordings: Vec<(String, Bytes)>,
    breaks: u64,
}

/// Numbers that are the same in every run (xorshift64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    /// A break at a random byte after the first twelve, which identify the format. An earlier break
    /// is also retried, but does not count as a mend.
    fn a_break(&mut self, with_length: bool) -> Misbehavior {
        let after_bytes = 12 + self.below(BYTES as u64 - 12);
        match self.below(5) {
            0 | 1 => Misbehavior::Cut {
                after_bytes,
                with_length,
            },
            2 | 3 => Misbehavior::Reset { after_bytes },
            _ => Misbehavior::Stall { after_bytes },
        }
    }
}

impl Plan {
    /// `times` returns the number of breaks of a recording.
    async fn new(
        switches: &[Switch],
        downloads: usize,
        times: fn(&mut Dice) -> u64,
        mut dice: Dice,
    ) -> Self {
        let contents: Vec<_> = (0..CONTENTS).map(content).collect();
        let with_length = switches.contains(&Switch::DownloadWithLength);
        let mut builder = Simulator::builder(Api::SSeries200);
        let (mut recordings, mut breaks) = (Vec::new(), 0);
        for number in 0..downloads {
            let (name, bytes) = (format!("{number}.wav"), &contents[number % CONTENTS]);
            builder = builder.recording(&name, bytes.clone());
            for _ in 0..times(&mut dice) {
                let what = dice.a_break(with_length);
                builder = builder
                    .fault(ScriptedFault::once(CallKind::Download, what).for_recording(&name));
                breaks += 1;
            }
            recordings.push((name, bytes.clone()));
        }
        for switch in switches {
            builder = builder.switch(*switch);
        }
        Self {
            pbx: builder.start().await.unwrap(),
            recordings,
            breaks,
        }
    }

    /// Gets every recording once with several callers, and returns whether each was whole.
    async fn carry_out(&self, cache: &str) -> (Vec<bool>, Arc<Gateway>) {
        let gateway = gateway(&self.pbx)
            .cache()
            .lines("[cache]", cache)
            .lines("[pbx]", LIMITS);
        let gateway = Arc::new(gateway.start().await);
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            let mine = self.recordings.iter().skip(caller).step_by(CALLERS);
            let (mine, gateway) = (mine.cloned().collect(), Arc::clone(&gateway));
            callers.spawn(async move { get_all(&gateway, mine).await });
        }
        let results = callers.join_all().await;
        (results.concat(), gateway)
    }
}

/// Gets one recording after the other, and returns whether each was whole. Asserts that all bytes
/// are right.
async fn get_all(gateway: &Gateway, recordings: Vec<(String, Bytes)>) -> Vec<bool> {
    let mut results = Vec::new();
    for (name, expected) in recordings {
        let answer = ask(gateway, &name).await;
        assert_eq!(answer.status(), StatusCode::OK, "{name}");
        let (is_right, is_whole) = match answer.bytes().await {
            Ok(bytes) => (bytes == expected, true),
            Err(broken) => (expected.starts_with(&broken.received), false),
        };
        assert!(is_right, "{name}, whole: {is_whole}");
        results.push(is_whole);
    }
    results
}

/// Recordings of one length and beginning that differ everywhere else.
fn content(number: usize) -> Bytes {
    let mut bytes = wav::pcm_of_size(BYTES).to_vec();
    for byte in &mut bytes[600..] {
        *byte ^= number as u8;
    }
    bytes.into()
}

/// Every way with every cache setting: twelve PBXs, each with a gateway of its own.
async fn every_way(downloads: usize, times: fn(&mut Dice) -> u64, check: fn(&Plan, Outcome)) {
    let mut running = JoinSet::new();
    let ways = WAYS
        .iter()
        .flat_map(|switches| CACHES.map(|cache| (switches, cache)));
    for (way, (switches, cache)) in (1..).zip(ways) {
        running.spawn(async move {
            let plan = Plan::new(switches, downloads, times, Dice(SEED.wrapping_mul(way))).await;
            let (results, gateway) = plan.carry_out(cache).await;
            assert_eq!(results.len(), downloads);
            let numbers = Numbers::of(&gateway).await;
            let mends =
                |outcome: &str| numbers.at(&format!("mends_total{{outcome=\"{outcome}\"}}"));
            let outcome = Outcome {
                way: format!("{switches:?} {cache}"),
                whole: results.into_iter().filter(|is_whole| *is_whole).count(),
                mended: mends("mended"),
                failed: mends("failed"),
                differs: mends("differs"),
            };
            check(&plan, outcome);
        });
    }
    running.join_all().await;
}

/// The result of a plan.
#[derive(Debug)]
#[expect(dead_code, reason = "shown where it is wrong")]
struct Outcome {
    way: String,
    whole: usize,
    mended: u64,
    failed: u64,
    differs: u64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_downloads_with_one_or_two_breaks_are_whole() {
    every_way(
        DOWNLOADS,
        |dice| 1 + dice.below(2),
        |plan, outcome| {
            let (seen, downloads) = (plan.pbx.seen(), DOWNLOADS as u64);
            assert_eq!(outcome.whole, DOWNLOADS, "{outcome:?}");
            assert_eq!(
                seen.tickets_issued,
                downloads + plan.breaks,
                "{outcome:?}: one ticket a download and one a mend"
            );
            // A reading that breaks before the place of the earlier break has mended nothing, so
            // there may be fewer mends than breaks.
            let mends = downloads..=plan.breaks;
            assert!(mends.contains(&outcome.mended), "{mends:?} {outcome:?}");
            assert_eq!((outcome.failed, outcome.differs), (0, 0), "{outcome:?}");
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_third_break_breaks_the_transfer_and_what_came_is_right() {
    const DOWNLOADS: usize = 7;
    every_way(
        DOWNLOADS,
        |_| 3,
        |plan, outcome| {
            assert_eq!(outcome.whole, 0, "{outcome:?}");
            // An orderly end might be the true end, so one more reading must show that it is a
            // break.
            let tickets = plan.breaks..=plan.breaks + DOWNLOADS as u64;
            let issued = plan.pbx.seen().tickets_issued;
            assert!(tickets.contains(&issued), "{issued} {outcome:?}");
            assert_eq!(outcome.failed, DOWNLOADS as u64, "{outcome:?}");
            assert_eq!(outcome.differs, 0, "{outcome:?}");
        },
    )
    .await;
}

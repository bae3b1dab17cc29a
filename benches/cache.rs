//! The CPU time that the cache costs: reading a range from it, and writing a recording to it when
//! the recording is read for the first time.
//!
//! Two questions, each with its baseline in the same run. All sides take turns in every round and
//! do the same work in it. The result is the median of the rounds' ratios, with the middle half of
//! them.
//!
//! - Ranges of one recording that is already in the cache, over plain HTTP, at random places. The
//!   gateway is compared with two nginx processes in a row, one as a proxy and one that serves the
//!   same file, by the CPU time of both together. The proxy runs with its defaults, without
//!   buffering, and with larger buffers. One nginx that serves the file alone is printed beside
//!   them. The gateway verifies a JWT and evaluates its policy for each request; nginx does
//!   neither. Both write an access log: the gateway to a pipe, each nginx to a file. This part is
//!   skipped where nginx is not installed.
//! - Downloads of recordings that were never requested before, from the simulated PBX over TLS. The
//!   gateway with the default cache is compared with the gateway with the cache off. The PBX either
//!   closes each connection and sends no length, or keeps its connections and sends the length. One
//!   principal requests all recordings and may hold a quarter of the cache, 64 MiB. So in every
//!   round but the first the cache is full, and the longest idle entry is evicted. The first round,
//!   in which the system hands out the memory, is printed separately.
//!
//! Every side has one thread, and the PBX and the client are in the bench's own process. Does not
//! show: TLS to the caller, several threads, throughput, slow readers, or memory.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs,
    reason = "a bench that cannot go on stops"
)]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use tokio::task::JoinSet;
use wavegate::simulator::{Api, Simulator, Switch, wav};

use support::nginx::Nginx;
use support::{Connection, Gateway, Meter, Process};

const NAME: &str = "cache.wav";
const LENGTH: usize = 10_000_000;
/// Concurrent callers, each on a connection of its own.
const CALLERS: usize = 4;

/// Bytes of a range, and the number of requests of each caller in a round.
const RANGES: [(&str, usize, usize); 3] = [
    ("64 KiB", 64 * 1024, 1000),
    ("1 MiB", 1024 * 1024, 64),
    ("all 10 MB", LENGTH, 8),
];

/// Bytes of a recording, the number of downloads of each caller in a round, and whether the PBX
/// keeps connections open.
const DOWNLOADS: [(&str, usize, usize, bool); 4] = [
    ("1 MB", 1_000_000, 40, false),
    ("1 MB, kept", 1_000_000, 40, true),
    ("10 MB", LENGTH, 5, false),
    ("10 MB, kept", LENGTH, 5, true),
];

/// The configurations of the nginx that acts as a proxy. None of them buffers to a file.
const HOPS: [(&str, &str); 4] = [
    ("nginx, hop as it comes", ""),
    ("nginx, hop unbuffered", "proxy_buffering off;"),
    (
        "nginx, hop of 8 x 64 KiB",
        "proxy_buffer_size 64k; proxy_buffers 8 64k; proxy_busy_buffers_size 128k;",
    ),
    (
        "nginx, hop unbuffered of 64 KiB",
        "proxy_buffering off; proxy_buffer_size 64k; proxy_buffers 8 64k;",
    ),
];

const ROUNDS: usize = 11;

#[tokio::main]
async fn main() {
    // `cargo test --benches` only checks that the bench starts.
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let rounds = if is_bench { ROUNDS } else { 1 };
    match Nginx::program() {
        Some(program) => ranges(program, rounds).await,
        None => {
            println!("no nginx on this machine: nothing to compare a range from the cache with")
        }
    }
    first_downloads(rounds).await;
}

/// One side of a comparison.
struct Side {
    name: &'static str,
    addr: SocketAddr,
    path: &'static str,
    meters: Vec<Meter>,
    /// CPU time of each round.
    spent: Vec<Duration>,
}

/// The requests that one caller sends one after the other: the recording, the start of the range
/// (`None` for the whole recording), and the length of the answer.
type Wishes = Vec<(String, Option<usize>, usize)>;

/// The requests of all callers in a round.
type Round = Vec<Wishes>;

impl Side {
    fn new(name: &'static str, addr: SocketAddr, path: &'static str, of: &[&Process]) -> Self {
        Self {
            name,
            addr,
            path,
            meters: of.iter().map(|process| Meter::of(process)).collect(),
            spent: Vec::new(),
        }
    }

    fn cpu(&mut self) -> Duration {
        self.meters.iter_mut().map(Meter::read).sum()
    }

    /// Sends the requests of all callers, and records the CPU time that they cost.
    async fn round(&mut self, round: &Round, authorization: &Arc<str>) {
        let before = self.cpu();
        let mut callers = JoinSet::new();
        for wishes in round {
            let (addr, path) = (self.addr, self.path);
            let (wishes, authorization) = (wishes.clone(), Arc::clone(authorization));
            callers.spawn(async move {
                let mut connection = Connection::to(addr).await;
                for (name, offset, bytes) in wishes {
                    let target = format!("{path}{name}");
                    ask(&mut connection, &target, offset, bytes, &authorization).await;
                }
            });
        }
        callers.join_all().await;
        let spent = self.cpu() - before;
        self.spent.push(spent);
    }
}

async fn ask(
    connection: &mut Connection,
    target: &str,
    offset: Option<usize>,
    bytes: usize,
    authorization: &str,
) {
    let mut request = Request::get(target)
        .header("host", "bench")
        .header("authorization", authorization);
    if let Some(first) = offset {
        let range = format!("bytes={first}-{}", first + bytes - 1);
        request = request.header("range", range);
    }
    let request = request.body(Full::<Bytes>::default()).unwrap();
    let answer = connection.send(request).await.unwrap();
    let expected = match offset {
        Some(_) => StatusCode::PARTIAL_CONTENT,
        None => StatusCode::OK,
    };
    assert_eq!((answer.status, answer.bytes), (expected, bytes), "{target}");
}

async fn ranges(program: &str, rounds: usize) {
    let recording = wav::pcm_of_size(LENGTH);
    let pbx = Simulator::builder(Api::SSeries200)
        .recording(NAME, recording.clone())
        .start()
        .await
        .unwrap();
    let gateway = Gateway::start(&pbx, 1, "");
    let file = Nginx::of_file(program, NAME, &recording);
    let hops = HOPS.map(|(name, directives)| {
        let directives = format!("{directives} proxy_max_temp_file_size 0;");
        (name, Nginx::in_front_of(program, &file, &directives))
    });
    println!("CPU time of ranges from the cache, {CALLERS} at once, {rounds} rounds");
    for (size, bytes, count) in RANGES {
        let count = if rounds == 1 { 1 } else { count };
        let mut sides = vec![Side::new(
            "gateway",
            gateway.addr,
            "/recordings/",
            &[&gateway.process],
        )];
        for (name, hop) in &hops {
            let both = [&hop.process, &file.process];
            sides.push(Side::new(name, hop.addr, "/", &both));
        }
        let alone = [&file.process];
        sides.push(Side::new("nginx, no hop", file.addr, "/", &alone));
        let mut places = Places(1);
        let rounds: Vec<Round> = (0..=rounds)
            .map(|_| (0..CALLERS).map(|_| places.wishes(bytes, count)).collect())
            .collect();
        // The first round reads the recording into the cache.
        take_turns(&mut sides, &rounds).await;
        tell(size, &sides[0], &sides[1..], bytes, &rounds);
    }
}

/// Random places, the same in every run.
struct Places(u64);

impl Places {
    fn wishes(&mut self, bytes: usize, count: usize) -> Wishes {
        let wish = |_| {
            if bytes == LENGTH {
                return (NAME.to_owned(), None, bytes);
            }
            // Knuth, "The Art of Computer Programming", vol. 2, section 3.3.4, table 1: the
            // generator of MMIX.
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let place = usize::try_from(self.0 >> 33).unwrap() % (LENGTH - bytes);
            (NAME.to_owned(), Some(place), bytes)
        };
        (0..count).map(wish).collect()
    }
}

async fn first_downloads(rounds: usize) {
    println!("CPU time of first-time downloads, {CALLERS} at once, {rounds} rounds");
    for (size, bytes, count, keeps) in DOWNLOADS {
        let count = if rounds == 1 { 1 } else { count };
        let recording = wav::pcm_of_size(bytes);
        let mut builder = Simulator::builder(Api::SSeries200);
        if keeps {
            builder = builder.switch(Switch::KeepAlive);
        }
        let rounds: Vec<Round> = (0..=rounds)
            .map(|round| {
                let wish = |caller, index| (format!("{round}-{caller}-{index}.wav"), None, bytes);
                let wishes = |caller| (0..count).map(|index| wish(caller, index)).collect();
                (0..CALLERS).map(wishes).collect()
            })
            .collect();
        for (name, ..) in rounds.iter().flatten().flatten() {
            builder = builder.recording(name, recording.clone());
        }
        let pbx = builder.start().await.unwrap();
        let with = Gateway::start(&pbx, 1, "");
        let without = Gateway::start(&pbx, 1, "[cache]\nmax_bytes = 0");
        let side = |name, gateway: &Gateway| {
            Side::new(name, gateway.addr, "/recordings/", &[&gateway.process])
        };
        let mut sides = [side("cache on", &with), side("cache off", &without)];
        let first = take_turns(&mut sides, &rounds).await;
        tell(size, &sides[0], &sides[1..], bytes, &rounds);
        println!(
            "{size:11} in the first round, with fresh memory: {:.2}",
            ratio(first[0], first[1])
        );
    }
}

/// Runs all rounds on all sides. Returns the CPU time of the first round, which does not count.
async fn take_turns(sides: &mut [Side], rounds: &[Round]) -> Vec<Duration> {
    let authorization = support::authorization().into();
    for round in rounds {
        for side in &mut *sides {
            side.round(round, &authorization).await;
        }
    }
    sides.iter_mut().map(|side| side.spent.remove(0)).collect()
}

/// Prints the CPU time of a side, and its ratio to the time of each other side.
fn tell(size: &str, side: &Side, others: &[Side], bytes: usize, rounds: &[Round]) {
    let requests = rounds[0].iter().map(Vec::len).sum::<usize>() as f64;
    let line = |side: &Side| {
        let mut spent = side.spent.clone();
        spent.sort_unstable();
        let median = spent[spent.len() / 2];
        format!(
            "{size:11} {:32} {:.3} s per GB {:9.1} µs per request",
            side.name,
            median.as_secs_f64() / (requests * bytes as f64 / 1e9),
            median.as_secs_f64() * 1e6 / requests
        )
    };
    println!("{}", line(side));
    for other in others {
        let pairs = side.spent.iter().zip(&other.spent);
        let mut ratios: Vec<f64> = pairs.map(|(one, other)| ratio(*one, *other)).collect();
        ratios.sort_unstable_by(f64::total_cmp);
        println!(
            "{}   {} to this: {:.2} ({:.2} to {:.2})",
            line(other),
            side.name,
            ratios[ratios.len() / 2],
            ratios[ratios.len() / 4],
            ratios[ratios.len() * 3 / 4]
        );
    }
}

fn ratio(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64()
}

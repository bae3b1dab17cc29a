//! Does one PBX in trouble slow down another one?
//!
//! One gateway serves two PBXs. The bench measures the time to the first byte of the healthy one.
//! The other one, the neighbour, is healthy and idle (the baseline, measured twice: the difference
//! is the noise), hangs, refuses connections, or refuses our logins. Meanwhile fifty callers
//! request recordings of the neighbour, each ten times a second. All kinds take turns in one run.
//!
//! Does not show: CPU time, large recordings, or a gateway whose streams are all taken by healthy
//! PBXs.

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
use std::time::{Duration, Instant};

use http::{Request, StatusCode};
use http_body_util::Full;
use tokio::task::JoinSet;
use wavegate::app::{App, GatewayParts};
use wavegate::simulator::{Api, Simulator, wav};

use support::{Answer, Connection};

const NAME: &str = "a.wav";
const CALLERS: usize = 50;
const PAUSE: Duration = Duration::from_millis(100);
const ROUNDS: usize = 8;
const DOWNLOADS_PER_ROUND: usize = 40;

/// The state of the neighbour.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Neighbour {
    Idle,
    IdleAgain,
    Hangs,
    RefusesConnections,
    RefusesLogins,
}

impl Neighbour {
    const ALL: [Self; 5] = [
        Self::Idle,
        Self::IdleAgain,
        Self::Hangs,
        Self::RefusesConnections,
        Self::RefusesLogins,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::IdleAgain => "idle, again",
            Self::Hangs => "hangs",
            Self::RefusesConnections => "refuses connections",
            Self::RefusesLogins => "refuses logins",
        }
    }

    fn is_idle(self) -> bool {
        matches!(self, Self::Idle | Self::IdleAgain)
    }
}

#[tokio::main]
async fn main() {
    // `cargo test --benches` only checks that the bench starts.
    let rounds = if std::env::args().any(|argument| argument == "--bench") {
        ROUNDS
    } else {
        1
    };
    let mut houses = Vec::new();
    for neighbour in Neighbour::ALL {
        houses.push((neighbour, House::build(neighbour).await, Vec::new()));
    }
    for _ in 0..rounds {
        for (neighbour, house, times) in &mut houses {
            let mut callers = JoinSet::new();
            for _ in 0..if neighbour.is_idle() { 0 } else { CALLERS } {
                callers.spawn(bother(house.addr, house.authorization.clone()));
            }
            for _ in 0..DOWNLOADS_PER_ROUND {
                times.push(house.time_to_first_byte().await);
            }
            callers.shutdown().await;
        }
    }
    let idle: Vec<Duration> = houses
        .iter_mut()
        .filter(|(neighbour, ..)| neighbour.is_idle())
        .map(|(.., times)| percentile(times, 50))
        .collect();
    let (least, greatest) = (*idle.iter().min().unwrap(), *idle.iter().max().unwrap());
    println!("time to first byte at a healthy PBX, by what its neighbour does ({CALLERS} callers)");
    for (neighbour, _, times) in &mut houses {
        let (median, most) = (percentile(times, 50), percentile(times, 95));
        println!(
            "{:20} median {median:9.1?}  95th percentile {most:9.1?}  median {}",
            neighbour.name(),
            beside(median, least, greatest)
        );
    }
}

/// Compares a median with those of the two idle rows, whose difference is noise.
fn beside(median: Duration, least: Duration, greatest: Duration) -> String {
    if median > greatest {
        format!("{:.1?} above the two idle ones", median - greatest)
    } else if median < least {
        format!("{:.1?} below the two idle ones", least - median)
    } else {
        "within the two idle ones".to_owned()
    }
}

fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() - 1) * percent / 100]
}

/// Requests a recording of the neighbour again and again. It pauses in between, since otherwise the
/// callers themselves would use up the processor.
async fn bother(addr: SocketAddr, authorization: String) {
    loop {
        let _ = get(addr, &authorization, "neighbour").await;
        tokio::time::sleep(PAUSE).await;
    }
}

/// A gateway with its two PBXs, kept alive together.
struct House {
    addr: SocketAddr,
    authorization: String,
    _app: App,
    _pbxs: Vec<Simulator>,
    _folder: tempfile::TempDir,
}

impl House {
    async fn build(neighbour: Neighbour) -> Self {
        let well = pbx().await;
        let other = pbx().await;
        let folder = support::folder(&[("well", &well), ("neighbour", &other)], "");
        let mut pbxs = vec![well];
        match neighbour {
            Neighbour::Idle | Neighbour::IdleAgain => pbxs.push(other),
            Neighbour::Hangs => {
                other.inject("any:stall-after=0:times=forever".parse().unwrap());
                pbxs.push(other);
            }
            Neighbour::RefusesConnections => other.stop().await,
            Neighbour::RefusesLogins => {
                other.set_password("another");
                pbxs.push(other);
            }
        }
        let config = GatewayParts::load(&folder.path().join("wavegate.toml"))
            .unwrap_or_else(|problems| panic!("{problems}"));
        let app = App::start(config).await.unwrap();
        Self {
            addr: app.plain_addresses()[0],
            authorization: support::authorization(),
            _app: app,
            _pbxs: pbxs,
            _folder: folder,
        }
    }

    async fn time_to_first_byte(&self) -> Duration {
        let begun = Instant::now();
        let answer = get(self.addr, &self.authorization, "well").await.unwrap();
        assert_eq!(answer.status, StatusCode::OK);
        answer.first_at - begun
    }
}

async fn pbx() -> Simulator {
    let builder = Simulator::builder(Api::SSeries200).recording(NAME, wav::pcm_of_size(64 * 1024));
    builder.start().await.unwrap()
}

/// Gets a recording on a connection of its own.
async fn get(addr: SocketAddr, authorization: &str, pbx: &str) -> hyper::Result<Answer> {
    let request = Request::get(format!("/pbx/{pbx}/recordings/{NAME}"))
        .header("host", "bench")
        .header("authorization", authorization)
        .body(Full::default())
        .unwrap();
    Connection::to(addr).await.send(request).await
}

//! Many listeners of one recording at once, each at its own places and free to leave at any time:
//! the PBX is read once, and every byte is right.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, StatusCode};
use tokio::task::JoinSet;
use wavegate::simulator::{Api, CallKind, Misbehavior, ScriptedFault, Simulator, Switch, wav};

use crate::harness::tls::{Http2, Identity};
use crate::harness::{Answer, Call, NAME, gateway, jwt, soon};

const LENGTH: usize = 3_000_007;
const LISTENERS: u64 = 50;
/// Requests of each listener.
const REQUESTS: usize = 6;
/// Listeners that share an HTTP/2 connection.
const PER_CONNECTION: u64 = 5;

/// Numbers that are the same in every run: SplitMix64.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.roll() % end as u64).unwrap()
    }
}

/// The connections on which a listener sends its requests.
#[derive(Clone)]
enum Way {
    Http1(SocketAddr),
    Http2(SocketAddr, Arc<Http2>),
}

impl Way {
    async fn send(&self, range: &str, token: &str) -> Answer {
        let target = format!("/recordings/{NAME}");
        let call = match self {
            Self::Http1(addr) => Call::new(*addr, Method::GET, &target),
            Self::Http2(addr, _) => {
                Call::new(*addr, Method::GET, &format!("https://{addr}{target}"))
            }
        };
        let call = call.bearer(token).header("range", range);
        match self {
            Self::Http1(_) => call.send().await,
            Self::Http2(_, connection) => connection.send(call).await,
        }
    }
}

/// One listener: requests random ranges, and leaves some answers in the middle.
async fn listen(way: Way, number: u64, whole: Bytes, tells_length: bool) {
    let mut dice = Dice(number);
    let token = jwt(&format!("listener-{number}"));
    for _ in 0..REQUESTS {
        let first = dice.below(LENGTH);
        let (range, wanted) = match dice.below(8) {
            0 => (format!("bytes={first}-"), first..LENGTH),
            1 => (format!("bytes=-{}", LENGTH - first), first..LENGTH),
            2 => ("bytes=0-".to_owned(), 0..LENGTH),
            _ => {
                let end = LENGTH.min(first + 1 + dice.below(300_000));
                (format!("bytes={first}-{}", end - 1), first..end)
            }
        };
        let answer = way.send(&range, &token).await;
        let told = told(&answer, &range, &wanted, tells_length);
        let leaves = dice.below(2) == 0;
        let until = if leaves {
            dice.below(told.len())
        } else {
            told.len()
        };
        let part = whole.slice(told);
        assert_heard(answer, &part, until, &range).await;
    }
}

/// The part of the recording that the head of an answer announces. Where the length is known, it is
/// the requested part.
fn told(answer: &Answer, range: &str, wanted: &Range<usize>, tells_length: bool) -> Range<usize> {
    if answer.status() == StatusCode::OK {
        // Only for a request from the start, and only while the length is not known.
        assert!(wanted.start == 0 && !tells_length, "{range}");
        return 0..LENGTH;
    }
    assert_eq!(answer.status(), StatusCode::PARTIAL_CONTENT, "{range}");
    let text = answer.header("content-range").unwrap();
    let (numbers, length) = text
        .strip_prefix("bytes ")
        .unwrap()
        .split_once('/')
        .unwrap();
    let (first, last) = numbers.split_once('-').unwrap();
    let told = first.parse().unwrap()..last.parse::<usize>().unwrap() + 1;
    assert_eq!(told.start, wanted.start, "{range}");
    match length {
        "*" => assert!(!tells_length && told.end <= wanted.end, "{range}: {text}"),
        length => assert_eq!(
            (length, told.end),
            (&*LENGTH.to_string(), wanted.end),
            "{range}"
        ),
    }
    told
}

/// Reads `part` up to `until`, and leaves there if that is not its end.
async fn assert_heard(mut answer: Answer, part: &Bytes, until: usize, range: &str) {
    let mut heard = 0;
    while heard < until {
        let piece = answer.chunk().await.expect("an early end");
        let piece = piece.expect("a break");
        let expected = part.get(heard..heard + piece.len());
        assert!(
            expected == Some(&piece[..]),
            "other bytes at {heard} of {range}"
        );
        heard += piece.len();
    }
    if until == part.len() {
        // HTTP/2 may send the end in a frame of its own.
        let more = answer.bytes().await.expect("a break");
        assert!(more.is_empty(), "more than {range}");
    }
}

#[derive(Clone, Copy)]
struct Case {
    tells_length: bool,
    /// The bytes per second that the PBX sends.
    pace: Option<u64>,
    over_http2: bool,
}

async fn check(case: Case) {
    let whole = wav::pcm_of_size(LENGTH);
    let mut pbx = Simulator::builder(Api::SSeries200).recording(NAME, whole.clone());
    if case.tells_length {
        pbx = pbx.switch(Switch::DownloadWithLength);
    }
    if let Some(bytes_per_s) = case.pace {
        let throttle = Misbehavior::Throttle { bytes_per_s };
        pbx = pbx.fault(ScriptedFault::forever(CallKind::Download, throttle));
    }
    let pbx = pbx.start().await.unwrap();
    let identity = Identity::new();
    let gateway = gateway(&pbx)
        .cache()
        .set("cache.linger_ms", 60000)
        .set("range.wait_ms", 0)
        .tls(&identity);
    let gateway = gateway.start().await;

    let mut way = Way::Http1(gateway.addr());
    let mut listeners = JoinSet::new();
    for number in 0..LISTENERS {
        if case.over_http2 && number % PER_CONNECTION == 0 {
            let connection = identity.http2(gateway.tls_addr()).await;
            way = Way::Http2(gateway.tls_addr(), Arc::new(connection));
        }
        listeners.spawn(listen(
            way.clone(),
            number,
            whole.clone(),
            case.tells_length,
        ));
    }
    while let Some(listener) = soon(listeners.join_next()).await {
        listener.unwrap();
    }

    soon(pbx.until(|seen| seen.downloads_complete == 1)).await;
    let seen = pbx.seen();
    assert_eq!((seen.tickets_issued, seen.downloads_started), (1, 1));
}

/// Slower than the listeners, so that they wait for the PBX.
const SLOW: Option<u64> = Some(1_500_000);

/// With and without a length from the PBX.
async fn check_both(pace: Option<u64>, over_http2: bool) {
    for tells_length in [true, false] {
        check(Case {
            tells_length,
            pace,
            over_http2,
        })
        .await;
    }
}

#[tokio::test]
async fn fifty_listeners_cost_one_download() {
    check_both(None, false).await;
}

#[tokio::test]
async fn fifty_listeners_over_http_2_cost_one_download() {
    check_both(None, true).await;
}

#[tokio::test]
async fn fifty_listeners_who_wait_for_the_pbx_cost_one_download() {
    check_both(SLOW, false).await;
}

#[tokio::test]
async fn fifty_waiting_http_2_listeners_cost_one_download() {
    check_both(SLOW, true).await;
}

//! Crowds of hostile callers against the real program: slow heads, slow readers, idle connections,
//! no descriptors left, HTTP/2 rapid reset, large heads. Others are served all the time, and the
//! memory is bounded.
//!
//! Each test prints its figures. `WAVEGATE_SIEGE=10000` sets the number of connections; without it
//! there are fewer, for the suite.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use wavegate::simulator::{Api, Simulator, Switch, wav};

use crate::harness::listener::narrow;
use crate::harness::programs::{Running, program, serve, serve_by};
use crate::harness::tls::Identity;
use crate::harness::{Answer, Builder, Call, NAME, gateway, jwt, soon};

mod frames;

const RECORDING: usize = 200_000;
const LONG: &str = "long.wav";
const LONG_BYTES: usize = 8 << 20;
/// Requests of others during an attack, one after the other.
const OTHERS: usize = 50;

fn connections() -> usize {
    let set = std::env::var("WAVEGATE_SIEGE").ok();
    set.map_or(1_000, |number| number.parse().unwrap())
}

/// A gateway under attack.
struct Siege {
    _pbx: Simulator,
    _builder: Builder,
    running: Running,
    addr: SocketAddr,
    tls: SocketAddr,
    identity: Identity,
    /// Memory in KiB before the attack.
    rest: u64,
}

impl Siege {
    async fn of(change: impl FnOnce(Builder) -> Builder) -> Self {
        let pbx = pbx().await;
        let identity = Identity::new();
        let builder = change(builder(&pbx, &identity));
        let (running, addr) = serve(&builder.write()).await;
        Self::around(pbx, builder, identity, running, addr).await
    }

    async fn around(
        pbx: Simulator,
        builder: Builder,
        identity: Identity,
        running: Running,
        addr: SocketAddr,
    ) -> Self {
        let log = running.err.text();
        let (_, tls) = log.split_once("\"tls\":\"[").unwrap();
        let tls = tls.split_once(']').unwrap().0.parse().unwrap();
        let mut siege = Self {
            _pbx: pbx,
            _builder: builder,
            running,
            addr,
            tls,
            identity,
            rest: 0,
        };
        siege.others().await;
        siege.rest = siege.running.memory_kib("VmRSS");
        siege
    }

    /// Requests of others, on a connection each. All of them are answered. Returns the longest
    /// time.
    async fn others(&self) -> Duration {
        let target = format!("/recordings/{NAME}");
        let mut longest = Duration::ZERO;
        for number in 0..OTHERS {
            let begin = Instant::now();
            let call = Call::new(self.addr, Method::GET, &target).bearer(&jwt("alice"));
            let answer = match number % 2 {
                0 => call.send().await,
                _ => {
                    let stream = soon(self.identity.connect(self.tls, &["http/1.1"])).await;
                    call.send_on(stream.unwrap()).await
                }
            };
            assert_eq!(answer.status(), StatusCode::OK);
            assert!(answer.bytes().await.unwrap() == wav::pcm_of_size(RECORDING));
            longest = longest.max(begin.elapsed());
        }
        longest
    }

    /// Checks that others are served now, and that each attacker takes at most `each` KiB, beside
    /// what the gateway may take whoever comes.
    async fn stands(&self, attack: &str, attackers: usize, each: u64) {
        let longest = self.others().await;
        let (now, most) = (
            self.running.memory_kib("VmRSS"),
            self.running.memory_kib("VmHWM"),
        );
        println!(
            "{attack}: {attackers} attackers; {} KiB at rest, {now} now, {most} at most; \
             {OTHERS} of {OTHERS} others answered, the slowest after {longest:?}",
            self.rest
        );
        let allowed = self.rest + 16 * 1024 + attackers as u64 * each;
        assert!(most <= allowed, "{most} KiB, and {allowed} are allowed");
    }
}

async fn pbx() -> Simulator {
    let builder = Simulator::builder(Api::SSeries200)
        .switch(Switch::PlainHttp)
        .recording(NAME, wav::pcm_of_size(RECORDING))
        .recording(LONG, wav::pcm_of_size(LONG_BYTES));
    builder.start().await.unwrap()
}

fn builder(pbx: &Simulator, identity: &Identity) -> Builder {
    gateway(pbx)
        .cache()
        .tls(identity)
        .set("server.max_connections", 2 * connections())
        // No attacker is gone before the test has looked.
        .set("server.header_timeout_ms", 600_000)
        .set("server.tls.handshake_timeout_ms", 600_000)
        .set("relay.idle_timeout_ms", 600_000)
}

/// Opens a connection from one of several addresses of loopback, so that the ports suffice.
async fn attacker(number: usize, addr: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    let host = Ipv4Addr::new(127, 0, 1, (number % 8) as u8 + 1);
    socket.bind((host, 0).into()).unwrap();
    soon(socket.connect(addr)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_heads_take_their_bound_and_stop_nobody() {
    let siege = Siege::of(|builder| builder).await;
    let begun = format!(
        "GET / HTTP/1.1\r\nhost: x\r\nx-slow: {}",
        "a".repeat(15_000)
    );
    let mut heads = Vec::new();
    for number in 0..connections() {
        let mut stream = attacker(number, siege.addr).await;
        stream.write_all(begun.as_bytes()).await.unwrap();
        heads.push(stream);
    }
    for stream in &mut heads {
        stream.write_all(b"a").await.unwrap();
    }
    siege.stands("slow heads", heads.len(), 48).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_readers_take_their_bound_and_stop_nobody() {
    let readers = connections() / 2;
    let siege = Siege::of(|builder| builder.set("relay.max_streams", readers + 10)).await;
    let mut reading: Vec<Answer> = Vec::new();
    for number in 0..readers {
        let target = format!("/recordings/{LONG}");
        let call = Call::new(siege.addr, Method::GET, &target);
        let call = call.bearer(&jwt(&format!("reader-{number}")));
        let answer = call.send_on(narrow(siege.addr).await).await;
        assert_eq!(answer.status(), StatusCode::OK);
        reading.push(answer);
    }
    siege.stands("slow readers", readers, 96).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_take_every_place_make_way_for_others() {
    let places = connections();
    let siege = Siege::of(|builder| builder.set("server.max_connections", places)).await;
    let mut idle = Vec::new();
    // Without a request, with half a head, and without a handshake.
    for number in 0..places {
        let addr = [siege.addr, siege.addr, siege.tls][number % 3];
        let mut stream = attacker(number, addr).await;
        if number % 3 == 1 {
            stream.write_all(b"GET / HT").await.unwrap();
        }
        idle.push(stream);
    }
    siege.stands("all connections taken", places, 24).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn descriptors_never_run_out() {
    const DESCRIPTORS: usize = 200;
    let Some(prlimit) = program("prlimit") else {
        return;
    };
    let pbx = pbx().await;
    let identity = Identity::new();
    let builder = builder(&pbx, &identity);
    let mut limited = Command::new(prlimit);
    limited.arg(format!("--nofile={DESCRIPTORS}"));
    let (running, addr) = serve_by(limited, &builder.write()).await;
    let siege = Siege::around(pbx, builder, identity, running, addr).await;
    let mut idle = Vec::new();
    for number in 0..2 * DESCRIPTORS {
        idle.push(attacker(number, siege.addr).await);
    }
    siege.stands("no descriptors", idle.len(), 24).await;
    // There are some left for a PBX.
    let call = Call::new(siege.addr, Method::GET, &format!("/recordings/{LONG}"));
    let answer = call.bearer(&jwt("alice")).send().await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.bytes().await.unwrap() == wav::pcm_of_size(LONG_BYTES));
    let log = siege.running.err.text();
    assert!(log.contains("fewer connections than server.max_connections"));
    assert!(!log.contains("no connection can be accepted now"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rapid_resets_end_their_connection_and_stop_nobody() {
    const STREAMS: u32 = 5_000;
    let attackers = connections() / 50;
    let siege = Siege::of(|builder| builder).await;
    let token = jwt("mallory");
    let mut ended = 0;
    for _ in 0..attackers {
        let mut stream = siege.identity.connect(siege.tls, &["h2"]).await.unwrap();
        let mut bytes = frames::preface();
        for number in 0..STREAMS {
            let id = 2 * number + 1;
            bytes.extend(frames::get(id, &format!("/recordings/{NAME}"), &token));
            bytes.extend(frames::reset(id));
        }
        // The gateway may end the connection before it has read all of it.
        let _ = soon(stream.write_all(&bytes)).await;
        let mut answer = Vec::new();
        let mut buffer = [0; 4096];
        soon(async {
            while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                answer.extend_from_slice(&buffer[..count]);
                if frames::has_goaway(&answer) {
                    return;
                }
            }
        })
        .await;
        ended += 1;
    }
    siege.stands("rapid resets", ended, 64).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_heads_are_cut_off_and_stop_nobody() {
    let siege = Siege::of(|builder| builder).await;
    let attackers = connections() / 4;
    let long = format!(
        "GET / HTTP/1.1\r\nhost: x\r\nx-long: {}",
        "a".repeat(1_000_000)
    );
    let fields = format!(
        "GET / HTTP/1.1\r\nhost: x\r\n{}",
        "a: b\r\n".repeat(200_000)
    );
    for number in 0..attackers {
        let head = [&long, &fields][number % 2];
        let (mut reading, mut writing) = attacker(number, siege.addr).await.into_split();
        let writer = async {
            let _ = writing.write_all(head.as_bytes()).await;
        };
        let mut answer = Vec::new();
        let reader = async {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = reading.read(&mut buffer).await {
                answer.extend_from_slice(&buffer[..count]);
            }
        };
        soon(async { tokio::join!(writer, reader) }).await;
        let text = String::from_utf8_lossy(&answer);
        assert!(
            text.is_empty() || text.starts_with("HTTP/1.1 431"),
            "{text}"
        );
    }
    // HTTP/2: one head that never ends.
    for _ in 0..attackers / 10 {
        let mut stream = siege.identity.connect(siege.tls, &["h2"]).await.unwrap();
        let mut bytes = frames::preface();
        bytes.extend(frames::endless_head(1, 400));
        let _ = soon(stream.write_all(&bytes)).await;
        let mut answer = Vec::new();
        soon(async {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                answer.extend_from_slice(&buffer[..count]);
                if frames::has_goaway(&answer) {
                    return;
                }
            }
        })
        .await;
    }
    siege.stands("large heads", attackers, 0).await;
}

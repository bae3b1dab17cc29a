//! Memory is bounded, whatever is requested at once, and every request still gets all its bytes. A
//! request that finds no room is passed through, or served through a window.
//!
//! The figures are those of the real program, from the system and from its own metrics.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use tokio::task::{JoinHandle, JoinSet};
use wavegate::simulator::{Api, Simulator, Switch, wav};

use crate::harness::admin::number;
use crate::harness::listener::Listener;
use crate::harness::programs::{admin_address, serve};
use crate::harness::{gateway, soon};

mod forgetful;
mod share;
mod window;

const CACHE_BYTES: &str = "wavegate_cache_bytes";
const MIB: u64 = 1 << 20;

/// A recording of this size whose bytes differ from those of every other number in every place.
fn recording(number: usize, bytes: usize) -> Bytes {
    let header = wav::pcm_of_size(bytes).slice(..wav::HEADER_BYTES);
    let noise = wav::pcm_of_size(wav::HEADER_BYTES + 8 * number + bytes);
    let sound = noise.slice(noise.len() - bytes + wav::HEADER_BYTES..);
    [header, sound].concat().into()
}

/// Recordings of about this size, with their names.
fn recordings(count: usize, bytes: usize) -> Vec<(String, Bytes)> {
    (0..count)
        .map(|number| (format!("{number}.wav"), recording(number, bytes + number)))
        .collect()
}

/// A PBX that has these recordings, without TLS, whose cost these tests do not measure.
async fn pbx(recordings: &[(String, Bytes)], switches: &[Switch]) -> Simulator {
    let mut builder = Simulator::builder(Api::SSeries200).switch(Switch::PlainHttp);
    for switch in switches {
        builder = builder.switch(*switch);
    }
    for (name, bytes) in recordings {
        builder = builder.recording(name, bytes.clone());
    }
    builder.start().await.unwrap()
}

/// Reads again and again how many bytes the cache holds.
struct Watch {
    most: Arc<AtomicU64>,
    looks: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Watch {
    fn start(admin: SocketAddr) -> Self {
        let (most, looks) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let task = tokio::spawn({
            let (most, looks) = (Arc::clone(&most), Arc::clone(&looks));
            async move {
                loop {
                    most.fetch_max(number(admin, CACHE_BYTES).await, Relaxed);
                    looks.fetch_add(1, Relaxed);
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            }
        });
        Self { most, looks, task }
    }

    /// The largest number of bytes held, and the number of readings.
    fn end(self) -> (u64, u64) {
        self.task.abort();
        (self.most.load(Relaxed), self.looks.load(Relaxed))
    }
}

/// Waits until the number of held bytes satisfies `wanted`.
async fn until_held(admin: SocketAddr, wanted: impl Fn(u64) -> bool) {
    soon(async {
        while !wanted(number(admin, CACHE_BYTES).await) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

const RECORDINGS: usize = 200;
/// The number of recordings whose callers take their first bytes, and pause until all others are
/// done.
const PAUSED: usize = 60;
const PRINCIPALS: usize = 5;

/// Downloads every recording with a caller of its own, all at once: some callers pause, some are
/// quick and some slow. Returns the largest number of bytes held, and the number of readings.
async fn listen(
    addr: SocketAddr,
    admin: SocketAddr,
    bound: u64,
    recordings: &[(String, Bytes)],
) -> (u64, u64) {
    let watch = Watch::start(admin);
    let begin = async |number: usize| {
        let (name, bytes) = &recordings[number];
        let who = format!("caller-{}", number % PRINCIPALS);
        Listener::begin(addr, &who, name, bytes).await
    };
    let mut paused = Vec::new();
    for number in 0..PAUSED {
        let mut listener = begin(number).await;
        assert!(listener.next().await.unwrap());
        paused.push(listener);
    }
    until_held(admin, |held| held > bound * 3 / 4).await;

    let mut others = JoinSet::new();
    for number in PAUSED..RECORDINGS {
        let mut listener = begin(number).await;
        let is_slow = number.is_multiple_of(3);
        others.spawn(async move {
            while is_slow && listener.next().await.unwrap() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            listener.finish().await;
        });
    }
    while let Some(finished) = others.join_next().await {
        finished.unwrap();
    }
    for listener in paused {
        listener.finish().await;
    }
    watch.end()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_recordings_at_once_take_no_more_than_the_bound() {
    const BOUND: u64 = 32 * MIB;
    let recordings = recordings(RECORDINGS, 1_000_000);
    let pbx = pbx(&recordings, &[]).await;
    let builder = gateway(&pbx)
        .cache()
        .set("cache.max_bytes", BOUND)
        .set("cache.keep_s", 1)
        .set("relay.max_reads_per_minute", 100000)
        .set("relay.idle_timeout_ms", 600000)
        .set("pbx.max_downloads", 300);
    let (running, addr) = serve(&builder.write()).await;
    let admin = admin_address(&running);
    assert_eq!(number(admin, "wavegate_cache_max_bytes").await, BOUND);
    let rest = running.memory_kib("VmRSS");

    let (most, looks) = listen(addr, admin, BOUND, &recordings).await;
    let peak = running.memory_kib("VmHWM");
    println!(
        "{most} bytes of {BOUND} held at most, {looks} looks; {rest} KiB at rest, {peak} at most"
    );
    assert!(most <= BOUND && looks > 20, "{most} in {looks} looks");
    let allowed = rest + BOUND / 1024 * 5 / 4 + RECORDINGS as u64 * 128;
    assert!(peak <= allowed, "{peak} KiB, and {allowed} are allowed");
    until_held(admin, |held| held == 0).await;

    // The freed memory is used again, or was returned to the system.
    let (most, _) = listen(addr, admin, BOUND, &recordings).await;
    let grown = running.memory_kib("VmHWM") - peak;
    println!("{most} bytes held at most the second time, and {grown} KiB more in all");
    assert!(most <= BOUND, "{most}");
    assert!(grown <= 4 * 1024, "{grown} KiB more");
    until_held(admin, |held| held == 0).await;
    assert_eq!(running.stop().await.code, Some(0));
}

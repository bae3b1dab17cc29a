//! Many instances with many PBXs around one shared store: the logins, and the load of the store.
//!
//! Runs the real gateways of one fleet in this process, with a simulated PBX for each name and a
//! real Redis or Valkey beside them. On these PBXs a second login ends the first token. Each phase
//! counts requests, logins, the scripts that the store ran, and its CPU time. The store is emptied,
//! and stopped and started again.
//!
//! `cargo bench --bench fleet --profile dev -- INSTANCES PBXS` (50 and 200 by default).
//!
//! Does not show: the speed of the gateways, which share one machine here.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs,
    reason = "a bench that cannot go on stops"
)]

mod support;

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Request, StatusCode};
use http_body_util::Full;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;
use wavegate::app::{App, GatewayParts};
use wavegate::simulator::{Api, Simulator, Switch, wav};

use support::{Connection, Process};

const NAME: &str = "a.wav";
/// Requests under way at once, all instances together.
const AT_ONCE: usize = 32;
const IDLE: Duration = Duration::from_secs(10);

/// The store.
struct Store {
    program: &'static str,
    addr: SocketAddr,
    folder: TempDir,
    process: Option<Process>,
}

/// The counts of the store since its start.
#[derive(Default)]
struct Usage {
    scripts: f64,
    cpu_s: f64,
    memory_kib: f64,
}

impl Store {
    async fn start() -> Option<Self> {
        let programs = ["valkey-server", "redis-server"];
        let program = programs.into_iter().find(|program| {
            let asked = Command::new(program)
                .arg("--version")
                .stdout(Stdio::null())
                .status();
            asked.is_ok_and(|status| status.success())
        })?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        drop(listener);
        let folder = tempfile::tempdir().unwrap();
        let mut store = Self {
            program,
            addr,
            folder,
            process: None,
        };
        store.start_again().await;
        Some(store)
    }

    async fn start_again(&mut self) {
        let mut command = Command::new(self.program);
        command.args(["--bind", "127.0.0.1", "--save", "", "--port"]);
        command
            .arg(self.addr.port().to_string())
            .arg("--dir")
            .arg(self.folder.path());
        self.process = Some(Process::start(command.stdout(Stdio::null())));
        while TcpStream::connect(self.addr).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    }

    fn stop(&mut self) {
        self.process = None;
    }

    async fn ask(&self, command: &str) -> String {
        let mut stream = TcpStream::connect(self.addr).await.unwrap();
        let text = format!("{command}\r\nQUIT\r\n");
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn usage(&self) -> Usage {
        let info = self.ask("INFO everything").await;
        let number = |name: &str| {
            let line = info.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split(',').next());
            number
                .and_then(|number| number.parse::<f64>().ok())
                .unwrap_or(0.0)
        };
        Usage {
            scripts: number("cmdstat_evalsha:calls="),
            cpu_s: number("used_cpu_user:") + number("used_cpu_sys:"),
            memory_kib: number("used_memory:") / 1024.0,
        }
    }
}

/// The instances and their PBXs.
struct World {
    store: Store,
    pbxs: Vec<Simulator>,
    names: Vec<String>,
    instances: Vec<SocketAddr>,
    authorization: Arc<str>,
    _apps: Vec<(App, TempDir)>,
}

impl World {
    async fn build(store: Store, instances: usize, pbxs: usize) -> Self {
        let names: Vec<_> = (0..pbxs).map(|number| format!("pbx{number}")).collect();
        let mut simulators = Vec::new();
        for _ in &names {
            let builder =
                Simulator::builder(Api::SSeries200).recording(NAME, wav::pcm_of_size(2_000));
            let builder = builder.switch(Switch::SecondLoginErasesFirst);
            simulators.push(builder.start().await.unwrap());
        }
        let named: Vec<_> = names.iter().map(String::as_str).zip(&simulators).collect();
        let more = format!(
            "max_streams = 100000\n[cache]\nmax_bytes = 0\n[shared]\nurl = \"redis://{}\"\nkey_file = \"fleet-key\"\n",
            store.addr
        );
        let (mut apps, mut addresses) = (Vec::new(), Vec::new());
        for _ in 0..instances {
            let folder = support::folder(&named, &more);
            support::write(
                folder.path(),
                "fleet-key",
                "a-key-of-the-bench-of-32-bytes-or-more",
            );
            let parts = GatewayParts::load(&folder.path().join("wavegate.toml"));
            let parts = parts.unwrap_or_else(|problems| panic!("{problems}"));
            let app = App::start(parts).await.unwrap();
            addresses.push(app.plain_addresses()[0]);
            apps.push((app, folder));
        }
        Self {
            store,
            pbxs: simulators,
            names,
            instances: addresses,
            authorization: support::authorization().into(),
            _apps: apps,
        }
    }

    fn logins(&self) -> u64 {
        self.pbxs.iter().map(|pbx| pbx.seen().requests.login).sum()
    }

    /// Each instance gets a recording of each PBX. Returns the numbers of good and other answers.
    async fn ask_all(&self) -> (usize, usize) {
        let permits = Arc::new(Semaphore::new(AT_ONCE));
        let mut requests = JoinSet::new();
        for name in &self.names {
            for addr in &self.instances {
                let permit = Arc::clone(&permits).acquire_owned().await.unwrap();
                let (addr, name) = (*addr, name.clone());
                let authorization = Arc::clone(&self.authorization);
                requests.spawn(async move {
                    let request = Request::get(format!("/pbx/{name}/recordings/{NAME}"))
                        .header("host", "bench")
                        .header("authorization", &*authorization)
                        .body(Full::default())
                        .unwrap();
                    let answer = Connection::to(addr).await.send(request).await;
                    drop(permit);
                    answer.is_ok_and(|answer| answer.status == StatusCode::OK)
                });
            }
        }
        let answers = requests.join_all().await;
        let good = answers.iter().filter(|is_good| **is_good).count();
        (good, answers.len() - good)
    }

    async fn phase(&self, name: &str, is_there: bool) {
        let before = if is_there {
            self.store.usage().await
        } else {
            Usage::default()
        };
        let (logins, began) = (self.logins(), Instant::now());
        let (good, other) = self.ask_all().await;
        let seconds = began.elapsed().as_secs_f64();
        let after = if is_there {
            self.store.usage().await
        } else {
            Usage::default()
        };
        let scripts = after.scripts - before.scripts;
        println!(
            "{name:44} {good:6} ok {other:4} other {:5} logins {scripts:7.0} scripts {:6.1} s CPU of the store {:6.0} KiB there {seconds:6.1} s",
            self.logins() - logins,
            after.cpu_s - before.cpu_s,
            after.memory_kib,
        );
    }
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let numbers: Vec<usize> = arguments
        .iter()
        .filter_map(|text| text.parse().ok())
        .collect();
    // `cargo test --benches` only checks that the bench starts.
    let is_bench = arguments.iter().any(|argument| argument == "--bench");
    let (instances, pbxs) = match (numbers.as_slice(), is_bench) {
        ([instances, pbxs], _) => (*instances, *pbxs),
        (_, true) => (50, 200),
        (_, false) => (2, 3),
    };
    let Some(store) = Store::start().await else {
        println!("skipped: neither valkey-server nor redis-server is installed");
        return;
    };
    let began = Instant::now();
    let mut world = World::build(store, instances, pbxs).await;
    println!(
        "{instances} instances and {pbxs} PBXs, started in {:.0} s",
        began.elapsed().as_secs_f64()
    );
    world.phase("each instance reads from each PBX", true).await;
    let before = world.store.usage().await;
    sleep(IDLE).await;
    let after = world.store.usage().await;
    println!(
        "{:44} {:.0} scripts/s, {:.1} % of a core of the store",
        "nobody asks",
        (after.scripts - before.scripts) / IDLE.as_secs_f64(),
        (after.cpu_s - before.cpu_s) / IDLE.as_secs_f64() * 100.0,
    );
    world.phase("again, with tokens that there are", true).await;
    world.pbxs.iter().for_each(Simulator::expire_tokens);
    world.phase("all tokens have ended at once", true).await;
    world.store.ask("FLUSHALL").await;
    world.phase("the store was emptied", true).await;
    world.store.stop();
    world.phase("the store is away", false).await;
    world.store.start_again().await;
    world.phase("the store is back, and empty", true).await;
    world.pbxs.iter().for_each(Simulator::expire_tokens);
    world.phase("all tokens have ended once more", true).await;
}

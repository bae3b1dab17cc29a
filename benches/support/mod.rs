//! The parts that the benches share: the program in a process of its own, its configuration, a
//! client, and a process's CPU time.
//!
//! Does not know the measurements of any bench.

#![allow(dead_code, reason = "each bench uses its part of it")]

pub(crate) mod nginx;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use wavegate::auth::Algorithm;
use wavegate::auth::mint::{self, SigningKey};
use wavegate::secret::Secret;
use wavegate::simulator::Simulator;

const SECRET: &str = "a-secret-of-the-bench-of-32-bytes-or-more";

/// The folder of a gateway for these PBXs: `wavegate.toml`, with `more` sections in it, and the
/// secrets.
pub(crate) fn folder(pbxs: &[(&str, &Simulator)], more: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "jwt", SECRET);
    write(
        folder.path(),
        "policy.cedar",
        "permit(principal, action, resource);",
    );
    let mut text = format!(
        r#"
[server]
listen = ["127.0.0.1:0"]
[admin]
listen = "127.0.0.1:0"
[[auth.issuer]]
name = "bench"
audiences = ["recordings"]
[[auth.issuer.key]]
algorithm = "HS256"
secret_file = "jwt"
[policy]
file = "policy.cedar"
[limits]
principal_requests_per_second = 0
address_requests_per_second = 0
address_failures_per_minute = 0
[relay]
max_reads_per_minute = 1000000
{more}
"#
    );
    for (name, pbx) in pbxs {
        write(folder.path(), name, pbx.password());
        let _ = write!(
            text,
            r#"
[[pbx]]
name = "{name}"
api = "{}"
url = "{}"
username = "{}"
password_file = "{name}"
[pbx.tls]
pins = ["{}"]
"#,
            pbx.api(),
            pbx.url(),
            pbx.username(),
            pbx.fingerprint()
        );
    }
    write(folder.path(), "wavegate.toml", &text);
    folder
}

pub(crate) fn write(folder: &Path, name: &str, text: &str) {
    use std::os::unix::fs::PermissionsExt;

    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// The value of `Authorization` that such a gateway accepts.
pub(crate) fn authorization() -> String {
    let key = SigningKey::secret(None, Algorithm::Hs256, &Secret::new(SECRET)).unwrap();
    let claims = mint::BearerClaims {
        issuer: "bench",
        subject: "bench",
        audience: "recordings",
    };
    let life = Duration::from_secs(3600);
    let bearer = mint::bearer(&key, &claims, SystemTime::now(), life).unwrap();
    format!("Bearer {bearer}")
}

/// A child process. Dropping this value ends it.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// Waits until the process has ended by itself.
    pub(crate) fn wait(&mut self) {
        self.0.wait().unwrap();
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The program in a process of its own.
pub(crate) struct Gateway {
    pub(crate) addr: SocketAddr,
    pub(crate) process: Process,
    _folder: TempDir,
}

impl Gateway {
    /// Starts the gateway with this number of threads in front of a PBX.
    pub(crate) fn start(pbx: &Simulator, threads: usize, more: &str) -> Self {
        let command = Command::new(env!("CARGO_BIN_EXE_wavegate"));
        Self::start_by(command, pbx, threads, more)
    }

    /// The same, started by another command.
    pub(crate) fn start_by(
        mut command: Command,
        pbx: &Simulator,
        threads: usize,
        more: &str,
    ) -> Self {
        let folder = folder(&[("bench", pbx)], more);
        command
            .args(["serve", "--config"])
            .arg(folder.path().join("wavegate.toml"))
            .env("TOKIO_WORKER_THREADS", threads.to_string())
            .stderr(Stdio::piped());
        let mut process = Process::start(&mut command);
        let mut lines = BufReader::new(process.0.stderr.take().unwrap()).lines();
        let addr = lines
            .by_ref()
            .map(Result::unwrap)
            .find_map(|line| listening(&line))
            .unwrap();
        // The rest of the log must be read, or the pipe fills up.
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            addr,
            process,
            _folder: folder,
        }
    }
}

fn listening(line: &str) -> Option<SocketAddr> {
    let line: Value = serde_json::from_str(line).ok()?;
    let plain = line.get("plain")?.as_str()?;
    plain.trim_matches(['[', ']']).parse().ok()
}

/// Reads the CPU time of a process, in user and kernel mode.
pub(crate) struct Meter {
    tasks: String,
    /// By thread, in ns. A thread that has ended keeps its last reading.
    threads: HashMap<String, u64>,
}

impl Meter {
    pub(crate) fn of(process: &Process) -> Self {
        Self {
            tasks: format!("/proc/{}/task", process.id()),
            threads: HashMap::new(),
        }
    }

    /// The CPU time so far.
    pub(crate) fn read(&mut self) -> Duration {
        for task in std::fs::read_dir(&self.tasks).unwrap() {
            let task = task.unwrap();
            // The thread may just have ended.
            let Ok(stat) = std::fs::read_to_string(task.path().join("schedstat")) else {
                continue;
            };
            let spent = stat.split(' ').next().unwrap().parse().unwrap();
            let name = task.file_name().into_string().unwrap();
            self.threads.insert(name, spent);
        }
        Duration::from_nanos(self.threads.values().sum())
    }
}

/// A connection of a client.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<hyper::Result<()>>,
}

/// An answer that was read to its end.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// The first piece of the body, and the time of its arrival.
    pub(crate) first: Bytes,
    pub(crate) first_at: Instant,
    /// Bytes of the body.
    pub(crate) bytes: usize,
}

impl Connection {
    pub(crate) async fn to(addr: SocketAddr) -> Self {
        Self::over(TcpStream::connect(addr).await.unwrap()).await
    }

    pub(crate) async fn over<S>(stream: S) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        Self {
            sender,
            driver: tokio::spawn(connection),
        }
    }

    /// Sends a request and reads its answer.
    pub(crate) async fn send(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<Answer> {
        self.sender.ready().await?;
        let mut response = self.sender.send_request(request).await?;
        let body = response.body_mut();
        let (mut first, mut bytes) = (None, 0);
        while let Some(frame) = body.frame().await {
            let data = frame?.into_data().unwrap_or_default();
            bytes += data.len();
            first.get_or_insert_with(|| (data, Instant::now()));
        }
        let (first, first_at) = first.unwrap_or_else(|| (Bytes::new(), Instant::now()));
        Ok(Answer {
            status: response.status(),
            first,
            first_at,
            bytes,
        })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

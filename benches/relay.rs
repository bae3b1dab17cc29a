//! What does the way through the gateway cost, against fetching from the PBX directly?
//!
//! Baseline in the same run: a client that takes a ticket and downloads from the simulated PBX over TLS by itself. The
//! gateway is the real program in a process of its own, so that its CPU time can be told from the simulator's and the
//! client's; it is printed per GB beside criterion's throughput. The PBX closes each connection, as real ones do.
//!
//! Does not show: many callers at once, slow callers, or other gateways; and the simulator's own speed limits the
//! throughput, so compare the two, not either with a network's speed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    missing_docs,
    reason = "a bench that cannot go on stops"
)]

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_rustls::TlsConnector;
use wavegate::auth::Algorithm;
use wavegate::auth::mint::{self, SigningKey};
use wavegate::config::secret::Secret;
use wavegate::simulator::{Api, Simulator, wav};

const SIZES: [(&str, usize); 2] = [("1MB", 1_000_000), ("100MB", 100_000_000)];
const SECRET: &str = "a-secret-of-the-bench-of-32-bytes-or-more";

fn relay(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let pbx = runtime.block_on(async {
        let mut builder = Simulator::builder(Api::SSeries200).certificate_for(["127.0.0.1"]);
        for (name, bytes) in SIZES {
            builder = builder.recording(format!("{name}.wav"), wav::pcm_of_size(bytes));
        }
        builder.start().await.unwrap()
    });
    let direct = Direct::new(&pbx);
    let token = runtime.block_on(direct.log_in(&pbx));
    let gateway = Gateway::start(&pbx);

    for (name, bytes) in SIZES {
        let recording = format!("{name}.wav");
        let mut group = criterion.benchmark_group(format!("relay/{name}"));
        group
            .throughput(Throughput::Bytes(bytes as u64))
            .sample_size(10)
            .measurement_time(Duration::from_secs(4));
        group.bench_function("direct", |bencher| {
            bencher.to_async(&runtime).iter(|| async {
                assert_eq!(direct.fetch(&token, &recording).await, bytes);
            });
        });
        let cpu = gateway.cpu();
        group.bench_function("gateway", |bencher| {
            bencher.to_async(&runtime).iter(|| async {
                assert_eq!(gateway.fetch(&recording).await, bytes);
            });
        });
        group.finish();
        let relayed = gateway.relayed();
        let spent = (gateway.cpu() - cpu).as_secs_f64();
        println!(
            "relay/{name}/gateway  CPU time: {:.3} s per GB",
            spent / (relayed as f64 / 1e9)
        );
    }
}

/// The program in a process of its own.
struct Gateway {
    process: Child,
    addr: SocketAddr,
    bearer: String,
    relayed: std::sync::atomic::AtomicU64,
    _folder: tempfile::TempDir,
}

impl Gateway {
    fn start(pbx: &Simulator) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            use std::os::unix::fs::PermissionsExt;
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
        };
        write("jwt", SECRET);
        write("password", pbx.password());
        let config = format!(
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
everyone = true
[relay]
max_reads_per_minute = 1000000
[[pbx]]
name = "bench"
api = "s-series-2.0.0"
url = "{}"
username = "{}"
password_file = "password"
[pbx.tls]
pins = ["{}"]
"#,
            pbx.url(),
            pbx.username(),
            pbx.fingerprint()
        );
        write("wavegate.toml", &config);
        let mut process = Command::new(env!("CARGO_BIN_EXE_wavegate"))
            .args(["serve", "--config"])
            .arg(folder.path().join("wavegate.toml"))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let addr = lines
            .by_ref()
            .map(Result::unwrap)
            .find_map(|line| listening(&line))
            .unwrap();
        // The rest of the log has to go somewhere.
        std::thread::spawn(move || lines.for_each(drop));
        let key = SigningKey::secret(None, Algorithm::Hs256, &Secret::new(SECRET)).unwrap();
        let claims = mint::Bearer {
            issuer: "bench",
            subject: "bench",
            audience: "recordings",
        };
        Self {
            process,
            addr,
            bearer: mint::bearer(&key, &claims, SystemTime::now(), Duration::from_secs(3600))
                .unwrap(),
            relayed: 0.into(),
            _folder: folder,
        }
    }

    async fn fetch(&self, recording: &str) -> usize {
        let request = Request::get(format!("/recordings/{recording}"))
            .header("host", "bench")
            .header("authorization", format!("Bearer {}", self.bearer));
        let stream = TcpStream::connect(self.addr).await.unwrap();
        let bytes = exchange(stream, request.body(Full::default()).unwrap())
            .await
            .1;
        self.relayed
            .fetch_add(bytes as u64, std::sync::atomic::Ordering::Relaxed);
        bytes
    }

    /// Bytes fetched through the gateway since this was last asked.
    fn relayed(&self) -> u64 {
        self.relayed.swap(0, std::sync::atomic::Ordering::Relaxed)
    }

    /// CPU time of the process so far, in user and kernel mode.
    fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        // USER_HZ is 100 on every Linux that Rust runs on.
        Duration::from_millis(ticks * 10)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn listening(line: &str) -> Option<SocketAddr> {
    let line: Value = serde_json::from_str(line).ok()?;
    let plain = line.get("plain")?.as_str()?;
    plain.trim_matches(['[', ']']).parse().ok()
}

/// A client of the PBX itself.
struct Direct {
    addr: SocketAddr,
    connector: TlsConnector,
}

impl Direct {
    fn new(pbx: &Simulator) -> Self {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(pbx.certificate_pem().as_bytes()).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self {
            addr: pbx.addr(),
            connector: TlsConnector::from(Arc::new(config)),
        }
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> (Bytes, usize) {
        let stream = TcpStream::connect(self.addr).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        exchange(self.connector.connect(name, stream).await.unwrap(), request).await
    }

    async fn call(&self, target: &str, body: Value, field: &str) -> String {
        let request = Request::post(target)
            .header("host", "bench")
            .body(Full::from(body.to_string()))
            .unwrap();
        let answer: Value = serde_json::from_slice(&self.send(request).await.0).unwrap();
        answer[field].as_str().unwrap().to_owned()
    }

    async fn log_in(&self, pbx: &Simulator) -> String {
        use md5::{Digest, Md5};
        let hash: String = Md5::digest(pbx.password())
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        self.call(
            "/api/v2.0.0/login",
            json!({ "username": pbx.username(), "password": hash }),
            "token",
        )
        .await
    }

    async fn fetch(&self, token: &str, recording: &str) -> usize {
        let target = format!("/api/v2.0.0/recording/get_random?token={token}");
        let random = self
            .call(&target, json!({ "recording": recording }), "random")
            .await;
        let target = format!(
            "/api/v2.0.0/recording/download?recording={recording}&random={random}&token={token}"
        );
        let request = Request::get(target)
            .header("host", "bench")
            .body(Full::default())
            .unwrap();
        self.send(request).await.1
    }
}

/// Sends a request and reads its answer: the first bytes, and how many there were.
async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> (Bytes, usize)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    let mut body = sender.send_request(request).await.unwrap().into_body();
    let (mut first, mut count) = (None, 0);
    while let Some(frame) = body.frame().await {
        let data = frame.unwrap().into_data().unwrap();
        count += data.len();
        first.get_or_insert(data);
    }
    connection.abort();
    (first.unwrap_or_default(), count)
}

criterion_group!(benches, relay);
criterion_main!(benches);

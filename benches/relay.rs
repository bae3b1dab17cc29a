//! The cost of a download through the gateway, compared with a download from the PBX directly.
//!
//! The baseline in the same run is a client that takes a ticket and downloads from the simulated
//! PBX over TLS by itself. The gateway is the real program in a process of its own, so that its CPU
//! time is separate from the simulator's and the client's. That time is printed per GB beside
//! criterion's throughput. The PBX closes each connection, as real ones do. The cache is off, so
//! that each download comes from the PBX.
//!
//! Does not show: many callers at once, slow callers, or other gateways. The simulator's own speed
//! limits the throughput, so compare the two figures with each other, not with a network's speed.

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
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use http::Request;
use http_body_util::Full;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_rustls::TlsConnector;
use wavegate::simulator::{Api, Simulator, wav};

use support::{Answer, Connection, Gateway, Meter};

const SIZES: [(&str, usize); 2] = [("1MB", 1_000_000), ("100MB", 100_000_000)];
const THREADS: usize = 2;

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
    let gateway = Gateway::start(&pbx, THREADS, "[cache]\nmax_bytes = 0");
    let mut meter = Meter::of(&gateway.process);
    let authorization = support::authorization();

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
        let (cpu, relayed) = (meter.read(), AtomicUsize::new(0));
        group.bench_function("gateway", |bencher| {
            bencher.to_async(&runtime).iter(|| async {
                assert_eq!(fetch(&gateway, &authorization, &recording).await, bytes);
                relayed.fetch_add(bytes, Relaxed);
            });
        });
        group.finish();
        let spent = (meter.read() - cpu).as_secs_f64();
        println!(
            "relay/{name}/gateway  CPU time: {:.3} s per GB",
            spent / (relayed.into_inner() as f64 / 1e9)
        );
    }
}

/// Downloads through the gateway, and returns the bytes.
async fn fetch(gateway: &Gateway, authorization: &str, recording: &str) -> usize {
    let request = Request::get(format!("/recordings/{recording}"))
        .header("host", "bench")
        .header("authorization", authorization)
        .body(Full::default())
        .unwrap();
    let mut connection = Connection::to(gateway.addr).await;
    connection.send(request).await.unwrap().bytes
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

    async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        let stream = TcpStream::connect(self.addr).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let stream = self.connector.connect(name, stream).await.unwrap();
        let mut connection = Connection::over(stream).await;
        connection.send(request).await.unwrap()
    }

    async fn call(&self, target: &str, body: Value, field: &str) -> String {
        let request = Request::post(target)
            .header("host", "bench")
            .body(Full::from(body.to_string()))
            .unwrap();
        let answer: Value = serde_json::from_slice(&self.send(request).await.first).unwrap();
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
        self.send(request).await.bytes
    }
}

criterion_group!(benches, relay);
criterion_main!(benches);

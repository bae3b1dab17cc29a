//! A Prometheus of its own for one test: on a free port, with its data in a folder of its own.

use std::net::SocketAddr;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::programs::{Running, program};
use crate::harness::soon;

/// A running Prometheus. Dropping it ends it.
pub(super) struct Prometheus {
    addr: SocketAddr,
    _running: Running,
    _folder: TempDir,
}

impl Prometheus {
    /// Starts it with one target under the job `wavegate`; `None` where it is not installed.
    pub(super) async fn start(target: SocketAddr, rules: &str) -> Option<Self> {
        let program = program("prometheus")?;
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "global: {{scrape_interval: 300ms, evaluation_interval: 300ms}}\n\
             rule_files: [{rules:?}]\n\
             scrape_configs:\n  - job_name: wavegate\n    static_configs: [{{targets: [\"{target}\"]}}]\n"
        );
        let file = folder.path().join("prometheus.yaml");
        std::fs::write(&file, config).unwrap();
        let mut command = Command::new(program);
        command.arg("--config.file").arg(file);
        command
            .arg("--storage.tsdb.path")
            .arg(folder.path().join("data"));
        command.arg("--web.listen-address=127.0.0.1:0");
        let running = Running::start(&mut command);
        let log = running.err.until(|log| address(log).is_some()).await;
        let addr = address(&log).unwrap();
        Some(Self {
            addr,
            _running: running,
            _folder: folder,
        })
    }

    /// The values of a query now, one for each series.
    pub(super) async fn query(&self, query: &str) -> Vec<f64> {
        let query: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
        let answer = self.get(&format!("/api/v1/query?query={query}")).await;
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        let series = answer["data"]["result"].as_array().unwrap().iter();
        let value = |series: &Value| series["value"][1].as_str().unwrap().parse().unwrap();
        series.map(value).collect()
    }

    /// Waits until it has looked at its target once more.
    pub(super) async fn next_scrape(&self) {
        let last = self.query("timestamp(up)").await;
        while self.query("timestamp(up)").await == last {
            tokio::task::yield_now().await;
        }
    }

    /// An answer of its API.
    pub(super) async fn get(&self, path: &str) -> Value {
        let mut answer = Vec::new();
        soon(async {
            let mut stream = TcpStream::connect(self.addr).await.unwrap();
            let request = format!("GET {path} HTTP/1.0\r\nhost: prometheus\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            stream.read_to_end(&mut answer).await.unwrap();
        })
        .await;
        let answer = String::from_utf8(answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"))
    }
}

/// The address in the line that says where it listens.
fn address(log: &str) -> Option<SocketAddr> {
    let (_, rest) = log.split_once("msg=\"Listening on\" address=")?;
    let (address, _) = rest.split_once('\n')?;
    address.trim().parse().ok()
}

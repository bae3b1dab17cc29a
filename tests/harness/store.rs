//! A Valkey or Redis of its own for one test: it can be stopped, started again and emptied.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::programs::{Running, program};
use super::{Builder, soon};

pub(crate) const STORE_PASSWORD: &str = "a-password-of-the-tests-for-the-store";
pub(crate) const FLEET_KEY: &str = "a-key-of-the-tests-for-fleets-0123456789";

/// A store. Dropping it ends it.
pub(crate) struct Store {
    program: PathBuf,
    folder: TempDir,
    addr: SocketAddr,
    running: Option<Running>,
}

impl Store {
    /// Starts a store; `None` where neither program is installed.
    pub(crate) async fn start() -> Option<Self> {
        let valkey = std::env::var_os("PATH").unwrap_or_default();
        let mut valkey = std::env::split_paths(&valkey).map(|folder| folder.join("valkey-server"));
        let program = valkey
            .find(|file| file.is_file())
            .or_else(|| program("redis-server"))?;
        // The port is free again when the listener is dropped. Nothing else asks for this one.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        drop(listener);
        let mut store = Self {
            program,
            folder: tempfile::tempdir().unwrap(),
            addr,
            running: None,
        };
        store.start_again().await;
        Some(store)
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Starts it after [`Store::stop`], empty and at the same address.
    pub(crate) async fn start_again(&mut self) {
        let mut command = Command::new(&self.program);
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        command.args(["--port", &self.addr.port().to_string()]);
        command.args(["--requirepass", STORE_PASSWORD]);
        command.arg("--dir").arg(self.folder.path());
        self.running = Some(Running::start(&mut command));
        soon(async {
            while self.try_ask(&["PING"]).await.is_none() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    /// Stops it at once, as a machine that fails.
    pub(crate) fn stop(&mut self) {
        self.running = None;
    }

    /// Removes all that is in it.
    pub(crate) async fn empty(&self) {
        assert_eq!(self.ask(&["FLUSHALL"]).await, "+OK\r\n");
    }

    /// The answer to a command, as it came.
    pub(crate) async fn ask(&self, command: &[&str]) -> String {
        self.try_ask(command)
            .await
            .expect("the store should answer")
    }

    async fn try_ask(&self, command: &[&str]) -> Option<String> {
        let mut stream = TcpStream::connect(self.addr).await.ok()?;
        let login = ["AUTH", STORE_PASSWORD];
        let mut text = written(&login);
        text.push_str(&written(command));
        text.push_str(&written(&["QUIT"]));
        stream.write_all(text.as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        soon(stream.read_to_end(&mut answer)).await.ok()?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let answer = answer.strip_prefix("+OK\r\n")?.strip_suffix("+OK\r\n")?;
        Some(answer.to_owned())
    }

    /// Everything in it, keys and values, as bytes in one text.
    pub(crate) async fn content(&self) -> String {
        let script = "local all = {} \
            for _, key in ipairs(redis.call('KEYS', '*')) do all[#all + 1] = key \
            local kind = redis.call('TYPE', key)['ok'] \
            local values = kind == 'hash' and redis.call('HGETALL', key) \
            or kind == 'list' and redis.call('LRANGE', key, 0, -1) \
            or kind == 'set' and redis.call('SMEMBERS', key) \
            or kind == 'zset' and redis.call('ZRANGE', key, 0, -1) or { redis.call('GET', key) } \
            for _, value in ipairs(values) do all[#all + 1] = value end end \
            return table.concat(all, '\\n')";
        self.ask(&["EVAL", script, "0"]).await
    }

    /// A number that a script gives.
    pub(crate) async fn number(&self, script: &str) -> i64 {
        let answer = self.ask(&["EVAL", script, "0"]).await;
        let number = answer
            .strip_prefix(':')
            .unwrap_or_else(|| panic!("{answer}"));
        number.trim_end().parse().unwrap()
    }
}

/// A command in the protocol of the store.
fn written(command: &[&str]) -> String {
    let parts = command
        .iter()
        .map(|part| format!("${}\r\n{part}\r\n", part.len()));
    format!("*{}\r\n{}", command.len(), parts.collect::<String>())
}

impl Builder {
    /// Makes the gateway an instance of a fleet, with its store at this address.
    pub(crate) fn shared(self, store: SocketAddr) -> Self {
        self.secret("store-password", STORE_PASSWORD);
        self.secret("fleet-key", FLEET_KEY);
        self.set("shared.url", format!("redis://{store}"))
            .set("shared.password_file", "store-password")
            .set("shared.key_file", "fleet-key")
    }
}

//! Programs that tests run: those of the system, which may be absent, and `wavegate` itself.
//!
//! A program and the processes it starts are a group of their own. The whole group is ended, also
//! when its test fails. A test can wait for its output.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use serde_json::Value;
use tokio::sync::watch;

use crate::harness::PATIENCE;

/// The path of a program. If the program is absent, one line says so, and under `CI=true` that is a
/// failure.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian keeps servers out of a user's path.
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    let found = folders
        .map(|folder| folder.join(name))
        .find(|file| file.is_file());
    if found.is_none() {
        let required = std::env::var_os("CI").is_some_and(|value| value == "true");
        assert!(!required, "{name} is not installed, and CI=true");
        let test = std::thread::current();
        let test = test.name().unwrap_or("a test").to_owned();
        // Not eprintln!, because the test runner hides it when a test passes.
        let _ = writeln!(
            std::io::stderr(),
            "{test}: skipped, {name} is not installed"
        );
    }
    found
}

/// The text that a program has printed on one of its two outputs.
pub(crate) struct Output(watch::Receiver<String>);

impl Output {
    fn of(mut pipe: impl Read + Send + 'static) -> Self {
        let (sender, receiver) = watch::channel(String::new());
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = pipe.read(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..count]);
                sender.send_modify(|all| all.push_str(&text));
            }
        });
        Self(receiver)
    }

    /// The whole text so far.
    pub(crate) fn text(&self) -> String {
        self.0.borrow().clone()
    }

    /// Waits until the text satisfies `wanted`.
    pub(crate) async fn until(&self, wanted: impl Fn(&str) -> bool) -> String {
        let mut receiver = self.0.clone();
        let waited = tokio::time::timeout(PATIENCE, receiver.wait_for(|text| wanted(text))).await;
        match waited {
            Ok(Ok(text)) => text.clone(),
            _ => panic!("it never printed what was waited for: {}", self.text()),
        }
    }

    async fn end(&self) -> String {
        let mut receiver = self.0.clone();
        tokio::time::timeout(PATIENCE, async {
            while receiver.changed().await.is_ok() {}
        })
        .await
        .expect("the program should end");
        self.text()
    }
}

/// A running program. Dropping it ends it.
pub(crate) struct Running {
    child: Child,
    pub(crate) out: Output,
    pub(crate) err: Output,
}

/// The exit code and the output of a program.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        Self {
            out: Output::of(child.stdout.take().unwrap()),
            err: Output::of(child.stderr.take().unwrap()),
            child,
        }
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has not ended yet.
    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Its memory in KiB, as the kernel counts it: `VmHWM` is the peak, `VmRSS` the current value.
    pub(crate) fn memory_kib(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Its standard input, once, if the command has a pipe for it.
    pub(crate) fn stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Sends it a signal, such as `TERM`; the processes it has started get none.
    pub(crate) fn signal(&self, name: &str) {
        assert!(kill(name, &self.child.id().to_string()));
    }

    /// Waits for its end.
    pub(crate) async fn end(mut self) -> Ended {
        let (out, err) = (self.out.end().await, self.err.end().await);
        let code = self.child.wait().unwrap().code();
        Ended { code, out, err }
    }

    /// Ends it with SIGTERM, as a service manager does.
    pub(crate) async fn stop(self) -> Ended {
        self.signal("TERM");
        self.end().await
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The process was not waited for yet, so its id is still its own.
        if let Ok(None) = self.child.try_wait() {
            kill("KILL", &format!("-{}", self.child.id()));
        }
        let _ = self.child.wait();
    }
}

fn kill(signal: &str, whom: &str) -> bool {
    let command = format!("kill -s {signal} -- {whom}");
    let status = Command::new("sh").arg("-c").arg(command).status();
    status.is_ok_and(|status| status.success())
}

/// The program under test, with arguments.
pub(crate) fn wavegate(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wavegate"));
    command
        .args(arguments)
        .stdin(Stdio::null())
        .env_remove("WAVEGATE_CONFIG")
        .env_remove("STATE_DIRECTORY")
        .env_remove("NOTIFY_SOCKET");
    command
}

/// Runs `wavegate` to its end.
pub(crate) async fn run_wavegate(arguments: &[&str]) -> Ended {
    Running::start(&mut wavegate(arguments)).end().await
}

/// Starts `wavegate serve`, and returns its address once it listens. Its log must be at level info
/// or finer.
pub(crate) async fn serve(config: &Path) -> (Running, SocketAddr) {
    let config = config.to_str().unwrap();
    listening(Running::start(&mut wavegate(&[
        "serve", "--config", config,
    ])))
    .await
}

/// As [`serve`], started by another program that gets the command as its last arguments.
pub(crate) async fn serve_by(mut starter: Command, config: &Path) -> (Running, SocketAddr) {
    let serve = wavegate(&["serve", "--config", config.to_str().unwrap()]);
    starter.arg(serve.get_program()).args(serve.get_args());
    starter.stdin(Stdio::null()).env_remove("NOTIFY_SOCKET");
    listening(Running::start(&mut starter)).await
}

async fn listening(running: Running) -> (Running, SocketAddr) {
    let log = running.err.until(|log| address(log).is_some()).await;
    (running, address(&log).unwrap())
}

/// The address of the admin listener of a gateway that already listens. Its log must be in JSON.
pub(crate) fn admin_address(running: &Running) -> SocketAddr {
    let log = running.err.text();
    let listening = lines(&log).find(|line| line["message"] == "listening");
    listening.unwrap()["admin"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap()
}

/// The lines of a log in JSON. The last line is omitted if it is incomplete.
pub(crate) fn lines(log: &str) -> impl Iterator<Item = Value> {
    log.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
}

/// The lines of the access log for a principal.
pub(crate) fn requests_of(log: &str, subject: &str) -> Vec<Value> {
    lines(log)
        .filter(|line| line["message"] == "request" && line["subject"] == subject)
        .collect()
}

/// The address in the line that says where the gateway listens.
fn address(log: &str) -> Option<SocketAddr> {
    let line = log
        .split_inclusive('\n')
        .find(|line| line.contains("listening") && line.ends_with('\n'))?;
    let (_, addresses) = line.split_once("plain")?;
    let (_, addresses) = addresses.split_once('[')?;
    addresses.split_once(']')?.0.parse().ok()
}

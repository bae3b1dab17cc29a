//! A disk that hangs, and one that loses data: the audit log has exactly what was served, or counts
//! it as missing.
//!
//! The gateway runs as a program of its own, with a library between it and the system's `write` and
//! `fdatasync`.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use http::{Method, StatusCode};
use serde_json::Value;
use tempfile::TempDir;
use wavegate::simulator::Simulator;

use super::full_disk::pbx;
use crate::harness::admin::{ask, number};
use crate::harness::audit::{of_kind, until, verified};
use crate::harness::programs::{Running, admin_address, lines, program, wavegate};
use crate::harness::{Builder, Call, NAME, PBX, gateway, jwt, link, soon};

const LIBRARY: &str = include_str!("disk.c");

/// A gateway, and the disk of its log.
struct Failing {
    pbx: Simulator,
    config: Builder,
    disk: TempDir,
    running: Running,
    addr: SocketAddr,
    log: PathBuf,
}

/// `None` if there is no C compiler.
async fn started(on_failure: &str) -> Option<Failing> {
    let compiler = program("cc")?;
    let disk = tempfile::tempdir().unwrap();
    let (source, library) = (disk.path().join("disk.c"), disk.path().join("disk.so"));
    fs::write(&source, LIBRARY).unwrap();
    let mut compile = Command::new(compiler);
    let compile = compile.args(["-shared", "-fPIC", "-o"]).arg(&library);
    assert!(compile.arg(&source).status().unwrap().success());

    let pbx = pbx().await;
    let on_failure = format!("on_failure = \"{on_failure}\"");
    let builder = gateway(&pbx).cache().audit().lines("[audit]", &on_failure);
    let config = builder.write();
    let mut serve = wavegate(&["serve", "--config", config.to_str().unwrap()]);
    let serve = serve.env("LD_PRELOAD", &library).env("DISK", disk.path());
    let running = Running::start(serve);
    let listening = |log: &str| lines(log).find(|line| line["message"] == "listening");
    let log = running.err.until(|log| listening(log).is_some()).await;
    let plain = listening(&log).unwrap()["plain"]
        .as_str()
        .unwrap()
        .to_owned();
    Some(Failing {
        pbx,
        addr: plain.trim_matches(['[', ']']).parse().unwrap(),
        log: crate::harness::audit::dir(builder.folder()),
        config: builder,
        disk,
        running,
    })
}

impl Failing {
    /// Makes an operation `hang` or `fail` from now on.
    fn begin(&self, what: &str) {
        fs::write(self.disk.path().join(what), "").unwrap();
    }

    fn end(&self, what: &str) {
        fs::remove_file(self.disk.path().join(what)).unwrap();
    }

    fn get(&self) -> Call {
        let target = format!("/recordings/{NAME}");
        Call::new(self.addr, Method::GET, &target).bearer(&jwt("alice"))
    }

    /// Gets the recording. Returns the request's id.
    async fn served(&self) -> String {
        let answer = self.get().send().await;
        assert_eq!(answer.status(), StatusCode::OK);
        let id = answer.header("x-request-id").unwrap().to_owned();
        let whole = self.pbx.recording_bytes(NAME).unwrap();
        assert!(answer.bytes().await.unwrap() == whole);
        id
    }

    /// Requests another recording, which is denied.
    async fn denied(&self) {
        let other = NAME.replace(".1203-", ".1204-");
        let target = format!("/recordings/{other}?link={}", link(PBX, NAME));
        let answer = Call::new(self.addr, Method::GET, &target).send().await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    }

    async fn ready(&self) -> u16 {
        let admin = admin_address(&self.running);
        ask(admin, Method::GET, "/readyz", &[])
            .await
            .unwrap()
            .status
    }

    async fn counted(&self, metric: &str) -> u64 {
        number(admin_address(&self.running), metric).await
    }

    /// Ends the gateway. Returns the folder of its log, and the builder that keeps the folder.
    async fn stopped(self) -> (PathBuf, Builder) {
        assert_eq!(self.running.stop().await.code, Some(0));
        verified(&self.log, &[]).await;
        (self.log, self.config)
    }
}

/// The number of decisions that the log reports as missing.
fn missing(log: &Path) -> u64 {
    let unwritten = of_kind(log, "unwritten");
    let decisions = unwritten.iter().map(|line| line["decisions"].as_u64());
    decisions.map(Option::unwrap).sum()
}

/// The decision and the delivery of a request, as far as the log has them.
fn of(log: &Path, id: &str) -> (Vec<Value>, Vec<Value>) {
    let of_kind = |kind| {
        let lines = of_kind(log, kind).into_iter();
        lines.filter(|line| line["id"] == id).collect()
    };
    (of_kind("decision"), of_kind("delivery"))
}

#[tokio::test]
async fn decisions_served_while_the_disk_hangs_are_written_later() {
    let Some(failing) = started("serve").await else {
        return;
    };
    failing.served().await;
    failing.begin("hang-sync");
    let (id, ()) = tokio::join!(failing.served(), failing.denied());
    // A later request does not wait.
    failing.served().await;
    assert_eq!(failing.counted("wavegate_audit_unwritten_total").await, 1);
    assert_eq!(failing.ready().await, 200);
    failing.end("hang-sync");
    soon(async {
        while of(&failing.log, &id).1.is_empty() {
            tokio::task::yield_now().await
        }
    })
    .await;
    let whole = failing.pbx.recording_bytes(NAME).unwrap().len();
    let (log, _config) = failing.stopped().await;
    let (decisions, deliveries) = of(&log, &id);
    assert_eq!((decisions.len(), deliveries.len()), (1, 1));
    let delivery = &deliveries[0];
    assert_eq!(delivery["decision"], decisions[0]["seq"]);
    assert_eq!(
        (&delivery["status"], &delivery["bytes"]),
        (&200.into(), &whole.into())
    );
    assert_eq!(delivery["outcome"], "complete");
    assert_eq!(missing(&log), 1);
    let denied = of_kind(&log, "decision");
    assert_eq!(
        denied
            .iter()
            .filter(|line| line["allowed"] == false)
            .count(),
        1
    );
}

#[tokio::test]
async fn decisions_that_never_reach_the_disk_are_counted() {
    let Some(failing) = started("serve").await else {
        return;
    };
    failing.served().await;
    until(&failing.log, "delivery", 1).await;
    failing.begin("hang-write");
    // One decision is in the batch that is being written, and one in the next batch.
    let (id, ()) = tokio::join!(failing.served(), failing.denied());
    failing.begin("fail-write");
    failing.end("hang-write");
    soon(async { while failing.counted("wavegate_audit_failures_total").await < 2 {} }).await;
    failing.end("fail-write");
    soon(async {
        while missing(&failing.log) < 2 {
            tokio::task::yield_now().await
        }
    })
    .await;
    assert_eq!(failing.counted("wavegate_audit_unwritten_total").await, 2);
    let (log, _config) = failing.stopped().await;
    assert_eq!(of(&log, &id), (vec![], vec![]));
    assert_eq!(missing(&log), 2);
    assert_eq!(of_kind(&log, "decision").len(), 1);
}

#[tokio::test]
async fn a_refusal_while_the_disk_hangs_is_logged_as_refused() {
    let Some(failing) = started("refuse").await else {
        return;
    };
    failing.begin("hang-sync");
    let answer = failing.get().send().await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    let id = answer.header("x-request-id").unwrap().to_owned();
    assert_eq!(failing.ready().await, 503);
    failing.end("hang-sync");
    soon(async { while failing.ready().await != 200 {} }).await;
    failing.served().await;
    let (log, _config) = failing.stopped().await;
    let (decisions, deliveries) = of(&log, &id);
    assert_eq!((decisions.len(), deliveries.len()), (1, 1));
    assert_eq!(
        (&deliveries[0]["status"], &deliveries[0]["bytes"]),
        (&503.into(), &0.into())
    );
    assert_eq!(missing(&log), 0);
}

#[tokio::test]
async fn ready_comes_back_with_the_disk_and_not_before() {
    let Some(failing) = started("refuse").await else {
        return;
    };
    failing.served().await;
    failing.begin("fail-sync");
    let status = async || failing.get().send().await.status();
    assert_eq!(status().await, StatusCode::SERVICE_UNAVAILABLE);
    soon(async {
        while failing.counted("wavegate_audit_failures_total").await < 4 {
            assert_eq!(failing.ready().await, 503);
            assert_eq!(status().await, StatusCode::SERVICE_UNAVAILABLE);
        }
    })
    .await;
    failing.end("fail-sync");
    soon(async { while failing.ready().await != 200 {} }).await;
    failing.served().await;
    let (log, _config) = failing.stopped().await;
    // The gateway tried several times, but the log has one line about it.
    assert_eq!(of_kind(&log, "unwritten").len(), 1);
    assert_eq!(missing(&log), 0);
}

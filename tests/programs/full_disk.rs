//! A full disk: the gateway refuses requests, and no half-written line remains. `prlimit` limits
//! the size of a file of the audit log.

use std::process::{Command, Stdio};

use http::{Method, StatusCode};
use wavegate::simulator::{Api, Simulator, Switch, wav};

use crate::harness::admin::ask;
use crate::harness::audit::{of_kind, verified};
use crate::harness::programs::{Running, admin_address, program};
use crate::harness::{Call, NAME, gateway, jwt, soon};

pub(super) async fn pbx() -> Simulator {
    let builder = Simulator::builder(Api::SSeries200).recording(NAME, wav::music(3));
    let builder = builder.switch(Switch::DownloadWithLength);
    builder.start().await.unwrap()
}

#[tokio::test]
async fn a_full_disk_refuses_requests_and_torn_lines_are_repaired() {
    if program("prlimit").is_none() {
        return;
    }
    // These sizes cut lines of both kinds.
    for bytes in [20_000, 20_250, 20_500, 20_750] {
        refused_when_full(bytes).await;
    }
}

async fn refused_when_full(bytes: u64) {
    let pbx = pbx().await;
    let builder = gateway(&pbx).cache().audit();
    let config = builder.write();
    let folder = crate::harness::audit::dir(builder.folder());
    // With a limit on its size a file is written in part, as on a disk that fills.
    let mut limited = Command::new("sh");
    let script =
        format!("trap '' XFSZ; exec prlimit --fsize={bytes}: \"$0\" serve --config \"$1\"");
    limited.args(["-c", &script, env!("CARGO_BIN_EXE_wavegate")]);
    limited.arg(&config).stdin(Stdio::null());
    let running = Running::start(&mut limited);
    let log = running.err.until(|log| log.contains("\"listening\"")).await;
    let listening =
        crate::harness::programs::lines(&log).find(|line| line["message"] == "listening");
    let plain = listening.unwrap()["plain"].as_str().unwrap().to_owned();
    let addr = plain.trim_matches(['[', ']']).parse().unwrap();
    let target = format!("/recordings/{NAME}");
    let ask_once = async || {
        let answer = Call::new(addr, Method::GET, &target)
            .bearer(&jwt("alice"))
            .send()
            .await;
        let status = answer.status();
        drop(answer.bytes().await);
        status
    };
    let mut served = 0;
    soon(async {
        while ask_once().await == StatusCode::OK {
            served += 1;
        }
    })
    .await;
    assert!((5..100).contains(&served), "{served}");
    let admin = admin_address(&running);
    assert_eq!(
        ask(admin, Method::GET, "/readyz", &[])
            .await
            .unwrap()
            .status,
        503
    );
    let failed = running
        .err
        .until(|log| log.contains("the audit log cannot be written\""))
        .await;
    assert_eq!(
        failed.matches("the audit log cannot be written\"").count(),
        1
    );

    let id = running.id().to_string();
    let raised = Command::new("prlimit")
        .args(["--pid", &id, "--fsize=unlimited"])
        .status();
    assert!(raised.unwrap().success());
    soon(async { while ask_once().await != StatusCode::OK {} }).await;
    assert_eq!(running.stop().await.code, Some(0));
    verified(&folder, &[]).await;
    // Every download that a caller received is in the log, and nothing is there twice.
    let deliveries = of_kind(&folder, "delivery");
    let complete = deliveries
        .iter()
        .filter(|line| line["outcome"] == "complete")
        .count();
    assert_eq!(complete, served + 1);
    assert_eq!(of_kind(&folder, "repaired").len(), 1);
}

//! Nothing is served that cannot be written down; and when it can be written again, the chain goes on.

use std::fs;
use std::process::{Command, Stdio};

use http::{Method, StatusCode};

use super::{dir, pbx};
use crate::harness::admin::{ask, number};
use crate::harness::audit::{lines, of_kind, verified};
use crate::harness::{Answer, Call, Gateway, NAME, gateway, jwt, soon};
use crate::programs::{Running, admin_address, program};

async fn get(gateway: &Gateway) -> Answer {
    gateway.get(NAME).bearer(&jwt("alice")).send().await
}

/// Asks until the answer has this status.
async fn until_status(gateway: &Gateway, status: StatusCode) -> Answer {
    soon(async {
        loop {
            let answer = get(gateway).await;
            if answer.status() == status {
                return answer;
            }
            drop(answer.bytes().await);
            tokio::task::yield_now().await;
        }
    })
    .await
}

async fn ready(gateway: &Gateway) -> (u16, String) {
    let addr = gateway.app.admin_address();
    let reply = ask(addr, Method::GET, "/readyz", &[]).await.unwrap();
    (reply.status, reply.text)
}

#[tokio::test]
async fn without_its_folder_nothing_is_served_until_it_is_back() {
    let pbx = pbx().await;
    let gateway = gateway(&pbx).cache("").audit("").start().await;
    let (folder, away) = (dir(&gateway), gateway.folder().join("away"));
    gateway.fetch(NAME).await;
    assert_eq!(ready(&gateway).await.0, 200);
    let tickets = pbx.seen().tickets_issued;

    // It is moved away; it is a file for a while; it is back.
    fs::rename(&folder, &away).unwrap();
    let problem = get(&gateway).await.problem().await;
    assert_eq!(
        (&*problem.slug, problem.status.as_u16()),
        ("audit-unavailable", 503)
    );
    assert!(!problem.text.contains("away") && !problem.text.contains("audit/"));
    let told = (503, "the audit log cannot be written\n".to_owned());
    assert_eq!(ready(&gateway).await, told);
    fs::write(&folder, "no folder").unwrap();
    assert_eq!(
        get(&gateway).await.status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    let denied = gateway.get(NAME).bearer("nonsense").send().await;
    assert_eq!(denied.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(pbx.seen().tickets_issued, tickets);

    fs::remove_file(&folder).unwrap();
    fs::rename(&away, &folder).unwrap();
    let answer = until_status(&gateway, StatusCode::OK).await;
    drop(answer.bytes().await);
    assert_eq!(ready(&gateway).await.0, 200);
    assert!(gateway.app.shut_down().await);
    verified(&folder, &[]).await;
    // Who was refused left no decision behind.
    let decisions = of_kind(&folder, "decision").len();
    assert_eq!((decisions, of_kind(&folder, "delivery").len()), (2, 2));
}

#[tokio::test]
async fn an_empty_folder_goes_on_with_the_chain() {
    let pbx = pbx().await;
    let gateway = gateway(&pbx).cache("").audit("").start().await;
    let folder = dir(&gateway);
    gateway.fetch(NAME).await;
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(
        get(&gateway).await.status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    fs::create_dir(&folder).unwrap();
    drop(until_status(&gateway, StatusCode::OK).await.bytes().await);
    assert!(gateway.app.shut_down().await);
    let told = verified(&folder, &[]).await;
    assert!(told.contains("It begins in the middle"), "{told}");
    let first = &lines(&folder)[0];
    assert_eq!(first["kind"], "file");
    assert!(
        first["previous"]
            .as_str()
            .unwrap()
            .starts_with("audit-00000001-")
    );
}

#[tokio::test]
async fn a_running_transfer_ends_as_it_is_and_has_its_line_later() {
    let pbx = pbx().await;
    let gateway = gateway(&pbx).audit("").start().await;
    let (folder, away) = (dir(&gateway), gateway.folder().join("away"));
    pbx.hold_downloads(5_000);
    let mut running = get(&gateway).await;
    let first = running.chunk().await.unwrap().unwrap();
    fs::rename(&folder, &away).unwrap();
    assert_eq!(
        get(&gateway).await.status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    pbx.release_downloads();
    let rest = running.bytes().await.unwrap();
    assert!([first, rest].concat() == pbx.recording_bytes(NAME).unwrap());
    fs::rename(&away, &folder).unwrap();
    let deliveries = crate::harness::audit::until(&folder, "delivery", 1).await;
    assert_eq!(deliveries[0]["outcome"], "complete");
}

#[tokio::test]
async fn serve_answers_without_a_line_and_writes_how_many() {
    let pbx = pbx().await;
    let builder = gateway(&pbx).cache("").audit("on_failure = \"serve\"");
    let gateway = builder.start().await;
    let (folder, away) = (dir(&gateway), gateway.folder().join("away"));
    gateway.fetch(NAME).await;
    fs::rename(&folder, &away).unwrap();
    for _ in 0..3 {
        gateway.fetch(NAME).await;
    }
    assert_eq!(ready(&gateway).await.0, 200);
    let admin = gateway.app.admin_address();
    assert_eq!(number(admin, "wavegate_audit_unwritten_total").await, 3);
    assert!(number(admin, "wavegate_audit_failures_total").await >= 1);
    fs::rename(&away, &folder).unwrap();
    let unwritten = crate::harness::audit::until(&folder, "unwritten", 1).await;
    assert_eq!(unwritten[0]["decisions"], 3);
    // That line has to get to the disk first.
    let mut fetched = 4;
    soon(async {
        while of_kind(&folder, "decision").len() < 2 {
            gateway.fetch(NAME).await;
            fetched += 1;
        }
    })
    .await;
    assert!(gateway.app.shut_down().await);
    verified(&folder, &[]).await;
    let told = of_kind(&folder, "unwritten").into_iter();
    let missing: u64 = told.map(|line| line["decisions"].as_u64().unwrap()).sum();
    assert_eq!(missing + 2, fetched);
}

#[tokio::test]
async fn a_full_disk_refuses_and_what_was_half_written_is_repaired() {
    if program("prlimit").is_none() {
        return;
    }
    // So that lines of either kind are cut.
    for bytes in [20_000, 20_250, 20_500, 20_750] {
        refused_when_full(bytes).await;
    }
}

async fn refused_when_full(bytes: u64) {
    let pbx = pbx().await;
    let builder = gateway(&pbx).cache("").audit("");
    let config = builder.write();
    let folder = crate::harness::audit::dir(builder.folder());
    // A file may be so large and no larger: what is over is written in part, as on a disk that fills.
    let mut limited = Command::new("sh");
    let script =
        format!("trap '' XFSZ; exec prlimit --fsize={bytes}: \"$0\" serve --config \"$1\"");
    limited.args(["-c", &script, env!("CARGO_BIN_EXE_wavegate")]);
    limited.arg(&config).stdin(Stdio::null());
    let running = Running::start(&mut limited);
    let log = running.err.until(|log| log.contains("\"listening\"")).await;
    let listening = crate::programs::lines(&log).find(|line| line["message"] == "listening");
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
    // Every download that somebody got is in it, and nothing twice.
    let deliveries = of_kind(&folder, "delivery");
    let complete = deliveries
        .iter()
        .filter(|line| line["outcome"] == "complete")
        .count();
    assert_eq!(complete, served + 1);
    assert_eq!(of_kind(&folder, "repaired").len(), 1);
}

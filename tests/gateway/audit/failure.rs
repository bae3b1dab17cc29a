//! The gateway serves nothing that it cannot write to the audit log. When it can write again, the
//! chain continues.

use std::fs;

use http::{Method, StatusCode};

use super::{dir, pbx};
use crate::harness::admin::{ask, number};
use crate::harness::audit::{lines, of_kind, verified};
use crate::harness::{Answer, Gateway, NAME, gateway, jwt, soon};

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
async fn a_missing_audit_folder_stops_serving_until_it_is_back() {
    let pbx = pbx().await;
    let gateway = gateway(&pbx).cache().audit().start().await;
    let (folder, away) = (dir(&gateway), gateway.folder().join("away"));
    gateway.fetch(NAME).await;
    assert_eq!(ready(&gateway).await.0, 200);
    let tickets = pbx.seen().tickets_issued;

    // The folder is moved away, then a file stands in its place, then the folder is back.
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
    // A request that was refused for the missing log left no decision behind.
    let decisions = of_kind(&folder, "decision").len();
    assert_eq!((decisions, of_kind(&folder, "delivery").len()), (2, 2));
}

#[tokio::test]
async fn the_chain_continues_in_an_emptied_folder() {
    let pbx = pbx().await;
    let gateway = gateway(&pbx).cache().audit().start().await;
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
async fn a_running_transfer_completes_and_is_logged_later() {
    let pbx = pbx().await;
    let gateway = gateway(&pbx).audit().start().await;
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
async fn on_failure_serve_counts_decisions_without_a_line() {
    let pbx = pbx().await;
    let builder = gateway(&pbx)
        .cache()
        .audit()
        .set("audit.on_failure", "serve");
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
    // The gateway writes no decision until the `unwritten` line is on disk, so fetch until the log
    // has a second decision.
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

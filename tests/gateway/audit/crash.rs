//! A killed gateway loses no line of a download that a caller received, and its successor continues
//! the chain.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::sync::{Arc, Mutex};

use http::{Method, StatusCode};
use tokio::task::JoinSet;
use wavegate::app::{App, GatewayParts};

use super::pbx;
use crate::harness::audit::{dir, files, of_kind, verified};
use crate::harness::programs::serve;
use crate::harness::{Call, NAME, gateway, jwt};

#[tokio::test(flavor = "multi_thread")]
async fn downloads_before_a_kill_have_their_decision_in_the_log() {
    let pbx = pbx().await;
    let builder = gateway(&pbx).cache().audit().set("log.level", "info");
    let config = builder.write();
    let folder = dir(builder.folder());
    let mut finished = BTreeSet::new();
    for round in 0..3 {
        let (running, addr) = serve(&config).await;
        let got = Arc::new(Mutex::new(Vec::<String>::new()));
        let mut callers = JoinSet::new();
        for caller in 0..20 {
            let got = Arc::clone(&got);
            let token = jwt(&format!("caller-{caller}"));
            callers.spawn(async move {
                let target = format!("/recordings/{NAME}");
                loop {
                    let stream = tokio::net::TcpStream::connect(addr).await;
                    let Ok(stream) = stream else { return };
                    let call = Call::new(addr, Method::GET, &target).bearer(&token);
                    let Ok(answer) = call.try_send_on(stream).await else {
                        return;
                    };
                    assert_eq!(answer.status(), StatusCode::OK);
                    let id = answer.header("x-request-id").unwrap().to_owned();
                    if answer.bytes().await.is_ok() {
                        got.lock().unwrap().push(id);
                    }
                }
            });
        }
        crate::harness::soon(async {
            while got.lock().unwrap().len() < 200 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        running.signal("KILL");
        running.end().await;
        callers.join_all().await;
        finished.append(&mut got.lock().unwrap().drain(..).collect());

        let decisions = of_kind(&folder, "decision");
        let decided: BTreeSet<String> = decisions
            .iter()
            .map(|line| line["id"].as_str().unwrap().to_owned())
            .collect();
        assert!(finished.is_subset(&decided), "round {round}");
    }
    let (running, _) = serve(&config).await;
    running.stop().await;
    let told = verified(&folder, &[]).await;
    assert!(told.contains("lines, 1 to "), "{told}");
    assert_eq!(of_kind(&folder, "start").len(), 4);
}

#[tokio::test]
async fn a_torn_line_is_moved_aside_and_logged() {
    let pbx = pbx().await;
    for torn in ["{\"seq\":", "\0\0\0\0", "nonsense\n\0\0\0"] {
        let builder = gateway(&pbx).cache().audit();
        let path = builder.write();
        let folder = dir(builder.folder());
        let app = App::start(GatewayParts::load(&path).unwrap())
            .await
            .unwrap();
        assert!(app.shut_down().await);
        let file = files(&folder).remove(0);
        let whole = fs::read(&file).unwrap();
        let mut end = OpenOptions::new().append(true).open(&file).unwrap();
        end.write_all(torn.as_bytes()).unwrap();

        let app = App::start(GatewayParts::load(&path).unwrap())
            .await
            .unwrap();
        assert!(app.shut_down().await);
        assert!(fs::read(&file).unwrap().starts_with(&whole));
        let aside = format!("{}.torn", file.display());
        assert_eq!(fs::read_to_string(aside).unwrap(), torn);
        let repaired = of_kind(&folder, "repaired");
        assert_eq!(repaired.len(), 1);
        assert_eq!(repaired[0]["bytes"], torn.len());
        verified(&folder, &[]).await;
    }
}

#[tokio::test]
async fn verify_accepts_a_torn_end_before_its_repair() {
    let pbx = pbx().await;
    let builder = gateway(&pbx).cache().audit();
    let path = builder.write();
    let folder = dir(builder.folder());
    let app = App::start(GatewayParts::load(&path).unwrap())
        .await
        .unwrap();
    assert!(app.shut_down().await);
    let file = files(&folder).remove(0);
    let mut end = OpenOptions::new().append(true).open(&file).unwrap();
    end.write_all(b"{\"seq\":").unwrap();
    let told = verified(&folder, &[]).await;
    assert!(told.contains("has no end"), "{told}");
}

#[tokio::test]
async fn a_file_without_a_whole_line_is_begun_anew() {
    let pbx = pbx().await;
    let builder = gateway(&pbx).cache().audit();
    let path = builder.write();
    let folder = dir(builder.folder());
    let app = App::start(GatewayParts::load(&path).unwrap())
        .await
        .unwrap();
    assert!(app.shut_down().await);
    let second = folder.join("audit-00000002-2026-03-02.jsonl");
    fs::write(&second, "{\"seq\":7,").unwrap();
    let app = App::start(GatewayParts::load(&path).unwrap())
        .await
        .unwrap();
    assert!(app.shut_down().await);
    verified(&folder, &[]).await;
    assert!(!second.exists());
    assert_eq!(files(&folder).len(), 1);
}

#[tokio::test]
async fn a_folder_belongs_to_one_process() {
    let pbx = pbx().await;
    let builder = gateway(&pbx)
        .cache()
        .audit()
        .set("audit.on_failure", "serve");
    let path = builder.write();
    let one = App::start(GatewayParts::load(&path).unwrap())
        .await
        .unwrap();
    let Err(error) = App::start(GatewayParts::load(&path).unwrap()).await else {
        panic!("two have one folder");
    };
    let error = error.to_string();
    assert!(
        error.contains("audit.dir") && error.contains("another process"),
        "{error}"
    );
    assert!(one.shut_down().await);
    let again = App::start(GatewayParts::load(&path).unwrap())
        .await
        .unwrap();
    assert!(again.shut_down().await);
}

//! Several PBXs: the name of a recording belongs to one of them at most.

use wavegate::simulator::Api;

use super::{run, simulator};
use crate::harness::{NAME, PBX, gateway, write_secret};

#[tokio::test]
async fn several_pbxs_are_looked_at_one_by_one() {
    let (old, new) = (simulator(Api::SSeries110), simulator(Api::SSeries200));
    let (old, new) = (old.start().await.unwrap(), new.start().await.unwrap());
    let builder = gateway(&new)
        .set("pbx.names_from", "2026-01-01")
        .beside("old", &old);
    write_secret(&builder.folder().join("old"), "not the password");
    let path = builder.write();
    let ended = run(&path, &["--recording", NAME]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.out.contains("recording  ok") && ended.out.contains("login      FAILED"),
        "{}",
        ended.out
    );
    assert_eq!(
        (new.seen().downloads_started, old.seen().downloads_started),
        (1, 0)
    );
    let ended = run(&path, &["--pbx", PBX]).await;
    assert_eq!((ended.code, old.seen().requests.login), (Some(0), 1));
    write_secret(&builder.folder().join("old"), old.password());
    let ended = run(&path, &["--recording", NAME, "--retry-login"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let skipped = format!("recording  ok       skipped: the name belongs to the PBX {PBX}");
    assert!(ended.out.contains(&skipped), "{}", ended.out);
    assert_eq!(old.seen().downloads_started, 0);
    let ended = run(&path, &["--pbx", "nowhere"]).await;
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""));
    assert!(ended.err.contains("no such PBX"), "{}", ended.err);
}

#[tokio::test]
async fn a_recording_that_no_pbx_can_have_costs_no_login() {
    let pbx = simulator(Api::SSeries200).start().await.unwrap();
    let path = gateway(&pbx).set("pbx.names_from", "2030-01-01");
    let path = path.write();
    let ended = run(&path, &["--recording", NAME]).await;
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""));
    assert!(ended.err.contains("names_from"), "{}", ended.err);
    assert_eq!(pbx.seen().connections, 0);
    let ended = run(&path, &["--recording", NAME, "--pbx", PBX]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

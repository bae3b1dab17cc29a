//! Reading the configuration again: downloads go on, a PBX that did not change keeps its token, one that did is logged
//! in to with what is new, and a mistake changes nothing.

use wavegate::simulator::{Api, Simulator, Switch, wav};

use super::{LARGE, begin, pbx};
use crate::harness::{NAME, gateway, write_secret};

#[tokio::test]
async fn a_reload_without_changes_keeps_token_and_downloads() {
    let pbx = pbx(LARGE).await;
    let gateway = gateway(&pbx).start().await;
    let (answer, mut received) = begin(&gateway).await;
    for _ in 0..3 {
        gateway.reload().unwrap();
    }
    received.extend_from_slice(&answer.bytes().await.expect("went on"));
    assert!(received == pbx.recording_bytes(NAME).unwrap());
    gateway.fetch(NAME).await;
    assert_eq!(pbx.seen().requests.login, 1);
}

#[tokio::test]
async fn a_reload_changes_limits_and_doubles_none() {
    let pbx = pbx(LARGE).await;
    let gateway = gateway(&pbx)
        .relay("max_streams = 1")
        .pbx("max_downloads = 1")
        .start()
        .await;
    let (answer, mut received) = begin(&gateway).await;
    for _ in 0..3 {
        gateway.reload().unwrap();
    }
    assert_eq!(gateway.problem(NAME).await.slug, "saturated");

    // One more stream, still one download: the second request now waits for the PBX.
    let file = gateway.folder().join("wavegate.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let text = text.replace("max_streams = 1", "max_streams = 2");
    std::fs::write(
        &file,
        text.replace(
            "max_downloads = 1",
            "max_downloads = 1\nqueue_timeout_ms = 50",
        ),
    )
    .unwrap();
    gateway.reload().unwrap();
    assert_eq!(gateway.problem(NAME).await.slug, "saturated");
    assert_eq!(pbx.seen().tickets_issued, 1);

    received.extend_from_slice(&answer.bytes().await.expect("went on"));
    assert!(received == pbx.recording_bytes(NAME).unwrap());
    gateway.fetch(NAME).await;
    assert_eq!(pbx.seen().requests.login, 1);
}

#[tokio::test]
async fn a_changed_password_is_used_for_the_next_login() {
    let pbx = pbx(LARGE).await;
    let gateway = gateway(&pbx).start().await;
    let (answer, mut received) = begin(&gateway).await;
    pbx.set_password("another password");
    write_secret(&gateway.folder().join("password"), "another password");

    gateway.reload().unwrap();

    gateway.fetch(NAME).await;
    let seen = pbx.seen();
    assert_eq!((seen.logins_ok, seen.logins_refused), (2, 0));
    // A download that began before goes on.
    received.extend_from_slice(&answer.bytes().await.expect("went on"));
    assert!(received == pbx.recording_bytes(NAME).unwrap());
}

#[tokio::test]
async fn a_refused_login_is_forgotten_when_the_password_is_corrected() {
    let pbx = pbx(1_000).await;
    let gateway = gateway(&pbx).password("a wrong one").start().await;
    assert_eq!(gateway.problem(NAME).await.slug, "pbx-login-refused");
    for _ in 0..5 {
        assert_eq!(gateway.problem(NAME).await.slug, "pbx-held-off");
    }
    assert_eq!(pbx.seen().requests.login, 1);

    write_secret(&gateway.folder().join("password"), pbx.password());
    gateway.reload().unwrap();
    gateway.fetch(NAME).await;
    assert_eq!(pbx.seen().requests.login, 2);
}

#[tokio::test]
async fn a_configuration_with_a_mistake_changes_nothing() {
    let pbx = pbx(1_000).await;
    let gateway = gateway(&pbx).start().await;
    gateway.fetch(NAME).await;
    let path = gateway.folder().join("wavegate.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    for (from, to, key) in [
        ("everyone = true", "everyone = 7", "policy.everyone"),
        ("[policy]", "[police]", "police"),
        ("\"password\"", "\"no-such-file\"", "password_file"),
    ] {
        std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
        let mistake = gateway.reload().unwrap_err();
        assert!(mistake.contains(key), "{mistake}");
        gateway.fetch(NAME).await;
    }
    assert_eq!(pbx.seen().requests.login, 1);
}

#[tokio::test]
async fn another_pbx_takes_over_at_a_reload() {
    let old = pbx(1_000).await;
    let new = Simulator::builder(Api::SSeries200)
        .recording(NAME, wav::music(2))
        .credentials(old.username(), old.password())
        .switch(Switch::Tls13)
        .start()
        .await
        .unwrap();
    let gateway = gateway(&old).start().await;
    gateway.fetch(NAME).await;
    let path = gateway.folder().join("wavegate.toml");
    let text = std::fs::read_to_string(&path)
        .unwrap()
        .replace(&old.url(), &new.url())
        .replace(old.fingerprint(), new.fingerprint());
    std::fs::write(&path, text).unwrap();

    gateway.reload().unwrap();

    assert_eq!(
        gateway.fetch(NAME).await,
        new.recording_bytes(NAME).unwrap()
    );
    assert_eq!(old.seen().requests.download, 1);
}

#[tokio::test]
async fn a_ca_file_with_other_certificates_is_another_trust() {
    let pbx = Simulator::builder(Api::SSeries200)
        .certificate_for(["127.0.0.1"])
        .recording(NAME, wav::music(3))
        .start()
        .await
        .unwrap();
    let stranger = Simulator::builder(Api::SSeries200).start().await.unwrap();
    let builder = gateway(&pbx)
        .without_pin()
        .pbx("[pbx.tls]\nca_file = \"ca.pem\"");
    let file = builder.folder().join("ca.pem");
    std::fs::write(&file, stranger.certificate_pem()).unwrap();
    let gateway = builder.start().await;
    assert_eq!(gateway.problem(NAME).await.slug, "pbx-unreachable");

    std::fs::write(&file, pbx.certificate_pem()).unwrap();
    gateway.reload().unwrap();
    assert!(gateway.fetch(NAME).await == pbx.recording_bytes(NAME).unwrap());
}

//! Reading the configuration again: downloads continue, an unchanged PBX keeps its token, a changed
//! one gets a login with its new settings, and a mistake changes nothing.

use wavegate::simulator::{Api, Simulator, Switch, wav};

use super::{LARGE, begin, pbx};
use crate::harness::{Gateway, NAME, gateway, jwt, soon, write_secret};

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
        .set("relay.max_streams", 1)
        .set("pbx.max_downloads", 1)
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
    let text = text.replace(
        "max_downloads = 1",
        "max_downloads = 1\nqueue_timeout_ms = 50",
    );
    std::fs::write(&file, &text).unwrap();
    gateway.reload().unwrap();
    assert_eq!(gateway.problem(NAME).await.slug, "saturated");
    assert_eq!(pbx.seen().tickets_issued, 1);

    // One more download, too.
    let text = text.replace("max_downloads = 1", "max_downloads = 2");
    std::fs::write(&file, text).unwrap();
    gateway.reload().unwrap();
    gateway.fetch(NAME).await;

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
    // A download that began before the reload continues.
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
        (
            "file = \"policy.cedar\"",
            "everyone = true",
            "policy.everyone",
        ),
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
    let builder = gateway(&pbx).without_pin().set("pbx.tls.ca_file", "ca.pem");
    let file = builder.folder().join("ca.pem");
    std::fs::write(&file, stranger.certificate_pem()).unwrap();
    let gateway = builder.start().await;
    assert_eq!(gateway.problem(NAME).await.slug, "pbx-unreachable");

    std::fs::write(&file, pbx.certificate_pem()).unwrap();
    gateway.reload().unwrap();
    assert!(gateway.fetch(NAME).await == pbx.recording_bytes(NAME).unwrap());
}

/// Changes the configuration file and has it read again.
fn reload_with(gateway: &Gateway, changes: &[(&str, &str)]) {
    let path = gateway.folder().join("wavegate.toml");
    let mut text = std::fs::read_to_string(&path).unwrap();
    for (old, new) in changes {
        assert!(text.contains(old), "{old}");
        text = text.replace(old, new);
    }
    std::fs::write(&path, text).unwrap();
    gateway.reload().unwrap();
}

#[tokio::test]
async fn a_pbx_whose_limits_or_pins_change_keeps_its_one_token() {
    let builder = Simulator::builder(Api::PSeries).recording(NAME, wav::music(3));
    let pbx = builder.start().await.unwrap();
    // All other slots for tokens are taken.
    pbx.occupy_tokens(7);
    let gateway = gateway(&pbx)
        .set("pbx.answer_timeout_ms", 14000)
        .start()
        .await;
    gateway.fetch(NAME).await;
    let other_pin = format!("{}\", \"{}", "0".repeat(64), pbx.fingerprint());
    for change in [
        ("answer_timeout_ms = 14000", "answer_timeout_ms = 13000"),
        (pbx.fingerprint(), &other_pin),
    ] {
        reload_with(&gateway, &[change]);
        gateway.fetch(NAME).await;
    }
    let seen = pbx.seen();
    assert_eq!(
        (seen.logins_ok, seen.logins_refused, seen.logouts),
        (1, 0, 0)
    );
}

#[tokio::test]
async fn a_replaced_pbx_finishes_its_downloads_then_logs_out() {
    let recording = wav::pcm_of_size(LARGE);
    let builder = || Simulator::builder(Api::PSeries).recording(NAME, recording.clone());
    let old = builder().start().await.unwrap();
    let new = builder().start().await.unwrap();
    let gateway = gateway(&old).start().await;
    let (running, mut received) = begin(&gateway).await;
    // One download is under way, and another has a token and no ticket yet.
    old.inject("get-random:slow=300ms".parse().unwrap());
    let asked = async {
        let answer = gateway.get(NAME).bearer(&jwt("alice")).send().await;
        assert_eq!(answer.status(), 200);
        answer.bytes().await.unwrap()
    };
    let reloaded = async {
        old.until(|seen| seen.requests.get_random == 2).await;
        let changes = [
            (old.url(), new.url()),
            (old.username().to_owned(), new.username().to_owned()),
            (old.fingerprint().to_owned(), new.fingerprint().to_owned()),
        ];
        write_secret(&gateway.folder().join("password"), new.password());
        let changes: Vec<_> = changes.iter().map(|(old, new)| (&**old, &**new)).collect();
        reload_with(&gateway, &changes);
        assert!(gateway.fetch(NAME).await == recording);
        assert_eq!(old.tokens_live(), 1);
    };
    let (bytes, ()) = tokio::join!(asked, reloaded);
    assert!(bytes == recording);
    received.extend_from_slice(&running.bytes().await.expect("went on"));
    assert!(received == recording);
    soon(old.until(|seen| seen.logouts == 1)).await;
    assert_eq!((old.tokens_live(), new.seen().logins_ok), (0, 1));
}

#[tokio::test]
async fn the_slot_of_a_replaced_pbx_is_free_at_the_end_of_the_program() {
    let builder = || Simulator::builder(Api::PSeries).recording(NAME, wav::music(1));
    let (old, new) = (
        builder().start().await.unwrap(),
        builder().start().await.unwrap(),
    );
    let gateway = gateway(&old).start().await;
    gateway.fetch(NAME).await;
    write_secret(&gateway.folder().join("password"), new.password());
    let (old_url, new_url) = (old.url(), new.url());
    let changes = [
        (&*old_url, &*new_url),
        (old.username(), new.username()),
        (old.fingerprint(), new.fingerprint()),
    ];
    reload_with(&gateway, &changes);
    gateway.fetch(NAME).await;
    assert!(gateway.app.shut_down().await);
    assert_eq!((old.tokens_live(), new.tokens_live()), (0, 0));
}

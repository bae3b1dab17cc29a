//! The commands of the program, run as a user runs them: their output, their refusals, and their
//! exit codes.

mod demo;
mod mint;
mod simulate;

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use wavegate::simulator::{Api, Simulator, wav};

use crate::harness::programs::{Ended, Running, run_wavegate, serve, wavegate};
use crate::harness::{Builder, NAME, PBX, gateway, write_secret};

const HOST: &str = "recordings.test";
/// A secret in the wrong place. No message may repeat it.
const MISPLACED: &str = "hunter2-in-the-wrong-place";

async fn pbx() -> Simulator {
    Simulator::builder(Api::SSeries200)
        .recording(NAME, wav::music(3))
        .start()
        .await
        .unwrap()
}

fn with_host(pbx: &Simulator) -> Builder {
    gateway(pbx).set("server.public_url", format!("https://{HOST}"))
}

fn append(path: &Path, lines: &str) {
    let mut file = OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(lines.as_bytes()).unwrap();
}

async fn with_config(command: &str, path: &Path, rest: &[&str]) -> Ended {
    let path = path.to_str().unwrap();
    run_wavegate(&[&[command, "--config", path], rest].concat()).await
}

/// The output of a command that succeeds, on one line.
#[track_caller]
fn printed(ended: Ended) -> String {
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{ended:?}");
    let line = ended.out.strip_suffix('\n').unwrap();
    assert!(!line.contains('\n'), "{line}");
    line.to_owned()
}

#[tokio::test]
async fn check_finds_no_fault_with_a_good_file() {
    let pbx = pbx().await;
    let builder = with_host(&pbx);
    let path = builder.write();
    let line = printed(with_config("check", &path, &[]).await);
    assert_eq!(
        line,
        format!("{}: no mistakes (the PBX was not asked)", path.display())
    );
    assert_eq!(pbx.seen().connections, 0);
}

#[tokio::test]
async fn check_prints_every_mistake_with_its_key_and_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wavegate.toml");
    write_secret(&folder.path().join("short"), &MISPLACED[..10]);
    write_secret(&folder.path().join("not-md5"), MISPLACED);
    let text = format!(
        r#"
        [server]
        listen = ["127.0.0.1:0", "localhost"]
        public_url = "https://admin:{MISPLACED}@host:99999"
        max_connections = 0
        header_timeout_ms = "1s"
        [log]
        level = "loud"
        [auth]
        [[auth.issuer]]
        name = "https://idp.test"
        audiences = []
        [[auth.issuer.key]]
        algorithm = "HS256"
        secret_file = "short"
        secret = "{MISPLACED}"
        [links]
        [[links.key]]
        algorithm = "none"
        secret_file = "missing"
        [policy]
        everyone = true
        [relay]
        max_stream = 1
        [[pbx]]
        name = "head office"
        api = "s-series-3.0.0"
        url = "https://api:{MISPLACED}@192.168.5.150:8088/api"
        password = "{MISPLACED}"
        password_md5_file = "not-md5"
        max_downloads = -1
        [pbx.tls]
        pins = ["00"]
        "#
    );
    std::fs::write(&path, text).unwrap();
    let keys = [
        "server.listen",
        "server.public_url",
        "server.max_connections",
        "server.header_timeout_ms",
        "log.level",
        "auth.issuer[0].audiences",
        "auth.issuer[0].key[0].secret_file",
        "auth.issuer[0].key[0].secret",
        "links.audience",
        "links.key[0].algorithm",
        "links.key[0].secret_file",
        "policy.everyone",
        "relay.max_stream",
        "pbx[0].name",
        "pbx[0].api",
        "pbx[0].url",
        "pbx[0].username",
        "pbx[0].password",
        "pbx[0].password_md5_file",
        "pbx[0].max_downloads",
        "pbx[0].tls.pins",
    ];
    for command in ["check", "serve", "token", "link"] {
        let rest: &[&str] = match command {
            "token" => &["--subject", "alice"],
            "link" => &["--recording", NAME],
            _ => &[],
        };
        let ended = with_config(command, &path, rest).await;
        assert_eq!(
            (ended.code, ended.out.as_str()),
            (Some(78), ""),
            "{ended:?}"
        );
        // One line with the number of mistakes, then one line for each.
        let (heading, list) = ended.err.split_once('\n').unwrap();
        let count = list.lines().count();
        let expected = format!("wavegate: {} has {count} mistakes:", path.display());
        assert_eq!(heading, expected);
        assert!(
            count >= keys.len() && !list.contains("wavegate: "),
            "{list}"
        );
        for key in keys {
            let of_key = |line: &&str| line.starts_with(&format!("{key}: "));
            assert_eq!(list.lines().filter(of_key).count(), 1, "{key} in\n{list}");
        }
        assert!(!list.contains("hunter2"), "{list}");
    }
}

#[tokio::test]
async fn a_line_that_is_no_toml_is_named_and_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wavegate.toml");
    std::fs::write(&path, format!("[pbx]\n\npassword = {MISPLACED}\n")).unwrap();
    let ended = with_config("check", &path, &[]).await;
    assert_eq!(ended.code, Some(78));
    assert!(ended.err.contains("line 3"), "{}", ended.err);
    assert!(!ended.err.contains("hunter2"), "{}", ended.err);

    let ended = with_config("check", &folder.path().join("none.toml"), &[]).await;
    assert_eq!(ended.code, Some(78));
    assert!(ended.err.contains("none.toml"), "{}", ended.err);
    for way_out in ["--config FILE", "wavegate init"] {
        assert!(ended.err.contains(way_out), "{}", ended.err);
    }
}

#[tokio::test]
async fn the_configuration_is_the_one_in_the_current_folder() {
    let pbx = pbx().await;
    let builder = gateway(&pbx);
    let path = builder.write();
    let folder = path.parent().unwrap();
    assert_eq!(path.file_name().unwrap(), "wavegate.toml");
    let check = |folder: &Path| Running::start(wavegate(&["check"]).current_dir(folder)).end();
    assert!(printed(check(folder).await).starts_with("wavegate.toml: no mistakes"));
    let empty = tempfile::tempdir().unwrap();
    let ended = check(empty.path()).await;
    assert_eq!((ended.code, ended.out.as_str()), (Some(78), ""));
    assert!(ended.err.contains("no wavegate.toml"), "{}", ended.err);
}

#[tokio::test]
async fn a_pbx_that_no_bare_name_means_is_noted() {
    let (first, second) = (pbx().await, pbx().await);
    for (lines, noted) in [("", true), ("names_until = \"2024-03-01\"", false)] {
        let builder = gateway(&first).lines("[pbx]", lines);
        let builder = builder
            .beside("new", &second)
            .set("pbx[1].names_from", "2024-03-01");
        let path = builder.write();
        let ended = with_config("check", &path, &[]).await;
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{ended:?}");
        let note = ended.out.lines().find(|line| line.starts_with("note: "));
        let named = note.is_some_and(|note| note.contains("PBX new") && note.contains(PBX));
        assert_eq!(named, noted, "{}", ended.out);
        let (running, _) = serve(&path).await;
        let logged = running
            .stop()
            .await
            .err
            .contains("no bare name means this PBX");
        assert_eq!(logged, noted);
    }
}

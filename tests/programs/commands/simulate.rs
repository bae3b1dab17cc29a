//! The simulator on the command line: its output is enough to configure a gateway for it.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use http::Method;
use wavegate::simulator::{Api, wav};

use super::{append, pbx};
use crate::harness::programs::{Running, run_wavegate, serve, wavegate};
use crate::harness::{Call, gateway, jwt, write_secret};

const PASSWORD: &str = "kept-in-a-file-\"only\"";

/// A running simulator, and its output.
struct Simulated {
    running: Running,
    text: String,
}

impl Simulated {
    async fn start(arguments: &[&str]) -> Self {
        let running = Running::start(&mut wavegate(&[&["simulate"], arguments].concat()));
        let last = |text: &str| {
            let table = text.split_once("[[pbx]]").map(|(_, table)| table);
            let end = |table: &str| table.contains("pins = [") || table.contains("plain_http");
            text.ends_with('\n') && table.is_some_and(end)
        };
        let text = running.out.until(last).await;
        Self { running, text }
    }

    /// The values of the lines before the table that begin with this word.
    fn values(&self, word: &str) -> Vec<&str> {
        let (before, _) = self.text.split_once("[[pbx]]").unwrap();
        let lines = before.lines();
        let values = lines.filter_map(|line| line.strip_prefix(word)?.strip_prefix(' '));
        values.map(str::trim_start).collect()
    }

    fn table(&self) -> &str {
        let start = self.text.find("[[pbx]]").unwrap();
        &self.text[start..]
    }

    /// Fetches the recording of the latest call through a gateway whose `[[pbx]]` is the printed
    /// one.
    async fn fetch_through_gateway(&self, password: Option<&str>) {
        let other = pbx().await;
        let builder = gateway(&other);
        let path = builder.write();
        let text = std::fs::read_to_string(&path).unwrap();
        let (rest, _) = text.split_once("[[pbx]]").unwrap();
        std::fs::write(&path, rest).unwrap();
        append(&path, self.table());
        if let Some(password) = password {
            std::fs::create_dir(builder.folder().join("secrets")).unwrap();
            write_secret(&builder.folder().join("secrets/pbx-password"), password);
        }
        let (_gateway, addr) = serve(&path).await;
        let recordings = self.values("recording");
        let target = format!("/recordings/{}", recordings.last().unwrap());
        let call = Call::new(addr, Method::GET, &target).bearer(&jwt("alice"));
        let answer = call.send().await;
        assert_eq!(answer.status(), 200);
        assert!(answer.bytes().await.unwrap() == wav::music(10));
        assert_eq!(other.seen().connections, 0);
    }
}

#[tokio::test]
async fn every_api_prints_what_a_gateway_needs() {
    for &api in Api::ALL {
        let simulated = Simulated::start(&["--api", api.as_str()]).await;
        let table: toml::Table = simulated.table().parse().unwrap();
        let table = table["pbx"][0].as_table().unwrap();
        let text = |key: &str| table[key].as_str().unwrap();
        assert_eq!(text("api"), api.as_str());
        assert_eq!(simulated.values("address"), [text("url")]);
        let (name, secret) = account(api);
        assert_eq!(simulated.values(name), [text("username")]);
        let pin = table["tls"]["pins"][0].as_str().unwrap();
        assert_eq!(simulated.values("certificate"), [format!("sha256 {pin}")]);
        assert_eq!(text("password_file"), "secrets/pbx-password");
        assert_eq!(simulated.values(secret).len(), 1);
        simulated
            .fetch_through_gateway(Some(simulated.values(secret)[0]))
            .await;
    }
}

/// The names of the two halves of an account.
fn account(api: Api) -> (&'static str, &'static str) {
    match api {
        Api::PSeries => ("client id", "client secret"),
        _ => ("username", "password"),
    }
}

#[tokio::test]
async fn a_gateway_with_the_printed_table_has_the_youngest_recording() {
    for arguments in [&[][..], &["--switch", "plain-http"]] {
        let simulated = Simulated::start(arguments).await;
        let recordings = simulated.values("recording");
        let samples = wav::demo_recordings();
        assert_eq!(recordings.len(), samples.len() + 1);
        assert!(
            samples
                .iter()
                .zip(&recordings)
                .all(|(sample, name)| sample.0 == *name)
        );
        let certificates = if arguments.is_empty() { 1 } else { 0 };
        assert_eq!(simulated.values("certificate").len(), certificates);
        let password = simulated.values("password")[0];
        simulated.fetch_through_gateway(Some(password)).await;
        assert_eq!(simulated.running.stop().await.code, Some(0));
    }
}

#[tokio::test]
async fn credentials_can_be_given_and_the_password_is_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    write_secret(&file, &format!("{PASSWORD}\n"));
    let path = file.to_str().unwrap();
    let credentials = ["--username", "api", "--password-file", path];
    let simulated = Simulated::start(&credentials).await;
    assert_eq!(simulated.values("username"), ["api"]);
    assert_eq!(
        simulated.values("password"),
        [format!("as in the file {path}")]
    );
    simulated.fetch_through_gateway(None).await;
    let ended = simulated.running.stop().await;
    assert!(!ended.out.contains("kept-in") && !ended.err.contains("kept-in"));
}

#[tokio::test]
async fn credentials_that_cannot_be_used_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (open, none) = (file("open"), file("none"));
    std::fs::write(&open, PASSWORD).unwrap();
    std::fs::set_permissions(Path::new(&open), Permissions::from_mode(0o644)).unwrap();
    let rows: [(&[&str], i32, &str); 4] = [
        (&["--username", "api"], 2, "--password-file"),
        (&["--password-file", &open], 2, "--username"),
        (
            &["--username", "api", "--password-file", &open],
            1,
            "other users",
        ),
        (&["--username", "api", "--password-file", &none], 1, &none),
    ];
    for (arguments, code, reason) in rows {
        let ended = run_wavegate(&[&["simulate"], arguments].concat()).await;
        assert_eq!((ended.code, ended.out.as_str()), (Some(code), ""));
        assert!(ended.err.contains(reason), "{}", ended.err);
        assert!(!ended.err.contains("kept-in"), "{}", ended.err);
    }
}

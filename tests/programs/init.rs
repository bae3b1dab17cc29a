//! `wavegate init` checks the PBX's certificate and then writes a configuration that works; or it
//! writes nothing.

mod places;
mod tour;

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;
use wavegate::simulator::{Api, Simulator, Switch, wav};

use crate::harness::programs::{Ended, Running, program, run_wavegate, wavegate};
use crate::harness::{NAME, write_secret};

const PASSWORD: &str = "hunter2 \"of\" the tests";
const FILES: [&str; 9] = [
    "audit-head-key.pub",
    "policy.cedar",
    "secrets/admin-token",
    "secrets/audit-head-key",
    "secrets/bearer",
    "secrets/link",
    "secrets/pbx-password",
    "secrets/session",
    "wavegate.toml",
];

async fn pbx(api: Api) -> wavegate::simulator::Builder {
    Simulator::builder(api)
        .credentials("api \"user\" \\ ü", PASSWORD)
        .recording(NAME, wav::music(2))
}

/// A folder that does not exist yet, inside a temporary one.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_secret(&folder.path().join("password"), &format!("{PASSWORD}\n"));
        Self(folder)
    }

    fn dir(&self) -> std::path::PathBuf {
        self.0.path().join("gate")
    }

    fn config(&self) -> String {
        self.dir()
            .join("wavegate.toml")
            .to_str()
            .unwrap()
            .to_owned()
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.config()).unwrap()
    }

    /// `wavegate init` for this folder, with the password's file unless the arguments name another
    /// source.
    fn init(&self, arguments: &[&str]) -> Command {
        let dir = self.dir();
        let mut command = wavegate(&["init", "--dir", dir.to_str().unwrap()]);
        command.args(arguments);
        command
    }

    async fn run(&self, arguments: &[&str]) -> Ended {
        let file = self.0.path().join("password");
        let mut command = self.init(arguments);
        command.args(["--password-file", file.to_str().unwrap()]);
        Running::start(&mut command).end().await
    }

    /// Runs it with these answers on its standard input.
    async fn answer(&self, arguments: &[&str], answers: &str) -> Ended {
        let mut input = tempfile::tempfile().unwrap();
        input.write_all(answers.as_bytes()).unwrap();
        std::io::Seek::rewind(&mut input).unwrap();
        let mut command = self.init(arguments);
        Running::start(command.stdin(Stdio::from(input)))
            .end()
            .await
    }

    async fn succeeds(&self, command: &str) -> String {
        let ended = run_wavegate(&[command, "--config", &self.config()]).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended.out
    }

    #[track_caller]
    fn holds_nothing(&self, ended: &Ended, said: &str) {
        assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{ended:?}");
        assert!(ended.err.contains(said), "{}", ended.err);
        assert!(
            ended.err.ends_with("nothing was written\n"),
            "{}",
            ended.err
        );
        assert!(!self.dir().exists());
        assert!(!ended.err.contains("hunter2"), "{}", ended.err);
    }
}

fn flags<'a>(pbx: &'a Simulator, url: &'a str, rest: &[&'a str]) -> Vec<&'a str> {
    let flags = [
        "--api",
        "s-series-2.0.0",
        "--url",
        url,
        "--username",
        pbx.username(),
    ];
    [&flags[..], rest].concat()
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn flags_alone_make_a_configuration_that_works() {
    let pbx = pbx(Api::SSeries200).await.start().await.unwrap();
    let (place, url) = (Place::new(), pbx.url());
    let ended = place
        .run(&flags(&pbx, &url, &["--fingerprint", pbx.fingerprint()]))
        .await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    // There was no login, and no request to the PBX at all.
    assert_eq!(
        (pbx.seen().requests.total(), pbx.seen().bad_requests),
        (0, 0)
    );
    let given = "it matches --fingerprint";
    for shown in [
        "CN=S-Series VoIP PBX",
        "4096-01-01",
        pbx.fingerprint(),
        given,
    ] {
        assert!(ended.err.contains(shown), "{}", ended.err);
    }
    for command in ["check", "doctor", "serve", "token"] {
        let line = format!("wavegate {command} --config {}", place.config());
        assert!(ended.out.contains(&line), "{}", ended.out);
    }
    assert!(!ended.out.contains("hunter2") && !ended.err.contains("hunter2"));

    let dir = place.dir();
    for file in FILES {
        assert_eq!(mode(&dir.join(file)), 0o600, "{file}");
    }
    assert_eq!((mode(&dir), mode(&dir.join("secrets"))), (0o700, 0o700));
    let secret = |file| std::fs::read_to_string(dir.join("secrets").join(file)).unwrap();
    let keys = ["bearer", "link", "session", "admin-token"].map(secret);
    let different: std::collections::HashSet<_> = keys.iter().collect();
    assert_eq!(different.len(), keys.len());
    for key in keys {
        assert!(key.len() == 64 && key.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
    place.succeeds("check").await;
    assert!(place.succeeds("doctor").await.contains("login      ok"));
}

#[tokio::test]
async fn answers_replace_flags_and_wrong_ones_are_asked_again() {
    let pbx = pbx(Api::PSeries).await.start().await.unwrap();
    let place = Place::new();
    let answers = [
        "p-serie",
        "p-series",
        "here",
        &pbx.url(),
        "yes",
        "head office",
        "",
        pbx.username(),
        PASSWORD,
        "https://gate.example",
    ];
    let ended = place
        .answer(&["--ask"], &format!("{}\n", answers.join("\n")))
        .await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for question in [
        "none of s-series-1.0.1",
        "not an address",
        "Is this the one",
        "at most 64",
        "Client ID",
        "Client Secret",
    ] {
        assert!(
            ended.err.contains(question),
            "no {question:?} in {}",
            ended.err
        );
    }
    assert_eq!(pbx.seen().requests.total(), 0);
    let text = place.text();
    for line in [
        "name = \"office\"",
        "api = \"p-series\"",
        "public_url = \"https://gate.example\"",
    ] {
        assert!(text.contains(line), "{text}");
    }
    assert!(place.succeeds("doctor").await.contains("logout     ok"));
}

#[tokio::test]
async fn a_certificate_that_is_not_the_right_one_ends_it() {
    let pbx = pbx(Api::SSeries200).await.start().await.unwrap();
    let (place, url) = (Place::new(), pbx.url());
    let other = "00".repeat(32);
    let (seen, expected) = (pbx.fingerprint(), format!("expects {other}"));
    let ended = place
        .run(&flags(&pbx, &url, &["--fingerprint", &other]))
        .await;
    place.holds_nothing(&ended, &expected);
    place.holds_nothing(&ended, &format!("SHA-256 is {seen}"));
    // Without a confirmed fingerprint nothing is written.
    let ended = place.run(&flags(&pbx, &url, &[])).await;
    place.holds_nothing(&ended, &format!("add --fingerprint {seen}"));
    for answers in ["no\n", "\n", ""] {
        let ended = place.answer(&flags(&pbx, &url, &["--ask"]), answers).await;
        place.holds_nothing(&ended, "");
    }
    assert_eq!(
        (pbx.seen().requests.total(), pbx.seen().bad_requests),
        (0, 0)
    );
}

#[tokio::test]
async fn a_certificate_that_the_machine_trusts_needs_no_pin() {
    let pbx = pbx(Api::SSeries200).await.certificate_for(["127.0.0.1"]);
    let pbx = pbx.start().await.unwrap();
    let (place, url) = (Place::new(), pbx.url());
    let root = place.0.path().join("root.pem");
    std::fs::write(&root, pbx.certificate_pem()).unwrap();
    // A named fingerprint is pinned, even if the certificate is trusted.
    for rest in [&[][..], &["--fingerprint", pbx.fingerprint()]] {
        let place = Place::new();
        let file = place.0.path().join("password");
        let mut command = place.init(&flags(&pbx, &url, rest));
        command.args(["--password-file", file.to_str().unwrap()]);
        let ended = Running::start(command.env("SSL_CERT_FILE", &root))
            .end()
            .await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let pinned = place.text().contains(pbx.fingerprint());
        assert_eq!(pinned, !rest.is_empty(), "{}", place.text());
        place.succeeds("check").await;
    }
}

#[tokio::test]
async fn plain_http_must_be_spelled_out() {
    let pbx = pbx(Api::SSeries200).await.switch(Switch::PlainHttp);
    let pbx = pbx.start().await.unwrap();
    let (place, url) = (Place::new(), pbx.url());
    let ended = place.run(&flags(&pbx, &url, &[])).await;
    place.holds_nothing(&ended, "--plain-http");
    let ended = place.run(&flags(&pbx, &url, &["--plain-http"])).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(pbx.seen().requests.login, 0);
    place.succeeds("check").await;
    assert!(place.succeeds("doctor").await.contains("http       ok"));
}

#[tokio::test]
async fn on_a_terminal_flags_that_suffice_leave_nothing_to_ask() {
    let Some(script) = program("script") else {
        return;
    };
    let pbx = pbx(Api::SSeries200).await.credentials("api", PASSWORD);
    let pbx = pbx.start().await.unwrap();
    let place = Place::new();
    let command = format!(
        "'{}' init --dir '{}' --api s-series-2.0.0 --url {} --username api --fingerprint {} --password-file '{}'",
        env!("CARGO_BIN_EXE_wavegate"),
        place.dir().display(),
        pbx.url(),
        pbx.fingerprint(),
        place.0.path().join("password").display()
    );
    let mut terminal = Command::new(script);
    terminal.args(["--quiet", "--return", "--command", &command, "/dev/null"]);
    // A terminal without any input.
    let (input, _nothing) = std::io::pipe().unwrap();
    let ended = Running::start(terminal.stdin(Stdio::from(input)))
        .end()
        .await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        place.text().contains("name = \"office\""),
        "{}",
        place.text()
    );
}

#[tokio::test]
async fn init_does_not_overwrite_existing_files() {
    let pbx = pbx(Api::SSeries200).await.start().await.unwrap();
    let url = pbx.url();
    for file in FILES {
        let place = Place::new();
        std::fs::create_dir_all(place.dir().join("secrets")).unwrap();
        std::fs::write(place.dir().join(file), "mine").unwrap();
        let ended = place
            .run(&flags(&pbx, &url, &["--fingerprint", pbx.fingerprint()]))
            .await;
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(
            ended.err.contains(&format!("{file} is there already")),
            "{}",
            ended.err
        );
        for other in FILES {
            let left = std::fs::read_to_string(place.dir().join(other)).ok();
            assert_eq!(
                left.as_deref(),
                (other == file).then_some("mine"),
                "{other}"
            );
        }
    }
    assert_eq!(pbx.seen().connections, 0);
}

#[tokio::test]
async fn the_password_comes_from_a_file_or_from_standard_input() {
    let pbx = pbx(Api::SSeries200).await.start().await.unwrap();
    let (place, url) = (Place::new(), pbx.url());
    let flags = flags(&pbx, &url, &["--fingerprint", pbx.fingerprint()]);
    place.holds_nothing(&place.answer(&flags, "").await, "standard input has ended");
    place.holds_nothing(&place.answer(&flags, "\n").await, "empty");
    let open = place.0.path().join("open");
    std::fs::write(&open, PASSWORD).unwrap();
    let file = [&flags[..], &["--password-file", open.to_str().unwrap()]].concat();
    place.holds_nothing(&place.answer(&file, "").await, "other users can read it");

    let ended = place.answer(&flags, &format!("{PASSWORD}\n")).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(place.succeeds("doctor").await.contains("login      ok"));
}

#[tokio::test]
async fn missing_and_wrong_flags_are_reported() {
    let place = Place::new();
    let ended = place.run(&["--api", "s-series-2.0.0"]).await;
    place.holds_nothing(&ended, "missing: --url, --username");
    for (flag, value) in [
        ("--api", "s-series"),
        ("--url", "https://h/x"),
        ("--name", "a b"),
        ("--fingerprint", "00"),
    ] {
        let ended = place.run(&[flag, value]).await;
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.err.contains(flag), "{}", ended.err);
    }
    let silent = tokio::net::TcpSocket::new_v4().unwrap();
    silent.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("https://{}", silent.local_addr().unwrap());
    let ended = place
        .run(&["--api", "p-series", "--url", &url, "--username", "x"])
        .await;
    place.holds_nothing(
        &ended,
        "nothing listens at this address and port; correct --url",
    );
}

//! Secrets as containers provide them.
//!
//! The kind: Docker and Swarm mount each secret at `/run/secrets/x`, mode 0444; Compose a file of
//! the host, with its mode there; Kubernetes a volume at a configured path, with files of mode 0644
//! behind symbolic links; systemd `$CREDENTIALS_DIRECTORY`. All secret files are read by one rule:
//! passwords, keys of issuers, links and sessions, the admin token, keys in PEM, and files that
//! arguments name. Also the additions of an editor or a shell to a password: a byte order mark,
//! UTF-16, blanks, more lines. Every command that reads the configuration decides alike.
//!
//! It must not permit: the same modes on an ordinary disk, on the root of a container, or in a
//! folder that is read-only for this service only; a link that leads out of a trusted directory; a
//! file that others can write, wherever it is; a login with a password that cannot be meant so; a
//! word of a secret in the output.
//!
//! The mounts are real, in a mount namespace of the program's own. If the machine permits none, a
//! line says so. The table of mounts of Docker, Kubernetes and systemd, and the properties of its
//! reader, are in `src/config/secret/mounts.rs`.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use wavegate::app::GatewayParts;
use wavegate::simulator::{Api, Simulator, wav};

use crate::harness::programs::{Ended, Running, lines, program, run_wavegate, serve, wavegate};
use crate::harness::{Builder, NAME, gateway, write_secret};

const SECRETS: [&str; 3] = ["password", "bearer", "link"];
const PASSWORD: &str = "hunter2";
/// The refusal of a file that others can read.
const REFUSED: &str = "other users can read it; chmod 600";
const WARNING: &str = "other users can read these secret files";

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

async fn pbx() -> Simulator {
    let builder = Simulator::builder(Api::SSeries200).recording(NAME, wav::music(1));
    builder.credentials("api", PASSWORD).start().await.unwrap()
}

/// Runs a program behind mounts that only it sees.
struct Namespace {
    unshare: PathBuf,
}

impl Namespace {
    /// `None`, and a line with the reason, if the machine permits no namespace.
    fn new() -> Option<Self> {
        let unshare = program("unshare")?;
        let mut command = Command::new(&unshare);
        command.args(["--mount", "sh", "-c", "mount -t tmpfs none /run"]);
        let tried = command.stdin(Stdio::null()).output().unwrap();
        if tried.status.success() {
            return Some(Self { unshare });
        }
        let test = std::thread::current();
        let why = String::from_utf8_lossy(&tried.stderr).into_owned();
        use std::io::Write;
        let _ = writeln!(
            std::io::stderr(),
            "{}: skipped, no mounts can be made: {}",
            test.name().unwrap_or("a test"),
            why.trim()
        );
        None
    }

    /// `wavegate` with these arguments, after a shell has run `mounts`. In it `$F` is the folder.
    fn command(&self, folder: &Path, mounts: &str, arguments: &[&str]) -> Command {
        let script = format!(
            "set -e\nmount -t tmpfs none /run\nmkdir /run/secrets\n{mounts}\nexec \"$0\" \"$@\""
        );
        let mut command = Command::new(&self.unshare);
        command
            .args(["--mount", "--propagation", "private", "sh", "-c", &script])
            .arg(env!("CARGO_BIN_EXE_wavegate"))
            .args(arguments)
            .stdin(Stdio::null())
            .env("F", folder)
            .env_remove("CREDENTIALS_DIRECTORY");
        command
    }

    async fn run(&self, folder: &Path, mounts: &str, command: &str, rest: &[&str]) -> Ended {
        let config = folder.join("wavegate.toml");
        let arguments = [&[command, "--config", config.to_str().unwrap()], rest].concat();
        Running::start(&mut self.command(folder, mounts, &arguments))
            .end()
            .await
    }

    async fn check(&self, folder: &Path, mounts: &str) -> Ended {
        self.run(folder, mounts, "check", &[]).await
    }
}

/// Moves the secrets of a configuration to a directory, one file each.
fn configure(builder: Builder, directory: &str, trusted: &str) -> Builder {
    let path = builder.write();
    let mut text = std::fs::read_to_string(&path).unwrap();
    for secret in SECRETS {
        let written = format!("file = \"{secret}\"");
        assert!(text.contains(&written), "{secret}");
        text = text.replace(&written, &format!("file = \"{directory}/{secret}\""));
    }
    std::fs::write(&path, format!("{trusted}\n{text}")).unwrap();
    builder
}

const COPY: &str = "for s in password bearer link; do cp $F/$s";

/// Docker and Swarm: one read-only mount per secret, mode 0444.
fn docker() -> String {
    format!(
        "mkdir /run/host\nmount -t tmpfs none /run/host\n{COPY} /run/host/; chmod 0444 /run/host/$s\n\
             touch /run/secrets/$s; mount --bind /run/host/$s /run/secrets/$s; mount -o remount,ro,bind /run/secrets/$s; done"
    )
}

/// One mount for all secrets, as Podman does, mode 0444.
fn one_mount(directory: &str) -> String {
    format!(
        "mkdir -p {directory}\nmount -t tmpfs none {directory}\n{COPY} {directory}/; chmod 0444 {directory}/$s; done\n\
             mount -o remount,ro {directory}"
    )
}

/// A volume of Kubernetes: mode 0644, behind the links that are swapped when a secret changes.
fn kubernetes(directory: &str) -> String {
    format!(
        "mkdir -p {directory}\nmount -t tmpfs none {directory}\nmkdir {directory}/..2026_11_20\n\
             ln -s ..2026_11_20 {directory}/..data\n{COPY} {directory}/..data/; chmod 0644 {directory}/..data/$s\n\
             ln -s ..data/$s {directory}/$s; done\nmount -o remount,ro {directory}"
    )
}

/// Compose: files of the host, writable for their owner there.
fn compose() -> String {
    format!(
        "mkdir $F/host\n{COPY} $F/host/; chmod 0644 $F/host/$s; touch /run/secrets/$s\n\
             mount --bind $F/host/$s /run/secrets/$s; done"
    )
}

#[tokio::test]
async fn a_secret_on_a_mount_of_its_own_is_taken_with_one_warning() {
    let Some(namespace) = Namespace::new() else {
        return;
    };
    let pbx = pbx().await;
    let elsewhere = "[secrets]\ntrusted_dirs = [\"/run/wavegate/keys\"]";
    for (what, mounts, directory, trusted) in [
        ("docker", docker(), "/run/secrets", ""),
        ("podman", one_mount("/run/secrets"), "/run/secrets", ""),
        (
            "by the other name",
            one_mount("/run/secrets"),
            "/var/run/secrets",
            "",
        ),
        (
            "in a folder of it",
            one_mount("/run/secrets/wavegate"),
            "/run/secrets/wavegate",
            "",
        ),
        ("compose", compose(), "/run/secrets", ""),
        ("kubernetes", kubernetes("/run/secrets"), "/run/secrets", ""),
        (
            "kubernetes",
            kubernetes("/run/wavegate/keys"),
            "/run/wavegate/keys",
            elsewhere,
        ),
        (
            "through links",
            format!(
                "{}\nln -s /run/wavegate/keys /run/given",
                kubernetes("/run/wavegate/keys")
            ),
            "/run/given",
            "[secrets]\ntrusted_dirs = [\"/run/given\"]",
        ),
    ] {
        let builder = configure(gateway(&pbx), directory, trusted);
        let ended = namespace.check(builder.folder(), &mounts).await;
        assert_eq!(
            (ended.code, &*ended.err),
            (Some(0), ""),
            "{what}: {ended:?}"
        );
        assert_eq!(
            ended.out.matches(WARNING).count(),
            1,
            "{what}: {}",
            ended.out
        );
        for secret in SECRETS {
            assert!(
                ended.out.contains(&format!("{directory}/{secret}")),
                "{}",
                ended.out
            );
        }
    }
}

#[tokio::test]
async fn the_credentials_of_systemd_are_taken() {
    let Some(namespace) = Namespace::new() else {
        return;
    };
    let pbx = pbx().await;
    let directory = "/run/credentials/wavegate.service";
    let builder = configure(gateway(&pbx), directory, "[secrets]\ntrusted_dirs = []");
    let config = builder.folder().join("wavegate.toml");
    for (mode, variable, code) in [
        ("0400", Some(directory), 0),
        ("0440", None, 0),
        ("0444", Some(directory), 0),
        ("0444", Some("/run/credentials"), 0),
        ("0444", None, 78),
        // The variable names another folder, a relative one, or the root.
        ("0444", Some("/run/secrets"), 78),
        ("0444", Some("run/credentials"), 78),
        ("0444", Some("/"), 78),
        ("0464", Some(directory), 78),
    ] {
        let mounts = one_mount(directory).replace("chmod 0444", &format!("chmod {mode}"));
        let arguments = ["check", "--config", config.to_str().unwrap()];
        let mut command = namespace.command(builder.folder(), &mounts, &arguments);
        if let Some(variable) = variable {
            command.env("CREDENTIALS_DIRECTORY", variable);
        }
        let ended = Running::start(&mut command).end().await;
        assert_eq!(ended.code, Some(code), "{mode} {variable:?}: {ended:?}");
    }
}

#[tokio::test]
async fn a_secret_anywhere_else_is_refused_however_read_only_it_is() {
    let Some(namespace) = Namespace::new() else {
        return;
    };
    let pbx = pbx().await;
    let copied = |directory: &str| format!("{COPY} {directory}/; chmod 0644 {directory}/$s; done");
    let secrets = "/run/secrets";
    let over_itself =
        "mount --bind /run/secrets /run/secrets\nmount -o remount,ro,bind /run/secrets";
    for (what, mounts, directory, trusted) in [
        // An ordinary folder of that name, in a container's image or on a machine.
        ("ordinary", copied(secrets), secrets, ""),
        (
            "read-only root",
            format!("{}\nmount -o remount,ro /run", copied(secrets)),
            secrets,
            "",
        ),
        // ReadOnlyPaths= and ProtectSystem= of systemd, once and twice.
        (
            "sandbox",
            format!("{}\n{over_itself}", copied(secrets)),
            secrets,
            "",
        ),
        (
            "sandbox",
            format!("{}\n{over_itself}\n{over_itself}", copied(secrets)),
            secrets,
            "",
        ),
        (
            "sandbox of a file",
            format!(
                "{}\nfor s in password bearer link; do mount --bind /run/secrets/$s /run/secrets/$s\n\
                 mount -o remount,ro,bind /run/secrets/$s; done",
                copied(secrets)
            ),
            secrets,
            "",
        ),
        // A mount around the trusted directory, and one beside it.
        (
            "around",
            format!(
                "{}\nmkdir /run/secrets/x\n{COPY} /run/secrets/x/; done",
                one_mount(secrets).replace("mount -o remount,ro", "true")
            ),
            secrets,
            "[secrets]\ntrusted_dirs = [\"/run/secrets/x\"]",
        ),
        (
            "beside",
            one_mount("/run/secrets-of-others"),
            "/run/secrets-of-others",
            "",
        ),
        (
            "not trusted",
            one_mount(secrets),
            secrets,
            "[secrets]\ntrusted_dirs = []",
        ),
        // A link that leads out of it.
        (
            "leads out",
            format!(
                "mkdir /run/disk\n{}\nmount -t tmpfs none /run/secrets\n\
                 for s in password bearer link; do ln -s /run/disk/$s /run/secrets/$s; done",
                copied("/run/disk")
            ),
            secrets,
            "",
        ),
    ] {
        let builder = configure(gateway(&pbx), directory, trusted);
        let ended = namespace.check(builder.folder(), &mounts).await;
        assert_eq!(
            (ended.code, &*ended.out),
            (Some(78), ""),
            "{what}: {ended:?}"
        );
        assert_eq!(
            ended.err.matches(REFUSED).count(),
            SECRETS.len(),
            "{what}: {}",
            ended.err
        );
        for key in ["secrets.trusted_dirs", "secrets.allow_readable = true"] {
            assert!(ended.err.contains(key), "{}", ended.err);
        }
    }
}

#[tokio::test]
async fn a_secret_that_others_can_write_is_refused_on_any_mount() {
    let Some(namespace) = Namespace::new() else {
        return;
    };
    let pbx = pbx().await;
    for mode in ["0664", "0646", "0666", "0660", "0777"] {
        let mounts = one_mount("/run/secrets").replace("chmod 0444", &format!("chmod {mode}"));
        for trusted in ["", "[secrets]\nallow_readable = true"] {
            let builder = configure(gateway(&pbx), "/run/secrets", trusted);
            let ended = namespace.check(builder.folder(), &mounts).await;
            assert_eq!(ended.code, Some(78), "{mode}: {ended:?}");
            assert!(ended.err.contains("can write it"), "{mode}: {}", ended.err);
        }
    }
}

#[tokio::test]
async fn every_command_accepts_the_same_secrets_as_check() {
    let Some(namespace) = Namespace::new() else {
        return;
    };
    let pbx = pbx().await;
    let ordinary = format!("{COPY} /run/secrets/; chmod 0444 /run/secrets/$s; done");
    let builder = gateway(&pbx).set("server.public_url", "http://127.0.0.1");
    let builder = configure(builder, "/run/secrets", "");
    let folder = builder.folder();
    write_secret(&folder.join("token"), "a.b.c");
    let with_token = one_mount("/run/secrets").replace(
        "for s in",
        "cp $F/token /run/secrets/; chmod 0444 /run/secrets/token\nfor s in",
    );
    for (command, rest) in [
        ("check", &[][..]),
        ("doctor", &[]),
        ("token", &["--subject", "alice"]),
        ("link", &["--recording", NAME]),
        (
            "explain",
            &["--recording", NAME, "--token-file", "/run/secrets/token"],
        ),
    ] {
        let ended = namespace.run(folder, &with_token, command, rest).await;
        let expected = if command == "explain" { 1 } else { 0 };
        assert_eq!(ended.code, Some(expected), "{command}: {ended:?}");
        if command == "explain" {
            assert!(ended.out.contains("401"), "{ended:?}");
        }
        let refused = namespace.run(folder, &ordinary, command, rest).await;
        assert_eq!(refused.code, Some(78), "{command}: {refused:?}");
        assert!(refused.err.contains(REFUSED), "{command}: {}", refused.err);
    }
    // `init` reads its password by the same rule.
    let directory = folder.join("new");
    let arguments = [
        "init",
        "--dir",
        directory.to_str().unwrap(),
        "--api",
        "s-series-2.0.0",
        "--url",
        &pbx.url(),
        "--username",
        "api",
        "--fingerprint",
        pbx.fingerprint(),
        "--password-file",
        "/run/secrets/password",
    ];
    let init = |mounts: &str| Running::start(&mut namespace.command(folder, mounts, &arguments));
    let refused = init(&ordinary).end().await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.err.contains(REFUSED), "{}", refused.err);
    let made = init(&with_token).end().await;
    assert_eq!(made.code, Some(0), "{made:?}");
    assert_eq!(
        std::fs::read_to_string(directory.join("secrets/pbx-password")).unwrap(),
        PASSWORD
    );
}

#[tokio::test]
async fn a_gateway_warns_once_about_secrets_of_a_container() {
    let Some(namespace) = Namespace::new() else {
        return;
    };
    let pbx = pbx().await;
    let builder = configure(gateway(&pbx), "/run/secrets", "");
    let config = builder.folder().join("wavegate.toml");
    let arguments = ["serve", "--config", config.to_str().unwrap()];
    let mounts = kubernetes("/run/secrets");
    let mut command = namespace.command(builder.folder(), &mounts, &arguments);
    let running = Running::start(&mut command);
    running.err.until(|log| log.contains("\"listening\"")).await;
    running.signal("HUP");
    running
        .err
        .until(|log| log.contains("was read again"))
        .await;
    let ended = running.stop().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let warnings = lines(&ended.err).filter(|line| line["level"] == "WARN");
    let told = warnings.filter(|line| {
        line["warning"]
            .as_str()
            .is_some_and(|text| text.starts_with(WARNING))
    });
    assert_eq!(told.count(), 1, "{}", ended.err);
    assert!(!ended.err.contains(PASSWORD));
}

#[tokio::test]
async fn one_key_lets_readable_files_pass_with_a_warning() {
    let pbx = pbx().await;
    for (mode, code) in [(0o644, 0), (0o444, 0), (0o604, 0), (0o660, 78), (0o646, 78)] {
        let builder = configure(gateway(&pbx), ".", "[secrets]\nallow_readable = true");
        let password = builder.folder().join("password");
        chmod(&password, mode);
        chmod(&builder.folder().join("link"), 0o644);
        let config = builder.folder().join("wavegate.toml");
        let ended = run_wavegate(&["check", "--config", config.to_str().unwrap()]).await;
        assert_eq!(ended.code, Some(code), "{mode:o}: {ended:?}");
        if code == 0 {
            assert_eq!(ended.out.matches("warning: ").count(), 1, "{}", ended.out);
            for told in [WARNING, "secrets.allow_readable", "password", "link"] {
                assert!(ended.out.contains(told), "{}", ended.out);
            }
        } else {
            assert!(ended.err.contains("can write it"), "{}", ended.err);
        }
    }
}

#[tokio::test]
async fn invalid_keys_of_the_secrets_section_are_refused() {
    let pbx = pbx().await;
    for (lines, key) in [
        ("trusted_dirs = [\"/\"]", "secrets.trusted_dirs"),
        ("trusted_dirs = [\"/run/../\"]", "secrets.trusted_dirs"),
        ("trusted_dirs = \"/run/secrets\"", "secrets.trusted_dirs"),
        ("trusted_dirs = [1]", "secrets.trusted_dirs"),
        ("allow_readable = \"yes\"", "secrets.allow_readable"),
        ("allow_writable = true", "secrets.allow_writable"),
    ] {
        let builder = configure(gateway(&pbx), ".", &format!("[secrets]\n{lines}"));
        let path = builder.folder().join("wavegate.toml");
        let problems = GatewayParts::load(&path).unwrap_err();
        let keys: Vec<_> = problems.iter().map(|problem| &*problem.key).collect();
        assert_eq!(keys, [key], "{problems}");
    }
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// Contents of a password file, the message about each, and whether it is a mistake.
fn passwords() -> Vec<(Vec<u8>, Option<&'static str>, bool)> {
    let text = |text: &str| text.as_bytes().to_vec();
    vec![
        (text("hunter2"), None, false),
        (text("hunter2\n"), None, false),
        (text("hunter2\r\n"), None, false),
        (text("\u{FEFF}hunter2\n"), Some("byte order mark"), true),
        (utf16("\u{FEFF}hunter2\r\n"), Some("UTF-16"), true),
        (utf16("hunter2"), Some("UTF-16"), true),
        (
            b"\xFE\xFF\0h\0u\0n\0t\0e\0r\x002".to_vec(),
            Some("UTF-16"),
            true,
        ),
        (text("hunter2 \n"), Some("blank before the line end"), false),
        (
            text("hunter2\t\r\n"),
            Some("blank before the line end"),
            false,
        ),
        (
            text("hunter2\u{A0}"),
            Some("blank before the line end"),
            false,
        ),
        (text(" hunter2"), Some("begins with a blank"), false),
        (
            text("hunter2\nhunter3\n"),
            Some("more than one line"),
            false,
        ),
        (b"hunter2\xE4".to_vec(), Some("not in UTF-8"), false),
        (text("\r\n"), Some("empty"), true),
    ]
}

#[tokio::test]
async fn an_odd_password_is_reported_before_it_costs_a_login() {
    let pbx = pbx().await;
    for (content, told, is_mistake) in passwords() {
        let builder = gateway(&pbx);
        let password = builder.folder().join("password");
        let path = builder.write();
        std::fs::write(&password, &content).unwrap();
        let config = path.to_str().unwrap();
        let code = if is_mistake { 78 } else { 0 };
        let ended = run_wavegate(&["check", "--config", config]).await;
        assert_eq!(ended.code, Some(code), "{content:?}: {ended:?}");
        let printed = format!("{}{}", ended.out, ended.err);
        match told {
            Some(told) => {
                let line = printed.lines().find(|line| line.contains(told));
                let line = line.unwrap_or_else(|| panic!("{told} in {printed}"));
                let file = password.to_str().unwrap();
                assert!(
                    line.contains("pbx[0].password_file") && line.contains(file),
                    "{line}"
                );
                assert_eq!(line.starts_with("warning: "), !is_mistake, "{line}");
            }
            None => assert_eq!(printed.lines().count(), 1, "{printed}"),
        }
        assert!(!printed.contains("hunter"), "{printed}");
        assert_eq!(pbx.seen().requests.login, 0);
        if is_mistake {
            for command in ["serve", "doctor"] {
                let ended = run_wavegate(&[command, "--config", config]).await;
                assert_eq!(ended.code, Some(78), "{command}: {ended:?}");
            }
            assert_eq!(pbx.seen().connections, 0);
        }
    }
}

#[tokio::test]
async fn a_password_that_ends_with_a_blank_is_used_as_it_is() {
    let ends_with_blank = "hunter2 ";
    let builder = Simulator::builder(Api::PSeries).recording(NAME, wav::music(1));
    let pbx = builder
        .credentials("id", ends_with_blank)
        .start()
        .await
        .unwrap();
    let builder = gateway(&pbx);
    let config = builder.write();
    let ended = run_wavegate(&["doctor", "--config", config.to_str().unwrap()]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended.err.contains("blank before the line end"),
        "{}",
        ended.err
    );
    let gateway = builder.start().await;
    assert_eq!(Some(gateway.fetch(NAME).await), pbx.recording_bytes(NAME));
}

#[tokio::test]
async fn a_password_that_is_no_text_is_refused_where_a_text_is_sent() {
    let pbx = Simulator::builder(Api::PSeries).start().await.unwrap();
    let builder = gateway(&pbx);
    let path = builder.write();
    std::fs::write(builder.folder().join("password"), b"hunter2\xE4\n").unwrap();
    let problems = GatewayParts::load(&path).unwrap_err();
    let problem = problems.iter().next().unwrap();
    assert_eq!(problem.key, "pbx[0].password_file");
    assert!(problem.message.contains("UTF-8"), "{problems}");
}

#[tokio::test]
async fn a_key_may_be_any_bytes_and_odd_ones_give_a_warning() {
    let pbx = pbx().await;
    let key = "0123456789abcdef0123456789abcdef";
    for (content, told) in [
        (key.as_bytes().to_vec(), None),
        ((0x80..0xC0).collect(), None),
        (
            format!("{key} \n").into_bytes(),
            Some("blank before the line end"),
        ),
        (
            format!("\u{FEFF}{key}").into_bytes(),
            Some("byte order mark"),
        ),
        (utf16(&format!("\u{FEFF}{key}")), Some("UTF-16")),
    ] {
        let builder = gateway(&pbx);
        let path = builder.write();
        std::fs::write(builder.folder().join("bearer"), &content).unwrap();
        let warnings = GatewayParts::load(&path).unwrap().warnings.lines();
        match told {
            Some(told) => {
                let [line] = &*warnings else {
                    panic!("{warnings:?}");
                };
                assert!(
                    line.starts_with("auth.issuer[0].key[0].secret_file: "),
                    "{line}"
                );
                assert!(line.contains(told) && !line.contains(key), "{line}");
            }
            None => assert_eq!(warnings, [""; 0], "{content:?}"),
        }
    }
}

#[tokio::test]
async fn init_refuses_or_reports_an_odd_password() {
    let pbx = pbx().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    let url = pbx.url();
    for (content, told, code) in [
        (b"\xEF\xBB\xBFhunter2".to_vec(), "byte order mark", 1),
        (utf16("\u{FEFF}hunter2\r\n"), "UTF-16", 1),
        (b"hunter2 \n".to_vec(), "blank before the line end", 0),
    ] {
        write_secret(&file, "");
        std::fs::write(&file, content).unwrap();
        let directory = folder.path().join(format!("new-{}", told.len()));
        let mut command = wavegate(&["init", "--dir", directory.to_str().unwrap()]);
        command.args(["--api", "s-series-2.0.0", "--username", "api"]);
        command.args(["--url", &url, "--fingerprint", pbx.fingerprint()]);
        command.args(["--password-file", file.to_str().unwrap()]);
        let ended = Running::start(&mut command).end().await;
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(
            ended.err.contains(told) && !ended.err.contains("hunter"),
            "{}",
            ended.err
        );
        assert_eq!(directory.exists(), code == 0);
    }
    assert_eq!(pbx.seen().requests.total(), 0);
}

#[tokio::test]
async fn a_process_that_dies_leaves_no_memory_on_the_disk() {
    let pbx = pbx().await;
    let builder = gateway(&pbx);
    let (running, _) = serve(&builder.write()).await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", running.id())).unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"));
    let numbers: Vec<_> = line.unwrap().split_whitespace().skip(4).take(2).collect();
    assert_eq!(numbers, ["0", "0"], "soft and hard limit");
}

//! `wavegate init` for a service of systemd and for a container: paths, modes, owners, and what
//! stands beside the configuration.
//!
//! The group of the service is in `/etc/group` of a mount namespace. If the machine permits none, a
//! line says so.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use wavegate::simulator::{Api, Simulator};

use super::{PASSWORD, Place, flags, mode, pbx};
use crate::harness::programs::{Ended, Running, program};
use crate::harness::write_secret;

const GROUP: u32 = 4711;
const PLACEHOLDER: &str = include_str!("../../../packaging/debian/wavegate.toml");
const KEYS: [&str; 5] = ["admin-token", "audit-head-key", "bearer", "link", "session"];

/// `wavegate` on a machine with these groups and these mounts. In `mounts`, `$F` is `folder`.
fn elsewhere(folder: &Path, groups: &str, mounts: &str, arguments: &[&str]) -> Option<Command> {
    let unshare = program("unshare")?;
    let groups_file = folder.join("group");
    std::fs::write(&groups_file, groups).unwrap();
    let script = format!(
        "set -e\nmount --bind \"$F/group\" /etc/group\nmount -t tmpfs none /run\n{mounts}\nexec \"$0\" \"$@\""
    );
    let mut command = Command::new(unshare);
    command.args(["--mount", "--propagation", "private", "sh", "-c"]);
    command.env("F", folder);
    let tried = command.arg(&script).arg("true").output().unwrap();
    if !tried.status.success() {
        let why = String::from_utf8_lossy(&tried.stderr).into_owned();
        let required = std::env::var_os("CI").is_some_and(|value| value == "true");
        assert!(!required, "no mounts can be made: {why}");
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), "skipped, no mounts can be made: {why}");
        return None;
    }
    let mut command = Command::new(program("unshare")?);
    command
        .args(["--mount", "--propagation", "private", "sh", "-c", &script])
        .arg(env!("CARGO_BIN_EXE_wavegate"))
        .args(arguments)
        .env("F", folder)
        .env_remove("WAVEGATE_CONFIG")
        .env_remove("CREDENTIALS_DIRECTORY");
    Some(command)
}

/// A folder for a service, and the arguments to write its configuration.
struct Service {
    place: Place,
    pbx: Simulator,
}

impl Service {
    async fn new() -> Self {
        let pbx = pbx(Api::SSeries200).await.start().await.unwrap();
        Self {
            place: Place::new(),
            pbx,
        }
    }

    async fn init(&self, groups: &str, rest: &[&str]) -> Option<Ended> {
        let (dir, url) = (self.place.dir(), self.pbx.url());
        let password = self.place.0.path().join("password");
        let mut arguments = vec!["init", "--systemd", "--dir", dir.to_str().unwrap()];
        arguments.extend(["--password-file", password.to_str().unwrap()]);
        let rest = [&["--fingerprint", self.pbx.fingerprint()], rest].concat();
        arguments.extend(flags(&self.pbx, &url, &rest));
        let mut command = elsewhere(self.place.0.path(), groups, "", &arguments)?;
        Some(Running::start(&mut command).end().await)
    }

    fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.place.dir().join(file)).unwrap()
    }

    fn keys(&self) -> [String; 5] {
        KEYS.map(|key| self.read(&format!("secrets/{key}")))
    }
}

fn groups() -> String {
    format!("root:x:0:\nwavegate:x:{GROUP}:\n")
}

#[tokio::test]
async fn a_service_may_read_its_files_and_not_change_them() {
    let service = Service::new().await;
    let Some(ended) = service.init(&groups(), &[]).await else {
        return;
    };
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let dir = service.place.dir();
    let secrets = KEYS.map(|key| format!("secrets/{key}"));
    let mut files: Vec<&str> = secrets.iter().map(String::as_str).collect();
    files.extend(["secrets/pbx-password", "wavegate.toml", "policy.cedar"]);
    files.extend(["audit-head-key.pub", "wavegate.service"]);
    for file in &files {
        let metadata = dir.join(file).metadata().unwrap();
        assert_eq!(
            (mode(&dir.join(file)), metadata.gid()),
            (0o640, GROUP),
            "{file}"
        );
    }
    for folder in [&dir, &dir.join("secrets")] {
        let group = folder.metadata().unwrap().gid();
        assert_eq!((mode(folder), group), (0o750, GROUP));
    }
    let text = service.place.text();
    for line in [
        "state_dir = \"/var/lib/wavegate\"",
        "dir = \"/var/lib/wavegate/audit\"",
    ] {
        assert!(text.contains(line), "{text}");
    }
    assert!(!text.contains("trusted_proxies"), "{text}");
    // No unit reads this folder, so there is one that does; and its installation is told.
    let unit = service.read("wavegate.service");
    let start = format!(
        "ExecStart=/usr/bin/wavegate serve --config {}\n",
        service.place.config()
    );
    assert!(unit.contains(&start), "{unit}");
    assert!(ended.out.contains("wavegate.service /etc/systemd/system/"));
    assert!(ended.out.contains("systemctl enable --now wavegate"));
    assert!(
        service
            .place
            .succeeds("check")
            .await
            .contains("no mistakes")
    );
    assert_eq!(service.pbx.seen().requests.total(), 0);
}

#[tokio::test]
async fn a_service_with_an_https_url_trusts_the_proxy_that_must_be_there() {
    let service = Service::new().await;
    let url = ["--public-url", "https://recordings.example.com"];
    let Some(ended) = service.init(&groups(), &url).await else {
        return;
    };
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let text = service.place.text();
    let proxy = "listen = [\"127.0.0.1:8080\"]\n# The proxy in front, whose X-Forwarded-For and X-Request-Id are believed.\ntrusted_proxies = [\"127.0.0.1/32\"]\n";
    assert!(text.contains(proxy), "{text}");
}

#[tokio::test]
async fn without_a_group_for_the_service_nothing_is_written() {
    let service = Service::new().await;
    let Some(ended) = service.init("root:x:0:\nwavegated:x:1:\n", &[]).await else {
        return;
    };
    service
        .place
        .holds_nothing(&ended, "there is no group wavegate");
    assert!(ended.err.contains("adduser --system --group"), "{ended:?}");
}

#[tokio::test]
async fn the_placeholder_of_the_package_gives_way_and_its_keys_stay() {
    let service = Service::new().await;
    let dir = service.place.dir();
    std::fs::create_dir(&dir).unwrap();
    let policies = "forbid(principal, action, resource);";
    std::fs::write(dir.join("policy.cedar"), policies).unwrap();

    // An administrator has changed it: it stays.
    let changed = PLACEHOLDER.replace("8080", "8090");
    std::fs::write(dir.join("wavegate.toml"), &changed).unwrap();
    let Some(ended) = service.init(&groups(), &["--keys"]).await else {
        return;
    };
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let keys = service.keys();
    let refused = service.init(&groups(), &[]).await.unwrap();
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.err.contains("is there already"), "{refused:?}");
    assert_eq!(service.place.text(), changed);

    std::fs::write(dir.join("wavegate.toml"), PLACEHOLDER).unwrap();
    write_secret(&dir.join("secrets/pbx-password"), "placeholder");
    // A mistake later on leaves all as it was.
    std::fs::write(dir.join("policy.cedar"), "permit(").unwrap();
    let failed = service.init(&groups(), &[]).await.unwrap();
    assert_eq!(failed.code, Some(1), "{failed:?}");
    assert!(failed.err.contains("policy.file"), "{failed:?}");
    assert_eq!(service.place.text(), PLACEHOLDER);
    assert_eq!(service.read("secrets/pbx-password"), "placeholder");

    std::fs::write(dir.join("policy.cedar"), policies).unwrap();
    let ended = service.init(&groups(), &[]).await.unwrap();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(service.place.text().contains(&service.pbx.url()));
    assert_eq!(service.read("secrets/pbx-password"), PASSWORD);
    assert_eq!(service.read("policy.cedar"), policies);
    assert_eq!(service.keys(), keys);
    let names = std::fs::read_dir(&dir).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let left: Vec<_> = names
        .filter(|name| name.ends_with(".new") || name.ends_with(".next"))
        .collect();
    assert!(left.is_empty(), "{left:?}");

    // The second time it is somebody's configuration.
    let again = service.init(&groups(), &[]).await.unwrap();
    assert_eq!(again.code, Some(1), "{again:?}");
}

#[tokio::test]
async fn keys_are_made_once() {
    let service = Service::new().await;
    let Some(ended) = service.init(&groups(), &["--keys"]).await else {
        return;
    };
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let (keys, public) = (service.keys(), service.read("audit-head-key.pub"));
    for file in ["wavegate.toml", "policy.cedar", "secrets/pbx-password"] {
        assert!(!service.place.dir().join(file).exists(), "{file}");
    }
    let lost = service.place.dir().join("audit-head-key.pub");
    std::fs::remove_file(&lost).unwrap();
    std::fs::remove_file(service.place.dir().join("secrets/link")).unwrap();
    service.init(&groups(), &["--keys"]).await.unwrap();
    let again = service.keys();
    for (index, key) in KEYS.iter().enumerate() {
        assert_eq!(again[index] == keys[index], *key != "link", "{key}");
    }
    assert_eq!(service.read("audit-head-key.pub"), public);
}

/// The mounts of `config/compose.yaml`: each secret by itself, and the folder with the
/// configuration.
const MOUNTS: &str = "mkdir /run/secrets /run/etc /run/state
for s in \"$F\"/gate/secrets/*; do
    touch /run/secrets/${s##*/}; mount --bind \"$s\" /run/secrets/${s##*/}
done
mount --bind \"$F/gate/gateway\" /run/etc; mount -o remount,bind,ro /run/etc";

#[tokio::test]
async fn a_container_finds_its_files_where_compose_mounts_them() {
    let pbx = pbx(Api::SSeries200).await.start().await.unwrap();
    let (place, url) = (Place::new(), pbx.url());
    let rest = ["--container", "--fingerprint", pbx.fingerprint()];
    let ended = place.run(&flags(&pbx, &url, &rest)).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.out.contains("docker compose up"), "{}", ended.out);

    // Nobody of this machine passes the folder; the container's user, who is nobody here, reads
    // each file.
    let dir = place.dir();
    assert_eq!(mode(&dir.join("secrets")), 0o700);
    for secret in KEYS.iter().chain(&["pbx-password"]) {
        assert_eq!(mode(&dir.join("secrets").join(secret)), 0o444, "{secret}");
    }
    let config = dir.join("gateway/wavegate.toml");
    assert_eq!((mode(&dir.join("gateway")), mode(&config)), (0o755, 0o644));
    let text = std::fs::read_to_string(&config).unwrap();
    for line in [
        "listen = [\"0.0.0.0:8080\"]",
        "trusted_proxies = [\"10.217.77.2/32\"]",
        "public_url = \"https://localhost\"",
        "secret_file = \"/run/secrets/bearer\"",
        "dir = \"/var/lib/wavegate/audit\"",
    ] {
        assert!(text.contains(line), "{text}");
    }
    let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("config");
    for file in ["compose.yaml", "nginx.conf"] {
        let written = std::fs::read_to_string(dir.join(file)).unwrap();
        assert_eq!(written, std::fs::read_to_string(source.join(file)).unwrap());
    }

    let check = ["check", "--config", "/run/etc/wavegate.toml"];
    let Some(mut command) = elsewhere(place.0.path(), &groups(), MOUNTS, &check) else {
        return;
    };
    let checked = Running::start(&mut command).end().await;
    assert_eq!(checked.code, Some(0), "{checked:?}");
    // Without the mounts the secrets are not there.
    let mut command = elsewhere(
        place.0.path(),
        &groups(),
        "mkdir /run/etc; mount --bind \"$F/gate/gateway\" /run/etc",
        &check,
    )
    .unwrap();
    let checked = Running::start(&mut command).end().await;
    assert_eq!(checked.code, Some(78), "{checked:?}");
}

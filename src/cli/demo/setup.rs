//! The configuration that the demo runs with: a file, as of every gateway, in a folder that goes
//! with the demo.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use aws_lc_rs::rand;
use tracing::level_filters::LevelFilter;

use super::{
    AUDIENCE, CREDENTIAL_TTL, DemoPbxs, ISSUER, LINK_AUDIENCE, MOVE_DATE, NEW_PBX, OLD_PBX,
};
use crate::app::GatewayParts;
use crate::audit::settings::HeadKey;
use crate::cli::{quoted, random_secret};
use crate::log::{LogFormat, LogSettings, RecordingNames};
use crate::secret::Secret;
use crate::simulator::Simulator;

const CONFIG: &str = "wavegate.toml";
const AUDIT: &str = "audit";
/// Everyone who is authenticated may hear every recording.
const POLICIES: &str = "@id(\"everyone\") permit(principal, action, resource);";

/// The demo's shared secrets.
pub(super) struct DemoKeys {
    pub(super) bearer: Secret,
    pub(super) link: Secret,
}

impl DemoKeys {
    pub(super) fn generate() -> Result<Self, String> {
        Ok(Self {
            bearer: random_secret()?,
            link: random_secret()?,
        })
    }
}

/// A folder for the files of the demo, which goes with it.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn make() -> Result<Self, String> {
        let mut name = [0; 8];
        rand::fill(&mut name).map_err(|_| "the system has no randomness")?;
        let name = format!("wavegate-demo-{:016x}", u64::from_be_bytes(name));
        let path = std::env::temp_dir().join(name);
        let folder = Self(path);
        folder.make_folder("")?;
        folder.make_folder(AUDIT)?;
        Ok(folder)
    }

    /// The folder of the audit log.
    pub(super) fn audit(&self) -> PathBuf {
        self.0.join(AUDIT)
    }

    /// Writes every file but the configuration.
    pub(super) fn fill(&self, pbxs: &DemoPbxs, keys: &DemoKeys) -> Result<(), String> {
        let (_, head_key) = HeadKey::generate()?;
        self.write("bearer", keys.bearer.expose())?;
        self.write("link", keys.link.expose())?;
        self.write("head-key", head_key.expose())?;
        self.write(OLD_PBX, pbxs.old.password().as_bytes())?;
        self.write(NEW_PBX, pbxs.new.password().as_bytes())?;
        self.write("policy.cedar", POLICIES.as_bytes())
    }

    /// Writes the configuration of a gateway on `listen`, and loads it.
    pub(super) fn load(&self, pbxs: &DemoPbxs, listen: SocketAddr) -> Result<GatewayParts, String> {
        self.write(CONFIG, configuration(pbxs, listen).as_bytes())?;
        GatewayParts::load(&self.0.join(CONFIG)).map_err(|problems| problems.to_string())
    }

    /// Makes a folder that only its owner can enter.
    fn make_folder(&self, name: &str) -> Result<(), String> {
        let path = self.0.join(name);
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder
            .create(&path)
            .map_err(|error| complaint(&path, error))
    }

    /// Writes a file that only its owner can read.
    fn write(&self, name: &str, content: &[u8]) -> Result<(), String> {
        let path = self.0.join(name);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options
            .open(&path)
            .and_then(|mut file| file.write_all(content))
            .map_err(|error| complaint(&path, error))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn complaint(path: &Path, error: std::io::Error) -> String {
    format!("{}: {error}", path.display())
}

fn configuration(pbxs: &DemoPbxs, listen: SocketAddr) -> String {
    let old = pbx(OLD_PBX, &pbxs.old, "names_until");
    let new = pbx(NEW_PBX, &pbxs.new, "names_from");
    let ttl = CREDENTIAL_TTL.as_secs();
    format!(
        r#"state_dir = "state"

[server]
listen = ["{listen}"]
drain_timeout_ms = 5000

[admin]
listen = "127.0.0.1:0"

[log]
level = "warn"
format = "text"
recording_names = "plain"

[audit]
dir = "{AUDIT}"
key_file = "head-key"

[[auth.issuer]]
name = "{ISSUER}"
audiences = ["{AUDIENCE}"]
[[auth.issuer.key]]
algorithm = "HS256"
secret_file = "bearer"

[links]
audience = "{LINK_AUDIENCE}"
max_ttl_s = {ttl}
[[links.key]]
algorithm = "HS256"
secret_file = "link"

[policy]
file = "policy.cedar"

# A browser that is paused keeps its place.
[relay]
idle_timeout_ms = 600000

{old}
{new}"#
    )
}

/// A simulated PBX, and the key by which the recordings of its time are its own.
fn pbx(name: &str, pbx: &Simulator, limit: &str) -> String {
    format!(
        r#"[[pbx]]
name = "{name}"
api = "{api}"
url = {url}
{limit} = "{MOVE_DATE}"
username = {username}
password_file = "{name}"
logout = true
[pbx.tls]
pins = ["{pin}"]
"#,
        api = pbx.api(),
        url = quoted(&pbx.url()),
        username = quoted(pbx.username()),
        pin = pbx.fingerprint(),
    )
}

/// The log until the configuration is there: the same as in it. Warnings only, for eyes.
pub(super) fn log() -> LogSettings {
    LogSettings {
        level: LevelFilter::WARN,
        format: LogFormat::Text,
        recording_names: RecordingNames::Plain,
    }
}

//! The files of a first configuration: all of them, or none.
//!
//! Knows their names, their modes and what stands in them. Does not know where the answers came from. Nothing that
//! exists is overwritten.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use url::Url;

use super::Trust;
use crate::audit::settings::HeadKey;
use crate::cli::{quoted, random_secret};
use crate::pbx::settings::PbxApi;
use crate::secret::Secret;

const CONFIG: &str = "wavegate.toml";
const FOLDER: &str = "secrets";
const BEARER: &str = "secrets/bearer";
const LINK: &str = "secrets/link";
const SESSION: &str = "secrets/session";
const PASSWORD: &str = "secrets/pbx-password";
const ADMIN: &str = "secrets/admin-token";
const AUDIT: &str = "audit";
const HEAD_KEY: &str = "secrets/audit-head-key";
const HEAD_PUBLIC_KEY: &str = "audit-head-key.pub";
const POLICY: &str = "policy.cedar";
/// The policies to begin with.
const POLICIES: &str = r#"// Who may hear what, in Cedar. Written by `wavegate init`; a running gateway takes changes over at SIGHUP.
// config/policy.cedar of the source tree shows narrower policies: own calls only, supervisors, nothing older than 90 days.

// Everyone who is authenticated may hear every recording; a link opens only the one it was made for.
@id("everyone")
permit (principal, action, resource);
"#;

/// What was answered.
pub(super) struct Answers {
    pub(super) name: String,
    pub(super) api: PbxApi,
    pub(super) url: Url,
    pub(super) username: String,
    pub(super) public_url: Url,
    pub(super) listen: String,
    pub(super) trust: Trust,
}

/// # Errors
/// When one of the files is there already.
pub(super) fn refuse_existing(dir: &Path) -> Result<(), String> {
    for name in [
        CONFIG,
        POLICY,
        BEARER,
        LINK,
        SESSION,
        PASSWORD,
        ADMIN,
        HEAD_KEY,
        HEAD_PUBLIC_KEY,
    ] {
        let path = dir.join(name);
        if path.symlink_metadata().is_ok() {
            return Err(format!(
                "{} is there already, and is not overwritten",
                path.display()
            ));
        }
    }
    Ok(())
}

/// What has been written so far. Dropping it removes that, unless it is kept.
#[derive(Default)]
pub(super) struct Draft {
    files: Vec<PathBuf>,
    folders: Vec<PathBuf>,
}

impl Draft {
    /// Writes everything, and returns the configuration's path.
    pub(super) fn write(
        &mut self,
        dir: &Path,
        answers: &Answers,
        password: &Secret,
    ) -> Result<PathBuf, String> {
        self.folder(dir)?;
        self.folder(&dir.join(FOLDER))?;
        self.file(&dir.join(BEARER), random_secret()?.expose())?;
        self.file(&dir.join(LINK), random_secret()?.expose())?;
        self.file(&dir.join(SESSION), random_secret()?.expose())?;
        self.file(&dir.join(ADMIN), random_secret()?.expose())?;
        self.file(&dir.join(PASSWORD), password.expose())?;
        let (head_key, pem) = HeadKey::generate()?;
        self.folder(&dir.join(AUDIT))?;
        self.file(&dir.join(HEAD_KEY), pem.expose())?;
        let public = head_key.public() + "\n";
        self.file(&dir.join(HEAD_PUBLIC_KEY), public.as_bytes())?;
        self.file(&dir.join(POLICY), POLICIES.as_bytes())?;
        let path = dir.join(CONFIG);
        let path = path.strip_prefix(".").unwrap_or(&path);
        self.file(path, answers.configuration().as_bytes())?;
        Ok(path.to_owned())
    }

    pub(super) fn keep(mut self) {
        self.files.clear();
        self.folders.clear();
    }

    /// Makes a folder that only its owner can enter, unless it is there.
    fn folder(&mut self, path: &Path) -> Result<(), String> {
        if path.is_dir() {
            return Ok(());
        }
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder
            .create(path)
            .map_err(|error| complaint(path, &error))?;
        self.folders.push(path.to_owned());
        Ok(())
    }

    /// Writes a file that only its owner can read.
    fn file(&mut self, path: &Path, content: &[u8]) -> Result<(), String> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options
            .open(path)
            .map_err(|error| complaint(path, &error))?;
        self.files.push(path.to_owned());
        fill(file, content).map_err(|error| complaint(path, &error))
    }
}

fn fill(mut file: File, content: &[u8]) -> io::Result<()> {
    file.write_all(content)?;
    file.sync_all()
}

impl Drop for Draft {
    fn drop(&mut self) {
        for file in &self.files {
            let _ = std::fs::remove_file(file);
        }
        // The inner ones first; one that holds something else stays.
        for folder in self.folders.iter().rev() {
            let _ = std::fs::remove_dir(folder);
        }
    }
}

fn complaint(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}

impl Answers {
    fn configuration(&self) -> String {
        let text = |url: &Url| quoted(url.as_str().trim_end_matches('/'));
        let trust = match self.trust {
            Trust::PlainHttp => "plain_http = true\n".to_owned(),
            Trust::System => String::new(),
            Trust::Pinned(pin) => format!(
                "\n# The SHA-256 of its certificate. Before the PBX gets a new one, add that one's.\n[pbx.tls]\npins = [\"{pin}\"]\n"
            ),
        };
        format!(
            r#"# Written by `wavegate init`. `wavegate check` finds mistakes; a running gateway takes changes over at SIGHUP.
# Every key, with its meaning and default, is explained in config/wavegate.toml of the source tree.

[server]
# What callers use to reach the gateway: a request under another name gets 421.
public_url = {public_url}
listen = [{listen}]

# Who may have something done by the admin listener, such as a recording deleted from memory.
[admin]
token_file = "{ADMIN}"

# Who heard what. `wavegate audit verify {AUDIT} --key "$(cat {HEAD_PUBLIC_KEY})"` says whether it is as it was written.
[audit]
dir = "{AUDIT}"
key_file = "{HEAD_KEY}"

# Who signs bearer tokens. `wavegate token` signs with this key, for trying out.
[[auth.issuer]]
name = "https://idp.example.com"
audiences = ["recordings"]
[[auth.issuer.key]]
algorithm = "HS256"
secret_file = "{BEARER}"

# Who signs links, which open one recording each; with signing_key, the gateway as well, for POST /links.
[links]
audience = "wavegate-links"
signing_key = "links"
[[links.key]]
id = "links"
algorithm = "HS256"
secret_file = "{LINK}"

# What signs the cookies of browsers.
[session]
key_file = "{SESSION}"

# Who may hear what is in a file of its own.
[policy]
file = "{POLICY}"

[[pbx]]
name = {name}
api = {api}
url = {url}
username = {username}
password_file = "{PASSWORD}"
{trust}"#,
            public_url = text(&self.public_url),
            listen = quoted(&self.listen),
            name = quoted(&self.name),
            api = quoted(self.api.as_str()),
            url = text(&self.url),
            username = quoted(&self.username),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_kept_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("new");
        let mut draft = Draft::default();
        draft.folder(&dir).unwrap();
        draft.file(&dir.join("a"), b"a").unwrap();
        drop(draft);
        assert!(!dir.exists());

        let mut draft = Draft::default();
        draft.folder(&dir).unwrap();
        std::fs::write(dir.join("of somebody else"), "").unwrap();
        draft.file(&dir.join("a"), b"a").unwrap();
        draft.file(&dir.join("of somebody else"), b"").unwrap_err();
        drop(draft);
        let left: Vec<_> = std::fs::read_dir(&dir).unwrap().collect();
        assert_eq!(left.len(), 1);
    }
}

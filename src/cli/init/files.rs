//! The files of a first configuration: all are written, or none.
//!
//! Knows their names, modes and contents. Does not know where the answers came from. No file is
//! overwritten.

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
/// The first policies.
const POLICIES: &str = r#"// The policies, in Cedar: they decide which recordings a caller may hear. Written by `wavegate init`;
// a running gateway reads changes at SIGHUP. config/policy.cedar of the source tree shows narrower
// policies: own calls only, supervisors, nothing older than 90 days.

// Every authenticated caller may hear every recording; a link opens only the recording in it.
@id("everyone")
permit (principal, action, resource);
"#;

/// The answers that the configuration is made of.
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
/// When one of the files exists.
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

/// The files and folders that were written so far. Dropping the value removes them, unless they are
/// kept.
#[derive(Default)]
pub(super) struct Draft {
    files: Vec<PathBuf>,
    folders: Vec<PathBuf>,
}

impl Draft {
    /// Writes all files, and returns the configuration's path.
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

    /// Makes a folder that only its owner can enter, unless it exists.
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
        // Inner folders first; a folder with other content stays.
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
                "\n# The SHA-256 of its certificate. Before the PBX gets a new certificate, add the SHA-256 of that one.\n[pbx.tls]\npins = [\"{pin}\"]\n"
            ),
        };
        format!(
            r#"# Written by `wavegate init`. `wavegate check` finds mistakes; a running gateway reads changes at SIGHUP.
# config/wavegate.toml of the source tree explains every key, with its default.

[server]
# The URL under which callers reach the gateway. A request for another host gets 421.
public_url = {public_url}
listen = [{listen}]

# The token of the admin listener's write calls, such as deleting a recording from the cache.
[admin]
token_file = "{ADMIN}"

# The audit log: who heard which recording. To check that it was not changed:
# wavegate audit verify {AUDIT} --key "$(cat {HEAD_PUBLIC_KEY})"
[audit]
dir = "{AUDIT}"
key_file = "{HEAD_KEY}"

# The issuer of bearer tokens. `wavegate token` signs with its key, to try the gateway out.
[[auth.issuer]]
name = "https://idp.example.com"
audiences = ["recordings"]
[[auth.issuer.key]]
algorithm = "HS256"
secret_file = "{BEARER}"

# The keys that sign links, which open one recording each. With signing_key the gateway makes
# links, too (POST /links).
[links]
audience = "wavegate-links"
signing_key = "links"
[[links.key]]
id = "links"
algorithm = "HS256"
secret_file = "{LINK}"

# The key that signs the cookies of browsers.
[session]
key_file = "{SESSION}"

# The policies are in a file of their own.
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
    fn a_dropped_draft_removes_its_own_files_only() {
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

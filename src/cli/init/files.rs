//! The files of a first configuration: all are written, or none.
//!
//! Knows their names and contents, and the secrets that it makes. Does not know where the answers
//! came from, or what the configuration says. No file is overwritten but the placeholders of the
//! package.

use std::path::{Path, PathBuf};

use super::configuration::{Answers, PLACEHOLDER};
use super::draft::Draft;
use super::place::Place;
use crate::app::GatewayParts;
use crate::audit::settings::HeadKey;
use crate::cli::random_secret;
use crate::secret::Secret;
use crate::secret_files::SecretFiles;

const CONFIG: &str = "wavegate.toml";
/// The configuration while it is tried.
const TRIAL: &str = "wavegate.toml.new";
const FOLDER: &str = "secrets";
pub(super) const BEARER: &str = "bearer";
pub(super) const LINK: &str = "link";
pub(super) const SESSION: &str = "session";
pub(super) const PASSWORD: &str = "pbx-password";
pub(super) const ADMIN: &str = "admin-token";
pub(super) const HEAD_KEY: &str = "audit-head-key";
/// The secrets that are random text.
const KEYS: [&str; 4] = [BEARER, LINK, SESSION, ADMIN];
const AUDIT: &str = "audit";
pub(super) const HEAD_PUBLIC_KEY: &str = "audit-head-key.pub";
pub(super) const POLICY: &str = "policy.cedar";
/// The first policies. The Debian package has them, too.
const POLICIES: &str = include_str!("../../../packaging/debian/policy.cedar");

/// The folders of a first configuration.
pub(super) struct Folders {
    place: Place,
    dir: PathBuf,
    config: PathBuf,
    secrets: PathBuf,
}

impl Folders {
    pub(super) fn new(place: Place, dir: &Path) -> Self {
        Self {
            place,
            secrets: dir.join(FOLDER),
            config: place.config_dir(dir),
            dir: dir.to_owned(),
        }
    }

    /// The path of the configuration.
    pub(super) fn config(&self) -> PathBuf {
        let path = self.config.join(CONFIG);
        path.strip_prefix(".").unwrap_or(&path).to_owned()
    }

    /// Whether the configuration is the one of the package, as it was installed.
    fn has_placeholder(&self) -> bool {
        let text = std::fs::read_to_string(self.config());
        self.place == Place::Service && text.is_ok_and(|text| text == PLACEHOLDER)
    }

    /// # Errors
    /// When one of the files exists. A service has its keys and policies from its package, and
    /// keeps them.
    pub(super) fn refuse_existing(&self) -> Result<(), String> {
        let mut paths = Vec::new();
        if !self.has_placeholder() {
            paths.extend([self.config(), self.secrets.join(PASSWORD)]);
        }
        if self.place != Place::Service {
            paths.extend(KEYS.map(|name| self.secrets.join(name)));
            paths.push(self.secrets.join(HEAD_KEY));
            paths.extend([HEAD_PUBLIC_KEY, POLICY].map(|name| self.config.join(name)));
        }
        let companions = self.place.companions(&self.dir);
        paths.extend(companions.into_iter().map(|(path, _)| path));
        match paths.iter().find(|path| path.symlink_metadata().is_ok()) {
            Some(path) => Err(format!(
                "{} is there already, and is not overwritten",
                path.display()
            )),
            None => Ok(()),
        }
    }

    /// Writes the keys that are missing, and nothing else.
    pub(super) fn write_keys(&self) -> Result<(), String> {
        let mut draft = Draft::new(self.place.access()?);
        self.keys(&mut draft)?;
        draft.keep()
    }

    fn keys(&self, draft: &mut Draft) -> Result<(), String> {
        draft.folder(&self.dir)?;
        draft.folder(&self.config)?;
        draft.secrets_folder(&self.secrets)?;
        for path in KEYS.map(|name| self.secrets.join(name)) {
            if !path.exists() {
                draft.secret(&path, &random_secret()?)?;
            }
        }
        let path = self.secrets.join(HEAD_KEY);
        let key = if path.exists() {
            let read = SecretFiles::default().read(&path);
            let read = read.map_err(|error| format!("{}: {error}", path.display()))?;
            HeadKey::read(&read.secret)?
        } else {
            let (key, pem) = HeadKey::generate()?;
            draft.secret(&path, &pem)?;
            key
        };
        let path = self.config.join(HEAD_PUBLIC_KEY);
        match path.exists() {
            true => Ok(()),
            false => draft.file(&path, &(key.public() + "\n")),
        }
    }

    /// Writes all files and checks the configuration. If that fails, the files are removed.
    pub(super) fn write(&self, answers: &Answers, password: &Secret) -> Result<(), String> {
        let mut draft = Draft::new(self.place.access()?);
        let replaces = self.has_placeholder();
        self.keys(&mut draft)?;
        if self.place == Place::Folder {
            draft.folder(&self.config.join(AUDIT))?;
        }
        let policy = self.config.join(POLICY);
        if !policy.exists() {
            draft.file(&policy, POLICIES)?;
        }
        for (path, text) in self.place.companions(&self.dir) {
            draft.file(&path, &text)?;
        }
        let path = self.secrets.join(PASSWORD);
        match replaces {
            true => draft.replacement(&path, |draft, path| draft.secret(path, password))?,
            false => draft.secret(&path, password)?,
        }

        let trial = self.config.join(TRIAL);
        draft.file(
            &trial,
            &answers.configuration(&self.place.names_here(&answers.public_url)),
        )?;
        let parts = GatewayParts::load(&trial).map_err(|problems| problems.to_string())?;
        crate::cli::warn(&parts);
        draft.discard(&trial)?;

        let text = answers.configuration(&self.place.names(&answers.public_url));
        match replaces {
            true => draft.replacement(&self.config(), |draft, path| draft.file(path, &text))?,
            false => draft.file(&self.config(), &text)?,
        }
        draft.keep()
    }
}

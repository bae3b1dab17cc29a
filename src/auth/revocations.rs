//! The list of revocations: read from its file, read again after each change, extended by the
//! operator's calls.
//!
//! Knows the file, and that no mistake in it makes a revoked token valid again. Does not know which
//! principals an entry covers.

pub(crate) mod entries;
mod exchange;

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use thiserror::Error;
use tokio::sync::{Notify, watch};
use tokio::time::sleep;
use tracing::{info, warn};

use crate::auth::revocations::entries::{Revocation, RevocationError, RevocationList};
use crate::auth::{AuthError, Credential, CredentialError, Principal};
use crate::file_version::FileVersion;

/// The interval at which the file is checked for changes.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// The largest list, in bytes.
const MAX_BYTES: u64 = 32 << 20;

/// Called when the list has changed, to end running downloads.
pub(crate) type RevocationListener = Box<dyn Fn(&RevocationList) + Send + Sync>;

/// The revocation list and its file.
pub(crate) struct Revocations {
    path: Option<PathBuf>,
    revoked: ArcSwap<RevocationList>,
    /// Held by the one that reads or changes the file.
    known: Mutex<FileState>,
    listener: RevocationListener,
    /// Wakes the exchange with the other instances of a fleet.
    changed: Arc<Notify>,
    /// The entries of the fleet have been in force once.
    met: watch::Sender<bool>,
}

/// The file as it was read.
#[derive(Default)]
struct FileState {
    /// The version that was read last.
    seen: Option<FileVersion>,
    /// A version with fewer entries than are in force.
    doubtful: Option<FileVersion>,
}

/// The reason why an entry was not added.
#[derive(Debug, Error)]
pub(crate) enum RevokeError {
    #[error("auth.revocation_file is not configured")]
    NoFile,
    #[error("not a revocation: {0}")]
    Entry(String),
    #[error("the list is missing; put it back, or an empty file if nothing is to be revoked")]
    Lost,
    #[error("the list cannot be written: {0}")]
    File(#[from] io::Error),
    #[error(transparent)]
    List(#[from] RevocationError),
}

impl Revocations {
    /// Reads the list and starts to watch it. Without a file nothing is revoked. Call it within a
    /// tokio runtime.
    ///
    /// # Errors
    /// A sentence for an operator: the list exists and cannot be read, or has a mistake.
    pub(crate) fn start(
        path: Option<PathBuf>,
        listener: RevocationListener,
    ) -> Result<Arc<Self>, String> {
        let revocations = Arc::new(Self {
            path,
            revoked: ArcSwap::default(),
            known: Mutex::default(),
            listener,
            changed: Arc::default(),
            met: watch::Sender::new(false),
        });
        if let Some(path) = &revocations.path {
            revocations
                .read()
                .map_err(|error| format!("{}: {error}", path.display()))?;
            revocations.warn_if_absent(path);
            tokio::spawn(watch(Arc::downgrade(&revocations)));
        }
        Ok(revocations)
    }

    /// A list that was never written cannot be told from one that was lost, so this warns.
    fn warn_if_absent(&self, path: &Path) {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.seen.is_none() {
            warn!(
                key = "auth.revocation_file",
                path = %path.display(),
                advice = "if there was a list, put it back; POST /revocations makes a new one, and an empty file is a valid list",
                "there is no list of revocations: nothing is revoked"
            );
        }
    }

    /// The path of the file.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Returns true if the principal's credential is revoked.
    pub(crate) fn revokes(&self, principal: &Principal) -> bool {
        self.revoked.load().revokes(principal)
    }

    /// Refuses a principal whose credential is revoked.
    ///
    /// # Errors
    /// When it is revoked.
    pub(crate) fn check(&self, principal: &Principal) -> Result<(), CredentialError> {
        if !self.revokes(principal) {
            return Ok(());
        }
        Err(match principal.credential() {
            Credential::Bearer => CredentialError::Bearer(AuthError::Revoked),
            Credential::Link(_) => CredentialError::Link(AuthError::Revoked),
            Credential::Session | Credential::Sso => CredentialError::Cookie(AuthError::Revoked),
        })
    }

    /// Writes an entry to the file and puts it in force, whatever else has been written into the
    /// file meanwhile. Blocks on the file.
    ///
    /// # Errors
    /// When the entry was not added.
    pub(crate) fn revoke(&self, json: &str) -> Result<(), RevokeError> {
        let entry = Revocation::parse(json).map_err(RevokeError::Entry)?;
        self.add(&[entry])
    }

    /// Writes entries to the file and puts them in force. Blocks on the file.
    ///
    /// # Errors
    /// When they were not added: all of them are, or none.
    fn add(&self, entries: &[Revocation]) -> Result<(), RevokeError> {
        let path = self.path.as_ref().ok_or(RevokeError::NoFile)?;
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // A new file would hold this entry alone, so a lost list is not started again.
        if known.seen.is_some() && !path.try_exists()? {
            return Err(RevokeError::Lost);
        }
        let mut revoked = RevocationList::clone(&self.revoked.load());
        for entry in entries {
            revoked.add(entry)?;
        }
        let lines: Vec<_> = entries.iter().map(Revocation::line).collect();
        append(path, &lines.join("\n"))?;
        self.put(revoked);
        Ok(())
    }

    /// Reads the list if it has changed. A list with fewer entries than are in force may be only
    /// half written, so it counts once it looks the same twice.
    fn read(&self) -> Result<(), RevokeError> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let now = match FileVersion::of(path) {
            // The list never existed, so nothing is revoked. A list that has disappeared is an
            // error.
            Err(error) if error.kind() == io::ErrorKind::NotFound && known.seen.is_none() => {
                return Ok(());
            }
            now => Some(now?),
        };
        if known.seen == now {
            return Ok(());
        }
        let text = read(path)?;
        let revoked = RevocationList::parse(&text);
        let is_less = |revoked: &RevocationList| revoked.entries() < self.revoked.load().entries();
        if revoked.as_ref().is_ok_and(is_less) && known.doubtful != now {
            known.doubtful = now;
            return Ok(());
        }
        *known = FileState {
            seen: now,
            doubtful: None,
        };
        self.put(revoked?);
        Ok(())
    }

    fn put(&self, revoked: RevocationList) {
        info!(
            entries = revoked.entries(),
            "the list of revocations is in force"
        );
        self.revoked.store(Arc::new(revoked));
        (self.listener)(&self.revoked.load());
        self.changed.notify_one();
    }
}

/// Reads a list once. A missing file counts as an empty list.
///
/// # Errors
/// A sentence for an operator.
pub(crate) fn read_once(path: &Path) -> Result<RevocationList, String> {
    let with_path = |error: &dyn fmt::Display| format!("{}: {error}", path.display());
    match read(path) {
        Ok(text) => RevocationList::parse(&text).map_err(|error| with_path(&error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(RevocationList::default()),
        Err(error) => Err(with_path(&error)),
    }
}

/// Reads the list after each change. If the list cannot be read or has a mistake, the entries in
/// force stay.
async fn watch(revocations: Weak<Revocations>) {
    let mut failing = false;
    loop {
        sleep(POLL_INTERVAL).await;
        let Some(revocations) = revocations.upgrade() else {
            return;
        };
        let read = tokio::task::spawn_blocking(move || revocations.read()).await;
        match read {
            Ok(Err(error)) if !failing => {
                failing = true;
                let advice = "repair the list; until then the entries in force stay, and new lines in the file do not count";
                warn!(%error, advice, "the list of revocations cannot be read");
            }
            // A list with a mistake is read again only when it has changed.
            Ok(Ok(())) => failing = false,
            Ok(Err(_)) | Err(_) => {}
        }
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?
        .take(MAX_BYTES + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(io::Error::other("longer than 32 MiB"));
    }
    Ok(text)
}

/// Appends a line and syncs it to disk, or leaves the file as it was. Adds a line feed before it if
/// the last line has none.
fn append(path: &Path, line: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    // The entries name people, so only the owner may read the file.
    options.create(true).append(true).read(true).mode(0o600);
    let is_new = !path.try_exists()?;
    let mut file = options.open(path)?;
    let before = file.metadata()?.len();
    let ends = before == 0 || read(path)?.ends_with('\n');
    let feed = if ends { "" } else { "\n" };
    let written = file.write_all(format!("{feed}{line}\n").as_bytes());
    let synced = written.and_then(|()| file.sync_all());
    if let Err(error) = synced.and_then(|()| if is_new { sync_folder(path) } else { Ok(()) }) {
        file.set_len(before)?;
        return Err(error);
    }
    Ok(())
}

/// A new file is safe on disk only once its folder is synced, too.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests;

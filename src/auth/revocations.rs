//! The list of what is revoked: read from its file, again whenever that changes, and added to by the operator's calls.
//!
//! Knows the file, and that nothing becomes valid again by a mistake in it. Does not know whom an entry means.

pub(crate) mod entries;

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use thiserror::Error;
use tokio::time::sleep;
use tracing::{info, warn};

use crate::auth::revocations::entries::{Revocation, RevocationError, Revoked};
use crate::auth::{AuthError, Credential, Principal, Rejected};

/// How often it is looked whether the file has changed.
const LOOK: Duration = Duration::from_millis(250);
/// The largest list, in bytes.
const MAX_BYTES: u64 = 32 << 20;

/// Called when more has been revoked, to end what is running.
pub(crate) type Spread = Box<dyn Fn(&Revoked) + Send + Sync>;

/// What is revoked, and where that is written down.
pub(crate) struct Revocations {
    path: Option<PathBuf>,
    revoked: ArcSwap<Revoked>,
    /// One at a time changes the file, or reads it.
    known: Mutex<Known>,
    spread: Spread,
}

/// What is known of the file.
#[derive(Default)]
struct Known {
    /// How it looked when it was read last.
    seen: Option<Look>,
    /// How it looked when it had fewer entries than are in force.
    doubtful: Option<Look>,
}

/// What tells one state of a file from another.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Look {
    /// Of the file, and when anything about it was changed last.
    inode: u64,
    changed: (i64, i64),
    bytes: u64,
}

/// Why nothing was revoked.
#[derive(Debug, Error)]
pub(crate) enum RevokeError {
    #[error("auth.revocation_file is not configured")]
    NoFile,
    #[error("not a revocation: {0}")]
    Entry(String),
    #[error("the list has gone; put it back, or an empty one if nothing is to be revoked any more")]
    Lost,
    #[error("the list cannot be written: {0}")]
    File(#[from] io::Error),
    #[error(transparent)]
    List(#[from] RevocationError),
}

impl Revocations {
    /// Reads the list and watches it from now on; without a file there is nothing revoked. Call it within a tokio runtime.
    ///
    /// # Errors
    /// A sentence for an operator: a list that is there and cannot be read, or has a mistake.
    pub(crate) fn start(path: Option<PathBuf>, spread: Spread) -> Result<Arc<Self>, String> {
        let revocations = Arc::new(Self {
            path,
            revoked: ArcSwap::default(),
            known: Mutex::default(),
            spread,
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

    /// Nobody can tell a list that was never written from one that was lost.
    fn warn_if_absent(&self, path: &Path) {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.seen.is_none() {
            warn!(
                key = "auth.revocation_file",
                path = %path.display(),
                advice = "if there was one, put it back; POST /revocations makes a new one, and an empty file is one, too",
                "there is no list of revocations: nothing is revoked"
            );
        }
    }

    /// Where the list is.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Whether what somebody showed is revoked.
    pub(crate) fn mean(&self, principal: &Principal) -> bool {
        self.revoked.load().means(principal)
    }

    /// Refuses whoever showed something that is revoked.
    ///
    /// # Errors
    /// When it is.
    pub(crate) fn check(&self, principal: &Principal) -> Result<(), Rejected> {
        if !self.mean(principal) {
            return Ok(());
        }
        Err(match principal.credential() {
            Credential::Bearer => Rejected::Bearer(AuthError::Revoked),
            Credential::Link(_) => Rejected::Link(AuthError::Revoked),
            Credential::Session | Credential::Sso => Rejected::Cookie(AuthError::Revoked),
        })
    }

    /// Writes an entry down and puts it in force, whatever else has been written into the list meanwhile. Blocks on the
    /// file.
    ///
    /// # Errors
    /// When nothing was revoked.
    pub(crate) fn revoke(&self, json: &str) -> Result<(), RevokeError> {
        let path = self.path.as_ref().ok_or(RevokeError::NoFile)?;
        let entry = Revocation::parse(json).map_err(RevokeError::Entry)?;
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // A new list in its place would hold this entry alone.
        if known.seen.is_some() && !path.try_exists()? {
            return Err(RevokeError::Lost);
        }
        let mut revoked = Revoked::clone(&self.revoked.load());
        revoked.add(&entry)?;
        append(path, &entry.line())?;
        self.put(revoked);
        Ok(())
    }

    /// Reads the list, if it has changed. One that has fewer entries than are in force may be half of one that is just being
    /// written: it counts once it looks the same twice.
    fn read(&self) -> Result<(), RevokeError> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let now = match look(path) {
            // Nothing was ever revoked. A list that has gone is another matter.
            Err(error) if error.kind() == io::ErrorKind::NotFound && known.seen.is_none() => {
                return Ok(());
            }
            now => Some(now?),
        };
        if known.seen == now {
            return Ok(());
        }
        let text = read(path)?;
        let revoked = Revoked::parse(&text);
        let is_less = |revoked: &Revoked| revoked.entries() < self.revoked.load().entries();
        if revoked.as_ref().is_ok_and(is_less) && known.doubtful != now {
            known.doubtful = now;
            return Ok(());
        }
        *known = Known {
            seen: now,
            doubtful: None,
        };
        self.put(revoked?);
        Ok(())
    }

    fn put(&self, revoked: Revoked) {
        info!(
            entries = revoked.entries(),
            "the list of revocations is in force"
        );
        self.revoked.store(Arc::new(revoked));
        (self.spread)(&self.revoked.load());
    }
}

/// Reads a list once; one that is not there has no entries.
///
/// # Errors
/// A sentence for an operator.
pub(crate) fn read_once(path: &Path) -> Result<Revoked, String> {
    let told = |error: &dyn fmt::Display| format!("{}: {error}", path.display());
    match read(path) {
        Ok(text) => Revoked::parse(&text).map_err(|error| told(&error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Revoked::default()),
        Err(error) => Err(told(&error)),
    }
}

/// Reads the list whenever it has changed. A list that cannot be read, or has a mistake, takes nothing back.
async fn watch(revocations: Weak<Revocations>) {
    let mut failing = false;
    loop {
        sleep(LOOK).await;
        let Some(revocations) = revocations.upgrade() else {
            return;
        };
        let read = tokio::task::spawn_blocking(move || revocations.read()).await;
        match read {
            Ok(Err(error)) if !failing => {
                failing = true;
                let advice = "mend it; until then what was revoked stays so, and nothing is added";
                warn!(%error, advice, "the list of revocations cannot be read");
            }
            // A list with a mistake is looked at again when it has changed.
            Ok(Ok(())) => failing = false,
            Ok(Err(_)) | Err(_) => {}
        }
    }
}

fn look(path: &Path) -> io::Result<Look> {
    let metadata = fs::metadata(path)?;
    Ok(Look {
        inode: metadata.ino(),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
        bytes: metadata.len(),
    })
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

/// Adds a line, behind a line feed where the one before has none, and sees to it that it stays; or adds nothing.
fn append(path: &Path, line: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    // It names people.
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

/// A new file stays only if its folder knows of it.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests;

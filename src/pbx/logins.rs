//! When the gateway logged in to a PBX and how that went, kept over restarts.
//!
//! Knows times and counts, and by which rule the next login waits. Does not know tokens, and keeps no password: only a
//! salted, stretched and cut hash, to notice that the credentials have changed.
//!
//! The rule: the fifth refused login in a row locks our address out for ten minutes, for every program behind it
//! (Yeastar, "S-Series API Guide", "API Authentication"). So after one refusal there is one more try, later, and after
//! the second none until the credentials change or the operator says so. A login whose answer was lost may have been
//! refused, too: it is not held against the credentials, but the tries together stay below five. That holds whatever the
//! operator says and whichever credentials are tried: the PBX counts by address.

use std::fs::File;
use std::io;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::{pbkdf2, rand};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use serde::{Deserialize, Serialize};

/// The S-Series' lock-out (same source).
const LOCK_OUT: Duration = Duration::from_secs(10 * 60);
const MAX_REFUSALS: u32 = 2;
/// Refusals and lost answers together: one more could be the fifth.
const MAX_TRIES: u32 = 4;
const KEPT_LOGINS: usize = 20;
/// Cut so short that it fits one password in 65,536: of little use for finding one, enough to notice another.
const FINGERPRINT_BYTES: usize = 2;
const STRETCHING: NonZeroU32 = NonZeroU32::new(100_000).unwrap();

/// Whether a login may be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Go,
    /// Not yet: the last one was refused.
    Wait(Duration),
    /// Not yet: the last ones got no answer.
    Unanswered(Duration),
    /// Not yet: the PBX has locked our address out.
    Locked(Duration),
    /// Not yet: the PBX may count four failures in a row, and locks our address out at the fifth.
    Brink(Duration),
    /// Not until the credentials change or the operator says so.
    Stopped,
}

/// How a login went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Accepted,
    Refused,
    LockedOut,
    /// The PBX said something else, or was never told the credentials.
    Unjudged,
    /// The credentials were sent, and the answer was lost.
    Unanswered,
}

/// The file's content.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Record {
    salt: String,
    credentials: String,
    /// Logins refused in a row.
    refusals: u32,
    /// Logins in a row whose answer is not known: lost, under way, or of a process that died.
    unanswered: u32,
    /// Logins in a row that the PBX may count as failed, whoever said what in between.
    failures: u32,
    /// When the last of them was sent, in seconds since the epoch, as all times here.
    last_failure: u64,
    last_try: u64,
    locked_until: u64,
    /// The latest logins that were tried, oldest first.
    logins: Vec<u64>,
}

/// The history of one PBX.
pub(super) struct LoginHistory {
    record: Record,
    file: Option<PathBuf>,
    /// Pause between the two logins that may be refused.
    retry: Duration,
    /// What is known here could not be written.
    unsaved: bool,
}

impl LoginHistory {
    /// Reads the history of the PBX `name` from `folder`; `None` keeps it in memory. A history made with other
    /// credentials starts afresh. It is written at once: a folder that cannot be written is found out now, not at the
    /// first login.
    ///
    /// # Errors
    /// When the folder cannot be created, or the file is damaged or cannot be read or written.
    pub(super) fn open(
        folder: Option<&Path>,
        name: &str,
        credentials: &[&[u8]],
        retry: Duration,
    ) -> io::Result<Self> {
        folder.map(create_private).transpose()?;
        let file = folder.map(|folder| folder.join(format!("logins-{name}.json")));
        let _lock = lock(file.as_deref());
        let mut record = match &file {
            None => Record::default(),
            Some(file) => read(file)?,
        };
        let salt = BASE64.decode(&record.salt).unwrap_or_default();
        if salt.is_empty() || fingerprint(&salt, credentials) != record.credentials {
            record = Record {
                failures: record.failures,
                last_failure: record.last_failure,
                ..afresh(credentials)?
            };
        }
        let mut history = Self {
            record,
            file,
            retry,
            unsaved: false,
        };
        history.save()?;
        Ok(history)
    }

    pub(super) fn verdict(&mut self, now: SystemTime) -> Verdict {
        self.catch_up();
        let now = seconds(now);
        let record = &mut self.record;
        // A clock that was wrong must not stretch a wait.
        record.last_try = record.last_try.min(now);
        record.locked_until = record.locked_until.min(now + LOCK_OUT.as_secs());
        let left = |until: u64| {
            Some(Duration::from_secs(until.saturating_sub(now))).filter(|left| !left.is_zero())
        };

        if let Some(left) = left(record.locked_until) {
            return Verdict::Locked(left);
        }
        if record.refusals >= MAX_REFUSALS {
            return Verdict::Stopped;
        }
        record.last_failure = record.last_failure.min(now);
        let counted = record.refusals + record.unanswered;
        if record.failures >= MAX_TRIES
            && counted < MAX_TRIES
            && let Some(left) = left(record.last_failure.saturating_add(LOCK_OUT.as_secs()))
        {
            return Verdict::Brink(left);
        }
        let pause = match (record.refusals, counted) {
            (_, MAX_TRIES..) => LOCK_OUT,
            (0, ..MAX_REFUSALS) => return Verdict::Go,
            _ => self.retry,
        };
        match left(record.last_try.saturating_add(pause.as_secs())) {
            None => Verdict::Go,
            Some(left) if record.unanswered == 0 => Verdict::Wait(left),
            Some(left) => Verdict::Unanswered(left),
        }
    }

    /// Notes that a login is about to be tried, so that a process that dies in the middle cannot try again and again.
    ///
    /// # Errors
    /// When the file cannot be written; the history goes on in memory.
    pub(super) fn begin(&mut self, now: SystemTime) -> io::Result<()> {
        let _lock = lock(self.file.as_deref());
        self.catch_up();
        let record = &mut self.record;
        record.unanswered = record.unanswered.saturating_add(1);
        record.failures = record.failures.saturating_add(1);
        record.last_failure = seconds(now);
        record.last_try = seconds(now);
        record.logins.push(seconds(now));
        let surplus = record.logins.len().saturating_sub(KEPT_LOGINS);
        record.logins.drain(..surplus);
        self.save()
    }

    /// Notes how the login that was begun has gone.
    ///
    /// # Errors
    /// As for [`LoginHistory::begin`].
    pub(super) fn end(&mut self, ended: Ended, now: SystemTime) -> io::Result<()> {
        let _lock = lock(self.file.as_deref());
        self.catch_up();
        let record = &mut self.record;
        if ended != Ended::Unanswered {
            record.unanswered = record.unanswered.saturating_sub(1);
        }
        match ended {
            Ended::Accepted => {
                record.refusals = 0;
                record.unanswered = 0;
                record.failures = 0;
                record.locked_until = 0;
            }
            Ended::Refused => record.refusals = record.refusals.saturating_add(1),
            Ended::LockedOut => {
                record.failures = 0;
                record.locked_until = seconds(now + LOCK_OUT);
            }
            Ended::Unjudged => record.failures = record.failures.saturating_sub(1),
            Ended::Unanswered => {}
        }
        record.last_try = seconds(now);
        self.save()
    }

    /// Allows one more login, whatever was refused before: the operator says that something has changed. One, since a
    /// word that comes by itself, as after each renewal of a certificate, must not add up to a lock-out either.
    ///
    /// # Errors
    /// As for [`LoginHistory::begin`].
    pub(super) fn forgive(&mut self) -> io::Result<()> {
        let _lock = lock(self.file.as_deref());
        self.catch_up();
        let record = &mut self.record;
        record.refusals = record.refusals.min(MAX_REFUSALS - 1);
        record.unanswered = 0;
        record.last_try = 0;
        record.locked_until = 0;
        self.save()
    }

    /// Notes that the PBX has locked our address out, though nobody logged in.
    ///
    /// # Errors
    /// As for [`LoginHistory::begin`].
    pub(super) fn lock_out(&mut self, now: SystemTime) -> io::Result<()> {
        let _lock = lock(self.file.as_deref());
        self.catch_up();
        self.record.failures = 0;
        self.record.locked_until = seconds(now + LOCK_OUT);
        self.save()
    }

    /// Changes the pause between the two logins that may be refused.
    pub(super) fn change_retry(&mut self, retry: Duration) {
        self.retry = retry;
    }

    /// Keeps the history in memory from now on: another one has taken over the file.
    pub(super) fn let_go(&mut self) {
        self.file = None;
    }

    /// Takes over what another process has written: `wavegate doctor` may log in beside a running gateway, and the PBX
    /// counts for both. A file that is gone, damaged or of other credentials changes nothing.
    fn catch_up(&mut self) {
        let Some(Ok(record)) = self.file.as_deref().map(read) else {
            return;
        };
        let ours = &self.record;
        let same = record.salt == ours.salt && record.credentials == ours.credentials;
        if same && !self.unsaved {
            self.record = record;
        }
    }

    fn save(&mut self) -> io::Result<()> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let fresh = file.with_extension("json.new");
        let written = serde_json::to_vec_pretty(&self.record)
            .map_err(io::Error::from)
            .and_then(|json| write_private(&fresh, &json))
            .and_then(|()| std::fs::rename(&fresh, file));
        self.unsaved = written.is_err();
        written.map_err(|error| io::Error::other(format!("{}: {error}", fresh.display())))
    }
}

/// Keeps other processes from changing the file for as long as the value lives, which is never long. Without it they go
/// on, and may count one login too few.
fn lock(file: Option<&Path>) -> Option<File> {
    let path = file?.with_extension("lock");
    let mut options = File::options();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(&path).ok()?;
    leave_to_owner(&path, &file).ok()?;
    file.lock().ok()?;
    Some(file)
}

/// Writes a file that only its owner can read, down to the disk: what is put in place afterwards is whole.
fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write;

    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    leave_to_owner(path, &file)?;
    file.sync_all()
}

/// Gives what root makes to the owner of the folder it is in: the gateway must be able to read and write it.
#[cfg(unix)]
fn leave_to_owner(path: &Path, made: &File) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};

    const ROOT: u32 = 0;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new(".")).metadata()?;
    if made.metadata()?.uid() == ROOT && folder.uid() != ROOT {
        fchown(made, Some(folder.uid()), Some(folder.gid()))?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn leave_to_owner(_path: &Path, _made: &File) -> io::Result<()> {
    Ok(())
}

fn read(file: &Path) -> io::Result<Record> {
    match std::fs::read(file) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
            io::Error::other(format!(
                "{}: {error}; remove it if no login was refused lately",
                file.display()
            ))
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Record::default()),
        Err(error) => Err(io::Error::other(format!("{}: {error}", file.display()))),
    }
}

fn afresh(credentials: &[&[u8]]) -> io::Result<Record> {
    let mut salt = [0; 16];
    rand::fill(&mut salt).map_err(|_| io::Error::other("the system has no randomness"))?;
    Ok(Record {
        salt: BASE64.encode(salt),
        credentials: fingerprint(&salt, credentials),
        ..Record::default()
    })
}

fn fingerprint(salt: &[u8], credentials: &[&[u8]]) -> String {
    let mut hash = [0; FINGERPRINT_BYTES];
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA256,
        STRETCHING,
        salt,
        &credentials.join(&0),
        &mut hash,
    );
    BASE64.encode(hash)
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

/// Creates the folder for what is remembered about logins; nobody else has business there.
fn create_private(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)?;
    leave_to_owner(folder, &File::open(folder)?)
}

#[cfg(test)]
mod tests;

//! When the gateway logged in to a PBX and how that went, kept over restarts.
//!
//! Knows times and counts, and by which rule the next login waits. Does not know tokens, and keeps no password: only a
//! salted, stretched and cut hash, to notice that the credentials have changed.
//!
//! The rule: the fifth refused login in a row locks our address out for ten minutes, for every program behind it
//! (Yeastar, "S-Series API Guide", "API Authentication"). So after one refusal there is one more try, later, and after
//! the second none until the credentials change or the operator says so.

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
const KEPT_LOGINS: usize = 20;
/// Cut so short that it says next to nothing about the password, yet differs when the password does.
const FINGERPRINT_BYTES: usize = 4;
const STRETCHING: NonZeroU32 = NonZeroU32::new(100_000).unwrap();

/// Whether a login may be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Go,
    /// Not yet: the last one was refused.
    Wait(Duration),
    /// Not yet: the PBX has locked our address out.
    Locked(Duration),
    /// Not until the credentials change or the operator says so.
    Stopped,
}

/// How a login went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Accepted,
    Refused,
    LockedOut,
    /// No answer that says anything about the credentials.
    Unknown,
}

/// The file's content.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Record {
    salt: String,
    credentials: String,
    /// Logins refused in a row; one under way counts as refused until it is known better.
    refusals: u32,
    /// Seconds since the epoch, as all times here.
    last_refusal: u64,
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
}

impl LoginHistory {
    /// Reads the history of the PBX `name` from `folder`; `None` keeps it in memory. A history made with other
    /// credentials starts afresh. It is written at once: a folder that cannot be written is found out now, not at the
    /// first login.
    ///
    /// # Errors
    /// When the file is damaged, or cannot be read or written.
    pub(super) fn open(
        folder: Option<&Path>,
        name: &str,
        credentials: &[&[u8]],
        retry: Duration,
    ) -> io::Result<Self> {
        let file = folder.map(|folder| folder.join(format!("logins-{name}.json")));
        let mut record = match &file {
            None => Record::default(),
            Some(file) => read(file)?,
        };
        let salt = BASE64.decode(&record.salt).unwrap_or_default();
        if salt.is_empty() || fingerprint(&salt, credentials) != record.credentials {
            record = afresh(credentials)?;
        }
        let history = Self {
            record,
            file,
            retry,
        };
        history.save()?;
        Ok(history)
    }

    pub(super) fn verdict(&self, now: SystemTime) -> Verdict {
        let now = seconds(now);
        if now < self.record.locked_until {
            // A clock that was wrong must not stretch the wait.
            let left = Duration::from_secs(self.record.locked_until - now);
            return Verdict::Locked(left.min(LOCK_OUT));
        }
        match self.record.refusals {
            0 => Verdict::Go,
            refusals if refusals >= MAX_REFUSALS => Verdict::Stopped,
            _ => {
                let again = self
                    .record
                    .last_refusal
                    .saturating_add(self.retry.as_secs());
                match again.saturating_sub(now) {
                    0 => Verdict::Go,
                    left => Verdict::Wait(Duration::from_secs(left).min(self.retry)),
                }
            }
        }
    }

    /// Notes that a login is about to be tried. It counts as refused until [`LoginHistory::end`], so that a process
    /// that dies in between cannot try again and again.
    ///
    /// # Errors
    /// When the file cannot be written; the history goes on in memory.
    pub(super) fn begin(&mut self, now: SystemTime) -> io::Result<()> {
        let record = &mut self.record;
        record.refusals = record.refusals.saturating_add(1);
        record.last_refusal = seconds(now);
        record.logins.push(seconds(now));
        let surplus = record.logins.len().saturating_sub(KEPT_LOGINS);
        record.logins.drain(..surplus);
        self.save()
    }

    /// Notes how the login went.
    ///
    /// # Errors
    /// As for [`LoginHistory::begin`].
    pub(super) fn end(&mut self, ended: Ended, now: SystemTime) -> io::Result<()> {
        let record = &mut self.record;
        match ended {
            Ended::Accepted => {
                record.refusals = 0;
                record.locked_until = 0;
            }
            Ended::Refused => record.last_refusal = seconds(now),
            Ended::LockedOut => {
                record.refusals = record.refusals.saturating_sub(1);
                record.locked_until = seconds(now + LOCK_OUT);
            }
            Ended::Unknown => record.refusals = record.refusals.saturating_sub(1),
        }
        self.save()
    }

    /// Forgets refusals: the operator says that something has changed.
    ///
    /// # Errors
    /// As for [`LoginHistory::begin`].
    pub(super) fn forgive(&mut self) -> io::Result<()> {
        self.record.refusals = 0;
        self.record.locked_until = 0;
        self.save()
    }

    fn save(&self) -> io::Result<()> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let fresh = file.with_extension("json.new");
        let written = std::fs::write(&fresh, serde_json::to_vec_pretty(&self.record)?);
        written
            .and_then(|()| std::fs::rename(&fresh, file))
            .map_err(|error| io::Error::other(format!("{}: {error}", fresh.display())))
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    const RETRY: Duration = Duration::from_secs(60);

    fn open(folder: &Path, password: &str) -> LoginHistory {
        LoginHistory::open(Some(folder), "main", &[b"api", password.as_bytes()], RETRY).unwrap()
    }

    #[test]
    fn after_two_refusals_there_is_no_third_login_even_after_restarts() {
        let folder = tempfile::tempdir().unwrap();
        let start = SystemTime::now();
        let mut history = open(folder.path(), "wrong");
        assert_eq!(history.verdict(start), Verdict::Go);
        history.begin(start).unwrap();
        history.end(Ended::Refused, start).unwrap();

        let mut history = open(folder.path(), "wrong");
        assert!(matches!(history.verdict(start), Verdict::Wait(_)));
        let later = start + RETRY + Duration::from_secs(1);
        assert_eq!(history.verdict(later), Verdict::Go);
        // The process dies before the answer comes.
        history.begin(later).unwrap();

        let mut history = open(folder.path(), "wrong");
        assert_eq!(
            history.verdict(later + Duration::from_secs(86_400)),
            Verdict::Stopped
        );
        history.forgive().unwrap();
        assert_eq!(open(folder.path(), "wrong").verdict(later), Verdict::Go);
    }

    #[test]
    fn other_credentials_start_afresh() {
        let folder = tempfile::tempdir().unwrap();
        let mut history = open(folder.path(), "wrong");
        for _ in 0..2 {
            history.begin(SystemTime::now()).unwrap();
        }
        assert_eq!(
            open(folder.path(), "wrong").verdict(SystemTime::now()),
            Verdict::Stopped
        );
        assert_eq!(
            open(folder.path(), "right").verdict(SystemTime::now()),
            Verdict::Go
        );
    }

    #[test]
    fn a_lock_out_is_waited_for_and_counts_as_no_refusal() {
        let start = SystemTime::now();
        let mut history = LoginHistory::open(None, "main", &[b"api"], RETRY).unwrap();
        history.begin(start).unwrap();
        history.end(Ended::LockedOut, start).unwrap();
        assert!(matches!(history.verdict(start), Verdict::Locked(_)));
        assert_eq!(history.verdict(start + LOCK_OUT), Verdict::Go);
    }

    #[test]
    fn a_pbx_that_does_not_answer_costs_no_try() {
        let mut history = LoginHistory::open(None, "main", &[b"api"], RETRY).unwrap();
        for _ in 0..10 {
            history.begin(SystemTime::now()).unwrap();
            history.end(Ended::Unknown, SystemTime::now()).unwrap();
        }
        assert_eq!(history.verdict(SystemTime::now()), Verdict::Go);
    }

    #[test]
    fn the_file_holds_nothing_of_the_credentials() {
        let folder = tempfile::tempdir().unwrap();
        open(folder.path(), "hunter2")
            .begin(SystemTime::now())
            .unwrap();
        let text = std::fs::read_to_string(folder.path().join("logins-main.json")).unwrap();
        assert!(!text.contains("hunter2") && !text.contains("api"), "{text}");
    }
}

//! The history of the logins to a PBX, kept over restarts.
//!
//! Knows where it is kept, and which other programs write there. The counts and the rule are those
//! of [`LoginRecord`]. Does not know tokens, and keeps no password.
//!
//! The rule: the fifth refused login in a row locks our address out for ten minutes, for every
//! program behind it (Yeastar, "S-Series API Guide", "API Authentication"). So one refusal is
//! followed by one more try, later, and the second refusal by none until the credentials change or
//! the operator says so. A login whose answer was lost may have been refused, too: it does not
//! count against the credentials, but all tries together stay below five. That holds whatever the
//! operator says and whichever credentials are tried: the PBX counts by address.
//!
//! For credentials that the PBX has accepted before, a login without an answer says nothing, so
//! tries go on after short pauses. A refusal ends that at once, and then the tries without an
//! answer count as failures, too. One risk stays: the password is changed on the PBX while every
//! answer is lost.

mod file;
mod record;
mod shared;

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use file::{create_private, lock, read};
use record::LoginRecord;
pub(in crate::pbx) use record::{LoginCounts, LoginEnd, LoginVerdict, outage_pause};
use shared::Unshared;

use crate::secret::Secret;

/// The history of one PBX.
pub(in crate::pbx) struct LoginHistory {
    record: LoginRecord,
    file: Option<PathBuf>,
    /// The pause between the two logins that may be refused.
    retry: Duration,
    /// The record could not be written, so the file is older than this.
    unsaved: bool,
    /// The credentials, to know the record of a fleet again.
    credentials: Secret,
    /// The changes that the other instances of a fleet do not know.
    unshared: Option<Unshared>,
    /// The salt of a record of other credentials that the fleet had last.
    foreign: Option<String>,
    /// The number of changes that were made here.
    changes: u64,
}

impl LoginHistory {
    /// Reads the history of the PBX `name` from `folder`; `None` keeps it in memory. A history made
    /// with other credentials starts afresh. The file is written at once, so that a folder that
    /// cannot be written shows now, and not at the first login.
    ///
    /// # Errors
    /// When the folder cannot be created, or the file is damaged or cannot be read or written.
    pub(in crate::pbx) fn open(
        folder: Option<&Path>,
        name: &str,
        credentials: &[&[u8]],
        retry: Duration,
    ) -> io::Result<Self> {
        folder.map(create_private).transpose()?;
        let file = folder.map(|folder| folder.join(format!("logins-{name}.json")));
        let _lock = lock(file.as_deref());
        let mut record = match &file {
            None => LoginRecord::default(),
            Some(file) => read(file)?,
        };
        if !record.is_of(&credentials.join(&0)) {
            record = record.afresh(&credentials.join(&0))?;
        }
        let mut history = Self {
            record,
            file,
            retry,
            unsaved: false,
            credentials: Secret::new(credentials.join(&0)),
            unshared: Some(Unshared::default()),
            foreign: None,
            changes: 0,
        };
        history.save()?;
        Ok(history)
    }

    /// The verdict on a login that would be tried `now`.
    pub(in crate::pbx) fn verdict(&mut self, now: SystemTime) -> LoginVerdict {
        self.catch_up();
        self.record.verdict(now, self.retry)
    }

    /// The numbers of logins that were refused, or got no answer.
    pub(in crate::pbx) fn counts(&mut self, now: SystemTime) -> LoginCounts {
        self.catch_up();
        self.record.counts(now)
    }

    /// The rest of the pause before a login that takes the place of a token which was ended early.
    pub(in crate::pbx) fn renewal_pause(&mut self, now: SystemTime) -> Option<Duration> {
        self.catch_up();
        self.record.renewal_pause(now)
    }

    /// Notes that a login is about to be tried, so that a process that dies in the middle cannot
    /// try again and again.
    ///
    /// # Errors
    /// When the file cannot be written; the history goes on in memory.
    pub(in crate::pbx) fn begin(&mut self, now: SystemTime) -> io::Result<()> {
        self.change(|record| record.begin(now))
    }

    /// Notes the end of the login that was begun. An accepted one may be a renewal: it took the
    /// place of a token that was ended early.
    ///
    /// # Errors
    /// As for [`LoginHistory::begin`].
    pub(in crate::pbx) fn end(
        &mut self,
        end: LoginEnd,
        is_renewal: bool,
        now: SystemTime,
    ) -> io::Result<()> {
        self.change(|record| {
            record.end(end, now);
            if is_renewal && end == LoginEnd::Accepted {
                record.renew(now);
            }
        })
    }

    /// Allows one more login, whatever was refused before: the operator says that something has
    /// changed. Only one: SIGHUP may come by itself, as after each renewal of a certificate, and
    /// must not add up to a lock-out either.
    ///
    /// # Errors
    /// As for [`LoginHistory::begin`].
    pub(in crate::pbx) fn forgive(&mut self) -> io::Result<()> {
        self.change(LoginRecord::forgive)?;
        self.note_forgiven();
        Ok(())
    }

    /// Notes that the PBX has locked our address out, though nobody logged in.
    ///
    /// # Errors
    /// As for [`LoginHistory::begin`].
    pub(in crate::pbx) fn lock_out(&mut self, now: SystemTime) -> io::Result<()> {
        self.change(|record| record.lock_out(now))
    }

    /// Changes the pause between the two logins that may be refused.
    pub(in crate::pbx) fn change_retry(&mut self, retry: Duration) {
        self.retry = retry;
    }

    /// Keeps the history in memory from now on: another one has taken over the file.
    pub(in crate::pbx) fn let_go(&mut self) {
        self.file = None;
    }

    /// Changes the record, after the changes of other processes, and writes the file.
    fn change(&mut self, change: impl FnOnce(&mut LoginRecord)) -> io::Result<()> {
        let _lock = lock(self.file.as_deref());
        self.catch_up();
        self.note_unshared();
        change(&mut self.record);
        self.save()
    }

    /// Takes over the record that another process has written: `wavegate doctor` may log in beside
    /// a running gateway, and the PBX counts both. A file that is gone or damaged changes nothing.
    fn catch_up(&mut self) {
        let Some(Ok(record)) = self.file.as_deref().map(read) else {
            return;
        };
        if !record.is_like(&self.record) {
            // Other credentials: only the counts that the PBX keeps by address concern this
            // history.
            self.record.take_over_address(&record);
        } else if !self.unsaved {
            // The record in memory is the newer one where it could not be written.
            if record != self.record {
                self.note_unshared();
            }
            self.record = record;
        }
    }

    fn save(&mut self) -> io::Result<()> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let written = file::write(file, &self.record);
        self.unsaved = written.is_err();
        written
    }
}

#[cfg(test)]
mod tests;

//! When the gateway logged in to a PBX and how that went, kept over restarts.
//!
//! Knows where it is kept, and who else writes there. The counts and the rule are the record's. Does not know tokens, and keeps no
//! password.
//!
//! The rule: the fifth refused login in a row locks our address out for ten minutes, for every program behind it
//! (Yeastar, "S-Series API Guide", "API Authentication"). So after one refusal there is one more try, later, and after
//! the second none until the credentials change or the operator says so. A login whose answer was lost may have been
//! refused, too: it is not held against the credentials, but the tries together stay below five. That holds whatever the
//! operator says and whichever credentials are tried: the PBX counts by address.
//!
//! Credentials that the PBX has accepted are another matter: a login without an answer says nothing about them, so tries go on
//! after short pauses. A refusal ends that at once, and then the tries without an answer count as failures, too. One risk
//! stays: the password is changed on the PBX while every answer is lost.

mod file;
mod record;

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use file::{create_private, lock, read};
use record::LoginRecord;
pub(in crate::pbx) use record::{LoginCounts, LoginEnd, LoginVerdict, outage_pause};

/// The history of one PBX.
pub(in crate::pbx) struct LoginHistory {
    record: LoginRecord,
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
        if !record.is_of(credentials) {
            record = record.afresh(credentials)?;
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

    /// Whether a login may be tried.
    pub(in crate::pbx) fn verdict(&mut self, now: SystemTime) -> LoginVerdict {
        self.catch_up();
        self.record.verdict(now, self.retry)
    }

    /// How many logins were refused, and how many got no answer.
    pub(in crate::pbx) fn counts(&mut self, now: SystemTime) -> LoginCounts {
        self.catch_up();
        self.record.counts(now)
    }

    /// The rest of the pause before a login that takes the place of a token which was ended early.
    pub(in crate::pbx) fn renewal_pause(&mut self, now: SystemTime) -> Option<Duration> {
        self.catch_up();
        self.record.renewal_pause(now)
    }

    /// Notes that a login is about to be tried, so that a process that dies in the middle cannot try again and again.
    ///
    /// # Errors
    /// When the file cannot be written; the history goes on in memory.
    pub(in crate::pbx) fn begin(&mut self, now: SystemTime) -> io::Result<()> {
        self.change(|record| record.begin(now))
    }

    /// Notes how the login that was begun has gone. An accepted one may be a renewal: it took the place of a token that was
    /// ended early.
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

    /// Allows one more login, whatever was refused before: the operator says that something has changed. One, since a
    /// word that comes by itself, as after each renewal of a certificate, must not add up to a lock-out either.
    ///
    /// # Errors
    /// As for [`LoginHistory::begin`].
    pub(in crate::pbx) fn forgive(&mut self) -> io::Result<()> {
        self.change(LoginRecord::forgive)
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

    /// Changes what stands in the file, with what another process has written there.
    fn change(&mut self, change: impl FnOnce(&mut LoginRecord)) -> io::Result<()> {
        let _lock = lock(self.file.as_deref());
        self.catch_up();
        change(&mut self.record);
        self.save()
    }

    /// Takes over what another process has written: `wavegate doctor` may log in beside a running gateway, and the PBX
    /// counts for both. Of a file of other credentials that is what the PBX counts by address. A file that is gone or damaged
    /// changes nothing.
    fn catch_up(&mut self) {
        let Some(Ok(record)) = self.file.as_deref().map(read) else {
            return;
        };
        if !record.is_like(&self.record) {
            self.record.take_over_address(&record);
        } else if !self.unsaved {
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

//! The one thread that owns the files.
//!
//! Knows when what is written, and what happens when it cannot be. Does not know what decisions mean.
//!
//! Everything that waits is written at once and brought to the disk at once, so many decisions cost one wait for the disk; while
//! that lasts, the next ones gather. Whatever goes wrong, the files are opened anew as at a start: their end is mended, and the
//! chain goes on behind the last whole line.

mod batch;
mod recovery;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use tokio_util::sync::DropGuard;
use tracing::{error, info, warn};

use super::Shared;
use super::chain::Link;
use super::files::{FileName, Files, Opened};
use super::heads::SignedHead;
use super::line::{Record, Removed};
use super::queue::Item;
use crate::audit::settings::AuditSettings;
use batch::Batch;

/// How often the log is signed while it grows.
const HEAD_EVERY: Duration = Duration::from_secs(60);
/// How long a line that nobody waits for may not be on disk yet.
const SYNC_WITHIN: Duration = Duration::from_secs(1);
/// Lines that are written at once.
const MAX_BATCH: usize = 1024;

/// The state of the writing thread.
pub(super) struct Writer {
    audit: AuditSettings,
    shared: Arc<Shared>,
    /// None while nothing can be written.
    files: Option<Files>,
    /// The file that was written last.
    last_file: Option<FileName>,
    end: Link,
    /// Lines behind that which a failed write may have brought into the file, in part or all.
    in_doubt: Vec<Link>,
    /// Lines that could not be written yet. Each delivery among them holds its place, so they are bounded, too.
    kept: Vec<Item>,
    /// Lines that a failed write may have brought into the file nevertheless, by their numbers.
    unsure: Vec<(u64, Item)>,
    /// There are lines that no head stands for yet.
    has_news: bool,
    /// There are lines that may not be on disk yet.
    is_unsynced: bool,
    next_head: Instant,
    next_try: Instant,
    next_sync: Instant,
    /// The day of the last look for old files.
    looked_on: Option<Date>,
    /// It has been said that nothing can be written.
    is_failing: bool,
    /// The line that will say so is on its way into the log.
    is_gap_told: bool,
    /// A head that stands in the log and not beside it.
    head: Option<SignedHead>,
    /// Tells that the thread is over.
    _over: DropGuard,
}

impl Writer {
    /// Takes over what was opened; nothing, where it could not be.
    pub(super) fn new(
        audit: AuditSettings,
        shared: Arc<Shared>,
        opened: io::Result<Opened>,
        over: DropGuard,
    ) -> Self {
        let now = Instant::now();
        let mut writer = Self {
            audit,
            shared,
            files: None,
            last_file: None,
            end: Link::default(),
            in_doubt: Vec::new(),
            kept: Vec::new(),
            unsure: Vec::new(),
            has_news: false,
            is_unsynced: false,
            next_head: now + HEAD_EVERY,
            next_try: now,
            next_sync: now,
            looked_on: None,
            is_failing: false,
            is_gap_told: false,
            head: None,
            _over: over,
        };
        match opened {
            Ok(opened) => writer.take_over(opened),
            Err(error) => writer.fail(&error),
        }
        writer
    }

    /// Writes until the queue is closed and empty.
    pub(super) fn run(mut self) {
        let mut items = Vec::new();
        loop {
            let goes_on = self.shared.queue.take(&mut items, self.patience());
            if self.files.is_none() && (Instant::now() >= self.next_try || !goes_on) {
                self.try_again();
            }
            let mut due = std::mem::take(&mut self.kept);
            due.append(&mut items);
            self.write(due);
            self.look_after(!goes_on);
            if !goes_on && (self.kept.is_empty() || self.files.is_none()) {
                return self.end_here();
            }
        }
    }

    /// How long there may be nothing to do.
    fn patience(&self) -> Duration {
        let now = Instant::now();
        let left = |at: Instant| at.saturating_duration_since(now);
        if self.files.is_none() {
            return left(self.next_try);
        }
        if !self.kept.is_empty() {
            return Duration::ZERO;
        }
        match self.is_unsynced {
            true => left(self.next_sync).min(left(self.next_head)),
            false => left(self.next_head),
        }
    }

    fn write(&mut self, mut items: Vec<Item>) {
        while !items.is_empty() {
            let rest = items.split_off(items.len().min(MAX_BATCH));
            let mut batch = Batch::behind(self.end);
            let mut chunk = items.into_iter();
            let written = self.write_batch(&mut batch, &mut chunk);
            if let Err(error) = written
                && self.files.is_some()
            {
                self.fail(&error);
            }
            // What a failure leaves: decisions are given up, and their requests told so by that; the rest is written later.
            batch.set_aside(chunk);
            self.kept.append(&mut batch.kept);
            self.unsure.append(&mut batch.written);
            self.shared.missed(batch.missed);
            items = rest;
        }
    }

    fn write_batch(
        &mut self,
        batch: &mut Batch,
        items: &mut impl Iterator<Item = Item>,
    ) -> io::Result<()> {
        let now = Timestamp::now();
        let today = now.to_zoned(TimeZone::UTC).date();
        loop {
            self.make_room(batch, today)?;
            match items.next() {
                Some(item) => batch.add(item, now)?,
                None => return self.flush(batch),
            }
        }
    }

    /// Begins another file where that is due; its first line joins it to the one before.
    fn make_room(&mut self, batch: &mut Batch, today: Date) -> io::Result<()> {
        let files = self.files.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        if !files.is_full(batch.lines.len(), today) {
            return Ok(());
        }
        self.flush(batch)?;
        self.sync()?;
        let files = self.files.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let previous = files.begin(today)?;
        batch.begin_file(previous, Timestamp::now())
    }

    /// Writes a batch, and tells those who wait for it.
    fn flush(&mut self, batch: &mut Batch) -> io::Result<()> {
        if batch.lines.is_empty() {
            return Ok(());
        }
        let files = self.files.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        self.in_doubt.clone_from(&batch.links);
        files.append(&batch.lines)?;
        let is_synced = batch.is_awaited();
        if is_synced {
            self.sync()?;
        } else if !self.is_unsynced {
            self.is_unsynced = true;
            self.next_sync = Instant::now() + SYNC_WITHIN;
        }
        self.has_news = true;
        self.end = batch.end;
        self.in_doubt.clear();
        self.shared.metrics.lines.inc_by(batch.count);
        batch.is_written();
        if is_synced {
            self.works();
        }
        Ok(())
    }

    /// The disk has taken what it was given. After a failure that is said when more has been tried.
    fn works(&self) {
        if !self.is_failing {
            self.shared.outage.end();
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        if let Some(files) = &self.files {
            files.sync()?;
            self.is_unsynced = false;
            self.shared.metrics.syncs.inc();
        }
        Ok(())
    }

    /// What is due by time; at the end, all of it.
    fn look_after(&mut self, is_last: bool) {
        if self.files.is_none() {
            return;
        }
        if let Err(error) = self.by_time(is_last) {
            self.fail(&error);
        }
    }

    fn by_time(&mut self, is_last: bool) -> io::Result<()> {
        let now = Timestamp::now();
        let refused = self.shared.tally.take(now, is_last).into_iter();
        let mut own: Vec<Item> = refused.map(Record::Refused).map(Item::Own).collect();
        let missed = self.shared.outage.missed().into_iter();
        own.extend(missed.map(Record::Unwritten).map(Item::Own));
        let today = now.to_zoned(TimeZone::UTC).date();
        if self.looked_on.replace(today) != Some(today)
            && let Some(files) = &self.files
        {
            own.extend(remove_old(files, today).map(Record::Removed).map(Item::Own));
        }
        self.write(own);
        if self.is_unsynced && (is_last || Instant::now() >= self.next_sync) {
            self.sync()?;
            self.works();
        }
        if self.has_news && (is_last || Instant::now() >= self.next_head) {
            self.sign()?;
        }
        if Instant::now() >= self.next_head {
            self.next_head = Instant::now() + HEAD_EVERY;
        }
        Ok(())
    }

    /// Signs the log as it stands.
    fn sign(&mut self) -> io::Result<()> {
        let now = Timestamp::now();
        let mut batch = Batch::behind(self.end);
        self.make_room(&mut batch, now.to_zoned(TimeZone::UTC).date())?;
        // Nobody hears of it before all that it stands for is on disk.
        let head = batch.sign(&self.audit.key, now)?;
        self.flush(&mut batch)?;
        self.sync()?;
        self.has_news = false;
        self.next_head = Instant::now() + HEAD_EVERY;
        self.head = Some(head);
        self.tell_head()
    }

    /// Writes the last head beside the log and into the gateway's own, where that has not been done yet.
    fn tell_head(&mut self) -> io::Result<()> {
        let files = self.files.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        let Some(head) = &self.head else {
            return Ok(());
        };
        files.append_head(head)?;
        let hash = head.hash.to_string();
        info!(
            head = head.head,
            hash,
            signed_at = head.signed_at,
            key = head.key,
            signature = head.signature,
            "audit head"
        );
        self.head = None;
        Ok(())
    }

    fn end_here(self) {
        let lines = self.kept.len() + self.unsure.len();
        if self.files.is_none() || lines > 0 {
            error!(lines, "the audit log could not be written to its end");
        }
    }
}

/// Removes what is old, and returns what is to be told of it. Where that cannot be done the log goes on: it is only longer.
fn remove_old(files: &Files, today: Date) -> Option<Removed> {
    let removal = files.remove_old(today);
    if let Some(error) = removal.failed {
        warn!(
            %error,
            advice = "remove it by hand; it is tried again tomorrow",
            "a file of the audit log that is older than audit.keep_days cannot be removed"
        );
    }
    if removal.files.is_empty() {
        return None;
    }
    let removed = Removed::of(removal.files);
    info!(files = ?removed.files, further = removed.further, "files of the audit log were removed, as audit.keep_days says");
    if let Err(error) = files.prune_heads() {
        warn!(%error, "heads of lines that are gone stay where they are");
    }
    Some(removed)
}

/// RFC 3339 in UTC, to the millisecond.
pub(super) fn time(at: Timestamp) -> String {
    format!("{at:.3}")
}

//! The writer of the audit log: the one thread that owns the files.
//!
//! Knows when lines are written, synced and signed, and what happens when that fails. Does not know
//! the meaning of decisions.
//!
//! All items that wait are written and synced together, so many decisions cost one wait for the
//! disk; meanwhile the next ones gather. After any failure the files are opened again as at a
//! start: their end is mended, and the chain goes on behind the last whole line.

mod batch;
mod recovery;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use tokio_util::sync::DropGuard;
use tracing::{error, info, warn};

use super::SharedLog;
use super::chain::ChainLink;
use super::files::{FileName, Files, OpenedFiles};
use super::heads::SignedHead;
use super::line::{LogRecord, RemovedFiles};
use super::queue::Item;
use crate::audit::settings::AuditSettings;
use batch::Batch;

/// Interval between two heads while the log grows.
const HEAD_INTERVAL: Duration = Duration::from_secs(60);
/// Longest time until a line that nobody waits for is on disk, once it is in the file.
const MAX_SYNC_DELAY: Duration = Duration::from_secs(1);
/// Shortest time from one wait for the disk to the next while several requests wait for each: so
/// many more of them share it.
const MIN_SYNC_INTERVAL: Duration = Duration::from_millis(1);
/// Bound on the lines that are written together.
const MAX_BATCH_LINES: usize = 1024;

/// The state of the writing thread.
pub(super) struct Writer {
    audit: AuditSettings,
    shared: Arc<SharedLog>,
    /// `None` while nothing can be written.
    files: Option<Files>,
    /// The name of the file that was written last.
    last_file: Option<FileName>,
    end: ChainLink,
    /// Lines behind `end` that a failed write may have brought into the file, in part or all.
    in_doubt: Vec<ChainLink>,
    /// Items that could not be written yet. Each delivery among them holds its queue place, so
    /// their number is bounded, too.
    kept: Vec<Item>,
    /// Items whose lines a failed write may have brought into the file nevertheless, by the numbers
    /// of the lines.
    unsure: Vec<(u64, Item)>,
    /// Some lines have no head behind them yet.
    has_news: bool,
    /// Some lines may not be on disk yet.
    is_unsynced: bool,
    next_head: Instant,
    next_try: Instant,
    next_sync: Instant,
    /// Before this time, decisions gather.
    gathers_until: Instant,
    /// Whether several requests waited for the last batch that a request waited for.
    is_shared: bool,
    /// The day on which old files were looked for the last time.
    looked_on: Option<Date>,
    /// Writing has failed, and has not been proved to work again.
    is_failing: bool,
    /// The line that reports this outage is among the items already.
    is_gap_told: bool,
    /// A head that is in the log and not yet in the file of heads.
    head: Option<SignedHead>,
    /// Cancels the token of [`AuditLog::close`](super::AuditLog::close) when the thread ends.
    _over: DropGuard,
}

impl Writer {
    /// Starts with the opened files; without files if they could not be opened.
    pub(super) fn new(
        audit: AuditSettings,
        shared: Arc<SharedLog>,
        opened: io::Result<OpenedFiles>,
        over: DropGuard,
    ) -> Self {
        let now = Instant::now();
        let mut writer = Self {
            audit,
            shared,
            files: None,
            last_file: None,
            end: ChainLink::default(),
            in_doubt: Vec::new(),
            kept: Vec::new(),
            unsure: Vec::new(),
            has_news: false,
            is_unsynced: false,
            next_head: now + HEAD_INTERVAL,
            next_try: now,
            next_sync: now,
            gathers_until: now,
            is_shared: false,
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
            thread::sleep(self.gathers_until.saturating_duration_since(Instant::now()));
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

    /// Time until something is due without a new item.
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
            let rest = items.split_off(items.len().min(MAX_BATCH_LINES));
            let mut batch = Batch::behind(self.end);
            let mut chunk = items.into_iter();
            let written = self.write_batch(&mut batch, &mut chunk);
            if let Err(error) = written
                && self.files.is_some()
            {
                self.fail(&error);
            }
            // After a failure, some items of the batch are not on disk. Decisions are given up:
            // their channels close, which tells the requests. Items whose lines were in the batch
            // become `unsure`, since the file may hold their lines; the rest is kept and written
            // later.
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
        let (today, now) = (now.to_zoned(TimeZone::UTC).date(), time(now));
        loop {
            self.make_room(batch, today)?;
            match items.next() {
                Some(item) => batch.add(item, &now)?,
                None => return self.flush(batch),
            }
        }
    }

    /// Begins a new file if one is due. Its first line joins it to the file before.
    fn make_room(&mut self, batch: &mut Batch, today: Date) -> io::Result<()> {
        let files = self.files.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        if !files.is_full(batch.lines.len(), today) {
            return Ok(());
        }
        self.flush(batch)?;
        self.sync()?;
        let files = self.files.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let previous = files.begin(today)?;
        batch.begin_file(previous, &time(Timestamp::now()))
    }

    /// Writes a batch, and tells the requests that wait for its lines.
    fn flush(&mut self, batch: &mut Batch) -> io::Result<()> {
        if batch.lines.is_empty() {
            return Ok(());
        }
        let files = self.files.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        // Before: the chain ends at `end`. A write that fails may leave some of these lines in the
        // file; recovery accepts the file's end if it is one of them.
        self.in_doubt.clone_from(&batch.links);
        files.append(&batch.lines)?;
        let is_synced = batch.is_awaited();
        if is_synced {
            // Requests that come one after the other wait for nobody.
            let is_shared = batch.waiting() > 1;
            let was_shared = std::mem::replace(&mut self.is_shared, is_shared);
            if is_shared || was_shared {
                self.gathers_until = Instant::now() + MIN_SYNC_INTERVAL;
            }
            self.sync()?;
        } else if !self.is_unsynced {
            self.is_unsynced = true;
            self.next_sync = Instant::now() + MAX_SYNC_DELAY;
        }
        // After: the lines are in the file, and on disk if somebody waits for one of them. Only now
        // the requests are told, in `is_written`.
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

    /// Ends an outage of a disk that was only slow. After a failed write, `recover` ends the
    /// outage, once more has been tried.
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

    /// Does what is due by time; at the end of the log, all of it.
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
        let mut own: Vec<Item> = refused.map(LogRecord::Refused).map(Item::Own).collect();
        let missed = self.shared.outage.missed().into_iter();
        own.extend(missed.map(LogRecord::Unwritten).map(Item::Own));
        let today = now.to_zoned(TimeZone::UTC).date();
        if self.looked_on.replace(today) != Some(today)
            && let Some(files) = &self.files
        {
            own.extend(
                remove_old(files, today)
                    .map(LogRecord::Removed)
                    .map(Item::Own),
            );
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
            self.next_head = Instant::now() + HEAD_INTERVAL;
        }
        Ok(())
    }

    /// Signs the log up to its last line.
    fn sign(&mut self) -> io::Result<()> {
        let now = Timestamp::now();
        let mut batch = Batch::behind(self.end);
        self.make_room(&mut batch, now.to_zoned(TimeZone::UTC).date())?;
        // The head is in the batch behind the lines that it stands for. It is published only after
        // `sync`: else a crash could lose lines that a published head stands for.
        let head = batch.sign(&self.audit.key, &time(now))?;
        self.flush(&mut batch)?;
        self.sync()?;
        self.has_news = false;
        self.next_head = Instant::now() + HEAD_INTERVAL;
        self.head = Some(head);
        self.tell_head()
    }

    /// Publishes the last head, in the file of heads and in the gateway's own log, unless that has
    /// been done.
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
            error!(
                lines,
                "the last lines of the audit log could not be written"
            );
        }
    }
}

/// Removes old files, and returns the record of that. If a file cannot be removed, the log goes on:
/// it is only longer.
fn remove_old(files: &Files, today: Date) -> Option<RemovedFiles> {
    let removal = files.remove_old(today);
    if let Some(error) = removal.failed {
        warn!(
            %error,
            advice = "remove the file by hand; the gateway tries again tomorrow",
            "a file of the audit log is older than audit.keep_days and cannot be removed"
        );
    }
    if removal.files.is_empty() {
        return None;
    }
    let removed = RemovedFiles::of(removal.files);
    info!(files = ?removed.files, further = removed.further, "files of the audit log were removed, as audit.keep_days says");
    if let Err(error) = files.prune_heads() {
        warn!(%error, "heads of removed lines cannot be removed from heads.jsonl");
    }
    Some(removed)
}

/// RFC 3339 in UTC, to the millisecond.
pub(super) fn time(at: Timestamp) -> String {
    format!("{at:.3}")
}

//! What the writer does when nothing can be written, and where it goes on.
//!
//! Knows which lines it has written itself. Does not know why a disk fails.

use std::io;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tracing::{error, info, warn};

use super::Writer;
use crate::audit::chain::ChainLink;
use crate::audit::files::{Files, OpenedFiles};
use crate::audit::line::LogRecord;
use crate::audit::queue::Item;

/// How often it is tried again while nothing can be written.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

impl Writer {
    /// Nothing can be written any more. Said once; then it is tried again and again.
    pub(super) fn fail(&mut self, error: &io::Error) {
        self.last_file = self
            .files
            .take()
            .map_or(self.last_file, |files| files.last());
        self.next_try = Instant::now() + RETRY_INTERVAL;
        self.shared.metrics.failures.inc();
        self.shared.outage.begin(Timestamp::now());
        if !std::mem::replace(&mut self.is_failing, true) {
            error!(
                %error,
                on_failure = ?self.audit.on_failure,
                advice = "give the disk room, or the folder back; it is tried again every second",
                "the audit log cannot be written"
            );
        }
    }

    pub(super) fn try_again(&mut self) {
        // The folder was there: that it is not is for the operator to know.
        match Files::open_again(&self.audit, self.last_file) {
            Ok(opened) => self.take_over(opened),
            Err(error) => self.fail(&error),
        }
    }

    pub(super) fn take_over(&mut self, opened: OpenedFiles) {
        let OpenedFiles {
            files,
            end,
            repaired,
        } = opened;
        if let Some(end) = end {
            self.go_on_behind(end);
        }
        let last = self.end.seq;
        let unsure = self.unsure.drain(..).filter(|(seq, _)| *seq > last);
        let mut unwritten: Vec<Item> = unsure.map(|(_, item)| item).collect();
        self.files = Some(files);
        let mut own = Vec::new();
        for repaired in repaired {
            warn!(
                file = repaired.file,
                bytes = repaired.bytes,
                moved_to = repaired.moved_to,
                "the end of the audit log was no whole line and was moved away, as after a crash"
            );
            own.push(Item::Own(LogRecord::Repaired(repaired)));
        }
        if self.is_failing && !std::mem::replace(&mut self.is_gap_told, true) {
            let gap = self.shared.outage.gap(Timestamp::now());
            own.push(Item::Own(LogRecord::Unwritten(gap)));
        }
        own.append(&mut unwritten);
        own.append(&mut self.kept);
        self.write(own);
        if self.is_failing
            && self.files.is_some()
            && let Err(error) = self.recover()
        {
            self.fail(&error);
        }
    }

    /// Goes on behind the last line that is in the files; but never behind one that another has written or changed: then the chain
    /// goes on from what was written here, so that it breaks where that was.
    fn go_on_behind(&mut self, found: ChainLink) {
        let is_first = self.end == ChainLink::default();
        if is_first || found == self.end || self.in_doubt.contains(&found) {
            self.end = found;
        } else {
            error!(
                found = found.seq,
                written = self.end.seq,
                advice = "run `wavegate audit verify`, which names the place; keep the files as they are",
                "the end of the audit log is not what was written: somebody has changed it, or the disk has lost lines"
            );
        }
        self.in_doubt.clear();
    }

    /// Says that it can be written again, once lines have really got to the disk.
    fn recover(&mut self) -> io::Result<()> {
        self.sync()?;
        self.tell_head()?;
        // What has been given up once may be called written although it is not, so something new is tried.
        let files = self.files.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        files.probe()?;
        self.is_failing = false;
        self.is_gap_told = false;
        self.shared.outage.end();
        info!("the audit log can be written again");
        Ok(())
    }
}

//! Recovery of the writer: failures, new tries, and the line where the chain goes on.
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

/// Interval between two tries while nothing can be written.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

impl Writer {
    /// Closes the files and begins an outage. The log tells that once; then the writer tries again
    /// and again.
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
                advice = "free space on the disk, or restore the folder; the gateway tries again every second",
                "the audit log cannot be written"
            );
        }
    }

    pub(super) fn try_again(&mut self) {
        // Without making the folder: it was there, and if it is gone, the operator has to know.
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
        // Lines up to the last one in the file have got there after all; the others have not, and
        // are written again.
        let unsure = self.unsure.drain(..).filter(|(seq, _)| *seq > last);
        let mut unwritten: Vec<Item> = unsure.map(|(_, item)| item).collect();
        self.files = Some(files);
        let mut own = Vec::new();
        for repaired in repaired {
            warn!(
                file = repaired.file,
                bytes = repaired.bytes,
                moved_to = repaired.moved_to,
                "the end of the audit log was no whole line, as after a crash, and was moved to another file"
            );
            own.push(Item::Own(LogRecord::Repaired(repaired)));
        }
        if self.is_failing && !std::mem::replace(&mut self.is_gap_told, true) {
            let gap = self.shared.outage.gap(Timestamp::now());
            own.push(Item::Own(LogRecord::Unwritten(gap)));
        }
        // In the order in which they would have been written.
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

    /// Continues the chain behind the last line in the files, if this process wrote that line. Else
    /// somebody has changed the files: then the chain continues from the line that was written
    /// here, so that it breaks at the change.
    fn go_on_behind(&mut self, found: ChainLink) {
        let is_first = self.end == ChainLink::default();
        if is_first || found == self.end || self.in_doubt.contains(&found) {
            self.end = found;
        } else {
            error!(
                found = found.seq,
                written = self.end.seq,
                advice = "run `wavegate audit verify`, which prints the file and the line; keep the files as they are",
                "the end of the audit log is not the line that was written: somebody has changed the files, or the disk has lost lines"
            );
        }
        self.in_doubt.clear();
    }

    /// Ends the outage, once lines are really on disk.
    fn recover(&mut self) -> io::Result<()> {
        self.sync()?;
        self.tell_head()?;
        // After a failed sync, the system may report later syncs of the same bytes as successful
        // although they are lost. So something new is written and synced.
        let files = self.files.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        files.probe()?;
        self.is_failing = false;
        self.is_gap_told = false;
        self.shared.outage.end();
        info!("the audit log can be written again");
        Ok(())
    }
}

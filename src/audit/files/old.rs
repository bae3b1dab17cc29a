//! Old files of the log, and the heads of their lines: how they are removed.
//!
//! Knows when a file is old, and which heads belong to lines that are still there. Does not write
//! the line that reports the removal.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};

use jiff::civil::Date;

use super::{Files, NumberedLine, at, list, sync_folder};
use crate::audit::heads::{HEADS_FILE, SignedHead};
use crate::audit::line::MAX_LINE_BYTES;

/// Written anew, then renamed to [`HEADS_FILE`].
const NEW_HEADS_FILE: &str = "heads.jsonl.new";

/// The result of removing old files.
pub(in crate::audit) struct Removal {
    /// The names of the removed files.
    pub(in crate::audit) files: Vec<String>,
    /// Why one file, and so all later ones, were not removed.
    pub(in crate::audit) failed: Option<io::Error>,
}

impl Files {
    /// Removes the files whose last line is older than `keep_days`, oldest first, up to the first
    /// that cannot be removed.
    pub(in crate::audit) fn remove_old(&self, today: Date) -> Removal {
        let mut files = Vec::new();
        let failed = self.remove_older(today, &mut files).err();
        Removal { files, failed }
    }

    fn remove_older(&self, today: Date, removed: &mut Vec<String>) -> io::Result<()> {
        if self.keep_days == 0 {
            return Ok(());
        }
        let names = list(&self.dir)?;
        for pair in names.windows(2) {
            let [name, next] = pair else { break };
            // A file was written until the next one was begun.
            let days = i64::from((today - next.date).get_days());
            if u64::try_from(days).is_ok_and(|days| days > self.keep_days) {
                let path = self.path(*name);
                std::fs::remove_file(&path).map_err(|error| at(&path, &error))?;
                let _ = std::fs::remove_file(format!("{}.torn", path.display()));
                removed.push(name.to_string());
            } else {
                break;
            }
        }
        Ok(())
    }

    /// Removes the heads of lines that are not there any more. Programs that read the file
    /// meanwhile see the old heads or the new ones.
    ///
    /// # Errors
    /// When a file cannot be read or written; then the heads are as before.
    pub(in crate::audit) fn prune_heads(&self) -> io::Result<()> {
        let (heads, new) = (self.dir.join(HEADS_FILE), self.dir.join(NEW_HEADS_FILE));
        let Some(first) = self.first_line()?.filter(|_| heads.exists()) else {
            return Ok(());
        };
        let mut options = File::options();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut from = BufReader::new(File::open(&heads).map_err(|error| at(&heads, &error))?);
        let mut write = || {
            let mut to = BufWriter::new(options.open(&new)?);
            let mut line = Vec::new();
            while read_line(&mut from, &mut line)? {
                let head = serde_json::from_slice::<SignedHead>(&line);
                if head.is_ok_and(|head| head.head >= first) {
                    to.write_all(&line)?;
                }
            }
            to.into_inner()?.sync_all()
        };
        write().map_err(|error| at(&new, &error))?;
        std::fs::rename(&new, &heads).map_err(|error| at(&heads, &error))?;
        sync_folder(&self.dir)
    }

    /// The number of the first line of the oldest file.
    fn first_line(&self) -> io::Result<Option<u64>> {
        let Some(name) = list(&self.dir)?.into_iter().next() else {
            return Ok(None);
        };
        let path = self.path(name);
        let mut file = BufReader::new(File::open(&path).map_err(|error| at(&path, &error))?);
        let mut line = Vec::new();
        read_line(&mut file, &mut line)?;
        let first = serde_json::from_slice::<NumberedLine>(&line);
        Ok(first.ok().map(|first| first.seq))
    }
}

/// Reads a line with its line end. Returns `false` at the end of the file.
fn read_line(from: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let bound = MAX_LINE_BYTES as u64;
    Ok(from.take(bound).read_until(b'\n', line)? > 0)
}

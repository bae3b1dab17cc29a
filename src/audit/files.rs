//! The files of the audit log.
//!
//! Knows their names, when the next file begins, which files are old, and that no other process
//! writes them. Does not know the content of lines.
//!
//! A name is `audit-<number>-<date>.jsonl`: numbers count from 1, and the date is the day (UTC) on
//! which the file was begun. Files are never renamed, so a name stays with its lines.

mod old;
mod tail;

use std::fmt;
use std::fs::{DirBuilder, File, Metadata, TryLockError};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use jiff::civil::Date;
use serde::Deserialize;

use super::chain::ChainLink;
use super::heads::{HEADS_FILE, SignedHead};
use super::line::RepairedEnd;
use crate::audit::settings::{AuditSettings, Rotate};

const LOCK_FILE: &str = "audit.lock";

/// The name of a file of lines. Files in the order of their numbers are the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FileName {
    number: u64,
    date: Date,
}

impl fmt::Display for FileName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "audit-{:08}-{}.jsonl", self.number, self.date)
    }
}

impl FromStr for FileName {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let rest = text.strip_prefix("audit-").ok_or(())?;
        let rest = rest.strip_suffix(".jsonl").ok_or(())?;
        let (number, date) = rest.split_once('-').ok_or(())?;
        let name = Self {
            number: number.parse().map_err(|_| ())?,
            date: date.parse().map_err(|_| ())?,
        };
        // Only one spelling of each name is accepted, so no two files have one name.
        (name.to_string() == text).then_some(name).ok_or(())
    }
}

/// Names of the files of lines in a folder, in their order.
///
/// # Errors
/// When the folder cannot be read, or two files have one number.
pub(crate) fn list(dir: &Path) -> io::Result<Vec<FileName>> {
    let mut names: Vec<FileName> = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let name = entry?.file_name();
        names.extend(name.to_str().and_then(|name| name.parse::<FileName>().ok()));
    }
    names.sort_unstable();
    for pair in names.windows(2) {
        if let [one, other] = pair
            && one.number == other.number
        {
            let message = format!(
                "{one} and {other} have the same number; move away the one that is not part of the log"
            );
            return Err(io::Error::other(message));
        }
    }
    Ok(names)
}

/// The files, open for writing. While this value lives, no other process can open them for writing.
pub(crate) struct Files {
    dir: PathBuf,
    rotate: Rotate,
    max_file_bytes: u64,
    keep_days: u64,
    lock: File,
    current: Option<OpenFile>,
    /// The file that was begun last; the next one is counted from it.
    last: Option<FileName>,
}

/// The file that lines are written to.
struct OpenFile {
    name: FileName,
    file: File,
    bytes: u64,
}

/// The number of a line; its other fields are not looked at.
#[derive(Deserialize)]
struct NumberedLine {
    seq: u64,
}

/// The files, and their state when they were opened.
pub(crate) struct OpenedFiles {
    pub(crate) files: Files,
    /// The last whole line; `None` where there is no file.
    pub(crate) end: Option<ChainLink>,
    /// One entry for each file whose end was no whole line.
    pub(crate) repaired: Vec<RepairedEnd>,
}

impl Files {
    /// Makes the folder if it is not there, and opens the files as [`Files::open_again`] does.
    ///
    /// # Errors
    /// As for [`Files::open_again`].
    pub(crate) fn open(audit: &AuditSettings) -> io::Result<OpenedFiles> {
        let dir = &audit.dir;
        if !dir.exists() {
            let mut builder = DirBuilder::new();
            builder.recursive(true);
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            builder.create(dir).map_err(|error| at(dir, &error))?;
        }
        Self::open_again(audit, None)
    }

    /// Opens the files that are there, and moves the end of the last one away where it is no whole
    /// line. `last` is the file that was written before: if no file is there any more, the next one
    /// is counted from it.
    ///
    /// # Errors
    /// When a file cannot be read or mended, or another process writes the files.
    pub(crate) fn open_again(
        audit: &AuditSettings,
        last: Option<FileName>,
    ) -> io::Result<OpenedFiles> {
        let dir = audit.dir.clone();
        let mut files = Self {
            lock: lock(&dir)?,
            dir,
            rotate: audit.rotate,
            max_file_bytes: audit.max_file_bytes,
            keep_days: audit.keep_days,
            current: None,
            last,
        };
        let mut repaired = Vec::new();
        let names = list(&files.dir).map_err(|error| at(&files.dir, &error))?;
        for (index, name) in names.iter().enumerate().rev() {
            let before = index.checked_sub(1);
            files.last = before.and_then(|before| names.get(before).copied());
            if let Some(end) = files.go_on_in(*name, &mut repaired)? {
                files.last = Some(*name);
                return Ok(OpenedFiles {
                    files,
                    end: Some(end),
                    repaired,
                });
            }
        }
        Ok(OpenedFiles {
            files,
            end: None,
            repaired,
        })
    }

    /// Opens a file to go on writing in it, and returns its last line. A file without a whole line
    /// is removed; its bytes are moved away before.
    fn go_on_in(
        &mut self,
        name: FileName,
        repaired: &mut Vec<RepairedEnd>,
    ) -> io::Result<Option<ChainLink>> {
        let path = self.path(name);
        let opened = File::options().read(true).append(true).open(&path);
        let mut file = opened.map_err(|error| at(&path, &error))?;
        let tail = tail::read(&mut file).map_err(|error| at(&path, &error))?;
        if tail.torn > 0 {
            let torn = PathBuf::from(format!("{}.torn", path.display()));
            tail::move_away(&mut file, &tail, &torn).map_err(|error| at(&torn, &error))?;
            repaired.push(RepairedEnd {
                file: name.to_string(),
                bytes: tail.torn,
                moved_to: format!("{name}.torn"),
            });
        }
        match tail.end {
            None => std::fs::remove_file(&path).map_err(|error| at(&path, &error))?,
            Some(_) => {
                self.current = Some(OpenFile {
                    name,
                    file,
                    bytes: tail.whole,
                });
            }
        }
        Ok(tail.end)
    }

    /// The name of the file that was begun last.
    pub(crate) fn last(&self) -> Option<FileName> {
        self.last
    }

    fn path(&self, name: FileName) -> PathBuf {
        self.dir.join(name.to_string())
    }

    /// Whether a new file has to begin before so many more `bytes` are written.
    pub(crate) fn is_full(&self, bytes: usize, today: Date) -> bool {
        self.current.as_ref().is_none_or(|current| {
            current.bytes.saturating_add(bytes as u64) >= self.max_file_bytes
                || (self.rotate == Rotate::Day && current.name.date < today)
        })
    }

    /// Begins a new file. Returns the name of the file before.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub(crate) fn begin(&mut self, today: Date) -> io::Result<Option<String>> {
        self.current = None;
        let name = FileName {
            number: self.last.map_or(1, |last| last.number.saturating_add(1)),
            date: today,
        };
        let path = self.path(name);
        let mut options = File::options();
        options.append(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path).map_err(|error| at(&path, &error))?;
        sync_folder(&self.dir).map_err(|error| at(&self.dir, &error))?;
        self.current = Some(OpenFile {
            name,
            file,
            bytes: 0,
        });
        let before = self.last.replace(name);
        Ok(before.map(|name| name.to_string()))
    }

    /// Writes lines at the end of the open file.
    ///
    /// # Errors
    /// When the lines cannot be written, or the file is not the one that was written before: a file
    /// that somebody has removed still takes bytes.
    pub(crate) fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let current = self.current.as_mut().ok_or(io::ErrorKind::NotFound)?;
        let path = self.dir.join(current.name.to_string());
        let there = std::fs::metadata(&path).map_err(|error| at(&path, &error))?;
        let ours = current.file.metadata()?;
        if !is_same(&there, &ours) || ours.len() != current.bytes {
            let message =
                "another program has moved, replaced or changed the file since the last line";
            return Err(at(&path, &io::Error::other(message)));
        }
        current
            .file
            .write_all(lines)
            .map_err(|error| at(&path, &error))?;
        current.bytes += lines.len() as u64;
        Ok(())
    }

    /// Returns once all written lines are on disk.
    ///
    /// # Errors
    /// When the disk does not confirm that.
    pub(crate) fn sync(&self) -> io::Result<()> {
        let Some(current) = &self.current else {
            return Ok(());
        };
        let synced = current.file.sync_data();
        synced.map_err(|error| at(&self.path(current.name), &error))
    }

    /// Writes a few bytes outside the log to the same disk, to see whether it can be written.
    ///
    /// # Errors
    /// When the disk does not take them.
    pub(crate) fn probe(&self) -> io::Result<()> {
        let probe = || {
            let mut lock = &self.lock;
            lock.rewind()?;
            lock.write_all(b"The audit log writes this to see whether the disk can be written.\n")?;
            lock.sync_data()
        };
        probe().map_err(|error| at(&self.dir.join(LOCK_FILE), &error))
    }

    /// Writes a head into the file of heads, and returns once it is on disk.
    ///
    /// # Errors
    /// When the head cannot be written.
    pub(crate) fn append_head(&self, head: &SignedHead) -> io::Result<()> {
        let path = self.dir.join(HEADS_FILE);
        let mut options = File::options();
        options.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut line = serde_json::to_vec(head)?;
        // The line end in front closes half a line that a crash may have left.
        line.insert(0, b'\n');
        line.push(b'\n');
        let write = || {
            let mut file = options.open(&path)?;
            let before = file.metadata()?.len();
            let written = file.write_all(&line).and_then(|()| file.sync_data());
            if written.is_err() {
                // The head is written again later. Cut off now, so that it stands there only once.
                let _ = file.set_len(before);
            }
            written
        };
        write().map_err(|error| at(&path, &error))
    }
}

/// Keeps other processes out of the folder for as long as the returned file is open.
fn lock(dir: &Path) -> io::Result<File> {
    let path = dir.join(LOCK_FILE);
    let mut options = File::options();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(&path).map_err(|error| at(&path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(io::Error::new(
            io::ErrorKind::ResourceBusy,
            format!(
                "{}: another process writes this audit log; each needs a folder of its own",
                dir.display()
            ),
        )),
        Err(TryLockError::Error(error)) => Err(at(&path, &error)),
    }
}

/// A new file survives a power failure only if its folder is on disk, too.
fn sync_folder(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(unix)]
fn is_same(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;

    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(not(unix))]
fn is_same(one: &Metadata, other: &Metadata) -> bool {
    one.len() == other.len()
}

/// The error with the path in front.
fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

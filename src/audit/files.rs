//! The files of the audit log.
//!
//! Knows their names, when another one begins, which are old, and that nobody else may write them. Does not know what the lines
//! say.
//!
//! A name is `audit-<number>-<date>.jsonl`: counted from 1, and with the day (UTC) on which it was begun. Nothing is renamed, so a
//! name stays with its lines.

mod old;
mod tail;

use std::fmt;
use std::fs::{DirBuilder, File, Metadata, TryLockError};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use jiff::civil::Date;

use super::chain::Link;
use super::heads::{HEADS_FILE, SignedHead};
use super::line::Repaired;
use crate::audit::settings::{AuditSettings, Rotate};

const LOCK: &str = "audit.lock";

/// The name of a file of lines. In the order of their numbers they are the log.
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
        // One text for each name, so that no two files are one.
        (name.to_string() == text).then_some(name).ok_or(())
    }
}

/// The files of lines in a folder, in their order.
///
/// # Errors
/// When it cannot be read, or two files have one number.
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
            let message =
                format!("{one} and {other} have one number; move away what is none of the log");
            return Err(io::Error::other(message));
        }
    }
    Ok(names)
}

/// The files, open for writing. For as long as it lives no other process can have them.
pub(crate) struct Files {
    dir: PathBuf,
    rotate: Rotate,
    max_file_bytes: u64,
    keep_days: u64,
    lock: File,
    current: Option<Current>,
    /// The file before the one that is begun next.
    last: Option<FileName>,
}

/// The file that is written.
struct Current {
    name: FileName,
    file: File,
    bytes: u64,
}

/// What was found when the files were opened.
pub(crate) struct Opened {
    pub(crate) files: Files,
    /// The last line; none where there is no file.
    pub(crate) end: Option<Link>,
    /// What was no whole line at the end.
    pub(crate) repaired: Vec<Repaired>,
}

impl Files {
    /// Makes the folder and opens what is there, as [`Files::open_again`] does.
    ///
    /// # Errors
    /// As for that.
    pub(crate) fn open(audit: &AuditSettings) -> io::Result<Opened> {
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

    /// Opens what is there, and moves the end away where it is no whole line. `last` is the file that was written before: where
    /// none is there any more, the next one is counted from that.
    ///
    /// # Errors
    /// When something of it cannot be done, or another process has the files.
    pub(crate) fn open_again(audit: &AuditSettings, last: Option<FileName>) -> io::Result<Opened> {
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
                return Ok(Opened {
                    files,
                    end: Some(end),
                    repaired,
                });
            }
        }
        Ok(Opened {
            files,
            end: None,
            repaired,
        })
    }

    /// Opens a file to write on in it. One without a line is removed; whatever else it held is moved away.
    fn go_on_in(
        &mut self,
        name: FileName,
        repaired: &mut Vec<Repaired>,
    ) -> io::Result<Option<Link>> {
        let path = self.path(name);
        let opened = File::options().read(true).append(true).open(&path);
        let mut file = opened.map_err(|error| at(&path, &error))?;
        let tail = tail::read(&mut file).map_err(|error| at(&path, &error))?;
        if tail.torn > 0 {
            let torn = PathBuf::from(format!("{}.torn", path.display()));
            tail::move_away(&mut file, &tail, &torn).map_err(|error| at(&torn, &error))?;
            repaired.push(Repaired {
                file: name.to_string(),
                bytes: tail.torn,
                moved_to: format!("{name}.torn"),
            });
        }
        match tail.end {
            None => std::fs::remove_file(&path).map_err(|error| at(&path, &error))?,
            Some(_) => {
                self.current = Some(Current {
                    name,
                    file,
                    bytes: tail.whole,
                });
            }
        }
        Ok(tail.end)
    }

    /// The file that was begun last.
    pub(crate) fn last(&self) -> Option<FileName> {
        self.last
    }

    fn path(&self, name: FileName) -> PathBuf {
        self.dir.join(name.to_string())
    }

    /// Whether another file is due before so many `bytes` more are written.
    pub(crate) fn is_full(&self, bytes: usize, today: Date) -> bool {
        self.current.as_ref().is_none_or(|current| {
            current.bytes.saturating_add(bytes as u64) >= self.max_file_bytes
                || (self.rotate == Rotate::Day && current.name.date < today)
        })
    }

    /// Begins another file. Returns the name of the one before.
    ///
    /// # Errors
    /// When it cannot be made.
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
        self.current = Some(Current {
            name,
            file,
            bytes: 0,
        });
        let before = self.last.replace(name);
        Ok(before.map(|name| name.to_string()))
    }

    /// Writes behind what is there.
    ///
    /// # Errors
    /// When it cannot be written, or the file is not any more what was written: a file that was removed takes bytes as well.
    pub(crate) fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let current = self.current.as_mut().ok_or(io::ErrorKind::NotFound)?;
        let path = self.dir.join(current.name.to_string());
        let there = std::fs::metadata(&path).map_err(|error| at(&path, &error))?;
        let ours = current.file.metadata()?;
        if !is_same(&there, &ours) || ours.len() != current.bytes {
            let message = "somebody has moved, replaced or changed it while it was written";
            return Err(at(&path, &io::Error::other(message)));
        }
        current
            .file
            .write_all(lines)
            .map_err(|error| at(&path, &error))?;
        current.bytes += lines.len() as u64;
        Ok(())
    }

    /// Returns when what was written is on disk.
    ///
    /// # Errors
    /// When it is not.
    pub(crate) fn sync(&self) -> io::Result<()> {
        let Some(current) = &self.current else {
            return Ok(());
        };
        let synced = current.file.sync_data();
        synced.map_err(|error| at(&self.path(current.name), &error))
    }

    /// Brings a few bytes that are none of the log to the same disk.
    ///
    /// # Errors
    /// When it does not take them.
    pub(crate) fn probe(&self) -> io::Result<()> {
        let probe = || {
            let mut lock = &self.lock;
            lock.rewind()?;
            lock.write_all(b"Whether the disk can be written is tried here.\n")?;
            lock.sync_data()
        };
        probe().map_err(|error| at(&self.dir.join(LOCK), &error))
    }

    /// Writes a head beside the log, down to the disk.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn append_head(&self, head: &SignedHead) -> io::Result<()> {
        let path = self.dir.join(HEADS_FILE);
        let mut options = File::options();
        options.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut line = serde_json::to_vec(head)?;
        // The line end in front ends what a crash may have left.
        line.insert(0, b'\n');
        line.push(b'\n');
        let write = || {
            let mut file = options.open(&path)?;
            let before = file.metadata()?.len();
            let written = file.write_all(&line).and_then(|()| file.sync_data());
            if written.is_err() {
                // It is tried again, and stands there once.
                let _ = file.set_len(before);
            }
            written
        };
        write().map_err(|error| at(&path, &error))
    }
}

/// Keeps other processes out of the folder for as long as the value lives.
fn lock(dir: &Path) -> io::Result<File> {
    let path = dir.join(LOCK);
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

/// A file that was made is there after a power failure only when its folder is on disk, too.
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

/// The error, with the place.
fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

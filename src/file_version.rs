//! The version of a file: the parts of its metadata by which one content is told from another.
//!
//! Knows that a file may be written in place, replaced, or reached through a link that is turned.
//! Does not know what a file is for. Reads no content.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The times of files lag behind the clock by a tick of the kernel.
const CLOCK_LAG: Duration = Duration::from_millis(100);

/// The version of a file, behind all links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileVersion {
    device: u64,
    inode: u64,
    bytes: u64,
    /// The last change of content, name or mode: seconds and nanoseconds.
    changed: (i64, i64),
}

impl FileVersion {
    /// The version of the file at this path.
    ///
    /// # Errors
    /// When there is none, or a folder.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let metadata = path.metadata()?;
        if metadata.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Ok(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.len(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }

    /// Whether the file was certainly there like this before `time`.
    pub(crate) fn is_older_than(&self, time: SystemTime) -> bool {
        let time = time.checked_sub(CLOCK_LAG).unwrap_or(time);
        let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX);
        self.changed < (seconds, i64::from(since_epoch.subsec_nanos()))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn each_way_to_replace_a_file_makes_another_version() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let live = || FileVersion::of(&at("live"));
        assert_eq!(live().unwrap_err().kind(), io::ErrorKind::NotFound);
        // Written.
        fs::write(at("live"), "first").unwrap();
        let first = live().unwrap();
        assert_eq!(first, live().unwrap());
        // Another file in its place, of the same length and time.
        fs::write(at("next"), "other").unwrap();
        let time = fs::metadata(at("live")).unwrap().modified().unwrap();
        let next = fs::File::options().write(true).open(at("next")).unwrap();
        next.set_modified(time).unwrap();
        fs::rename(at("next"), at("live")).unwrap();
        let second = live().unwrap();
        assert_ne!(second, first);
        // A link that leads through a folder, which is turned to another one.
        fs::remove_file(at("live")).unwrap();
        for folder in ["old", "new"] {
            fs::create_dir(at(folder)).unwrap();
            fs::write(at(folder).join("key"), "1").unwrap();
        }
        symlink(at("old"), at("data")).unwrap();
        symlink(at("data").join("key"), at("live")).unwrap();
        let old = live().unwrap();
        assert_ne!(old, second);
        symlink(at("new"), at("data.next")).unwrap();
        fs::rename(at("data.next"), at("data")).unwrap();
        let new = live().unwrap();
        assert_ne!(new, old);
        // A mode that lets the file be read.
        fs::set_permissions(at("live"), fs::Permissions::from_mode(0o600)).unwrap();
        assert_ne!(live().unwrap(), new);
        // A folder has no version: what is written into it is no change.
        let folder = FileVersion::of(&at("old")).unwrap_err();
        assert_eq!(folder.kind(), io::ErrorKind::IsADirectory);
    }

    #[test]
    fn a_version_is_older_only_where_the_clock_leaves_no_doubt() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let version = FileVersion::of(file.path()).unwrap();
        let (seconds, nanoseconds) = version.changed;
        let at = Duration::new(seconds.try_into().unwrap(), nanoseconds.try_into().unwrap());
        let changed = UNIX_EPOCH + at;
        assert!(!version.is_older_than(changed));
        assert!(!version.is_older_than(changed + CLOCK_LAG));
        assert!(version.is_older_than(changed + CLOCK_LAG + Duration::from_nanos(1)));
    }
}

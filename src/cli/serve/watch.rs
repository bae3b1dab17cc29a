//! A watch over the files that the configuration names: certificates, keys, passwords, policies.
//!
//! Knows when one of them has changed, and that a pair takes a moment to be replaced. Does not know
//! what a file is for. It looks every few seconds: the notices of file systems miss what is mounted
//! from elsewhere, and a link that is turned to another folder, as certbot and Kubernetes do.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::task::spawn_blocking;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// The time between two looks.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// The looks after which a configuration that could not be taken over is tried again: what was
/// wrong may be no file.
const RETRY_LOOKS: u32 = 30;
/// The times of files lag behind the clock by a tick of the kernel.
const CLOCK_LAG: Duration = Duration::from_millis(100);

/// The files, as they were when they were read last.
pub(super) struct Watch {
    config: PathBuf,
    files: Vec<(PathBuf, Option<Stamp>)>,
    /// Something has changed, and may be changing still.
    is_moving: bool,
    /// The looks since the last reading, if that failed.
    failed: Option<u32>,
    ticks: Interval,
}

/// One content of a file, told from all others; links are followed.
#[derive(Clone, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: Option<SystemTime>,
    /// The last change of content, name or mode: seconds and nanoseconds.
    changed: (i64, i64),
}

impl Watch {
    /// A watch over a configuration that was read at this time, and the files that it names.
    pub(super) fn over(config: &Path, files: &[PathBuf], read_at: SystemTime) -> Self {
        let mut ticks = interval(LOOK_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut watch = Self {
            config: config.to_owned(),
            files: Vec::new(),
            is_moving: false,
            failed: None,
            ticks,
        };
        watch.note_read(files, read_at);
        watch
    }

    /// Looks at the files, right before they are read again.
    pub(super) fn begin_reading(&mut self) {
        for (file, seen) in &mut self.files {
            *seen = stamp(file);
        }
        self.is_moving = false;
    }

    /// Watches the files that the configuration names now. It was read at this time.
    pub(super) fn note_read(&mut self, files: &[PathBuf], read_at: SystemTime) {
        let before = std::mem::take(&mut self.files);
        let mut named: Vec<&PathBuf> = files.iter().chain([&self.config]).collect();
        named.sort_unstable();
        named.dedup();
        let seen = |file: &PathBuf| {
            let known = before.iter().find(|(known, _)| known == file);
            // A file that has changed since then may have been read before the change.
            known.map_or_else(
                || stamp(file).filter(|stamp| stamp.is_older(read_at)),
                |(_, seen)| seen.clone(),
            )
        };
        self.files = named
            .into_iter()
            .map(|file| (file.clone(), seen(file)))
            .collect();
        self.failed = None;
    }

    /// Notes that the configuration could not be taken over. The files that it names are watched
    /// beside those before, and it is tried again after a while.
    pub(super) fn note_failure(&mut self, files: &[PathBuf], read_at: SystemTime) {
        let before = self.files.iter().map(|(file, _)| file);
        let all: Vec<PathBuf> = before.chain(files).cloned().collect();
        self.note_read(&all, read_at);
        self.failed = Some(0);
    }

    /// Returns once a file has changed, and none has changed from one look to the next since; or
    /// when it is time to try again.
    ///
    /// # Cancel safety
    /// Safe: a change is not forgotten.
    pub(super) async fn changed(&mut self) {
        loop {
            self.ticks.tick().await;
            let files: Vec<PathBuf> = self.files.iter().map(|(file, _)| file.clone()).collect();
            let look = spawn_blocking(move || files.iter().map(|file| stamp(file)).collect());
            let Ok(now): Result<Vec<Option<Stamp>>, _> = look.await else {
                continue;
            };
            let is_same = now.iter().eq(self.files.iter().map(|(_, seen)| seen));
            for ((_, seen), now) in self.files.iter_mut().zip(now) {
                *seen = now;
            }
            if !is_same {
                self.is_moving = true;
            } else if self.is_moving {
                self.is_moving = false;
                return;
            }
            if let Some(looks) = &mut self.failed {
                *looks += 1;
                if *looks >= RETRY_LOOKS {
                    *looks = 0;
                    return;
                }
            }
        }
    }
}

impl Stamp {
    /// Whether the file has not changed since this time.
    fn is_older(&self, time: SystemTime) -> bool {
        let time = time.checked_sub(CLOCK_LAG).unwrap_or(time);
        let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX);
        self.changed < (seconds, i64::from(since_epoch.subsec_nanos()))
    }
}

/// The stamp of a file; `None` where there is none.
fn stamp(file: &Path) -> Option<Stamp> {
    let metadata = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    Some(Stamp {
        device: metadata.dev(),
        inode: metadata.ino(),
        bytes: metadata.len(),
        modified: metadata.modified().ok(),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn each_way_to_replace_a_file_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let live = || stamp(&at("live"));
        let absent = live();
        // Written.
        fs::write(at("live"), "first").unwrap();
        let first = live();
        assert!(first != absent);
        assert!(first == live());
        // Another file in its place, of the same length and time.
        fs::write(at("next"), "other").unwrap();
        let time = fs::metadata(at("live")).unwrap().modified().unwrap();
        let next = fs::File::options().write(true).open(at("next")).unwrap();
        next.set_modified(time).unwrap();
        fs::rename(at("next"), at("live")).unwrap();
        let second = live();
        assert!(second != first);
        // A link that leads through a folder, which is turned to another one.
        fs::remove_file(at("live")).unwrap();
        for (folder, text) in [("old", "1"), ("new", "1")] {
            fs::create_dir(at(folder)).unwrap();
            fs::write(at(folder).join("key"), text).unwrap();
        }
        symlink(at("old"), at("data")).unwrap();
        symlink(at("data").join("key"), at("live")).unwrap();
        let old = live();
        assert!(old != second);
        symlink(at("new"), at("data.next")).unwrap();
        fs::rename(at("data.next"), at("data")).unwrap();
        assert!(live() != old);
        // A mode that lets the file be read.
        let mode = live();
        fs::set_permissions(at("live"), fs::Permissions::from_mode(0o600)).unwrap();
        assert!(live() != mode);
        // A folder is no file: what is written into it is no change.
        assert!(stamp(&at("old")) == absent);
    }
}

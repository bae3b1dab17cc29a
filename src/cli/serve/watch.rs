//! A watch over the files that the configuration names: certificates, keys, passwords, policies.
//!
//! Knows when one of them has changed, and that a pair takes a moment to be replaced. Does not know
//! what a file is for. It looks every few seconds: the notices of file systems miss what is mounted
//! from elsewhere, and a link that is turned to another folder, as certbot and Kubernetes do.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::task::spawn_blocking;
use tokio::time::Interval;

use super::ticks;
use crate::file_version::FileVersion;

/// The time between two looks.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// The looks after which a configuration that could not be taken over is tried again: what was
/// wrong may be no file.
const RETRY_LOOKS: u32 = 30;

/// The files, as they were at the last look.
pub(super) struct Watch {
    ticks: Interval,
    files: WatchedFiles,
}

/// The versions of the files so far, without a clock of its own.
struct WatchedFiles {
    config: PathBuf,
    /// Each with the version that was seen last; `None` where there is none, or a doubt.
    seen: Vec<(PathBuf, Option<FileVersion>)>,
    /// Something has changed, and may be changing still.
    is_moving: bool,
    /// The looks since the last reading, if that failed.
    failed: Option<u32>,
}

impl Watch {
    /// A watch over a configuration that was read at this time, and the files that it names.
    pub(super) fn over(config: &Path, files: &[PathBuf], read_at: SystemTime) -> Self {
        Self {
            ticks: ticks(LOOK_INTERVAL),
            files: WatchedFiles::of(config, files, read_at),
        }
    }

    /// Looks at the files, right before they are read again.
    pub(super) fn begin_reading(&mut self) {
        self.files.begin_reading();
    }

    /// Watches the files that the configuration names now. It was read at this time.
    pub(super) fn note_read(&mut self, files: &[PathBuf], read_at: SystemTime) {
        self.files.note_read(files, read_at);
    }

    /// Notes that the configuration could not be taken over. The files that it names are watched
    /// beside those before, and it is tried again after a while.
    pub(super) fn note_failure(&mut self, files: &[PathBuf], read_at: SystemTime) {
        self.files.note_failure(files, read_at);
    }

    /// Returns once a file has changed, and none has changed from one look to the next since; or
    /// when it is time to try again.
    ///
    /// # Cancel safety
    /// Safe: a change is not forgotten.
    pub(super) async fn is_due(&mut self) {
        loop {
            self.ticks.tick().await;
            let paths = self.files.paths();
            let look = spawn_blocking(move || paths.iter().map(|file| version(file)).collect());
            if let Ok(now) = look.await
                && self.files.note_look(now)
            {
                return;
            }
        }
    }
}

impl WatchedFiles {
    fn of(config: &Path, files: &[PathBuf], read_at: SystemTime) -> Self {
        let mut watched = Self {
            config: config.to_owned(),
            seen: Vec::new(),
            is_moving: false,
            failed: None,
        };
        watched.note_read(files, read_at);
        watched
    }

    fn paths(&self) -> Vec<PathBuf> {
        self.seen.iter().map(|(file, _)| file.clone()).collect()
    }

    fn begin_reading(&mut self) {
        for (file, seen) in &mut self.seen {
            *seen = version(file);
        }
        self.is_moving = false;
    }

    fn note_read(&mut self, files: &[PathBuf], read_at: SystemTime) {
        let before = std::mem::take(&mut self.seen);
        let mut named: Vec<&PathBuf> = files.iter().chain([&self.config]).collect();
        named.sort_unstable();
        named.dedup();
        let seen = |file: &PathBuf| match before.iter().find(|(known, _)| known == file) {
            Some((_, seen)) => *seen,
            // A file that has changed since then may have been read before the change.
            None => version(file).filter(|version| version.is_older_than(read_at)),
        };
        let seen = named.into_iter().map(|file| (file.clone(), seen(file)));
        self.seen = seen.collect();
        self.failed = None;
    }

    fn note_failure(&mut self, files: &[PathBuf], read_at: SystemTime) {
        let all = [&self.paths(), files].concat();
        self.note_read(&all, read_at);
        self.failed = Some(0);
    }

    /// Takes the versions of a look. Returns true if the configuration is to be read again.
    fn note_look(&mut self, now: Vec<Option<FileVersion>>) -> bool {
        let has_changed = !now.iter().eq(self.seen.iter().map(|(_, seen)| seen));
        for ((_, seen), now) in self.seen.iter_mut().zip(now) {
            *seen = now;
        }
        let has_settled = !has_changed && std::mem::take(&mut self.is_moving);
        self.is_moving |= has_changed;
        let looks = self.failed.map(|looks| looks + 1);
        let is_late = looks.is_some_and(|looks| looks >= RETRY_LOOKS);
        self.failed = if is_late { Some(0) } else { looks };
        has_settled || is_late
    }
}

/// The version of a file; `None` where there is none.
fn version(file: &Path) -> Option<FileVersion> {
    FileVersion::of(file).ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Self {
            let folder = Self(tempfile::tempdir().unwrap());
            folder.write("config", "1");
            folder.write("key", "1");
            folder
        }

        fn at(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn write(&self, name: &str, text: &str) {
            // Another file each time, so that two quick changes are two versions.
            let next = self.at("next");
            fs::write(&next, text).unwrap();
            fs::rename(next, self.at(name)).unwrap();
        }

        /// The files, read long after they were written.
        fn watch(&self) -> WatchedFiles {
            let later = SystemTime::now() + Duration::from_secs(60);
            WatchedFiles::of(&self.at("config"), &[self.at("key")], later)
        }
    }

    fn look(files: &mut WatchedFiles) -> bool {
        let now = files.paths().iter().map(|file| version(file)).collect();
        files.note_look(now)
    }

    #[test]
    fn a_change_is_due_once_when_it_has_settled() {
        let folder = Folder::new();
        let mut files = folder.watch();
        assert!(!look(&mut files));
        folder.write("key", "2");
        assert!(!look(&mut files));
        // The other half of a pair comes a moment later.
        folder.write("config", "2");
        assert!(!look(&mut files));
        assert!(look(&mut files));
        assert!(!look(&mut files));
    }

    #[test]
    fn what_was_read_for_another_reason_is_not_read_twice() {
        let folder = Folder::new();
        let mut files = folder.watch();
        folder.write("key", "2");
        assert!(!look(&mut files));
        files.begin_reading();
        files.note_read(&[folder.at("key")], SystemTime::now());
        assert!(!look(&mut files) && !look(&mut files));
        // A change while the files are read is one.
        files.begin_reading();
        folder.write("key", "3");
        files.note_read(&[folder.at("key")], SystemTime::now());
        assert!(!look(&mut files));
        assert!(look(&mut files));
    }

    #[test]
    fn a_file_that_changed_while_it_was_read_for_the_first_time_is_read_again() {
        let folder = Folder::new();
        let read_at = SystemTime::now();
        let mut files = WatchedFiles::of(&folder.at("config"), &[folder.at("key")], read_at);
        assert!(!look(&mut files));
        assert!(look(&mut files));
    }

    #[test]
    fn after_a_failure_the_old_and_the_new_files_are_watched_and_it_is_tried_again() {
        let folder = Folder::new();
        let mut files = folder.watch();
        files.begin_reading();
        files.note_failure(&[folder.at("later")], SystemTime::now());
        assert_eq!(files.paths().len(), 3);
        let tries = (0..RETRY_LOOKS * 2).filter(|_| look(&mut files)).count();
        assert_eq!(tries, 2);
        folder.write("later", "1");
        assert!(!look(&mut files));
        assert!(look(&mut files));
        files.begin_reading();
        files.note_read(&[folder.at("later")], SystemTime::now());
        assert_eq!(files.paths().len(), 2);
        assert!((0..RETRY_LOOKS * 2).all(|_| !look(&mut files)));
    }
}

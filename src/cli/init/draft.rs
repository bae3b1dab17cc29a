//! Files that are written together: all of them, or none.
//!
//! Knows their modes and their group. Does not know their contents.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::place::Access;
use crate::secret::Secret;

/// The files and folders that were written so far. Dropping the value removes them, unless they are
/// kept.
pub(super) struct Draft {
    access: Access,
    files: Vec<PathBuf>,
    /// Those files that hold a secret.
    secrets: Vec<PathBuf>,
    folders: Vec<PathBuf>,
    /// Those files that take the place of another one at the end, and that one.
    replacements: Vec<(PathBuf, PathBuf)>,
}

impl Draft {
    pub(super) fn new(access: Access) -> Self {
        Self {
            access,
            files: Vec::new(),
            secrets: Vec::new(),
            folders: Vec::new(),
            replacements: Vec::new(),
        }
    }

    /// Makes a folder, unless it exists.
    pub(super) fn folder(&mut self, path: &Path) -> Result<(), String> {
        self.make(path, self.access.folder)
    }

    /// Makes the folder of the secrets, unless it exists.
    pub(super) fn secrets_folder(&mut self, path: &Path) -> Result<(), String> {
        self.make(path, self.access.secrets_folder)
    }

    fn make(&mut self, path: &Path, mode: u32) -> Result<(), String> {
        if path.is_dir() {
            return Ok(());
        }
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder
            .create(path)
            .map_err(|error| complaint(path, &error))?;
        self.folders.push(path.to_owned());
        let folder = File::open(path).map_err(|error| complaint(path, &error))?;
        self.share(&folder, mode)
            .map_err(|error| complaint(path, &error))
    }

    /// Writes a file without secrets.
    pub(super) fn file(&mut self, path: &Path, text: &str) -> Result<(), String> {
        self.write(path, text.as_bytes(), self.access.file)
    }

    /// Writes a secret. Until all is written, no other user can read it.
    pub(super) fn secret(&mut self, path: &Path, secret: &Secret) -> Result<(), String> {
        self.write(path, secret.expose(), self.access.secret & 0o660)?;
        self.secrets.push(path.to_owned());
        Ok(())
    }

    fn write(&mut self, path: &Path, content: &[u8], mode: u32) -> Result<(), String> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options
            .open(path)
            .map_err(|error| complaint(path, &error))?;
        self.files.push(path.to_owned());
        let written = fill(&file, content).and_then(|()| self.share(&file, mode));
        written.map_err(|error| complaint(path, &error))
    }

    /// Gives a file to the group, and sets its mode whatever the umask is.
    fn share(&self, file: &File, mode: u32) -> io::Result<()> {
        #[cfg(unix)]
        if self.access.group.is_some() {
            std::os::unix::fs::fchown(file, None, self.access.group)?;
        }
        #[cfg(unix)]
        file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))?;
        Ok(())
    }

    /// Writes the next content of a file that is there. It takes its place when all is kept.
    pub(super) fn replacement(
        &mut self,
        path: &Path,
        write: impl FnOnce(&mut Self, &Path) -> Result<(), String>,
    ) -> Result<(), String> {
        let next = path.with_extension("next");
        write(self, &next)?;
        self.replacements.push((next, path.to_owned()));
        Ok(())
    }

    /// Removes a file of this draft.
    pub(super) fn discard(&mut self, path: &Path) -> Result<(), String> {
        std::fs::remove_file(path).map_err(|error| complaint(path, &error))?;
        self.files.retain(|file| file != path);
        Ok(())
    }

    /// Keeps all files, with the modes that they have at their place.
    pub(super) fn keep(mut self) -> Result<(), String> {
        for path in &self.secrets {
            let mode = self.access.secret;
            set_mode(path, mode).map_err(|error| complaint(path, &error))?;
        }
        for (next, path) in &self.replacements {
            std::fs::rename(next, path).map_err(|error| complaint(path, &error))?;
        }
        self.files.clear();
        self.folders.clear();
        Ok(())
    }
}

fn fill(mut file: &File, content: &[u8]) -> io::Result<()> {
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    let mode: Permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
    std::fs::set_permissions(path, mode)
}

#[cfg(not(unix))]
fn set_mode(_path: &Path, _mode: u32) -> io::Result<()> {
    Ok(())
}

impl Drop for Draft {
    fn drop(&mut self) {
        for file in &self.files {
            let _ = std::fs::remove_file(file);
        }
        // Inner folders first; a folder with other content stays.
        for folder in self.folders.iter().rev() {
            let _ = std::fs::remove_dir(folder);
        }
    }
}

fn complaint(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft() -> Draft {
        Draft::new(Access {
            folder: 0o755,
            file: 0o644,
            secrets_folder: 0o700,
            secret: 0o444,
            group: None,
        })
    }

    #[test]
    fn a_dropped_draft_removes_its_own_files_only() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("new");
        let mut dropped = draft();
        dropped.folder(&dir).unwrap();
        dropped.file(&dir.join("a"), "a").unwrap();
        drop(dropped);
        assert!(!dir.exists());

        let mut dropped = draft();
        dropped.folder(&dir).unwrap();
        std::fs::write(dir.join("of somebody else"), "").unwrap();
        dropped.file(&dir.join("a"), "a").unwrap();
        dropped.file(&dir.join("of somebody else"), "").unwrap_err();
        let path = dir.join("of somebody else");
        dropped
            .replacement(&path, |draft, next| draft.file(next, "b"))
            .unwrap();
        drop(dropped);
        let left: Vec<_> = std::fs::read_dir(&dir).unwrap().collect();
        assert_eq!(left.len(), 1);
        assert_eq!(std::fs::read(&path).unwrap(), b"");
    }

    #[cfg(unix)]
    #[test]
    fn a_secret_is_readable_by_others_only_at_the_end() {
        use std::os::unix::fs::PermissionsExt;

        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let mut draft = draft();
        draft.secret(&path, &Secret::new("hunter2")).unwrap();
        assert_eq!(mode(&path), 0o440);
        draft.keep().unwrap();
        assert_eq!(mode(&path), 0o444);
    }

    #[test]
    fn a_replacement_takes_its_place_when_all_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.toml");
        std::fs::write(&path, "old").unwrap();
        let mut draft = draft();
        draft
            .replacement(&path, |draft, next| draft.file(next, "new"))
            .unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        draft.keep().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(left.len(), 1);
    }
}

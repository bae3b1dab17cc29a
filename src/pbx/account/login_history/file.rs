//! The file of a login history, and the folder it is in.
//!
//! Knows how it is read, locked and put in place whole, and that nobody but the gateway's user may
//! read it. Does not know its content.

use std::fs::File;
use std::io;
use std::path::Path;

use super::record::LoginRecord;

/// Keeps other processes from changing the file for as long as the value lives, which is never
/// long. If the lock cannot be taken, both go on, and may count one login too few.
pub(super) fn lock(file: Option<&Path>) -> Option<File> {
    let path = file?.with_extension("lock");
    let mut options = File::options();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(&path).ok()?;
    leave_to_owner(&path, &file).ok()?;
    file.lock().ok()?;
    Some(file)
}

/// Puts a record in the place of the one that is there.
pub(super) fn write(file: &Path, record: &LoginRecord) -> io::Result<()> {
    let fresh = file.with_extension("json.new");
    serde_json::to_vec_pretty(record)
        .map_err(io::Error::from)
        .and_then(|json| write_private(&fresh, &json))
        .and_then(|()| std::fs::rename(&fresh, file))
        .map_err(|error| io::Error::other(format!("{}: {error}", fresh.display())))
}

/// Writes a file that only its owner can read, down to the disk, so that the file is whole when it
/// is put in place.
fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write;

    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    leave_to_owner(path, &file)?;
    file.sync_all()
}

/// Gives a file that root makes to the owner of its folder: the gateway must be able to read and
/// write it.
#[cfg(unix)]
fn leave_to_owner(path: &Path, made: &File) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};

    const ROOT: u32 = 0;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new(".")).metadata()?;
    if made.metadata()?.uid() == ROOT && folder.uid() != ROOT {
        fchown(made, Some(folder.uid()), Some(folder.gid()))?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn leave_to_owner(_path: &Path, _made: &File) -> io::Result<()> {
    Ok(())
}

/// Reads the record; an empty one where there is no file.
pub(super) fn read(file: &Path) -> io::Result<LoginRecord> {
    match std::fs::read(file) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
            io::Error::other(format!(
                "{}: {error}; remove it if no login was refused lately",
                file.display()
            ))
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(LoginRecord::default()),
        Err(error) => Err(io::Error::other(format!("{}: {error}", file.display()))),
    }
}

/// Creates the folder for histories of logins. Only its owner can enter it.
pub(super) fn create_private(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)?;
    leave_to_owner(folder, &File::open(folder)?)
}

//! Reads a secret from a file that others cannot read, or that a container runtime provides.
//!
//! Knows file modes, and the directories that hold secrets of containers. Does not know the purpose
//! of a secret.
//!
//! Sources: Docker and Swarm mount each secret under `/run/secrets`, mode 0444; Compose does so
//! with a file of the host; Kubernetes mounts a volume at any configured place, files of mode 0644
//! behind symbolic links; systemd mounts `$CREDENTIALS_DIRECTORY` (systemd.exec(5), "Credentials").
//! In all of these the secrets are on a mount of their own, which other users of the container or
//! of the machine do not have or cannot list. A folder that is only read-only for this service is
//! not such a mount: every other user can still read it.

mod mounts;
mod oddity;

use std::env;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use thiserror::Error;
use zeroize::Zeroizing;

pub(crate) use self::oddity::{Oddity, oddities};
use crate::secret::Secret;

/// The largest secret file that is read. A PEM key is far smaller.
const MAX_SECRET_BYTES: u64 = 64 * 1024;
/// Directories that containers mount secrets in, where nothing else is configured.
pub(crate) const CONTAINER_DIRS: [&str; 2] = ["/run/secrets", "/var/run/secrets"];
/// The variable in which systemd names the directory with the credentials of a service.
const CREDENTIALS_VARIABLE: &str = "CREDENTIALS_DIRECTORY";

/// The rules for secret files that other users can read. A file that its group or others can write
/// is always refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretFiles {
    /// Directories in which secrets are mounted, besides `$CREDENTIALS_DIRECTORY`. A file there is
    /// trusted if it is on a mount of its own.
    pub trusted_dirs: Vec<PathBuf>,
    /// Allows any file.
    pub allow_readable: bool,
}

/// A secret, and the reason why its file was accepted.
#[derive(Debug)]
pub struct SecretFile {
    /// The content of the file, without the line end that an editor adds.
    pub secret: Secret,
    /// The reason why the file was accepted although other users can read it; `None` if they
    /// cannot.
    pub readable: Option<ReadableReason>,
}

/// The reason why a secret file was accepted although other users can read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadableReason {
    /// It is on a mount of its own in a trusted directory.
    Mounted,
    /// The configuration allows it.
    Allowed,
}

/// The reason why a secret cannot be read from its file. No text here holds any of it.
#[derive(Debug, Error)]
pub enum SecretError {
    /// The file is missing or cannot be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The file is too large for a secret.
    #[error("larger than 64 KiB")]
    TooLarge,
    /// The file has no content besides the line end.
    #[error("empty")]
    Empty,
    /// Others could replace the secret.
    #[error("its group or other users can write it; chmod 600 it")]
    Writable,
    /// Others could have read the secret.
    #[error("other users can read it; chmod 600 it")]
    Readable,
}

impl SecretError {
    /// The remedy in the configuration, as a continuation of the error text.
    pub(crate) fn advice(&self) -> &'static str {
        match self {
            Self::Readable => {
                "; in a container, put the secret on a mount of its own in one of secrets.trusted_dirs; if neither is \
                 possible, set secrets.allow_readable = true"
            }
            _ => "",
        }
    }
}

impl Default for SecretFiles {
    fn default() -> Self {
        Self {
            trusted_dirs: CONTAINER_DIRS.map(PathBuf::from).to_vec(),
            allow_readable: false,
        }
    }
}

impl SecretFiles {
    /// Reads a secret from a file.
    ///
    /// # Errors
    /// When the file cannot be read, is empty or over 64 KiB, or when users other than its owner
    /// and group can read it, or users other than its owner can write it.
    pub fn read(&self, path: &Path) -> Result<SecretFile, SecretError> {
        let file = File::open(path)?;
        let readable = self.judge(&file)?;
        let mut bytes = Zeroizing::new(Vec::new());
        file.take(MAX_SECRET_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_SECRET_BYTES {
            return Err(SecretError::TooLarge);
        }
        while bytes
            .last()
            .is_some_and(|byte| matches!(byte, b'\n' | b'\r'))
        {
            bytes.pop();
        }
        if bytes.is_empty() {
            return Err(SecretError::Empty);
        }
        let secret = Secret::from(bytes);
        Ok(SecretFile { secret, readable })
    }

    #[cfg(unix)]
    fn judge(&self, file: &File) -> Result<Option<ReadableReason>, SecretError> {
        use std::os::unix::fs::PermissionsExt;

        let mode = file.metadata()?.permissions().mode();
        match (mode & 0o022, mode & 0o005) {
            (0, 0) => Ok(None),
            (0, _) if mounts::is_mounted_in(file, &self.directories()) => {
                Ok(Some(ReadableReason::Mounted))
            }
            (0, _) if self.allow_readable => Ok(Some(ReadableReason::Allowed)),
            (0, _) => Err(SecretError::Readable),
            _ => Err(SecretError::Writable),
        }
    }

    #[cfg(not(unix))]
    fn judge(&self, _file: &File) -> Result<Option<ReadableReason>, SecretError> {
        Ok(None)
    }

    /// The trusted directories that exist, without symbolic links. The root directory is never one,
    /// since every file is in it.
    fn directories(&self) -> Vec<PathBuf> {
        let credentials = env::var_os(CREDENTIALS_VARIABLE).map(PathBuf::from);
        let credentials = credentials.filter(|directory| directory.is_absolute());
        let all = credentials.iter().chain(&self.trusted_dirs);
        all.filter_map(|directory| directory.canonicalize().ok())
            .filter(|directory| directory.parent().is_some())
            .collect()
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[track_caller]
    fn check(mode: u32, allow_readable: bool, expected: Result<Option<ReadableReason>, &str>) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "hunter2\r\n").unwrap();
        std::fs::set_permissions(file.path(), Permissions::from_mode(mode)).unwrap();
        let files = SecretFiles {
            // An ordinary folder, and the root, which contains every file.
            trusted_dirs: vec![file.path().parent().unwrap().into(), "/".into()],
            allow_readable,
        };
        match (files.read(file.path()), expected) {
            (Ok(read), Ok(readable)) => {
                assert_eq!(read.secret.expose(), b"hunter2");
                assert_eq!(read.readable, readable, "{mode:o}");
            }
            (Err(error), Err(part)) => {
                let error = error.to_string();
                assert!(
                    error.contains(part) && error.contains("chmod 600"),
                    "{error}"
                );
            }
            (read, _) => panic!("{mode:o}: {read:?}"),
        }
    }

    #[test]
    fn a_file_readable_by_others_is_refused_unless_allowed() {
        for mode in [0o600, 0o400, 0o640, 0o440, 0o700] {
            check(mode, false, Ok(None));
            check(mode, true, Ok(None));
        }
        for mode in [0o644, 0o444, 0o604, 0o601, 0o755, 0o555] {
            check(mode, false, Err("other users can read it"));
            check(mode, true, Ok(Some(ReadableReason::Allowed)));
        }
    }

    #[test]
    fn a_file_writable_by_others_is_always_refused() {
        for mode in [0o660, 0o620, 0o602, 0o664, 0o666, 0o646, 0o777, 0o642] {
            for allow_readable in [false, true] {
                check(mode, allow_readable, Err("can write it"));
            }
        }
    }

    #[test]
    fn an_empty_or_too_large_file_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let read = |bytes: &[u8]| {
            std::fs::write(file.path(), bytes).unwrap();
            SecretFiles::default().read(file.path())
        };
        assert!(matches!(read(b""), Err(SecretError::Empty)));
        assert!(matches!(read(b"\r\n\n"), Err(SecretError::Empty)));
        let most = usize::try_from(MAX_SECRET_BYTES).unwrap();
        assert!(read(&vec![b'x'; most]).is_ok());
        assert!(matches!(
            read(&vec![b'x'; most + 1]),
            Err(SecretError::TooLarge)
        ));
    }
}

//! Reading a secret from a file that others cannot read, or as a container hands it out.
//!
//! Knows modes, and which directories hold secrets of containers. Does not know what a secret is
//! for.
//!
//! Sources: Docker and Swarm mount each secret under `/run/secrets`, mode 0444; Compose does with a
//! file of the host; Kubernetes mounts a volume wherever it is told, files of mode 0644 behind
//! symbolic links; systemd mounts `$CREDENTIALS_DIRECTORY` (systemd.exec(5), "Credentials"). What
//! they have in common is a mount of its own for the secrets, which other users of the container,
//! or of the machine, do not have or cannot list. A folder that is merely read-only for this
//! service is none: every other user reads it all the same.

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

/// The largest secret file that is read; a PEM key is far below it.
const MAX_SECRET_BYTES: u64 = 64 * 1024;
/// Directories that containers mount secrets in, where nothing else is configured.
pub(crate) const CONTAINER_DIRS: [&str; 2] = ["/run/secrets", "/var/run/secrets"];
/// Where systemd says that the credentials of a service are.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// Which files may hold a secret although other users can read them. One that its group or others
/// can write never may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretFiles {
    /// Directories that secrets are mounted in, beside `$CREDENTIALS_DIRECTORY`: trusted is a file
    /// there that lies on a mount of its own.
    pub trusted_dirs: Vec<PathBuf>,
    /// Lets any file pass.
    pub allow_readable: bool,
}

/// A secret, and how its file was let through.
#[derive(Debug)]
pub struct SecretFile {
    /// The file's content, without the line end that an editor leaves behind.
    pub secret: Secret,
    /// Why it was read although other users can read it, too; `None` where they cannot.
    pub readable: Option<Readable>,
}

/// Why a secret file that other users can read was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readable {
    /// It lies on a mount of its own in a trusted directory.
    Mounted,
    /// The configuration allows it.
    Allowed,
}

/// Why a secret cannot be read from its file. No text here holds anything of it.
#[derive(Debug, Error)]
pub enum SecretError {
    /// It is not there, or may not be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is no secret.
    #[error("larger than 64 KiB")]
    TooLarge,
    /// Nothing is left without the line end.
    #[error("empty")]
    Empty,
    /// Others could put their own in.
    #[error("its group or other users can write it; chmod 600 it")]
    Writable,
    /// Others know it.
    #[error("other users can read it; chmod 600 it")]
    Readable,
}

impl SecretError {
    /// Names the other remedies in the configuration, in words that go on from the error.
    pub(crate) fn way_out(&self) -> &'static str {
        match self {
            Self::Readable => {
                "; a secret that a container is given belongs on a mount of its own in one of secrets.trusted_dirs; where \
                 neither can be, set secrets.allow_readable = true"
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
    fn judge(&self, file: &File) -> Result<Option<Readable>, SecretError> {
        use std::os::unix::fs::PermissionsExt;

        let mode = file.metadata()?.permissions().mode();
        match (mode & 0o022, mode & 0o005) {
            (0, 0) => Ok(None),
            (0, _) if mounts::is_own(file, &self.directories()) => Ok(Some(Readable::Mounted)),
            (0, _) if self.allow_readable => Ok(Some(Readable::Allowed)),
            (0, _) => Err(SecretError::Readable),
            _ => Err(SecretError::Writable),
        }
    }

    #[cfg(not(unix))]
    fn judge(&self, _file: &File) -> Result<Option<Readable>, SecretError> {
        Ok(None)
    }

    /// The trusted directories that there are, free of symbolic links. The root of all is none:
    /// everything is in it.
    fn directories(&self) -> Vec<PathBuf> {
        let credentials = env::var_os(CREDENTIALS).map(PathBuf::from);
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
    fn check(mode: u32, allow_readable: bool, expected: Result<Option<Readable>, &str>) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "hunter2\r\n").unwrap();
        std::fs::set_permissions(file.path(), Permissions::from_mode(mode)).unwrap();
        let files = SecretFiles {
            // An ordinary folder, and one that would hold every file.
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
    fn a_file_that_others_can_read_is_refused_unless_that_is_allowed() {
        for mode in [0o600, 0o400, 0o640, 0o440, 0o700] {
            check(mode, false, Ok(None));
            check(mode, true, Ok(None));
        }
        for mode in [0o644, 0o444, 0o604, 0o601, 0o755, 0o555] {
            check(mode, false, Err("other users can read it"));
            check(mode, true, Ok(Some(Readable::Allowed)));
        }
    }

    #[test]
    fn a_file_that_others_can_write_is_refused_always() {
        for mode in [0o660, 0o620, 0o602, 0o664, 0o666, 0o646, 0o777, 0o642] {
            for allow_readable in [false, true] {
                check(mode, allow_readable, Err("can write it"));
            }
        }
    }

    #[test]
    fn what_is_no_secret_is_refused() {
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

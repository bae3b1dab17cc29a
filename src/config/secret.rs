//! A value that must not be seen: passwords, keys, PBX tokens, tickets, bearer tokens.
//!
//! Knows how to keep text out of logs and how to read it from a file that others cannot read. Does not know what the
//! text is for.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use zeroize::Zeroizing;

/// The largest secret file that is read; a PEM key is far below it.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// Secret bytes, usually text. Has no `Display`; `Debug` prints `redacted`; the memory is wiped when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Wraps bytes that must not be seen.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }

    /// Reads a secret from a file, without the line end an editor leaves behind.
    ///
    /// # Errors
    /// When the file cannot be read, is empty or over 64 KiB, or when users other than its owner and group can read it.
    pub fn read(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        refuse_world_readable(&file)?;
        let mut bytes = Zeroizing::new(Vec::new());
        file.take(MAX_SECRET_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_SECRET_BYTES {
            return Err(io::Error::other("larger than 64 KiB"));
        }
        while bytes
            .last()
            .is_some_and(|byte| matches!(byte, b'\n' | b'\r'))
        {
            bytes.pop();
        }
        if bytes.is_empty() {
            return Err(io::Error::other("empty"));
        }
        Ok(Self(bytes))
    }

    /// The bytes themselves, for the one place that needs them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The text itself, for the one place that needs it; `None` when it is not UTF-8.
    #[must_use]
    pub fn expose_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("redacted")
    }
}

#[cfg(unix)]
fn refuse_world_readable(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;

    if file.metadata()?.permissions().mode() & 0o007 != 0 {
        return Err(io::Error::other("other users can read it; chmod 600 it"));
    }
    Ok(())
}

#[cfg(not(unix))]
fn refuse_world_readable(_file: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing_of_the_secret() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "redacted");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;

        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "hunter2\r\n").unwrap();
        let chmod = |mode| {
            std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        };
        chmod(0o644);
        assert!(
            Secret::read(file.path())
                .unwrap_err()
                .to_string()
                .contains("other users")
        );
        chmod(0o640);
        assert_eq!(Secret::read(file.path()).unwrap().expose(), b"hunter2");
    }
}

//! `[secrets]`: secret files that other users can read.

use std::path::{Path, PathBuf};

use crate::config::kinds::*;
use crate::config::rows::rows;
use crate::config::section::Section;
use crate::secret_files::{CONTAINER_DIRS, SecretFiles};

rows! {
    /// Secret files that other users of this machine can read. A file that its group or other users
    /// can write is always refused.
    mod keys = "[secrets]";

    /// Directories that secrets are mounted in, such as the mountPath of a Kubernetes volume. The
    /// directory in $CREDENTIALS_DIRECTORY (systemd) is always one of them. A file in such a
    /// directory is accepted, with a warning, if it lies on a mount of its own: the mount is the
    /// directory, or stands in it, and hides what would be there without it. A folder of the
    /// container's image is no such mount, nor is a folder that is only read-only for this service.
    trusted_dirs: ListOf<PathBuf> = list_of(&CONTAINER_DIRS);

    /// true accepts every other secret file that other users can read, with a warning, instead of
    /// refusing it: every user of the machine then knows the secrets.
    allow_readable: Flag = flag(false);
}

pub(super) fn read_secrets(section: &mut Section<'_>, folder: &Path) -> SecretFiles {
    let trusted_dirs = keys::trusted_dirs.get(section);
    let trusted_dirs: Vec<_> = trusted_dirs.iter().map(|path| folder.join(path)).collect();
    // Links are followed. A directory that is not there may come later.
    let is_root = |path: &PathBuf| {
        let resolved = path.canonicalize();
        resolved.as_ref().unwrap_or(path).parent().is_none()
    };
    if trusted_dirs.iter().any(is_root) {
        section.problem(
            keys::trusted_dirs.name,
            "every file of the machine, or of the container's image, is in /; name the directory that secrets are mounted in",
        );
    }
    SecretFiles {
        trusted_dirs,
        allow_readable: keys::allow_readable.get(section),
    }
}

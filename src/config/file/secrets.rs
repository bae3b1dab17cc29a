//! `[secrets]`: which secret files are taken that other users can read.

use std::path::{Path, PathBuf};

use crate::config::section::Section;
use crate::secret_files::SecretFiles;

pub(super) fn read_secrets(section: &mut Section<'_>, folder: &Path) -> SecretFiles {
    let default = SecretFiles::default();
    let given: Option<Vec<PathBuf>> = section.list("trusted_dirs");
    let trusted_dirs: Option<Vec<PathBuf>> =
        given.map(|paths| paths.iter().map(|path| folder.join(path)).collect());
    // Whatever leads there; what is not there yet may come later.
    let is_root = |path: &PathBuf| {
        let resolved = path.canonicalize();
        resolved.as_ref().unwrap_or(path).parent().is_none()
    };
    if trusted_dirs.iter().flatten().any(is_root) {
        section.problem(
            "trusted_dirs",
            "every file of the machine, or of the container's image, is in /; name the directory that secrets are mounted in",
        );
    }
    SecretFiles {
        trusted_dirs: trusted_dirs.unwrap_or(default.trusted_dirs),
        allow_readable: section.boolean("allow_readable", default.allow_readable),
    }
}

//! Warnings about settings that are allowed but seldom meant.

use std::path::{Path, PathBuf};

use crate::secret_files::ReadableReason;

/// The warnings about a configuration that has no mistakes. `check` prints them; a start and a
/// reload log them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Warnings {
    /// Secret files that other users can read, on mounts of their own.
    mounted: Vec<PathBuf>,
    /// The same anywhere else.
    allowed: Vec<PathBuf>,
    others: Vec<String>,
}

impl Warnings {
    /// Adds a warning about a key.
    pub(crate) fn push(&mut self, key: &str, message: impl std::fmt::Display) {
        self.others.push(format!("{key}: {message}"));
    }

    /// Notes a secret file that other users can read.
    pub(crate) fn note_readable(&mut self, file: &Path, readable: ReadableReason) {
        let files = match readable {
            ReadableReason::Mounted => &mut self.mounted,
            ReadableReason::Allowed => &mut self.allowed,
        };
        if !files.iter().any(|known| known == file) {
            files.push(file.to_owned());
        }
    }

    /// One sentence for each warning. Files of one kind share a sentence.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let of_files = |files: &[PathBuf], why: &str| {
            let names: Vec<_> = files
                .iter()
                .map(|file| file.display().to_string())
                .collect();
            let told = format!(
                "other users can read these secret files, {why}: {}",
                names.join(", ")
            );
            (!files.is_empty()).then_some(told)
        };
        let mounted = "taken because each lies on a mount of its own in a directory of secrets";
        let allowed = "taken because secrets.allow_readable is true; better chmod 600 them";
        let files = [
            of_files(&self.mounted, mounted),
            of_files(&self.allowed, allowed),
        ];
        let files = files.into_iter().flatten();
        files.chain(self.others.iter().cloned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_kind_are_one_warning() {
        let mut warnings = Warnings::default();
        assert_eq!(warnings.lines(), Vec::<String>::new());
        for (file, readable) in [
            ("/run/secrets/a", ReadableReason::Mounted),
            ("/run/secrets/b", ReadableReason::Mounted),
            ("/run/secrets/a", ReadableReason::Mounted),
            ("/etc/c", ReadableReason::Allowed),
        ] {
            warnings.note_readable(Path::new(file), readable);
        }
        warnings.push("pbx[0].password_file", "odd");
        let lines = warnings.lines();
        let ends = [
            "/run/secrets/a, /run/secrets/b",
            ": /etc/c",
            "password_file: odd",
        ];
        assert_eq!(lines.len(), ends.len());
        for (line, end) in lines.iter().zip(ends) {
            assert!(line.ends_with(end), "{line}");
        }
    }
}

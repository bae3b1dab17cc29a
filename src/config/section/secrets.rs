//! Secrets that a table names: passwords and keys, each in a file of its own.
//!
//! Knows the mistakes and the oddities of such a file. Does not know what any key means.

use std::path::Path;
use std::sync::Arc;

use super::Section;
use crate::secret::Secret;
use crate::secret_files::{Oddity, SecretFiles, oddities};

impl Section<'_> {
    /// Sets the rules for the secret files that are read from here on.
    pub(in crate::config) fn trust(&mut self, secret_files: SecretFiles) {
        self.secret_files = Arc::new(secret_files);
    }

    /// Reads the secret in the file that `key` names. It may be any bytes, so an oddity is a
    /// warning.
    pub(in crate::config) fn secret_file(&mut self, key: &str) -> Option<Secret> {
        let path = self.path(key)?;
        let secret = self.read_secret(key, &path)?;
        for oddity in oddities(secret.expose()) {
            if oddity != Oddity::NotUtf8 {
                self.warn(key, &path, oddity);
            }
        }
        Some(secret)
    }

    /// Reads the password in the file that `key` names: a text that a person typed. No password
    /// begins with a byte order mark or is in UTF-16, so such a file is refused before it costs a
    /// login. A password may end with a blank, so that is a warning.
    pub(in crate::config) fn password_file(&mut self, key: &str) -> Option<Secret> {
        let path = self.path(key)?;
        let secret = self.read_secret(key, &path)?;
        let mut is_good = true;
        for oddity in oddities(secret.expose()) {
            if oddity.spoils_password() {
                self.problem(key, format!("{} {oddity}", path.display()));
                is_good = false;
            } else {
                self.warn(key, &path, oddity);
            }
        }
        is_good.then_some(secret)
    }

    fn read_secret(&mut self, key: &str, path: &Path) -> Option<Secret> {
        match self.secret_files.read(path) {
            Ok(read) => {
                if let Some(readable) = read.readable {
                    self.problems.warnings.note_readable(path, readable);
                }
                Some(read.secret)
            }
            Err(error) => {
                let advice = error.advice();
                self.problem(key, format!("{}: {error}{advice}", path.display()));
                None
            }
        }
    }

    fn warn(&mut self, key: &str, path: &Path, oddity: Oddity) {
        let key = self.key(key);
        let message = format!("{} {oddity}", path.display());
        self.problems.warnings.push(&key, message);
    }
}

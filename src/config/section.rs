//! One table of the TOML file, read key by key.
//!
//! Knows types, ranges and which keys were asked for, so that one pass finds every mistake: wrong
//! types, values out of range, unknown keys. (A `deny_unknown_fields` struct stops at the first.)
//! Does not know what any key means.

mod secrets;

use std::fs::File;
use std::io::{self, Read};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use toml::{Table, Value};
use url::Url;

use super::Problems;
use crate::secret_files::SecretFiles;

/// A configuration, a key or a certificate is far smaller; anything larger is a mistake.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Keys of an earlier version, each with the words that tell the new name.
pub(super) type Tombstones = &'static [(&'static str, &'static str)];

/// The key of a file that the gateway writes itself, and reads again when others have.
const REVOCATION_FILE: &str = "revocation_file";

/// A table being read. [`Section::finish`] reports the keys that nothing has read.
pub(super) struct Section<'a> {
    /// Dotted path of this table; empty at the top.
    path: String,
    table: Table,
    /// Names of an earlier version.
    gone: Tombstones,
    /// Folder of the configuration file: relative paths start there.
    folder: &'a Path,
    secret_files: Arc<SecretFiles>,
    problems: &'a mut Problems,
}

impl<'a> Section<'a> {
    pub(super) fn root(
        table: Table,
        folder: &'a Path,
        gone: Tombstones,
        problems: &'a mut Problems,
    ) -> Self {
        Self {
            path: String::new(),
            table,
            gone,
            folder,
            secret_files: Arc::default(),
            problems,
        }
    }

    /// The dotted path of one of this table's keys.
    pub(super) fn key(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    pub(super) fn problem(&mut self, key: &str, message: impl std::fmt::Display) {
        let key = self.key(key);
        self.problems.push(key, message);
    }

    /// The value, or a problem of `key`.
    pub(super) fn note<T, E: std::fmt::Display>(
        &mut self,
        key: &str,
        result: Result<T, E>,
    ) -> Option<T> {
        let key = self.key(key);
        self.problems.note(&key, result)
    }

    /// Whether the file has this key and it has not been read yet.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// The keys that have not been read yet, for a table whose keys are the operator's own.
    pub(super) fn keys(&self) -> Vec<String> {
        self.table.keys().cloned().collect()
    }

    /// Removes a key unread. Returns whether it was there.
    pub(super) fn take_away(&mut self, key: &str) -> bool {
        self.table.remove(key).is_some()
    }

    /// Reads the table `key`; an absent one reads as empty.
    pub(super) fn section<T>(
        &mut self,
        key: &str,
        gone: Tombstones,
        read: impl FnOnce(&mut Section<'_>) -> T,
    ) -> T {
        let table = self.take_table(key);
        self.descend(self.key(key), table, gone, read)
    }

    fn take_table(&mut self, key: &str) -> Table {
        match self.table.remove(key) {
            None => Table::new(),
            Some(Value::Table(table)) => table,
            Some(_) => {
                self.problem(key, format!("not a table; write [{}]", self.key(key)));
                Table::new()
            }
        }
    }

    /// Reads the array of tables `key`; an absent one reads as empty.
    pub(super) fn sections<T>(
        &mut self,
        key: &str,
        gone: Tombstones,
        mut read: impl FnMut(&mut Section<'_>) -> T,
    ) -> Vec<T> {
        let values = match self.table.remove(key) {
            None => Vec::new(),
            Some(Value::Array(values)) => values,
            Some(_) => {
                self.problem(
                    key,
                    format!("not a list of tables; write [[{}]]", self.key(key)),
                );
                Vec::new()
            }
        };
        let mut results = Vec::with_capacity(values.len());
        for (index, value) in values.into_iter().enumerate() {
            let path = format!("{}[{index}]", self.key(key));
            match value {
                Value::Table(table) => results.push(self.descend(path, table, gone, &mut read)),
                _ => self.problems.push(path, "not a table"),
            }
        }
        results
    }

    fn descend<T>(
        &mut self,
        path: String,
        table: Table,
        gone: Tombstones,
        read: impl FnOnce(&mut Section<'_>) -> T,
    ) -> T {
        let mut section = Section {
            path,
            table,
            gone,
            folder: self.folder,
            secret_files: Arc::clone(&self.secret_files),
            problems: self.problems,
        };
        let result = read(&mut section);
        section.finish();
        result
    }

    /// Reports each key that nothing has read. For a key of an earlier version, the message tells
    /// the new name.
    pub(super) fn finish(&mut self) {
        for (key, _) in std::mem::take(&mut self.table) {
            let mut gone = self.gone.iter();
            let gone = gone.find(|(name, _)| *name == key);
            self.problem(&key, gone.map_or("unknown key", |(_, words)| words));
        }
    }

    fn take<T>(
        &mut self,
        key: &str,
        expected: &str,
        convert: impl FnOnce(Value) -> Option<T>,
    ) -> Option<T> {
        let value = self.table.remove(key)?;
        let converted = convert(value);
        if converted.is_none() {
            self.problem(key, format!("not {expected}"));
        }
        converted
    }

    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        self.take(key, "a text in quotes", |value| match value {
            Value::String(text) => Some(text),
            _ => None,
        })
    }

    pub(super) fn boolean(&mut self, key: &str) -> Option<bool> {
        self.take(key, "true or false", |value| value.as_bool())
    }

    /// A whole number within `range`.
    pub(super) fn integer(&mut self, key: &str, range: &RangeInclusive<u64>) -> Option<u64> {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        self.take(key, &expected, |value| whole(&value, range))
    }

    /// Returns whether a required key is there. An absent or empty key is a problem.
    pub(super) fn require(&mut self, key: &str) -> bool {
        let problem = match self.table.get(key) {
            None => "missing",
            Some(Value::String(text)) if text.is_empty() => "empty",
            Some(_) => return true,
        };
        self.take_away(key);
        self.problem(key, problem);
        false
    }

    /// A text that parses as `T`.
    pub(super) fn parsed<T: FromStr<Err: std::fmt::Display>>(&mut self, key: &str) -> Option<T> {
        let text = self.text(key)?;
        self.parse(key, &text)
    }

    /// Parses a text already taken; a failure is a problem of `key`.
    pub(super) fn parse<T: FromStr<Err: std::fmt::Display>>(
        &mut self,
        key: &str,
        text: &str,
    ) -> Option<T> {
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.problem(key, format!("{text:?}: {error}"));
                None
            }
        }
    }

    /// An address. It may hold a password by mistake, so the problem does not repeat it.
    pub(super) fn url(&mut self, key: &str) -> Option<Url> {
        let text = self.text(key)?;
        match text.parse() {
            Ok(url) => Some(url),
            Err(error) => {
                self.problem(
                    key,
                    format!("not an address such as https://192.168.5.150:8088: {error}"),
                );
                None
            }
        }
    }

    /// A list of texts that each parse as `T`; `None` when the key is absent or one of them does
    /// not.
    pub(super) fn list<T: FromStr<Err: std::fmt::Display>>(&mut self, key: &str) -> Option<Vec<T>> {
        let values = self.take(key, "a list of texts", |value| match value {
            Value::Array(values) => values
                .into_iter()
                .map(|value| match value {
                    Value::String(text) => Some(text),
                    _ => None,
                })
                .collect::<Option<Vec<_>>>(),
            _ => None,
        })?;
        let parsed: Vec<Option<T>> = values.iter().map(|text| self.parse(key, text)).collect();
        parsed.into_iter().collect()
    }

    /// A list of times in milliseconds, each within `range`.
    pub(super) fn milliseconds_list(
        &mut self,
        key: &str,
        range: &RangeInclusive<u64>,
    ) -> Option<Vec<Duration>> {
        let expected = format!(
            "a list of whole numbers from {} to {}",
            range.start(),
            range.end()
        );
        self.take(key, &expected, |value| match value {
            Value::Array(values) => values
                .iter()
                .map(|value| whole(value, range).map(Duration::from_millis))
                .collect(),
            _ => None,
        })
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&mut self, key: &str, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(key)?;
        let found = words.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            let words: Vec<_> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
            self.problem(key, format!("{text:?} is not one of {}", words.join(", ")));
        }
        found.map(|(_, value)| *value)
    }

    /// A path; a relative one starts at the configuration file's folder.
    pub(super) fn path(&mut self, key: &str) -> Option<PathBuf> {
        let path = self.folder.join(self.text(key)?);
        if key != REVOCATION_FILE {
            self.problems.files.push(path.clone());
        }
        Some(path)
    }
}

/// Reads a file that is not secret. A file above the limit is an error, since half of it would be
/// worse than none.
///
/// # Errors
/// When it cannot be read or is larger than 1 MiB.
pub(crate) fn read_public(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::other("larger than 1 MiB"));
    }
    Ok(bytes)
}

fn whole(value: &Value, range: &RangeInclusive<u64>) -> Option<u64> {
    u64::try_from(value.as_integer()?)
        .ok()
        .filter(|number| range.contains(number))
}

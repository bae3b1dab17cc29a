//! The mistakes of a configuration, in one list.

use std::fmt;
use std::path::PathBuf;

use super::Warnings;

/// One mistake and the key it concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Dotted path of the key, such as `pbx[0].url`; empty for the file as a whole.
    pub key: String,
    /// The mistake, in words for an operator.
    pub message: String,
}

/// A list of mistakes, and beside it the warnings and the files that the configuration names.
#[derive(Debug, Default)]
pub struct Problems {
    mistakes: Vec<Mistake>,
    pub(crate) warnings: Warnings,
    /// The files that the configuration names and only a reload reads.
    pub(crate) files: Vec<PathBuf>,
}

impl Problems {
    /// Adds a mistake.
    pub fn push(&mut self, key: impl Into<String>, message: impl fmt::Display) {
        self.mistakes.push(Mistake {
            key: key.into(),
            message: message.to_string(),
        });
    }

    /// The value, or `None` and a mistake.
    pub(crate) fn note<T, E: fmt::Display>(
        &mut self,
        key: &str,
        result: Result<T, E>,
    ) -> Option<T> {
        result.map_err(|error| self.push(key, error)).ok()
    }

    /// Sorts the mistakes by the place of their keys in the file. Those of one section stay as they
    /// are.
    #[must_use]
    pub(super) fn sorted_by(mut self, place_of: fn(&str) -> usize) -> Self {
        self.mistakes.sort_by_key(|problem| place_of(&problem.key));
        self
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.mistakes.is_empty()
    }

    /// The mistakes one by one.
    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.mistakes.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Mistake { key, message }) in self.iter().enumerate() {
            if index > 0 {
                formatter.write_str("\n")?;
            }
            if key.is_empty() {
                write!(formatter, "{message}")?;
            } else {
                write!(formatter, "{key}: {message}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

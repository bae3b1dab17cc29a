//! The audit log, as configured.
//!
//! Knows what each value means. Does not know the log itself.

use std::path::PathBuf;

pub use crate::audit::HeadKey;

/// The audit log.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditSettings {
    /// The folder of its files; nothing else belongs there.
    pub dir: PathBuf,
    /// The answer to requests while it cannot be written.
    pub on_failure: OnFailure,
    /// When another file begins.
    pub rotate: Rotate,
    /// How large a file may become.
    pub max_file_bytes: u64,
    /// After how many days whole files are removed; 0 for never.
    pub keep_days: u64,
    /// The key that signs heads.
    pub key: HeadKey,
}

/// The answer to requests while the audit log cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// They get 503.
    Refuse,
    /// They are answered, and counted.
    Serve,
}

/// When another file begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotate {
    /// At midnight UTC, and when one is full.
    Day,
    /// When one is full.
    Size,
}

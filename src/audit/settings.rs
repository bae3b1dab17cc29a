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
    /// What becomes of requests while it cannot be written.
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

impl AuditSettings {
    /// The default of [`AuditSettings::max_file_bytes`].
    pub(crate) const MAX_FILE_BYTES: u64 = 64 << 20;
}

/// What becomes of requests while the audit log cannot be written.
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

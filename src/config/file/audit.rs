//! `[audit]`: the audit log.

use std::path::PathBuf;

use crate::audit::settings::{AuditSettings, OnFailure, Rotate};
use crate::config::section::Section;
use crate::secret::Secret;

/// The audit log.
#[derive(Debug, Clone)]
pub struct AuditSection {
    /// The folder of its files; `None` writes none.
    pub dir: Option<PathBuf>,
    /// The PEM file of the key that signs heads.
    pub key: Option<Secret>,
    /// What becomes of requests while it cannot be written.
    pub on_failure: OnFailure,
    /// When another file begins.
    pub rotate: Rotate,
    /// How large a file may become.
    pub max_file_bytes: u64,
    /// After how many days whole files are removed; 0 for never.
    pub keep_days: u64,
}

pub(super) fn read_audit(section: &mut Section<'_>) -> AuditSection {
    let dir = section.path("dir");
    let failures = [("refuse", OnFailure::Refuse), ("serve", OnFailure::Serve)];
    let rotations = [("day", Rotate::Day), ("size", Rotate::Size)];
    let on_failure = section.choice("on_failure", &failures, OnFailure::Refuse);
    let rotate = section.choice("rotate", &rotations, Rotate::Day);
    let max_file_bytes = section.integer("max_file_bytes", 65_536..=1 << 40);
    let keep_days = section.integer("keep_days", 0..=36_500).unwrap_or(0);
    if dir.is_some() && !section.has("key_file") {
        section.problem(
            "key_file",
            "missing; make a key with: openssl genpkey -algorithm ed25519",
        );
    }
    AuditSection {
        dir,
        key: section.secret_file("key_file"),
        on_failure,
        rotate,
        max_file_bytes: max_file_bytes.unwrap_or(AuditSettings::MAX_FILE_BYTES),
        keep_days,
    }
}

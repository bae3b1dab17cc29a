//! `[audit]`: the audit log.

use std::path::PathBuf;

use crate::audit::settings::{OnFailure, Rotate};
use crate::config::kinds::*;
use crate::config::rows::rows;
use crate::config::section::Section;
use crate::secret::Secret;

const FAILURES: [(&str, OnFailure); 2] =
    [("refuse", OnFailure::Refuse), ("serve", OnFailure::Serve)];
const ROTATIONS: [(&str, Rotate); 2] = [("day", Rotate::Day), ("size", Rotate::Size)];

/// The audit log.
#[derive(Debug, Clone)]
pub struct AuditSection {
    /// The folder of its files; `None` writes none.
    pub dir: Option<PathBuf>,
    /// The PEM file of the key that signs heads.
    pub key: Option<Secret>,
    /// The answer to requests while it cannot be written.
    pub on_failure: OnFailure,
    /// When another file begins.
    pub rotate: Rotate,
    /// How large a file may become.
    pub max_file_bytes: u64,
    /// After how many days whole files are removed; 0 for never.
    pub keep_days: u64,
}

rows! {
    /// The audit log: for each request for a recording the caller, the decision, and how much of
    /// the recording was sent. docs/audit.md documents its lines, and what they prove. It names
    /// recordings and people as they are, since that is its purpose; no setting hashes them.
    /// [audit] is read at start only. `wavegate init` writes dir and key_file.
    mod keys = "[audit]";

    /// The folder of its files. Only this process writes into it, and `wavegate doctor` into the
    /// folder doctor in it.
    dir: Free<PathBuf> = path("audit").absent("none, and nobody can tell later who heard what");

    /// The Ed25519 private key (PEM, PKCS#8) that signs the log every minute. Needed with dir. Make
    /// it with: openssl genpkey -algorithm ed25519
    key_file: Free<Secret> = secret("secrets/audit-head-key").absent("none");

    /// The answer to requests while the log cannot be written. refuse: they get 503. serve: they
    /// are answered, and only their number is written later.
    on_failure: OneOf<OnFailure> = one_of(&FAILURES, OnFailure::Refuse);

    /// When a new file begins. day: at midnight UTC, and when one is full. size: when one is full.
    rotate: OneOf<Rotate> = one_of(&ROTATIONS, Rotate::Day);

    /// The size at which a file is full.
    max_file_bytes: Number<u64> = bytes(65_536..=1 << 40, 64 << 20);

    /// After how many days a file is removed; 0 keeps files forever. A file is removed when all of
    /// it is older, together with the heads of its lines in heads.jsonl.
    keep_days: Number<u64> = days(0..=36_500, 0);
}

pub(super) fn read_audit(section: &mut Section<'_>) -> AuditSection {
    let dir = keys::dir.given(section);
    if dir.is_some() && !section.has(keys::key_file.name) {
        section.problem(
            keys::key_file.name,
            "missing; make a key with: openssl genpkey -algorithm ed25519",
        );
    }
    AuditSection {
        dir,
        key: keys::key_file.given(section),
        on_failure: keys::on_failure.get(section),
        rotate: keys::rotate.get(section),
        max_file_bytes: keys::max_file_bytes.get(section),
        keep_days: keys::keep_days.get(section),
    }
}

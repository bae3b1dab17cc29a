//! `[audit]`: where it is written down who heard what.

use crate::audit::settings::{AuditSettings, HeadKey, OnFailure, Rotate};
use crate::config::section::Section;

pub(super) fn read_audit(section: &mut Section<'_>) -> Option<AuditSettings> {
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
    let key = section.secret_file("key_file");
    let key = key.and_then(|pem| section.note("key_file", HeadKey::read(&pem)));
    Some(AuditSettings {
        dir: dir?,
        on_failure,
        rotate,
        max_file_bytes: max_file_bytes.unwrap_or(AuditSettings::MAX_FILE_BYTES),
        keep_days,
        key: key?,
    })
}

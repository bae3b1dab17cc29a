//! No change to the file makes a revoked token valid again.

use tempfile::TempDir;

use super::*;

/// A list with these lines. It is not watched; each test reads it.
fn list(lines: &str) -> (Revocations, PathBuf, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("revoked.jsonl");
    fs::write(&path, lines).unwrap();
    let revocations = Revocations {
        path: Some(path.clone()),
        revoked: ArcSwap::default(),
        changed: Arc::default(),
        met: watch::Sender::new(false),
        known: Mutex::default(),
        listener: Box::new(|_| {}),
    };
    revocations.read().unwrap();
    (revocations, path, folder)
}

fn entries(revocations: &Revocations) -> usize {
    revocations.revoked.load().entries()
}

const TWO: &str = "{\"jti\":\"a\"}\n{\"jti\":\"b\"}\n";

#[test]
fn a_mistake_or_a_lost_file_leaves_the_entries_in_force() {
    let (revocations, path, _folder) = list(TWO);
    fs::write(&path, "{\"jti\":\"a\"}\n{\"jti\":").unwrap();
    assert!(revocations.read().is_err());
    assert_eq!(entries(&revocations), 2);
    // The mistake is reported once; the file is read again when it has changed.
    assert!(revocations.read().is_ok());
    fs::remove_file(&path).unwrap();
    assert!(revocations.read().is_err());
    assert_eq!(entries(&revocations), 2);
}

#[test]
fn a_shorter_list_counts_once_it_is_stable() {
    let (revocations, path, _folder) = list(TWO);
    fs::write(&path, "").unwrap();
    revocations.read().unwrap();
    assert_eq!(entries(&revocations), 2);
    fs::write(&path, "{\"jti\":\"a\"}\n").unwrap();
    revocations.read().unwrap();
    assert_eq!(entries(&revocations), 2);
    revocations.read().unwrap();
    assert_eq!(entries(&revocations), 1);
}

#[test]
fn an_entry_is_added_beside_a_mistake_but_not_to_a_lost_list() {
    let (revocations, path, _folder) = list(TWO);
    fs::write(&path, format!("{TWO}{{\"jti\":")).unwrap();
    revocations.revoke("{\"jti\":\"c\"}").unwrap();
    assert_eq!(entries(&revocations), 3);
    fs::remove_file(&path).unwrap();
    let refused = revocations.revoke("{\"jti\":\"d\"}");
    assert!(matches!(refused, Err(RevokeError::Lost)), "{refused:?}");
    assert!(!path.exists());
    assert_eq!(entries(&revocations), 3);
}

#[test]
fn an_entry_too_many_is_not_written() {
    let full = "{\"jti\":\"a\"}\n".repeat(100_000);
    let (revocations, path, _folder) = list(&full);
    let refused = revocations.revoke("{\"jti\":\"b\"}");
    assert!(matches!(refused, Err(RevokeError::List(_))), "{refused:?}");
    assert_eq!(fs::metadata(&path).unwrap().len(), full.len() as u64);
}

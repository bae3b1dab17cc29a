//! Nothing becomes valid again by what happens to the file.

use tempfile::TempDir;

use super::*;

/// A list with these lines, which is not watched but read when a test says so.
fn list(lines: &str) -> (Revocations, PathBuf, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("revoked.jsonl");
    fs::write(&path, lines).unwrap();
    let revocations = Revocations {
        path: Some(path.clone()),
        revoked: ArcSwap::default(),
        known: Mutex::default(),
        spread: Box::new(|_| {}),
    };
    revocations.read().unwrap();
    (revocations, path, folder)
}

fn entries(revocations: &Revocations) -> usize {
    revocations.revoked.load().entries()
}

const TWO: &str = "{\"jti\":\"a\"}\n{\"jti\":\"b\"}\n";

#[test]
fn a_mistake_and_a_loss_take_nothing_back() {
    let (revocations, path, _folder) = list(TWO);
    fs::write(&path, "{\"jti\":\"a\"}\n{\"jti\":").unwrap();
    assert!(revocations.read().is_err());
    assert_eq!(entries(&revocations), 2);
    // It is told once, and looked at again when it has changed.
    assert!(revocations.read().is_ok());
    fs::remove_file(&path).unwrap();
    assert!(revocations.read().is_err());
    assert_eq!(entries(&revocations), 2);
}

#[test]
fn a_shorter_list_counts_once_it_stays_so() {
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
fn an_entry_counts_beside_a_mistake_and_a_lost_list_gets_no_successor() {
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

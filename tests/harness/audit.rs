//! The audit log of a test's gateway, read without the gateway's own code.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::soon;
use crate::harness::programs::{Ended, run_wavegate};

/// A key for signing heads.
pub(crate) const HEAD_KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEIBfZmoPugdLkNU6+s92q9tDlDfW+WKpR2ta6bVvoBHS6\n\
    -----END PRIVATE KEY-----\n";
/// Its public part.
pub(crate) const HEAD_PUBLIC_KEY: &str = "WaQXeeATiaxC7ucXcPV/QN2IWhwu/p6sJd3JvwRV6J0=";

/// The folder of the log, where the configuration is in `folder`.
pub(crate) fn dir(folder: &Path) -> PathBuf {
    folder.join("audit")
}

/// The files of the log, in order.
pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let is_log = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with("audit-") && name.ends_with(".jsonl")
    };
    let mut files: Vec<PathBuf> = paths.filter(is_log).collect();
    files.sort_unstable();
    files
}

/// The place where the audio of a recording begins, by its header.
pub(crate) fn audio_begins(recording: &[u8]) -> u64 {
    let mark = recording.windows(4).position(|window| window == b"data");
    mark.unwrap() as u64 + 8
}

/// All complete lines, in order.
pub(crate) fn lines(dir: &Path) -> Vec<Value> {
    let mut lines = Vec::new();
    for file in files(dir) {
        let text = std::fs::read_to_string(file).unwrap();
        let whole = text
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'));
        lines.extend(whole.map(|line| serde_json::from_str::<Value>(line).unwrap()));
    }
    lines
}

/// The lines of a kind.
pub(crate) fn of_kind(dir: &Path, kind: &str) -> Vec<Value> {
    let lines = lines(dir).into_iter();
    lines.filter(|line| line["kind"] == kind).collect()
}

/// Waits until there are this many lines of a kind, and returns them.
pub(crate) async fn until(dir: &Path, kind: &str, count: usize) -> Vec<Value> {
    soon(async {
        loop {
            let lines = of_kind(dir, kind);
            if lines.len() >= count {
                return lines;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

/// `wavegate audit verify`.
pub(crate) async fn verify(dir: &Path, arguments: &[&str]) -> Ended {
    let dir = dir.to_str().unwrap();
    run_wavegate(&[&["audit", "verify", dir], arguments].concat()).await
}

/// The output of `wavegate audit verify` for an intact log.
pub(crate) async fn verified(dir: &Path, arguments: &[&str]) -> String {
    let ended = verify(dir, arguments).await;
    assert_eq!((ended.code, &*ended.err), (Some(0), ""), "{}", ended.out);
    ended.out
}

/// The rows of `wavegate audit report`.
pub(crate) async fn report(dir: &Path, arguments: &[&str]) -> Vec<Value> {
    let dir = dir.to_str().unwrap();
    let fixed = ["audit", "report", dir, "--format", "json"];
    let ended = run_wavegate(&[&fixed, arguments].concat()).await;
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    serde_json::from_str::<Vec<Value>>(&ended.out).unwrap()
}

//! The writer on a day that is hard to reproduce from outside.

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::audit::SharedLog;
use crate::audit::heads::HeadKey;
use crate::audit::settings::{OnFailure, Rotate};

fn writer(dir: &Path) -> Writer {
    let audit = AuditSettings {
        dir: dir.to_owned(),
        on_failure: OnFailure::Refuse,
        rotate: Rotate::Day,
        max_file_bytes: 1 << 20,
        keep_days: 30,
        key: HeadKey::generate().unwrap().0,
    };
    let shared = Arc::new(SharedLog {
        queue: Default::default(),
        tally: Default::default(),
        outage: Default::default(),
        metrics: Default::default(),
    });
    let opened = Files::open(&audit);
    Writer::new(audit, shared, opened, CancellationToken::new().drop_guard())
}

fn file(dir: &Path, number: u32, date: &str) -> std::path::PathBuf {
    dir.join(format!("audit-{number:08}-{date}.jsonl"))
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn an_old_file_that_cannot_be_removed_costs_no_line() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    writer(dir).by_time(true).unwrap();
    // Without lines no file is begun.
    assert!(crate::audit::files::list(dir).unwrap().is_empty());
    // The second is a folder with the name of a file, so it cannot be removed.
    fs::write(file(dir, 1, "2020-01-01"), "").unwrap();
    fs::create_dir(file(dir, 2, "2020-01-02")).unwrap();
    let last = file(dir, 3, "2020-01-03");
    let line = format!("{{\"seq\":7,\"prev\":\"{}\"}}\n", "0".repeat(64));
    fs::write(&last, line).unwrap();

    let mut writer = writer(dir);
    writer
        .shared
        .tally
        .count(IpAddr::from([192, 0, 2, 1]), Timestamp::now());
    writer.by_time(true).unwrap();
    assert!(writer.files.is_some());
    assert!(!file(dir, 1, "2020-01-01").exists());
    let names = crate::audit::files::list(dir).unwrap();
    let told = lines(&dir.join(names.last().unwrap().to_string()));
    let kinds: Vec<&str> = told
        .iter()
        .map(|line| line["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["file", "refused", "removed", "head"]);
    assert_eq!(told[1]["count"], 1);
    assert_eq!(told[2]["files"].as_array().unwrap().len(), 1);
}

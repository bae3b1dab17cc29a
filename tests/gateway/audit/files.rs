//! Audit files: a new file continues the chain, and old files are removed as a whole.

use std::fs;
use std::path::Path;

use wavegate::app::{App, GatewayParts};

use super::{dir, pbx};
use crate::harness::audit::{HEAD_PUBLIC_KEY, files, lines, of_kind, verified, verify};
use crate::harness::{NAME, gateway};

fn names(dir: &Path) -> Vec<String> {
    let name = |path: &std::path::PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    files(dir).iter().map(name).collect()
}

#[tokio::test]
async fn a_full_file_is_followed_by_another_one() {
    let pbx = pbx().await;
    let gateway = gateway(&pbx)
        .cache()
        .audit()
        .set("audit.max_file_bytes", 65536)
        .set("audit.rotate", "size");
    let gateway = gateway.start().await;
    let folder = dir(&gateway);
    for _ in 0..200 {
        gateway.fetch(NAME).await;
    }
    assert!(gateway.app.shut_down().await);
    let names = names(&folder);
    assert!(names.len() > 2, "{names:?}");
    for file in files(&folder) {
        assert!(fs::metadata(file).unwrap().len() < 65_536 + 4_096);
    }
    let begins = of_kind(&folder, "file");
    assert_eq!(begins[0]["previous"], serde_json::Value::Null);
    for (begin, before) in begins[1..].iter().zip(&names) {
        assert_eq!(begin["previous"], **before);
    }
    verified(&folder, &[]).await;

    // A missing file in the middle is an error. Missing files at the start are only reported.
    let second = fs::read(folder.join(&names[1])).unwrap();
    fs::remove_file(folder.join(&names[1])).unwrap();
    let ended = verify(&folder, &[]).await;
    assert_eq!(ended.code, Some(1));
    assert!(
        ended
            .err
            .starts_with(&format!("wavegate: {}:1: lines ", names[2])),
        "{}",
        ended.err
    );
    fs::write(folder.join(&names[1]), second).unwrap();
    fs::remove_file(folder.join(&names[0])).unwrap();
    let told = verified(&folder, &[]).await;
    assert!(told.contains("It begins in the middle"), "{told}");
    // A file that lost its first lines is an error again.
    let text = fs::read_to_string(folder.join(&names[1])).unwrap();
    let (_, rest) = text.split_once('\n').unwrap();
    fs::write(folder.join(&names[1]), rest).unwrap();
    let ended = verify(&folder, &[]).await;
    assert!(
        ended.err.contains("lines at its start were removed"),
        "{}",
        ended.err
    );
}

#[tokio::test]
async fn a_new_day_begins_a_file_and_old_ones_go_as_a_whole() {
    let pbx = pbx().await;
    let builder = gateway(&pbx).cache().audit().set("audit.keep_days", 30);
    let path = builder.write();
    let folder = crate::harness::audit::dir(builder.folder());
    let run = async || {
        let app = App::start(GatewayParts::load(&path).unwrap())
            .await
            .unwrap();
        assert!(app.shut_down().await);
    };
    run().await;
    // Dates the file as if it had begun long ago.
    let age = |index: usize, date: &str| {
        let old = files(&folder).remove(index);
        let number = format!("audit-{:08}-{date}.jsonl", index + 1);
        fs::rename(old, folder.join(number)).unwrap();
    };
    age(0, "2020-01-01");
    run().await;
    assert_eq!(names(&folder).len(), 2, "{:?}", names(&folder));
    verified(&folder, &[]).await;
    // The file's last line is of today, so it is not old yet, whatever its date in the name.
    run().await;
    assert_eq!(names(&folder)[0], "audit-00000001-2020-01-01.jsonl");
    age(1, "2020-02-01");
    run().await;
    // The last line of the second file is of today, too.
    assert_eq!(names(&folder)[0], "audit-00000002-2020-02-01.jsonl");
    assert_eq!(names(&folder).len(), 2);
    let removed = of_kind(&folder, "removed");
    assert_eq!(removed[0]["files"][0], "audit-00000001-2020-01-01.jsonl");
    let first = lines(&folder)[0]["seq"].as_u64().unwrap();
    assert!(first > 1);
    // The heads of the removed files are gone, too; all others remain.
    let heads = fs::read_to_string(folder.join("heads.jsonl")).unwrap();
    let heads = heads.lines().filter(|line| !line.is_empty());
    let heads: Vec<serde_json::Value> = heads
        .map(|head| serde_json::from_str(head).unwrap())
        .collect();
    assert!(
        heads
            .iter()
            .all(|head| head["head"].as_u64().unwrap() >= first)
    );
    assert_eq!(heads.len(), of_kind(&folder, "head").len());
    let told = verified(&folder, &["--key", HEAD_PUBLIC_KEY]).await;
    assert!(!told.contains("more heads are of lines"), "{told}");
    assert!(told.contains("It begins in the middle"), "{told}");
}

#[tokio::test]
async fn one_line_logs_any_number_of_removed_files() {
    let pbx = pbx().await;
    let builder = gateway(&pbx).cache().audit().set("audit.keep_days", 30);
    let path = builder.write();
    let folder = crate::harness::audit::dir(builder.folder());
    let app = App::start(GatewayParts::load(&path).unwrap())
        .await
        .unwrap();
    assert!(app.shut_down().await);
    let last = names(&folder).remove(0).replace("-00000001-", "-00003000-");
    fs::rename(files(&folder).remove(0), folder.join(last)).unwrap();
    for number in 1..=2001 {
        fs::write(
            folder.join(format!("audit-{number:08}-2020-01-01.jsonl")),
            "",
        )
        .unwrap();
    }
    let app = App::start(GatewayParts::load(&path).unwrap())
        .await
        .unwrap();
    assert!(app.shut_down().await);
    assert_eq!(files(&folder).len(), 2);
    let removed = of_kind(&folder, "removed").remove(0);
    assert_eq!(removed["files"].as_array().unwrap().len(), 500);
    assert_eq!(removed["further"], 1500);
    // The last of the made-up files is empty, which no real log file is. Without it the log
    // verifies.
    fs::remove_file(files(&folder).remove(0)).unwrap();
    verified(&folder, &[]).await;
}

#[tokio::test]
async fn the_files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;

    let pbx = pbx().await;
    let gateway = gateway(&pbx).cache().audit().start().await;
    let folder = dir(&gateway);
    gateway.fetch(NAME).await;
    assert!(gateway.app.shut_down().await);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    for entry in fs::read_dir(&folder).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
}

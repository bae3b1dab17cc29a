//! `audit verify` reports a change to the log with its file and line, and says which parts it
//! cannot prove.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use http::{Method, StatusCode};
use serde_json::Value;
use tempfile::TempDir;

use super::{audited, dir, pbx};
use crate::harness::audit::{HEAD_PUBLIC_KEY, files, verified, verify};
use crate::harness::programs::Ended;
use crate::harness::{Call, Gateway, NAME, gateway, jwt, soon};

/// A log of a few downloads, after the gateway has shut down.
struct Log {
    _folder: TempDir,
    dir: PathBuf,
}

impl Log {
    async fn written() -> Self {
        let pbx = pbx().await;
        let gateway = audited(&pbx).await;
        for _ in 0..4 {
            gateway.fetch(NAME).await;
        }
        Self::of(gateway).await
    }

    /// Copies the log, since the gateway's folder is removed with the gateway.
    async fn of(gateway: Gateway) -> Self {
        let from = dir(&gateway);
        assert!(gateway.app.shut_down().await);
        Self::copied(&from)
    }

    fn copied(from: &Path) -> Self {
        let kept = tempfile::tempdir().unwrap();
        let folder = kept.path().join("audit");
        fs::create_dir(&folder).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
        }
        Self {
            _folder: kept,
            dir: folder,
        }
    }

    fn file(&self) -> PathBuf {
        files(&self.dir).remove(0)
    }

    fn name(&self) -> String {
        let file = self.file();
        file.file_name().unwrap().to_str().unwrap().to_owned()
    }

    fn lines(&self) -> Vec<String> {
        let text = fs::read_to_string(self.file()).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    fn put(&self, lines: &[String]) {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        fs::write(self.file(), text).unwrap();
    }
}

#[track_caller]
fn faulty(ended: &Ended, place: &str, words: &str) {
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(ended.out, "");
    let expected = format!("wavegate: {place}");
    assert!(ended.err.starts_with(&expected), "{}", ended.err);
    assert!(ended.err.contains(words), "{}", ended.err);
}

#[tokio::test]
async fn each_change_is_named_by_its_file_and_line() {
    let log = Log::written().await;
    verified(&log.dir, &["--key", HEAD_PUBLIC_KEY]).await;
    let lines = log.lines();
    let name = log.name();
    assert!(lines.len() > 9, "{}", lines.len());
    for at in 1..lines.len() - 1 {
        let number = at + 1;
        let changed = lines[at].replace("T", "t");
        let one_less: Vec<String> = [&lines[..at], &lines[at + 1..]].concat();
        let mut swapped = lines.clone();
        swapped.swap(at - 1, at);
        let mut forged = lines.clone();
        forged[at].clone_from(&changed);
        let mut doubled = lines.clone();
        doubled.insert(at, lines[at].clone());
        let mut garbled = lines.clone();
        garbled[at] = "{}".to_owned();
        let mut relinked = lines.clone();
        let begin = lines[at].find("\"prev\":\"").unwrap() + 8;
        let digit = if lines[at][begin..].starts_with('0') {
            "1"
        } else {
            "0"
        };
        relinked[at].replace_range(begin..=begin, digit);
        for (lines, place, words) in [
            (&forged, number, "changed"),
            (&one_less, number, "removed or moved"),
            (&doubled, number + 1, "belongs here"),
            (&garbled, number, "not a line"),
            (&relinked, number, "changed"),
        ] {
            log.put(lines);
            let ended = verify(&log.dir, &[]).await;
            faulty(&ended, &format!("{name}:{place}: "), words);
        }
        log.put(&swapped);
        let ended = verify(&log.dir, &[]).await;
        let words = if at == 1 { "removed" } else { "were swapped" };
        faulty(&ended, &format!("{name}:{}: ", number - 1), words);
    }
    log.put(&lines);
    verified(&log.dir, &[]).await;
}

#[tokio::test]
async fn an_end_that_is_changed_under_a_running_gateway_shows() {
    let pbx = pbx().await;
    type Change = fn(&mut Vec<String>);
    let longer: Change = |lines| {
        let last = lines.last_mut().unwrap();
        *last = last.replace("\"complete\"", "\"downstream-gone\"");
    };
    let as_long: Change = |lines| {
        let last = lines.last_mut().unwrap();
        *last = last.replace("\"complete\"", "\"incomplet\"");
    };
    let cut: Change = |lines| drop(lines.pop());
    let garbled: Change = |lines| *lines.last_mut().unwrap() = "nothing".to_owned();
    let added: Change = |lines| {
        let last: Value = serde_json::from_str(lines.last().unwrap()).unwrap();
        let hash = sha256(lines.last().unwrap());
        let mut further = last.clone();
        further["seq"] = (last["seq"].as_u64().unwrap() + 1).into();
        further["prev"] = hash.into();
        lines.push(further.to_string());
    };
    // `behind` is the distance from the last original line to the line that the error names.
    for (change, behind, words) in [
        (longer, 0, "was changed"),
        (as_long, 0, "was changed"),
        (cut, 0, "removed or moved"),
        (garbled, 0, "removed or moved"),
        (added, 2, "belongs here"),
    ] {
        let gateway = audited(&pbx).await;
        let folder = dir(&gateway);
        gateway.fetch(NAME).await;
        crate::harness::audit::until(&folder, "delivery", 1).await;
        let file = files(&folder).remove(0);
        let text = fs::read_to_string(&file).unwrap();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let last = lines.len();
        change(&mut lines);
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        fs::write(&file, text).unwrap();
        soon(async {
            let get = async || gateway.get(NAME).bearer(&jwt("alice")).send().await;
            while get().await.status() != StatusCode::OK {}
        })
        .await;
        let log = Log::of(gateway).await;
        let ended = verify(&log.dir, &[]).await;
        faulty(
            &ended,
            &format!("{}:{}: ", log.name(), last + behind),
            words,
        );
    }
}

/// The hash in hexadecimal, by the system's `sha256sum`.
fn sha256(line: &str) -> String {
    use std::io::Write;

    let mut program = Command::new("sha256sum");
    let program = program.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut program = program.spawn().unwrap();
    program
        .stdin
        .take()
        .unwrap()
        .write_all(line.as_bytes())
        .unwrap();
    let told = program.wait_with_output().unwrap().stdout;
    String::from_utf8(told[..64].to_vec()).unwrap()
}

/// The log of a gateway that was killed, so that its last lines stand after the last head.
async fn killed() -> Log {
    let pbx = pbx().await;
    let builder = gateway(&pbx).cache().audit().set("log.level", "info");
    let config = builder.write();
    let folder = crate::harness::audit::dir(builder.folder());
    let (first, _) = crate::harness::programs::serve(&config).await;
    assert_eq!(first.stop().await.code, Some(0));
    let (second, addr) = crate::harness::programs::serve(&config).await;
    let target = format!("/recordings/{NAME}");
    let call = Call::new(addr, Method::GET, &target).bearer(&jwt("alice"));
    drop(call.send().await.bytes().await);
    crate::harness::audit::until(&folder, "delivery", 1).await;
    second.signal("KILL");
    second.end().await;
    Log::copied(&folder)
}

/// Changes the line at `at`, and rebuilds the chain in the lines after it.
fn rewritten(lines: &[String], at: usize, from: &str, to: &str) -> Vec<String> {
    let mut anew = lines[..at].to_vec();
    for line in &lines[at..] {
        let (begin, rest) = line.split_once("\"prev\":\"").unwrap();
        let line = format!(
            "{begin}\"prev\":\"{}{}",
            sha256(anew.last().unwrap()),
            &rest[64..]
        );
        anew.push(line.replace(from, to));
    }
    assert_ne!(anew, lines);
    anew
}

#[tokio::test]
async fn lines_after_the_last_head_are_reported_as_not_proved() {
    let log = killed().await;
    let lines = log.lines();
    let head = lines
        .iter()
        .rposition(|line| line.contains("\"kind\":\"head\""));
    let (head, last) = (head.unwrap() + 1, lines.len());
    let told = verified(&log.dir, &["--key", HEAD_PUBLIC_KEY]).await;
    let words = format!("Lines {} to {last} stand behind the last head", head + 1);
    assert!(told.contains(&words), "{told}");

    // A change after the last head cannot be detected, so these lines are reported as not proved.
    log.put(&rewritten(&lines, head, "alice", "mallory"));
    let told = verified(&log.dir, &["--key", HEAD_PUBLIC_KEY]).await;
    assert!(told.contains(&words), "{told}");
    // A change before the head is detected.
    log.put(&rewritten(&lines, 1, "\"version\":\"", "\"version\":\"9"));
    let ended = verify(&log.dir, &[]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");

    // In a log that was closed in order, no line stands after the last head.
    let log = Log::written().await;
    let told = verified(&log.dir, &[]).await;
    assert!(!told.contains("behind the last head"), "{told}");
}

#[tokio::test]
async fn with_a_key_there_must_be_a_head() {
    let log = Log::written().await;
    let heads = log.dir.join("heads.jsonl");
    for text in [None, Some(""), Some("nothing\n")] {
        match text {
            None => fs::remove_file(&heads).unwrap(),
            Some(text) => fs::write(&heads, text).unwrap(),
        }
        let ended = verify(&log.dir, &["--key", HEAD_PUBLIC_KEY]).await;
        faulty(&ended, "no head of these lines", "lines may be missing");
        verified(&log.dir, &[]).await;
    }
    // The same holds where the log itself has lost its last head.
    let lines: Vec<String> = log.lines();
    log.put(&lines[..lines.len() - 2]);
    let told = verified(&log.dir, &[]).await;
    assert!(
        told.contains("There is no head to compare it with"),
        "{told}"
    );
    let words = format!("Lines 1 to {} stand behind the last head", lines.len() - 2);
    assert!(told.contains(&words), "{told}");
}

#[tokio::test]
async fn a_cut_end_shows_by_a_later_head_alone() {
    let log = Log::written().await;
    let lines = log.lines();
    let kept = log.dir.join("../kept.jsonl");
    fs::rename(log.dir.join("heads.jsonl"), &kept).unwrap();
    let kept = kept.to_str().unwrap();
    let told = verified(&log.dir, &["--head", kept]).await;
    assert!(
        told.contains("was kept elsewhere, it is the log that was written"),
        "{told}"
    );

    let left = lines.len() - 3;
    log.put(&lines[..left]);
    let told = verified(&log.dir, &[]).await;
    assert!(
        told.contains("Not proved: that nothing was cut off its end"),
        "{told}"
    );
    let ended = verify(&log.dir, &["--head", kept]).await;
    faulty(
        &ended,
        &format!("{}:{left}: ", log.name()),
        "2 lines were cut off its end",
    );

    // A different whole log is consistent in itself, but does not match the head.
    let anew = Log::written().await;
    verified(&anew.dir, &["--key", HEAD_PUBLIC_KEY]).await;
    let ended = verify(&anew.dir, &["--head", kept]).await;
    faulty(
        &ended,
        &format!("{}:{}: ", anew.name(), lines.len() - 1),
        "not the line that was signed",
    );
}

#[tokio::test]
async fn the_last_line_is_held_by_the_head_beside_it() {
    let log = Log::written().await;
    let mut lines = log.lines();
    // Removes the head in the log itself.
    lines.pop();
    let last = lines.len() - 1;
    lines[last] = lines[last].replace("complete", "upstream-failed");
    log.put(&lines);
    let ended = verify(&log.dir, &[]).await;
    faulty(
        &ended,
        &format!("{}:{}: ", log.name(), lines.len()),
        "not the line that was signed",
    );
}

#[tokio::test]
async fn a_head_that_was_forged_or_is_of_another_key_is_refused() {
    let log = Log::written().await;
    let other = "AAAAeeATiaxC7ucXcPV/QN2IWhwu/p6sJd3JvwRV6J0=";
    let ended = verify(&log.dir, &["--key", other]).await;
    faulty(&ended, "heads.jsonl, the head of line ", "another key");

    let heads = log.dir.join("heads.jsonl");
    let text = fs::read_to_string(&heads).unwrap();
    fs::write(&heads, text.replacen("\"head\":", "\"head\":1", 1)).unwrap();
    let ended = verify(&log.dir, &[]).await;
    faulty(
        &ended,
        "heads.jsonl, the head of line 1",
        "signature of this head is wrong",
    );

    let kept = log.dir.join("../kept.jsonl");
    fs::write(&kept, "nothing\n{}\n").unwrap();
    let ended = verify(&log.dir, &["--head", kept.to_str().unwrap()]).await;
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.err.contains("there is no head in it"),
        "{}",
        ended.err
    );
}

#[tokio::test]
async fn the_gateways_own_log_is_a_place_for_heads() {
    let pbx = pbx().await;
    let builder = gateway(&pbx).cache().audit().set("log.level", "info");
    let config = builder.write();
    let folder = crate::harness::audit::dir(builder.folder());
    let (running, _) = crate::harness::programs::serve(&config).await;
    let ended = running.stop().await;
    assert_eq!(ended.code, Some(0));
    assert!(ended.err.contains("\"audit head\""));
    let kept = builder.folder().join("journal");
    fs::write(&kept, ended.err).unwrap();
    fs::remove_file(folder.join("heads.jsonl")).unwrap();
    let told = verified(&folder, &["--head", kept.to_str().unwrap()]).await;
    assert!(told.contains("kept elsewhere"), "{told}");
    cut_last(&folder);
    cut_last(&folder);
    let ended = verify(&folder, &["--head", kept.to_str().unwrap()]).await;
    assert_eq!(ended.code, Some(1), "{}", ended.err);
}

fn cut_last(dir: &Path) {
    let file = files(dir).pop().unwrap();
    let text = fs::read_to_string(&file).unwrap();
    let end = text.trim_end().rfind('\n').unwrap();
    fs::write(&file, &text[..=end]).unwrap();
}

#[tokio::test]
async fn verify_fails_for_a_folder_without_a_log() {
    let folder = tempfile::tempdir().unwrap();
    for dir in [folder.path().to_owned(), folder.path().join("none")] {
        let ended = verify(&dir, &[]).await;
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.err.contains(dir.to_str().unwrap()));
    }
}

//! The rule for logins over time, restarts and clocks.

use super::*;

const RETRY: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

fn open(folder: &Path, password: &str) -> LoginHistory {
    LoginHistory::open(Some(folder), "main", &[b"api", password.as_bytes()], RETRY).unwrap()
}

/// As [`open`], without stretching the password over and over.
fn open_quickly(folder: &Path) -> LoginHistory {
    let file = folder.join("logins-main.json");
    if !file.exists() {
        return open(folder, "unknown");
    }
    LoginHistory {
        record: read(&file).unwrap(),
        file: Some(file),
        retry: RETRY,
        unsaved: false,
    }
}

#[test]
fn after_two_refusals_there_is_no_third_login_even_after_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let start = SystemTime::now();
    let mut history = open(folder.path(), "wrong");
    assert_eq!(history.verdict(start), Verdict::Go);
    history.begin(start).unwrap();
    history.end(Ended::Refused, start).unwrap();

    let mut history = open(folder.path(), "wrong");
    assert!(matches!(history.verdict(start), Verdict::Wait(_)));
    let later = start + RETRY + SECOND;
    assert_eq!(history.verdict(later), Verdict::Go);
    history.begin(later).unwrap();
    history.end(Ended::Refused, later).unwrap();

    let mut history = open(folder.path(), "wrong");
    assert_eq!(history.verdict(later + 1_000 * RETRY), Verdict::Stopped);
    // The operator's word is good for one more, however often it comes.
    history.forgive().unwrap();
    history.forgive().unwrap();
    assert_eq!(open(folder.path(), "wrong").verdict(later), Verdict::Go);
    history.begin(later).unwrap();
    history.end(Ended::Refused, later).unwrap();
    assert_eq!(history.verdict(later + 1_000 * RETRY), Verdict::Stopped);
}

#[test]
fn lost_answers_never_add_up_to_a_fifth_try_and_never_stop_logins_for_good() {
    let folder = tempfile::tempdir().unwrap();
    let mut now = SystemTime::now();
    let mut tries = 0;
    // Whoever asks all the time gets four tries until the PBX would have forgotten the first.
    for _ in 0..LOCK_OUT.as_secs() {
        let mut history = open_quickly(folder.path());
        if history.verdict(now) == Verdict::Go {
            history.begin(now).unwrap();
            tries += 1;
        }
        now += SECOND;
    }
    assert_eq!(tries, 4);
    let mut history = open_quickly(folder.path());
    assert!(matches!(history.verdict(now), Verdict::Unanswered(_)));
    assert_eq!(history.verdict(now + LOCK_OUT), Verdict::Go);
    history.begin(now + LOCK_OUT).unwrap();
    history.end(Ended::Accepted, now + LOCK_OUT).unwrap();
    assert_eq!(history.verdict(now + LOCK_OUT), Verdict::Go);
}

#[test]
fn neither_the_operators_word_nor_other_credentials_lead_to_a_fifth_failure() {
    let folder = tempfile::tempdir().unwrap();
    let mut now = SystemTime::now();
    let fail = |history: &mut LoginHistory, now| {
        assert_eq!(history.verdict(now), Verdict::Go);
        history.begin(now).unwrap();
        history.end(Ended::Refused, now).unwrap();
    };
    let mut history = open(folder.path(), "wrong");
    fail(&mut history, now);
    for password in ["wrong", "wrong, too", "also wrong"] {
        now += SECOND;
        history = open(folder.path(), password);
        history.forgive().unwrap();
        fail(&mut history, now);
    }
    // The fifth would lock the address out, so it waits until the PBX would have forgotten.
    history.forgive().unwrap();
    assert_eq!(history.verdict(now), Verdict::Brink(LOCK_OUT));
    let mut history = open(folder.path(), "right");
    assert!(matches!(history.verdict(now + SECOND), Verdict::Brink(_)));
    assert_eq!(history.verdict(now + LOCK_OUT), Verdict::Go);
    history.begin(now + LOCK_OUT).unwrap();
    history.end(Ended::Accepted, now + LOCK_OUT).unwrap();
    assert_eq!(history.verdict(now + LOCK_OUT), Verdict::Go);
}

#[test]
fn two_restarts_during_a_login_do_not_stop_it() {
    let folder = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    for _ in 0..2 {
        let mut history = open(folder.path(), "right");
        assert_eq!(history.verdict(now), Verdict::Go);
        history.begin(now).unwrap();
    }
    let mut history = open(folder.path(), "right");
    assert!(matches!(history.verdict(now), Verdict::Unanswered(_)));
    assert_eq!(history.verdict(now + RETRY), Verdict::Go);
}

#[test]
fn a_clock_that_was_wrong_does_not_stretch_a_wait() {
    let now = SystemTime::now();
    let next_year = now + Duration::from_secs(365 * 86_400);
    for ended in [Ended::Refused, Ended::LockedOut] {
        let mut history = LoginHistory::open(None, "main", &[b"api"], RETRY).unwrap();
        history.begin(next_year).unwrap();
        history.end(ended, next_year).unwrap();
        assert_ne!(history.verdict(now), Verdict::Go);
        assert_eq!(history.verdict(now + LOCK_OUT), Verdict::Go);
    }
}

#[test]
fn other_credentials_start_afresh() {
    let folder = tempfile::tempdir().unwrap();
    let mut history = open(folder.path(), "wrong");
    for _ in 0..2 {
        history.begin(SystemTime::now()).unwrap();
        history.end(Ended::Refused, SystemTime::now()).unwrap();
    }
    assert_eq!(
        open(folder.path(), "wrong").verdict(SystemTime::now()),
        Verdict::Stopped
    );
    assert_eq!(
        open(folder.path(), "right").verdict(SystemTime::now()),
        Verdict::Go
    );
}

#[test]
fn a_lock_out_is_waited_for_and_counts_as_no_refusal() {
    let start = SystemTime::now();
    let mut history = LoginHistory::open(None, "main", &[b"api"], RETRY).unwrap();
    history.begin(start).unwrap();
    history.end(Ended::LockedOut, start).unwrap();
    assert!(matches!(history.verdict(start), Verdict::Locked(_)));
    assert_eq!(history.verdict(start + LOCK_OUT), Verdict::Go);
}

#[test]
fn a_pbx_that_does_not_answer_costs_no_try() {
    let mut history = LoginHistory::open(None, "main", &[b"api"], RETRY).unwrap();
    for _ in 0..10 {
        history.begin(SystemTime::now()).unwrap();
        history.end(Ended::Unjudged, SystemTime::now()).unwrap();
    }
    assert_eq!(history.verdict(SystemTime::now()), Verdict::Go);
}

#[test]
fn the_file_holds_nothing_of_the_credentials() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path(), "hunter2")
        .begin(SystemTime::now())
        .unwrap();
    let text = std::fs::read_to_string(folder.path().join("logins-main.json")).unwrap();
    assert!(!text.contains("hunter2") && !text.contains("api"), "{text}");
}

#[test]
fn what_two_processes_try_is_counted_together() {
    let folder = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    let mut gateway = open(folder.path(), "wrong");
    let mut doctor = open(folder.path(), "wrong");
    for history in [&mut doctor, &mut gateway] {
        history.begin(now).unwrap();
        history.end(Ended::Refused, now).unwrap();
    }
    let later = now + 1_000 * RETRY;
    assert_eq!(doctor.verdict(later), Verdict::Stopped);
    assert_eq!(gateway.verdict(later), Verdict::Stopped);

    // What could not be written is not forgotten for what stands in the file.
    let in_the_way = folder.path().join("logins-main.json.new");
    std::fs::create_dir(&in_the_way).unwrap();
    gateway.forgive().unwrap_err();
    assert_eq!(gateway.verdict(later), Verdict::Go);
    assert_eq!(doctor.verdict(later), Verdict::Stopped);
}

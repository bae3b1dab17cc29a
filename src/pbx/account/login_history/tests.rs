//! The rule for logins over time, restarts and clocks.

use super::*;
use crate::pbx::error::LOCK_OUT;

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
        credentials: Secret::new("not compared"),
        unshared: None,
        foreign: None,
        changes: 0,
    }
}

#[test]
fn two_refusals_stop_logins_even_after_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let start = SystemTime::now();
    let mut history = open(folder.path(), "wrong");
    assert_eq!(history.verdict(start), LoginVerdict::Go);
    history.begin(start).unwrap();
    history.end(LoginEnd::Refused, false, start).unwrap();

    let mut history = open(folder.path(), "wrong");
    assert!(matches!(history.verdict(start), LoginVerdict::Wait(_)));
    let later = start + RETRY + SECOND;
    assert_eq!(history.verdict(later), LoginVerdict::Go);
    history.begin(later).unwrap();
    history.end(LoginEnd::Refused, false, later).unwrap();

    let mut history = open(folder.path(), "wrong");
    assert_eq!(
        history.verdict(later + 1_000 * RETRY),
        LoginVerdict::Stopped
    );
    // The operator's word is good for one more, however often it comes.
    history.forgive().unwrap();
    history.forgive().unwrap();
    assert_eq!(
        open(folder.path(), "wrong").verdict(later),
        LoginVerdict::Go
    );
    history.begin(later).unwrap();
    history.end(LoginEnd::Refused, false, later).unwrap();
    assert_eq!(
        history.verdict(later + 1_000 * RETRY),
        LoginVerdict::Stopped
    );
}

#[test]
fn after_four_lost_answers_the_next_try_waits_ten_minutes() {
    let folder = tempfile::tempdir().unwrap();
    let mut now = SystemTime::now();
    let mut tries = 0;
    // A caller who asks all the time gets four tries until the PBX would have forgotten the first.
    for _ in 0..LOCK_OUT.as_secs() {
        let mut history = open_quickly(folder.path());
        if history.verdict(now) == LoginVerdict::Go {
            history.begin(now).unwrap();
            tries += 1;
        }
        now += SECOND;
    }
    assert_eq!(tries, 4);
    let mut history = open_quickly(folder.path());
    assert!(matches!(history.verdict(now), LoginVerdict::Unanswered(_)));
    assert_eq!(history.verdict(now + LOCK_OUT), LoginVerdict::Go);
    history.begin(now + LOCK_OUT).unwrap();
    history
        .end(LoginEnd::Accepted, false, now + LOCK_OUT)
        .unwrap();
    assert_eq!(history.verdict(now + LOCK_OUT), LoginVerdict::Go);
}

#[test]
fn forgiveness_and_new_passwords_allow_no_fifth_failure() {
    let folder = tempfile::tempdir().unwrap();
    let mut now = SystemTime::now();
    let fail = |history: &mut LoginHistory, now| {
        assert_eq!(history.verdict(now), LoginVerdict::Go);
        history.begin(now).unwrap();
        history.end(LoginEnd::Refused, false, now).unwrap();
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
    assert_eq!(history.verdict(now), LoginVerdict::Brink(LOCK_OUT));
    let mut history = open(folder.path(), "right");
    assert!(matches!(
        history.verdict(now + SECOND),
        LoginVerdict::Brink(_)
    ));
    assert_eq!(history.verdict(now + LOCK_OUT), LoginVerdict::Go);
    history.begin(now + LOCK_OUT).unwrap();
    history
        .end(LoginEnd::Accepted, false, now + LOCK_OUT)
        .unwrap();
    assert_eq!(history.verdict(now + LOCK_OUT), LoginVerdict::Go);
}

#[test]
fn two_restarts_during_a_login_do_not_stop_it() {
    let folder = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    for _ in 0..2 {
        let mut history = open(folder.path(), "right");
        assert_eq!(history.verdict(now), LoginVerdict::Go);
        history.begin(now).unwrap();
    }
    let mut history = open(folder.path(), "right");
    assert!(matches!(history.verdict(now), LoginVerdict::Unanswered(_)));
    assert_eq!(history.verdict(now + RETRY), LoginVerdict::Go);
}

#[test]
fn a_clock_that_was_wrong_does_not_stretch_a_wait() {
    let now = SystemTime::now();
    let next_year = now + Duration::from_secs(365 * 86_400);
    for ended in [LoginEnd::Refused, LoginEnd::LockedOut] {
        let mut history = LoginHistory::open(None, "main", &[b"api"], RETRY).unwrap();
        history.begin(next_year).unwrap();
        history.end(ended, false, next_year).unwrap();
        assert_ne!(history.verdict(now), LoginVerdict::Go);
        assert_eq!(history.verdict(now + LOCK_OUT), LoginVerdict::Go);
    }
}

#[test]
fn other_credentials_start_afresh() {
    let folder = tempfile::tempdir().unwrap();
    let mut history = open(folder.path(), "wrong");
    for _ in 0..2 {
        history.begin(SystemTime::now()).unwrap();
        history
            .end(LoginEnd::Refused, false, SystemTime::now())
            .unwrap();
    }
    assert_eq!(
        open(folder.path(), "wrong").verdict(SystemTime::now()),
        LoginVerdict::Stopped
    );
    assert_eq!(
        open(folder.path(), "right").verdict(SystemTime::now()),
        LoginVerdict::Go
    );
}

#[test]
fn a_lock_out_is_waited_for_and_counts_as_no_refusal() {
    let start = SystemTime::now();
    let mut history = LoginHistory::open(None, "main", &[b"api"], RETRY).unwrap();
    history.begin(start).unwrap();
    history.end(LoginEnd::LockedOut, false, start).unwrap();
    assert!(matches!(history.verdict(start), LoginVerdict::Locked(_)));
    assert_eq!(history.verdict(start + LOCK_OUT), LoginVerdict::Go);
}

#[test]
fn a_pbx_that_does_not_answer_costs_no_try() {
    let mut history = LoginHistory::open(None, "main", &[b"api"], RETRY).unwrap();
    for _ in 0..10 {
        history.begin(SystemTime::now()).unwrap();
        history
            .end(LoginEnd::Unjudged, false, SystemTime::now())
            .unwrap();
    }
    assert_eq!(history.verdict(SystemTime::now()), LoginVerdict::Go);
}

#[test]
fn the_file_does_not_contain_the_credentials() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path(), "hunter2")
        .begin(SystemTime::now())
        .unwrap();
    let text = std::fs::read_to_string(folder.path().join("logins-main.json")).unwrap();
    assert!(!text.contains("hunter2") && !text.contains("api"), "{text}");
}

#[test]
fn tries_of_two_processes_are_counted_together() {
    let folder = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    let mut gateway = open(folder.path(), "wrong");
    let mut doctor = open(folder.path(), "wrong");
    for history in [&mut doctor, &mut gateway] {
        history.begin(now).unwrap();
        history.end(LoginEnd::Refused, false, now).unwrap();
    }
    let later = now + 1_000 * RETRY;
    assert_eq!(doctor.verdict(later), LoginVerdict::Stopped);
    assert_eq!(gateway.verdict(later), LoginVerdict::Stopped);

    // A record that could not be written is newer than the file, and stays.
    let in_the_way = folder.path().join("logins-main.json.new");
    std::fs::create_dir(&in_the_way).unwrap();
    gateway.forgive().unwrap_err();
    assert_eq!(gateway.verdict(later), LoginVerdict::Go);
    assert_eq!(doctor.verdict(later), LoginVerdict::Stopped);
}

/// A history of credentials that the PBX has accepted at `now`.
fn accepted(now: SystemTime) -> LoginHistory {
    let mut history = LoginHistory::open(None, "main", &[b"api"], RETRY).unwrap();
    history.begin(now).unwrap();
    history.end(LoginEnd::Accepted, false, now).unwrap();
    history
}

#[test]
fn accepted_credentials_are_tried_after_1_2_4_8_and_15_seconds() {
    for end in [
        LoginEnd::Unanswered,
        LoginEnd::Unsent,
        LoginEnd::Unjudged,
        LoginEnd::Page,
    ] {
        let mut now = SystemTime::now();
        let mut history = accepted(now);
        for pause in [1, 2, 4, 8, 15, 15, 15, 15] {
            assert_eq!(history.verdict(now), LoginVerdict::Go, "{end:?}");
            history.begin(now).unwrap();
            // From the beginning of the try, however long it takes.
            let ended = now + SECOND / 2;
            history.end(end, false, ended).unwrap();
            let pause = pause * SECOND;
            assert_eq!(
                history.verdict(ended),
                LoginVerdict::Outage(pause - SECOND / 2)
            );
            now += pause;
        }
        history.begin(now).unwrap();
        history.end(LoginEnd::Accepted, false, now).unwrap();
        assert_eq!(history.verdict(now), LoginVerdict::Go);
        assert_eq!(history.counts(now).unanswered, 0);
    }
}

#[test]
fn a_try_that_took_longer_than_its_pause_is_followed_at_once() {
    let now = SystemTime::now();
    let mut history = accepted(now);
    history.begin(now).unwrap();
    history
        .end(LoginEnd::Unanswered, false, now + 10 * SECOND)
        .unwrap();
    assert_eq!(history.verdict(now + 10 * SECOND), LoginVerdict::Go);
}

#[test]
fn an_outage_goes_on_where_it_was_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    let mut history = open(folder.path(), "right");
    history.begin(now).unwrap();
    history.end(LoginEnd::Accepted, false, now).unwrap();
    for _ in 0..3 {
        let mut history = open_quickly(folder.path());
        history.begin(now).unwrap();
        history.end(LoginEnd::Unanswered, false, now).unwrap();
    }
    let mut history = open_quickly(folder.path());
    assert_eq!(history.verdict(now), LoginVerdict::Outage(4 * SECOND));
    // Other credentials know nothing of it.
    let mut history = open(folder.path(), "another");
    assert!(!history.counts(now).accepted);
}

#[test]
fn lost_tries_before_a_refusal_count_as_failures() {
    for (lost, unjudged) in [(0, 0), (1, 0), (2, 9), (3, 0), (7, 0)] {
        let mut now = SystemTime::now();
        let mut history = accepted(now);
        let ends = [(lost, LoginEnd::Unanswered), (unjudged, LoginEnd::Unjudged)];
        for (times, end) in ends {
            for _ in 0..times {
                now += 15 * SECOND;
                assert_eq!(history.verdict(now), LoginVerdict::Go);
                history.begin(now).unwrap();
                history.end(end, false, now).unwrap();
            }
        }
        now += 15 * SECOND;
        history.begin(now).unwrap();
        history.end(LoginEnd::Refused, false, now).unwrap();
        let counts = history.counts(now);
        assert_eq!(
            (counts.accepted, counts.refused, counts.unanswered),
            (false, 1, lost)
        );
        let pause = match lost {
            0..=2 => LoginVerdict::Wait(RETRY),
            _ => LoginVerdict::Brink(LOCK_OUT),
        };
        assert_eq!(history.verdict(now), pause, "{lost}");
        // Then one, and after that none.
        now += if lost < 3 { RETRY } else { LOCK_OUT };
        assert_eq!(history.verdict(now), LoginVerdict::Go);
        history.begin(now).unwrap();
        history.end(LoginEnd::Refused, false, now).unwrap();
        assert_eq!(
            history.verdict(now + 1_000 * LOCK_OUT),
            LoginVerdict::Stopped
        );
    }
}

#[test]
fn forgiveness_ends_the_outage_pause_but_not_the_count() {
    let mut now = SystemTime::now();
    let mut history = accepted(now);
    for _ in 0..6 {
        now += 15 * SECOND;
        history.begin(now).unwrap();
        history.end(LoginEnd::Unanswered, false, now).unwrap();
    }
    history.forgive().unwrap();
    assert_eq!(history.verdict(now), LoginVerdict::Go);
    history.begin(now).unwrap();
    history.end(LoginEnd::Refused, false, now).unwrap();
    assert_eq!(history.verdict(now), LoginVerdict::Brink(LOCK_OUT));
}

#[test]
fn five_renewals_come_at_once_then_one_every_ten_seconds() {
    const MINUTES: u64 = 10;
    let start = SystemTime::now();
    // The other program's pause, our logins in ten minutes, and the seconds in which we had a
    // token.
    for (pause_s, most_logins, least_well) in [
        (1, 5 + 60, 60),
        (5, 5 + 60, 295),
        (30, 20, 595),
        (120, 5, 595),
    ] {
        let mut history = accepted(start);
        let (mut has_token, mut logins, mut well) = (true, 0, 0);
        // Somebody wants a recording all the time; five looks a second.
        for tick in 0..MINUTES * 60 * 5 {
            let now = start + Duration::from_millis(200 * tick);
            if tick % (pause_s * 5) == 0 {
                has_token = false;
            }
            if !has_token && history.renewal_pause(now).is_none() {
                history.begin(now).unwrap();
                history.end(LoginEnd::Accepted, true, now).unwrap();
                (has_token, logins) = (true, logins + 1);
            }
            well += u64::from(has_token);
        }
        assert!(logins <= most_logins, "{pause_s}: {logins} logins");
        assert!(well / 5 >= least_well, "{pause_s}: {} s", well / 5);
    }
}

#[test]
fn a_clock_that_goes_back_stretches_no_pause() {
    let now = SystemTime::now();
    let next_year = now + Duration::from_secs(365 * 86_400);
    let mut history = accepted(next_year);
    for _ in 0..9 {
        history.begin(next_year).unwrap();
        history.end(LoginEnd::Accepted, true, next_year).unwrap();
    }
    assert_eq!(history.renewal_pause(now), None);
    for _ in 0..9 {
        history.begin(next_year).unwrap();
        history.end(LoginEnd::Unanswered, false, next_year).unwrap();
    }
    assert!(matches!(history.verdict(now), LoginVerdict::Outage(left) if left <= 15 * SECOND));
}

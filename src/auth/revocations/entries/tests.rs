//! The principals that an entry covers, and those that it does not.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::*;
use crate::auth::principal::Credential;
use crate::principal::PrincipalId;

const ISSUER: &str = "https://sso.example";

fn principal(issuer: &str, subject: &str, jti: Option<&str>, issued: Option<u64>) -> Principal {
    Principal {
        id: PrincipalId::new(issuer, subject),
        credential: Credential::Bearer,
        token_id: jti.map(Into::into),
        issued_at: issued.map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)),
        expires_at: SystemTime::UNIX_EPOCH,
        attributes: Arc::default(),
        pbxs: None,
    }
}

#[track_caller]
fn check(list: &str, principal: &Principal, expected: bool) {
    let revoked = RevocationList::parse(list).unwrap();
    assert_eq!(revoked.revokes(principal), expected, "{list} {principal:?}");
}

#[test]
fn an_entry_covers_those_that_it_names_and_no_others() {
    let alice = principal(ISSUER, "alice", Some("t1"), Some(1_000));
    let namesake = principal("https://other.example", "alice", Some("t1"), Some(1_000));
    let bob = principal(ISSUER, "bob", Some("t2"), Some(1_000));
    let dateless = principal(ISSUER, "alice", None, None);

    let token = r#"{"jti":"t1"}"#;
    check(token, &alice, true);
    check(token, &namesake, true);
    check(token, &bob, false);
    check(token, &dateless, false);
    let token_of = r#"{"jti":"t1","issuer":"https://sso.example"}"#;
    check(token_of, &alice, true);
    check(token_of, &namesake, false);
    let person = r#"{"issuer":"https://sso.example","subject":"alice"}"#;
    check(person, &alice, true);
    check(person, &dateless, true);
    check(person, &namesake, false);
    check(person, &bob, false);
}

#[test]
fn issued_before_covers_older_and_undated_tokens() {
    let at = |issued| principal(ISSUER, "alice", None, issued);
    for (scope, reaches_bob) in [
        (
            r#""issuer":"https://sso.example","subject":"alice","#,
            false,
        ),
        (r#""issuer":"https://sso.example","#, true),
        ("", true),
    ] {
        let list = format!(r#"{{{scope}"issued_before":"1970-01-01T00:16:40Z"}}"#);
        check(&list, &at(Some(999)), true);
        check(&list, &at(None), true);
        check(&list, &at(Some(1_000)), false);
        check(&list, &at(Some(2_000)), false);
        let bob = principal(ISSUER, "bob", None, Some(999));
        check(&list, &bob, reaches_bob);
    }
}

#[test]
fn the_widest_entry_counts_in_whatever_order() {
    let early = r#"{"issuer":"i","subject":"s","issued_before":"1970-01-01T00:00:10Z"}"#;
    let late = r#"{"issuer":"i","subject":"s","issued_before":"1970-01-01T00:00:20Z"}"#;
    let all = r#"{"issuer":"i","subject":"s"}"#;
    let at = |issued| principal("i", "s", None, Some(issued));
    for (one, other) in [(early, late), (late, early)] {
        let list = format!("{one}\n{other}");
        check(&list, &at(15), true);
        check(&list, &at(20), false);
    }
    for (one, other) in [(late, all), (all, late)] {
        check(&format!("{one}\n{other}"), &at(30), true);
    }
}

#[test]
fn a_list_with_a_wrong_line_is_refused_whole() {
    let list = "# left\n\n  {\"jti\":\"a\"}  \r\n{\"jti\":\"b\"}";
    assert_eq!(RevocationList::parse(list).unwrap().entries(), 2);
    for (line, part) in [
        ("{}", "the entry is empty"),
        ("x", "expected"),
        (r#"{"jti":1}"#, "invalid type"),
        (r#"{"jti":"a","jti":"b"}"#, "duplicate"),
        (r#"{"token":"a"}"#, "unknown field"),
        (r#"{"jti":""}"#, "empty"),
        (r#"{"subject":"a"}"#, "needs issuer"),
        (r#"{"jti":"a","subject":"b"}"#, "issuer only"),
        (
            r#"{"jti":"a","issued_before":"1970-01-01T00:00:10Z"}"#,
            "issuer only",
        ),
        (r#"{"issuer":"a"}"#, "the entry is empty"),
        (r#"{"issued_before":"yesterday"}"#, "a time such as"),
        (&format!(r#"{{"jti":"{}"}}"#, "a".repeat(3_000)), "longer"),
    ] {
        let error = RevocationList::parse(&format!("{{\"jti\":\"a\"}}\n{line}")).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("line 2") && text.contains(part), "{text}");
    }
}

#[test]
fn a_message_about_a_wrong_entry_repeats_none_of_it() {
    for line in [
        "\"marked\"",
        r#"{"marked":1}"#,
        r#"{"jti":["marked"]}"#,
        r#"{"issued_before":"marked"}"#,
        r#"{"jti":"a","marked\u0041":"#,
        "marked",
    ] {
        let text = Revocation::parse(line).unwrap_err();
        assert!(
            !text.contains("marked") && text.contains("column"),
            "{text}"
        );
    }
}

#[test]
fn an_entry_reads_back_as_it_was_written() {
    for line in [
        r#"{"jti":"a"}"#,
        r#"{"jti":"a","issuer":"b"}"#,
        r#"{"issuer":"a","subject":"b \"c\""}"#,
        r#"{"issuer":"a","issued_before":"2026-11-20T12:00:00Z"}"#,
    ] {
        let entry = Revocation::parse(line).unwrap();
        assert_eq!(entry.line(), line);
        assert_eq!(Revocation::parse(&entry.line()), Ok(entry));
    }
}

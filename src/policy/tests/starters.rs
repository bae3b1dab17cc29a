//! The shipped policies, including those that are commented out.

use super::*;

const INBOUND: &str = "20260302104512-1772448301.1219-0205550147-1001-Inbound.wav";
const SPOOFED: &str = "20260302104512-1772448301.1219-1001-1002-Inbound.wav";
const OUTBOUND: &str = "20260302104512-1772448301.1219-1001-0205550147-Outbound.wav";

#[test]
fn agents_hear_their_own_calls_and_supervisors_all() {
    let policy = parse(STARTERS);
    for (recording, expected) in [
        (INBOUND, "allow own-calls"),
        (OUTBOUND, "allow own-calls"),
        (NAME, "allow own-calls"),
        (SPOOFED, "deny"),
        ("hello001", "deny"),
    ] {
        check(
            &policy,
            bearer("agent", "office/1001", ""),
            "office",
            recording,
            expected,
        );
        check(
            &policy,
            bearer("agent", "branch/1001", ""),
            "office",
            recording,
            "deny",
        );
        check(
            &policy,
            bearer("Supervisor", "", ""),
            "office",
            recording,
            "deny",
        );
        check(
            &policy,
            bearer("supervisor", "", ""),
            "office",
            recording,
            "allow supervisors",
        );
        check(
            &policy,
            link("office", recording),
            "office",
            recording,
            "allow links",
        );
    }
    check(
        &policy,
        bearer("supervisor", "office/1001", ""),
        "office",
        NAME,
        "allow own-calls supervisors",
    );
}

#[test]
fn a_link_cannot_share_whatever_the_policies_say() {
    for policy in [parse(STARTERS), Policy::everyone().unwrap()] {
        let who = link("office", NAME);
        let decision = policy.authorize(
            Counted::unlimited(who),
            Action::Share,
            "office",
            name(NAME),
            &context(),
        );
        assert_eq!(decision, Err(PolicyError::LinkMakesNoLinks));
    }
}

#[test]
fn the_commented_rules_forbid_once_they_are_switched_on() {
    let policy = parse(&all_starters());
    let who = |tenant| bearer("supervisor", "", tenant);
    let days = |days: u64| Context {
        source: SOURCE,
        now: name(NAME).call_started().unwrap() + Duration::from_secs(days * 86_400),
    };
    let ask = |who, pbx, recording, context: &Context| {
        let decision = policy.authorize(
            Counted::unlimited(who),
            Action::Listen,
            pbx,
            name(recording),
            context,
        );
        describe(&decision)
    };
    assert_eq!(
        ask(who("office"), "office", NAME, &days(90)),
        "allow supervisors"
    );
    assert_eq!(
        ask(who("office"), "office", NAME, &days(91)),
        "deny not-too-old"
    );
    assert_eq!(
        ask(link("office", NAME), "office", NAME, &days(90)),
        "allow links"
    );
    assert_eq!(
        ask(link("office", NAME), "office", NAME, &days(91)),
        "deny not-too-old"
    );
    assert_eq!(
        ask(who("office"), "office", "hello001", &days(1)),
        "deny not-too-old"
    );
    assert_eq!(
        ask(who("branch"), "office", NAME, &days(1)),
        "deny tenant-of-pbx"
    );
    assert_eq!(ask(who(""), "office", NAME, &days(1)), "deny tenant-of-pbx");
    assert_eq!(
        ask(who(""), "office", NAME, &days(100)),
        "deny not-too-old tenant-of-pbx"
    );
}

#[test]
fn the_policies_of_the_documentation_have_no_mistakes() {
    let page = include_str!("../../../docs/policies.md");
    let blocks = page.split("```cedar\n").skip(1);
    let blocks: Vec<&str> = blocks
        .filter_map(|block| block.split("```").next())
        .collect();
    assert!(!blocks.is_empty());
    for block in blocks {
        let policy = parse(block);
        check(
            &policy,
            bearer("", "office/1001", ""),
            "office",
            NAME,
            "allow own-calls",
        );
    }
}

//! Decisions that no policy can change: the limits of links and issuers, deny by default, errors.

use proptest::prelude::*;

use super::*;
use crate::policy::facts::RecordingFacts;
use crate::policy::reuse::ReusedDecisions;
use crate::policy::viewer::MAX_REMEMBERED_DECISIONS;

#[test]
fn a_link_covers_its_recording_only() {
    let (everyone, nobody) = (Policy::everyone().unwrap(), Policy::nobody());
    let beyond = "the link is for another recording";
    let bearer = || bearer("", "", "");
    check(&everyone, bearer(), "office", NAME, "allow everyone");
    check(&everyone, bearer(), "branch", "other.wav", "allow everyone");
    check(
        &everyone,
        link("office", NAME),
        "office",
        NAME,
        "allow everyone",
    );
    check(
        &everyone,
        link("office", NAME),
        "office",
        "other.wav",
        beyond,
    );
    check(&everyone, link("office", NAME), "branch", NAME, beyond);
    check(&everyone, link("office", NAME), "Office", NAME, beyond);
    check(&nobody, bearer(), "office", NAME, "deny");
    check(&nobody, link("office", NAME), "office", NAME, "deny");
    check(&nobody, link("office", NAME), "office", "other.wav", beyond);
}

#[test]
fn nothing_is_allowed_unless_a_policy_permits_it() {
    check(
        &parse(""),
        bearer("supervisor", "office/1001", "office"),
        "office",
        NAME,
        "deny",
    );
    let forbids = parse("forbid(principal, action, resource) when { false || true };");
    check(&forbids, bearer("", "", ""), "office", NAME, "deny line-1");
}

#[test]
fn a_policy_that_cannot_be_evaluated_denies() {
    let overflow = "context.now.offset(duration(\"106751991167d\")) > context.now";
    for effect in ["forbid", "permit"] {
        let text = format!(
            "@id(\"all\") permit(principal, action, resource);\n\
             @id(\"broken\") {effect}(principal, action, resource) when {{ {overflow} }};"
        );
        let expected =
            "policy broken cannot be evaluated: an address, a time or a duration is out of range";
        check(&parse(&text), bearer("", "", ""), "office", NAME, expected);
    }
    let sum = "9223372036854775807 + context.credential.contains_one"
        .replace("context.credential.contains_one", "1");
    let text = format!("@id(\"sum\") forbid(principal, action, resource) when {{ {sum} > 0 }};");
    let expected = "policy sum cannot be evaluated: a number is too large";
    check(&parse(&text), bearer("", "", ""), "office", NAME, expected);
}

#[test]
fn a_time_that_cannot_be_expressed_denies() {
    let policy = Policy::everyone().unwrap();
    for now in [
        SystemTime::UNIX_EPOCH - Duration::from_secs(1),
        SystemTime::UNIX_EPOCH + Duration::from_secs(400_000_000_000),
    ] {
        let context = Context {
            source: SOURCE,
            now,
        };
        let who = || bearer("", "", "");
        let decision = policy.authorize(
            Counted::unlimited(who()),
            Action::Listen,
            "office",
            name(NAME),
            &context,
        );
        assert!(
            describe(&decision).starts_with("the policies cannot be evaluated"),
            "{decision:?}"
        );
        let viewer = policy
            .view(Counted::unlimited(who()), "office", &context)
            .unwrap();
        assert!(!viewer.may_hear(&name(NAME)));
    }
}

#[test]
fn an_issuer_for_some_pbxs_covers_no_other() {
    let policy = Policy::everyone().unwrap();
    let who = || {
        let (id, nothing) = (
            PrincipalId::new("https://sso.example", "alice"),
            Attributes::default(),
        );
        let pbxs = Some(["office".to_owned()].into());
        Principal::for_policy_trial(id, Credential::Bearer, nothing, pbxs)
    };
    check(&policy, who(), "office", NAME, "allow everyone");
    let reason = "tokens of this issuer are not for this PBX (pbxs in [[auth.issuer]])";
    check(&policy, who(), "branch", NAME, reason);
    let refused = policy
        .view(Counted::unlimited(who()), "branch", &context())
        .map(drop);
    assert_eq!(refused, Err(PolicyError::PbxOutOfReach));
}

#[test]
fn policies_see_the_given_address_and_time() {
    let policy = parse(
        "permit(principal, action, resource) when {\n\
         context.source.isInRange(ip(\"192.0.2.0/24\")) && context.credential == \"bearer\" &&\n\
         context.now.toTime() < duration(\"12h\") };",
    );
    let at = |source: &str, hour: u64| {
        let context = Context {
            source: source.parse().unwrap(),
            now: SystemTime::UNIX_EPOCH + Duration::from_secs(86_400 * 10_000 + 3_600 * hour),
        };
        let who = bearer("", "", "");
        let decision = policy.authorize(
            Counted::unlimited(who),
            Action::Share,
            "office",
            name(NAME),
            &context,
        );
        decision.is_ok()
    };
    assert!(at("192.0.2.1", 11));
    assert!(at("::ffff:192.0.2.1", 11));
    assert!(!at("192.0.3.1", 11));
    assert!(!at("2001:db8::1", 11));
    assert!(!at("192.0.2.1", 12));
}

#[test]
fn sharing_requires_the_right_to_listen() {
    let policy = parse(
        "@id(\"hear\") permit(principal, action == Wavegate::Action::\"listen\", resource)\n\
         when { principal.roles.contains(\"hears\") };\n\
         @id(\"share\") permit(principal, action == Wavegate::Action::\"share\", resource)\n\
         when { principal.roles.contains(\"shares\") };\n\
         @id(\"deaf\") forbid(principal, action == Wavegate::Action::\"listen\", resource)\n\
         when { principal.roles.contains(\"deaf\") };",
    );
    for (roles, expected) in [
        ("hears shares", "allow share"),
        ("hears", "deny"),
        ("shares", "deny"),
        ("hears shares deaf", "deny deaf"),
    ] {
        let who = bearer(roles, "", "");
        let decision = policy.authorize(
            Counted::unlimited(who),
            Action::Share,
            "office",
            name(NAME),
            &context(),
        );
        assert_eq!(describe(&decision).trim_end(), expected, "{roles}");
    }
}

#[test]
fn no_issuer_can_imitate_a_principal_of_another() {
    let text = "permit(principal == Wavegate::Principal::\"https://sso.example|alice\", action, resource);";
    let policy = parse(text);
    check(&policy, bearer("", "", ""), "office", NAME, "allow line-1");
    let other = |issuer, subject| {
        let (id, nothing) = (PrincipalId::new(issuer, subject), Attributes::default());
        Principal::for_policy_trial(id, Credential::Bearer, nothing, None)
    };
    let text = "permit(principal == Wavegate::Principal::\"a%7Cb|c\", action, resource);";
    let with_bar = parse(text);
    check(&with_bar, other("a|b", "c"), "office", NAME, "allow line-1");
    check(&with_bar, other("a", "b|c"), "office", NAME, "deny");
    check(&with_bar, other("a%7Cb", "c"), "office", NAME, "deny");
}

#[test]
fn deciding_policies_are_listed_in_order() {
    let policy = parse(
        "@id(\"b\") permit(principal, action, resource);\n\
         @id(\"a\") permit(principal, action, resource);\n\
         permit(principal, action == Wavegate::Action::\"share\", resource);",
    );
    check(&policy, bearer("", "", ""), "office", NAME, "allow a b");
    assert_eq!(policy.line_of("a"), Some(2));
    assert_eq!(policy.line_of("line-3"), Some(3));
    assert_eq!(policy.line_of("c"), None);
    assert_eq!(format!("{policy:?}"), "Policy [\"a\", \"b\", \"line-3\"]");
}

#[test]
fn a_group_stands_for_its_members_on_its_pbx_only() {
    let policy = parse(STARTERS);
    let inbound = "20260302104512-1772448301.1219-0205550147-6400-Inbound.wav";
    for (extension, pbx, expected) in [
        ("office/1001", "office", "allow own-calls"),
        ("office/1002", "office", "allow own-calls"),
        ("office/6400", "office", "allow own-calls"),
        ("office/1003", "office", "deny"),
        ("branch/1001", "office", "deny"),
        ("branch/1001", "branch", "deny"),
        ("branch/6400", "branch", "allow own-calls"),
    ] {
        check(&policy, bearer("", extension, ""), pbx, inbound, expected);
    }
    // The outside party of a call is in no group, whatever number it shows.
    let spoofed = "20260302104512-1772448301.1219-6400-1003-Inbound.wav";
    check(
        &policy,
        bearer("", "office/1001", ""),
        "office",
        spoofed,
        "deny",
    );
}

/// Conditions about every attribute of a recording and of the circumstances, in every notation.
const CONDITIONS: [&str; 15] = [
    "resource.internal_parties.contains(\"office/1001\")",
    "resource has start && resource.start < datetime(\"2020-01-01\")",
    "resource has start && resource[\"st\\u{61}rt\"] < datetime(\"2020-01-01\")",
    "!(resource has start)",
    "resource has direction && resource.direction == \"inbound\"",
    "resource has \"c\\x61ller\" && resource[\"\\u{63}aller\"] like \"0205*\"",
    "resource has callee && [\"6400\"].contains(resource.callee)",
    "resource.name == \"hello001\"",
    "resource.pbx == \"office\"",
    "resource == Wavegate::Recording::\"office/hello001\"",
    "resource in [Wavegate::Recording::\"office/hello001\"]",
    "[Wavegate::Recording::\"office/hello001\"].contains(resource)",
    "resource.name like \"2026*\" && context.source.isIpv4()",
    "resource.name like \"2026*\" && context[\"so\\u{75}rce\"].isIpv4()",
    "resource.name like \"2026*\" && context[\"n\\x6fw\"] > datetime(\"2001-01-01\")",
];

#[test]
fn a_list_and_a_request_make_the_same_decision() {
    let names = [
        NAME,
        "20170901181806-1504261084.7-1002-1003-Internal.wav",
        "20170901181806-1904261084.7-1001-1003-Internal.wav",
        "20260302104512-1772448301.1219-0205550147-6400-Inbound.wav",
        "20260302104512-1772448301.1219-0305550147-6400-Inbound.wav",
        "20260302104512-1772448301.1219-6400-0205550147-Outbound.wav",
        "hello001",
        "hello002",
    ];
    let mut all = 0;
    for condition in CONDITIONS {
        let text = format!("permit(principal, action, resource) when {{ {condition} }};");
        let policy = parse(&text);
        let mut using_all = Engine::parse(&text).unwrap();
        using_all.use_all_attributes();
        let using_all = Policy {
            engine: Some(Arc::new(using_all)),
            groups: policy.groups.clone(),
            decisions: ReusedDecisions::new(),
        };
        let viewer = policy
            .view(Counted::unlimited(bearer("", "", "")), "office", &context())
            .unwrap();
        let decide = |policy: &Policy, recording| {
            let who = bearer("", "", "");
            let decision = policy.authorize(
                Counted::unlimited(who),
                Action::Listen,
                "office",
                recording,
                &context(),
            );
            decision.is_ok()
        };
        let mut allowed = 0;
        for recording in names {
            let expected = decide(&using_all, name(recording));
            assert_eq!(decide(&policy, name(recording)), expected, "{condition}");
            for _ in 0..2 {
                assert_eq!(viewer.may_hear(&name(recording)), expected, "{condition}");
            }
            allowed += usize::from(expected);
        }
        assert!(allowed > 0, "{condition}");
        all += usize::from(allowed == names.len());
    }
    assert_eq!(all, 1, "only one condition holds for all names");
}

#[test]
fn a_list_remembers_a_bounded_number_of_decisions() {
    let policy = parse("permit(principal, action, resource) when { resource.name like \"*7\" };");
    let viewer = policy
        .view(Counted::unlimited(bearer("", "", "")), "office", &context())
        .unwrap();
    for number in 0..MAX_REMEMBERED_DECISIONS + 100 {
        let recording = name(&format!("r{number}"));
        assert_eq!(viewer.may_hear(&recording), number % 10 == 7);
    }
    assert_eq!(
        viewer.decided.lock().unwrap().len(),
        MAX_REMEMBERED_DECISIONS
    );
}

/// Checks that the attributes given to policies match the schema. Otherwise a check against the
/// schema would prove nothing.
#[track_caller]
fn conforms(who: &Principal, recording: &RecordingName) {
    use cedar_policy::{Entities, Request, Schema};

    let schema: Schema = SCHEMA.parse().unwrap();
    let vocabulary = entities::Vocabulary::new().unwrap();
    let groups = parse("").groups;
    let facts = RecordingFacts::of("office", recording, &uses::UsedAttributes::ALL);
    let (asks, asked) = (
        vocabulary.principal(who).unwrap(),
        vocabulary.recording(&facts, &groups).unwrap(),
    );
    let kind = who.credential().kind();
    let context = entities::context(kind, &context(), &uses::UsedAttributes::ALL).unwrap();
    for action in [Action::Listen, Action::Share] {
        let action = vocabulary.action(action);
        let request = Request::new(
            asks.uid(),
            action,
            asked.uid(),
            context.clone(),
            Some(&schema),
        );
        request.unwrap();
    }
    Entities::from_entities([asks, asked], Some(&schema)).unwrap();
}

#[test]
fn requests_match_the_schema() {
    for recording in [
        NAME,
        "20260302104512-1772448301.1219-0205550147-6400-Inbound.wav",
        "20260302104512-1772448301_1219--6400-Inbound",
        "hello001",
    ] {
        let recording = name(recording);
        conforms(&bearer("", "", ""), &recording);
        conforms(&bearer("a b", "office/1001 branch/1001", "x"), &recording);
        conforms(&link("office", "hello001"), &recording);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_name_and_role_can_be_expressed_in_cedar(
        text in "[^/\\\\.\\p{C}][^/\\\\\\p{C}]{0,80}", role in "\\PC{0,40}",
    ) {
        if let Ok(recording) = text.parse::<RecordingName>() {
            let extension = Extension::read("office/1001", None).unwrap();
            let attributes = Attributes::new(vec![role], vec![extension], None);
            let who = principal(Credential::Bearer, attributes);
            conforms(&who, &recording);
            let policy = Policy::everyone().unwrap();
            let decision = policy.authorize(Counted::unlimited(who), Action::Listen, "office", recording, &context());
            prop_assert!(decision.is_ok());
        }
    }
}

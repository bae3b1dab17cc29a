//! Decisions that are used again are those that would be made anew.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::policy::reuse::ReusedDecisions;

/// Conditions about all that a decision may depend on.
const CONDITIONS: [&str; 18] = [
    "true",
    "principal.issuer == \"https://sso.example\"",
    "principal.subject == \"alice\"",
    "principal == Wavegate::Principal::\"https://sso.example|bob\"",
    "principal.roles.contains(\"supervisor\")",
    "principal.extensions.contains(\"office/1001\")",
    "principal has tenant && principal.tenant == \"north\"",
    "resource.pbx == \"office\"",
    "resource.name like \"hello*\"",
    "resource == Wavegate::Recording::\"office/hello001\"",
    "resource has direction && resource.direction == \"internal\"",
    "resource.internal_parties.contains(\"office/1001\")",
    "resource.internal_parties.contains(\"office/1002\")",
    "resource has caller && resource.caller == \"1001\"",
    "context.credential == \"bearer\"",
    "context.source.isInRange(ip(\"192.0.2.0/24\"))",
    "context.now < datetime(\"2020-01-01\")",
    "resource has start && context.now < resource.start.offset(duration(\"1d\"))",
];

const NAMES: [&str; 4] = [
    NAME,
    "20170901181806-1504261084.7-6400-1003-Internal.wav",
    "hello001",
    "hello002",
];

/// A question to a policy.
#[derive(Clone, Debug)]
struct Asked {
    issuer: &'static str,
    subject: &'static str,
    roles: &'static str,
    extensions: &'static str,
    tenant: &'static str,
    credential: Credential,
    is_share: bool,
    pbx: &'static str,
    name: &'static str,
    source: [u8; 4],
    /// Seconds since 1970.
    now: i64,
}

impl Asked {
    /// A question to which most conditions apply.
    const BASE: Self = Self {
        issuer: "https://sso.example",
        subject: "alice",
        roles: "supervisor",
        extensions: "office/1001",
        tenant: "north",
        credential: Credential::Bearer,
        is_share: false,
        pbx: "office",
        name: NAME,
        source: [192, 0, 2, 7],
        now: 1_504_261_084,
    };

    fn decide(&self, policy: &Policy) -> String {
        let attributes = bearer(self.roles, self.extensions, self.tenant)
            .attributes()
            .clone();
        let id = PrincipalId::new(self.issuer, self.subject);
        let who = Principal::for_policy_trial(id, self.credential.clone(), attributes, None);
        let epoch = SystemTime::UNIX_EPOCH;
        let now = match u64::try_from(self.now) {
            Ok(seconds) => epoch + Duration::from_secs(seconds),
            Err(_) => epoch - Duration::from_secs(1),
        };
        let source = self.source.into();
        let context = Context { source, now };
        let action = match self.is_share {
            true => Action::Share,
            false => Action::Listen,
        };
        let decision = policy.decide(&who, action, self.pbx, &name(self.name), &context);
        format!("{decision:?}")
    }
}

/// The same policies with nothing to use again.
fn fresh(policy: &Policy) -> Policy {
    Policy {
        decisions: ReusedDecisions::new(),
        ..policy.clone()
    }
}

/// The base, and each question that differs from it in one part.
fn alike() -> Vec<Asked> {
    let base = Asked::BASE;
    let with = |change: fn(&mut Asked)| {
        let mut asked = base.clone();
        change(&mut asked);
        asked
    };
    vec![
        base.clone(),
        with(|asked| asked.issuer = "https://other.example"),
        with(|asked| asked.subject = "bob"),
        with(|asked| asked.roles = ""),
        with(|asked| asked.extensions = "office/1009"),
        with(|asked| asked.extensions = "branch/1001"),
        with(|asked| asked.tenant = ""),
        with(|asked| asked.tenant = "south"),
        with(|asked| asked.credential = Credential::Session),
        with(|asked| asked.is_share = true),
        with(|asked| asked.pbx = "branch"),
        with(|asked| asked.name = NAMES[1]),
        with(|asked| asked.name = "hello001"),
        with(|asked| asked.name = "hello002"),
        with(|asked| asked.source = [198, 51, 100, 1]),
        with(|asked| asked.now = 1_900_000_000),
        with(|asked| asked.now = -1),
    ]
}

#[test]
fn each_part_of_a_question_keeps_decisions_apart() {
    let listen = "permit(principal, action == Wavegate::Action::\"listen\", resource);".to_owned();
    let conditions = CONDITIONS
        .iter()
        .map(|condition| format!("permit(principal, action, resource) when {{ {condition} }};"));
    let policies = conditions.chain([listen]);
    let policies: Vec<Policy> = policies
        .map(|text| Policy::parse(&text, Groups::default()).unwrap())
        .collect();
    for policy in &policies {
        for forwards in [true, false] {
            let policy = fresh(policy);
            let mut questions = alike();
            if !forwards {
                questions.reverse();
            }
            for asked in questions.iter().chain(&questions) {
                let expected = asked.decide(&fresh(&policy));
                assert_eq!(asked.decide(&policy), expected, "{policy:?} {asked:?}");
            }
        }
    }
    // Each change changes some decision; else the test would show nothing for it.
    for asked in alike().iter().skip(1) {
        let differs =
            |policy: &Policy| asked.decide(&fresh(policy)) != Asked::BASE.decide(&fresh(policy));
        assert!(policies.iter().any(differs), "{asked:?}");
    }
}

fn texts() -> impl Strategy<Value = String> {
    let condition = (any::<bool>(), any::<bool>(), select(&CONDITIONS[..]));
    prop::collection::vec(condition, 1..5).prop_map(|conditions| {
        let policies = conditions
            .into_iter()
            .map(|(permits, is_share, condition)| {
                let effect = if permits { "permit" } else { "forbid" };
                let action = match is_share {
                    true => "action == Wavegate::Action::\"share\"",
                    false => "action",
                };
                format!("{effect}(principal, {action}, resource) when {{ {condition} }};\n")
            });
        policies.collect()
    })
}

fn questions() -> impl Strategy<Value = Asked> {
    let who = (
        select(vec!["https://sso.example", "https://other.example"]),
        select(vec!["alice", "bob"]),
        select(vec!["", "supervisor", "a b", "b a"]),
        select(vec!["", "office/1001", "office/1002 branch/1001"]),
        select(vec!["", "north", "south"]),
        select(vec![
            Credential::Bearer,
            Credential::Session,
            Credential::Sso,
        ]),
    );
    // Before 1970, around a call, long after, and beyond the year 9999.
    let times = vec![
        -1,
        1_504_261_084,
        1_504_400_000,
        1_900_000_000,
        253_402_300_800,
    ];
    let wish = (
        any::<bool>(),
        select(vec!["office", "branch"]),
        select(&NAMES[..]),
        select(vec![[192, 0, 2, 7], [198, 51, 100, 1]]),
        select(times),
    );
    (who, wish).prop_map(|(who, (is_share, pbx, name, source, now))| {
        let (issuer, subject, roles, extensions, tenant, credential) = who;
        Asked {
            issuer,
            subject,
            roles,
            extensions,
            tenant,
            credential,
            is_share,
            pbx,
            name,
            source,
            now,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_decision_is_the_same_with_and_without_reuse(
        policies in prop::collection::vec(texts(), 3),
        // Few, so that they are asked again, of other policies, too.
        questions in prop::collection::vec(questions(), 4),
        steps in prop::collection::vec((0_usize..4, 0_usize..4), 1..60),
    ) {
        let parsed = policies.iter().map(|text| Policy::parse(text, Groups::default()));
        // Some conditions can never hold together: no such policy is put in force.
        let mut policies: Vec<Policy> = parsed.filter_map(Result::ok).collect();
        prop_assume!(!policies.is_empty());
        // The last one is the first one with other groups.
        let groups = Groups::new([("office".to_owned(), vec![("6400".to_owned(), vec!["1002".to_owned()])])]);
        policies.push(policies[0].clone().with_groups(groups));
        for (policy, question) in steps {
            // Each step is a reload, too, unless the policy is the one before.
            let policy = &policies[policy.min(policies.len() - 1)];
            let asked = &questions[question];
            prop_assert_eq!(asked.decide(policy), asked.decide(&fresh(policy)), "{:?}", asked);
        }
    }
}

#[test]
fn other_groups_use_no_permission_again() {
    let text = "permit(principal, action, resource) when { resource.internal_parties.contains(\"office/1002\") };";
    let members = |number: &str| vec![("6400".to_owned(), vec![number.to_owned()])];
    let groups = |number| Groups::new([("office".to_owned(), members(number))]);
    let asked = Asked {
        name: NAMES[1],
        ..Asked::BASE
    };
    let policy = Policy::parse(text, groups("1002")).unwrap();
    assert!(asked.decide(&policy).starts_with("Ok"));
    let policy = policy.with_groups(groups("1009"));
    assert!(asked.decide(&policy).starts_with("Err"));
}

#[test]
fn a_permission_ends_with_the_limits_that_are_no_matter_of_policies() {
    let policy = Policy::everyone().unwrap();
    let of = |pbxs: &[&str]| {
        let pbxs = pbxs.iter().map(|pbx| (*pbx).to_owned()).collect();
        let id = PrincipalId::new("https://sso.example", "alice");
        Principal::for_policy_trial(id, Credential::Bearer, Attributes::default(), Some(pbxs))
    };
    check(&policy, of(&["office"]), "office", NAME, "allow everyone");
    let beyond = policy.decide(
        &of(&["branch"]),
        Action::Listen,
        "office",
        &name(NAME),
        &context(),
    );
    assert_eq!(beyond, Err(PolicyError::PbxOutOfReach));
    let link = link("office", NAME);
    check(&policy, link.clone(), "office", NAME, "allow everyone");
    let shared = policy.decide(&link, Action::Share, "office", &name(NAME), &context());
    assert_eq!(shared, Err(PolicyError::LinkMakesNoLinks));
}

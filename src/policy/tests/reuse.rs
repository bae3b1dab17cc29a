//! Decisions that are used again are those that would be made anew.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::policy::reuse::ReusedDecisions;

/// Conditions about all that a decision may depend on.
const CONDITIONS: [&str; 16] = [
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
    "resource.internal_parties.contains(\"office/1002\")",
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

/// A question to a policy, or a reload that puts another policy in force.
#[derive(Clone, Debug)]
enum Step {
    Ask {
        who: Principal,
        is_share: bool,
        pbx: &'static str,
        name: &'static str,
        context: Context,
    },
    Reload(usize),
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

fn principals() -> impl Strategy<Value = Principal> {
    let parts = (
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
    parts.prop_map(|(issuer, subject, roles, extensions, tenant, credential)| {
        let attributes = bearer(roles, extensions, tenant).attributes().clone();
        let id = PrincipalId::new(issuer, subject);
        Principal::for_policy_trial(id, credential, attributes, None)
    })
}

fn steps() -> impl Strategy<Value = Step> {
    // Before 1970, around a call, long after, and beyond the year 9999.
    let times = select(vec![
        -1_i64,
        1_504_261_084,
        1_504_400_000,
        1_900_000_000,
        253_402_300_800,
    ]);
    let sources = select(vec![[192, 0, 2, 7], [198, 51, 100, 1]]);
    let question = (
        principals(),
        any::<bool>(),
        select(vec!["office", "branch"]),
        select(&NAMES[..]),
        (times, sources),
    );
    let ask = question.prop_map(|(who, is_share, pbx, name, (seconds, source))| {
        let epoch = SystemTime::UNIX_EPOCH;
        let now = match u64::try_from(seconds) {
            Ok(seconds) => epoch + Duration::from_secs(seconds),
            Err(_) => epoch - Duration::from_secs(1),
        };
        let source = source.into();
        let context = Context { source, now };
        Step::Ask {
            who,
            is_share,
            pbx,
            name,
            context,
        }
    });
    prop_oneof![8 => ask, 1 => (0_usize..3).prop_map(Step::Reload)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_decision_is_the_same_with_and_without_reuse(
        policies in prop::collection::vec(texts(), 3),
        steps in prop::collection::vec(steps(), 1..60),
    ) {
        let parsed = policies.iter().map(|text| Policy::parse(text, Groups::default()));
        // Some conditions can never hold together: no such policy is put in force.
        let mut policies: Vec<Policy> = parsed.filter_map(Result::ok).collect();
        prop_assume!(!policies.is_empty());
        // The last one is the first one with other groups.
        let groups = Groups::new([("office".to_owned(), vec![("6400".to_owned(), vec!["1002".to_owned()])])]);
        policies.push(policies[0].clone().with_groups(groups));
        let mut current = 0;
        for step in steps {
            match step {
                Step::Reload(to) => current = to.min(policies.len() - 1),
                Step::Ask { who, is_share, pbx, name: recording, context } => {
                    let policy = &policies[current];
                    let fresh = Policy { decisions: ReusedDecisions::new(), ..policy.clone() };
                    let action = if is_share { Action::Share } else { Action::Listen };
                    let recording = name(recording);
                    let decide = |policy: &Policy| {
                        format!("{:?}", policy.decide(&who, action, pbx, &recording, &context))
                    };
                    prop_assert_eq!(decide(policy), decide(&fresh));
                }
            }
        }
    }
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

//! Policy files: the problems that `check` reports, reloads, and policy tests that fail.

use http::StatusCode;
use serde_json::json;

use super::{STARTERS, agent, outcome, pbx};
use crate::harness::programs::{run_wavegate, serve};
use crate::harness::{EVERYONE, Gateway, NAME, POLICIES, gateway, jwt, jwt_with};

const OWN: &str = "20260302104512-1772448301.1219-0205550147-1001-Inbound.wav";

fn rewrite(gateway: &Gateway, policies: &str) {
    std::fs::write(gateway.folder().join(POLICIES), policies).unwrap();
}

#[tokio::test]
async fn check_tells_each_mistake_of_a_policy_with_line_and_column() {
    let pbx = pbx([]).await;
    let bad = "// Who may hear what.\n\
               permit(principal, action, resource)\n\
               when { principal.rolls.contains(\"supervisor\") };\n\
               permit(principal, action, resource)\n\
               \x20 when { resource.pbx == 7 };\n";
    for (policies, expected) in [
        (
            bad,
            &[
                ("line 3, column 8", "did you mean `roles`"),
                ("line 5, column 10", "String"),
            ][..],
        ),
        (
            "permit(principal, action, resource)\n",
            &[("line 1, column 36", "unexpected end")],
        ),
        (
            "permit(principal, action, resource) when { principal.tenant == \"a\" };",
            &[("line 1, column 44", "tenant")],
        ),
    ] {
        let builder = gateway(&pbx).policies(policies);
        let config = builder.write();
        let ended = run_wavegate(&["check", "--config", config.to_str().unwrap()]).await;
        assert_eq!((ended.code, ended.out.as_str()), (Some(78), ""));
        let lines: Vec<&str> = ended.err.lines().skip(1).collect();
        assert_eq!(lines.len(), expected.len(), "{}", ended.err);
        for (line, (place, words)) in lines.iter().zip(expected) {
            assert!(
                line.starts_with("policy.file: ") && line.contains(POLICIES),
                "{line}"
            );
            assert!(line.contains(place) && line.contains(words), "{line}");
        }
    }
}

#[tokio::test]
async fn policy_everyone_is_refused_with_its_replacement() {
    let pbx = pbx([]).await;
    let builder = gateway(&pbx).set("policy.everyone", true);
    let path = builder.write();
    let ended = run_wavegate(&["check", "--config", path.to_str().unwrap()]).await;
    assert_eq!(ended.code, Some(78));
    assert!(ended.err.contains("policy.everyone"), "{}", ended.err);
    assert!(ended.err.contains(EVERYONE), "{}", ended.err);
}

#[tokio::test]
async fn without_policies_nobody_hears_anything_and_check_says_so() {
    let pbx = pbx([NAME]).await;
    let builder = gateway(&pbx);
    let path = builder.write();
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace(&format!("file = \"{POLICIES}\""), "")).unwrap();
    let ended = run_wavegate(&["check", "--config", path.to_str().unwrap()]).await;
    assert_eq!(ended.code, Some(0));
    assert!(
        ended.out.contains("nobody may hear anything"),
        "{}",
        ended.out
    );
    let (running, address) = serve(&path).await;
    let call =
        crate::harness::Call::new(address, http::Method::GET, &format!("/recordings/{NAME}"));
    let answer = call.bearer(&jwt("alice")).send().await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    running
        .err
        .until(|log| log.contains("no policies: nobody may hear anything"))
        .await;
    running.stop().await;
}

#[tokio::test]
async fn a_reload_with_a_bad_policy_changes_nothing_and_says_so() {
    let pbx = pbx([OWN]).await;
    let builder = gateway(&pbx).policies(STARTERS);
    let policies = builder.folder().join(POLICIES);
    let (running, address) = serve(&builder.write()).await;
    let get = async |token: String| {
        let target = format!("/recordings/{OWN}");
        let call = crate::harness::Call::new(address, http::Method::GET, &target);
        call.bearer(&token).send().await.status()
    };
    let alice = || agent("alice", &["office/1001"]);
    let bob = || agent("bob", &["office/1002"]);
    assert_eq!(
        (get(alice()).await, get(bob()).await),
        (StatusCode::OK, StatusCode::FORBIDDEN)
    );

    std::fs::write(&policies, "permit(principal, action, resources);").unwrap();
    running.signal("HUP");
    let said = |log: &str| log.contains("line 1, column 27") && log.contains("policy.file");
    running.err.until(said).await;
    assert_eq!(
        (get(alice()).await, get(bob()).await),
        (StatusCode::OK, StatusCode::FORBIDDEN)
    );

    std::fs::write(&policies, EVERYONE).unwrap();
    running.signal("HUP");
    running
        .err
        .until(|log| log.contains("the configuration was read again"))
        .await;
    assert_eq!(
        (get(alice()).await, get(bob()).await),
        (StatusCode::OK, StatusCode::OK)
    );
    running.stop().await;
}

#[tokio::test]
async fn a_reload_changes_decisions_and_groups_for_the_next_request() {
    let queued = "20260302104512-1772448301.1219-0205550147-6400-Inbound.wav";
    let pbx = pbx([OWN, queued]).await;
    let gateway = gateway(&pbx).policies(STARTERS).start().await;
    let alice = agent("alice", &["office/1001"]);
    let heard = async || {
        [
            outcome(&gateway, &alice, OWN).await,
            outcome(&gateway, &alice, queued).await,
        ]
    };
    assert_eq!(heard().await, ["200", "recording-denied"]);

    let path = gateway.folder().join("wavegate.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let text = text.replace("[pbx.groups]", "[pbx.groups]\n6400 = [\"1001\"]");
    std::fs::write(&path, text).unwrap();
    gateway.reload().unwrap();
    assert_eq!(heard().await, ["200", "200"]);

    let no_alice = "@id(\"no-alice\") forbid(principal, action, resource) when { principal.subject == \"alice\" };";
    rewrite(&gateway, &format!("{STARTERS}{no_alice}"));
    gateway.reload().unwrap();
    assert_eq!(heard().await, ["recording-denied", "recording-denied"]);
    // Groups and policies are not part of a PBX, so the reload keeps its token.
    assert_eq!(pbx.seen().logins_ok, 1);
}

#[tokio::test]
async fn a_policy_that_cannot_be_evaluated_denies() {
    let pbx = pbx([NAME]).await;
    let broken = "@id(\"broken\") forbid(principal, action, resource)\n\
                  when { context.now.offset(duration(\"106751991167d\")) < context.now };";
    let gateway = gateway(&pbx)
        .policies(&format!("{EVERYONE}\n{broken}"))
        .start()
        .await;
    assert_eq!(
        outcome(&gateway, &jwt("alice"), NAME).await,
        "recording-denied"
    );
    assert_eq!(pbx.seen().requests.total(), 0);
}

/// A policy test, and a part of its error message where it fails.
type Row = (&'static str, Option<&'static str>);

const ROWS: [Row; 20] = [
    (
        "extensions = [\"office/1001\"]\nexpect = \"allow\"\nby = [\"own-calls\"]",
        None,
    ),
    (
        "extensions = [\"office/1002\"]\nexpect = \"deny\"\nby = []",
        None,
    ),
    (
        "roles = [\"supervisor\"]\naction = \"share\"\nexpect = \"allow\"",
        None,
    ),
    (
        "credential = \"link\"\nissuer = \"crm\"\nexpect = \"allow\"\nby = [\"links\"]",
        None,
    ),
    ("credential = \"link\"\nexpect = \"allow\"", None),
    (
        "credential = \"session\"\nextensions = [\"office/1001\"]\nexpect = \"allow\"",
        None,
    ),
    ("credential = \"sso\"\nexpect = \"deny\"", None),
    (
        "pbx = \"office\"\nsubject = \"dave\"\nsource = \"10.0.0.1\"\nroles = [\"supervisor\"]\nexpect = \"deny\"\nby = [\"not-10\"]",
        None,
    ),
    (
        "now = \"2030-01-01T00:00:00Z\"\nroles = [\"supervisor\"]\nexpect = \"deny\"\nby = [\"not-in-2030\"]",
        None,
    ),
    (
        "extensions = [\"office/1001\"]\nexpect = \"deny\"",
        Some("expected deny, but it is allowed by own-calls"),
    ),
    (
        "expect = \"allow\"",
        Some("expected allow, but it is denied: no policy permits it"),
    ),
    (
        "extensions = [\"office/1001\"]\nroles = [\"supervisor\"]\nexpect = \"allow\"\nby = [\"own-calls\"]",
        Some("expected allow by own-calls, but it is allowed by own-calls, supervisors"),
    ),
    (
        "source = \"10.0.0.1\"\nexpect = \"allow\"",
        Some("expected allow, but it is denied: forbidden by not-10"),
    ),
    // The policy `open` permits everyone to share, but sharing also requires the right to listen.
    (
        "subject = \"erin\"\naction = \"share\"\nexpect = \"allow\"",
        Some("expected allow, but it is denied: no policy permits it"),
    ),
    (
        "credential = \"link\"\naction = \"share\"\nexpect = \"allow\"",
        Some("expected allow, but it is denied: a link cannot make links"),
    ),
    (
        "pbx = \"branch\"\nexpect = \"deny\"",
        Some("there is no PBX named \"branch\""),
    ),
    (
        "issuer = \"https://other\"\nexpect = \"deny\"",
        Some("no [[auth.issuer]] has this name"),
    ),
    (
        "credential = \"link\"\nissuer = \"erp\"\nexpect = \"deny\"",
        Some("no [[links.key]] has this id"),
    ),
    (
        "credential = \"link\"\nroles = [\"a\"]\nexpect = \"deny\"",
        Some("a link has no roles"),
    ),
    (
        "extensions = [\"1001\"]\nexpect = \"deny\"",
        Some("extensions: a number without its PBX"),
    ),
];

#[tokio::test]
async fn rows_of_tests_are_run_by_check_and_by_each_reload() {
    let pbx = pbx([OWN]).await;
    let policies = format!(
        "{STARTERS}\n\
         @id(\"open\") permit(principal, action == Wavegate::Action::\"share\", resource);\n\
         @id(\"not-10\") forbid(principal, action, resource) when {{ context.source.isInRange(ip(\"10.0.0.0/8\")) }};\n\
         @id(\"not-in-2030\") forbid(principal, action, resource) when {{ context.now >= datetime(\"2030-01-01\") }};"
    );
    let row = |(lines, _): &Row| format!("[[policy.test]]\nrecording = \"{OWN}\"\n{lines}\n");
    let (good, bad): (Vec<Row>, Vec<Row>) =
        ROWS.into_iter().partition(|(_, problem)| problem.is_none());
    let good: String = good.iter().map(row).collect();
    let running = gateway(&pbx)
        .policies(&policies)
        .lines("[policy]", &good)
        .start()
        .await;
    let path = running.folder().join("wavegate.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let rows: String = bad.iter().map(row).collect();
    std::fs::write(&path, text.replace("[relay]", &format!("{rows}[relay]"))).unwrap();

    let refused = running.reload().unwrap_err();

    let ended = run_wavegate(&["check", "--config", path.to_str().unwrap()]).await;
    assert_eq!(ended.code, Some(78));
    let lines: Vec<&str> = ended.err.lines().skip(1).collect();
    assert_eq!(lines.len(), bad.len(), "{}", ended.err);
    for (index, ((_, problem), line)) in bad.iter().zip(lines).enumerate() {
        let key = format!("policy.test[{}]: ", ROWS.len() - bad.len() + index);
        assert!(
            line.starts_with(&key) && line.contains(problem.unwrap()),
            "{line}"
        );
        assert!(refused.contains(line), "{refused}");
    }
    // The earlier policies are still in force.
    let carol = jwt_with("carol", json!({"roles": ["supervisor"]}));
    assert_eq!(outcome(&running, &carol, OWN).await, "200");
}

#[tokio::test]
async fn mistakes_in_a_test_row_are_named_with_their_keys() {
    let pbx = pbx([]).await;
    let builder = gateway(&pbx).lines("[policy]", "[[policy.test]]\nexpect = \"maybe\"\naction = \"hear\"\ncredential = \"cookie\"\nnow = \"noon\"\nsource = \"here\"\nroles = \"a\"\n\
         [[policy.test]]\nrecording = \"a/b\"\nrole = \"x\"");
    let path = builder.write();
    let ended = run_wavegate(&["check", "--config", path.to_str().unwrap()]).await;
    let mut keys: Vec<&str> = ended
        .err
        .lines()
        .skip(1)
        .filter_map(|line| line.split(": ").next())
        .collect();
    keys.sort_unstable();
    let row = |index: usize, keys: &[&str]| {
        let key = |key: &&str| format!("policy.test[{index}].{key}");
        keys.iter().map(key).collect::<Vec<_>>()
    };
    let mut expected = row(
        0,
        &[
            "action",
            "credential",
            "expect",
            "now",
            "recording",
            "roles",
            "source",
        ],
    );
    expected.extend(row(1, &["expect", "recording", "role"]));
    assert_eq!(keys, expected, "{}", ended.err);
}

#[tokio::test]
async fn mistakes_in_groups_and_issuer_settings_are_named() {
    let pbx = pbx([]).await;
    let builder = gateway(&pbx)
        .set("auth.issuer.pbxs", ["branch"])
        .set("auth.issuer.roles_claim", "a..b")
        .set("pbx.groups.6400", ["1001", "6401"])
        .set("pbx.groups.6401", ["1002"])
        .set("pbx.groups.6402", "1003")
        .set("pbx.groups.6403", ["office/1001"]);
    let path = builder.write();
    let ended = run_wavegate(&["check", "--config", path.to_str().unwrap()]).await;
    let mut lines: Vec<&str> = ended.err.lines().skip(1).collect();
    lines.sort_unstable();
    let expected = [
        ("auth.issuer[0].pbxs: ", "branch"),
        ("auth.issuer[0].roles_claim: ", "realm_access.roles"),
        ("pbx[0].groups.6400: ", "a group itself"),
        ("pbx[0].groups.6402: ", "a list"),
        ("pbx[0].groups.6403: ", "not a number"),
    ];
    assert_eq!(lines.len(), expected.len(), "{}", ended.err);
    for (line, (key, words)) in lines.iter().zip(expected) {
        assert!(line.starts_with(key) && line.contains(words), "{line}");
    }
}

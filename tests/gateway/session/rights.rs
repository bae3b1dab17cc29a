//! A session and a single sign-on cookie have the rights of their bearer token, as long as its
//! issuer has them.

use serde_json::json;

use super::ends::change;
use super::*;
use crate::harness::audit::{dir, until};
use crate::harness::jwt_with;

const OF_1001: &str = "20260302104512-1772448301.1219-0205550147-1001-Inbound.wav";
/// Policies by extension, by role and by tenant, each alone.
const POLICIES: &str = r#"
@id("own") permit(principal, action, resource) when { principal.extensions.containsAny(resource.internal_parties) };
@id("role") permit(principal, action, resource) when { principal.roles.contains("supervisor") };
@id("tenant") permit(principal, action, resource) when { principal has tenant && principal.tenant == resource.pbx };
@id("no-cookies-for-dave") forbid(principal, action, resource) when { principal.subject == "dave" && context.credential != "bearer" };
"#;

async fn office() -> Simulator {
    let builder = Simulator::builder(Api::SSeries200);
    let builder = builder.recording(OF_1001, wav::music(1));
    builder.start().await.unwrap()
}

/// The statuses for a request with this token: as a bearer token, by its session, and as the cookie
/// of single sign-on.
async fn each_way(gateway: &Gateway, token: &str, target: &str) -> [u16; 3] {
    let cookie = own(&open(gateway, token).await);
    let by = async |name: &str, value: &str| {
        let call = call(gateway, Method::GET, target).header(name, value);
        let answer = call.header("sec-fetch-site", "same-origin").send().await;
        answer.status().as_u16()
    };
    [
        by("authorization", &format!("Bearer {token}")).await,
        by("cookie", &cookie).await,
        by("cookie", &format!("sso={token}")).await,
    ]
}

#[tokio::test]
async fn roles_extensions_and_tenant_are_those_of_the_bearer_token() {
    let pbx = office().await;
    let builder = with_sessions(&pbx, "").set("auth.cookie", "sso").audit();
    let gateway = builder.policies(POLICIES).start().await;
    let target = format!("/recordings/{OF_1001}");
    let rows = [
        (json!({}), [403; 3], json!([])),
        (
            json!({"extensions": ["office/1001"]}),
            [200; 3],
            json!(["own"]),
        ),
        (
            json!({"extensions": ["office/1002", "branch/1001"]}),
            [403; 3],
            json!([]),
        ),
        (
            json!({"roles": ["agent", "supervisor"]}),
            [200; 3],
            json!(["role"]),
        ),
        (json!({"roles": ["super", "visor"]}), [403; 3], json!([])),
        (json!({"tenant": "office"}), [200; 3], json!(["tenant"])),
        (json!({"tenant": "branch"}), [403; 3], json!([])),
    ];
    for (claims, expected, _) in &rows {
        let token = jwt_with("alice", claims.clone());
        assert_eq!(
            each_way(&gateway, &token, &target).await,
            *expected,
            "{claims}"
        );
    }
    let dave = jwt_with("dave", json!({"roles": ["supervisor"]}));
    assert_eq!(each_way(&gateway, &dave, &target).await, [200, 403, 403]);

    let decisions = until(&dir(gateway.folder()), "decision", 3 * rows.len() + 3).await;
    let kinds = ["bearer", "session", "sso"];
    for (row, (claims, expected, by)) in decisions.chunks(3).zip(&rows) {
        for ((line, kind), status) in row.iter().zip(kinds).zip(expected) {
            assert_eq!(line["credential"], kind, "{claims}");
            assert_eq!(
                (&line["policies"], &line["allowed"]),
                (by, &json!(*status == 200)),
                "{claims}"
            );
            // All three credentials come from one token.
            assert_eq!(
                (&line["subject"], &line["jti"]),
                (&json!("alice"), &row[0]["jti"])
            );
        }
    }
}

#[tokio::test]
async fn a_list_is_the_same_for_every_credential() {
    let pbx = Simulator::builder(Api::PSeries);
    let pbx = pbx
        .recording(OF_1001, wav::music(1))
        .recording(NAME, wav::music(1));
    let pbx = pbx.start().await.unwrap();
    let builder = with_sessions(&pbx, "").set("auth.cookie", "sso");
    let gateway = builder.policies(POLICIES).start().await;
    for (extension, expected) in [("office/1001", 2), ("office/1003", 1), ("office/1009", 0)] {
        let token = jwt_with("alice", json!({"extensions": [extension]}));
        let cookie = own(&open(&gateway, &token).await);
        for (name, value) in [
            ("authorization", format!("Bearer {token}")),
            ("cookie", cookie),
            ("cookie", format!("sso={token}")),
        ] {
            let call = call(&gateway, Method::GET, "/recordings").header(name, &value);
            let answer = call.header("sec-fetch-site", "same-origin").send().await;
            let page: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
            assert_eq!(
                page["recordings"].as_array().unwrap().len(),
                expected,
                "{extension} {name}"
            );
        }
    }
}

#[tokio::test]
async fn an_issuers_pbxs_limit_its_sessions_after_a_reload_too() {
    let (office, branch) = (office().await, office().await);
    let both = "pbxs = [\"office\", \"branch\"]";
    let builder = with_sessions(&office, "").set("auth.cookie", "sso");
    let builder = builder
        .beside("branch", &branch)
        .lines("[auth.issuer]", both);
    let gateway = builder.start().await;
    let token = jwt("alice");
    let cookie = own(&open(&gateway, &token).await);
    let status = async |pbx: &str, name: &str, value: &str| {
        let target = format!("/pbx/{pbx}/recordings/{OF_1001}");
        let call = call(&gateway, Method::GET, &target).header(name, value);
        let answer = call.header("sec-fetch-site", "same-origin").send().await;
        answer.status().as_u16()
    };
    let bearer = format!("Bearer {token}");
    let sso = format!("sso={token}");
    let credentials = [
        ("cookie", &*cookie),
        ("cookie", &*sso),
        ("authorization", &*bearer),
    ];
    for (lines, expected) in [
        (both, [200, 200]),
        ("pbxs = [\"office\"]", [200, 403]),
        ("pbxs = [\"branch\"]", [403, 200]),
        ("", [200, 200]),
    ] {
        change_line(&gateway, "pbxs = ", lines);
        for (name, value) in credentials {
            for (pbx, expected) in ["office", "branch"].into_iter().zip(expected) {
                assert_eq!(
                    status(pbx, name, value).await,
                    expected,
                    "{lines} {name} {pbx}"
                );
            }
        }
    }
}

/// Replaces the line that begins with `begin`, and reloads.
fn change_line(gateway: &Gateway, begin: &str, line: &str) {
    let text = std::fs::read_to_string(gateway.folder().join("wavegate.toml")).unwrap();
    let old = text.lines().find(|line| line.starts_with(begin)).unwrap();
    if old != line {
        change(gateway, old, &format!("{line}\n"));
    }
}

#[tokio::test]
async fn a_token_too_large_for_a_session_still_works_as_bearer() {
    let pbx = office().await;
    let builder = with_sessions(&pbx, "").set("auth.cookie", "sso");
    let gateway = builder.policies(POLICIES).start().await;
    let roles = |count: usize, length: usize| {
        let roles: Vec<String> = (0..count)
            .map(|number| format!("{number:0length$}"))
            .collect();
        let extensions = vec!["office/1001"];
        jwt_with("alice", json!({"roles": roles, "extensions": extensions}))
    };
    // Many roles, roles of the greatest length, and both together.
    for (count, length) in [
        (256, 14),
        (300, 10),
        (900, 5),
        (14, 256),
        (90, 40),
        (150, 40),
        (20, 200),
    ] {
        let token = roles(count, length);
        let answer = call(&gateway, Method::POST, "/session").bearer(&token);
        let answer = answer.send().await;
        assert!(set_cookies(&answer).is_empty());
        let problem = answer.problem().await;
        assert_eq!(problem.slug, "session-too-large", "{count} {length}");
        let heard = call(&gateway, Method::GET, &format!("/recordings/{OF_1001}"));
        assert_eq!(heard.bearer(&token).send().await.status(), StatusCode::OK);
    }
    // A token beyond the limits of every token opens no session and is not read further.
    for (count, length) in [(1_025, 4), (1, 257)] {
        let call = call(&gateway, Method::POST, "/session").bearer(&roles(count, length));
        let slug = call.send().await.problem().await.slug;
        assert_eq!(slug, "bearer-token-invalid", "{count} {length}");
    }
    // A browser also accepts the longest cookie that fits: name and value within 4096 bytes.
    let fits = open(&gateway, &roles(100, 14)).await;
    assert!(COOKIE.len() + fits.len() <= 4096);
    assert_eq!(
        each_way(&gateway, &roles(100, 14), &format!("/recordings/{OF_1001}")).await,
        [200; 3]
    );
}

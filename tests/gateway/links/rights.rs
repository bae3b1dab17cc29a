//! A link requires both the right to hear the recording and the right to share it. Each request is
//! written to the audit log, whatever its outcome.

use std::path::PathBuf;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{OTHER, ask, claims, wish};
use crate::harness::audit::{of_kind, until, verified};
use crate::harness::session::{ORIGIN, call, open, own, pbx, with_sessions};
use crate::harness::{Answer, Gateway, NAME, PBX, jwt, jwt_with};

const LISTEN: &str =
    "@id(\"hear\") permit(principal, action == Wavegate::Action::\"listen\", resource);";
const SHARE: &str =
    "@id(\"hand-on\") permit(principal, action == Wavegate::Action::\"share\", resource);";
const NO_SHARING: &str =
    "@id(\"no-sharing\") forbid(principal, action == Wavegate::Action::\"share\", resource);";
const NO_HEARING: &str =
    "@id(\"no-hearing\") forbid(principal, action == Wavegate::Action::\"listen\", resource);";

fn folder(gateway: &Gateway) -> PathBuf {
    crate::harness::audit::dir(gateway.folder())
}

fn id(answer: &Answer) -> Value {
    answer.header("x-request-id").unwrap().into()
}

#[tokio::test]
async fn a_link_needs_both_rights_and_is_one_decision() {
    let pbx = pbx().await;
    let nothing: &[&str] = &[];
    for (policies, allowed, by) in [
        (vec![LISTEN, SHARE], true, &["hand-on"][..]),
        (vec![LISTEN], false, nothing),
        (vec![SHARE], false, nothing),
        (vec![], false, nothing),
        (vec![LISTEN, SHARE, NO_SHARING], false, &["no-sharing"]),
        (vec![LISTEN, SHARE, NO_HEARING], false, &["no-hearing"]),
    ] {
        let builder = with_sessions(&pbx, "").audit();
        let gateway = builder.policies(&policies.join("\n")).start().await;
        let answer = ask(&gateway, &wish(json!({}))).await;
        let (id, status) = (id(&answer), answer.status());
        // The id of the new link, by which the log identifies later requests with it.
        let mut given = Value::Null;
        if allowed {
            assert_eq!(status, StatusCode::CREATED);
            let made: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
            let target = made["url"].as_str().unwrap().strip_prefix(ORIGIN).unwrap();
            given = claims(target)["jti"].clone();
        } else {
            let told = answer.problem().await;
            let told = (told.status, &*told.slug);
            assert_eq!(told, (StatusCode::FORBIDDEN, "recording-denied"), "{by:?}");
        }
        let folder = folder(&gateway);
        if allowed {
            until(&folder, "delivery", 1).await;
        }
        assert!(gateway.app.shut_down().await);
        let decisions = of_kind(&folder, "decision");
        assert_eq!(decisions.len(), 1, "{by:?}");
        let decision = &decisions[0];
        assert_eq!(decision["id"], id);
        assert_eq!(
            (&decision["action"], &decision["method"]),
            (&json!("share"), &json!("POST"))
        );
        assert_eq!(
            (&decision["pbx"], &decision["recording"]),
            (&json!(PBX), &json!(NAME))
        );
        assert_eq!(
            (&decision["allowed"], &decision["policies"]),
            (&json!(allowed), &json!(by))
        );
        assert_eq!(decision["reason"].is_null(), allowed);
        assert_eq!((&decision["link"], given.is_string()), (&given, allowed));
        let ends = of_kind(&folder, "delivery");
        assert_eq!(ends.len(), usize::from(allowed));
        for end in ends {
            let told = (&end["decision"], &end["status"], &end["outcome"]);
            assert_eq!(told, (&decision["seq"], &json!(201), &json!("complete")));
            // The delivery of a link contains no audio.
            assert_eq!((&end["bytes"], &end["heard_ms"]), (&json!(0), &json!(null)));
        }
        verified(&folder, &[]).await;
    }
    assert_eq!(pbx.seen().connections, 0);
}

#[tokio::test]
async fn a_hidden_denial_of_a_link_looks_like_a_missing_recording() {
    let pbx = pbx().await;
    for policies in [LISTEN, SHARE] {
        let builder = with_sessions(&pbx, "").policies(policies);
        let gateway = builder
            .set("policy.forbidden_as_not_found", true)
            .start()
            .await;
        let hidden = ask(&gateway, &wish(json!({}))).await.problem().await;
        assert_eq!(hidden.status, StatusCode::NOT_FOUND);
        let missing = format!("/recordings/{OTHER}");
        let missing = call(&gateway, Method::GET, &missing).bearer(&jwt("alice"));
        let missing = missing.send().await.problem().await;
        let told = |text: &str| {
            let mut document: Value = serde_json::from_str(text).unwrap();
            document["request_id"].take();
            document
        };
        assert_eq!(told(&hidden.text), told(&missing.text));
    }
}

#[tokio::test]
async fn a_cookie_makes_links_with_the_rights_of_its_token() {
    let pbx = pbx().await;
    let of_alice = format!(
        "permit(principal, action, resource) when {{ principal.roles.contains(\"supervisor\") }};\n\
         @id(\"no-sso\") forbid(principal, action == Wavegate::Action::\"share\", resource) when {{ context.credential == \"sso\" }};\n{LISTEN}"
    );
    let builder = with_sessions(&pbx, "").set("auth.cookie", "sso").audit();
    let gateway = builder.policies(&of_alice).start().await;
    let token = jwt_with("alice", json!({"roles": ["supervisor"]}));
    let agent = jwt_with("bob", json!({"roles": ["agent"]}));
    let (session, other) = (open(&gateway, &token).await, open(&gateway, &agent).await);
    for (cookie, status) in [
        (own(&session), StatusCode::CREATED),
        (own(&other), StatusCode::FORBIDDEN),
        (format!("sso={token}"), StatusCode::FORBIDDEN),
    ] {
        let wish = call(&gateway, Method::POST, "/links").json(&wish(json!({})));
        let wish = wish.header("cookie", &cookie).header("origin", ORIGIN);
        let answer = wish.send().await;
        assert_eq!(answer.status(), status);
        if status == StatusCode::CREATED {
            let made: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
            let target = made["url"].as_str().unwrap().strip_prefix(ORIGIN).unwrap();
            assert_eq!(claims(target)["sub"], "alice");
        }
    }
    let decisions = until(&folder(&gateway), "decision", 3).await;
    let told = |line: &Value| {
        ["subject", "credential", "allowed", "policies"].map(|name| line[name].clone())
    };
    let told: Vec<_> = decisions.iter().map(told).collect();
    let expected = [
        [
            json!("alice"),
            json!("session"),
            json!(true),
            json!(["line-1"]),
        ],
        [json!("bob"), json!("session"), json!(false), json!([])],
        [
            json!("alice"),
            json!("sso"),
            json!(false),
            json!(["no-sso"]),
        ],
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn an_invalid_link_request_logs_no_decision() {
    let pbx = pbx().await;
    let gateway = with_sessions(&pbx, "").audit().start().await;
    for body in [
        "",
        "{}",
        "[]",
        &wish(json!({"x": 1})),
        &wish(json!({"ttl_s": 0})),
    ] {
        assert_eq!(ask(&gateway, body).await.status(), StatusCode::BAD_REQUEST);
    }
    let folder = folder(&gateway);
    assert!(gateway.app.shut_down().await);
    assert_eq!(of_kind(&folder, "decision"), Vec::<Value>::new());
    verified(&folder, &[]).await;
}

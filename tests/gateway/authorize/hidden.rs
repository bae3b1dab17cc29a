//! The same answer for a denied recording and for one that does not exist.

use std::time::{SystemTime, UNIX_EPOCH};

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{STARTERS, agent, pbx};
use crate::harness::{Gateway, gateway, jwt_with, link_of};

const OF_1001: &str = "20260302104512-1772448301.1219-0205550147-1001-Inbound.wav";
const MISSING: &str = "20260302104512-1772448301.1220-0205550147-1002-Inbound.wav";

/// Status, header fields and body, without the parts that differ in every answer.
async fn answer(
    gateway: &Gateway,
    method: Method,
    token: &str,
    name: &str,
) -> (StatusCode, String) {
    let call = gateway.request(method.clone(), &format!("/recordings/{name}"));
    let answer = call.bearer(token).send().await;
    let status = answer.status();
    let mut fields: Vec<String> = answer
        .headers()
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "date" | "x-request-id"))
        .map(|(name, value)| format!("{name}: {value:?}"))
        .collect();
    fields.sort_unstable();
    let body = answer.bytes().await.unwrap();
    let body = match serde_json::from_slice::<Value>(&body) {
        Ok(mut body) => {
            body["request_id"] = Value::Null;
            body.to_string()
        }
        Err(_) => String::new(),
    };
    assert_eq!(body.is_empty(), method == Method::HEAD);
    (status, format!("{fields:?} {body}"))
}

#[tokio::test]
async fn a_denied_recording_is_answered_as_a_missing_one() {
    // A call of this hour, whose recording the PBX may not have yet.
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let young = |callee: u32| format!("20260302104512-{now}.1-0205550147-{callee}-Inbound.wav");
    let pbx = pbx([OF_1001, &young(1001)]).await;
    let gateway = gateway(&pbx)
        .policies(STARTERS)
        .set("policy.forbidden_as_not_found", true)
        .set("pbx.not_ready_retry_ms", json!([]))
        .start()
        .await;
    let bob = agent("bob", &["office/1002"]);
    for (denied, missing, slug) in [
        (
            OF_1001.to_owned(),
            MISSING.to_owned(),
            "recording-not-found",
        ),
        (young(1001), young(1002), "recording-not-ready"),
    ] {
        for method in [Method::GET, Method::HEAD] {
            let before = pbx.seen().requests.total();
            let hidden = answer(&gateway, method.clone(), &bob, &denied).await;
            assert_eq!(pbx.seen().requests.total(), before);
            assert_eq!(hidden.0, StatusCode::NOT_FOUND);
            assert!(
                hidden.1.contains(slug) || method == Method::HEAD,
                "{}",
                hidden.1
            );
            assert_eq!(hidden, answer(&gateway, method, &bob, &missing).await);
            assert!(pbx.seen().requests.total() > before);
        }
    }
    // The caller who may hear the recording does get it.
    let alice = agent("alice", &["office/1001"]);
    let call = gateway.get(OF_1001).bearer(&alice);
    assert_eq!(call.send().await.status(), StatusCode::OK);
}

#[tokio::test]
async fn hidden_denials_do_not_hide_a_link_for_another_recording() {
    let pbx = pbx([OF_1001]).await;
    let gateway = gateway(&pbx)
        .policies(STARTERS)
        .set("policy.forbidden_as_not_found", true)
        .start()
        .await;
    let link = link_of("bob", "office", MISSING, None);
    let call = gateway.request(Method::GET, &format!("/recordings/{OF_1001}?link={link}"));
    let problem = call.send().await.problem().await;
    assert_eq!(problem.slug, "link-for-another-recording");
}

#[tokio::test]
async fn by_default_a_denial_is_answered_with_403() {
    let pbx = pbx([OF_1001]).await;
    let gateway = gateway(&pbx).policies(STARTERS).start().await;
    let nobody = jwt_with("carol", json!({}));
    let problem = gateway
        .get(OF_1001)
        .bearer(&nobody)
        .send()
        .await
        .problem()
        .await;
    let told = (problem.status, problem.slug.as_str());
    assert_eq!(told, (StatusCode::FORBIDDEN, "recording-denied"));
    assert_eq!(pbx.seen().requests.total(), 0);
}

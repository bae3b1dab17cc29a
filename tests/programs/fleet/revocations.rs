//! Revocations reach all instances, and no store takes one back.

use http::StatusCode;

use super::{jealous, member};
use crate::harness::admin::post;
use crate::harness::store::Store;
use crate::harness::{Builder, Gateway, ISSUER, NAME, jwt, soon, write_secret};

const TOKEN: &str = "a-token-of-the-tests-for-the-admin-listener";

fn with_operator(builder: Builder) -> Builder {
    write_secret(&builder.folder().join("admin-token"), TOKEN);
    builder.set("admin.token_file", "admin-token")
}

async fn revoke(gateway: &Gateway, subject: &str) {
    let token = format!("Bearer {TOKEN}");
    let fields = [
        ("authorization", &*token),
        ("content-type", "application/json"),
    ];
    let entry = format!(r#"{{"issuer":"{ISSUER}","subject":"{subject}"}}"#);
    let reply = post(gateway.app.admin_address(), "/revocations", &fields, &entry).await;
    assert_eq!(reply.status, 204, "{}", reply.text);
}

async fn status(gateway: &Gateway, subject: &str) -> StatusCode {
    gateway
        .get(NAME)
        .bearer(&jwt(subject))
        .send()
        .await
        .status()
}

/// Waits until the instance refuses `subject`.
async fn refuses(gateway: &Gateway, subject: &str) {
    let is_refused = async || {
        // A revocation that comes in the middle of a request ends its connection.
        let answer = gateway.get(NAME).bearer(&jwt(subject)).try_send().await;
        answer.is_ok_and(|answer| answer.status() == StatusCode::UNAUTHORIZED)
    };
    soon(async { while !is_refused().await {} }).await;
}

#[tokio::test]
async fn a_revocation_at_one_instance_holds_at_all_and_at_those_that_join() {
    let Some(store) = Store::start().await else {
        return;
    };
    let pbx = jealous().await;
    let member = || with_operator(member(&pbx, &store));
    let (first, second) = (member().start().await, member().start().await);
    assert_eq!(status(&second, "alice").await, StatusCode::OK);
    revoke(&first, "alice").await;
    assert_eq!(status(&first, "alice").await, StatusCode::UNAUTHORIZED);
    refuses(&second, "alice").await;
    assert_eq!(status(&second, "bob").await, StatusCode::OK);
    let third = member().start().await;
    refuses(&third, "alice").await;
}

#[tokio::test]
async fn an_emptied_store_revokes_nothing_less() {
    let Some(mut store) = Store::start().await else {
        return;
    };
    let pbx = jealous().await;
    let (first, second) = {
        let member = || with_operator(member(&pbx, &store));
        (member().start().await, member().start().await)
    };
    revoke(&first, "alice").await;
    refuses(&second, "alice").await;
    store.empty().await;
    // The lists go back into the store, and a new entry reaches all.
    revoke(&second, "bob").await;
    refuses(&first, "bob").await;
    store.stop();
    revoke(&first, "carol").await;
    assert_eq!(status(&first, "carol").await, StatusCode::UNAUTHORIZED);
    store.start_again().await;
    refuses(&second, "carol").await;
    let third = with_operator(member(&pbx, &store)).start().await;
    for subject in ["alice", "bob", "carol"] {
        refuses(&third, subject).await;
        assert_eq!(status(&first, subject).await, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn a_line_that_an_operator_writes_into_one_file_holds_at_all() {
    let Some(store) = Store::start().await else {
        return;
    };
    let pbx = jealous().await;
    let member = || member(&pbx, &store).set("auth.revocation_file", "revoked.jsonl");
    let (first, second) = (member().start().await, member().start().await);
    let line = format!("{{\"issuer\":\"{ISSUER}\",\"subject\":\"alice\"}}\n");
    std::fs::write(first.folder().join("revoked.jsonl"), line).unwrap();
    refuses(&first, "alice").await;
    refuses(&second, "alice").await;
    // It is in the other's own file by now, once.
    let own = std::fs::read_to_string(second.folder().join("revoked.jsonl")).unwrap();
    assert_eq!(own.matches("alice").count(), 1, "{own}");
}

#[tokio::test]
async fn a_store_that_was_rolled_back_hides_no_revocation() {
    let Some(store) = Store::start().await else {
        return;
    };
    let pbx = jealous().await;
    let member = || with_operator(member(&pbx, &store));
    let (first, second) = (member().start().await, member().start().await);
    revoke(&first, "alice").await;
    revoke(&first, "bob").await;
    refuses(&second, "alice").await;
    refuses(&second, "bob").await;
    // An older state of the store, with the same mark: the last value is not there.
    let rolled_back = "local values = redis.call('KEYS', '*}:values')[1] \
        redis.call('RPOP', values) redis.call('DEL', redis.call('KEYS', '*}:ids')[1]) \
        redis.call('LPOP', values) return 1";
    assert_eq!(store.number(rolled_back).await, 1);
    revoke(&first, "carol").await;
    refuses(&second, "carol").await;
    let third = member().start().await;
    for subject in ["alice", "bob", "carol"] {
        refuses(&third, subject).await;
    }
}

#[tokio::test]
async fn an_instance_that_joins_serves_no_token_that_was_revoked_before() {
    let Some(store) = Store::start().await else {
        return;
    };
    let pbx = jealous().await;
    let member = || with_operator(member(&pbx, &store));
    let first = member().start().await;
    revoke(&first, "alice").await;
    soon(async { while !store.content().await.contains("values") {} }).await;
    for _ in 0..5 {
        let newcomer = member().start().await;
        assert_eq!(status(&newcomer, "alice").await, StatusCode::UNAUTHORIZED);
    }
}

//! A revocation takes effect at once: for the next request, and for running transfers.

use std::path::Path;
use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::Value;
use tokio::task::JoinHandle;
use wavegate::simulator::{Api, CallKind, CallRecord, Misbehavior, ScriptedFault, Simulator, wav};

use crate::harness::admin::{Reply, ask, post};
use crate::harness::list::WINDOW;
use crate::harness::programs::serve;
use crate::harness::{
    Answer, Builder, Gateway, ISSUER, NAME, PBX, POLICIES, gateway, jwt, link, soon, write_secret,
};

const TOKEN: &str = "a-token-of-the-tests-for-the-admin-listener";
const BYTES: usize = 4_000_000;
const NOT_ALICE: &str =
    "permit(principal, action, resource) unless { principal.subject == \"alice\" };";
/// The number of bytes that a held download sends.
const HELD_AT: u64 = 1_000_000;

/// A PBX that sends no more than the first [`HELD_AT`] bytes for now.
async fn held() -> Simulator {
    let builder = Simulator::builder(Api::SSeries200).recording(NAME, wav::pcm_of_size(BYTES));
    let pbx = builder.start().await.unwrap();
    pbx.hold_downloads(HELD_AT);
    pbx
}

/// A gateway with a list of revocations, and an operator's token.
fn revoking(pbx: &Simulator) -> Builder {
    let builder = gateway(pbx).set("admin.token_file", "admin-token");
    write_secret(&builder.folder().join("admin-token"), TOKEN);
    builder.set("auth.revocation_file", "revoked.jsonl")
}

fn write(folder: &Path, list: &str) {
    std::fs::write(folder.join("revoked.jsonl"), list).unwrap();
}

fn person(subject: &str) -> String {
    format!(r#"{{"issuer":"{ISSUER}","subject":"{subject}"}}"#)
}

async fn revoke(gateway: &Gateway, entry: &str) -> Reply {
    let token = format!("Bearer {TOKEN}");
    let fields = [
        ("authorization", &*token),
        ("content-type", "application/json"),
    ];
    post(gateway.app.admin_address(), "/revocations", &fields, entry).await
}

async fn get(gateway: &Gateway, subject: &str) -> Answer {
    gateway.get(NAME).bearer(&jwt(subject)).send().await
}

/// Begins to read the recording.
async fn begin(answer: Answer) -> Answer {
    let mut answer = answer;
    assert_eq!(answer.status(), StatusCode::OK);
    answer.chunk().await.unwrap().unwrap();
    answer
}

async fn until_refused(gateway: &Gateway, subject: &str) {
    // A request that has just begun is cut, perhaps before its head.
    let is_refused = async || {
        let call = gateway.get(NAME).bearer(&jwt(subject));
        let answer = call.try_send().await;
        answer.is_ok_and(|answer| answer.status() == StatusCode::UNAUTHORIZED)
    };
    soon(async { while !is_refused().await {} }).await;
}

#[tokio::test]
async fn a_revocation_ends_the_transfers_of_its_subject_only() {
    // With the cache, and without it.
    for cache in ["", "max_bytes = 0"] {
        let pbx = held().await;
        let gateway = revoking(&pbx).cache().lines("[cache]", cache).start().await;
        let alice = begin(get(&gateway, "alice").await).await;
        let bob = begin(get(&gateway, "bob").await).await;

        assert_eq!(revoke(&gateway, &person("alice")).await.status, 204);

        // The PBX sends no more, so the transfer ended because of the revocation.
        assert!(soon(alice.bytes()).await.is_err());
        let refused = get(&gateway, "alice").await.problem().await;
        assert_eq!(refused.slug, "bearer-token-invalid");
        pbx.release_downloads();
        assert!(bob.bytes().await.is_ok());
        let listed = std::fs::read_to_string(gateway.folder().join("revoked.jsonl")).unwrap();
        assert_eq!(listed, format!("{}\n", person("alice")));
    }
}

/// Begins a request that waits for the PBX's first byte. The task returns whether the request
/// failed.
async fn opening(gateway: &Gateway, pbx: &Simulator) -> JoinHandle<bool> {
    pbx.hold_downloads(0);
    let call = gateway.get(NAME).bearer(&jwt("alice"));
    let opening = tokio::spawn(async move {
        match call.try_send().await {
            Ok(answer) => answer.bytes().await.is_err(),
            Err(_) => true,
        }
    });
    soon(pbx.until(|seen| seen.downloads_running == 1)).await;
    opening
}

#[tokio::test]
async fn a_revocation_before_the_first_byte_stops_the_answer() {
    for cache in ["", "max_bytes = 0"] {
        let pbx = held().await;
        let gateway = revoking(&pbx).cache().lines("[cache]", cache).start().await;
        let opening = opening(&gateway, &pbx).await;
        assert_eq!(revoke(&gateway, &person("alice")).await.status, 204);
        pbx.release_downloads();
        assert!(opening.await.unwrap(), "{cache}");
    }
}

/// A gateway whose PBX is slow to send the first list. The list for `subject` is being read when
/// this returns.
async fn listing(subject: &str) -> (Simulator, Gateway, JoinHandle<Answer>) {
    let calls = (0..20).map(|number| CallRecord::numbered(number, 0));
    let pbx = Simulator::builder(Api::SSeries110).calls(calls);
    let pbx = pbx.start().await.unwrap();
    let slow = Misbehavior::Slow(Duration::from_secs(3));
    pbx.inject(ScriptedFault::once(CallKind::CdrDownload, slow));
    let gateway = revoking(&pbx).start().await;
    let list = list(&gateway, subject);
    soon(pbx.until(|seen| seen.requests.cdr_download == 1)).await;
    (pbx, gateway, list)
}

fn list(gateway: &Gateway, subject: &str) -> JoinHandle<Answer> {
    let call = gateway.request(Method::GET, &format!("/recordings?{WINDOW}"));
    tokio::spawn(call.bearer(&jwt(subject)).send())
}

async fn rows(list: JoinHandle<Answer>) -> usize {
    let answer = soon(list).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let document: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    document["recordings"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_revocation_during_a_list_refuses_it() {
    let (_pbx, gateway, alice) = listing("alice").await;
    assert_eq!(revoke(&gateway, &person("alice")).await.status, 204);
    let refused = soon(alice).await.unwrap().problem().await;
    assert_eq!(refused.slug, "bearer-token-invalid");
    assert_eq!(rows(list(&gateway, "bob")).await, 20);
}

#[tokio::test]
async fn a_list_shows_the_rows_that_reloaded_policies_allow() {
    let (_pbx, gateway, alice) = listing("alice").await;
    std::fs::write(gateway.folder().join(POLICIES), NOT_ALICE).unwrap();
    gateway.reload().unwrap();
    assert_eq!(rows(alice).await, 0);
    assert_eq!(rows(list(&gateway, "bob")).await, 20);
}

#[tokio::test]
async fn a_reloaded_policy_ends_the_transfers_it_denies() {
    for cache in ["", "max_bytes = 0"] {
        let pbx = held().await;
        let gateway = revoking(&pbx).cache().lines("[cache]", cache).start().await;
        let alice = begin(get(&gateway, "alice").await).await;
        let bob = begin(get(&gateway, "bob").await).await;
        std::fs::write(gateway.folder().join(POLICIES), NOT_ALICE).unwrap();
        gateway.reload().unwrap();
        assert!(soon(alice.bytes()).await.is_err(), "{cache}");
        assert_eq!(get(&gateway, "alice").await.status(), StatusCode::FORBIDDEN);
        pbx.release_downloads();
        assert!(bob.bytes().await.is_ok(), "{cache}");
    }
}

#[tokio::test]
async fn a_policy_change_before_the_first_byte_stops_the_answer() {
    for cache in ["", "max_bytes = 0"] {
        let pbx = held().await;
        let gateway = revoking(&pbx).cache().lines("[cache]", cache).start().await;
        let opening = opening(&gateway, &pbx).await;
        std::fs::write(gateway.folder().join(POLICIES), "").unwrap();
        gateway.reload().unwrap();
        pbx.release_downloads();
        assert!(opening.await.unwrap(), "{cache}");
    }
}

#[tokio::test]
async fn a_list_is_read_again_when_it_changes() {
    let pbx = held().await;
    let builder = revoking(&pbx).cache();
    write(builder.folder(), &person("carol"));
    let gateway = builder.start().await;
    assert_eq!(
        get(&gateway, "carol").await.status(),
        StatusCode::UNAUTHORIZED
    );
    let alice = begin(get(&gateway, "alice").await).await;
    write(
        gateway.folder(),
        &format!("{}\n{}\n", person("carol"), person("alice")),
    );
    assert!(soon(alice.bytes()).await.is_err());
    assert_eq!(
        get(&gateway, "alice").await.status(),
        StatusCode::UNAUTHORIZED
    );

    // A credential that is removed from the file is valid again.
    write(gateway.folder(), &person("bob"));
    until_refused(&gateway, "bob").await;
    pbx.release_downloads();
    assert_eq!(get(&gateway, "alice").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_link_ends_with_its_maker() {
    let pbx = held().await;
    let gateway = revoking(&pbx).cache().start().await;
    let target = format!("/recordings/{NAME}?link={}", link(PBX, NAME));
    let heard = begin(gateway.request(Method::GET, &target).send().await).await;
    let entry = r#"{"issuer":"crm","issued_before":"2999-01-01T00:00:00Z"}"#;
    assert_eq!(revoke(&gateway, entry).await.status, 204);
    assert!(soon(heard.bytes()).await.is_err());
    let refused = gateway.request(Method::GET, &target).send().await;
    assert_eq!(refused.problem().await.slug, "link-token-invalid");
}

#[tokio::test]
async fn revocations_survive_a_restart_beside_handwritten_ones() {
    let pbx = held().await;
    let builder = revoking(&pbx).cache();
    // Without a line feed at its end.
    write(builder.folder(), "# by hand\n{\"jti\":\"t1\"}");
    let path = builder.write();
    let gateway = builder.start().await;
    assert_eq!(revoke(&gateway, &person("alice")).await.status, 204);
    assert_eq!(revoke(&gateway, &person("bob")).await.status, 204);
    let list = std::fs::read_to_string(gateway.folder().join("revoked.jsonl")).unwrap();
    let expected = format!(
        "# by hand\n{{\"jti\":\"t1\"}}\n{}\n{}\n",
        person("alice"),
        person("bob")
    );
    assert_eq!(list, expected);
    let config = wavegate::app::GatewayParts::load(&path).unwrap();
    let again = wavegate::app::App::start(config).await.unwrap();
    let addr = again.plain_addresses()[0];
    let call = crate::harness::Call::new(addr, Method::GET, &format!("/recordings/{NAME}"));
    let answer = call.bearer(&jwt("alice")).send().await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn only_the_operator_revokes_and_only_with_valid_entries() {
    let pbx = held().await;
    let gateway = revoking(&pbx).start().await;
    let addr = gateway.app.admin_address();
    let token = format!("Bearer {TOKEN}");
    let (json, operator) = (
        ("content-type", "application/json"),
        ("authorization", &*token),
    );
    let (entry, long) = (person("alice"), " ".repeat(5_000));
    for (fields, body, status) in [
        (&[json][..], &*entry, 401),
        (&[json, ("authorization", "Bearer wrong")], &entry, 401),
        (&[operator], &entry, 415),
        (&[operator, ("content-type", "text/plain")], &entry, 415),
        (&[operator, json], "", 400),
        (&[operator, json], "{}", 400),
        (&[operator, json], r#"{"subject":"alice"}"#, 400),
        (&[operator, json], &long, 413),
    ] {
        let reply = post(addr, "/revocations", fields, body).await;
        assert_eq!(
            reply.status, status,
            "{fields:?} {body:.40}: {}",
            reply.text
        );
    }
    let reply = ask(addr, Method::GET, "/revocations", &[&token])
        .await
        .unwrap();
    assert_eq!((reply.status, reply.header("allow")), (405, Some("POST")));
    assert!(!gateway.folder().join("revoked.jsonl").exists());

    let builder = gateway_without_list(&pbx);
    let gateway = builder.start().await;
    assert_eq!(revoke(&gateway, &entry).await.status, 409);
}

fn gateway_without_list(pbx: &Simulator) -> Builder {
    let builder = gateway(pbx).set("admin.token_file", "admin-token");
    write_secret(&builder.folder().join("admin-token"), TOKEN);
    builder
}

#[tokio::test]
async fn a_revocation_file_with_a_mistake_stops_the_start() {
    let pbx = held().await;
    let builder = revoking(&pbx);
    write(builder.folder(), "{\"jti\":\"a\"}\n{\"jti\":\"\"}");
    let config = wavegate::app::GatewayParts::load(&builder.write()).unwrap();
    let error = wavegate::app::App::start(config)
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains("auth.revocation_file") && error.contains("line 2"),
        "{error}"
    );
}

#[tokio::test]
async fn max_stream_s_ends_an_answer_and_a_range_continues_it() {
    for cache in ["", "max_bytes = 0"] {
        let pbx = held().await;
        let gateway = revoking(&pbx)
            .cache()
            .lines("[cache]", cache)
            .set("relay.max_stream_s", 1)
            .start()
            .await;
        let answer = begin(get(&gateway, "alice").await).await;
        assert!(soon(answer.bytes()).await.is_err());
        pbx.release_downloads();
        let call = gateway.get(NAME).bearer(&jwt("alice"));
        let rest = call.header("range", "bytes=3999990-").send().await;
        assert_eq!(rest.bytes().await.unwrap().len(), 10);
    }
}

/// Erases the recording.
async fn erase(gateway: &Gateway) {
    let token = format!("Bearer {TOKEN}");
    let path = format!("/cache/{PBX}/{NAME}");
    let addr = gateway.app.admin_address();
    let reply = ask(addr, Method::DELETE, &path, &[&token]).await;
    assert_eq!(reply.unwrap().status, 204);
}

#[tokio::test]
async fn deleting_a_recording_ends_its_transfers() {
    for cache in ["", "max_bytes = 0", "max_recording_bytes = 65536"] {
        let pbx = held().await;
        let gateway = revoking(&pbx).cache().lines("[cache]", cache).start().await;
        let heard = begin(get(&gateway, "alice").await).await;
        erase(&gateway).await;
        assert!(soon(heard.bytes()).await.is_err(), "{cache}");
    }
}

#[tokio::test]
async fn a_deletion_before_the_first_byte_stops_the_answer() {
    for cache in ["", "max_bytes = 0"] {
        let pbx = held().await;
        let gateway = revoking(&pbx).cache().lines("[cache]", cache).start().await;
        let opening = opening(&gateway, &pbx).await;
        erase(&gateway).await;
        pbx.release_downloads();
        assert!(opening.await.unwrap(), "{cache}");
        // A later request gets the recording that the PBX has now.
        let again = get(&gateway, "alice").await;
        assert!(again.bytes().await.is_ok(), "{cache}");
    }
}

#[tokio::test]
async fn a_missing_revocation_file_is_logged_at_the_start() {
    let pbx = held().await;
    let builder = revoking(&pbx);
    let config = builder.write();
    let absent = "there is no list of revocations";
    let (running, _) = serve(&config).await;
    let log = running.stop().await.err;
    let line = log.lines().find(|line| line.contains(absent)).unwrap();
    assert!(line.contains("auth.revocation_file") && line.contains("revoked.jsonl"));
    write(builder.folder(), "");
    let (running, _) = serve(&config).await;
    assert!(!running.stop().await.err.contains(absent));
}

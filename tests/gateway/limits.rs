//! The limits: the PBX never gets more requests than its limits allow, no place is lost, and a
//! request that cannot be served is refused.
//!
//! These tests run in one thread: an effect of one step of the gateway is complete when the test
//! continues.

mod caller;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use tokio::task::JoinSet;
use wavegate::simulator::{Api, CallKind, Misbehavior, ScriptedFault, Simulator, Switch, wav};

use crate::harness::wire::Wire;
use crate::harness::{Answer, Gateway, NAME, Problem, gateway, jwt};
use caller::Caller;

async fn pbx() -> Simulator {
    let builder = Simulator::builder(Api::SSeries200).recording(NAME, wav::music(3));
    builder.start().await.unwrap()
}

/// Makes the next download stop after its first bytes.
fn stall_next(pbx: &Simulator) {
    pbx.inject(ScriptedFault::once(
        CallKind::Download,
        Misbehavior::Stall { after_bytes: 1_000 },
    ));
}

/// A download that has stopped, and keeps its stream and its place at the PBX.
async fn stalled(gateway: &Gateway, pbx: &Simulator) -> Answer {
    let running = pbx.seen().downloads_running;
    stall_next(pbx);
    let answer = gateway.get(NAME).bearer(&jwt("alice")).send().await;
    assert_eq!(answer.status(), StatusCode::OK);
    pbx.until(|seen| seen.downloads_running == running + 1)
        .await;
    answer
}

#[track_caller]
fn assert_saturated(problem: &Problem) {
    assert_eq!(
        (&*problem.slug, problem.status),
        ("saturated", StatusCode::SERVICE_UNAVAILABLE)
    );
    let pause = problem.headers["retry-after"].to_str().unwrap();
    assert!(pause.parse::<u32>().unwrap() > 0, "{pause}");
}

/// A caller in the queue, for a gateway with one free stream. Of two callers one is refused, and
/// the other is returned.
async fn queued(gateway: &Gateway) -> Caller {
    let mut one = Caller::asks(gateway, &target()).await;
    let mut other = Caller::asks(gateway, &target()).await;
    let (refused, waiting) = tokio::select! {
        answer = one.read_until("}") => (answer, other),
        answer = other.read_until("}") => (answer, one),
    };
    assert!(refused.contains("saturated"), "{refused}");
    waiting
}

fn target() -> String {
    format!("/recordings/{NAME}")
}

#[tokio::test]
async fn two_hundred_requests_get_fresh_tickets_four_at_a_time() {
    let recordings: Vec<(String, Bytes)> = (0..200)
        .map(|number| (format!("{number}.wav"), wav::pcm_of_size(5_000 + number)))
        .collect();
    // Slow enough that a fifth download would begin before the fourth has ended.
    let slow = ScriptedFault::forever(
        CallKind::Download,
        Misbehavior::Throttle {
            bytes_per_s: 100_000,
        },
    );
    let mut builder = Simulator::builder(Api::SSeries200).fault(slow);
    for (name, bytes) in &recordings {
        builder = builder.recording(name, bytes.clone());
    }
    let pbx = builder.start().await.unwrap();
    let gateway = gateway(&pbx)
        .set("pbx.max_downloads", 4)
        .set("pbx.queue_timeout_ms", 600000)
        .start()
        .await;
    let gateway = Arc::new(gateway);

    let mut callers = JoinSet::new();
    for (name, bytes) in recordings {
        let gateway = Arc::clone(&gateway);
        callers.spawn(async move { assert_eq!(gateway.fetch(&name).await, bytes, "{name}") });
    }
    // A ticket must not be taken while its caller waits in the queue, since it expires.
    tokio::select! {
        _ = callers.join_all() => {}
        () = pbx.until(|seen| seen.tickets_issued > seen.tickets_used + 4) => {
            panic!("tickets are taken by callers who wait: {:?}", pbx.seen());
        }
    }

    let seen = pbx.seen();
    assert_eq!((seen.tickets_issued, seen.tickets_used), (200, 200));
    assert_eq!((seen.tickets_refused, seen.tickets_used_twice), (0, 0));
    assert!(seen.oldest_ticket_used < Duration::from_secs(30));
    assert_eq!(seen.requests.login, 1);
    // One token and 200 tickets, all different.
    assert_eq!(seen.secrets.len(), 201);
    assert_eq!(seen.secrets.iter().collect::<HashSet<_>>().len(), 201);
    assert_eq!(
        (seen.downloads_complete, seen.downloads_running_max),
        (200, 4)
    );
}

#[tokio::test]
async fn a_queue_that_does_not_move_ends_in_saturated() {
    let pbx = pbx().await;
    let gateway = gateway(&pbx)
        .set("pbx.max_downloads", 1)
        .set("pbx.queue_timeout_ms", 50)
        .start()
        .await;
    let first = stalled(&gateway, &pbx).await;

    assert_saturated(&gateway.problem(NAME).await);
    // A request that waits in vain costs the PBX nothing.
    assert_eq!(pbx.seen().requests.get_random, 1);

    drop(first);
    pbx.until(|seen| seen.downloads_running == 0).await;
    assert_eq!(gateway.fetch(NAME).await, wav::music(3));
}

#[tokio::test]
async fn more_streams_than_allowed_are_saturated_at_once() {
    let pbx = pbx().await;
    let gateway = gateway(&pbx)
        .set("relay.max_streams", 2)
        .set("pbx.queue_timeout_ms", 600000)
        .start()
        .await;
    let first = stalled(&gateway, &pbx).await;
    let second = stalled(&gateway, &pbx).await;

    assert_saturated(&gateway.problem(NAME).await);
    assert_eq!(pbx.seen().requests.get_random, 2);

    drop(first);
    pbx.until(|seen| seen.downloads_running == 1).await;
    assert_eq!(gateway.fetch(NAME).await, wav::music(3));
    drop(second);
}

/// Asserts that `places` downloads can run at once and the next is refused, so no stream and no
/// download place is lost.
async fn assert_all_places_free(gateway: &Gateway, pbx: &Simulator, places: usize) {
    let mut held = Vec::new();
    for _ in 0..places {
        held.push(stalled(gateway, pbx).await);
    }
    assert_saturated(&gateway.problem(NAME).await);
    drop(held);
    pbx.until(|seen| seen.downloads_running == 0).await;
    assert_eq!(gateway.fetch(NAME).await, wav::music(3));
}

#[tokio::test]
async fn a_caller_who_leaves_the_queue_gives_up_its_place() {
    let pbx = pbx().await;
    let gateway = gateway(&pbx)
        .set("relay.max_streams", 2)
        .set("pbx.max_downloads", 1)
        .set("pbx.queue_timeout_ms", 600000)
        .start()
        .await;
    let first = stalled(&gateway, &pbx).await;
    let waiting = queued(&gateway).await;
    assert_eq!(waiting.leave().await, b"");

    // The stream is free again: the next caller enters the queue, and is served once the first has
    // left.
    let mut next = queued(&gateway).await;
    assert_eq!(pbx.seen().tickets_issued, 1);
    drop(first);
    let head = next.read_until("\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    pbx.until(|seen| seen.downloads_complete == 1).await;
    // The caller who left never got a ticket.
    assert_eq!(pbx.seen().tickets_issued, 2);
}

#[tokio::test]
async fn a_caller_who_leaves_during_a_ticket_gives_up_its_place() {
    let pbx = pbx().await;
    let gateway = gateway(&pbx)
        .set("relay.max_streams", 2)
        .set("pbx.max_downloads", 2)
        .set("pbx.answer_timeout_ms", 600000)
        .start()
        .await;
    pbx.inject(ScriptedFault::once(
        CallKind::GetRandom,
        Misbehavior::Slow(Duration::from_secs(3_600)),
    ));
    let caller = Caller::asks(&gateway, &target()).await;
    pbx.until(|seen| seen.requests.get_random == 1).await;

    assert_eq!(caller.leave().await, b"");

    assert_all_places_free(&gateway, &pbx, 2).await;
}

#[tokio::test]
async fn a_caller_who_leaves_mid_download_gives_up_its_place() {
    let pbx = pbx().await;
    let gateway = gateway(&pbx)
        .set("relay.max_streams", 2)
        .set("pbx.max_downloads", 2)
        .start()
        .await;
    let faults = ["download:stall-after=1000", "download:throttle=1000"];
    for (round, fault) in faults.repeat(2).into_iter().enumerate() {
        pbx.inject(fault.parse().unwrap());
        let mut caller = Caller::asks(&gateway, &target()).await;
        let head = caller.read_until("\r\n\r\n").await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        pbx.until(|seen| seen.downloads_started == round as u64 + 1)
            .await;

        caller.leave().await;

        pbx.until(|seen| seen.downloads_running == 0).await;
        assert_eq!(pbx.seen().downloads_complete, 0, "{fault}");
    }
    assert_all_places_free(&gateway, &pbx, 2).await;
}

#[tokio::test]
async fn a_caller_who_resets_the_connection_gives_up_its_place_too() {
    let pbx = pbx().await;
    let gateway = gateway(&pbx).set("relay.max_streams", 1).start().await;
    stall_next(&pbx);
    let mut caller = Caller::asks(&gateway, &target()).await;
    caller.read_until("\r\n\r\n").await;
    pbx.until(|seen| seen.downloads_running == 1).await;

    caller.reset();

    pbx.until(|seen| seen.downloads_running == 0).await;
    assert_all_places_free(&gateway, &pbx, 1).await;
}

#[tokio::test]
async fn a_connection_too_many_waits_until_another_ends() {
    let pbx = pbx().await;
    let gateway = gateway(&pbx).set("server.max_connections", 1).start().await;
    let mut first = Caller::asks(&gateway, "/nowhere").await;
    assert!(first.read_until("}").await.starts_with("HTTP/1.1 404 "));
    let mut second = Caller::asks(&gateway, "/nowhere").await;

    // While the first connection is served again and again, the second gets no answer.
    for _ in 0..20 {
        first.ask("/nowhere").await;
        first.read_until("}").await;
        assert!(second.has_nothing());
    }
    drop(first);

    assert!(second.read_until("}").await.starts_with("HTTP/1.1 404 "));
}

#[tokio::test]
async fn many_callers_at_a_cold_start_share_one_login() {
    let pbx = pbx().await;
    let wire = Wire::to(&pbx).await;
    let gateway = gateway(&pbx)
        .pbx_url(wire.url())
        .set("relay.max_streams", 50)
        .set("pbx.max_downloads", 50)
        .start()
        .await;
    wire.hold();
    let mut callers = JoinSet::new();
    for _ in 0..60 {
        let call = gateway.get(NAME).bearer(&jwt("alice"));
        callers.spawn(async move { call.send().await });
    }
    // Ten are refused, so fifty are accepted and wait for the login only.
    for _ in 0..10 {
        let answer = callers.join_next().await.unwrap().unwrap();
        assert_saturated(&answer.problem().await);
    }
    wire.until_connections(1).await;

    wire.release();

    while let Some(answer) = callers.join_next().await {
        let answer = answer.unwrap();
        assert_eq!(answer.bytes().await.unwrap(), wav::music(3));
    }
    assert_eq!(
        (pbx.seen().requests.login, pbx.seen().tickets_used),
        (1, 50)
    );
}

#[tokio::test]
async fn a_caller_who_leaves_during_the_login_stops_it_for_nobody() {
    let pbx = pbx().await;
    let wire = Wire::to(&pbx).await;
    let gateway = gateway(&pbx).pbx_url(wire.url()).start().await;
    wire.hold();
    let caller = Caller::asks(&gateway, &target()).await;
    wire.until_connections(1).await;
    assert_eq!(caller.leave().await, b"");

    let next = tokio::spawn({
        let call = gateway
            .request(Method::GET, &target())
            .bearer(&jwt("alice"));
        async move { call.send().await.bytes().await.unwrap() }
    });
    wire.release();

    assert_eq!(next.await.unwrap(), wav::music(3));
    let seen = pbx.seen();
    // The first connection is the login that the first caller began.
    assert_eq!((seen.requests.login, seen.connections), (1, 3));
    assert_eq!(seen.tickets_issued, 1);
}

#[tokio::test]
async fn a_p_series_that_records_mp3_gets_one_download_at_a_time() {
    let builder = Simulator::builder(Api::PSeries).switch(Switch::Mp3);
    let pbx = builder
        .recording(NAME, wav::music(3))
        .start()
        .await
        .unwrap();
    let gateway = gateway(&pbx)
        .set("pbx.mp3", true)
        .set("pbx.queue_timeout_ms", 600000)
        .start()
        .await;
    let gateway = Arc::new(gateway);
    let mut callers = JoinSet::new();
    for _ in 0..20 {
        let gateway = Arc::clone(&gateway);
        callers.spawn(async move { gateway.fetch(NAME).await });
    }
    let fetched = callers.join_all().await;
    let recording = pbx.recording_bytes(NAME).unwrap();
    assert!(fetched.iter().all(|bytes| *bytes == recording));
    let seen = pbx.seen();
    assert_eq!(
        (seen.downloads_running_max, seen.downloads_complete),
        (1, 20)
    );
}

//! One principal takes no streams, downloads or reads from another, whatever it requests.
//!
//! These tests run in one thread: when a request is refused because earlier requests have all the
//! streams, those requests stand in the queue.

use std::collections::HashMap;

use http::{Method, StatusCode};
use tokio::task::JoinSet;
use wavegate::simulator::{Api, CallKind, Misbehavior, ScriptedFault, Simulator, wav};

use crate::harness::{Answer, Call, Gateway, Problem, gateway, jwt};

const ALICE: &str = "alice";
const BOB: &str = "bob";

/// A PBX with one recording per principal, so that the ticket shows the principal.
async fn pbx() -> Simulator {
    let mut builder = Simulator::builder(Api::SSeries200);
    for name in [ALICE, BOB] {
        builder = builder.recording(format!("{name}.wav"), wav::music(1));
    }
    builder.start().await.unwrap()
}

/// The principals for whom tickets were taken, in order: the first letters of their names.
fn order(pbx: &Simulator) -> String {
    let recordings = pbx.seen().ticket_recordings;
    recordings.iter().map(|name| &name[..1]).collect()
}

fn get(gateway: &Gateway, name: &str) -> Call {
    gateway.get(&format!("{name}.wav")).bearer(&jwt(name))
}

fn stall(times: u32) -> ScriptedFault {
    let what = Misbehavior::Stall { after_bytes: 1_000 };
    ScriptedFault::times(times, CallKind::Download, what)
}

/// A download that has begun. It stops where the PBX stalls.
async fn begun(gateway: &Gateway, name: &str) -> Answer {
    let answer = get(gateway, name).send().await;
    assert_eq!(answer.status(), StatusCode::OK);
    answer
}

async fn assert_served(gateway: &Gateway, pbx: &Simulator, name: &str) {
    let answer = begun(gateway, name).await;
    let recording = pbx.recording_bytes(&format!("{name}.wav")).unwrap();
    assert!(answer.bytes().await.unwrap() == recording, "{name}");
}

async fn refusal(call: Call) -> Problem {
    call.send().await.problem().await
}

/// Asserts that a principal was refused for its own use, and returns the seconds of `Retry-After`.
#[track_caller]
fn pause(problem: &Problem, slug: &str) -> u64 {
    assert_eq!(
        (&*problem.slug, problem.status),
        (slug, StatusCode::TOO_MANY_REQUESTS)
    );
    let pause = problem.headers["retry-after"].to_str().unwrap();
    pause.parse().unwrap()
}

/// Puts `count` requests of a principal into the queue, which takes the last free streams. One more
/// request is refused, which shows that the others wait.
async fn line_up(
    callers: &mut JoinSet<Answer>,
    gateway: &Gateway,
    name: &str,
    count: usize,
    refused: &str,
) {
    for _ in 0..=count {
        let call = get(gateway, name);
        callers.spawn(async move { call.send().await });
    }
    let answer = callers.join_next().await.unwrap().unwrap();
    assert_eq!(answer.problem().await.slug, refused);
}

#[tokio::test]
async fn one_with_many_requests_does_not_starve_another() {
    let pbx = pbx().await;
    let gateway = gateway(&pbx)
        .set("relay.max_streams", 10)
        .set("relay.max_streams_per_principal", 7)
        .set("pbx.max_downloads", 1)
        .set("pbx.queue_timeout_ms", 600000)
        .start()
        .await;
    pbx.inject(stall(1));
    let first = begun(&gateway, ALICE).await;
    let mut callers = JoinSet::new();
    line_up(&mut callers, &gateway, ALICE, 6, "principal-saturated").await;
    line_up(&mut callers, &gateway, BOB, 3, "saturated").await;

    drop(first);
    while let Some(answer) = callers.join_next().await {
        answer.unwrap().bytes().await.unwrap();
    }

    assert_eq!(order(&pbx), "aabababaaa");
}

#[tokio::test]
async fn a_principal_gets_at_most_half_while_another_waits() {
    let pbx = pbx().await;
    pbx.inject(stall(u32::MAX));
    let gateway = gateway(&pbx)
        .set("relay.max_streams", 10)
        .set("relay.max_streams_per_principal", 7)
        .set("pbx.max_downloads", 4)
        .set("pbx.queue_timeout_ms", 600000)
        .start()
        .await;
    let mut running: HashMap<&str, Vec<Answer>> = HashMap::from([(BOB, Vec::new())]);
    for _ in 0..4 {
        let answer = begun(&gateway, ALICE).await;
        running.entry(ALICE).or_default().push(answer);
    }
    let mut callers = JoinSet::new();
    line_up(&mut callers, &gateway, ALICE, 3, "principal-saturated").await;
    line_up(&mut callers, &gateway, BOB, 3, "saturated").await;
    assert_eq!(order(&pbx), "aaaa");

    for (leaves, served) in [
        // Alice has waited longer, but would have three downloads and then four again.
        (ALICE, BOB),
        (ALICE, BOB),
        (ALICE, ALICE),
        (BOB, BOB),
        // Only Alice still waits, so she may have three.
        (ALICE, ALICE),
        (BOB, ALICE),
    ] {
        running.get_mut(leaves).unwrap().pop().unwrap();
        let answer = callers.join_next().await.unwrap().unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(order(&pbx).pop(), served.chars().next());
        running.get_mut(served).unwrap().push(answer);
    }
    assert!(callers.is_empty());
}

#[tokio::test]
async fn a_principal_at_its_stream_limit_does_not_block_another() {
    let pbx = pbx().await;
    let gateway = gateway(&pbx)
        .set("relay.max_streams_per_principal", 2)
        .start()
        .await;
    pbx.inject(stall(2));
    let first = begun(&gateway, ALICE).await;
    let second = begun(&gateway, ALICE).await;

    let problem = refusal(get(&gateway, ALICE)).await;
    assert_eq!(pause(&problem, "principal-saturated"), 2);
    // A list is a stream, too.
    let list = gateway.request(Method::GET, "/recordings?from=2026-03-01&to=2026-03-02");
    let problem = refusal(list.bearer(&jwt(ALICE))).await;
    assert_eq!(pause(&problem, "principal-saturated"), 2);
    assert_eq!(order(&pbx), "aa");
    assert_served(&gateway, &pbx, BOB).await;

    drop(first);
    pbx.until(|seen| seen.downloads_running == 1).await;
    assert_served(&gateway, &pbx, ALICE).await;
    drop(second);
}

#[tokio::test]
async fn a_principal_at_its_read_limit_does_not_block_another() {
    let pbx = pbx().await;
    let gateway = gateway(&pbx)
        .set("relay.max_reads_per_minute", 2)
        .start()
        .await;
    let head = gateway
        .request(Method::HEAD, "/recordings/alice.wav")
        .bearer(&jwt(ALICE));
    assert_eq!(head.send().await.status(), StatusCode::OK);
    assert_served(&gateway, &pbx, ALICE).await;

    let problem = refusal(get(&gateway, ALICE)).await;
    assert!((1..=30).contains(&pause(&problem, "rate-limited")));
    assert_eq!(order(&pbx), "aa");
    assert_served(&gateway, &pbx, BOB).await;
}

#[tokio::test]
async fn a_reload_changes_limits_and_keeps_counts_otherwise() {
    let pbx = pbx().await;
    let gateway = gateway(&pbx)
        .set("relay.max_streams_per_principal", 1)
        .set("relay.max_reads_per_minute", 1)
        .start()
        .await;
    let change = |from: &str, to: &str| {
        let file = gateway.folder().join("wavegate.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replace(from, to)).unwrap();
        gateway.reload().unwrap();
    };
    pbx.inject(stall(1));
    let first = begun(&gateway, ALICE).await;
    gateway.reload().unwrap();
    let problem = refusal(get(&gateway, ALICE)).await;
    pause(&problem, "principal-saturated");

    change("per_principal = 1", "per_principal = 2");
    let problem = refusal(get(&gateway, ALICE)).await;
    assert!((1..=60).contains(&pause(&problem, "rate-limited")));

    change("per_minute = 1", "per_minute = 600");
    assert_served(&gateway, &pbx, ALICE).await;
    drop(first);
}

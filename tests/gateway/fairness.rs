//! One principal takes no streams from another, however much it asks for.

use http::{Method, StatusCode};
use wavegate::simulator::{Api, Fault, Misbehaviour, Operation, Simulator, wav};

use crate::harness::{Answer, Call, Gateway, Problem, gateway, jwt};

const ALICE: &str = "alice";
const BOB: &str = "bob";

/// A PBX on which each principal has a recording of their own, so that it sees for whom it is asked.
async fn pbx() -> Simulator {
    let mut builder = Simulator::builder(Api::SSeries200);
    for name in [ALICE, BOB] {
        builder = builder.recording(format!("{name}.wav"), wav::music(1));
    }
    builder.start().await.unwrap()
}

fn get(gateway: &Gateway, name: &str) -> Call {
    gateway.get(&format!("{name}.wav")).bearer(&jwt(name))
}

fn stall(times: u32) -> Fault {
    let what = Misbehaviour::Stall { after_bytes: 1_000 };
    Fault::times(times, Operation::Download, what)
}

/// A download that has begun. It goes no further where the PBX stalls.
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

/// Asserts that somebody was refused for what they themselves have, and returns after how many seconds to ask again.
#[track_caller]
fn pause(problem: &Problem, slug: &str) -> u64 {
    assert_eq!(
        (&*problem.slug, problem.status),
        (slug, StatusCode::TOO_MANY_REQUESTS)
    );
    let pause = problem.headers["retry-after"].to_str().unwrap();
    pause.parse().unwrap()
}

#[tokio::test]
async fn who_has_all_their_streams_is_told_so_and_another_is_served() {
    let pbx = pbx().await;
    let gateway = gateway(&pbx)
        .relay("max_streams_per_principal = 2")
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
    assert_eq!(pbx.seen().tickets_issued, 2);
    assert_served(&gateway, &pbx, BOB).await;

    drop(first);
    pbx.until(|seen| seen.downloads_running == 1).await;
    assert_served(&gateway, &pbx, ALICE).await;
    drop(second);
}

#[tokio::test]
async fn a_reload_changes_the_streams_of_one_and_forgets_none() {
    let pbx = pbx().await;
    let gateway = gateway(&pbx)
        .relay("max_streams_per_principal = 1")
        .start()
        .await;
    pbx.inject(stall(1));
    let first = begun(&gateway, ALICE).await;
    gateway.reload().unwrap();
    let problem = refusal(get(&gateway, ALICE)).await;
    pause(&problem, "principal-saturated");

    let file = gateway.folder().join("wavegate.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let text = text.replace("per_principal = 1", "per_principal = 2");
    std::fs::write(&file, text).unwrap();
    gateway.reload().unwrap();
    assert_served(&gateway, &pbx, ALICE).await;
    drop(first);
}

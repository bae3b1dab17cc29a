//! Waiting for the PBX: cached bytes are served whatever the state of the PBX, and no request is
//! refused for the time that another one has waited.

use http::StatusCode;
use tokio::task::JoinHandle;
use wavegate::simulator::{Api, Simulator, Switch, wav};

use super::hits::hits;
use super::{head, part, tickets};
use crate::harness::metrics::Numbers;
use crate::harness::{Answer, Gateway, NAME, PBX, gateway, jwt, soon};

const OTHER: &str = "other.wav";
const THIRD: &str = "third.wav";
const LENGTH: usize = super::LENGTH;

async fn pbx() -> Simulator {
    let mut builder = Simulator::builder(Api::SSeries200).switch(Switch::DownloadWithLength);
    builder = builder.recording(NAME, wav::pcm_of_size(LENGTH));
    for name in [OTHER, THIRD] {
        builder = builder.recording(name, wav::music(3));
    }
    builder.start().await.unwrap()
}

/// Requests a recording in a task of its own.
fn ask(gateway: &Gateway, who: &str, name: &str) -> JoinHandle<Answer> {
    let call = gateway.get(name).bearer(&jwt(who));
    tokio::spawn(call.send())
}

/// Waits until this many requests wait for their first byte.
async fn until_waiting(gateway: &Gateway, count: u64) {
    let sample = format!("pbx_requests_waiting{{pbx=\"{PBX}\"}}");
    soon(async { while Numbers::of(gateway).await.at(&sample) != count {} }).await;
}

#[tokio::test]
async fn cached_recordings_are_served_while_the_queue_is_full() {
    let pbx = pbx().await;
    let gateway = gateway(&pbx)
        .cache()
        .set("pbx.max_waiting", 1)
        .set("pbx.answer_timeout_ms", 600000)
        .start()
        .await;
    assert!(gateway.fetch(NAME).await == wav::pcm_of_size(LENGTH));
    let stalled = "get-random:stall-after=0:times=forever";
    pbx.inject(stalled.parse().unwrap());
    let hangs = ask(&gateway, "alice", OTHER);
    soon(pbx.until(|seen| seen.tickets_issued == 2)).await;
    until_waiting(&gateway, 1).await;

    assert!(gateway.fetch(NAME).await == wav::pcm_of_size(LENGTH));
    let (bytes, _) = part(&gateway, 3_000_000, 3_000_009).await;
    assert!(bytes == wav::pcm_of_size(LENGTH)[3_000_000..3_000_010]);
    assert_eq!(head(&gateway).await.status(), StatusCode::OK);
    assert_eq!(tickets(&pbx), 2);

    // A request that would have to wait is refused, for another recording and for the one that
    // hangs.
    let before = hits(&gateway).await;
    for name in [THIRD, OTHER] {
        let problem = gateway.problem(name).await;
        assert_eq!(problem.status, StatusCode::SERVICE_UNAVAILABLE, "{name}");
        assert_eq!(problem.slug, "saturated", "{name}");
    }
    assert_eq!(hits(&gateway).await, before, "nobody was served");
    hangs.abort();
    until_waiting(&gateway, 0).await;
}

#[tokio::test]
async fn a_joined_request_waits_for_its_own_queue_timeout() {
    let pbx = pbx().await;
    let gateway = gateway(&pbx)
        .cache()
        .set("cache.linger_ms", 0)
        .set("pbx.max_downloads", 1)
        .set("pbx.queue_timeout_ms", 3000)
        .start()
        .await;
    let stalled = format!("download:stall-after=1000:of={OTHER}");
    pbx.inject(stalled.parse().unwrap());
    let in_the_way = ask(&gateway, "carol", OTHER).await.unwrap();
    let first = ask(&gateway, "alice", NAME);
    until_waiting(&gateway, 1).await;
    let second = ask(&gateway, "bob", NAME);
    until_waiting(&gateway, 2).await;

    let problem = first.await.unwrap().problem().await;
    assert_eq!(problem.slug, "saturated");
    drop(in_the_way);

    let answer = second.await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.bytes().await.unwrap() == wav::pcm_of_size(LENGTH));
    assert_eq!(tickets(&pbx), 2);
    assert_eq!(hits(&gateway).await, [0, 0, 0], "both are reads");
}

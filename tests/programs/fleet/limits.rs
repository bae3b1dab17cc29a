//! Limits that count over all instances.

use http::StatusCode;
use wavegate::simulator::{Api, Simulator, wav};

use super::member;
use crate::harness::programs::serve;
use crate::harness::store::Store;
use crate::harness::{Answer, Builder, Call, Gateway, NAME, jwt, soon};

const HELD_AT: u64 = 100_000;

async fn held() -> Simulator {
    let builder = Simulator::builder(Api::SSeries200).recording(NAME, wav::pcm_of_size(1_000_000));
    let pbx = builder.start().await.unwrap();
    pbx.hold_downloads(HELD_AT);
    pbx
}

/// An instance of a fleet that reads one recording at a time from its PBX.
fn one_at_a_time(pbx: &Simulator, store: &Store) -> Builder {
    let member = member(pbx, store).set("pbx.max_downloads", 1);
    member.set("pbx.queue_timeout_ms", 300)
}

async fn get(gateway: &Gateway, who: &str) -> Answer {
    gateway.get(NAME).bearer(&jwt(who)).send().await
}

#[tokio::test]
async fn a_pbx_serves_no_more_downloads_than_one_instance_may_begin() {
    let Some(store) = Store::start().await else {
        return;
    };
    let pbx = held().await;
    let limited = || one_at_a_time(&pbx, &store);
    let (first, second) = (limited().start().await, limited().start().await);
    let running = get(&first, "alice").await;
    assert_eq!(running.status(), StatusCode::OK);
    assert_eq!(get(&second, "bob").await.problem().await.slug, "saturated");

    // As soon as it has ended, the other instance has its turn.
    pbx.release_downloads();
    running.bytes().await.unwrap();
    soon(async { while get(&second, "bob").await.status() != StatusCode::OK {} }).await;
    assert_eq!(pbx.seen().downloads_running_max, 1);
}

#[tokio::test]
async fn the_downloads_of_an_instance_that_died_are_free_again() {
    let Some(store) = Store::start().await else {
        return;
    };
    let pbx = held().await;
    let limited = || one_at_a_time(&pbx, &store);
    let builder = limited();
    let first = serve(&builder.write()).await;
    let target = format!("/recordings/{NAME}");
    let call = Call::new(first.1, http::Method::GET, &target);
    let running = call.bearer(&jwt("alice")).send().await;
    assert_eq!(running.status(), StatusCode::OK);
    let second = limited().start().await;
    assert_eq!(get(&second, "bob").await.problem().await.slug, "saturated");
    drop(first);
    pbx.release_downloads();
    soon(async { while get(&second, "bob").await.status() != StatusCode::OK {} }).await;
}

#[tokio::test]
async fn a_principal_has_its_streams_over_all_instances() {
    let Some(store) = Store::start().await else {
        return;
    };
    let pbx = held().await;
    let limited = || member(&pbx, &store).set("relay.max_streams_per_principal", 2);
    let (first, second) = (limited().start().await, limited().start().await);
    let running = [get(&first, "alice").await, get(&second, "alice").await];
    for gateway in [&first, &second] {
        assert_eq!(
            get(gateway, "alice").await.problem().await.slug,
            "principal-saturated"
        );
        assert_eq!(get(gateway, "bob").await.status(), StatusCode::OK);
    }
    drop(running);
    soon(async { while get(&first, "alice").await.status() != StatusCode::OK {} }).await;
}

#[tokio::test]
async fn a_principal_has_its_rates_over_all_instances() {
    let Some(store) = Store::start().await else {
        return;
    };
    let pbx = Simulator::builder(Api::SSeries200).recording(NAME, wav::music(1));
    let pbx = pbx.start().await.unwrap();
    for (key, burst, slug) in [
        (
            "limits.principal_requests_per_second",
            "limits.principal_burst",
            "rate-limited",
        ),
        (
            "relay.max_reads_per_minute",
            "relay.max_reads_per_minute",
            "rate-limited",
        ),
    ] {
        // Each case is a fleet of its own.
        let limited = || {
            let member = member(&pbx, &store).set("shared.name", key.replace('.', "-"));
            member.set(key, 1).set(burst, 3)
        };
        let (first, second) = (limited().start().await, limited().start().await);
        let mut served = 0;
        for number in 0..6 {
            let gateway = [&first, &second][number % 2];
            let answer = get(gateway, "alice").await;
            match answer.status() {
                StatusCode::OK => served += 1,
                _ => {
                    let problem = answer.problem().await;
                    assert_eq!(problem.slug, slug);
                    assert!(problem.headers.contains_key("retry-after"));
                }
            }
        }
        assert!((3..=4).contains(&served), "{key}: {served}");
        assert_eq!(get(&second, "bob").await.status(), StatusCode::OK);
    }
}

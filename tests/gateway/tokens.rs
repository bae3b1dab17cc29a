//! Tokens with a fixed lifetime, and few slots for tokens: no download fails for either, and the
//! gateway takes no slot that others need.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tokio::task::JoinSet;
use wavegate::simulator::{Api, Simulator, Switch, wav};

use crate::harness::programs::serve;
use crate::harness::{Call, NAME, gateway, jwt, soon};

const EXCHANGED: [Api; 3] = [Api::Cloud110, Api::Cloud200, Api::PSeries];

async fn pbx(api: Api) -> Simulator {
    let builder = Simulator::builder(api).recording(NAME, wav::music(3));
    builder.start().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_downloads_take_one_slot_with_renewed_tokens() {
    let builder = Simulator::builder(Api::PSeries).token_calls(25);
    let recording = wav::music(1);
    let builder = builder.recording(NAME, recording.clone());
    let pbx = builder.start().await.unwrap();
    // All other slots are taken, so the gateway cannot have a second one at any time.
    pbx.occupy_tokens(7);
    let gateway = gateway(&pbx)
        .set("relay.max_reads_per_minute", 100000)
        .set("pbx.max_downloads", 8)
        .set("pbx.queue_timeout_ms", 600000)
        .start()
        .await;
    let gateway = Arc::new(gateway);

    let mut callers = JoinSet::new();
    for _ in 0..200 {
        let (gateway, recording) = (Arc::clone(&gateway), recording.clone());
        callers.spawn(async move {
            for _ in 0..5 {
                assert!(gateway.fetch(NAME).await == recording);
            }
        });
    }
    callers.join_all().await;

    let seen = pbx.seen();
    assert_eq!((seen.downloads_complete, seen.logins_ok), (1_000, 1));
    assert!(seen.refreshes >= 2_000 / 25 - 1, "{}", seen.refreshes);
    assert_eq!(pbx.tokens_live(), 8);
    let gateway = Arc::into_inner(gateway).unwrap();
    assert!(gateway.app.shut_down().await);
    pbx.release_tokens();
    assert_eq!((pbx.tokens_live(), pbx.seen().logouts), (0, 1));
}

#[tokio::test]
async fn with_all_slots_taken_callers_get_retry_after() {
    let pbx = pbx(Api::PSeries).await;
    pbx.occupy_tokens(8);
    let builder = gateway(&pbx);
    let path = builder.write();
    let (running, addr) = serve(&path).await;
    let ask = || {
        let call = Call::new(addr, http::Method::GET, &format!("/recordings/{NAME}"));
        call.bearer(&jwt("alice")).send()
    };
    // The first login finds all slots taken, and the next one follows after five minutes.
    for _ in 0..3 {
        let problem = ask().await.problem().await;
        assert_eq!(
            (&*problem.slug, problem.status),
            ("pbx-held-off", StatusCode::SERVICE_UNAVAILABLE)
        );
        let pause: u64 = problem.headers["retry-after"]
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        assert!((200..=300).contains(&pause), "{pause}");
    }
    assert_eq!(pbx.seen().requests.login, 1);
    running
        .err
        .until(|log| log.contains("60002") && log.contains("eight tokens"))
        .await;

    // The operator has made room, and reloads the configuration.
    pbx.release_tokens();
    running.signal("HUP");
    running
        .err
        .until(|log| log.contains("was read again"))
        .await;
    let answer = ask().await;
    assert_eq!(answer.status(), StatusCode::OK);
    answer.bytes().await.unwrap();
    assert_eq!(pbx.tokens_live(), 1);
    assert_eq!(running.stop().await.code, Some(0));
    // At exit the slot is free again.
    assert_eq!(pbx.tokens_live(), 0);
}

#[tokio::test]
async fn a_token_is_exchanged_before_its_end_and_no_download_notices() {
    // The gateway exchanges the token after nine tenths of a second, so no download finds it dead.
    let builder = Simulator::builder(Api::PSeries).recording(NAME, wav::music(1));
    let pbx = builder
        .token_life(Duration::from_secs(1))
        .start()
        .await
        .unwrap();
    let gateway = gateway(&pbx)
        .set("relay.max_reads_per_minute", 100000)
        .start()
        .await;
    let mut fetched = 0;
    soon(async {
        while pbx.seen().refreshes < 2 {
            gateway.fetch(NAME).await;
            fetched += 1;
        }
    })
    .await;
    let seen = pbx.seen();
    assert_eq!(seen.logins_ok, 1);
    // A dead token would have cost another request.
    assert_eq!(
        (seen.requests.get_random, seen.requests.download),
        (fetched, fetched)
    );
}

/// A PBX that exchanges tokens. A refresh token stays valid when its access token ends.
async fn exchanging(api: Api) -> Simulator {
    let builder = Simulator::builder(api).recording(NAME, wav::music(1));
    let builder = match api {
        Api::PSeries => builder,
        _ => builder.switch(Switch::RefreshOutlivesToken),
    };
    builder.start().await.unwrap()
}

#[tokio::test]
async fn a_dead_token_is_exchanged_or_replaced_by_a_login() {
    for api in EXCHANGED {
        let pbx = exchanging(api).await;
        let gateway = gateway(&pbx).start().await;
        gateway.fetch(NAME).await;
        // Repeatedly, each time with the latest refresh token.
        for exchanges in 1..=6 {
            pbx.expire_tokens();
            gateway.fetch(NAME).await;
            let seen = pbx.seen();
            assert_eq!((seen.logins_ok, seen.refreshes), (1, exchanges), "{api}");
        }
        pbx.inject(match api {
            Api::PSeries => "refresh:errno=10004".parse().unwrap(),
            _ => "refresh:errno=20004".parse().unwrap(),
        });
        pbx.expire_tokens();
        gateway.fetch(NAME).await;
        let seen = pbx.seen();
        assert_eq!((seen.logins_ok, seen.refreshes), (2, 6), "{api}");
        assert!(gateway.app.shut_down().await);
    }
}

#[tokio::test]
async fn a_lost_answer_to_an_exchange_costs_one_request_and_no_login() {
    for api in EXCHANGED {
        let pbx = exchanging(api).await;
        let gateway = gateway(&pbx).start().await;
        gateway.fetch(NAME).await;
        pbx.expire_tokens();
        pbx.inject("refresh:close-before-answer".parse().unwrap());
        assert_eq!(gateway.problem(NAME).await.slug, "pbx-unreachable", "{api}");
        // The PBX did not carry out the exchange, so the pair of tokens is still valid.
        gateway.fetch(NAME).await;
        let seen = pbx.seen();
        assert_eq!((seen.logins_ok, seen.refreshes), (1, 1), "{api}");
    }
}

#[tokio::test]
async fn a_token_that_replaces_another_is_the_only_one_of_ours() {
    let builder = Simulator::builder(Api::PSeries).recording(NAME, wav::music(1));
    let pbx = builder.switch(Switch::RefreshFails).start().await.unwrap();
    // Seven slots belong to others, so one is left.
    pbx.occupy_tokens(7);
    let builder = gateway(&pbx);
    let gateway = builder.start().await;
    gateway.fetch(NAME).await;
    pbx.inject("get-random:errno=10004".parse().unwrap());
    // The PBX calls a valid token dead. The gateway gives it back before the next login, or there
    // would be no slot.
    gateway.fetch(NAME).await;
    assert_eq!((pbx.tokens_live(), pbx.seen().logins_ok), (8, 2));
}

#[tokio::test]
async fn a_failed_exchange_does_not_lose_the_token_pair() {
    for api in EXCHANGED {
        let errno = match api {
            Api::PSeries => "-2",
            _ => "20010",
        };
        for trouble in ["html=504", "status=502", &format!("errno={errno}")] {
            let pbx = exchanging(api).await;
            let gateway = gateway(&pbx).set("pbx.retry_delay_ms", 1).start().await;
            gateway.fetch(NAME).await;
            pbx.expire_tokens();
            pbx.inject(format!("refresh:{trouble}").parse().unwrap());
            let problem = gateway.problem(NAME).await;
            assert!(problem.status.is_server_error(), "{api} {trouble}");
            gateway.fetch(NAME).await;
            let seen = pbx.seen();
            assert_eq!((seen.logins_ok, seen.refreshes), (1, 1), "{api} {trouble}");
            assert!(gateway.app.shut_down().await);
        }
    }
}

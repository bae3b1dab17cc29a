//! A store that is away, slow, full, emptied, somebody else's, or read by somebody.

use std::time::Duration;

use http::StatusCode;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use wavegate::app::{App, GatewayParts};
use wavegate::simulator::{Api, Simulator, wav};

use super::{fleet, jealous, member};
use crate::harness::admin::number;
use crate::harness::programs::{run_wavegate, serve};
use crate::harness::store::{FLEET_KEY, STORE_PASSWORD, Store};
use crate::harness::{NAME, gateway, jwt, soon, write_secret};

#[tokio::test]
async fn a_store_with_another_fleets_key_is_refused_at_the_start_by_name() {
    let Some(store) = Store::start().await else {
        return;
    };
    let pbx = jealous().await;
    let first = member(&pbx, &store).start().await;
    first.fetch(NAME).await;
    let other = member(&pbx, &store);
    write_secret(
        &other.folder().join("fleet-key"),
        "another-key-of-the-tests-for-fleets-0123",
    );
    let parts = GatewayParts::load(&other.write()).unwrap();
    let error = App::start(parts).await.err().unwrap().to_string();
    assert!(
        error.contains("shared.key_file") && error.contains("shared.name"),
        "{error}"
    );
    // Under another name it is a fleet of its own.
    let other = other.set("shared.name", "branch");
    other.start().await.fetch(NAME).await;
    first.fetch(NAME).await;
}

#[tokio::test]
async fn doctor_says_whether_the_store_is_the_right_one() {
    let Some(mut store) = Store::start().await else {
        return;
    };
    let pbx = jealous().await;
    let first = member(&pbx, &store).start().await;
    soon(async { while !store.content().await.contains("seal") {} }).await;
    let doctor = async || {
        let config = first.folder().join("wavegate.toml");
        run_wavegate(&["doctor", "--config", config.to_str().unwrap()]).await
    };
    let ended = doctor().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended.out.contains("shared store\n  store      ok"),
        "{}",
        ended.out
    );
    write_secret(
        &first.folder().join("fleet-key"),
        "another-key-of-the-tests-for-fleets-0123",
    );
    let ended = doctor().await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.out.contains("shared.key_file"), "{}", ended.out);
    store.stop();
    let ended = doctor().await;
    assert!(ended.out.contains("it cannot be reached"), "{}", ended.out);
    for secret in [FLEET_KEY, STORE_PASSWORD] {
        assert!(!ended.out.contains(secret));
    }
}

#[tokio::test]
async fn nothing_that_is_secret_or_tells_a_person_lies_in_the_store_in_clear() {
    let Some(store) = Store::start().await else {
        return;
    };
    let builder = Simulator::builder(Api::PSeries).recording(NAME, wav::pcm_of_size(500_000));
    let pbx = builder.start().await.unwrap();
    pbx.hold_downloads(1000);
    let list = "{\"issuer\":\"https://idp.test\",\"subject\":\"mallory\"}\n";
    let builder = member(&pbx, &store).set("auth.revocation_file", "revoked.jsonl");
    std::fs::write(builder.folder().join("revoked.jsonl"), list).unwrap();
    let gateway = builder
        .set("limits.principal_requests_per_second", 1000)
        .start()
        .await;
    let running = gateway.get(NAME).bearer(&jwt("alice")).send().await;
    assert_eq!(running.status(), StatusCode::OK);
    let content = soon(async {
        loop {
            let content = store.content().await;
            if content.contains("permits:") && content.contains("ids") && content.contains("token")
            {
                return content;
            }
        }
    })
    .await;
    let mut secrets = pbx.seen().secrets;
    assert!(!secrets.is_empty());
    for text in [pbx.password(), pbx.username(), FLEET_KEY, STORE_PASSWORD] {
        secrets.push(text.to_owned());
    }
    secrets.extend(["alice", "mallory", "idp.test", "127.0.0.1", NAME].map(str::to_owned));
    for secret in &secrets {
        assert!(!content.contains(secret), "{secret} in {content}");
    }
}

#[tokio::test]
async fn values_that_were_swapped_or_spoilt_count_as_absent() {
    let Some(store) = Store::start().await else {
        return;
    };
    let (first, second) = (jealous().await, jealous().await);
    let gateways = [
        member(&first, &store).start().await,
        member(&second, &store).start().await,
    ];
    for gateway in &gateways {
        gateway.fetch(NAME).await;
    }
    // Each account gets the values of the other one.
    let swapped = "local keys = redis.call('KEYS', '*account:*') \
        local a, b = redis.call('HGET', keys[1], 'token'), redis.call('HGET', keys[2], 'token') \
        redis.call('HSET', keys[1], 'token', b) redis.call('HSET', keys[2], 'token', a) \
        return #keys";
    assert_eq!(store.number(swapped).await, 2);
    // Newcomers do not take them, and log in.
    for pbx in [&first, &second] {
        let newcomer = member(pbx, &store).start().await;
        newcomer.fetch(NAME).await;
        assert_eq!(pbx.seen().requests.login, 2);
    }
}

#[tokio::test]
async fn a_store_that_goes_away_and_comes_back_costs_no_request_and_no_login() {
    let Some(mut store) = Store::start().await else {
        return;
    };
    let pbx = jealous().await;
    let gateways = fleet(&pbx, &store, 3).await;
    let admin = gateways[0].app.admin_address();
    let is_up =
        |up| soon(async move { while number(admin, "wavegate_shared_store_up").await != up {} });
    for _ in 0..2 {
        for gateway in &gateways {
            gateway.fetch(NAME).await;
        }
        soon(async { while number(admin, "wavegate_fleet_instances").await != 3 {} }).await;
        store.stop();
        for gateway in &gateways {
            gateway.fetch(NAME).await;
        }
        is_up(0).await;
        store.start_again().await;
        is_up(1).await;
        for gateway in &gateways {
            gateway.fetch(NAME).await;
        }
    }
    // The token is in the store again, so a newcomer needs no login.
    soon(async { while !store.content().await.contains("token") {} }).await;
    member(&pbx, &store).start().await.fetch(NAME).await;
    assert_eq!(pbx.seen().requests.login, 1);
}

#[tokio::test]
async fn a_store_that_is_full_counts_as_away() {
    let Some(store) = Store::start().await else {
        return;
    };
    let pbx = jealous().await;
    let gateways = fleet(&pbx, &store, 2).await;
    for gateway in &gateways {
        gateway.fetch(NAME).await;
    }
    assert_eq!(
        store.ask(&["CONFIG", "SET", "maxmemory", "1"]).await,
        "+OK\r\n"
    );
    for gateway in &gateways {
        gateway.fetch(NAME).await;
    }
    assert_eq!(
        store.ask(&["CONFIG", "SET", "maxmemory", "0"]).await,
        "+OK\r\n"
    );
    pbx.expire_tokens();
    for gateway in &gateways {
        soon(async {
            while !gateway
                .get(NAME)
                .bearer(&jwt("alice"))
                .send()
                .await
                .status()
                .is_success()
            {}
        })
        .await;
    }
    assert_eq!(pbx.seen().requests.login, 2);
}

/// A server that is no store: it answers each connection with these bytes, or never.
async fn nonsense(answer: &'static [u8]) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(answer).await;
            kept.push(stream);
        }
    });
    addr
}

#[tokio::test]
async fn a_store_that_answers_nonsense_or_never_does_not_keep_an_instance_from_its_work() {
    let answers: [&[u8]; 5] = [
        b"",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"+OK\r\n$5\r\nhello\r\n:1\r\n",
        b"*9999999999\r\n",
        b"-ERR unknown\r\n-ERR unknown\r\n-ERR unknown\r\n",
    ];
    for answer in answers {
        let pbx = jealous().await;
        // Accepted before, by an instance on its own.
        let alone = gateway(&pbx).set("state_dir", "state");
        let state = alone.folder().join("state");
        let alone = alone.start().await;
        alone.fetch(NAME).await;
        let builder = gateway(&pbx).shared(nonsense(answer).await);
        let builder = builder.set("state_dir", state.to_str().unwrap());
        let member = builder.set("shared.timeout_ms", 100).start().await;
        // It serves what needs no login of its own, and says clearly what it cannot do.
        let problem = member.problem(NAME).await;
        assert_eq!(problem.slug, "pbx-held-off", "{answer:?}");
        assert!(problem.headers.contains_key("retry-after"));
        assert_eq!(pbx.seen().requests.login, 1);
        tokio::time::timeout(Duration::from_secs(30), member.app.shut_down())
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_store_that_refuses_writes_is_told_of_once() {
    let Some(store) = Store::start().await else {
        return;
    };
    let pbx = jealous().await;
    let member = member(&pbx, &store);
    let (running, _) = serve(&member.write()).await;
    running
        .err
        .until(|log| log.contains("the shared store is there"))
        .await;
    store.ask(&["CONFIG", "SET", "maxmemory", "1"]).await;
    running
        .err
        .until(|log| log.contains("the shared store is away"))
        .await;
    // The instance tries again and again, with pauses.
    soon(async { while connections(&store).await < 8 {} }).await;
    let log = running.err.text();
    assert_eq!(log.matches("the shared store is away").count(), 1, "{log}");
    assert!(
        log.matches("there is no shared store").count() <= 1,
        "{log}"
    );
    store.ask(&["CONFIG", "SET", "maxmemory", "0"]).await;
    let is_back = |log: &str| log.matches("the shared store is there").count() == 2;
    running.err.until(is_back).await;
}

/// The connections that the store has taken, but for those of the test itself.
async fn connections(store: &Store) -> u64 {
    let info = store.ask(&["INFO", "errorstats"]).await;
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix("errorstat_OOM:count="));
    line.map_or(0, |count| count.trim().parse().unwrap())
}

#[tokio::test]
async fn a_store_that_holds_halves_and_odd_times_is_of_use_again() {
    let Some(store) = Store::start().await else {
        return;
    };
    let pbx = jealous().await;
    let gateways = fleet(&pbx, &store, 2).await;
    gateways[0].fetch(NAME).await;
    let keys = "local fleet = redis.call('KEYS', '*}:fleet')[1] \
        local account = redis.call('KEYS', '*account:*')[1] ";
    for odd in [
        // Emptied, but for a number that somebody wrote at that moment.
        "redis.call('FLUSHALL') redis.call('HSET', fleet, 'version', 3) return 1",
        // Times from before the clock of the store stepped back.
        "local ahead = redis.call('TIME')[1] * 1000 + 3600000 \
            redis.call('HSET', account, 'holder', 'nobody', 'ends', ahead) \
            redis.call('HSET', fleet, 'marked', ahead) return 1",
    ] {
        assert_eq!(store.number(&format!("{keys}{odd}")).await, 1);
        soon(async { while !store.content().await.contains("seal") {} }).await;
        pbx.expire_tokens();
        for gateway in &gateways {
            gateway.fetch(NAME).await;
        }
    }
}

//! One token for all, and no more logins than one instance would make.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tokio::task::JoinSet;
use tokio::time::sleep;
use wavegate::simulator::{Api, Simulator, wav};

use super::{fleet, jealous, member};
use crate::harness::store::Store;
use crate::harness::{Gateway, NAME, PATIENCE, jwt, soon};

/// The slug of the problem; empty for an answer with the recording.
async fn problem(gateway: &Gateway) -> String {
    let answer = gateway.get(NAME).bearer(&jwt("alice")).send().await;
    match answer.status() {
        StatusCode::OK => {
            answer.bytes().await.unwrap();
            String::new()
        }
        _ => answer.problem().await.slug,
    }
}

/// Instances with a wrong password, which try it again after a second.
async fn misled(pbx: &Simulator, store: &Store, count: usize) -> Vec<Gateway> {
    let mut gateways = Vec::new();
    for _ in 0..count {
        let member = member(pbx, store).password("not the password");
        gateways.push(member.set("pbx.login_retry_s", 1).start().await);
    }
    gateways
}

/// Asks each instance again and again until `is_reached`.
async fn ask_all_until(gateways: &[Gateway], is_reached: impl Fn(&[String]) -> bool) {
    let last = std::sync::Mutex::new(Vec::new());
    let asked = tokio::time::timeout(PATIENCE, async {
        loop {
            let mut slugs = Vec::new();
            for gateway in gateways {
                slugs.push(problem(gateway).await);
            }
            if is_reached(&slugs) {
                return;
            }
            last.lock().unwrap().clone_from(&slugs);
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert!(
        asked.is_ok(),
        "the last answers: {:?}",
        last.lock().unwrap()
    );
}

#[tokio::test]
async fn one_login_serves_all_instances() {
    let Some(store) = Store::start().await else {
        return;
    };
    let pbx = jealous().await;
    let gateways = fleet(&pbx, &store, 3).await;
    for round in 1..=3 {
        let mut requests = JoinSet::new();
        let shared = Arc::new(gateways.iter().map(Gateway::addr).collect::<Vec<_>>());
        for number in 0..12 {
            let addr = shared[number % 3];
            requests.spawn(async move {
                let target = format!("/recordings/{NAME}");
                let call = crate::harness::Call::new(addr, http::Method::GET, &target);
                call.bearer(&jwt("alice")).send().await.status()
            });
        }
        while let Some(status) = requests.join_next().await {
            assert_eq!(status.unwrap(), StatusCode::OK);
        }
        assert_eq!(pbx.seen().requests.login, round);
        assert_eq!(pbx.tokens_live(), 1);
        // The token ends before its time, for all of them at once.
        pbx.expire_tokens();
    }
}

#[tokio::test]
async fn an_instance_that_joins_later_uses_the_token_that_there_is() {
    let Some(store) = Store::start().await else {
        return;
    };
    for api in [
        Api::SSeries101,
        Api::SSeries200,
        Api::Cloud200,
        Api::PSeries,
    ] {
        let pbx = Simulator::builder(api).recording(NAME, wav::music(1));
        let pbx = pbx.start().await.unwrap();
        let first = member(&pbx, &store).start().await;
        first.fetch(NAME).await;
        let second = member(&pbx, &store).start().await;
        second.fetch(NAME).await;
        assert_eq!(pbx.seen().requests.login, 1, "{api:?}");
        assert_eq!(pbx.tokens_live(), 1, "{api:?}");
    }
}

#[tokio::test]
async fn the_last_instance_gives_the_token_back() {
    let Some(store) = Store::start().await else {
        return;
    };
    let pbx = Simulator::builder(Api::PSeries).recording(NAME, wav::music(1));
    let pbx = pbx.start().await.unwrap();
    let [first, second] = [
        member(&pbx, &store).start().await,
        member(&pbx, &store).start().await,
    ];
    first.fetch(NAME).await;
    second.fetch(NAME).await;

    assert!(first.app.shut_down().await);
    assert_eq!(pbx.tokens_live(), 1);
    second.fetch(NAME).await;
    assert!(second.app.shut_down().await);
    assert_eq!(pbx.tokens_live(), 0);
    assert_eq!(pbx.seen().requests.login, 1);
    // And it is in the store no more.
    let third = member(&pbx, &store).start().await;
    third.fetch(NAME).await;
    assert_eq!(pbx.seen().requests.login, 2);
}

#[tokio::test]
async fn a_wrong_password_costs_the_fleet_two_logins() {
    let Some(store) = Store::start().await else {
        return;
    };
    let pbx = jealous().await;
    let gateways = misled(&pbx, &store, 3).await;
    ask_all_until(&gateways, |slugs| {
        slugs.iter().all(|slug| slug == "pbx-login-refused")
    })
    .await;
    assert_eq!(pbx.seen().requests.login, 2);
    // An instance that joins knows of them, and so does each after its restart.
    let fourth = misled(&pbx, &store, 1).await;
    ask_all_until(&fourth, |slugs| slugs[0] == "pbx-login-refused").await;
    assert_eq!(pbx.seen().requests.login, 2);
}

#[tokio::test]
async fn an_emptied_store_makes_no_instance_try_a_wrong_password_again() {
    let Some(store) = Store::start().await else {
        return;
    };
    let pbx = jealous().await;
    let gateways = misled(&pbx, &store, 3).await;
    ask_all_until(&gateways[..1], |_| pbx.seen().requests.login == 1).await;
    for _ in 0..3 {
        store.empty().await;
        ask_all_until(&gateways, |slugs| {
            slugs.iter().all(|slug| slug != "pbx-unreachable")
        })
        .await;
    }
    ask_all_until(&gateways, |slugs| {
        slugs.iter().all(|slug| slug == "pbx-login-refused")
    })
    .await;
    store.empty().await;
    ask_all_until(&gateways, |slugs| {
        slugs.iter().all(|slug| slug == "pbx-login-refused")
    })
    .await;
    assert_eq!(pbx.seen().requests.login, 2);
}

#[tokio::test]
async fn without_the_store_a_password_that_became_wrong_costs_two_logins() {
    let Some(mut store) = Store::start().await else {
        return;
    };
    let pbx = jealous().await;
    let gateways = fleet(&pbx, &store, 3).await;
    for gateway in &gateways {
        gateway.fetch(NAME).await;
    }
    store.stop();
    pbx.set_password("another password");
    pbx.expire_tokens();
    // The first two have their turns, the third would come minutes later.
    ask_all_until(&gateways, |_| pbx.seen().logins_refused == 2).await;
    ask_all_until(&gateways, |slugs| {
        slugs.iter().all(|slug| slug == "pbx-held-off")
    })
    .await;
    // Back again, the fleet adds up what happened.
    store.start_again().await;
    ask_all_until(&gateways, |slugs| {
        slugs.iter().all(|slug| slug == "pbx-login-refused")
    })
    .await;
    assert_eq!(pbx.seen().logins_refused, 2);
}

#[tokio::test]
async fn an_instance_that_never_saw_the_store_tries_no_password() {
    let Some(mut store) = Store::start().await else {
        return;
    };
    let pbx = jealous().await;
    store.stop();
    let gateways = fleet(&pbx, &store, 2).await;
    for gateway in &gateways {
        assert_eq!(problem(gateway).await, "pbx-held-off");
    }
    assert_eq!(pbx.seen().requests.login, 0);
    store.start_again().await;
    ask_all_until(&gateways, |slugs| slugs.iter().all(String::is_empty)).await;
    assert_eq!(pbx.seen().requests.login, 1);
}

#[tokio::test]
async fn a_forgiven_login_is_tried_once_for_all() {
    let Some(store) = Store::start().await else {
        return;
    };
    let pbx = jealous().await;
    let gateways = misled(&pbx, &store, 2).await;
    ask_all_until(&gateways, |slugs| {
        slugs.iter().all(|slug| slug == "pbx-login-refused")
    })
    .await;
    gateways[0].reload().unwrap();
    ask_all_until(&gateways, |_| pbx.seen().requests.login == 3).await;
    ask_all_until(&gateways, |slugs| {
        slugs.iter().all(|slug| slug == "pbx-login-refused")
    })
    .await;
    assert_eq!(pbx.seen().requests.login, 3);
}

#[tokio::test]
async fn logins_from_before_a_restart_count_in_a_store_that_was_emptied() {
    let Some(store) = Store::start().await else {
        return;
    };
    let pbx = jealous().await;
    let state = tempfile::tempdir().unwrap();
    let misled = || {
        let member = member(&pbx, &store).password("not the password");
        let member = member.set("state_dir", state.path().to_str().unwrap());
        member.set("pbx.login_retry_s", 1)
    };
    let first = [misled().start().await];
    let is_refused = |slugs: &[String]| slugs.iter().all(|slug| slug == "pbx-login-refused");
    ask_all_until(&first, is_refused).await;
    let [first] = first;
    first.app.shut_down().await;
    store.empty().await;
    // The instance that starts with the old state never asks the PBX, and tells the others.
    let _knowing = misled().start().await;
    soon(async { while !store.content().await.contains("history") {} }).await;
    let others = self::misled(&pbx, &store, 2).await;
    ask_all_until(&others, is_refused).await;
    assert_eq!(pbx.seen().requests.login, 2);
}

#[tokio::test]
async fn instances_with_two_passwords_do_not_write_over_each_other_again_and_again() {
    let Some(store) = Store::start().await else {
        return;
    };
    let pbx = jealous().await;
    let good = fleet(&pbx, &store, 1).await;
    let bad = misled(&pbx, &store, 2).await;
    good[0].fetch(NAME).await;
    pbx.expire_tokens();
    // One of them has to log in, with a password that is wrong by now; twice at the most.
    let _ = problem(&bad[0]).await;
    ask_all_until(&bad, |slugs| {
        slugs.iter().all(|slug| slug != "pbx-held-off")
    })
    .await;
    ask_all_until(&good, |slugs| slugs[0].is_empty()).await;
    // From then on nothing changes in the store.
    let version =
        "return tonumber(redis.call('HGET', redis.call('KEYS', '*}:fleet')[1], 'version'))";
    let before = soon(async {
        let mut last = store.number(version).await;
        let mut quiet = 0;
        while quiet < 20 {
            sleep(Duration::from_millis(100)).await;
            let now = store.number(version).await;
            quiet = if now == last { quiet + 1 } else { 0 };
            last = now;
        }
        last
    })
    .await;
    assert!(before < 40, "{before} changes");
    assert!(pbx.seen().logins_refused <= 4);
}

//! One token for all, and no more logins than one instance would make.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tokio::task::JoinSet;
use tokio::time::sleep;
use wavegate::simulator::{Api, Simulator, wav};

use super::{fleet, jealous, member};
use crate::harness::store::Store;
use crate::harness::{Gateway, NAME, jwt, soon};

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

/// Asks each instance again and again until `is_reached`.
async fn ask_all_until(gateways: &[Gateway], is_reached: impl Fn(&[String]) -> bool) {
    soon(async {
        loop {
            let mut slugs = Vec::new();
            for gateway in gateways {
                slugs.push(problem(gateway).await);
            }
            if is_reached(&slugs) {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
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
    let mut gateways = Vec::new();
    for _ in 0..3 {
        let member = member(&pbx, &store).password("not the password");
        gateways.push(member.set("pbx.login_retry_s", 1).start().await);
    }
    ask_all_until(&gateways, |slugs| {
        slugs.iter().all(|slug| slug == "pbx-login-refused")
    })
    .await;
    assert_eq!(pbx.seen().requests.login, 2);
    // An instance that joins knows of them, and so does each after its restart.
    let builder = member(&pbx, &store).password("not the password");
    let fourth = builder.set("pbx.login_retry_s", 1).start().await;
    ask_all_until(&[fourth], |slugs| slugs[0] == "pbx-login-refused").await;
    assert_eq!(pbx.seen().requests.login, 2);
}

#[tokio::test]
async fn an_emptied_store_makes_no_instance_try_a_wrong_password_again() {
    let Some(store) = Store::start().await else {
        return;
    };
    let pbx = jealous().await;
    let mut gateways = Vec::new();
    for _ in 0..3 {
        let member = member(&pbx, &store).password("not the password");
        gateways.push(member.set("pbx.login_retry_s", 1).start().await);
    }
    ask_all_until(&gateways[..1], |slugs| slugs[0] == "pbx-held-off").await;
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
    let mut gateways = Vec::new();
    for _ in 0..2 {
        let member = member(&pbx, &store).password("not the password");
        gateways.push(member.set("pbx.login_retry_s", 1).start().await);
    }
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

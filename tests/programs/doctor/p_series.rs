//! A P-Series reports the same faults by other numbers, and its token takes one of eight slots
//! until it is given back.

use wavegate::simulator::{Api, Simulator, Switch};

use super::{diagnose, simulator};
use crate::harness::{Builder, NAME, gateway_for};

async fn pbx(switch: Option<Switch>) -> Simulator {
    let mut pbx = simulator(Api::PSeries);
    if let Some(switch) = switch {
        pbx = pbx.switch(switch);
    }
    pbx.start().await.unwrap()
}

fn for_it(pbx: &Simulator) -> Builder {
    gateway_for(pbx, Api::PSeries)
}

#[tokio::test]
async fn the_token_is_given_back() {
    let pbx = pbx(None).await;
    let found = diagnose(&for_it(&pbx), &["--recording", NAME]).await;
    assert!(found.ok, "{}", found.text);
    assert_eq!(
        found.steps()[3..],
        ["login", "list", "ticket", "recording", "logout"]
    );
    assert_eq!(found.step("logout").0, "the token was given back");
    assert_eq!((pbx.seen().requests.login, pbx.tokens_live()), (1, 0));
}

#[tokio::test]
async fn doctor_names_the_errcode_of_a_refusal() {
    let rows = [
        (
            Switch::IpForbidden70087,
            "login",
            "errcode 70087: our address may not use the API",
            "Client IP Restriction",
        ),
        (
            Switch::ApiOff70123,
            "login",
            "errcode 70123: the API is switched off",
            "Integrations > API, turn it on",
        ),
        (
            Switch::AccessDenied10005,
            "ticket",
            "errcode 10005: the application lacks the permission",
            "tick Recording > Download",
        ),
    ];
    for (switch, step, said, advised) in rows {
        let pbx = pbx(Some(switch)).await;
        let found = diagnose(&for_it(&pbx), &["--recording", NAME]).await;
        // The token is given back, also after a missing permission.
        found.fails_at(step, said, advised);
        assert!(pbx.seen().requests.login <= 1, "{switch}");
        assert_eq!(pbx.tokens_live(), 0, "{switch}");
    }
}

#[tokio::test]
async fn a_wrong_secret_and_its_lock_out_are_told() {
    let pbx = pbx(None).await;
    for attempt in 0..5 {
        let builder = for_it(&pbx).password(&format!("wrong {attempt}"));
        let found = diagnose(&builder, &[]).await;
        let said = "errcode -1: user name or password is wrong";
        found.fails_at("login", said, "Client Secret of Integrations > API");
    }
    let found = diagnose(&for_it(&pbx), &[]).await;
    let said = "errcode 70004: our address is locked out";
    found.fails_at("login", said, "Security > Security Rules > Blocked IPs");
    assert_eq!(pbx.seen().requests.login, 6);
}

#[tokio::test]
async fn slots_that_are_all_taken_are_told() {
    let pbx = pbx(None).await;
    let others = (0..8).map(|_| for_it(&pbx).set("pbx.logout", false));
    for other in others {
        assert!(diagnose(&other, &[]).await.ok);
    }
    let found = diagnose(&for_it(&pbx), &[]).await;
    found.fails_at("login", "errcode 60002", "eight tokens");
    assert_eq!(pbx.tokens_live(), 8);
}

//! Tests of the tokens of the P-Series: slots, lifetimes, refreshes and the lockout.

use super::*;

const LISTS: &str = "recording/list?page_size=1&";

impl Downloader {
    async fn is_good(&self, token: &str) -> bool {
        let answer = self.list(token, LISTS).await;
        let errcode = answer.errcode().unwrap();
        assert!([0, 10_004].contains(&errcode));
        errcode == 0
    }
}

#[tokio::test]
async fn the_ninth_token_is_refused() {
    let pbx = p_series().await;
    let first = pbx.token().await;
    for _ in 0..7 {
        pbx.token().await;
    }
    assert_eq!(pbx.tokens_live(), 8);
    let ninth = pbx.get_token().await;
    assert_eq!(ninth.json()["errmsg"], "MAX LIMITATION EXCEEDED");
    assert_eq!(ninth.errcode(), Some(60_002));
    assert!(pbx.is_good(&first).await);

    let path = format!("/openapi/v1.0/del_token?access_token={first}");
    assert_eq!(pbx.ask("GET", &path, "").await.errcode(), Some(0));
    assert!(!pbx.is_good(&first).await);
    pbx.token().await;
    assert_eq!(pbx.get_token().await.errcode(), Some(60_002));
    pbx.expire_tokens();
    assert_eq!(pbx.tokens_live(), 0);
    pbx.token().await;
    let seen = pbx.seen();
    assert_eq!(
        (seen.logins_ok, seen.logins_refused, seen.logouts),
        (10, 2, 1)
    );
}

#[tokio::test]
async fn a_refresh_replaces_both_tokens_and_takes_no_slot() {
    let pbx = p_series().await;
    let old = pbx.get_token().await.json();
    pbx.occupy_tokens(7);
    assert_eq!(pbx.get_token().await.errcode(), Some(60_002));
    let new = pbx.refresh(&old["refresh_token"]).await.json();
    assert_eq!(new["access_token_expire_time"], 1800);
    assert!(!pbx.is_good(old["access_token"].as_str().unwrap()).await);
    assert!(pbx.is_good(new["access_token"].as_str().unwrap()).await);
    let again = pbx.refresh(&old["refresh_token"]).await;
    assert_eq!(again.errcode(), Some(10_004));
    assert_eq!((pbx.tokens_live(), pbx.seen().refreshes), (8, 1));

    pbx.release_tokens();
    assert_eq!(pbx.tokens_live(), 1);
    pbx.expire_tokens();
    let newest = pbx.refresh(&new["refresh_token"]).await.json();
    assert!(pbx.is_good(newest["access_token"].as_str().unwrap()).await);
    pbx.expire_refresh_tokens();
    let late = pbx.refresh(&newest["refresh_token"]).await;
    assert_eq!(late.errcode(), Some(10_004));
    assert!(pbx.is_good(newest["access_token"].as_str().unwrap()).await);
}

#[tokio::test]
async fn under_its_switch_an_old_access_token_stays_good() {
    let pbx = Downloader::of(builder().switch(Switch::OldAccessTokenLivesOn)).await;
    let old = pbx.get_token().await.json();
    pbx.occupy_tokens(6);
    let new = pbx.refresh(&old["refresh_token"]).await.json();
    for pair in [&old, &new] {
        assert!(pbx.is_good(pair["access_token"].as_str().unwrap()).await);
    }
    pbx.token().await;
    assert_eq!(pbx.get_token().await.errcode(), Some(60_002));
}

#[tokio::test]
async fn a_refresh_needs_a_slot_or_fails_as_its_switch_says() {
    let pbx = Downloader::of(builder().switch(Switch::RefreshNeedsSlot)).await;
    let pair = pbx.get_token().await.json();
    pbx.expire_tokens();
    pbx.occupy_tokens(8);
    assert_eq!(
        pbx.refresh(&pair["refresh_token"]).await.errcode(),
        Some(60_002)
    );
    pbx.release_tokens();
    assert_eq!(pbx.refresh(&pair["refresh_token"]).await.errcode(), Some(0));

    let pbx = Downloader::of(builder().switch(Switch::RefreshFails)).await;
    let pair = pbx.get_token().await.json();
    assert_eq!(
        pbx.refresh(&pair["refresh_token"]).await.errcode(),
        Some(-1)
    );
    assert_eq!((pbx.tokens_live(), pbx.seen().refreshes), (1, 0));
}

#[tokio::test]
async fn an_access_token_ends_after_its_last_call() {
    let pbx = Downloader::of(builder().token_calls(2)).await;
    let token = pbx.token().await;
    let path = pbx.resource(&token, NAME).await.unwrap();
    assert_eq!(pbx.file(&path, &token).await.body, wav::music(3));
    assert_eq!(pbx.file(&path, &token).await.errcode(), Some(10_004));
    assert_eq!(pbx.tokens_live(), 0);
    assert!(pbx.fetch(NAME).await.is_ok());
}

#[tokio::test]
async fn tokens_live_as_long_as_the_builder_says() {
    let brief = builder()
        .token_life(Duration::ZERO)
        .refresh_token_life(Duration::from_secs(7));
    let pbx = Downloader::of(brief).await;
    let pair = pbx.get_token().await.json();
    assert_eq!(pair["access_token_expire_time"], 0);
    assert_eq!(pair["refresh_token_expire_time"], 7);
    assert!(!pbx.is_good(pair["access_token"].as_str().unwrap()).await);
    assert_eq!(pbx.refresh(&pair["refresh_token"]).await.errcode(), Some(0));

    let pbx = Downloader::of(builder().refresh_token_life(Duration::ZERO)).await;
    let pair = pbx.get_token().await.json();
    assert_eq!(
        pbx.refresh(&pair["refresh_token"]).await.errcode(),
        Some(10_004)
    );
}

#[tokio::test]
async fn five_wrong_secrets_lock_the_address_out() {
    let pbx = p_series().await;
    let token = pbx.token().await;
    pbx.set_password("changed");
    for _ in 0..5 {
        assert_eq!(pbx.get_token().await.errcode(), Some(-1));
    }
    pbx.set_password(pbx.password());
    assert_eq!(pbx.get_token().await.errcode(), Some(70_004));
    assert!(pbx.is_good(&token).await);
    pbx.lift_lockout();
    assert_eq!(pbx.get_token().await.errcode(), Some(0));

    let brief = builder().lockout(Duration::ZERO);
    let pbx = Downloader::of(brief).await;
    pbx.set_password("changed");
    for _ in 0..9 {
        assert_eq!(pbx.get_token().await.errcode(), Some(-1));
    }
}

#[tokio::test]
async fn under_its_switch_a_lockout_blocks_every_call() {
    let pbx = Downloader::of(builder().switch(Switch::LockoutBlocksEveryCall)).await;
    let token = pbx.token().await;
    let path = pbx.resource(&token, NAME).await.unwrap();
    pbx.set_password("changed");
    for _ in 0..5 {
        assert_eq!(pbx.get_token().await.errcode(), Some(-1));
    }
    assert_eq!(pbx.resource(&token, NAME).await, Err(Some(70_004)));
    assert_eq!(pbx.file(&path, &token).await.errcode(), Some(70_004));
    pbx.lift_lockout();
    assert_eq!(pbx.file(&path, &token).await.body, wav::music(3));
}

//! Tests of addresses of files, and of the files behind them.

use super::*;

#[tokio::test]
async fn an_address_works_until_its_lifetime_ends() {
    let pbx = p_series().await;
    let token = pbx.token().await;
    let path = pbx.resource(&token, NAME).await.unwrap();
    let request = format!("{path}?access_token={token}");
    let head = pbx.ask("HEAD", &request, "").await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    let other = pbx.token().await;
    assert_eq!(pbx.file(&path, &other).await.body, wav::music(3));
    pbx.expire_tickets();
    assert_eq!(pbx.file(&path, &token).await.errcode(), Some(60_001));
    let seen = pbx.seen();
    assert_eq!(
        (
            seen.tickets_used,
            seen.tickets_refused,
            seen.tickets_used_twice
        ),
        (2, 1, 1)
    );

    let pbx = Downloader::of(builder().ticket_life(Duration::ZERO)).await;
    assert_eq!(pbx.fetch(NAME).await.unwrap().errcode(), Some(60_001));
}

#[tokio::test]
async fn under_its_switch_an_address_works_once() {
    let pbx = Downloader::of(builder().switch(Switch::ResourceUrlSingleUse)).await;
    let token = pbx.token().await;
    let path = pbx.resource(&token, NAME).await.unwrap();
    assert_eq!(pbx.file(&path, &token).await.body, wav::music(3));
    assert_eq!(pbx.file(&path, &token).await.errcode(), Some(60_001));
    assert_eq!(pbx.seen().tickets_used_twice, 1);

    let lenient = builder()
        .switch(Switch::ResourceUrlSingleUse)
        .switch(Switch::CutDownloadSpendsNothing);
    let pbx = Downloader::of(lenient).await;
    pbx.inject("download:cut-after=10".parse().unwrap());
    let token = pbx.token().await;
    let path = pbx.resource(&token, NAME).await.unwrap();
    assert_eq!(pbx.file(&path, &token).await.body.len(), 10);
    assert_eq!(pbx.file(&path, &token).await.body, wav::music(3));
}

#[tokio::test]
async fn under_its_switch_an_address_needs_its_token() {
    let pbx = Downloader::of(builder().switch(Switch::TokenBoundRandom)).await;
    let token = pbx.token().await;
    let path = pbx.resource(&token, NAME).await.unwrap();
    let other = pbx.token().await;
    assert_eq!(pbx.file(&path, &other).await.errcode(), Some(60_001));
    assert_eq!(pbx.file(&path, &token).await.body, wav::music(3));
}

#[tokio::test]
async fn a_second_download_of_mp3_is_refused_as_overload() {
    let pbx = Downloader::of(builder().switch(Switch::Mp3)).await;
    pbx.inject("download:stall-after=1".parse().unwrap());
    let token = pbx.token().await;
    let path = pbx.resource(&token, NAME).await.unwrap();
    let open = pbx.open(&format!("{path}?access_token={token}")).await;
    pbx.until(|seen| seen.downloads_running == 1).await;
    let second = pbx.file(&path, &token).await;
    assert_eq!(second.json()["errmsg"], "OVERLOAD_TASK_RUNNING");
    assert_eq!(second.errcode(), Some(70_082));
    assert_eq!(pbx.resource(&token, NAME).await.map(drop), Ok(()));
    drop(open);
    pbx.until(|seen| seen.downloads_running == 0).await;
    assert_eq!(pbx.seen().tickets_used, 1);
}

#[tokio::test]
async fn under_its_switch_the_first_download_ends_its_token() {
    let pbx = Downloader::of(builder().switch(Switch::TokenDiesBetween)).await;
    assert_eq!(pbx.fetch(NAME).await.unwrap().errcode(), Some(10_004));
    assert_eq!(pbx.tokens_live(), 0);
    assert_eq!(pbx.fetch(NAME).await.unwrap().body, wav::music(3));
}

#[tokio::test]
async fn under_its_switch_an_ended_token_gets_the_login_page() {
    let pbx = Downloader::of(builder().switch(Switch::RasLoginShell)).await;
    let token = pbx.token().await;
    let path = pbx.resource(&token, NAME).await.unwrap();
    let answer = pbx.file(&path, "0").await;
    assert_eq!(answer.status, 200);
    assert!(answer.body.starts_with(b"<!DOCTYPE html>"));
    assert!(
        answer
            .field("content-type")
            .unwrap()
            .starts_with("text/html")
    );
    let unknown = pbx.file("/api/download/x.wav", &token).await;
    assert_eq!(unknown.errcode(), Some(60_001));
}

#[tokio::test]
async fn under_its_switch_the_end_of_a_token_cuts_its_file() {
    let pbx = Downloader::of(builder().switch(Switch::TokenDeathCutsDownload)).await;
    pbx.inject("download:throttle=100000".parse().unwrap());
    let (answer, ()) = tokio::join!(pbx.fetch(NAME), async {
        pbx.until(|seen| seen.bytes_sent > 0).await;
        pbx.expire_tokens();
    });
    assert!(answer.unwrap().body.len() < 48_308);
    assert_eq!(pbx.seen().downloads_cut, 1);
}

#[tokio::test]
async fn a_switch_changes_the_form_of_an_address() {
    let given = async |switch| {
        let pbx = Downloader::of(builder().switch(switch)).await;
        let token = pbx.token().await;
        let answer = pbx.download(&token, NAME).await;
        let url = answer.json()["download_resource_url"].clone();
        let url = url.as_str().map(str::to_owned);
        (url.unwrap_or_else(|| "none".to_owned()), token, pbx)
    };
    let starts = [
        (Switch::ResourceUrlElsewhere, "https://evil.example/api/"),
        (Switch::ResourceUrlProtocolRelative, "//evil.example/api/"),
        (Switch::ResourceUrlBackslash, "/\\evil.example/api/"),
        (Switch::ResourceUrlMissing, "none"),
    ];
    for (switch, start) in starts {
        let (url, ..) = given(switch).await;
        assert!(url.starts_with(start), "{switch}: {url}");
    }
    assert_eq!(given(Switch::ResourceUrlBlank).await.0, "");
    let (url, ..) = given(Switch::ResourceUrlLineBreak).await;
    assert!(url.ends_with(".wav HTTP/1.1\r\nX-Injected: yes\r\n\r\n"));

    let (url, token, pbx) = given(Switch::ResourceUrlAbsolute).await;
    let path = url.strip_prefix(&pbx.url()).unwrap();
    assert_eq!(pbx.file(path, &token).await.body, wav::music(3));

    let (url, token, pbx) = given(Switch::ResourceUrlWithQuery).await;
    let (path, _) = url.split_once('?').unwrap();
    assert_eq!(pbx.file(&url, &token).await.errcode(), Some(10_004));
    let joined = format!("{url}&access_token={token}");
    assert_eq!(pbx.ask("GET", &joined, "").await.body, wav::music(3));
    assert_eq!(pbx.file(path, &token).await.body, wav::music(3));

    let (url, token, pbx) = given(Switch::DownloadAttachmentPrefix).await;
    assert!(url.starts_with("/api/downloadattachment/"));
    assert_eq!(pbx.file(&url, &token).await.body, wav::music(3));

    let (url, token, pbx) = given(Switch::Mp3ResourceSuffix).await;
    assert!(url.ends_with(".mp3"));
    let answer = pbx.file(&url, &token).await;
    assert_eq!(answer.field("content-type"), Some("audio/mpeg"));
}

#[tokio::test]
async fn addresses_take_every_form_of_hidden_host() {
    let pbx = Downloader::of(builder().switch(Switch::ResourceUrlBackslash)).await;
    let token = pbx.token().await;
    let mut forms = std::collections::HashSet::new();
    for _ in 0..7 {
        let url = pbx.resource(&token, NAME).await.unwrap();
        forms.insert(url.split_once("evil.example").unwrap().0.to_owned());
    }
    assert_eq!(forms.len(), 6);
}

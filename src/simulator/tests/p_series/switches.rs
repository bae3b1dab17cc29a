//! Tests of the switches of a P-Series over real sockets. Switches of lists, addresses and
//! refreshes have tests of their own.

use super::*;

async fn with_switch(switch: Switch) -> Downloader {
    let builder = builder().answer_delay(Duration::from_millis(1));
    Downloader::of(builder.switch(switch)).await
}

/// The failure that a strict downloader gets in place of the recording.
enum ExpectedFailure {
    /// get_token answers this code and no usable token.
    NoToken(Option<i64>),
    /// recording/download answers this code and no address.
    NoAddress(Option<i64>),
    /// The address is not one that it can use.
    NoPath,
    /// The address answers this code and no file.
    NoFile(i64),
    /// The connection fails, or the answer is not one of the API.
    Nothing,
}

fn expected_failure(switch: Switch) -> Option<ExpectedFailure> {
    use ExpectedFailure::*;
    Some(match switch {
        Switch::RedirectFromPort80 | Switch::SniRequired => Nothing,
        Switch::ApiOff70123 => NoToken(Some(70_123)),
        Switch::IpForbidden70087 => NoToken(Some(70_087)),
        Switch::MissingTokenField | Switch::BlankTokenField => NoToken(Some(0)),
        Switch::AccessDenied10005 => NoAddress(Some(10_005)),
        Switch::FilesDeleted | Switch::LateFile => NoAddress(Some(60_001)),
        // The box does not decode the name, so it looks for another one.
        Switch::RawQuery => NoAddress(Some(60_001)),
        Switch::Processing2Once | Switch::Processing2Always => NoAddress(Some(2)),
        Switch::Overload70082Once | Switch::Overload70082Always => NoAddress(Some(70_082)),
        Switch::InternalMinus2Once | Switch::InternalMinus2Always => NoAddress(Some(-2)),
        Switch::Overload503Once | Switch::Overload503Always => NoAddress(None),
        Switch::ResourceUrlMissing => NoAddress(Some(0)),
        Switch::ResourceUrlAbsolute
        | Switch::ResourceUrlElsewhere
        | Switch::ResourceUrlProtocolRelative
        | Switch::ResourceUrlBackslash
        | Switch::ResourceUrlLineBreak
        | Switch::ResourceUrlBlank => NoPath,
        Switch::ResourceUrlWithQuery | Switch::TokenDiesBetween => NoFile(10_004),
        _ => return None,
    })
}

#[tokio::test]
async fn every_switch_delivers_or_fails_as_it_should() {
    for &switch in Switch::ALL
        .iter()
        .filter(|switch| switch.applies_to(Api::PSeries))
    {
        let pbx = with_switch(switch).await;
        match expected_failure(switch) {
            None => delivers(&pbx, switch).await,
            Some(expected_failure) => fails(&pbx, switch, expected_failure).await,
        }
    }
}

async fn delivers(pbx: &Downloader, switch: Switch) {
    let answer = pbx.fetch(NAME).await;
    let answer = answer.unwrap_or_else(|error| panic!("{switch}: {error:?}"));
    if switch == Switch::GrowingFile {
        assert_eq!(
            (answer.body.len(), &answer.body[4..8]),
            (24_154, &[0; 4][..])
        );
        return;
    }
    assert_eq!(answer.body, pbx.recording_bytes(NAME).unwrap(), "{switch}");
    let announced = answer.field("content-length").is_some();
    let without = [Switch::DownloadWithoutLength, Switch::DownloadChunked];
    assert_eq!(announced, !without.contains(&switch), "{switch}");
}

async fn fails(pbx: &Downloader, switch: Switch, expected_failure: ExpectedFailure) {
    if let ExpectedFailure::Nothing = expected_failure {
        let answer = pbx.try_ask("GET", "/openapi/v1.0/recording/list", "").await;
        assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status == 302));
        return;
    }
    let given = pbx.get_token().await;
    let token = given.json()["access_token"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    if let ExpectedFailure::NoToken(errcode) = expected_failure {
        assert_eq!((given.errcode(), &*token), (errcode, ""), "{switch}");
        return;
    }
    let address = pbx.resource(&token, NAME).await;
    match expected_failure {
        ExpectedFailure::NoAddress(errcode) => assert_eq!(address, Err(errcode), "{switch}"),
        ExpectedFailure::NoPath => {
            let address = address.unwrap();
            let usable = address.starts_with("/api/") && address.ends_with(".wav");
            assert!(!usable, "{switch}: {address:?}");
        }
        ExpectedFailure::NoFile(errcode) => {
            let answer = pbx.file(&address.unwrap(), &token).await;
            assert_eq!(answer.errcode(), Some(errcode), "{switch}");
        }
        ExpectedFailure::NoToken(_) | ExpectedFailure::Nothing => unreachable!(),
    }
}

#[tokio::test]
async fn a_failure_of_the_first_requests_ends() {
    for (switch, failures) in [
        (Switch::LateFile, 2),
        (Switch::Processing2Once, 1),
        (Switch::Overload70082Once, 1),
        (Switch::InternalMinus2Once, 1),
        (Switch::Overload503Once, 1),
    ] {
        let pbx = with_switch(switch).await;
        for _ in 0..failures {
            assert!(pbx.fetch(NAME).await.is_err(), "{switch}");
        }
        let answer = pbx.fetch(NAME).await.unwrap();
        assert_eq!(answer.body, wav::music(3), "{switch}");
    }
    for switch in [Switch::Processing2Always, Switch::InternalMinus2Always] {
        let pbx = with_switch(switch).await;
        for _ in 0..3 {
            assert!(pbx.fetch(NAME).await.is_err(), "{switch}");
        }
    }
}

#[tokio::test]
async fn a_switch_changes_the_code_of_an_unknown_file() {
    for (switch, errcode) in [
        (Switch::KeepAlive, 60_001),
        (Switch::UnknownFileIs40002, 40_002),
        (Switch::UnknownFileIsMinus1, -1),
    ] {
        let pbx = with_switch(switch).await;
        assert_eq!(pbx.fetch("none.wav").await.unwrap_err(), Some(errcode));
    }
}

#[tokio::test]
async fn under_its_switch_every_call_is_refused() {
    for (switch, errcode) in [
        (Switch::IpForbidden70087, 70_087),
        (Switch::ApiOff70123, 70_123),
    ] {
        let pbx = with_switch(switch).await;
        for path in [
            "/openapi/v1.0/del_token",
            "/openapi/v1.0/recording/list",
            "/openapi/v1.0/recording/download",
            "/api/download/Recording-1.wav",
        ] {
            let answer = pbx.ask("GET", path, "").await;
            assert_eq!(answer.errcode(), Some(errcode), "{switch} {path}");
        }
        let refresh = pbx.refresh(&"r".into()).await;
        assert_eq!(refresh.errcode(), Some(errcode));
    }
}

#[tokio::test]
async fn a_switch_changes_the_form_of_an_answer() {
    let pbx = with_switch(Switch::ErrcodeAsString).await;
    assert_eq!(pbx.get_token().await.json()["errcode"], "0");
    let pbx = with_switch(Switch::WithoutMessage).await;
    let json = pbx.get_token().await.json();
    assert!(json["errcode"] == 0 && json.get("errmsg").is_none());
    let pbx = with_switch(Switch::PartialSuccess1).await;
    let token = pbx.token().await;
    assert_eq!(pbx.download(&token, NAME).await.errcode(), Some(1));
    let pbx = with_switch(Switch::NoRefreshToken).await;
    let json = pbx.get_token().await.json();
    assert!(json.get("refresh_token").is_none() && json.get("refresh_token_expire_time").is_none());
    let pbx = with_switch(Switch::LifetimesMissing).await;
    let json = pbx.get_token().await.json();
    assert!(json.get("access_token_expire_time").is_none());
    assert!(json["refresh_token"].is_string() && json.get("refresh_token_expire_time").is_none());
    let pbx = with_switch(Switch::NoRecordingEcho).await;
    let token = pbx.token().await;
    assert!(
        pbx.download(&token, NAME)
            .await
            .json()
            .get("file")
            .is_none()
    );
    let pbx = with_switch(Switch::JsonWithLength).await;
    assert!(pbx.get_token().await.field("content-length").is_some());
}

#[tokio::test]
async fn a_switch_changes_the_form_of_a_failed_file() {
    for (switch, status, start) in [
        (
            Switch::KeepAlive,
            200,
            r#"{"errcode":10004,"errmsg":"TOKEN EXPIRED"}"#,
        ),
        (Switch::DownloadErrorsAre404Html, 404, "<HTML>"),
        (Switch::DownloadErrorsAre403Html, 403, "<HTML>"),
        (Switch::DownloadErrorsAreEmpty, 200, ""),
    ] {
        let pbx = with_switch(switch).await;
        let answer = pbx.file("/api/download/x.wav", "0").await;
        assert_eq!(answer.status, status, "{switch}");
        let empty = answer.body.is_empty() == start.is_empty();
        assert!(
            answer.body.starts_with(start.as_bytes()) && empty,
            "{switch}"
        );
    }
}

#[tokio::test]
async fn the_type_of_a_file_follows_its_name_and_switches() {
    for (switch, expected) in [
        (
            Switch::DownloadTypeOctetStream,
            Some("application/octet-stream"),
        ),
        (Switch::DownloadTypeWav, Some("audio/wav")),
        (Switch::DownloadWithoutType, None),
        (Switch::Mp3, Some("audio/x-wav")),
    ] {
        let pbx = with_switch(switch).await;
        let answer = pbx.fetch(NAME).await.unwrap();
        assert_eq!(answer.field("content-type"), expected, "{switch}");
    }
    let pbx = p_series().await;
    pbx.add_recording("a.mp3", wav::mp3(1));
    let answer = pbx.fetch("a.mp3").await.unwrap();
    assert_eq!(answer.field("content-type"), Some("audio/mpeg"));
}

#[tokio::test]
async fn under_its_switch_a_plus_sign_stands_for_itself() {
    let pbx = with_switch(Switch::PlusIsPlus).await;
    let token = pbx.token().await;
    let raw = format!("recording/download?file={NAME}&");
    assert_eq!(pbx.list(&token, &raw).await.errcode(), Some(0));
}

#[tokio::test]
async fn a_range_is_honored_under_its_switch_only() {
    for (switch, status, bytes) in [
        (Switch::HonoursRange, 206, 10),
        (Switch::JsonWithLength, 200, 48_308),
    ] {
        let pbx = with_switch(switch).await;
        let token = pbx.token().await;
        let path = pbx.resource(&token, NAME).await.unwrap();
        let request = format!(
            "GET {path}?access_token={token} HTTP/1.1\r\nUser-Agent: a\r\nRange: bytes=10-19\r\n\r\n"
        );
        let answer = pbx.raw(&request).await;
        assert_eq!((answer.status, answer.body.len()), (status, bytes));
        assert_eq!(pbx.seen().range_headers_seen, 1);
    }
}

#[tokio::test]
async fn a_download_without_a_slot_waits_or_gets_a_page() {
    let pbx = with_switch(Switch::BusyIs503).await;
    pbx.inject("download:stall-after=1:times=2".parse().unwrap());
    let token = pbx.token().await;
    let path = pbx.resource(&token, NAME).await.unwrap();
    let request = format!("{path}?access_token={token}");
    let _open = [pbx.open(&request).await, pbx.open(&request).await];
    pbx.until(|seen| seen.downloads_running == 2).await;
    assert_eq!(pbx.file(&path, &token).await.status, 503);

    let pbx = with_switch(Switch::OneDownloadAtATime).await;
    pbx.inject("download:stall-after=1".parse().unwrap());
    let token = pbx.token().await;
    let path = pbx.resource(&token, NAME).await.unwrap();
    let open = pbx.open(&format!("{path}?access_token={token}")).await;
    pbx.until(|seen| seen.downloads_running == 1).await;
    let (second, ()) = tokio::join!(pbx.file(&path, &token), async {
        pbx.until(|seen| seen.requests.download == 2).await;
        drop(open);
    });
    assert_eq!(second.body, wav::music(3));
}

#[tokio::test]
async fn the_listener_follows_its_switches() {
    let pbx = with_switch(Switch::SniRequired).await;
    let pbx = pbx.with(|client| client.with_server_name("localhost"));
    assert!(pbx.fetch(NAME).await.is_ok());
    let pbx = with_switch(Switch::WrongAddressDropped).await;
    let pbx = pbx.with(|client| client.from([127, 0, 0, 2]));
    assert!(pbx.try_ask("GET", "/", "").await.is_err());
    assert_eq!(pbx.seen().connections_dropped, 1);
    let refused = builder().switch(Switch::ErrnoAsNumber).start().await;
    assert!(refused.unwrap_err().to_string().contains("errno-as-number"));
}

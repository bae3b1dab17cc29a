//! Tests of the switches over real sockets.

use tokio::io::AsyncWriteExt;

use super::client::{Client, ReceivedAnswer, read_answer};
use super::*;

/// Downloads from a box with this switch, and accepts only documented answers.
async fn fetched(switch: Switch) -> (Result<ReceivedAnswer, String>, Simulator) {
    let pbx = with(switch).await;
    let client = client(&pbx, switch);
    (client.fetch(NAME).await, pbx)
}

fn client(pbx: &Simulator, switch: Switch) -> Client {
    Client::of(pbx).api(newest(switch))
}

/// Returns the result that replaces the recording, for a switch under which a strict client does
/// not get it: an errno or message, or `*` for another failure.
fn intolerable(switch: Switch) -> Option<&'static str> {
    Some(match switch {
        Switch::StatusLowerCase | Switch::StatusUpperCase | Switch::StatusKeyCapital => "",
        Switch::MissingTokenField | Switch::MissingRandomField => "missing",
        Switch::BlankTokenField => "20005",
        Switch::BlankRandomField | Switch::RawQuery => "20013",
        Switch::PortRequired10004 => "10004",
        Switch::PortRequired20008 => "20008",
        Switch::FilesDeleted => "20014",
        Switch::LateFile => "20012",
        Switch::InternalError20010 | Switch::InternalError20010Always => "20010",
        Switch::InternalError30001 | Switch::InternalError30001Always => "30001",
        Switch::RedirectFromPort80
        | Switch::SniRequired
        | Switch::Overload503Once
        | Switch::Overload503Always
        | Switch::GatewayTimeout504Once
        | Switch::GatewayTimeout504Always => "*",
        _ => return None,
    })
}

#[tokio::test]
async fn every_switch_delivers_or_fails_as_it_should() {
    let of_s_series = |switch: &&Switch| Api::S_SERIES.iter().any(|api| switch.applies_to(*api));
    for &switch in Switch::ALL.iter().filter(of_s_series) {
        let (answer, pbx) = fetched(switch).await;
        match (intolerable(switch), answer) {
            (None, Ok(answer)) if switch == Switch::GrowingFile => {
                assert_eq!(answer.body.len(), 24_154);
                assert_eq!(answer.body[4..8], [0; 4]);
            }
            (None, answer) => {
                let answer = answer.unwrap_or_else(|error| panic!("{switch}: {error}"));
                assert_eq!(answer.body, pbx.recording_bytes(NAME).unwrap(), "{switch}");
                assert_eq!(
                    answer.ended_cleanly,
                    switch != Switch::NoCloseNotify,
                    "{switch}"
                );
            }
            (Some("*"), answer) => assert!(answer.is_err(), "{switch}"),
            (Some(errno), answer) => {
                let got = answer.map_or_else(|error| error, |answer| answer.errno());
                assert_eq!(got, errno, "{switch}");
            }
        }
    }
}

#[tokio::test]
async fn a_failure_of_the_first_requests_ends() {
    let passing = [
        (Switch::LateFile, 2),
        (Switch::InternalError20010, 1),
        (Switch::InternalError30001, 1),
        (Switch::Overload503Once, 1),
        (Switch::GatewayTimeout504Once, 1),
    ];
    for (switch, failures) in passing {
        let pbx = with(switch).await;
        let client = client(&pbx, switch);
        for _ in 0..failures {
            assert!(client.fetch(NAME).await.is_err(), "{switch}");
        }
        assert_eq!(
            client.fetch(NAME).await.unwrap().body,
            wav::music(3),
            "{switch}"
        );
    }
    let pbx = with(Switch::GrowingFile).await;
    let client = client(&pbx, Switch::GrowingFile);
    assert!(client.fetch(NAME).await.is_ok());
    assert_eq!(client.fetch(NAME).await.unwrap().body, wav::music(3));
}

#[tokio::test]
async fn a_switch_changes_the_form_of_a_failed_download() {
    let forms = [
        (Switch::DownloadErrorsAre404Html, 404, "<HTML>"),
        (Switch::DownloadErrorsAre403Html, 403, "<HTML>"),
        (Switch::DownloadErrorsAreEmpty, 200, ""),
        (
            Switch::ErrnoAsNumber,
            200,
            r#"{"status":"Failed","errno":20013}"#,
        ),
        (
            Switch::FailureWord,
            200,
            r#"{"status":"Failure","errno":"20013"}"#,
        ),
    ];
    for (switch, status, start) in forms {
        let pbx = with(switch).await;
        let client = client(&pbx, switch);
        let token = client.login().await.unwrap();
        let answer = client.download(&token, NAME, "0").await.unwrap();
        assert_eq!(answer.status, status, "{switch}");
        assert!(
            answer.body.starts_with(start.as_bytes()) && answer.body.is_empty() == start.is_empty()
        );
    }
}

#[tokio::test]
async fn a_connection_stays_open_under_keep_alive() {
    let pbx = with(Switch::KeepAlive).await;
    let client = client(&pbx, Switch::KeepAlive);
    let mut stream = client.connect().await.unwrap();
    for _ in 0..2 {
        let request = client.request("POST", "/api/v2.0.0/heartbeat?token=0", "");
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = read_answer(&mut *stream).await.unwrap();
        assert_eq!(
            (answer.field("connection"), &*answer.errno()),
            (Some("keep-alive"), "20004")
        );
    }
    assert_eq!(pbx.seen().connections, 1);
}

#[tokio::test]
async fn a_range_is_honored_under_its_switch_only() {
    for (switch, status, bytes) in [
        (Switch::HonoursRange, 206, 10),
        (Switch::JsonWithLength, 200, 48_308),
    ] {
        let pbx = with(switch).await;
        let client = client(&pbx, switch);
        let token = client.login().await.unwrap();
        let random = client.get_random(&token, NAME).await.unwrap();
        let path = client.download_path(&token, NAME, &random);
        let request = format!("GET {path} HTTP/1.1\r\nRange: bytes=10-19\r\n\r\n");
        let answer = client.raw(request.as_bytes()).await.unwrap();
        assert_eq!((answer.status, answer.body.len()), (status, bytes));
        assert_eq!(pbx.seen().range_headers_seen, 1);
    }
}

#[tokio::test]
async fn a_redirect_names_the_https_port() {
    for (api, port) in [(Api::SSeries200, ":8088"), (Api::Cloud200, "")] {
        let builder = Simulator::builder(api).switch(Switch::RedirectFromPort80);
        let pbx = builder.start().await.unwrap();
        assert!(pbx.url().starts_with("http://"));
        let answer = Client::of(&pbx)
            .ask("POST", "/api/v2.0.0/login", "{}")
            .await
            .unwrap();
        let location = format!("https://127.0.0.1{port}/api/v2.0.0/login");
        assert_eq!(
            (answer.status, answer.field("location")),
            (302, Some(&*location))
        );
    }
}

#[tokio::test]
async fn a_box_that_requires_a_server_name_accepts_one() {
    let pbx = with(Switch::SniRequired).await;
    let client = client(&pbx, Switch::SniRequired).with_server_name("localhost");
    assert!(client.fetch(NAME).await.is_ok());
}

#[tokio::test]
async fn a_connection_from_another_address_is_dropped() {
    let pbx = with(Switch::WrongAddressDropped).await;
    let client = client(&pbx, Switch::WrongAddressDropped).from([127, 0, 0, 2]);
    assert!(client.login().await.is_err());
    assert_eq!(pbx.seen().connections_dropped, 1);
}

#[tokio::test]
async fn a_token_follows_its_switches() {
    let pbx = with(Switch::SecondLoginErasesFirst).await;
    let client = Client::of(&pbx).api(Api::SSeries200);
    let first = client.login().await.unwrap();
    client.login().await.unwrap();
    assert_eq!(client.get_random(&first, NAME).await.unwrap_err(), "20004");

    let pbx = with(Switch::ExpiredTokenIs20006).await;
    let client = Client::of(&pbx).api(Api::SSeries200);
    let token = client.login().await.unwrap();
    pbx.expire_tokens();
    assert_eq!(client.get_random(&token, NAME).await.unwrap_err(), "20006");

    let pbx = with(Switch::TokenBoundRandom).await;
    let client = Client::of(&pbx).api(Api::SSeries200);
    let (one, other) = (client.login().await.unwrap(), client.login().await.unwrap());
    let random = client.get_random(&one, NAME).await.unwrap();
    assert_eq!(
        client
            .download(&other, NAME, &random)
            .await
            .unwrap()
            .errno(),
        "20013"
    );
}

#[tokio::test]
async fn under_its_switch_a_cut_download_spends_no_ticket() {
    let pbx = with(Switch::CutDownloadSpendsNothing).await;
    pbx.inject("download:cut-after=10".parse().unwrap());
    let client = Client::of(&pbx).api(Api::SSeries200);
    let token = client.login().await.unwrap();
    let random = client.get_random(&token, NAME).await.unwrap();
    assert_eq!(
        client
            .download(&token, NAME, &random)
            .await
            .unwrap()
            .body
            .len(),
        10
    );
    assert_eq!(
        client.download(&token, NAME, &random).await.unwrap().body,
        wav::music(3)
    );
    assert_eq!(
        client
            .download(&token, NAME, &random)
            .await
            .unwrap()
            .errno(),
        "20013"
    );
}

#[tokio::test]
async fn a_busy_box_refuses_the_third_download() {
    let pbx = with(Switch::BusyIs503).await;
    pbx.inject("download:stall-after=1:times=2".parse().unwrap());
    let client = Client::of(&pbx).api(Api::SSeries200);
    let token = client.login().await.unwrap();
    let mut open = Vec::new();
    for _ in 0..2 {
        let random = client.get_random(&token, NAME).await.unwrap();
        open.push(
            client
                .open("GET", &client.download_path(&token, NAME, &random), "")
                .await
                .unwrap(),
        );
    }
    pbx.until(|seen| seen.downloads_running == 2).await;
    let random = client.get_random(&token, NAME).await.unwrap();
    assert_eq!(
        client.download(&token, NAME, &random).await.unwrap().status,
        503
    );
    drop(open);
    pbx.until(|seen| seen.downloads_running == 0).await;
    assert_eq!(pbx.seen().tickets_used, 2);
}

#[tokio::test]
async fn under_its_switch_the_end_of_a_token_cuts_its_download() {
    let pbx = with(Switch::TokenDeathCutsDownload).await;
    pbx.inject("download:throttle=100000".parse().unwrap());
    let client = Client::of(&pbx).api(Api::SSeries200);
    let token = client.login().await.unwrap();
    let random = client.get_random(&token, NAME).await.unwrap();
    let (answer, ()) = tokio::join!(client.download(&token, NAME, &random), async {
        pbx.until(|seen| seen.bytes_sent > 0).await;
        pbx.expire_tokens();
    });
    assert!(answer.unwrap().body.len() < 48_308);
    assert_eq!(pbx.seen().downloads_cut, 1);
}

#[tokio::test]
async fn a_switch_of_another_generation_is_refused() {
    let builder = Simulator::builder(Api::SSeries200).switch(Switch::FullBoaHeaders);
    let error = builder.start().await.unwrap_err();
    assert!(error.to_string().contains("full-boa-headers"));
}

#[tokio::test]
async fn under_its_switch_a_ticket_belongs_to_the_login_address() {
    let pbx = with(Switch::RequesterIsLoginPeer).await;
    let client = Client::of(&pbx).api(Api::SSeries200);
    let other = Client::of(&pbx).api(Api::SSeries200).from([127, 0, 0, 2]);
    let token = client.login().await.unwrap();
    let random = other.get_random(&token, NAME).await.unwrap();
    assert_eq!(
        other.download(&token, NAME, &random).await.unwrap().errno(),
        "20013"
    );
    let random = other.get_random(&token, NAME).await.unwrap();
    assert_eq!(
        client.download(&token, NAME, &random).await.unwrap().body,
        wav::music(3)
    );
}

#[tokio::test]
async fn under_its_switch_a_wrong_address_gets_a_page() {
    let pbx = with(Switch::WrongAddressIs403Html).await;
    let client = Client::of(&pbx).api(Api::SSeries200);
    let other = Client::of(&pbx).api(Api::SSeries200).from([127, 0, 0, 2]);
    let token = client.login().await.unwrap();
    let random = client.get_random(&token, NAME).await.unwrap();
    assert_eq!(
        other.download(&token, NAME, &random).await.unwrap().status,
        403
    );
    assert_eq!(
        client
            .download(&token, NAME, &random)
            .await
            .unwrap()
            .errno(),
        "20013"
    );
}

#[tokio::test]
async fn a_refresh_replaces_the_token() {
    let pbx = with(Switch::TokenRefresh).await;
    let client = Client::of(&pbx).api(Api::SSeries200);
    let token = client.login().await.unwrap();
    let refresh = pbx.seen().secrets[1].clone();
    let body = format!(r#"{{"refreshtoken":"{refresh}"}}"#);
    let answer = client
        .ask("POST", "/api/v2.0.0/token/refresh", &body)
        .await
        .unwrap();
    let secrets = pbx.seen().secrets;
    assert!(
        secrets[2..]
            .iter()
            .all(|new| String::from_utf8_lossy(&answer.body).contains(new))
    );
    assert_eq!(client.get_random(&token, NAME).await.unwrap_err(), "20004");
    assert!(client.get_random(&secrets[2], NAME).await.is_ok());
    let again = client
        .ask("POST", "/api/v2.0.0/token/refresh", &body)
        .await
        .unwrap();
    assert_eq!(again.errno(), "20004");
}

#[tokio::test]
async fn under_its_switch_a_download_waits_for_the_one_before() {
    let pbx = with(Switch::OneDownloadAtATime).await;
    pbx.inject("download:stall-after=1".parse().unwrap());
    let client = Client::of(&pbx).api(Api::SSeries200);
    let token = client.login().await.unwrap();
    let random = client.get_random(&token, NAME).await.unwrap();
    let path = client.download_path(&token, NAME, &random);
    let stalled = client.open("GET", &path, "").await.unwrap();
    pbx.until(|seen| seen.downloads_running == 1).await;
    let random = client.get_random(&token, NAME).await.unwrap();
    let (second, ()) = tokio::join!(client.download(&token, NAME, &random), async {
        pbx.until(|seen| seen.requests.download == 2).await;
        drop(stalled);
    });
    assert_eq!(second.unwrap().body, wav::music(3));
    assert_eq!(pbx.seen().downloads_running_max, 1);
}

#[tokio::test]
async fn a_box_that_decodes_nothing_finds_a_plain_name() {
    let pbx = with(Switch::RawQuery).await;
    pbx.add_recording("1772442845.wav", wav::music(1));
    let client = Client::of(&pbx).api(Api::SSeries200);
    let token = client.login().await.unwrap();
    let random = client.get_random(&token, "1772442845.wav").await.unwrap();
    let path = client
        .download_path(&token, "1772442845.wav", &random)
        .replace("%2E", ".");
    assert_eq!(
        client.ask("GET", &path, "").await.unwrap().body,
        wav::music(1)
    );
}

//! Tests of the P-Series over real sockets.

use super::*;
use downloader::Downloader;

mod downloader;
mod files;
mod list;
mod switches;
mod tokens;

async fn p_series() -> Downloader {
    Downloader::of(builder()).await
}

fn builder() -> super::super::Builder {
    Simulator::builder(Api::PSeries).recording(NAME, wav::music(3))
}

#[tokio::test]
async fn a_recording_arrives() {
    let pbx = p_series().await;
    let token = pbx.token().await;
    let path = pbx.resource(&token, NAME).await.unwrap();
    assert!(path.starts_with("/api/download/Recording-X.7.0.6-1-download-20"));
    assert!(path.ends_with(".wav"));
    let answer = pbx.file(&path, &token).await;

    assert_eq!(answer.body, pbx.recording_bytes(NAME).unwrap());
    assert!(answer.ended_cleanly);
    let names: Vec<_> = answer.fields.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["Connection", "Content-Length", "Content-Type"]);
    assert_eq!(answer.field("connection"), Some("close"));
    assert_eq!(answer.field("content-length"), Some("48308"));
    assert_eq!(answer.field("content-type"), Some("audio/x-wav"));

    pbx.until(|seen| seen.downloads_complete == 1).await;
    let seen = pbx.seen();
    let requests = seen.requests;
    assert_eq!(
        (requests.login, requests.get_random, requests.download),
        (1, 1, 1)
    );
    assert_eq!(
        (seen.logins_ok, seen.tickets_issued, seen.tickets_used),
        (1, 1, 1)
    );
    assert_eq!((seen.secrets.len(), &seen.secrets[0]), (3, &token));
    assert_eq!(seen.secrets[2], path);
    assert_eq!(seen.ticket_recordings, [NAME]);
    assert_eq!(seen.bytes_sent, 48_308);
}

#[tokio::test]
async fn get_token_answers_all_documented_fields() {
    let pbx = p_series().await;
    let answer = pbx.get_token().await;
    let json = answer.json();
    assert_eq!(answer.field("content-type"), Some("application/json"));
    assert_eq!(
        (&json["errcode"], &json["errmsg"]),
        (&0.into(), &"SUCCESS".into())
    );
    assert_eq!(json["access_token_expire_time"], 1800);
    assert_eq!(json["refresh_token_expire_time"], 86_400);
    for key in ["access_token", "refresh_token"] {
        let token = json[key].as_str().unwrap();
        assert!(token.len() == 32 && token.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    }
}

#[tokio::test]
async fn a_bad_call_gets_its_errcode() {
    let pbx = p_series().await;
    let token = pbx.token().await;
    let with_token = |call: &str| format!("/openapi/v1.0/{call}access_token={token}");
    let path = pbx.resource(&token, NAME).await.unwrap();
    let cases = [
        ("POST", "/openapi/v1.0/get_token".to_owned(), "", 40_002),
        ("POST", "/openapi/v1.0/get_token".to_owned(), "{", 40_001),
        ("POST", "/openapi/v1.0/get_token".to_owned(), "[]", 40_001),
        (
            "POST",
            "/openapi/v1.0/get_token".to_owned(),
            r#"{"username":"a"}"#,
            40_002,
        ),
        (
            "POST",
            "/openapi/v1.0/get_token".to_owned(),
            r#"{"username":"a","password":"b"}"#,
            -1,
        ),
        ("GET", "/openapi/v1.0/get_token".to_owned(), "", 10_001),
        (
            "POST",
            "/openapi/v1.0/refresh_token".to_owned(),
            r#"{"refreshToken":"a"}"#,
            40_002,
        ),
        (
            "POST",
            "/openapi/v1.0/refresh_token".to_owned(),
            r#"{"refresh_token":"a"}"#,
            10_004,
        ),
        ("GET", "/openapi/v2.0/cdr/list".to_owned(), "", 10_001),
        ("GET", with_token("extension/list?"), "", 10_001),
        ("POST", with_token("recording/list?"), "", 10_001),
        ("GET", "/openapi/v1.0/recording/list".to_owned(), "", 10_004),
        ("GET", with_token("recording/download?"), "", 40_002),
        ("GET", with_token("recording/download?file=&"), "", 40_002),
        ("GET", with_token("recording/download?id=x&"), "", 40_002),
        ("GET", with_token("recording/download?id=0&"), "", 60_001),
        ("GET", with_token("recording/download?id=9&"), "", 60_001),
        ("GET", with_token("recording/download?id=1&"), "", 0),
        (
            "GET",
            with_token("recording/download?id=1&file=a&"),
            "",
            40_002,
        ),
        (
            "GET",
            with_token("recording/download?file=none.wav&"),
            "",
            60_001,
        ),
        ("POST", format!("{path}?access_token={token}"), "", 10_001),
        ("GET", path.clone(), "", 10_004),
        ("GET", format!("{path}?access_token=0"), "", 10_004),
        ("GET", format!("{path}x?access_token={token}"), "", 60_001),
        ("GET", with_token("del_token?"), "", 0),
        ("GET", with_token("del_token?"), "", 10_004),
    ];
    for (method, path, body, expected) in cases {
        let answer = pbx.ask(method, &path, body).await;
        assert_eq!(
            (answer.status, answer.errcode()),
            (200, Some(expected)),
            "{method} {path} {body}"
        );
    }
    let wrong = pbx.ask(
        "POST",
        "/openapi/v1.0/get_token",
        r#"{"username":"a","password":"b"}"#,
    );
    let list = r#"[{"field":"username or password","value":"error"}]"#;
    assert_eq!(wrong.await.json()["invalid_param_list"].to_string(), list);
    assert_eq!(pbx.ask("GET", "/index.html", "").await.status, 404);
}

#[tokio::test]
async fn a_call_without_a_user_agent_is_answered_10001() {
    let pbx = p_series().await;
    let token = pbx.token().await;
    let path = pbx.resource(&token, NAME).await.unwrap();
    for (method, path) in [
        ("POST", "/openapi/v1.0/get_token".to_owned()),
        (
            "GET",
            format!("/openapi/v1.0/recording/list?access_token={token}"),
        ),
        ("GET", format!("{path}?access_token={token}")),
    ] {
        for agent in ["", "User-Agent: \r\n"] {
            let request = format!("{method} {path} HTTP/1.1\r\nHost: pbx\r\n{agent}\r\n");
            let answer = pbx.raw(&request).await;
            assert_eq!(
                (answer.status, answer.errcode()),
                (200, Some(10_001)),
                "{path}"
            );
        }
    }
    assert_eq!(pbx.seen().tickets_used, 0);
}

#[tokio::test]
async fn a_plus_sign_in_a_name_must_be_encoded() {
    let pbx = p_series().await;
    let token = pbx.token().await;
    let raw = format!("/openapi/v1.0/recording/download?access_token={token}&file={NAME}");
    assert_eq!(pbx.ask("GET", &raw, "").await.errcode(), Some(60_001));
    let encoded = raw.replace('+', "%2B");
    assert_eq!(pbx.ask("GET", &encoded, "").await.errcode(), Some(0));
    assert_eq!(pbx.ask("GET", &encoded, "").await.json()["file"], NAME);
}

#[tokio::test]
async fn a_fault_strikes_its_kind_of_call() {
    let pbx = p_series().await;
    pbx.inject("login:errno=-2".parse().unwrap());
    assert_eq!(pbx.get_token().await.errcode(), Some(-2));
    assert_eq!(pbx.tokens_live(), 0);
    let token = pbx.token().await;
    pbx.inject("get-random:errno=70082".parse().unwrap());
    assert_eq!(pbx.resource(&token, NAME).await, Err(Some(70_082)));
    pbx.inject("list:status=500".parse().unwrap());
    assert_eq!(pbx.list(&token, "recording/search?").await.status, 500);
    pbx.inject("download:cut-after=5:of=other.wav".parse().unwrap());
    let cut = format!("download:cut-after=10:with-length:of={NAME}");
    pbx.inject(cut.parse().unwrap());
    let path = pbx.resource(&token, NAME).await.unwrap();
    assert_eq!(pbx.file(&path, &token).await.body.len(), 10);
    pbx.inject("get-random:dead-token-after-ticket".parse().unwrap());
    let path = pbx.resource(&token, NAME).await.unwrap();
    assert_eq!(pbx.file(&path, &token).await.errcode(), Some(10_004));
    let token = pbx.token().await;
    pbx.inject("download:dead-token-after-ticket".parse().unwrap());
    assert_eq!(pbx.file(&path, &token).await.errcode(), Some(10_004));
    pbx.inject("logout:html=200".parse().unwrap());
    pbx.inject("refresh:huge-json".parse().unwrap());
    let answer = pbx.ask("GET", "/openapi/v1.0/del_token", "").await;
    assert!(answer.body.starts_with(b"<!DOCTYPE"));
    let answer = pbx.ask("POST", "/openapi/v1.0/refresh_token", "").await;
    assert_eq!(answer.body.len(), 10 * 1024 * 1024);
    let seen = pbx.seen();
    assert_eq!((seen.downloads_cut, seen.tickets_used), (1, 3));
}

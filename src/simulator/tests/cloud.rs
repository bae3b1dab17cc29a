//! Tests of the Cloud PBX: token refresh, certificates that match, and other differences to the
//! S-Series.

use serde_json::{Value, json};

use super::client::{Client, ReceivedAnswer};
use super::*;
use crate::simulator::account::md5_hex;

const YSWAV: &str = "20180315201242-1521173562.46-203-201-Internal.yswav";

fn client(pbx: &Simulator, api: Api) -> Client {
    Client::of(pbx).api(api).verifying_names()
}

async fn cloud(api: Api, switches: &[Switch]) -> (Simulator, Client) {
    let mut builder = Simulator::builder(api).recording(NAME, wav::music(3));
    for &switch in switches {
        builder = builder.switch(switch);
    }
    let pbx = builder.start().await.unwrap();
    let client = client(&pbx, api);
    (pbx, client)
}

/// A token and its refreshtoken.
#[derive(Clone, Debug, PartialEq)]
struct CloudTokens(String, String);

impl CloudTokens {
    fn of(answer: &ReceivedAnswer) -> Self {
        let json: Value = serde_json::from_slice(&answer.body).unwrap();
        let text = |key: &str| json[key].as_str().unwrap_or_default().to_owned();
        Self(text("token"), text("refreshtoken"))
    }
}

/// Logs in, and reads both tokens from the observations.
async fn login(pbx: &Simulator, client: &Client) -> CloudTokens {
    let token = client.login().await.unwrap();
    let secrets = pbx.seen().secrets;
    let place = secrets.iter().position(|one| *one == token).unwrap();
    CloudTokens(token, secrets[place + 1].clone())
}

async fn refresh(client: &Client, refresh: &str) -> Result<CloudTokens, String> {
    let body = json!({ "refreshtoken": refresh }).to_string();
    let path = client.path("token/refresh");
    let answer = client.ask("POST", &path, &body).await.unwrap();
    assert_eq!(answer.status, 200);
    match &*answer.errno() {
        "" => Ok(CloudTokens::of(&answer)),
        errno => Err(errno.to_owned()),
    }
}

/// Returns the errno of a request that needs a token; empty if the token was good.
async fn use_token(client: &Client, token: &str) -> String {
    let asked = client.get_random(token, NAME).await;
    asked.map_or_else(|errno| errno, |_| String::new())
}

#[tokio::test]
async fn a_recording_arrives_whatever_its_suffix() {
    for &api in Api::CLOUD {
        let (pbx, client) = cloud(api, &[]).await;
        pbx.add_recording(YSWAV, wav::music(1));
        for name in [NAME, YSWAV] {
            let answer = client.fetch(name).await.unwrap();
            assert_eq!(answer.body, pbx.recording_bytes(name).unwrap());
            assert!(answer.body.starts_with(b"RIFF") && answer.ended_cleanly);
            assert_eq!(answer.field("server"), Some("Boa/0.94.14rc21"));
            assert_eq!(answer.field("accept-ranges"), Some("bytes"));
            assert_eq!(answer.field("connection"), Some("close"));
        }
        let named = client.with_server_name("localhost");
        assert!(named.fetch(NAME).await.is_ok());
    }
}

/// The body of a login.
fn credentials(pbx: &Simulator) -> Value {
    json!({"username": pbx.username(), "password": md5_hex(pbx.password())})
}

#[tokio::test]
async fn a_cloud_login_answers_two_tokens_and_nothing_else() {
    for &api in Api::CLOUD {
        let (pbx, client) = cloud(api, &[]).await;
        let body = credentials(&pbx).to_string();
        let answer = client.ask("POST", &client.path("login"), &body).await;
        let answer = answer.unwrap();
        let json: Value = serde_json::from_slice(&answer.body).unwrap();
        let mut keys: Vec<_> = json.as_object().unwrap().keys().cloned().collect();
        keys.sort();
        assert_eq!(keys, ["refreshtoken", "status", "token"]);
        let CloudTokens(token, refresh) = CloudTokens::of(&answer);
        assert_eq!(pbx.seen().secrets, [token, refresh]);
    }
}

#[tokio::test]
async fn a_refresh_gives_a_new_pair_and_ends_the_old_one() {
    for &api in Api::CLOUD {
        let (pbx, client) = cloud(api, &[]).await;
        let first = login(&pbx, &client).await;
        let second = refresh(&client, &first.1).await.unwrap();
        assert!(first.0 != second.0 && first.1 != second.1);
        assert_eq!(use_token(&client, &first.0).await, "20004");
        assert_eq!(use_token(&client, &second.0).await, "");
        assert_eq!(refresh(&client, &first.1).await.unwrap_err(), "20004");
        assert_eq!(refresh(&client, "0").await.unwrap_err(), "20004");
        assert_eq!(refresh(&client, " ").await.unwrap_err(), "10004");
        let path = client.path("token/refresh");
        let get = client.ask("GET", &path, "").await.unwrap();
        let empty = client.ask("POST", &path, "").await.unwrap();
        assert_eq!((&*get.errno(), &*empty.errno()), ("20001", "20009"));
        let third = refresh(&client, &second.1).await.unwrap();
        assert_eq!(use_token(&client, &third.0).await, "");

        let logout = client.path(&format!("logout?token={}", third.0));
        assert_eq!(client.ask("POST", &logout, "").await.unwrap().errno(), "");
        assert_eq!(refresh(&client, &third.1).await.unwrap_err(), "20004");
        let seen = pbx.seen();
        assert_eq!(
            (seen.refreshes, seen.requests.refresh, pbx.tokens_live()),
            (2, 8, 0)
        );
    }
}

#[tokio::test]
async fn a_fault_strikes_a_refresh() {
    let (pbx, client) = cloud(Api::Cloud200, &[]).await;
    pbx.inject("refresh:errno=20010".parse().unwrap());
    let first = login(&pbx, &client).await;
    assert_eq!(refresh(&client, &first.1).await.unwrap_err(), "20010");
    assert!(refresh(&client, &first.1).await.is_ok());
}

#[tokio::test]
async fn only_the_newer_cloud_has_a_heartbeat() {
    for (api, expected, heartbeats) in [(Api::Cloud110, "10003", 0), (Api::Cloud200, "", 1)] {
        let (pbx, client) = cloud(api, &[]).await;
        let token = client.login().await.unwrap();
        let path = client.path(&format!("heartbeat?token={token}"));
        let answer = client.ask("POST", &path, "").await.unwrap();
        assert_eq!(answer.errno(), expected, "{api}");
        assert_eq!(pbx.seen().heartbeats, heartbeats);
    }
}

#[tokio::test]
async fn use_prolongs_a_token_of_the_newer_cloud_only() {
    for (&api, prolongs) in Api::CLOUD.iter().zip([false, true]) {
        let (pbx, client) = cloud(api, &[]).await;
        let token = client.login().await.unwrap();
        let last_used = || pbx.pbx.token(&token, false).unwrap().last_used;
        let login = last_used();
        assert_eq!(use_token(&client, &token).await, "");
        assert_eq!(last_used() > login, prolongs, "{api}");
    }
}

#[tokio::test]
async fn the_misprinted_login_path_works_on_the_older_cloud_only() {
    for (api, expected) in [(Api::Cloud110, "20003"), (Api::Cloud200, "10003")] {
        let (_pbx, client) = cloud(api, &[]).await;
        let body = r#"{"username":"a","password":"b"}"#;
        let answer = client.ask("POST", "/api/v1.10/login", body).await.unwrap();
        assert_eq!(answer.errno(), expected);
    }
    let (_pbx, client) = cloud(Api::Cloud200, &[Switch::OlderPathsToo]).await;
    assert!(client.api(Api::Cloud110).fetch(NAME).await.is_ok());
}

#[tokio::test]
async fn a_refresh_follows_its_switches_on_newer_boxes_too() {
    for api in [Api::Cloud110, Api::Cloud200, Api::SSeries200] {
        let s_series = api == Api::SSeries200;
        let start = async |switch| {
            let mut builder = Simulator::builder(api).recording(NAME, wav::music(3));
            if s_series {
                builder = builder.certificate_for(["127.0.0.1"]);
            }
            let pbx = builder.switch(switch).start().await.unwrap();
            let client = client(&pbx, api);
            (pbx, client)
        };

        let (pbx, client) = start(Switch::RefreshRefused).await;
        let first = login(&pbx, &client).await;
        assert_eq!(refresh(&client, &first.1).await.unwrap_err(), "20004");
        assert_eq!(use_token(&client, &first.0).await, "");
        assert_eq!(pbx.seen().refreshes, 0);

        let (pbx, client) = start(Switch::RefreshKeepsOldToken).await;
        let first = login(&pbx, &client).await;
        let second = refresh(&client, &first.1).await.unwrap();
        assert_eq!(use_token(&client, &first.0).await, "");
        assert_eq!(use_token(&client, &second.0).await, "");
        assert_eq!(refresh(&client, &first.1).await.unwrap_err(), "20004");

        let (pbx, client) = start(Switch::RefreshRotatesNothing).await;
        let first = login(&pbx, &client).await;
        let second = refresh(&client, &first.1).await.unwrap();
        let third = refresh(&client, &first.1).await.unwrap();
        assert!(first.1 == second.1 && second.1 == third.1);
        assert_eq!(use_token(&client, &second.0).await, "20004");
        assert_eq!(use_token(&client, &third.0).await, "");

        for (switch, good) in [
            (Switch::RefreshKeepsOldToken, false),
            (Switch::RefreshOutlivesToken, true),
        ] {
            let (pbx, client) = start(switch).await;
            let first = login(&pbx, &client).await;
            pbx.expire_tokens();
            assert_eq!(refresh(&client, &first.1).await.is_ok(), good, "{switch}");
        }

        let (pbx, client) = start(Switch::BlankRefreshTokenField).await;
        let body = credentials(&pbx);
        let login = client.path("login");
        let value = client.value(&login, body, "refreshtoken").await;
        assert_eq!(value.unwrap(), "");
    }
}

#[tokio::test]
async fn under_its_switch_a_login_answers_no_refreshtoken() {
    for &api in Api::CLOUD {
        let (pbx, client) = cloud(api, &[Switch::NoRefreshTokenField]).await;
        let body = credentials(&pbx);
        let login = client.path("login");
        let value = client.value(&login, body, "refreshtoken").await;
        assert_eq!(value.unwrap_err(), "missing");
    }
}

#[tokio::test]
async fn under_its_switch_the_front_gateway_times_out() {
    for (switch, then) in [
        (Switch::GatewayTimeout504Once, 200),
        (Switch::GatewayTimeout504Always, 504),
    ] {
        let (pbx, client) = cloud(Api::Cloud110, &[switch]).await;
        pbx.add_recording(YSWAV, wav::music(1));
        let token = client.login().await.unwrap();
        let path = client.path(&format!("recording/get_random?token={token}"));
        for name in [NAME, YSWAV] {
            let body = json!({ "recording": name }).to_string();
            for status in [504, then] {
                let answer = client.ask("POST", &path, &body).await.unwrap();
                assert_eq!(answer.status, status, "{switch}");
                assert_eq!(answer.body.starts_with(b"<HTML>"), status == 504);
            }
        }
    }
}

#[tokio::test]
async fn under_its_switch_a_cloud_answers_with_minimal_headers() {
    let (_pbx, client) = cloud(Api::Cloud110, &[Switch::MinimalHeaders]).await;
    assert_eq!(client.fetch(NAME).await.unwrap().field("server"), None);
}

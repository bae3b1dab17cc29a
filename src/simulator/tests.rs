//! Tests of the simulator over real sockets, as a downloader meets it.

use std::time::Duration;

use super::{Api, CallKind, Misbehavior, ScriptedFault, Simulator, Switch, wav};
use client::Client;

mod cdr;
mod client;
mod cloud;
mod faults;
mod p_series;
mod switches;

const NAME: &str = "20260302091407-1772442845.1203-1001-+44*3-Internal.wav";

async fn started(api: Api) -> Simulator {
    let builder = Simulator::builder(api).recording(NAME, wav::music(3));
    builder.start().await.unwrap()
}

/// Returns the newest generation of the S-Series that the switch applies to, else the newest other
/// one.
fn newest(switch: Switch) -> Api {
    let candidates = Api::ALL.iter().chain(Api::S_SERIES).rev().copied();
    let mut fitting = candidates.filter(|api| switch.applies_to(*api));
    fitting.next().unwrap()
}

async fn with(switch: Switch) -> Simulator {
    let builder = Simulator::builder(newest(switch)).recording(NAME, wav::music(3));
    builder
        .switch(switch)
        .answer_delay(Duration::from_millis(1))
        .start()
        .await
        .unwrap()
}

#[tokio::test]
async fn a_recording_arrives_from_every_version() {
    for &api in Api::S_SERIES {
        let pbx = started(api).await;
        let client = Client::of(&pbx).api(api);
        let token = client.login().await.unwrap();
        let random = client.get_random(&token, NAME).await.unwrap();
        let answer = client.download(&token, NAME, &random).await.unwrap();

        assert!(answer.ended_cleanly);
        assert_eq!(
            answer.field("content-type"),
            Some("application/octet-stream")
        );
        assert_eq!(answer.field("content-length"), None);
        assert_eq!(answer.field("connection"), Some("close"));
        assert_eq!(answer.field("server").is_some(), api == Api::SSeries200);
        assert_eq!(answer.body, pbx.recording_bytes(NAME).unwrap());
        pbx.until(|seen| seen.downloads_complete == 1).await;
        let seen = pbx.seen();
        assert_eq!(
            (seen.connections, seen.tls_resumed, seen.requests.total()),
            (3, 2, 3)
        );
        assert_eq!(
            (
                seen.tickets_issued,
                seen.tickets_used,
                seen.downloads_running
            ),
            (1, 1, 0)
        );
        assert_eq!(seen.bytes_sent, answer.body.len() as u64);
        assert_eq!(seen.ticket_recordings, [NAME]);
        assert_eq!(seen.secrets, [token, random]);
    }
}

#[tokio::test]
async fn the_first_download_with_a_ticket_spends_it() {
    let pbx = started(Api::SSeries110).await;
    let client = Client::of(&pbx);
    let token = client.login().await.unwrap();

    let random = client.get_random(&token, NAME).await.unwrap();
    let path = client.download_path(&token, NAME, &random);
    let head = client.ask("HEAD", &path, "").await.unwrap();
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(
        client
            .download(&token, NAME, &random)
            .await
            .unwrap()
            .errno(),
        "20013"
    );

    let random = client.get_random(&token, NAME).await.unwrap();
    assert_eq!(
        client.download("0", NAME, &random).await.unwrap().errno(),
        "20004"
    );
    assert_eq!(
        client
            .download(&token, NAME, &random)
            .await
            .unwrap()
            .errno(),
        "20013"
    );

    let random = client.get_random(&token, NAME).await.unwrap();
    assert_eq!(
        client
            .download(&token, "other.wav", &random)
            .await
            .unwrap()
            .errno(),
        "20013"
    );

    let random = client.get_random(&token, NAME).await.unwrap();
    pbx.expire_tickets();
    assert_eq!(
        client
            .download(&token, NAME, &random)
            .await
            .unwrap()
            .errno(),
        "20013"
    );
    let seen = pbx.seen();
    assert_eq!(
        (
            seen.tickets_used,
            seen.tickets_refused,
            seen.tickets_used_twice
        ),
        (2, 4, 2)
    );
}

#[tokio::test]
async fn only_the_requester_and_the_allowed_address_may_download() {
    for (api, expected) in [(Api::SSeries101, "20013"), (Api::SSeries110, "")] {
        let pbx = started(api).await;
        let client = Client::of(&pbx).api(api);
        let other = Client::of(&pbx).api(api).from([127, 0, 0, 2]);
        let token = client.login().await.unwrap();

        let random = client.get_random(&token, NAME).await.unwrap();
        assert_eq!(
            other.download(&token, NAME, &random).await.unwrap().errno(),
            "20013"
        );

        let random = client
            .get_random_for(&token, NAME, "127.0.0.2")
            .await
            .unwrap();
        assert_eq!(
            other.download(&token, NAME, &random).await.unwrap().errno(),
            expected
        );
        let random = client.get_random_for(&token, NAME, " ").await.unwrap();
        assert_eq!(
            client
                .download(&token, NAME, &random)
                .await
                .unwrap()
                .errno(),
            ""
        );
        let values = pbx.seen().allowedip_values;
        assert_eq!(
            values,
            [None, Some("127.0.0.2".to_owned()), Some(" ".to_owned())]
        );
    }
}

#[tokio::test]
async fn a_bad_call_gets_its_errno() {
    let pbx = started(Api::SSeries110).await;
    let client = Client::of(&pbx);
    let token = client.login().await.unwrap();
    let with_token = |call: &str| format!("/api/v1.1.0/{call}?token={token}");
    let cases = [
        ("GET", "/api/v1.1.0/login".to_owned(), "", "20001"),
        ("POST", "/api/v1.1.0/login".to_owned(), "", "20009"),
        (
            "POST",
            "/api/v1.1.0/login".to_owned(),
            "{\"username\"",
            "20000",
        ),
        ("POST", "/api/v1.1.0/login".to_owned(), "[1]", "20000"),
        (
            "POST",
            "/api/v1.1.0/login".to_owned(),
            r#"{"username":"a"}"#,
            "10004",
        ),
        (
            "POST",
            "/api/v1.1.0/login".to_owned(),
            r#"{"username":"a","password":"b","port":"99999"}"#,
            "20008",
        ),
        (
            "POST",
            "/api/v1.10/login".to_owned(),
            r#"{"username":"a","password":"b"}"#,
            "20003",
        ),
        ("POST", with_token("extension/list"), "{}", "10003"),
        ("POST", "/api/v2.0.0/login".to_owned(), "{}", "10003"),
        ("POST", "/api/v1.1.0/heartbeat".to_owned(), "", "20005"),
        (
            "POST",
            "/api/v1.1.0/heartbeat?token=0".to_owned(),
            "",
            "20004",
        ),
        ("POST", with_token("heartbeat"), "", ""),
        ("POST", with_token("heartbeat"), "x", "20000"),
        ("POST", with_token("recording/get_random"), "", "20009"),
        (
            "POST",
            with_token("recording/get_random"),
            r#"{"recording":" "}"#,
            "10004",
        ),
        (
            "POST",
            with_token("recording/get_random"),
            r#"{"recording":"none.wav"}"#,
            "20012",
        ),
        ("POST", with_token("logout"), "", ""),
        ("POST", with_token("heartbeat"), "", "20004"),
    ];
    for (method, path, body, expected) in cases {
        let answer = client.ask(method, &path, body).await.unwrap();
        assert_eq!(
            (answer.status, &*answer.errno()),
            (200, expected),
            "{method} {path} {body}"
        );
    }
    assert_eq!(
        client.ask("GET", "/index.html", "").await.unwrap().status,
        404
    );
    assert_eq!(client.raw(b"\x01\x02\r\n\r\n").await.unwrap().status, 400);
    assert_eq!(pbx.seen().bad_requests, 1);
}

#[tokio::test]
async fn five_wrong_passwords_lock_the_address_out() {
    let pbx = started(Api::SSeries200).await;
    let client = Client::of(&pbx).api(Api::SSeries200);
    let right = client.login().await;
    assert!(right.is_ok());
    pbx.set_password("changed");
    for _ in 0..5 {
        assert_eq!(client.login().await.unwrap_err(), "20003");
    }
    assert_eq!(client.login().await.unwrap_err(), "20002");
    pbx.set_password(pbx.password());
    assert_eq!(client.login().await.unwrap_err(), "20002");
    pbx.lift_lockout();
    assert!(client.login().await.is_ok());
    let seen = pbx.seen();
    assert_eq!(
        (seen.logins_ok, seen.logins_refused, pbx.tokens_live()),
        (2, 7, 2)
    );
}

#[tokio::test]
async fn a_token_that_expired_on_demand_is_refused() {
    let pbx = started(Api::SSeries110).await;
    let client = Client::of(&pbx);
    let token = client.login().await.unwrap();
    pbx.expire_tokens();
    assert_eq!(pbx.tokens_live(), 0);
    assert_eq!(client.get_random(&token, NAME).await.unwrap_err(), "20004");
}

#[tokio::test]
async fn a_download_whose_peer_leaves_counts_as_aborted() {
    let pbx = started(Api::SSeries110).await;
    pbx.add_recording("long.wav", wav::pcm_of_size(32 * 1024 * 1024));
    let client = Client::of(&pbx);
    let token = client.login().await.unwrap();
    let random = client.get_random(&token, "long.wav").await.unwrap();
    let open = client
        .open(
            "GET",
            &client.download_path(&token, "long.wav", &random),
            "",
        )
        .await
        .unwrap();
    pbx.until(|seen| seen.downloads_running == 1).await;
    drop(open);
    pbx.until(|seen| seen.downloads_aborted_by_peer == 1).await;
}

#[tokio::test]
async fn a_stopped_box_does_not_listen() {
    let pbx = started(Api::SSeries110).await;
    pbx.inject(ScriptedFault::once(
        CallKind::Login,
        Misbehavior::Stall { after_bytes: 0 },
    ));
    let client = Client::of(&pbx);
    let addr = pbx.addr();
    let (answer, ()) = tokio::join!(client.login(), async {
        pbx.until(|seen| seen.logins_ok == 1).await;
        pbx.stop().await;
    });
    assert!(answer.is_err());
    assert!(tokio::net::TcpStream::connect(addr).await.is_err());
}

#[tokio::test]
async fn a_box_presents_the_certificate_of_the_builder() {
    let pbx = Simulator::builder(Api::SSeries200).certificate_for(["127.0.0.1", "localhost"]);
    let pbx = pbx.start().await.unwrap();
    let client = Client::of(&pbx).api(Api::SSeries200).verifying_names();
    assert!(client.login().await.is_ok());

    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    let given = Simulator::builder(Api::SSeries200).certificate(&pem, key.serialize_pem());
    assert_eq!(given.start().await.unwrap().certificate_pem(), pem);
    let broken = Simulator::builder(Api::SSeries200).certificate("none", "none");
    assert!(broken.start().await.is_err());
}

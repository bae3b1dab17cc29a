//! Several PBXs at once: each recording comes from its own PBX, and trouble at one PBX does not
//! affect the others.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use http::{Method, StatusCode};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wavegate::simulator::{Api, Simulator, wav};

use crate::harness::{Gateway, NAME, PBX, gateway, jwt, link, soon};

/// Both PBXs have these names, so that only the bytes show which PBX was asked.
const OLD: &str = "20240229235959-1709251199.7-1001-1003-Internal.wav";
const NEW: &str = "20240301000000-1709251200.8-1001-1003-Internal.wav";
const ODD: &str = "hello001";

async fn pbx(api: Api, seconds: u32) -> Simulator {
    let mut builder = Simulator::builder(api);
    for name in [OLD, NEW, ODD, NAME] {
        builder = builder.recording(name, wav::music(seconds));
    }
    builder.start().await.unwrap()
}

/// The seconds of music in a recording, or the slug of the problem.
async fn fetch(gateway: &Gateway, target: &str) -> Result<usize, String> {
    let call = gateway.request(Method::GET, target).bearer(&jwt("alice"));
    let answer = call.send().await;
    if answer.status() != StatusCode::OK {
        return Err(answer.problem().await.slug);
    }
    Ok(answer.bytes().await.unwrap().len() / 16_000)
}

#[tokio::test]
async fn a_bare_name_means_the_pbx_of_its_time() {
    let (first, second) = (pbx(Api::SSeries110, 1).await, pbx(Api::PSeries, 2).await);
    let gateway = gateway(&first)
        .set("pbx.names_until", "2024-03-01")
        .beside("new", &second)
        .set("pbx[1].names_from", "2024-03-01T00:00:00")
        .start()
        .await;

    let bare = |name: &str| format!("/recordings/{name}");
    assert_eq!(fetch(&gateway, &bare(OLD)).await, Ok(1));
    assert_eq!(fetch(&gateway, &bare(NEW)).await, Ok(2));
    // No PBX is configured for the time of this name, so none is asked.
    let nobody = Err("recording-not-found".to_owned());
    assert_eq!(fetch(&gateway, &bare(ODD)).await, nobody);
    // With the PBX in the path each recording is found, whatever its time.
    assert_eq!(
        fetch(&gateway, &format!("/pbx/{PBX}/recordings/{NEW}")).await,
        Ok(1)
    );
    assert_eq!(
        fetch(&gateway, &format!("/pbx/new/recordings/{OLD}")).await,
        Ok(2)
    );
    let unknown = Err("no-such-resource".to_owned());
    assert_eq!(
        fetch(&gateway, &format!("/pbx/newer/recordings/{OLD}")).await,
        unknown
    );
    assert_eq!(
        first.seen().requests.get_random + second.seen().requests.get_random,
        4
    );
}

#[tokio::test]
async fn a_link_opens_a_bare_name_only_on_the_pbx_it_was_made_for() {
    let (first, second) = (pbx(Api::SSeries110, 1).await, pbx(Api::SSeries200, 2).await);
    let gateway = gateway(&first)
        .set("pbx.names_until", "2024-03-01")
        .beside("new", &second)
        .start()
        .await;
    let open = async |pbx: &str, name: &str| {
        let target = format!("/recordings/{name}?link={}", link(pbx, name));
        gateway.request(Method::GET, &target).send().await.status()
    };
    assert_eq!(open(PBX, OLD).await, StatusCode::OK);
    assert_eq!(open("new", NEW).await, StatusCode::OK);
    assert_eq!(open("new", OLD).await, StatusCode::FORBIDDEN);
    assert_eq!(open(PBX, NEW).await, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_pbx_that_hangs_takes_no_more_than_its_share_of_streams() {
    let (hung, well) = (pbx(Api::SSeries200, 1).await, pbx(Api::SSeries200, 2).await);
    hung.inject("any:stall-after=0:times=forever".parse().unwrap());
    let gateway = gateway(&hung)
        .set("relay.max_streams", 4)
        .set("pbx.max_waiting", 2)
        .set("pbx.answer_timeout_ms", 600000)
        .set("pbx.queue_timeout_ms", 600000)
        .beside("well", &well)
        .start()
        .await;
    let gateway = Arc::new(gateway);

    let stuck: Vec<_> = (0..2)
        .map(|_| {
            let gateway = Arc::clone(&gateway);
            tokio::spawn(async move { fetch(&gateway, &format!("/recordings/{NAME}")).await })
        })
        .collect();
    hung.until(|seen| seen.requests.login == 1).await;
    // Both wait for that one login. Further requests to this PBX are refused at once.
    soon(async {
        while fetch(&gateway, &format!("/recordings/{NAME}")).await != Err("saturated".to_owned()) {
        }
    })
    .await;
    assert_eq!(
        fetch(&gateway, &format!("/pbx/well/recordings/{NAME}")).await,
        Ok(2)
    );
    for task in stuck {
        task.abort();
    }
}

#[tokio::test]
async fn a_refused_login_on_one_pbx_does_not_affect_another() {
    let (locked, well) = (pbx(Api::SSeries200, 1).await, pbx(Api::SSeries200, 2).await);
    locked.set_password("another");
    let gateway = gateway(&locked).beside("well", &well).start().await;
    let refused = fetch(&gateway, &format!("/recordings/{NAME}")).await;
    assert_eq!(refused, Err("pbx-login-refused".to_owned()));
    let held_off = fetch(&gateway, &format!("/recordings/{NAME}")).await;
    assert_eq!(held_off, Err("pbx-held-off".to_owned()));
    assert_eq!(
        fetch(&gateway, &format!("/pbx/well/recordings/{NAME}")).await,
        Ok(2)
    );
    assert_eq!(
        (locked.seen().requests.login, well.seen().requests.login),
        (1, 1)
    );
}

#[tokio::test]
async fn an_operator_sees_how_each_pbx_is_doing() {
    let (first, second) = (pbx(Api::SSeries200, 1).await, pbx(Api::PSeries, 1).await);
    let gateway = gateway(&first).beside("second", &second).start().await;
    let states = async || {
        let text = http_get(gateway.app.admin_address(), "/pbxs").await;
        let secrets = [first.password(), second.password(), "127.0.0.1"];
        assert!(
            !secrets.iter().any(|secret| text.contains(secret)),
            "{text}"
        );
        let (_, document) = text.split_once("\r\n\r\n").unwrap();
        let document: Value = serde_json::from_str(document).unwrap();
        let pbxs = document["pbxs"].as_array().unwrap().clone();
        let of = |pbx: &Value| {
            (
                pbx["name"].as_str().unwrap().to_owned(),
                pbx["downloads"]["state"].as_str().unwrap().to_owned(),
            )
        };
        pbxs.iter().map(of).collect::<Vec<_>>()
    };
    let expected = |first: &str, second: &str| {
        vec![
            (PBX.to_owned(), first.to_owned()),
            ("second".to_owned(), second.to_owned()),
        ]
    };
    assert_eq!(states().await, expected("unknown", "unknown"));
    let target = format!("/pbx/second/recordings/{NAME}");
    assert_eq!(fetch(&gateway, &target).await, Ok(1));
    first.inject("login:status=500".parse().unwrap());
    assert_eq!(gateway.problem(NAME).await.slug, "pbx-protocol");
    assert_eq!(states().await, expected("failing", "well"));
    // A missing recording does not change the state of a PBX. A recording that comes through makes
    // it `well`.
    let missing = Err("recording-not-found".to_owned());
    assert_eq!(
        fetch(&gateway, "/pbx/second/recordings/x-1.wav").await,
        missing
    );
    gateway.fetch(NAME).await;
    assert_eq!(states().await, expected("well", "well"));
}

/// An answer of the admin listener, including its head.
async fn http_get(addr: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon(stream.read_to_string(&mut answer)).await.unwrap();
    answer
}

#[tokio::test]
async fn downloads_share_the_bytes_per_second_of_their_pbx() {
    const BYTES: usize = 300_000;
    let names = ["a.wav", "b.wav", "c.wav"];
    let mut builder = Simulator::builder(Api::SSeries200);
    for name in names {
        builder = builder.recording(name, wav::pcm_of_size(BYTES));
    }
    let pbx = builder.start().await.unwrap();
    let gateway = gateway(&pbx)
        .set("pbx.max_bytes_per_second", 400000)
        .start()
        .await;

    let begun = Instant::now();
    let received: [AtomicUsize; 3] = Default::default();
    let reading = async |name: &str, received: &AtomicUsize| {
        let mut answer = gateway.get(name).bearer(&jwt("alice")).send().await;
        while let Some(chunk) = answer.chunk().await {
            received.fetch_add(chunk.unwrap().len(), Ordering::Relaxed);
        }
    };
    let [a, b, c] = &received;
    tokio::select! {
        () = reading(names[0], a) => {}
        () = reading(names[1], b) => {}
        () = reading(names[2], c) => {}
    }
    // When the first download is complete, the others nearly are: all had as many turns.
    let total: usize = received
        .iter()
        .map(|bytes| bytes.load(Ordering::Relaxed))
        .sum();
    for bytes in &received {
        assert!(bytes.load(Ordering::Relaxed) > BYTES / 2, "{received:?}");
    }
    // A slow machine only makes it longer. The first turn of each download is not limited.
    let least = (total - 3 * 32 * 1024) * 1_000 / 400_000;
    assert!(begun.elapsed().as_millis() >= least as u128);
}

//! Shutting down: running downloads finish, no new request is accepted, and every wait has a limit.
//! Reading the configuration again is in [`reload`]. The real program that gets a signal during
//! many streams is in [`streams`].

use std::net::SocketAddr;

use http::{Method, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use wavegate::simulator::{Api, Simulator, wav};

use crate::harness::admin::ask;
use crate::harness::listener::narrow;
use crate::harness::tls::Identity;
use crate::harness::{Answer, Call, Gateway, NAME, gateway, jwt, soon};

mod reload;
mod streams;

/// Far more than all buffers between the PBX and a reader hold together.
const LARGE: usize = 16 << 20;

async fn pbx(bytes: usize) -> Simulator {
    Simulator::builder(Api::SSeries200)
        .recording(NAME, wav::pcm_of_size(bytes))
        .start()
        .await
        .unwrap()
}

/// Begins to get the recording over a narrow connection, and reads only the first bytes.
async fn begin(gateway: &Gateway) -> (Answer, Vec<u8>) {
    let call = gateway.get(NAME).bearer(&jwt("alice"));
    let mut answer = call.send_on(narrow(gateway.addr()).await).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let first = answer.chunk().await.unwrap().unwrap();
    (answer, first.to_vec())
}

/// The status that an admin address answers; `None` once it is closed.
async fn status(addr: SocketAddr, path: &str) -> Option<u16> {
    Some(ask(addr, Method::GET, path, &[]).await?.status)
}

/// Waits until the public address accepts no more connections.
async fn until_closed(addr: SocketAddr) {
    soon(async {
        while TcpStream::connect(addr).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

async fn until_unready(addr: SocketAddr) {
    soon(async {
        while status(addr, "/readyz").await != Some(503) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

fn shut_down(gateway: Gateway) -> JoinHandle<bool> {
    tokio::spawn(gateway.app.shut_down())
}

#[tokio::test]
async fn running_downloads_are_finished_and_nothing_new_is_begun() {
    let pbx = pbx(LARGE).await;
    let gateway = gateway(&pbx).set("pbx.logout", true).start().await;
    let (addr, admin) = (gateway.addr(), gateway.app.admin_address());
    let (answer, mut received) = begin(&gateway).await;

    let down = shut_down(gateway);
    until_closed(addr).await;
    assert_eq!(status(admin, "/readyz").await, Some(503));
    assert_eq!(status(admin, "/livez").await, Some(200));
    assert!(!down.is_finished());

    received.extend_from_slice(&answer.bytes().await.expect("finished"));
    assert!(received == pbx.recording_bytes(NAME).unwrap());
    assert!(soon(down).await.unwrap(), "everything came to its end");
    assert_eq!(status(admin, "/livez").await, None);
    // The gateway gave the token back, as configured.
    assert_eq!((pbx.seen().logouts, pbx.tokens_live()), (1, 0));
}

#[tokio::test]
async fn readiness_ends_at_once_and_service_only_after_the_delay() {
    let pbx = pbx(1_000).await;
    let gateway = gateway(&pbx)
        .set("server.drain_delay_ms", 600000)
        .start()
        .await;
    let (addr, admin) = (gateway.addr(), gateway.app.admin_address());
    let kill = gateway.app.kill_switch();

    let down = shut_down(gateway);
    until_unready(admin).await;
    assert_eq!(status(admin, "/livez").await, Some(200));
    let call = Call::new(addr, Method::GET, &format!("/recordings/{NAME}"));
    let answer = call.bearer(&jwt("alice")).send().await;
    assert_eq!(
        answer.bytes().await.unwrap(),
        pbx.recording_bytes(NAME).unwrap()
    );

    // A second signal ends the delay at once.
    kill.cancel();
    soon(down).await.unwrap();
    until_closed(addr).await;
}

#[tokio::test]
async fn a_kept_connection_is_closed_and_takes_no_more_requests() {
    let pbx = pbx(1_000).await;
    let gateway = gateway(&pbx).start().await;
    let mut stream = TcpStream::connect(gateway.addr()).await.unwrap();
    let request = format!("GET /recordings/{NAME} HTTP/1.1\r\nhost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"}") {
        assert!(soon(stream.read_buf(&mut answer)).await.unwrap() > 0);
    }
    assert!(answer.starts_with(b"HTTP/1.1 401"));

    let down = shut_down(gateway);
    assert_eq!(soon(stream.read(&mut [0; 100])).await.unwrap(), 0);
    assert!(soon(down).await.unwrap());
}

#[tokio::test]
async fn a_request_whose_head_was_on_its_way_is_answered() {
    let pbx = pbx(1_000).await;
    let gateway = gateway(&pbx).start().await;
    let addr = gateway.addr();
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let request = format!("GET /recordings/{NAME} HTTP/1.1\r\nhost: x\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    // A request that is answered shows that the first half has been read.
    gateway.fetch(NAME).await;

    let down = shut_down(gateway);
    until_closed(addr).await;
    let rest = format!("authorization: Bearer {}\r\n\r\n", jwt("alice"));
    stream.write_all(rest.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    soon(stream.read_to_end(&mut answer)).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"));
    // Its connection takes no further request.
    let text = String::from_utf8_lossy(&answer).to_lowercase();
    let (head, _) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("connection: close"), "{head}");
    assert!(soon(down).await.unwrap());
}

#[tokio::test]
async fn an_http_2_connection_finishes_its_streams_and_takes_no_more() {
    let pbx = pbx(LARGE).await;
    let identity = Identity::new();
    let builder = gateway(&pbx).tls(&identity);
    let gateway = builder.start().await;
    let (addr, tls) = (gateway.addr(), gateway.tls_addr());
    let connection = identity.http2(tls).await;
    let get = || Call::new(tls, Method::GET, &format!("/recordings/{NAME}")).bearer(&jwt("alice"));
    let answer = connection.send(get()).await;

    let down = shut_down(gateway);
    until_closed(addr).await;
    // The GOAWAY frame may still be on its way. Then the request is answered: no load balancer asks
    // another instance because of an answer.
    let recording = pbx.recording_bytes(NAME).unwrap();
    let late = connection.try_send(get()).await;
    assert!(answer.bytes().await.expect("finished") == recording);
    if let Ok(late) = late {
        assert_eq!(late.status(), StatusCode::OK);
        assert!(late.bytes().await.expect("finished") == recording);
    }
    assert!(connection.try_send(get()).await.is_err());
    drop(connection);
    assert!(soon(down).await.unwrap());
}

#[tokio::test]
async fn a_reader_who_stalls_does_not_hold_the_exit() {
    let pbx = pbx(LARGE).await;
    let gateway = gateway(&pbx)
        .set("relay.idle_timeout_ms", 600000)
        .set("server.drain_timeout_ms", 300)
        .start()
        .await;
    let (answer, _) = begin(&gateway).await;

    assert!(!soon(shut_down(gateway)).await.unwrap(), "it was cut");

    soon(pbx.until(|seen| seen.downloads_running == 0)).await;
    assert!(answer.bytes().await.is_err());
}

#[tokio::test]
async fn a_caller_who_says_nothing_does_not_hold_the_exit() {
    let pbx = pbx(1_000).await;
    let identity = Identity::new();
    let builder = gateway(&pbx)
        .tls(&identity)
        .set("server.drain_timeout_ms", 600_000)
        .set("server.header_timeout_ms", 600_000)
        .set("server.tls.handshake_timeout_ms", 600_000);
    let gateway = builder.start().await;
    // Connections before the handshake, within it, and before the first request.
    let _silent = TcpStream::connect(gateway.tls_addr()).await.unwrap();
    let mut halfway = TcpStream::connect(gateway.tls_addr()).await.unwrap();
    halfway.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
    let _plain = TcpStream::connect(gateway.addr()).await.unwrap();
    let _http1 = identity.connect(gateway.tls_addr(), &[]).await.unwrap();
    let _http2 = identity.connect(gateway.tls_addr(), &["h2"]).await.unwrap();
    // A request that is answered shows that the earlier connections have been taken.
    gateway.fetch(NAME).await;

    assert!(soon(shut_down(gateway)).await.unwrap());
}

#[tokio::test]
async fn the_kill_switch_ends_everything_at_once() {
    let pbx = pbx(LARGE).await;
    let gateway = gateway(&pbx)
        .set("relay.idle_timeout_ms", 600000)
        .set("server.drain_timeout_ms", 600000)
        .start()
        .await;
    let addr = gateway.addr();
    let kill = gateway.app.kill_switch();
    let (answer, _) = begin(&gateway).await;

    let down = shut_down(gateway);
    until_closed(addr).await;
    kill.cancel();

    assert!(!soon(down).await.unwrap(), "not by its own end");
    soon(pbx.until(|seen| seen.downloads_running == 0)).await;
    assert!(answer.bytes().await.is_err());
}

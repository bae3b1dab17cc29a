//! The public listener: TLS with HTTP/1.1 and HTTP/2, certificates that are replaced while it runs,
//! and callers that are too slow or send too much.

use std::net::SocketAddr;

use http::{Method, StatusCode};
use http_body_util::Empty;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use wavegate::simulator::Simulator;

use super::simulator;
use crate::harness::tls::Identity;
use crate::harness::{Call, Gateway, NAME, gateway, jwt, soon};

async fn start(pbx: &Simulator, identity: &Identity, server: &str) -> Gateway {
    let builder = gateway(pbx).lines("[server]", server).tls(identity);
    builder.start().await
}

async fn parts(server: &str) -> (Simulator, Identity, Gateway) {
    let pbx = simulator().start().await.unwrap();
    let identity = Identity::new();
    let gateway = start(&pbx, &identity, server).await;
    (pbx, identity, gateway)
}

fn get(addr: SocketAddr) -> Call {
    Call::new(addr, Method::GET, &format!("/recordings/{NAME}")).bearer(&jwt("alice"))
}

#[tokio::test]
async fn http_1_1_and_http_2_deliver_the_same_bytes() {
    let (pbx, identity, gateway) = parts("").await;
    let addr = gateway.tls_addr();
    for (offered, chosen) in [
        (&["h2", "http/1.1"][..], Some("h2")),
        (&["http/1.1", "h2"], Some("h2")),
        (&["h2"], Some("h2")),
        (&["http/1.1"], Some("http/1.1")),
        (&[], None),
    ] {
        let stream = identity.connect(addr, offered).await.unwrap();
        let agreed = stream.get_ref().1.alpn_protocol();
        assert_eq!(agreed, chosen.map(str::as_bytes), "{offered:?}");
        let answer = match chosen {
            Some("h2") => get(addr).send_http2(stream).await,
            _ => get(addr).send_on(stream).await,
        };
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.header("content-type"), Some("audio/wav"));
        assert_eq!(
            answer.bytes().await.unwrap(),
            pbx.recording_bytes(NAME).unwrap()
        );
    }
}

#[tokio::test]
async fn a_broken_source_ends_its_stream_and_not_the_connection() {
    let (pbx, identity, gateway) = parts("").await;
    let addr = gateway.tls_addr();
    let connection = identity.http2(addr).await;
    let whole = pbx.recording_bytes(NAME).unwrap();
    // Two breaks are mended, so three are needed. Orderly ends at the same byte would count as the
    // end.
    for fault in [
        "download:cut-after=20000:with-length:times=3",
        "download:reset-after=20000:times=3",
    ] {
        pbx.inject(fault.parse().unwrap());
        // The reset of a stream may overtake the head of its answer.
        if let Ok(answer) = connection.try_send(get(addr)).await {
            assert_eq!(answer.status(), StatusCode::OK);
            let broken = answer.bytes().await.map(|bytes| bytes.len());
            let received = broken.expect_err(fault).received;
            assert!(whole.starts_with(&received), "{fault}");
        }
        // The same over HTTP/1.1.
        pbx.inject(fault.parse().unwrap());
        let stream = identity.connect(addr, &["http/1.1"]).await.unwrap();
        let answer = get(addr).send_on(stream).await;
        assert!(answer.bytes().await.is_err(), "{fault}");
        let answer = connection.send(get(addr)).await;
        assert!(answer.bytes().await.expect(fault) == whole, "{fault}");
    }
    pbx.inject("download:errno=20014".parse().unwrap());
    let problem = connection.send(get(addr)).await.problem().await;
    assert_eq!(problem.slug, "recording-deleted");
}

#[tokio::test]
async fn a_new_certificate_is_taken_at_a_reload_and_a_bad_one_is_not() {
    let (_pbx, old, gateway) = parts("").await;
    let addr = gateway.tls_addr();
    let before = old.connect(addr, &["http/1.1"]).await.unwrap();
    let new = Identity::new();
    new.write(gateway.folder());
    assert!(new.connect(addr, &[]).await.is_err(), "nobody said reload");

    gateway.reload().unwrap();
    new.connect(addr, &[]).await.unwrap();
    assert!(old.connect(addr, &[]).await.is_err());
    // A connection that was open before continues.
    let answer = get(addr).send_on(before).await;
    assert_eq!(answer.status(), StatusCode::OK);

    let parts = || gateway.load().unwrap();
    let (good, also_good) = (parts(), parts());
    let mixed = Identity {
        certificate: Identity::new().certificate,
        key: Identity::new().key,
    };
    let nonsense = Identity {
        certificate: "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----".to_owned(),
        key: new.key.clone(),
    };
    for (bad, parts) in [(mixed, good), (nonsense, also_good)] {
        bad.write(gateway.folder());
        // The file as a whole is refused. Parts that were read before it went bad are whole, and
        // are taken.
        assert!(gateway.reload().unwrap_err().contains("server.tls."));
        new.connect(addr, &[]).await.unwrap();
        gateway.app.reload(parts).unwrap();
        new.connect(addr, &[]).await.unwrap();
    }
}

#[tokio::test]
async fn a_certificate_in_another_file_is_taken_at_a_reload() {
    let (_pbx, _, gateway) = parts("").await;
    let elsewhere = gateway.folder().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    let new = Identity::new();
    new.write(&elsewhere);
    let path = gateway.folder().join("wavegate.toml");
    let text = std::fs::read_to_string(&path)
        .unwrap()
        .replace("\"server.", "\"elsewhere/server.");
    std::fs::write(&path, text).unwrap();
    gateway.reload().unwrap();
    new.connect(gateway.tls_addr(), &[]).await.unwrap();
}

/// Reads all bytes until the connection ends, in whatever way.
async fn last_words<S: AsyncRead + Unpin>(mut stream: S) -> Vec<u8> {
    let mut words = Vec::new();
    soon(async { while let Ok(1..) = stream.read_buf(&mut words).await {} }).await;
    words
}

async fn say<S: AsyncWrite + Unpin>(mut stream: S, words: &[u8]) -> S {
    stream.write_all(words).await.unwrap();
    stream.flush().await.unwrap();
    stream
}

#[tokio::test]
async fn slow_handshakes_and_heads_are_cut() {
    let limits = "header_timeout_ms = 300";
    let pbx = simulator().start().await.unwrap();
    let identity = Identity::new();
    let builder = gateway(&pbx)
        .set("relay.idle_timeout_ms", 1000)
        .lines("[server]", limits)
        .tls(&identity)
        .set("server.tls.handshake_timeout_ms", 300);
    let gateway = builder.start().await;
    let (plain, tls) = (gateway.addr(), gateway.tls_addr());
    let tcp = |addr| async move { TcpStream::connect(addr).await.unwrap() };

    // A handshake that is not begun, and one that is not finished.
    last_words(tcp(tls).await).await;
    last_words(say(tcp(tls).await, &[22, 3, 1, 2, 0, 1]).await).await;
    // A head that is not begun, and one that is not finished.
    for head in [&b""[..], b"GET / HTTP/1.1\r\nhost: x\r\nx-slow: "] {
        let answer = last_words(say(tcp(plain).await, head).await).await;
        assert!(!answer.starts_with(b"HTTP/1.1 2"));
        let stream = identity.connect(tls, &["http/1.1"]).await.unwrap();
        last_words(say(stream, head).await).await;
    }
    // HTTP/2 without its preface, and with its preface only.
    for words in [
        &b""[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
    ] {
        let stream = identity.connect(tls, &["h2"]).await.unwrap();
        last_words(say(stream, words).await).await;
    }
    let connection = identity.http2(tls).await;
    let answer = connection.send(get(tls)).await;
    assert_eq!(
        answer.bytes().await.unwrap(),
        pbx.recording_bytes(NAME).unwrap()
    );
}

#[tokio::test]
async fn an_oversized_head_gets_an_error_and_harms_nobody() {
    let (pbx, identity, gateway) = parts("").await;
    let (plain, tls) = (gateway.addr(), gateway.tls_addr());
    let long = "a".repeat(20_000);
    for head in [
        format!("GET /{long} HTTP/1.1\r\n"),
        format!("GET / HTTP/1.1\r\nx-long: {long}"),
        format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(2_000)),
    ] {
        let (reading, mut writing) = TcpStream::connect(plain).await.unwrap().into_split();
        // The gateway may close before it has read all of it.
        let _ = writing.write_all(head.as_bytes()).await;
        let answer = last_words(reading).await;
        assert!(
            answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"),
            "{}",
            String::from_utf8_lossy(&answer)
        );
    }
    let stream = identity.connect(tls, &["h2"]).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    let request = http::Request::builder()
        .uri("/")
        .header("x-long", long)
        .body(Empty::<bytes::Bytes>::new())
        .unwrap();
    if let Ok(answer) = soon(sender.send_request(request)).await {
        assert!(answer.status().is_client_error(), "{answer:?}");
    }
    assert_eq!(
        gateway.fetch(NAME).await,
        pbx.recording_bytes(NAME).unwrap()
    );
}

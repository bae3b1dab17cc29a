//! A running proxy with its shipped configuration, and callers that speak TLS to it.
//!
//! Knows addresses, the proxy's log and its end. Does not know the lines of the configurations;
//! they are in `shipped`.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::time::Duration;

use http::Method;
use rustls::pki_types::ServerName;
use tempfile::TempDir;
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::instances::Instance;
use super::shipped::{Kind, Site};
use crate::harness::programs::{Running, program};
use crate::harness::{Answer, Call, NAME, jwt, soon, write_secret};

/// A running proxy.
pub(crate) struct Proxy {
    kind: Kind,
    running: Running,
    addr: SocketAddr,
    tls: TlsConnector,
    folder: TempDir,
}

/// The protocol between a caller and the proxy.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

pub(crate) const PROTOCOLS: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];

/// An address on a host of loopback that no other test has, so that nobody takes its port while
/// nothing listens there.
pub(crate) fn own_address() -> SocketAddr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [.., high, low] = std::process::id().to_be_bytes();
    let last = NEXT.fetch_add(1, Relaxed);
    let host = Ipv4Addr::new(127, 128 | high, low, last.clamp(1, 254));
    let listener = TcpListener::bind((host, 0)).unwrap();
    listener.local_addr().unwrap()
}

impl Proxy {
    /// Starts a proxy in front of up to three instances; `None` if it is not installed. An instance
    /// takes the lines of those that are left out.
    pub(crate) async fn start(kind: Kind, instances: &[Instance]) -> Option<Self> {
        Self::start_with(kind, instances, &[], &[]).await
    }

    /// Starts it with edits of its file, and with further files in its folder.
    pub(crate) async fn start_with(
        kind: Kind,
        instances: &[Instance],
        edits: &[(&str, &str)],
        files: &[(&str, &str)],
    ) -> Option<Self> {
        let program = program(kind.program())?;
        let folder = tempfile::tempdir().unwrap();
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (certificate, key) = (certified.cert.pem(), certified.signing_key.serialize_pem());
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        std::fs::write(folder.path().join("public.pem"), &certificate).unwrap();
        write_secret(&folder.path().join("public.key"), &key);
        write_secret(&folder.path().join("both.pem"), &(certificate + &key));
        let site = Site {
            addr: own_address(),
            folder: folder.path(),
            instances,
        };
        let running = Running::start(&mut site.command(kind, &program, edits));
        let mut proxy = Self {
            kind,
            running,
            addr: site.addr,
            tls: trusting(&certified.cert),
            folder,
        };
        proxy.until_it_listens().await;
        Some(proxy)
    }

    async fn until_it_listens(&mut self) {
        soon(async {
            while TcpStream::connect(self.addr).await.is_err() {
                let errors = self.running.err.text();
                assert!(self.running.is_alive(), "{:?} ended: {errors}", self.kind);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    /// Opens a connection from one of loopback's addresses.
    pub(crate) async fn connect(&self, from: Ipv4Addr, protocol: Protocol) -> TlsStream<TcpStream> {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((from, 0).into()).unwrap();
        let stream = socket.connect(self.addr).await;
        let stream = stream.unwrap_or_else(|error| panic!("{error}: {}", self.running.err.text()));
        let mut config = rustls::ClientConfig::clone(self.tls.config());
        config.alpn_protocols = match protocol {
            Protocol::Http1 => vec![b"http/1.1".to_vec()],
            Protocol::Http2 => vec![b"h2".to_vec()],
        };
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await;
        stream.unwrap_or_else(|error| panic!("{error}: {}", self.running.err.text()))
    }

    pub(crate) async fn send(&self, call: Call, protocol: Protocol) -> Answer {
        let stream = self.connect(Ipv4Addr::LOCALHOST, protocol).await;
        match protocol {
            Protocol::Http1 => call.send_on(stream).await,
            Protocol::Http2 => call.send_http2(stream).await,
        }
    }

    pub(crate) fn request(&self, method: Method, protocol: Protocol, target: &str) -> Call {
        match protocol {
            Protocol::Http1 => Call::new(self.addr, method, target),
            Protocol::Http2 => {
                let uri = format!("https://{}{target}", self.addr);
                Call::new(self.addr, method, &uri)
            }
        }
    }

    pub(crate) fn call(&self, protocol: Protocol, target: &str) -> Call {
        self.request(Method::GET, protocol, target)
    }

    pub(crate) async fn get(&self, protocol: Protocol, target: &str) -> Answer {
        self.send(self.call(protocol, target), protocol).await
    }

    /// Gets the recording of most tests as `alice`.
    pub(crate) async fn get_recording(&self, protocol: Protocol) -> Answer {
        self.get_named(protocol, NAME).await
    }

    /// Gets a recording as `alice`.
    pub(crate) async fn get_named(&self, protocol: Protocol, name: &str) -> Answer {
        let call = self.call(protocol, &format!("/recordings/{name}"));
        self.send(call.bearer(&jwt("alice")), protocol).await
    }

    /// Ends the proxy. Returns its access log, and all its other output.
    pub(crate) async fn logs(self) -> (String, String) {
        self.running.signal(self.kind.stop_signal());
        let ended = self.running.end().await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let read = |name: &str| std::fs::read_to_string(self.folder.path().join(name));
        let mut rest = ended.err;
        for name in ["error.log", "requests.log"] {
            rest += &read(name).unwrap_or_default();
        }
        match read("access.log") {
            Ok(access) => (access, rest + &ended.out),
            Err(_) => (ended.out, rest),
        }
    }
}

fn trusting(certificate: &rcgen::Certificate) -> TlsConnector {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.der().clone()).unwrap();
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

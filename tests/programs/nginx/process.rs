//! A running nginx with the shipped configuration, and callers that speak TLS to it.
//!
//! Knows the lines of the file with addresses and paths of a real installation, and replaces only
//! those.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::Arc;

use http::Method;
use rustls::pki_types::ServerName;
use tempfile::TempDir;
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::harness::programs::{Running, program};
use crate::harness::{Answer, Call, NAME, jwt, write_secret};

const CONFIGURATION: &str = include_str!("../../../config/nginx.conf");

/// A running nginx.
pub(super) struct Nginx {
    running: Running,
    addr: SocketAddr,
    tls: TlsConnector,
    folder: TempDir,
}

/// The protocol between a caller and nginx.
#[derive(Clone, Copy, Debug)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

pub(super) const PROTOCOLS: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];

impl Nginx {
    /// Starts nginx in front of two gateways, which may be the same one; `None` if it is not
    /// installed.
    pub(super) fn start(gateways: [SocketAddr; 2]) -> Option<Self> {
        Self::start_edited(gateways, &[])
    }

    pub(super) fn start_edited(gateways: [SocketAddr; 2], edits: &[(&str, &str)]) -> Option<Self> {
        Self::start_with(gateways, edits, &[])
    }

    /// Starts it with edits of its file, and with further files in its folder.
    pub(super) fn start_with(
        gateways: [SocketAddr; 2],
        edits: &[(&str, &str)],
        files: &[(&str, &str)],
    ) -> Option<Self> {
        let nginx = program("nginx")?;
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        // nginx inherits the listening socket, as from an nginx that it replaces. So no other
        // program can take its port, and connections wait for it.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let addr = listener.local_addr().unwrap();

        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (certificate, key) = (path("public.pem"), path("public.key"));
        std::fs::write(&certificate, certified.cert.pem()).unwrap();
        write_secret(key.as_ref(), &certified.signing_key.serialize_pem());

        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("\n    {kind}_temp_path {};", path(kind)))
            .concat();
        let [first, second] = gateways;
        let mut text = CONFIGURATION.to_owned();
        let replacements = [
            ("pid /run/nginx.pid;", format!("pid {};", path("pid"))),
            (
                "error_log /var/log/nginx/error.log notice;",
                format!("error_log {} info;", path("error.log")),
            ),
            (
                "access_log /var/log/nginx/wavegate.log",
                format!("access_log {}", path("access.log")),
            ),
            ("\nhttp {", format!("\nhttp {{{temporary}")),
            ("listen 443 ssl", format!("listen {addr} ssl")),
            ("listen [::]:443 ssl http2;", String::new()),
            ("/etc/wavegate/certs/public.pem", certificate),
            ("/etc/wavegate/certs/public.key", key),
            ("server 127.0.0.1:8080 ", format!("server {first} ")),
            ("server 127.0.0.1:8180 ", format!("server {second} ")),
        ];
        for (old, new) in &replacements {
            replace(&mut text, old, new);
        }
        for (old, new) in edits {
            replace(&mut text, old, &new.replace("{folder}", &path("")));
        }
        for (name, text) in files {
            std::fs::write(path(name), text).unwrap();
        }
        let configuration = path("nginx.conf");
        std::fs::write(&configuration, text).unwrap();

        let mut command = Command::new(nginx);
        command
            .args(["-p", &path(""), "-c", &configuration, "-e", "stderr"])
            .args(["-g", "daemon off;"])
            .stdin(Stdio::from(OwnedFd::from(listener)))
            .env("NGINX", "0;");
        let running = Running::start(&mut command);
        Some(Self {
            running,
            addr,
            tls: trusting(&certified.cert),
            folder,
        })
    }

    /// Opens a connection from one of loopback's addresses.
    pub(super) async fn connect(&self, from: Ipv4Addr, protocol: Protocol) -> TlsStream<TcpStream> {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((from, 0).into()).unwrap();
        let stream = socket.connect(self.addr).await;
        let stream = stream.unwrap_or_else(|error| panic!("{error}: {}", self.running.err.text()));
        let mut tls = self.tls.clone();
        if matches!(protocol, Protocol::Http2) {
            let mut config = rustls::ClientConfig::clone(tls.config());
            config.alpn_protocols = vec![b"h2".to_vec()];
            tls = TlsConnector::from(Arc::new(config));
        }
        let name = ServerName::try_from("localhost").unwrap();
        let stream = tls.connect(name, stream).await;
        stream.unwrap_or_else(|error| panic!("{error}: {}", self.running.err.text()))
    }

    pub(super) async fn send(&self, call: Call, protocol: Protocol) -> Answer {
        let stream = self.connect(Ipv4Addr::LOCALHOST, protocol).await;
        match protocol {
            Protocol::Http1 => call.send_on(stream).await,
            Protocol::Http2 => call.send_http2(stream).await,
        }
    }

    pub(super) fn call(&self, protocol: Protocol, target: &str) -> Call {
        match protocol {
            Protocol::Http1 => Call::new(self.addr, Method::GET, target),
            Protocol::Http2 => {
                let uri = format!("https://{}{target}", self.addr);
                Call::new(self.addr, Method::GET, &uri)
            }
        }
    }

    pub(super) async fn get(&self, protocol: Protocol, target: &str) -> Answer {
        self.send(self.call(protocol, target), protocol).await
    }

    /// Gets the recording of all tests as `alice`.
    pub(super) async fn get_recording(&self, protocol: Protocol) -> Answer {
        let target = format!("/recordings/{NAME}");
        let call = self.call(protocol, &target).bearer(&jwt("alice"));
        self.send(call, protocol).await
    }

    /// Ends nginx. Returns its access log, and all its other output.
    pub(super) async fn logs(self) -> (String, String) {
        self.running.signal("QUIT");
        let ended = self.running.end().await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let read = |name: &str| std::fs::read_to_string(self.folder.path().join(name));
        let mut rest = ended.out + &ended.err + &read("error.log").unwrap();
        rest += &read("requests.log").unwrap_or_default();
        (read("access.log").unwrap(), rest)
    }
}

#[track_caller]
fn replace(text: &mut String, old: &str, new: &str) {
    let count = text.matches(old).count();
    assert_eq!(count, 1, "config/nginx.conf should have {old:?} once");
    *text = text.replace(old, new);
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

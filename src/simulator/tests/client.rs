//! A small downloader: one connection per request, over TLS with a pinned certificate. It accepts
//! only documented answers.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

use crate::simulator::account::md5_hex;
use crate::simulator::secret;
use crate::simulator::{Api, Simulator};

pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

pub(super) struct Client {
    addr: SocketAddr,
    source: IpAddr,
    api: Api,
    server_name: ServerName<'static>,
    tls: Option<Arc<ClientConfig>>,
    certificate: CertificateDer<'static>,
    credentials: (String, String),
}

/// An answer that was read to its end.
#[derive(Debug)]
pub(super) struct ReceivedAnswer {
    pub(super) status: u16,
    pub(super) fields: Vec<(String, String)>,
    pub(super) body: Bytes,
    pub(super) ended_cleanly: bool,
}

impl Client {
    pub(super) fn of(pbx: &Simulator) -> Self {
        let certificate = CertificateDer::from_pem_slice(pbx.certificate_pem().as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions();
        let pinned = PinnedTestVerifier {
            fingerprint: pbx.fingerprint().to_owned(),
            provider,
        };
        let config = builder
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(pinned));
        Self {
            addr: pbx.addr(),
            source: [127, 0, 0, 1].into(),
            api: Api::SSeries110,
            server_name: ServerName::from(IpAddr::from([127, 0, 0, 1])),
            tls: pbx
                .url()
                .starts_with("https")
                .then(|| Arc::new(config.with_no_client_auth())),
            certificate,
            credentials: (pbx.username().to_owned(), md5_hex(pbx.password())),
        }
    }

    pub(super) fn api(mut self, api: Api) -> Self {
        self.api = api;
        self
    }

    pub(super) fn from(mut self, source: [u8; 4]) -> Self {
        self.source = source.into();
        self
    }

    pub(super) fn with_server_name(mut self, name: &'static str) -> Self {
        self.server_name = ServerName::try_from(name).unwrap();
        self
    }

    /// Trusts the certificate of the box as a root, and checks names.
    pub(super) fn verifying_names(mut self) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let builder =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = builder
            .unwrap()
            .with_webpki_verifier(verifier.build().unwrap());
        self.tls = Some(Arc::new(config.with_no_client_auth()));
        self
    }

    pub(super) async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::new(self.source, 0))?;
        let stream: TcpStream = socket.connect(self.addr).await?;
        stream.set_nodelay(true)?; // without it a resumed handshake waits 40 ms for an ACK
        let Some(config) = &self.tls else {
            return Ok(Box::new(stream));
        };
        let connector = TlsConnector::from(Arc::clone(config));
        Ok(Box::new(
            connector.connect(self.server_name.clone(), stream).await?,
        ))
    }

    pub(super) fn request(&self, method: &str, path: &str, body: &str) -> String {
        let (host, length) = (self.addr, body.len());
        format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n{body}"
        )
    }

    pub(super) async fn open(
        &self,
        method: &str,
        path: &str,
        body: &str,
    ) -> io::Result<Box<dyn Stream>> {
        let mut stream = self.connect().await?;
        stream
            .write_all(self.request(method, path, body).as_bytes())
            .await?;
        stream.flush().await?;
        Ok(stream)
    }

    pub(super) async fn ask(
        &self,
        method: &str,
        path: &str,
        body: &str,
    ) -> io::Result<ReceivedAnswer> {
        answer(self.open(method, path, body).await?).await
    }

    pub(super) async fn raw(&self, bytes: &[u8]) -> io::Result<ReceivedAnswer> {
        let mut stream = self.connect().await?;
        stream.write_all(bytes).await?;
        stream.flush().await?;
        answer(stream).await
    }

    pub(super) fn path(&self, call: &str) -> String {
        format!("/api/{}/{call}", self.api.segment())
    }

    /// Returns the value of `key` in a successful answer, else the errno or a message.
    pub(super) async fn value(&self, path: &str, body: Value, key: &str) -> Result<String, String> {
        let answer = self.ask("POST", path, &body.to_string()).await;
        let answer = answer.map_err(|error| error.to_string())?;
        let json: Value =
            serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
        match json["status"].as_str() {
            Some("Success") => Ok(json[key].as_str().ok_or("missing")?.to_owned()),
            _ => Err(answer.errno()),
        }
    }

    pub(super) async fn login(&self) -> Result<String, String> {
        let (username, password) = &self.credentials;
        let body = json!({"username": username, "password": password});
        self.value(&self.path("login"), body, "token").await
    }

    pub(super) async fn get_random(&self, token: &str, name: &str) -> Result<String, String> {
        let path = self.path(&format!("recording/get_random?token={token}"));
        self.value(&path, json!({"recording": name}), "random")
            .await
    }

    pub(super) async fn get_random_for(
        &self,
        token: &str,
        name: &str,
        ip: &str,
    ) -> Result<String, String> {
        let path = self.path(&format!("recording/get_random?token={token}"));
        self.value(&path, json!({"recording": name, "allowedip": ip}), "random")
            .await
    }

    pub(super) fn download_path(&self, token: &str, name: &str, random: &str) -> String {
        let name = percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC);
        self.path(&format!(
            "recording/download?recording={name}&random={random}&token={token}"
        ))
    }

    pub(super) async fn download(
        &self,
        token: &str,
        name: &str,
        random: &str,
    ) -> io::Result<ReceivedAnswer> {
        self.ask("GET", &self.download_path(token, name, random), "")
            .await
    }

    /// Logs in, gets a ticket and downloads.
    pub(super) async fn fetch(&self, name: &str) -> Result<ReceivedAnswer, String> {
        let token = self.login().await?;
        let random = self.get_random(&token, name).await?;
        self.download(&token, name, &random)
            .await
            .map_err(|error| error.to_string())
    }
}

impl ReceivedAnswer {
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let found = self
            .fields
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| &**value)
    }

    /// The errno; empty if the answer is not a failure.
    pub(super) fn errno(&self) -> String {
        let json: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        match &json["errno"] {
            Value::String(errno) => errno.clone(),
            Value::Number(errno) => errno.to_string(),
            _ => String::new(),
        }
    }
}

/// Reads one answer: up to its announced length, else to the end of the connection.
pub(super) async fn read_answer(stream: &mut dyn Stream) -> io::Result<ReceivedAnswer> {
    let mut bytes = Vec::new();
    let broken = loop {
        if let Some(mut answer) = parse(&bytes) {
            let length = answer
                .field("content-length")
                .map(|length| length.parse::<usize>().unwrap());
            if length == Some(answer.body.len()) {
                answer.ended_cleanly = true;
                return Ok(answer);
            }
        }
        match stream.read_buf(&mut bytes).await {
            Ok(0) => break None,
            Ok(_) => {}
            Err(error) => break Some(error),
        }
    };
    match parse(&bytes) {
        Some(mut answer) => {
            answer.ended_cleanly &= broken.is_none();
            Ok(answer)
        }
        None => Err(broken.unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into())),
    }
}

async fn answer(mut stream: Box<dyn Stream>) -> io::Result<ReceivedAnswer> {
    read_answer(&mut *stream).await
}

fn parse(bytes: &[u8]) -> Option<ReceivedAnswer> {
    let mut fields = [httparse::EMPTY_HEADER; 32];
    let mut head = httparse::Response::new(&mut fields);
    let head_bytes = match head.parse(bytes).unwrap() {
        httparse::Status::Complete(bytes) => bytes,
        httparse::Status::Partial => return None,
    };
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let mut names = head.headers.iter().map(|field| field.name);
    let body = &bytes[head_bytes..];
    let (body, ended_cleanly) = match names.any(|name| name == "Transfer-Encoding") {
        true => unchunked(body),
        false => (Bytes::copy_from_slice(body), true),
    };
    Some(ReceivedAnswer {
        status: head.code.unwrap(),
        fields: head
            .headers
            .iter()
            .map(|field| (field.name.to_owned(), text(field.value)))
            .collect(),
        body,
        ended_cleanly,
    })
}

/// Decodes chunks (RFC 9112, section 7.1). The flag is true if the last chunk is there and no byte
/// follows it.
fn unchunked(mut bytes: &[u8]) -> (Bytes, bool) {
    let mut body = Vec::new();
    while let Some(end) = bytes.windows(2).position(|two| two == b"\r\n") {
        let size = std::str::from_utf8(&bytes[..end]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        bytes = &bytes[end + 2..];
        body.extend_from_slice(&bytes[..size.min(bytes.len())]);
        match bytes
            .get(size..)
            .and_then(|rest| rest.strip_prefix(b"\r\n"))
        {
            Some(rest) if size == 0 => return (body.into(), rest.is_empty()),
            Some(rest) => bytes = rest,
            None => break,
        }
    }
    (body.into(), false)
}

/// Accepts only the certificate with this fingerprint.
#[derive(Debug)]
struct PinnedTestVerifier {
    fingerprint: String,
    provider: Arc<rustls::crypto::CryptoProvider>,
}

impl ServerCertVerifier for PinnedTestVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, leaf);
        if secret::hex(digest.as_ref()) == self.fingerprint {
            return Ok(ServerCertVerified::assertion());
        }
        Err(rustls::Error::General("another certificate".to_owned()))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, leaf, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, leaf, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

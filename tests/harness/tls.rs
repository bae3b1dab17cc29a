//! A certificate of the test's own, and clients that connect over TLS.
//!
//! A client trusts the one certificate it is given, so that a connection also tells which
//! certificate was presented.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use ::aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::answer::Driver;
use super::{Answer, Call, PATIENCE, write_secret};

/// A self-signed certificate with its key.
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Identity {
    /// A certificate for 127.0.0.1.
    pub(crate) fn new() -> Self {
        Self::of(&["127.0.0.1"])
    }

    /// A certificate for these names.
    pub(crate) fn of(names: &[&str]) -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let params = CertificateParams::new(names).unwrap();
        Self {
            certificate: params.self_signed(&key).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    /// Writes both files into a gateway's folder.
    pub(crate) fn write(&self, folder: &Path) {
        std::fs::write(folder.join("server.pem"), &self.certificate).unwrap();
        write_secret(&folder.join("server.key"), &self.key);
    }

    /// The SHA-256 of the public key, in the form that Chromium expects.
    pub(crate) fn key_hash(&self) -> String {
        let key = KeyPair::from_pem(&self.key)
            .unwrap()
            .subject_public_key_info();
        STANDARD.encode(digest::digest(&digest::SHA256, &key))
    }

    /// A server of the test's own, with HTTP/1.1.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let certificate = CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }

    /// Connects over TLS, trusting this certificate only; `alpn` is what the client offers.
    pub(crate) async fn connect(
        &self,
        addr: SocketAddr,
        alpn: &[&str],
    ) -> io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap();
        roots.add(certificate).unwrap();
        let mut config =
            ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(roots)
                .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let stream = TcpStream::connect(addr).await?;
        let name = ServerName::IpAddress(addr.ip().into());
        TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
    }

    /// Opens an HTTP/2 connection that carries several requests.
    pub(crate) async fn http2(&self, addr: SocketAddr) -> Http2 {
        let stream = self.connect(addr, &["h2"]).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        Http2::over(stream).await
    }
}

/// An HTTP/2 connection. It ends when this and all answers that came over it are dropped.
pub(crate) struct Http2 {
    sender: SendRequest<Empty<Bytes>>,
    driver: Arc<Driver>,
}

impl Http2 {
    async fn over<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(stream: S) -> Self {
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .unwrap();
        let driver = tokio::spawn(async move {
            let _ = connection.await;
        });
        Self {
            sender,
            driver: Arc::new(Driver(driver)),
        }
    }

    /// Sends one request; several may be under way.
    pub(crate) async fn try_send(&self, call: Call) -> hyper::Result<Answer> {
        let request = call.request.body(Empty::<Bytes>::new()).unwrap();
        let response = self.sender.clone().send_request(request);
        let response = tokio::time::timeout(PATIENCE, response)
            .await
            .expect("a hang")?;
        Ok(Answer::checked_on(response, Arc::clone(&self.driver)))
    }

    /// As [`Http2::try_send`], for a connection that must not fail.
    pub(crate) async fn send(&self, call: Call) -> Answer {
        self.try_send(call).await.unwrap()
    }
}

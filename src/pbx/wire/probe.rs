//! The way to a PBX, step by step, for an operator who looks for a fault.
//!
//! Knows names, connections, certificates, and whether plain HTTP is answered. Has no account, so
//! it can send no credential, whatever answers.

mod error;
mod greeting;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::ProtocolVersion;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use url::{Host, Position, Url};

pub(crate) use error::ProbeError;

use crate::pbx::settings::PbxLimits;
use crate::pbx::wire::transport::{self, USER_AGENT};
use crate::tls::certificate::LeafCertificate;
use crate::tls::client;
use crate::tls::trust::PbxTrust;

/// Enough to identify a server that answers plain HTTP: a head, and the beginning of a page.
const MAX_GREETING_BYTES: u64 = 4 * 1024;

/// The time that a probe waits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProbeLimits {
    /// For a connection.
    pub(crate) connect_timeout: Duration,
    /// For the first bytes of an answer.
    pub(crate) answer_timeout: Duration,
}

impl From<&PbxLimits> for ProbeLimits {
    fn from(limits: &PbxLimits) -> Self {
        Self {
            connect_timeout: limits.connect_timeout,
            answer_timeout: limits.answer_timeout,
        }
    }
}

/// The way to one PBX.
pub(crate) struct Probe {
    host: Host<String>,
    port: u16,
    /// The value of the `Host` field.
    authority: String,
    bind: Option<IpAddr>,
    connect_timeout: Duration,
    answer_timeout: Duration,
}

/// An open connection that has carried nothing yet.
pub(crate) struct ProbeConnection {
    stream: TcpStream,
    /// The address of the PBX that accepted it.
    pub(crate) peer: SocketAddr,
    /// Our own address.
    pub(crate) own: Option<IpAddr>,
}

/// The outcome of a TLS handshake.
pub(crate) struct Handshake {
    /// The certificate that the peer presented, also where it was not accepted.
    pub(crate) certificate: Option<LeafCertificate>,
    /// The version of TLS, such as `TLS 1.2`, where peer and certificate were accepted.
    pub(crate) result: Result<&'static str, ProbeError>,
}

impl Probe {
    /// # Errors
    /// A sentence for an operator: an address without a host.
    pub(crate) fn new(
        url: &Url,
        bind: Option<IpAddr>,
        limits: ProbeLimits,
    ) -> Result<Self, &'static str> {
        Ok(Self {
            host: url.host().ok_or("the address has no host")?.to_owned(),
            port: url
                .port_or_known_default()
                .ok_or("the address has no port")?,
            authority: url[Position::BeforeHost..Position::AfterPort].to_owned(),
            bind,
            connect_timeout: limits.connect_timeout,
            answer_timeout: limits.answer_timeout,
        })
    }

    /// The PBX's addresses that our source address can reach.
    ///
    /// # Errors
    /// When there are none.
    pub(crate) async fn resolve(&self) -> Result<Vec<SocketAddr>, ProbeError> {
        let asking = transport::addresses(&self.host, self.port, self.bind);
        let found = timeout(self.connect_timeout, asking).await;
        let mut addresses = found
            .map_err(|_| ProbeError::NameSilent)?
            .map_err(|error| ProbeError::NoName(error.to_string()))?;
        addresses.dedup();
        if addresses.is_empty() {
            return Err(ProbeError::NoAddress);
        }
        Ok(addresses)
    }

    /// Connects to the first address that answers.
    ///
    /// # Errors
    /// When none does.
    pub(crate) async fn reach(
        &self,
        addresses: &[SocketAddr],
    ) -> Result<ProbeConnection, ProbeError> {
        let dialled = transport::dial_any(addresses, self.bind, self.connect_timeout).await;
        let (stream, peer) = dialled.map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => ProbeError::Silent,
            io::ErrorKind::ConnectionRefused => ProbeError::Refused,
            io::ErrorKind::AddrNotAvailable if self.bind.is_some() => ProbeError::NoOwnAddress,
            _ => ProbeError::Unreachable(error.to_string()),
        })?;
        let own = stream.local_addr().ok().map(|address| address.ip());
        Ok(ProbeConnection { stream, peer, own })
    }

    /// Makes a TLS handshake, and ends the connection.
    ///
    /// # Errors
    /// A sentence for an operator, where roots cannot be read. The value tells why a peer is not
    /// accepted.
    pub(crate) async fn shake_hands(
        &self,
        reached: ProbeConnection,
        trust: &PbxTrust,
    ) -> Result<Handshake, String> {
        let (config, capture) = client::capturing_config(trust)?;
        let name = transport::server_name(&self.host)?;
        let connector = TlsConnector::from(Arc::new(config));
        let shaking = timeout(
            self.connect_timeout,
            connector.connect(name, reached.stream),
        );
        let result = match shaking.await {
            Err(_) => Err(ProbeError::TlsSilent),
            Ok(Err(error)) => Err(match transport::find_tls(&error) {
                Some(tls) => ProbeError::Tls(tls.into()),
                None => ProbeError::Dropped,
            }),
            Ok(Ok(stream)) => Ok(match stream.get_ref().1.protocol_version() {
                Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
                _ => "TLS 1.2",
            }),
        };
        let certificate = capture.leaf().map(|leaf| LeafCertificate::read(&leaf));
        Ok(Handshake {
            certificate,
            result,
        })
    }

    /// Asks for the first page in plain HTTP, to see whether that is answered.
    ///
    /// # Errors
    /// When the answer is not that of a web server that speaks plain HTTP.
    pub(crate) async fn greet(&self, mut reached: ProbeConnection) -> Result<(), ProbeError> {
        let request = format!(
            "GET / HTTP/1.1\r\nHost: {}\r\nUser-Agent: {USER_AGENT}\r\nConnection: close\r\n\r\n",
            self.authority
        );
        let mut answer = Vec::new();
        let exchange = async {
            reached.stream.write_all(request.as_bytes()).await?;
            let mut reader = (&mut reached.stream).take(MAX_GREETING_BYTES);
            while !greeting::is_enough(&answer) && reader.read_buf(&mut answer).await? > 0 {}
            io::Result::Ok(())
        };
        let ended = timeout(self.answer_timeout, exchange).await;
        match ended {
            // The bytes that came in time may tell enough.
            Err(_) if answer.is_empty() => Err(ProbeError::HttpSilent),
            _ => greeting::judge(&answer),
        }
    }
}

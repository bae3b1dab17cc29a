//! The way to a PBX step by step, as somebody wants to see it who finds out what is wrong with it.
//!
//! Knows names, connections, certificates, and whether plain HTTP is answered. Has no account, so no credential can be
//! sent from here, whatever answers.

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

use super::transport::{self, USER_AGENT};
use crate::pbx::settings::PbxLimits;
use crate::tls::certificate::Certificate;
use crate::tls::client;
use crate::tls::trust::PbxTrust;

/// Enough to tell what answers plain HTTP: a head, and the beginning of a page.
const MAX_GREETING_BYTES: u64 = 4 * 1024;

/// The way to one PBX.
pub(crate) struct Probe {
    host: Host<String>,
    port: u16,
    /// What goes into the `Host` field.
    authority: String,
    bind: Option<IpAddr>,
    connect_timeout: Duration,
    answer_timeout: Duration,
}

/// A connection that stands and has carried nothing.
pub(crate) struct Reached {
    stream: TcpStream,
    /// The one of the PBX's addresses that took it.
    pub(crate) peer: SocketAddr,
    /// The address of ours that it goes out from.
    pub(crate) own: Option<IpAddr>,
}

/// How a TLS handshake went.
pub(crate) struct Handshake {
    /// What the peer presented, also where it was not accepted.
    pub(crate) certificate: Option<Certificate>,
    /// The version of TLS, such as `TLS 1.2`, where peer and certificate were accepted.
    pub(crate) result: Result<&'static str, ProbeError>,
}

impl Probe {
    /// # Errors
    /// A sentence for an operator: an address without a host.
    pub(crate) fn new(
        url: &Url,
        bind: Option<IpAddr>,
        limits: &PbxLimits,
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

    /// The PBX's addresses, those that our source address can reach.
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
    pub(crate) async fn reach(&self, addresses: &[SocketAddr]) -> Result<Reached, ProbeError> {
        let dialled = transport::dial_any(addresses, self.bind, self.connect_timeout).await;
        let (stream, peer) = dialled.map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => ProbeError::Silent,
            io::ErrorKind::ConnectionRefused => ProbeError::Refused,
            io::ErrorKind::AddrNotAvailable if self.bind.is_some() => ProbeError::NoOwnAddress,
            _ => ProbeError::Unreachable(error.to_string()),
        })?;
        let own = stream.local_addr().ok().map(|address| address.ip());
        Ok(Reached { stream, peer, own })
    }

    /// Shakes hands, and ends the connection.
    ///
    /// # Errors
    /// A sentence for an operator, where roots cannot be read. Why the peer is not accepted is in the value.
    pub(crate) async fn shake_hands(
        &self,
        reached: Reached,
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
        let certificate = capture.leaf().map(|leaf| Certificate::read(&leaf));
        Ok(Handshake {
            certificate,
            result,
        })
    }

    /// Asks for the first page in plain HTTP, to see whether that is answered.
    ///
    /// # Errors
    /// When something else answers than a web server that wants to be spoken to like this.
    pub(crate) async fn greet(&self, mut reached: Reached) -> Result<(), ProbeError> {
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
            // What has come by then may tell all the same.
            Err(_) if answer.is_empty() => Err(ProbeError::HttpSilent),
            _ => greeting::judge(&answer),
        }
    }
}

//! The way to one PBX: JSON calls that concern the account, and connections for tickets and audio.
//!
//! Knows addresses, TLS trust and time limits. Does not know the meaning of any answer. No redirect
//! is followed, no proxy of the environment is used, nothing is decompressed and nothing is
//! repeated. No error holds a URL: it would carry the PBX token.
//!
//! The account's calls (login and the like) go through reqwest. A ticket and its download have a
//! connection of their own ([`super::connection`]): its buffer is bounded, nothing is sent again
//! unseen, and it costs less.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::StatusCode;
use http::header::{ACCEPT_ENCODING, CONTENT_TYPE, HeaderValue};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;
use tracing::debug;
use url::Host;

use crate::pbx::dialect::PbxCall;
use crate::pbx::error::{TimeLimit, TransportError};
use crate::pbx::settings::PbxSettings;
use crate::pbx::wire::read_ahead::{ReadAhead, ReadSize};
use crate::tls::client;
use crate::tls::trust::PbxTrust;

/// No JSON answer of a PBX comes near this.
pub(in crate::pbx) const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// The program's name in every request; some firmware refuses requests without one.
pub(in crate::pbx) const USER_AGENT: &str = concat!("wavegate/", env!("CARGO_PKG_VERSION"));

/// A connection to the PBX, with or without TLS.
pub(in crate::pbx) type Io = Either<TcpStream, Box<TlsStream<ReadAhead>>>;

/// A whole answer.
pub(crate) struct JsonAnswer {
    pub(crate) status: StatusCode,
    pub(crate) body: Vec<u8>,
    /// Set when the connection broke before its proper end. An embedded server may leave out TLS's
    /// close_notify, so an answer that reads as complete is complete.
    pub(crate) broken: Option<TransportError>,
}

/// The way to one PBX.
pub(crate) struct Transport {
    /// Scheme, host and port.
    origin: String,
    host_field: HeaderValue,
    client: reqwest::Client,
    host: Host<String>,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    bind: Option<IpAddr>,
    /// The address that accepted the last connection.
    last_good: Mutex<Option<SocketAddr>>,
    connect_timeout: Duration,
    answer_timeout: Duration,
}

impl Transport {
    /// # Errors
    /// A sentence for an operator: roots that cannot be read, an address without a host.
    pub(crate) fn new(pbx: &PbxSettings) -> Result<Self, String> {
        let host = pbx.url.host().ok_or("pbx.url has no host")?.to_owned();
        let port = pbx
            .url
            .port_or_known_default()
            .ok_or("pbx.url has no port")?;
        let config = pbx.trust.as_ref().map(client::client_config).transpose()?;
        let client = json_client(pbx, config.clone())?;
        let tls = match config {
            None => None,
            Some(config) => Some((TlsConnector::from(Arc::new(config)), server_name(&host)?)),
        };
        let origin = pbx.url.as_str().trim_end_matches('/').to_owned();
        let authority = origin
            .split_once("//")
            .map_or("", |(_, authority)| authority);
        let host_field =
            HeaderValue::from_str(authority).map_err(|error| format!("pbx.url: {error}"))?;
        Ok(Self {
            origin,
            host_field,
            client,
            host,
            port,
            tls,
            bind: pbx.bind_address,
            last_good: Mutex::new(None),
            connect_timeout: pbx.limits.connect_timeout,
            answer_timeout: pbx.limits.answer_timeout,
        })
    }

    /// The `Host` field of requests: as configured.
    pub(in crate::pbx) fn host_field(&self) -> HeaderValue {
        self.host_field.clone()
    }

    /// Makes one JSON call and reads its answer whole, within the answer limit.
    ///
    /// # Cancel safety
    /// The call may or may not have reached the PBX.
    pub(crate) async fn call(&self, call: &PbxCall) -> Result<JsonAnswer, TransportError> {
        self.call_within(call, self.answer_timeout, TimeLimit::Answer)
            .await
    }

    /// The same within this time, where the answer limit is longer. A call that is given up loses
    /// its connection.
    ///
    /// # Cancel safety
    /// As for [`Transport::call`].
    pub(in crate::pbx) async fn call_early(
        &self,
        call: &PbxCall,
        time: Duration,
        limit: TimeLimit,
    ) -> Result<JsonAnswer, TransportError> {
        match time < self.answer_timeout {
            true => self.call_within(call, time, limit).await,
            false => self.call(call).await,
        }
    }

    async fn call_within(
        &self,
        call: &PbxCall,
        time: Duration,
        limit: TimeLimit,
    ) -> Result<JsonAnswer, TransportError> {
        let answer = timeout(time, self.exchange(call))
            .await
            .unwrap_or(Err(TransportError::Timeout(limit)));
        let operation = call.operation.as_str();
        match &answer {
            Ok(answer) => debug!(
                operation,
                status = answer.status.as_u16(),
                "the PBX answered"
            ),
            Err(error) => debug!(operation, %error, "the PBX gave no answer"),
        }
        answer
    }

    async fn exchange(&self, call: &PbxCall) -> Result<JsonAnswer, TransportError> {
        let target = call.target.expose_str().unwrap_or_default();
        let mut request = self
            .client
            .request(call.method.clone(), format!("{}{target}", self.origin));
        if let Some(body) = &call.body {
            let json = HeaderValue::from_static("application/json");
            request = request
                .header(CONTENT_TYPE, json)
                .body(body.expose().to_vec());
        }
        let mut response = request.send().await.map_err(from_reqwest)?;
        let mut answer = JsonAnswer {
            status: response.status(),
            body: Vec::new(),
            broken: None,
        };
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if answer.body.len() + chunk.len() > MAX_ANSWER_BYTES => {
                    return Err(TransportError::TooLong);
                }
                Ok(Some(chunk)) => answer.body.extend_from_slice(&chunk),
                Ok(None) => return Ok(answer),
                Err(error) => {
                    answer.broken = Some(from_reqwest(error));
                    return Ok(answer);
                }
            }
        }
    }

    /// Opens a connection, within the connect limit. Returns our own address beside it. TLS reads
    /// by `size`.
    pub(in crate::pbx) async fn connect(
        &self,
        size: &ReadSize,
    ) -> Result<(Io, Option<IpAddr>), TransportError> {
        timeout(self.connect_timeout, self.dial(size))
            .await
            .unwrap_or(Err(TransportError::Timeout(TimeLimit::Connect)))
    }

    async fn dial(&self, size: &ReadSize) -> Result<(Io, Option<IpAddr>), TransportError> {
        let stream = self.dial_tcp().await?;
        let own_address = stream.local_addr().ok().map(|address| address.ip());
        let io = match &self.tls {
            None => Either::Left(stream),
            Some((connector, name)) => {
                let stream = ReadAhead::new(stream, size.clone());
                let handshake = connector.connect(name.clone(), stream).await;
                Either::Right(Box::new(handshake.map_err(from_handshake)?))
            }
        };
        Ok((io, own_address))
    }

    async fn dial_tcp(&self) -> Result<TcpStream, TransportError> {
        let found = addresses(&self.host, self.port, self.bind).await;
        let mut addresses = found.map_err(unreachable)?;
        let last_good = *self.last_good();
        put_first(&mut addresses, last_good);
        let (stream, address) = dial_any(&addresses, self.bind, self.connect_timeout)
            .await
            .map_err(unreachable)?;
        *self.last_good() = Some(address);
        Ok(stream)
    }

    fn last_good(&self) -> MutexGuard<'_, Option<SocketAddr>> {
        self.last_good
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The addresses of `host` that our source address can reach.
pub(in crate::pbx) async fn addresses(
    host: &Host<String>,
    port: u16,
    bind: Option<IpAddr>,
) -> io::Result<Vec<SocketAddr>> {
    let reachable =
        |address: &SocketAddr| bind.is_none_or(|bind| bind.is_ipv4() == address.is_ipv4());
    let addresses: Vec<SocketAddr> = match host {
        Host::Ipv4(address) => vec![(*address, port).into()],
        Host::Ipv6(address) => vec![(*address, port).into()],
        Host::Domain(name) => lookup_host((name.as_str(), port)).await?.collect(),
    };
    Ok(addresses.into_iter().filter(reachable).collect())
}

/// Puts the address that worked last in front: a name may have an address that swallows
/// connections, as IPv6 does in many networks.
fn put_first(addresses: &mut [SocketAddr], last_good: Option<SocketAddr>) {
    addresses.sort_by_key(|address| Some(*address) != last_good);
}

/// Connects to the first address that answers. Each address has its share of the limit, so that
/// none starves those after it.
pub(in crate::pbx) async fn dial_any(
    addresses: &[SocketAddr],
    bind: Option<IpAddr>,
    limit: Duration,
) -> io::Result<(TcpStream, SocketAddr)> {
    let share = limit / u32::try_from(addresses.len().max(1)).unwrap_or(u32::MAX);
    let mut last = io::Error::other("the name has no address we can use");
    for address in addresses {
        match timeout(share, dial_address(*address, bind)).await {
            Ok(Ok(stream)) => return Ok((stream, *address)),
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}

async fn dial_address(address: SocketAddr, bind: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    if let Some(bind) = bind {
        socket.bind((bind, 0).into())?;
    }
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Keeps the system's own words, which do not repeat the name or the address.
fn unreachable(error: io::Error) -> TransportError {
    match error.kind() {
        io::ErrorKind::TimedOut => TransportError::Timeout(TimeLimit::Connect),
        _ => TransportError::Unreachable(error.to_string()),
    }
}

fn json_client(pbx: &PbxSettings, tls: Option<ClientConfig>) -> Result<reqwest::Client, String> {
    // Without a TLS configuration, reqwest looks for a crypto provider of the whole process and
    // panics, for plain HTTP, too. This configuration trusts no certificate, and no connection uses
    // it.
    let tls = match tls {
        Some(tls) => tls,
        None => client::client_config(&PbxTrust::Pins(Vec::new()))?,
    };
    reqwest::Client::builder()
        .http1_only()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
        .user_agent(USER_AGENT)
        .default_headers(
            [(ACCEPT_ENCODING, HeaderValue::from_static("identity"))]
                .into_iter()
                .collect(),
        )
        .connect_timeout(pbx.limits.connect_timeout)
        .pool_max_idle_per_host(1)
        .pool_idle_timeout(Duration::from_secs(15))
        .local_address(pbx.bind_address)
        .tls_backend_preconfigured(tls)
        .build()
        .map_err(|error| describe(&error.without_url()))
}

pub(in crate::pbx) fn server_name(host: &Host<String>) -> Result<ServerName<'static>, String> {
    match host {
        // An address is not sent as SNI; rustls takes care of that.
        Host::Ipv4(address) => Ok(ServerName::IpAddress(IpAddr::V4(*address).into())),
        Host::Ipv6(address) => Ok(ServerName::IpAddress(IpAddr::V6(*address).into())),
        Host::Domain(name) => {
            ServerName::try_from(name.clone()).map_err(|error| format!("pbx.url: {error}"))
        }
    }
}

/// The only place where an error of reqwest becomes ours. Its text would hold the URL, and that the
/// PBX token.
fn from_reqwest(error: reqwest::Error) -> TransportError {
    let error = error.without_url();
    // Only while connecting: an alert behind the handshake may be the answer to the credentials.
    if let Some(tls) = find_tls(&error).filter(|_| error.is_connect()) {
        return TransportError::Tls(tls.into());
    }
    match (error.is_timeout(), error.is_connect()) {
        (true, true) => TransportError::Timeout(TimeLimit::Connect),
        (true, false) => TransportError::Timeout(TimeLimit::Answer),
        (false, true) => TransportError::Unreachable(describe(&error)),
        (false, false) => TransportError::Broken(describe(&error)),
    }
}

fn from_handshake(error: io::Error) -> TransportError {
    match find_tls(&error) {
        Some(tls) => TransportError::Tls(tls.into()),
        None => unreachable(error),
    }
}

/// An error and its causes in one line. For errors that hold no URL.
pub(in crate::pbx) fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

pub(in crate::pbx) fn find_tls<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref() {
            return Some(tls);
        }
        // An I/O error hides what it wraps from `source`.
        next = match error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests;

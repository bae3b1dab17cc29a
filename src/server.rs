//! The public listener: takes connections, gives their requests to the gateway, and drains at the
//! end.
//!
//! Knows sockets, TLS and HTTP message framing. Does not know paths, tokens or the PBX.

mod connection;
pub(crate) mod heads;
mod inherited;
mod io;
mod listener;
mod places;
mod refusal;

use std::io as std_io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::sign::CertifiedKey;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::ServerSettings;
use crate::gateway::Gateway;
use crate::tls::server::ServerCertificate;
use connection::ConnectionLimits;
pub(crate) use inherited::InheritedSockets;
use places::Places;

/// A server that listens, and takes no connection yet.
pub(crate) struct HttpServer {
    plain: Vec<TcpListener>,
    tls: Vec<TcpListener>,
    certificates: Option<Arc<ServerCertificate>>,
    settings: Arc<ConnectionLimits>,
    places: Arc<Places>,
}

impl HttpServer {
    /// Binds every address, or takes its inherited socket.
    ///
    /// # Errors
    /// When an address cannot be bound, or the certificate cannot be used.
    pub(crate) async fn bind(
        config: &ServerSettings,
        certificate: Option<CertifiedKey>,
        sockets: &mut InheritedSockets,
    ) -> std_io::Result<Self> {
        let certificates = certificate.map(ServerCertificate::new).transpose();
        let certificates = certificates.map_err(std_io::Error::other)?.map(Arc::new);
        let tls_addresses = config.tls.as_ref().map_or(&[][..], |tls| &tls.listen);
        let handshake_timeout = config
            .tls
            .as_ref()
            .map_or(Duration::ZERO, |tls| tls.handshake_timeout);
        Ok(Self {
            plain: bind_all(&config.listen, sockets).await?,
            tls: bind_all(tls_addresses, sockets).await?,
            certificates,
            settings: Arc::new(ConnectionLimits {
                max_header_bytes: config.max_header_bytes,
                header_timeout: config.header_timeout,
                handshake_timeout,
            }),
            places: Arc::new(Places::new(config.max_connections)),
        })
    }

    /// The bound addresses: those without TLS, then those with it.
    pub(crate) fn addresses(&self) -> (Vec<SocketAddr>, Vec<SocketAddr>) {
        let addresses = |listeners: &[TcpListener]| {
            listeners
                .iter()
                .filter_map(|one| one.local_addr().ok())
                .collect()
        };
        (addresses(&self.plain), addresses(&self.tls))
    }

    /// The certificates, which a reload reads again.
    pub(crate) fn certificates(&self) -> Option<Arc<ServerCertificate>> {
        self.certificates.clone()
    }

    /// Takes connections until `stop`, then lets open ones finish, and returns after the last one.
    /// `kill` ends them at once.
    pub(crate) async fn run(
        self,
        gateway: Arc<ArcSwap<Gateway>>,
        stop: CancellationToken,
        kill: CancellationToken,
    ) {
        let tracker = TaskTracker::new();
        let acceptor = self
            .certificates
            .as_ref()
            .map(|certificates| certificates.acceptor());
        let plain = self.plain.into_iter().map(|listener| (listener, None));
        let tls = self
            .tls
            .into_iter()
            .map(|listener| (listener, acceptor.clone()));
        for (listener, acceptor) in plain.chain(tls) {
            let shared = listener::ListenerContext {
                gateway: Arc::clone(&gateway),
                settings: Arc::clone(&self.settings),
                places: Arc::clone(&self.places),
                acceptor,
                tracker: tracker.clone(),
                stop: stop.clone(),
                kill: kill.clone(),
            };
            tracker.spawn(listener::accept(listener, shared));
        }
        tracker.close();
        tracker.wait().await;
    }
}

async fn bind_all(
    addresses: &[SocketAddr],
    sockets: &mut InheritedSockets,
) -> std_io::Result<Vec<TcpListener>> {
    let mut listeners = Vec::with_capacity(addresses.len());
    for address in addresses {
        let listener = sockets.bind(*address).map_err(|error| {
            std_io::Error::new(error.kind(), format!("server.listen {address}: {error}"))
        })?;
        listeners.push(listener);
    }
    Ok(listeners)
}

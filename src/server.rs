//! The public listener: connections in, requests to the gateway, and the drain at the end.
//!
//! Knows sockets, TLS and HTTP's framing. Does not know paths, tokens or the PBX.

mod connection;
pub(crate) mod heads;
mod io;
mod listener;
mod refusal;

use std::io as std_io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::sign::CertifiedKey;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::ServerSettings;
use crate::gateway::Gateway;
use crate::tls::server::Certificates;
use connection::Settings;
pub(crate) use listener::bind;

/// A listening server whose connections have not been taken yet.
pub(crate) struct Server {
    plain: Vec<TcpListener>,
    tls: Vec<TcpListener>,
    certificates: Option<Arc<Certificates>>,
    settings: Arc<Settings>,
    connections: Arc<Semaphore>,
}

impl Server {
    /// Binds every address.
    ///
    /// # Errors
    /// When an address cannot be bound, or the certificate cannot be used.
    pub(crate) async fn bind(
        config: &ServerSettings,
        certificate: Option<CertifiedKey>,
    ) -> std_io::Result<Self> {
        let certificates = certificate.map(Certificates::new).transpose();
        let certificates = certificates.map_err(std_io::Error::other)?.map(Arc::new);
        let tls_addresses = config.tls.as_ref().map_or(&[][..], |tls| &tls.listen);
        let handshake_timeout = config
            .tls
            .as_ref()
            .map_or(Duration::ZERO, |tls| tls.handshake_timeout);
        Ok(Self {
            plain: bind_all(&config.listen).await?,
            tls: bind_all(tls_addresses).await?,
            certificates,
            settings: Arc::new(Settings {
                max_header_bytes: config.max_header_bytes,
                header_timeout: config.header_timeout,
                handshake_timeout,
            }),
            connections: Arc::new(Semaphore::new(config.max_connections)),
        })
    }

    /// The addresses really bound: plain ones, then those with TLS.
    pub(crate) fn addresses(&self) -> (Vec<SocketAddr>, Vec<SocketAddr>) {
        let addresses = |listeners: &[TcpListener]| {
            listeners
                .iter()
                .filter_map(|one| one.local_addr().ok())
                .collect()
        };
        (addresses(&self.plain), addresses(&self.tls))
    }

    /// The certificates, to be read again at the operator's word.
    pub(crate) fn certificates(&self) -> Option<Arc<Certificates>> {
        self.certificates.clone()
    }

    /// Takes connections until `stop`, then lets those that are open finish. Returns when the last one has; `kill` ends
    /// them at once.
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
            let shared = listener::Shared {
                gateway: Arc::clone(&gateway),
                settings: Arc::clone(&self.settings),
                connections: Arc::clone(&self.connections),
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

async fn bind_all(addresses: &[SocketAddr]) -> std_io::Result<Vec<TcpListener>> {
    let mut listeners = Vec::with_capacity(addresses.len());
    for address in addresses {
        let listener = bind(*address).map_err(|error| {
            std_io::Error::new(error.kind(), format!("server.listen {address}: {error}"))
        })?;
        listeners.push(listener);
    }
    Ok(listeners)
}

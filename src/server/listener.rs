//! Binding, and the accept loop.
//!
//! Knows when to take the next connection. Does not know what it carries.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::connection::{self, ConnectionLimits};
use crate::gateway::Gateway;

/// Pause when the system has no descriptors left, or something of that kind.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
const BACKLOG: i32 = 1024;

/// What every connection needs.
pub(super) struct ListenerContext {
    pub(super) gateway: Arc<ArcSwap<Gateway>>,
    pub(super) settings: Arc<ConnectionLimits>,
    pub(super) connections: Arc<Semaphore>,
    pub(super) acceptor: Option<TlsAcceptor>,
    pub(super) tracker: TaskTracker,
    pub(super) stop: CancellationToken,
    pub(super) kill: CancellationToken,
}

/// Binds an address; an IPv6 one takes IPv6 only, so that `0.0.0.0` can stand beside `[::]`.
pub(crate) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Takes connections until told to stop. The permit comes first: what cannot be served waits in the kernel's queue.
pub(super) async fn accept(listener: TcpListener, shared: ListenerContext) {
    loop {
        let next = async {
            let permit = Arc::clone(&shared.connections).acquire_owned().await.ok()?;
            Some((listener.accept().await, permit))
        };
        let accepted = tokio::select! {
            () = shared.stop.cancelled() => return,
            accepted = next => accepted,
        };
        match accepted {
            None => return,
            Some((Ok((stream, peer)), permit)) => {
                let connection = connection::DownstreamConnection {
                    stream,
                    peer,
                    gateway: Arc::clone(&shared.gateway),
                    settings: Arc::clone(&shared.settings),
                    stop: shared.stop.clone(),
                    kill: shared.kill.clone(),
                };
                let acceptor = shared.acceptor.clone();
                shared.tracker.spawn(async move {
                    connection.serve(acceptor).await;
                    drop(permit);
                });
            }
            Some((Err(error), _)) if is_of_one_connection(&error) => {}
            Some((Err(error), _)) => {
                warn!(%error, advice = "raise the limit of open files", "no connection can be taken for now");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Errors that concern the connection that was not taken, and nobody else.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}

//! Binding, and the accept loop.
//!
//! Knows when to take the next connection. Does not know its protocol.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::connection::{self, ConnectionLimits};
use super::places::Places;
use crate::gateway::Gateway;

/// Pause after a failed accept, as when the process has no file descriptor left: accept fails at
/// once then, and without a pause the loop would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
const BACKLOG: i32 = 1024;

/// The values that every connection gets.
pub(super) struct ListenerContext {
    pub(super) gateway: Arc<ArcSwap<Gateway>>,
    pub(super) settings: Arc<ConnectionLimits>,
    pub(super) places: Arc<Places>,
    pub(super) acceptor: Option<TlsAcceptor>,
    pub(super) tracker: TaskTracker,
    pub(super) stop: CancellationToken,
    pub(super) kill: CancellationToken,
}

/// Binds an address. An IPv6 address takes IPv6 connections only, so that `0.0.0.0` can be bound
/// beside `[::]`.
pub(super) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
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

/// Takes connections until `stop`. The place comes first: a connection that cannot be served waits
/// in the kernel's queue, and costs no descriptor.
pub(super) async fn accept(listener: TcpListener, shared: ListenerContext) {
    loop {
        let next = async {
            let place = shared.places.take().await?;
            Some((listener.accept().await, place))
        };
        let accepted = tokio::select! {
            () = shared.stop.cancelled() => return,
            accepted = next => accepted,
        };
        match accepted {
            None => return,
            Some((Ok((stream, peer)), place)) => {
                let connection = connection::DownstreamConnection {
                    stream,
                    peer,
                    gateway: Arc::clone(&shared.gateway),
                    settings: Arc::clone(&shared.settings),
                    places: Arc::clone(&shared.places),
                    stop: shared.stop.clone(),
                    kill: shared.kill.clone(),
                };
                let acceptor = shared.acceptor.clone();
                shared.tracker.spawn(async move {
                    connection.serve(acceptor).await;
                    drop(place);
                });
            }
            Some((Err(error), _)) if is_of_one_connection(&error) => {}
            Some((Err(error), _)) => {
                warn!(%error, advice = "raise the limit of open files", "no connection can be accepted now");
                shared.places.ask_for_room();
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Whether the error concerns the one connection only, and not the listener.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}

//! Listening sockets that a supervisor has opened before the gateway: socket activation.
//!
//! Knows which address a socket belongs to. Does not know what is served there. Callers who come
//! while the gateway starts anew wait in such a socket, instead of being refused.
//!
//! Source: systemd, sd_listen_fds(3).

use std::io;
use std::net::{SocketAddr, TcpListener};

use listenfd::ListenFd;
use tokio::net;

/// The sockets that nobody has taken yet.
#[derive(Debug, Default)]
pub(crate) struct InheritedSockets(Vec<(SocketAddr, TcpListener)>);

impl InheritedSockets {
    /// The sockets that the environment names. Call it once, before others read the environment.
    ///
    /// # Errors
    /// When one of them is no TCP socket.
    pub(crate) fn from_env() -> io::Result<Self> {
        let mut passed = ListenFd::from_env();
        let mut sockets = Vec::new();
        for index in 0..passed.len() {
            if let Some(socket) = passed.take_tcp_listener(index)? {
                sockets.push((socket.local_addr()?, socket));
            }
        }
        Ok(Self(sockets))
    }

    /// The socket for an address, or a new one.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub(crate) fn bind(&mut self, address: SocketAddr) -> io::Result<net::TcpListener> {
        let place = self.0.iter().position(|(bound, _)| *bound == address);
        let Some(place) = place else {
            return super::listener::bind(address);
        };
        let (_, socket) = self.0.swap_remove(place);
        socket.set_nonblocking(true)?;
        net::TcpListener::from_std(socket)
    }

    /// Makes sure that each socket was taken.
    ///
    /// # Errors
    /// When one was not: callers would wait there for ever.
    pub(crate) fn require_none_left(&self) -> io::Result<()> {
        match self.0.first() {
            None => Ok(()),
            Some((address, _)) => Err(io::Error::other(format!(
                "a socket for {address} was passed on, and no listen of the configuration has this address"
            ))),
        }
    }
}

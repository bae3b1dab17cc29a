//! One connection: bytes in and out, and the several ways to end it.
//!
//! Knows TCP and TLS. Does not know HTTP.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// How long the peer may go on sending after the last answer.
const MAX_LINGER: Duration = Duration::from_secs(1);
const MAX_LINGER_BYTES: usize = 256 * 1024;

/// An open connection.
pub(super) enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectionEnd {
    /// In an orderly way.
    Close,
    /// Without the TLS close_notify.
    CloseSilently,
    /// By a TCP reset.
    Reset,
}

impl Wire {
    /// Reads some bytes; 0 when the peer has closed its side. Cancel safe.
    pub(super) async fn read(&mut self, buffer: &mut BytesMut) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read_buf(buffer).await,
            Self::Tls(stream) => stream.read_buf(buffer).await,
        }
    }

    /// Writes everything, waiting for the peer to take it.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(bytes).await,
            Self::Tls(stream) => stream.write_all(bytes).await,
        }
    }

    /// Hands everything written so far to the network.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush().await,
            Self::Tls(stream) => stream.flush().await,
        }
    }

    /// Waits until the peer closes or breaks the connection; what it sends is dropped.
    pub(super) async fn until_peer_leaves(&mut self) {
        let mut buffer = BytesMut::new();
        while self.read(&mut buffer).await.is_ok_and(|bytes| bytes > 0) {
            buffer.clear();
        }
    }

    /// Ends the connection.
    pub(super) async fn end(mut self, connection_end: ConnectionEnd) {
        let ended = match connection_end {
            ConnectionEnd::Close => self.close().await,
            ConnectionEnd::CloseSilently => self.tcp().shutdown().await,
            ConnectionEnd::Reset => self.tcp().set_zero_linger(),
        };
        if ended.is_ok() && connection_end != ConnectionEnd::Reset {
            self.drain().await;
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.shutdown().await,
            Self::Tls(stream) => stream.shutdown().await,
        }
    }

    /// Reads what the peer still sends: closing with unread bytes would reset the connection, and
    /// the peer could lose the end of the answer.
    async fn drain(&mut self) {
        let mut taken = 0;
        let mut buffer = [0; 4_096];
        let tcp = self.tcp();
        let reading = async {
            while let Ok(bytes @ 1..) = tcp.read(&mut buffer).await
                && taken < MAX_LINGER_BYTES
            {
                taken += bytes;
            }
        };
        let _ = tokio::time::timeout(MAX_LINGER, reading).await;
    }

    fn tcp(&mut self) -> &mut TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_mut().0,
        }
    }
}

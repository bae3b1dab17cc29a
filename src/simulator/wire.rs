//! One connection: reads, writes and the ways to end it.
//!
//! Knows TCP and TLS. Does not know HTTP.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// The time for which bytes of the peer are still read after the last answer.
const MAX_LINGER: Duration = Duration::from_secs(1);
/// The number of such bytes after which the connection is dropped.
const MAX_LINGER_BYTES: usize = 256 * 1024;

/// An open connection of a peer, with or without TLS.
pub(super) enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// The way in which a connection is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectionEnd {
    /// With the TLS close_notify and an orderly TCP close.
    Close,
    /// With an orderly TCP close, without the TLS close_notify.
    CloseSilently,
    /// With a TCP reset.
    Reset,
}

impl Wire {
    /// Reads some bytes into `buffer`. Returns 0 when the peer has closed its side. Cancel safe.
    pub(super) async fn read(&mut self, buffer: &mut BytesMut) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read_buf(buffer).await,
            Self::Tls(stream) => stream.read_buf(buffer).await,
        }
    }

    /// Writes all bytes, and waits while the peer does not take them.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(bytes).await,
            Self::Tls(stream) => stream.write_all(bytes).await,
        }
    }

    /// Hands all bytes written so far to the network.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush().await,
            Self::Tls(stream) => stream.flush().await,
        }
    }

    /// Waits until the peer closes or breaks the connection. Drops the bytes that it sends.
    pub(super) async fn until_peer_leaves(&mut self) {
        let mut buffer = BytesMut::new();
        while self.read(&mut buffer).await.is_ok_and(|bytes| bytes > 0) {
            buffer.clear();
        }
    }

    /// Ends the connection, and reads a little longer unless it was reset.
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

    /// Reads bytes that the peer still sends, within [`MAX_LINGER`] and [`MAX_LINGER_BYTES`]. A
    /// close with unread bytes would reset the connection, and the peer could lose the end of the
    /// answer.
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

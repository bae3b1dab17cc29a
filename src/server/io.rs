//! A socket that tells the watchdog when it takes no more bytes.
//!
//! hyper has no limit on how long a write may take, and it polls no body while one hangs.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::relay::Watchdog;

/// A TCP stream under a watchdog.
pub(super) struct WatchedIo {
    stream: TcpStream,
    watchdog: Arc<Watchdog>,
    /// What the watchdog was told last, so that it is told changes only.
    blocked: bool,
}

impl WatchedIo {
    pub(super) fn new(stream: TcpStream, watchdog: Arc<Watchdog>) -> Self {
        Self {
            stream,
            watchdog,
            blocked: false,
        }
    }

    fn note<T>(&mut self, result: Poll<T>) -> Poll<T> {
        if result.is_pending() != self.blocked {
            self.blocked = result.is_pending();
            self.watchdog.note_write(self.blocked);
        }
        result
    }
}

impl AsyncRead for WatchedIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for WatchedIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.note(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.note(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

//! A socket under TLS that reads more from the system at once than TLS asks for.
//!
//! rustls asks for 4 KiB at a time, and a record has 16 KiB: four or five calls of the system for
//! each record. This stream reads several records with one call, while the reader of a recording
//! takes them quickly. For a reader who does not, it reads what is asked for and holds nothing.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_util::io::poll_read_buf;

/// The bytes that one call of the system may bring; 0 for as many as TLS asks for. The owner of a
/// connection sets it, and the socket under its TLS reads it.
#[derive(Clone, Default)]
pub(in crate::pbx) struct ReadSize(Arc<AtomicUsize>);

impl ReadSize {
    pub(in crate::pbx) fn set(&self, bytes: usize) {
        self.0.store(bytes, Relaxed);
    }
}

/// A TCP stream that reads ahead.
pub(in crate::pbx) struct ReadAhead {
    stream: TcpStream,
    size: ReadSize,
    /// Bytes that TLS has not asked for yet.
    buffer: BytesMut,
}

impl ReadAhead {
    pub(in crate::pbx) fn new(stream: TcpStream, size: ReadSize) -> Self {
        Self {
            stream,
            size,
            buffer: BytesMut::new(),
        }
    }
}

impl AsyncRead for ReadAhead {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        asked: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self {
            stream,
            size,
            buffer,
        } = &mut *self;
        if buffer.is_empty() {
            let size = size.0.load(Relaxed);
            if size <= asked.remaining() {
                return Pin::new(stream).poll_read(context, asked);
            }
            buffer.reserve(size);
            let read = poll_read_buf(Pin::new(stream), context, &mut buffer.limit(size));
            ready!(read)?;
        }
        let bytes = buffer.split_at(asked.remaining().min(buffer.len())).0;
        asked.put_slice(bytes);
        let taken = bytes.len();
        buffer.advance(taken);
        if buffer.is_empty() {
            // The next read, of whichever connection, gets this memory while it is still in the
            // processor's cache.
            *buffer = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ReadAhead {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
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

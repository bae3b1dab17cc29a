//! A socket that tells the watchdog when it takes no bytes, and that waits at its end for a caller
//! who still sends.
//!
//! hyper has no limit on the time of a write, and it polls no body while one hangs. At the end it
//! does not wait for a caller who still sends: a socket that is closed with unread bytes in it is
//! reset, and the kernel drops what it has not sent. An HTTP/2 reader always sends something more,
//! its window updates, so the end of an answer could be lost.
//!
//! Source: RFC 9112 §9.6, which describes the same of HTTP/1.1.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use crate::relay::Watchdog;

/// Longest silence of the caller after our side has closed, before the socket is closed; and the
/// longest such time in all.
const MAX_LINGER_SILENCE: Duration = Duration::from_secs(5);
const MAX_LINGER: Duration = Duration::from_secs(30);

/// A TCP stream under a watchdog.
pub(super) struct WatchedIo {
    stream: TcpStream,
    watchdog: Arc<Watchdog>,
    /// The state that the watchdog was told last, so that it is told changes only.
    blocked: bool,
    /// Whether the socket reads at its end until the caller has closed.
    lingers: bool,
    end: Option<LingerPeriod>,
}

/// The time after our side has closed.
struct LingerPeriod {
    since: Instant,
    patience: Pin<Box<Sleep>>,
}

impl WatchedIo {
    pub(super) fn new(stream: TcpStream, watchdog: Arc<Watchdog>) -> Self {
        Self {
            stream,
            watchdog,
            blocked: false,
            lingers: false,
            end: None,
        }
    }

    /// Makes the socket wait at its end until the caller has closed its side, too, for 30 s at
    /// most.
    pub(super) fn linger(&mut self) {
        self.lingers = true;
    }

    /// Reads and drops bytes until the caller has closed its side or the time is over.
    fn poll_last_words(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let end = self.end.get_or_insert_with(|| LingerPeriod {
            since: Instant::now(),
            patience: Box::pin(sleep(MAX_LINGER_SILENCE)),
        });
        let mut bytes = [0; 1024];
        loop {
            let mut words = ReadBuf::new(&mut bytes);
            match Pin::new(&mut self.stream).poll_read(context, &mut words) {
                Poll::Ready(Ok(())) if !words.filled().is_empty() => {
                    let (now, last) = (Instant::now(), end.since + MAX_LINGER);
                    // A caller who never stops sending is not waited for.
                    if now >= last {
                        return Poll::Ready(());
                    }
                    end.patience
                        .as_mut()
                        .reset((now + MAX_LINGER_SILENCE).min(last));
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return end.patience.as_mut().poll(context),
            }
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
        if self.end.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
        }
        if self.lingers {
            ready!(self.poll_last_words(context));
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    #[tokio::test]
    async fn a_caller_who_still_sends_gets_the_last_bytes() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let caller = TcpSocket::new_v4().unwrap();
        // So most of the answer is still unsent when the server shuts down.
        caller.set_recv_buffer_size(4096).unwrap();
        let caller = caller.connect(listener.local_addr().unwrap());
        let mut caller = caller.await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let watchdog = Arc::new(Watchdog::new(Duration::from_secs(600)));
        let mut io = WatchedIo::new(stream, watchdog);
        io.linger();
        let answer = vec![7; 1_000_000];
        let whole = answer.clone();
        let server = tokio::spawn(async move {
            io.write_all(&answer).await.unwrap();
            // By now the socket holds unread bytes.
            io.stream.readable().await.unwrap();
            io.shutdown().await.unwrap();
        });
        let mut received = vec![0; 100_000];
        caller.read_exact(&mut received).await.unwrap();
        caller.write_all(b"I have read so much").await.unwrap();
        caller.read_to_end(&mut received).await.unwrap();
        assert!(received == whole);
        drop(caller);
        server.await.unwrap();
    }
}

//! Replaces hyper's own answer to a head that is too long by one that explains itself.
//!
//! hyper answers 431 by itself, does not say which bound was passed, and closes the connection.
//! This stream recognizes that answer and sends another text instead. Knows the bytes of that one
//! answer, and that hyper never writes it while another answer is in flight: a recording may
//! contain the same bytes. Does not know the text.
//!
//! The socket must read on while a caller still sends the rest of such a head: else a reset takes
//! the answer away (RFC 9112 §9.6).

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Start and body field of hyper's answer. No other answer matches: the gateway's own answers of
/// this status are longer.
const REFUSAL_START: &[u8] = b"HTTP/1.1 431 Request Header Fields Too Large\r\n";
const MAX_REFUSAL_BYTES: usize = 160;
const EMPTY_BODY_FIELD: &[u8] = b"content-length: 0\r\n";

/// Number of answers of one connection that are in flight: from the request until the body is
/// dropped.
#[derive(Clone, Debug, Default)]
pub(super) struct InFlight(Arc<AtomicUsize>);

/// One answer in flight; dropping it ends the count.
pub(super) struct InFlightAnswer(InFlight);

impl InFlight {
    pub(super) fn begin(&self) -> InFlightAnswer {
        self.0.fetch_add(1, Ordering::Relaxed);
        InFlightAnswer(self.clone())
    }

    fn is_empty(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

impl Drop for InFlightAnswer {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A body that counts as in flight until it is dropped.
pub(super) struct CountedBody<B> {
    pub(super) body: B,
    #[expect(dead_code, reason = "held, not looked at")]
    pub(super) answering: InFlightAnswer,
}

impl<B: Body + Unpin> Body for CountedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The stream under hyper's HTTP/1.1, which sends the explaining text instead of the bare answer.
pub(super) struct RefusalStream<S, T> {
    stream: S,
    in_flight: InFlight,
    /// Bytes of an earlier answer may still be in hyper's buffer: hyper has not flushed since it
    /// wrote.
    is_unflushed: bool,
    /// Makes the text, and makes the stream linger at its end. Taken when it is used.
    text_for: Option<T>,
    text: Option<RefusalText>,
}

struct RefusalText {
    bytes: Vec<u8>,
    sent: usize,
}

impl<S, T: FnOnce(&mut S) -> Vec<u8>> RefusalStream<S, T> {
    pub(super) fn new(stream: S, in_flight: InFlight, text_for: T) -> Self {
        Self {
            stream,
            in_flight,
            is_unflushed: false,
            text_for: Some(text_for),
            text: None,
        }
    }

    /// Whether the text replaces these bytes. They are hyper's bare answer only if no answer is in
    /// flight and none is left in hyper's buffer.
    fn replaces(&mut self, bytes: &[u8]) -> bool {
        if self.text.is_none()
            && !self.is_unflushed
            && self.in_flight.is_empty()
            && is_bare_refusal(bytes)
            && let Some(text_for) = self.text_for.take()
        {
            let bytes = text_for(&mut self.stream);
            self.text = Some(RefusalText { bytes, sent: 0 });
        }
        self.text.is_some()
    }
}

fn is_bare_refusal(bytes: &[u8]) -> bool {
    bytes.len() <= MAX_REFUSAL_BYTES
        && bytes.starts_with(REFUSAL_START)
        && bytes.ends_with(b"\r\n\r\n")
        && bytes
            .windows(EMPTY_BODY_FIELD.len())
            .any(|window| window == EMPTY_BODY_FIELD)
}

impl<S: AsyncRead + Unpin, T: Unpin> AsyncRead for RefusalStream<S, T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin, T: FnOnce(&mut S) -> Vec<u8> + Unpin> AsyncWrite
    for RefusalStream<S, T>
{
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if !self.replaces(bytes) {
            self.is_unflushed = true;
            return Pin::new(&mut self.stream).poll_write(context, bytes);
        }
        let Self { stream, text, .. } = &mut *self;
        while let Some(RefusalText { bytes, sent }) = text
            && let Some(rest @ [_, ..]) = bytes.get(*sent..)
        {
            match ready!(Pin::new(&mut *stream).poll_write(context, rest))? {
                0 => return Poll::Ready(Ok(0)),
                count => *sent += count,
            }
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match slices.first() {
            Some(first) if self.replaces(first) => self.poll_write(context, first),
            _ => {
                self.is_unflushed = true;
                Pin::new(&mut self.stream).poll_write_vectored(context, slices)
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper flushes once its own buffer is empty. With no answer in flight, the next write begins
    /// a new answer.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        self.is_unflushed &= !self.in_flight.is_empty();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_bare_answer_is_replaced() {
        let bare = "HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\
                    date: Mon, 30 Nov 2026 07:41:00 GMT\r\n\r\n";
        assert!(is_bare_refusal(bare.as_bytes()));
        for other in [
            "",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n",
            &bare.replace("length: 0", "length: 9"),
            &format!("{bare}x"),
            &format!("x{bare}"),
            &bare.replace("date: ", &"date: ".repeat(20)),
        ] {
            assert!(!is_bare_refusal(other.as_bytes()), "{other}");
        }
    }

    #[tokio::test]
    async fn an_answer_with_the_same_bytes_goes_out_as_it_is() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};

        let bare = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\n\r\n";
        let (near, mut far) = tokio::io::duplex(4096);
        let in_flight = InFlight::default();
        let mut stream = RefusalStream::new(near, in_flight.clone(), |_: &mut _| b"words".to_vec());
        let answering = in_flight.begin();
        stream.write_all(b"head").await.unwrap();
        stream.flush().await.unwrap();
        stream.write_all(bare).await.unwrap();
        drop(answering);
        // As the rest of a write that was cut short: not flushed yet.
        stream.write_all(bare).await.unwrap();
        stream.flush().await.unwrap();
        stream.write_all(bare).await.unwrap();
        drop(stream);
        let mut received = Vec::new();
        far.read_to_end(&mut received).await.unwrap();
        assert_eq!(
            received,
            [b"head".as_slice(), bare, bare, b"words"].concat()
        );
    }
}

//! A response of the PBX whose body is still to come: a table of calls, an error, or a recording.
//!
//! Knows how HTTP tells the end of a body (RFC 9112, section 6.3). Does not know what the bytes
//! mean.

use std::collections::VecDeque;
use std::error::Error as _;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::TRANSFER_ENCODING;
use http::{HeaderMap, Response};
use http_body::Body as _;
use hyper::body::Incoming;

use super::body_end::{BodyEnd, BodyPart, StreamError};
use super::connection::PbxConnection;
use super::connection_pool::ConnectionPool;
use crate::limits::bandwidth::Turns;
use crate::pbx::content::sniff::{self, Beginning};

/// A response of the PBX whose body is still to come. Dropping it closes the connection.
pub(in crate::pbx) struct PendingResponse {
    connection: PbxConnection,
    /// The pool that the connection goes back to.
    pool: Arc<ConnectionPool>,
    body: Incoming,
    /// Pieces that were read ahead, in order. The last one may be the error that ended the body.
    ahead: VecDeque<hyper::Result<Bytes>>,
    /// Bytes given out by [`PendingResponse::next`].
    received: u64,
    /// The end of the body, as the head of the response tells it.
    framing: BodyEnd,
}

impl PendingResponse {
    /// Takes the head of a response apart from its body, which `connection` carries.
    pub(in crate::pbx) fn new(
        connection: PbxConnection,
        pool: Arc<ConnectionPool>,
        response: Response<Incoming>,
    ) -> (http::response::Parts, Self) {
        let (head, body) = response.into_parts();
        let framing = match body.size_hint().exact() {
            Some(length) => BodyEnd::ContentLength(length),
            None if is_chunked(&head.headers) => BodyEnd::LastChunk,
            None => BodyEnd::Close {
                notified: connection.is_tls(),
            },
        };
        let pending = Self {
            connection,
            pool,
            body,
            ahead: VecDeque::new(),
            received: 0,
            framing,
        };
        (head, pending)
    }

    /// The end of the body, as the head of the response tells it.
    pub(in crate::pbx) fn framing(&self) -> BodyEnd {
        self.framing
    }

    /// Reads as many bytes as it takes to tell what they are.
    pub(in crate::pbx) async fn beginning(&mut self) -> Result<Beginning, StreamError> {
        let first = self.read_ahead(sniff::SNIFF_BYTES).await?;
        Ok(sniff::sniff(&first))
    }

    /// Reads until `bytes` are there or the body ends, and returns a copy of the beginning. A body
    /// that breaks after some bytes is judged by them, and the error is kept behind them: MP3 is
    /// recognized by fewer bytes than are asked for.
    pub(in crate::pbx) async fn read_ahead(
        &mut self,
        bytes: usize,
    ) -> Result<Vec<u8>, StreamError> {
        while self.bytes_ahead() < bytes && !matches!(self.ahead.back(), Some(Err(_))) {
            match poll_fn(|context| self.connection.poll_data(&mut self.body, context)).await {
                Some(data) => self.ahead.push_back(data),
                None => break,
            }
        }
        if matches!(self.ahead.front(), Some(Err(_))) {
            return Err(StreamError::Broken);
        }
        let data = self.ahead.iter().flatten();
        Ok(data.flatten().copied().take(bytes).collect())
    }

    fn bytes_ahead(&self) -> usize {
        self.ahead.iter().flatten().map(Bytes::len).sum()
    }

    /// The next bytes, when it is this reader's turn; `None` at the end.
    pub(in crate::pbx) fn poll_data(
        &mut self,
        turns: &mut Turns,
        context: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Bytes>>> {
        let next = match self.ahead.pop_front() {
            Some(data) => Some(data),
            None => {
                ready!(turns.poll_turn(context));
                ready!(self.connection.poll_data(&mut self.body, context))
            }
        };
        if let Some(Ok(data)) = &next {
            turns.charge(data.len());
        }
        Poll::Ready(next)
    }

    /// The next part of a body that is no recording, when it is this reader's turn.
    ///
    /// # Cancel safety
    /// Safe: nothing is lost.
    pub(in crate::pbx) async fn next(
        &mut self,
        turns: &mut Turns,
    ) -> Result<BodyPart, StreamError> {
        match poll_fn(|context| self.poll_data(turns, context)).await {
            Some(Ok(data)) => {
                self.received += data.len() as u64;
                Ok(BodyPart::Bytes(data))
            }
            end => self.end(end.and_then(Result::err)).map(BodyPart::End),
        }
    }

    /// Judges the end of a body by HTTP alone; nothing in the body tells its length.
    fn end(&self, error: Option<hyper::Error>) -> Result<BodyEnd, StreamError> {
        match (self.framing, error) {
            (BodyEnd::ContentLength(length), None) if self.received != length => {
                Err(StreamError::Truncated)
            }
            (framing, None) => Ok(framing),
            // Embedded servers leave out close_notify: the end is then no more than a closed
            // connection.
            (BodyEnd::Close { notified: true }, Some(error)) if ended_early(&error) => {
                Ok(BodyEnd::Close { notified: false })
            }
            (_, Some(error)) if !ended_early(&error) => Err(StreamError::Broken),
            (_, Some(_)) => Err(StreamError::Truncated),
        }
    }

    /// Returns true if a body that has been read to its end says itself that it has no bytes, by
    /// its `Content-Length` or a last chunk. A connection that closes before the first byte says
    /// nothing.
    pub(in crate::pbx) fn is_told_empty(&self) -> bool {
        let is_told = match self.framing {
            BodyEnd::LastChunk => true,
            other => other.length() == Some(0),
        };
        is_told && self.ahead.is_empty()
    }

    /// Gives the connection back to the pool, which closes it unless it can be used again.
    pub(in crate::pbx) fn give_back(self) {
        self.pool.give_back(self.connection);
    }

    /// The same after the last byte of a known length: hyper has to see the end of the body first.
    pub(in crate::pbx) fn settle(mut self, context: &mut Context<'_>) {
        let end = self.connection.poll_data(&mut self.body, context);
        if let Poll::Ready(None) = end {
            self.give_back();
        }
    }
}

/// Returns true if a body ends with a last chunk: `chunked` is the last coding (RFC 9112, section
/// 6.1).
fn is_chunked(headers: &HeaderMap) -> bool {
    let codings = headers.get_all(TRANSFER_ENCODING).iter();
    let mut last = codings.filter_map(|codings| codings.to_str().ok()?.rsplit(',').next());
    last.next_back()
        .is_some_and(|coding| coding.trim().eq_ignore_ascii_case("chunked"))
}

/// Returns true if the connection ended in the middle of things, as TLS without close_notify does.
pub(in crate::pbx) fn ended_early(error: &hyper::Error) -> bool {
    let mut next = error.source();
    while let Some(cause) = next {
        if let Some(error) = cause.downcast_ref::<io::Error>() {
            return error.kind() == io::ErrorKind::UnexpectedEof;
        }
        next = cause.source();
    }
    false
}

//! A response of the PBX whose body is still to come: a table of calls, an error, or a recording.
//!
//! Knows how HTTP tells the end of a body (RFC 9112, section 6.3). Does not know what the bytes
//! mean.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::body_end::{BodyEnd, BodyPart, StreamError};
use super::connection::PbxConnection;
use super::connection_pool::ConnectionPool;
use super::http1::{Body, ResponseHead};
use crate::limits::bandwidth::Turns;
use crate::pbx::content::sniff::{self, Beginning};

/// The bytes that one call of the system brings of a body whose reader is quick.
const MAX_READ_AHEAD: usize = 64 * 1024;

/// A response of the PBX whose body is still to come. Dropping it closes the connection.
pub(in crate::pbx) struct PendingResponse {
    connection: PbxConnection,
    /// The pool that the connection goes back to.
    pool: Arc<ConnectionPool>,
    /// Pieces that were read ahead, in order. The last one may be the error that ended the body.
    ahead: VecDeque<io::Result<Bytes>>,
    /// Bytes given out by [`PendingResponse::next`].
    received: u64,
    /// The end of the body, as the head of the response tells it.
    framing: BodyEnd,
}

impl PendingResponse {
    /// A response with this head, whose body `connection` carries.
    pub(in crate::pbx) fn new(
        connection: PbxConnection,
        pool: Arc<ConnectionPool>,
        head: &ResponseHead,
    ) -> Self {
        let framing = match head.body {
            Body::Length(length) => BodyEnd::ContentLength(length),
            Body::Chunked(_) => BodyEnd::LastChunk,
            Body::Close => BodyEnd::Close {
                notified: connection.is_tls(),
            },
        };
        // A short body is no burden if its reader is slow.
        if framing
            .length()
            .is_some_and(|length| length <= MAX_READ_AHEAD as u64)
        {
            connection.read_by(MAX_READ_AHEAD);
        }
        Self {
            connection,
            pool,
            ahead: VecDeque::new(),
            received: 0,
            framing,
        }
    }

    /// The end of the body, as the head of the response tells it.
    pub(in crate::pbx) fn framing(&self) -> BodyEnd {
        self.framing
    }

    /// Reads ahead for a reader who takes the bytes quickly, and not for others.
    pub(in crate::pbx) fn read_ahead_if(&self, is_quick: bool) {
        self.connection
            .read_by(if is_quick { MAX_READ_AHEAD } else { 0 });
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
            match poll_fn(|context| self.connection.poll_data(context)).await {
                Some(data) => self.ahead.push_back(data),
                None => break,
            }
        }
        if matches!(self.ahead.front(), Some(Err(_))) {
            return Err(StreamError::Broken);
        }
        Ok(beginning(self.ahead.iter().flatten(), bytes))
    }

    fn bytes_ahead(&self) -> usize {
        self.ahead.iter().flatten().map(Bytes::len).sum()
    }

    /// The next bytes, when it is this reader's turn; `None` at the end.
    pub(in crate::pbx) fn poll_data(
        &mut self,
        turns: &mut Turns,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Bytes>>> {
        let next = match self.ahead.pop_front() {
            Some(data) => Some(data),
            None => {
                ready!(turns.poll_turn(context));
                ready!(self.connection.poll_data(context))
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
    fn end(&self, error: Option<io::Error>) -> Result<BodyEnd, StreamError> {
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
}

/// A copy of the first `limit` bytes of these pieces.
pub(crate) fn beginning<'p>(pieces: impl Iterator<Item = &'p Bytes>, limit: usize) -> Vec<u8> {
    let mut first = Vec::new();
    for piece in pieces {
        let left = limit.saturating_sub(first.len());
        first.extend_from_slice(piece.get(..left).unwrap_or(piece));
    }
    first
}

/// Returns true if the connection ended in the middle of things, as TLS without close_notify does.
pub(in crate::pbx) fn ended_early(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::UnexpectedEof
}

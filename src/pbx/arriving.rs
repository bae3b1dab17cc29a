//! An answer of the PBX that has not been judged yet: a table of calls, an error, or what will turn out a recording.
//!
//! Knows how HTTP tells the end of a body. Does not know what the bytes are.

use std::collections::VecDeque;
use std::error::Error as _;
use std::future::poll_fn;
use std::io;

use bytes::Bytes;
use http_body::Body as _;
use hyper::body::Incoming;

use super::connection::Connection;
use super::sniff::{self, Beginning};
use super::stream::StreamError;
use crate::limits::bandwidth::Turns;

/// How HTTP tells the end of a body.
#[derive(Debug, Clone, Copy)]
pub(super) enum Framing {
    /// By a `Content-Length`.
    Length(u64),
    /// By a last chunk.
    Chunked,
    /// By the end of the connection. With TLS that is told on purpose, by close_notify.
    UntilClose { tls: bool },
}

/// How a body ended, where nothing in it tells its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// On purpose: at its `Content-Length`, with a last chunk, or with TLS's close_notify.
    Told,
    /// As the answer of a process that died would end, too.
    Untold,
}

/// What comes next of a body.
pub(super) enum Piece {
    Bytes(Bytes),
    End(End),
}

/// An answer of the PBX whose body has not been judged yet.
pub(super) struct Arriving {
    pub(super) connection: Connection,
    pub(super) body: Incoming,
    /// Given out by [`Arriving::next`].
    received: u64,
    /// What has been read ahead, in order; the last may be how the body broke.
    pub(super) ahead: VecDeque<hyper::Result<Bytes>>,
    /// Reading ahead has come to the end.
    is_over: bool,
    pub(super) framing: Framing,
    /// Which byte of what is fetched comes first.
    pub(super) start: u64,
}

impl Arriving {
    /// `chunked` says that the body comes in chunks.
    pub(super) fn new(connection: Connection, body: Incoming, chunked: bool) -> Self {
        let framing = match body.size_hint().exact() {
            Some(length) => Framing::Length(length),
            None if chunked => Framing::Chunked,
            None => Framing::UntilClose {
                tls: connection.is_tls(),
            },
        };
        Self {
            connection,
            body,
            received: 0,
            ahead: VecDeque::new(),
            is_over: false,
            framing,
            start: 0,
        }
    }

    /// Reads as many bytes as it takes to tell what they are.
    pub(super) async fn beginning(&mut self) -> Result<Beginning, StreamError> {
        let first = self.read_ahead(sniff::ENOUGH).await?;
        Ok(sniff::sniff(&first))
    }

    /// Reads until `bytes` are there or the body ends, and returns a copy of the beginning. A body that breaks after
    /// some bytes is judged by them, and the break is kept behind them: MP3 is recognised by fewer than are asked for.
    pub(super) async fn read_ahead(&mut self, bytes: usize) -> Result<Vec<u8>, StreamError> {
        while self.bytes_ahead() < bytes && !matches!(self.ahead.back(), Some(Err(_))) {
            match poll_fn(|context| self.connection.poll_data(&mut self.body, context)).await {
                Some(data) => self.ahead.push_back(data),
                None => {
                    self.is_over = true;
                    break;
                }
            }
        }
        if matches!(self.ahead.front(), Some(Err(_))) {
            return Err(StreamError::Broken);
        }
        let data = self.ahead.iter().flatten();
        Ok(data.flatten().copied().take(bytes).collect())
    }

    /// The next bytes of a body that is no audio, when it is this reader's turn.
    pub(super) async fn next(&mut self, turns: &mut Turns) -> Result<Piece, StreamError> {
        let next = match self.ahead.pop_front() {
            Some(data) => Some(data),
            None => {
                poll_fn(|context| turns.poll_turn(context)).await;
                poll_fn(|context| self.connection.poll_data(&mut self.body, context)).await
            }
        };
        match next {
            Some(Ok(data)) => {
                self.received += data.len() as u64;
                turns.charge(data.len());
                Ok(Piece::Bytes(data))
            }
            end => self.end(end.and_then(Result::err)).map(Piece::End),
        }
    }

    /// Judges the end of a body by how HTTP tells it; nothing in it tells more.
    fn end(&self, error: Option<hyper::Error>) -> Result<End, StreamError> {
        match (self.framing, error) {
            (Framing::Length(length), None) if self.received == length => Ok(End::Told),
            (Framing::Chunked | Framing::UntilClose { tls: true }, None) => Ok(End::Told),
            (Framing::UntilClose { tls: false }, None) => Ok(End::Untold),
            // Embedded servers leave out close_notify.
            (Framing::UntilClose { tls: true }, Some(error)) if ended_early(&error) => {
                Ok(End::Untold)
            }
            (_, Some(error)) if !ended_early(&error) => Err(StreamError::Broken),
            (_, _) => Err(StreamError::Truncated),
        }
    }

    /// Whether a body that has been read to its end says itself that it has no bytes, by its `Content-Length` or a last chunk. A
    /// connection that closes before the first byte says nothing.
    pub(super) fn is_told_empty(&self) -> bool {
        let is_told = match self.framing {
            Framing::Length(length) => length == 0,
            Framing::Chunked => true,
            Framing::UntilClose { .. } => false,
        };
        is_told && self.ahead.is_empty()
    }

    fn bytes_ahead(&self) -> usize {
        self.ahead.iter().flatten().map(Bytes::len).sum()
    }
}

/// Whether the connection ended in the middle of things, as TLS without close_notify does.
pub(super) fn ended_early(error: &hyper::Error) -> bool {
    let mut next = error.source();
    while let Some(cause) = next {
        if let Some(error) = cause.downcast_ref::<io::Error>() {
            return error.kind() == io::ErrorKind::UnexpectedEof;
        }
        next = cause.source();
    }
    false
}

//! A recording on its way from the PBX.
//!
//! Knows when a recording is whole. Does not know who listens. Holds everything the download needs to last as long as
//! it does: the connection and the permit; dropping it closes the one and gives back the other.

use std::collections::VecDeque;
use std::error::Error as _;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::Body as _;
use hyper::body::Incoming;
use thiserror::Error;

use super::connection::{Connection, KeptConnections};
use super::pace::Turns;
use super::queue::Place;
use super::sniff::{self, Audio, Beginning};
use super::token::PbxToken;

/// Why a recording broke off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum StreamError {
    #[error("the PBX's connection broke")]
    Broken,
    #[error("the PBX ended the recording before its end")]
    Truncated,
}

/// How HTTP tells the end of a body.
#[derive(Debug, Clone, Copy)]
enum Framing {
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
    connection: Connection,
    body: Incoming,
    /// Given out by [`Arriving::next`].
    received: u64,
    /// What has been read ahead, in order; the last may be how the body broke.
    ahead: VecDeque<hyper::Result<Bytes>>,
    framing: Framing,
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
            framing,
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
                None => break,
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

    fn bytes_ahead(&self) -> usize {
        self.ahead.iter().flatten().map(Bytes::len).sum()
    }

    /// What has been recognised as audio becomes a stream.
    pub(super) fn into_stream(
        self,
        audio: Audio,
        kept: Arc<KeptConnections>,
        held: Held,
        turns: Turns,
    ) -> PbxStream {
        PbxStream {
            audio,
            framing: self.framing,
            received: 0,
            ahead: self.ahead,
            body: self.body,
            connection: Some(self.connection),
            kept,
            turns,
            _held: held,
        }
    }
}

/// The bytes of a recording, from its start, as they come from the PBX.
pub(crate) struct PbxStream {
    audio: Audio,
    framing: Framing,
    received: u64,
    ahead: VecDeque<hyper::Result<Bytes>>,
    body: Incoming,
    /// Gone once the body has ended.
    connection: Option<Connection>,
    kept: Arc<KeptConnections>,
    turns: Turns,
    _held: Held,
}

/// What a download holds on to: its place among those of the PBX, and the token it was opened with.
pub(super) struct Held {
    pub(super) _permit: Arc<Place>,
    pub(super) _token: Arc<PbxToken>,
}

impl PbxStream {
    /// The media type, from the content.
    pub(crate) fn media_type(&self) -> &'static str {
        match self.audio {
            Audio::Wave { .. } => "audio/wav",
            Audio::Mpeg => "audio/mpeg",
        }
    }

    /// The length of the whole, where HTTP tells and enforces it. The RIFF header is not taken for it: a file may go
    /// on behind what its header tells.
    pub(crate) fn length(&self) -> Option<u64> {
        match self.framing {
            Framing::Length(length) => Some(length),
            Framing::Chunked | Framing::UntilClose { .. } => None,
        }
    }

    /// The next bytes; `None` after the last byte of a recording that is whole.
    pub(crate) fn poll_bytes(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, StreamError>>> {
        let Some(connection) = &mut self.connection else {
            return Poll::Ready(None);
        };
        let next = match self.ahead.pop_front() {
            Some(data) => Some(data),
            None => {
                ready!(self.turns.poll_turn(context));
                ready!(connection.poll_data(&mut self.body, context))
            }
        };
        match next {
            Some(Ok(data)) => {
                self.received += data.len() as u64;
                self.turns.charge(data.len());
                if self.length() == Some(self.received) {
                    self.settle(context);
                }
                Poll::Ready(Some(Ok(data)))
            }
            end => Poll::Ready(self.end(end.and_then(Result::err)).err().map(Err)),
        }
    }

    /// Whether the bytes given out so far are the whole recording, known without asking for more.
    pub(crate) fn has_ended(&self) -> bool {
        self.connection.is_none() && self.length() == Some(self.received)
    }

    /// After the last byte of a known length nobody polls again, so the connection is put away now.
    fn settle(&mut self, context: &mut Context<'_>) {
        let Some(mut connection) = self.connection.take() else {
            return;
        };
        if let Poll::Ready(None) = connection.poll_data(&mut self.body, context) {
            self.kept.put(connection);
        }
    }

    /// Judges the end of the body by how HTTP tells it and by the length in the RIFF header.
    fn end(&mut self, error: Option<hyper::Error>) -> Result<(), StreamError> {
        let connection = self.connection.take();
        let by_header = match self.audio {
            Audio::Wave { total } => total,
            Audio::Mpeg => None,
        };
        // Some files go on behind what their header tells.
        let reached = by_header.is_none_or(|total| self.received >= total);
        // A chunk of odd length is followed by one byte that belongs to nothing.
        let exact = by_header.is_some_and(|total| reached && self.received - total <= (total & 1));
        let cut_short = error.as_ref().is_none_or(ended_early);
        let whole = match (self.framing, error) {
            (Framing::Length(length), None) => self.received == length,
            (Framing::Chunked | Framing::UntilClose { tls: true }, None) => reached,
            // That of a process that died looks the same, so the header must tell.
            (Framing::UntilClose { tls: false }, None) => reached && by_header.is_some(),
            // Embedded servers leave out close_notify. Exactly at the end of the file that is forgiven.
            (Framing::UntilClose { tls: true }, Some(_)) => cut_short && exact,
            (_, Some(_)) => false,
        };
        match (whole, connection) {
            (true, Some(connection)) => self.kept.put(connection),
            (true, None) => {}
            (false, _) if cut_short => return Err(StreamError::Truncated),
            (false, _) => return Err(StreamError::Broken),
        }
        Ok(())
    }
}

/// Whether the connection ended in the middle of things, as TLS without close_notify does.
fn ended_early(error: &hyper::Error) -> bool {
    let mut next = error.source();
    while let Some(cause) = next {
        if let Some(error) = cause.downcast_ref::<io::Error>() {
            return error.kind() == io::ErrorKind::UnexpectedEof;
        }
        next = cause.source();
    }
    false
}

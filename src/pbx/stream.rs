//! One connection's worth of a recording, or of a part of it.
//!
//! Knows where a recording ends. Does not know who listens, or what is done when it breaks off. Holds everything the
//! download needs to last as long as it does: the connection and the permit; dropping it closes the one and gives back
//! the other.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::Incoming;
use thiserror::Error;

use super::Permit;
use super::arriving::{Arriving, Framing, ended_early};
use super::connection::{Connection, KeptConnections};
use super::sniff::Audio;
use super::token::PbxToken;
use crate::limits::bandwidth::Turns;

/// Why a recording broke off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum StreamError {
    #[error("the PBX's connection broke")]
    Broken,
    #[error("the PBX ended the recording before its end")]
    Truncated,
    #[error("the PBX sent nothing for too long")]
    Stalled,
}

/// How a recording's bytes ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Where its length says.
    Whole,
    /// On purpose, where nothing trustworthy tells the end: there is no length, or a header that says more than came.
    Clean,
}

/// What comes next of a recording.
pub(super) enum Part {
    Bytes(Bytes),
    End(End),
}

type Next = Result<Part, StreamError>;

/// The bytes of a recording, or of a part of it, as they come from the PBX.
pub(super) struct PbxStream {
    audio: Audio,
    framing: Framing,
    /// Where in the recording it begins.
    start: u64,
    /// Where in the recording it has come to.
    position: u64,
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
    pub(super) _permit: Permit,
    pub(super) _token: Arc<PbxToken>,
}

impl PbxStream {
    /// An answer that has been recognised as audio.
    pub(super) fn new(
        arriving: Arriving,
        audio: Audio,
        kept: Arc<KeptConnections>,
        held: Held,
        turns: Turns,
    ) -> Self {
        Self {
            audio,
            framing: arriving.framing,
            start: arriving.start,
            position: arriving.start,
            ahead: arriving.ahead,
            body: arriving.body,
            connection: Some(arriving.connection),
            kept,
            turns,
            _held: held,
        }
    }

    /// What it is, by its content.
    pub(super) fn audio(&self) -> Audio {
        self.audio
    }

    /// Where in the recording it begins: at its start, unless a part of it is given out.
    pub(super) fn start(&self) -> u64 {
        self.start
    }

    /// Where in the recording it ends, so the length of the whole where that is given out, where HTTP tells and enforces
    /// it. The RIFF header is not taken for it: a file may go on behind what its header tells.
    pub(super) fn length(&self) -> Option<u64> {
        match self.framing {
            Framing::Length(length) => Some(self.start.saturating_add(length)),
            Framing::Chunked | Framing::UntilClose { .. } => None,
        }
    }

    /// What comes next. Nothing after an end or an error.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Next> {
        let Some(connection) = &mut self.connection else {
            return Poll::Ready(Ok(Part::End(End::Whole)));
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
                self.position += data.len() as u64;
                self.turns.charge(data.len());
                if self.length() == Some(self.position) {
                    self.settle(context);
                }
                Poll::Ready(Ok(Part::Bytes(data)))
            }
            end => Poll::Ready(self.end(end.and_then(Result::err)).map(Part::End)),
        }
    }

    /// Whether it waits for its turn, and not for the PBX.
    pub(super) fn waits_its_turn(&self) -> bool {
        self.turns.is_waiting()
    }

    /// Whether the bytes given out so far are the whole recording, known without asking for more.
    pub(super) fn has_ended(&self) -> bool {
        self.connection.is_none() && self.length() == Some(self.position)
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
    fn end(&mut self, error: Option<hyper::Error>) -> Result<End, StreamError> {
        let connection = self.connection.take();
        let cut_short = error.as_ref().is_none_or(ended_early);
        let told = error.is_none();
        let end = match (self.framing, self.by_header()) {
            // hyper counts.
            (Framing::Length(_), _) => told.then_some(End::Whole),
            // The header fits.
            (Framing::Chunked, ByHeader::Exact) => told.then_some(End::Whole),
            // Embedded servers leave out close_notify, so it is not asked for.
            (Framing::UntilClose { .. }, ByHeader::Exact) => cut_short.then_some(End::Whole),
            // The header tells nothing: then another pass has to end here, too. A FIN without close_notify is an end on
            // purpose, since embedded servers know no other.
            (Framing::Chunked, ByHeader::Open) => told.then_some(End::Clean),
            (Framing::UntilClose { .. }, ByHeader::Open) => cut_short.then_some(End::Clean),
        };
        match (end, connection) {
            (Some(end), Some(connection)) => {
                self.kept.put(connection);
                Ok(end)
            }
            (Some(end), None) => Ok(end),
            (None, _) if cut_short => Err(StreamError::Truncated),
            (None, _) => Err(StreamError::Broken),
        }
    }

    /// What the length in the RIFF header says about the bytes that have come.
    fn by_header(&self) -> ByHeader {
        let Some(total) = self.audio.told_length() else {
            return ByHeader::Open;
        };
        match self.position.checked_sub(total) {
            // A chunk of odd length is followed by one byte that belongs to nothing.
            Some(more) if more <= (total & 1) => ByHeader::Exact,
            _ => ByHeader::Open,
        }
    }
}

/// What a recording's header says about the bytes that have come.
#[derive(Clone, Copy)]
enum ByHeader {
    /// Nothing, or another length, and so nothing either. A writer that was stopped leaves the size it had meant to reach.
    Open,
    /// They are the whole.
    Exact,
}

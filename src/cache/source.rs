//! Where the bytes of one transfer come from: an entry of the cache, or a passthrough.
//!
//! Knows the operations of both kinds. Does not know where the bytes go.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;

use super::entry::Reader;
use super::passthrough::Passthrough;
use super::{CacheError, Metadata};
use crate::metrics::Hit;

/// The bytes of a recording, or of a part of it, for one caller.
pub(crate) enum Source {
    /// From an entry, as soon as its fill has written them.
    Entry(Reader),
    /// From the PBX, for this caller alone.
    Passthrough(Box<Passthrough>),
}

impl Source {
    /// Waits until the beginning has been read, and returns the metadata.
    ///
    /// # Errors
    /// Why there is no recording.
    ///
    /// # Cancel safety
    /// Safe.
    pub(crate) async fn metadata(&mut self) -> Result<Arc<Metadata>, CacheError> {
        match self {
            Self::Entry(reader) => reader.metadata().await,
            Self::Passthrough(passthrough) => Ok(Arc::clone(passthrough.metadata())),
        }
    }

    /// Whether [`Source::metadata`] would return at once.
    pub(crate) fn has_begun(&self) -> bool {
        match self {
            Self::Entry(reader) => reader.has_begun(),
            Self::Passthrough(_) => true,
        }
    }

    /// The kind of cache hit; `None` where this caller has a reading of its own.
    pub(crate) fn hit(&self) -> Option<Hit> {
        match self {
            Self::Entry(reader) if reader.is_filling() => Some(Hit::Joined),
            Self::Entry(_) => Some(Hit::Cache),
            Self::Passthrough(_) => None,
        }
    }

    /// Waits for the end of a recording whose length is not known, and returns the length. The
    /// source may [be spent](Self::is_spent) by it: then the recording has to be opened again.
    ///
    /// # Errors
    /// When it breaks off before.
    ///
    /// # Cancel safety
    /// Safe, but the source may be spent.
    pub(crate) async fn learn_length(&mut self) -> Result<u64, CacheError> {
        match self {
            Self::Entry(reader) => reader.length().await,
            Self::Passthrough(passthrough) => passthrough.learn_length().await,
        }
    }

    /// As [`Source::learn_length`], for a request that cannot be answered without the length: a
    /// window drops its bytes for it.
    ///
    /// # Errors
    /// When it breaks off before.
    ///
    /// # Cancel safety
    /// Safe, but the source may be spent.
    pub(crate) async fn learn_length_at_any_price(&mut self) -> Result<u64, CacheError> {
        match self {
            Self::Entry(reader) => reader.length_at_any_price().await,
            Self::Passthrough(passthrough) => passthrough.learn_length().await,
        }
    }

    /// Expects the recording that was read to its end `before`, if the beginning is the same.
    /// Returns whether it is.
    pub(crate) fn expect(&mut self, before: &Arc<Metadata>) -> bool {
        match self {
            Self::Entry(reader) => reader.looks_like(before),
            Self::Passthrough(passthrough) => passthrough.expect(before),
        }
    }

    /// Whether the bytes up to `end` are there, and the fill has stopped.
    pub(crate) fn has_stopped_at(&self, end: u64) -> bool {
        match self {
            Self::Entry(reader) => reader.has_stopped_at(end),
            Self::Passthrough(_) => false,
        }
    }

    /// Whether bytes that this caller has not taken are gone.
    pub(crate) fn is_spent(&self) -> bool {
        match self {
            Self::Entry(reader) => reader.is_spent(),
            Self::Passthrough(passthrough) => passthrough.is_spent(),
        }
    }

    /// Waits until the recording has been read beyond `offset`, and returns how far; its end, where
    /// it ends before.
    ///
    /// # Errors
    /// When it breaks off before.
    ///
    /// # Cancel safety
    /// Safe, but the bytes before `offset` may be gone.
    pub(crate) async fn read_beyond(&mut self, offset: u64) -> Result<u64, CacheError> {
        match self {
            Self::Entry(reader) => reader.read_beyond(offset).await,
            Self::Passthrough(passthrough) => passthrough.read_beyond(offset).await,
        }
    }

    /// Goes to `offset`, to read up to `end` (exclusive), or to the end of the recording. Call it
    /// before the first byte is taken.
    pub(crate) fn go_to(&mut self, offset: u64, end: Option<u64>) {
        match self {
            Self::Entry(reader) => reader.go_to(offset, end),
            Self::Passthrough(passthrough) => passthrough.go_to(offset, end),
        }
    }

    /// Notes whether the caller takes the bytes quickly. A caller from the cache costs no memory
    /// either way.
    pub(crate) fn note_pace(&self, is_quick: bool) {
        match self {
            Self::Entry(_) => {}
            Self::Passthrough(passthrough) => passthrough.note_pace(is_quick),
        }
    }

    /// Polls for the next bytes; `None` at the end of the wanted bytes.
    pub(crate) fn poll_bytes(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, CacheError>>> {
        match self {
            Self::Entry(reader) => reader.poll_bytes(context),
            Self::Passthrough(passthrough) => passthrough.poll_bytes(context),
        }
    }

    /// Whether all wanted bytes have been given out; known without a poll.
    pub(crate) fn has_ended(&self) -> bool {
        match self {
            Self::Entry(reader) => reader.has_ended(),
            Self::Passthrough(passthrough) => passthrough.has_ended(),
        }
    }

    /// Whether the PBX and the header told no end, and two passes agreed on one; known at the end.
    pub(crate) fn end_is_agreed(&self) -> bool {
        match self {
            Self::Entry(reader) => reader.end_is_agreed(),
            Self::Passthrough(passthrough) => passthrough.metadata().end_is_agreed(),
        }
    }

    /// The least bytes per second at which the caller has to take the bytes: there is such a bound
    /// while other requests wait for the download slot that this transfer holds.
    pub(crate) fn least_pace(&self) -> Option<u64> {
        match self {
            Self::Entry(reader) => reader.least_pace(),
            Self::Passthrough(passthrough) => passthrough.reading().least_pace(),
        }
    }
}

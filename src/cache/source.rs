//! Where the bytes of one transfer come from: an entry, or straight from the PBX.
//!
//! Knows what both can do. Does not know where the bytes go.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;

use super::entry::Reader;
use super::passthrough::Passthrough;
use super::{CacheError, Metadata};
use crate::metrics::Hit;

/// The bytes of a recording, or of a part of it, for one caller.
pub(crate) enum Source {
    /// From memory, or as they come in there.
    Entry(Reader),
    /// As they come from the PBX, for this caller alone.
    Passthrough(Box<Passthrough>),
}

impl Source {
    /// What is known of the recording, once its beginning has been read.
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

    /// Whether it is known what it is, or why it cannot be had.
    pub(crate) fn has_begun(&self) -> bool {
        match self {
            Self::Entry(reader) => reader.has_begun(),
            Self::Passthrough(_) => true,
        }
    }

    /// How it serves one more caller without another read.
    pub(crate) fn hit(&self) -> Option<Hit> {
        match self {
            Self::Entry(reader) if reader.is_filling() => Some(Hit::Joined),
            Self::Entry(_) => Some(Hit::Cache),
            Self::Passthrough(_) => None,
        }
    }

    /// Waits for the end of a recording whose length is not known, and returns the length. Another opening is needed where
    /// this one [is spent](Self::is_spent) by it.
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

    /// As [`Source::learn_length`], where nothing can be answered without it.
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

    /// Takes the recording for the one that was read to its end `before`, if it is by its beginning. Returns whether it is.
    pub(crate) fn expect(&mut self, before: &Arc<Metadata>) -> bool {
        match self {
            Self::Entry(reader) => reader.looks_like(before),
            Self::Passthrough(passthrough) => passthrough.expect(before),
        }
    }

    /// Whether it has the bytes up to `end`, and nothing more comes by itself.
    pub(crate) fn has_stopped_at(&self, end: u64) -> bool {
        match self {
            Self::Entry(reader) => reader.has_stopped_at(end),
            Self::Passthrough(_) => false,
        }
    }

    /// Whether bytes are gone that may be wanted.
    pub(crate) fn is_spent(&self) -> bool {
        match self {
            Self::Entry(reader) => reader.is_spent(),
            Self::Passthrough(passthrough) => passthrough.is_spent(),
        }
    }

    /// How far the recording has been read, once that is beyond `offset`, or to its end where it ends before.
    ///
    /// # Errors
    /// When it breaks off before.
    ///
    /// # Cancel safety
    /// Safe, but what lies before `offset` may be gone.
    pub(crate) async fn read_beyond(&mut self, offset: u64) -> Result<u64, CacheError> {
        match self {
            Self::Entry(reader) => reader.read_beyond(offset).await,
            Self::Passthrough(passthrough) => passthrough.read_beyond(offset).await,
        }
    }

    /// Goes to `offset`, to read up to `end` (exclusive), or to the end of the recording. Call it before anything is read.
    pub(crate) fn go_to(&mut self, offset: u64, end: Option<u64>) {
        match self {
            Self::Entry(reader) => reader.go_to(offset, end),
            Self::Passthrough(passthrough) => passthrough.go_to(offset, end),
        }
    }

    /// The next bytes; `None` where it stops.
    pub(crate) fn poll_bytes(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, CacheError>>> {
        match self {
            Self::Entry(reader) => reader.poll_bytes(context),
            Self::Passthrough(passthrough) => passthrough.poll_bytes(context),
        }
    }

    /// Whether all bytes have been given out, known without asking for more.
    pub(crate) fn has_ended(&self) -> bool {
        match self {
            Self::Entry(reader) => reader.has_ended(),
            Self::Passthrough(passthrough) => passthrough.has_ended(),
        }
    }

    /// Whether nothing told where the recording ends, and two passes agreed on it; known at its end.
    pub(crate) fn end_is_agreed(&self) -> bool {
        match self {
            Self::Entry(reader) => reader.end_is_agreed(),
            Self::Passthrough(passthrough) => passthrough.metadata().end_is_agreed(),
        }
    }

    /// The least bytes per second at which its caller has to take them: where others wait for the place among the
    /// downloads that it holds.
    pub(crate) fn least_pace(&self) -> Option<u64> {
        match self {
            Self::Entry(reader) => reader.least_pace(),
            Self::Passthrough(passthrough) => passthrough.reading().least_pace(),
        }
    }
}

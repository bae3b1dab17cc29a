//! One reader of an entry.
//!
//! Knows its offset and where it stops. Does not know where the bytes go.

use std::future::poll_fn;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use bytes::Bytes;

use super::block::MemoryBlock;
use super::{CacheEntry, EntryState, Phase};
use crate::cache::{Cache, CacheError, Metadata};

/// Largest piece handed out at once: a caller who reads slowly still shows progress often enough.
/// By `cargo bench --bench cache`, half of it and twice of it cost more.
const MAX_PIECE_BYTES: usize = 32 * 1024;

/// A reader of an entry. As long as an entry has a reader, it is filled and kept.
pub(crate) struct Reader {
    entry: Arc<CacheEntry>,
    cache: Weak<Cache>,
    seat: u64,
    offset: u64,
    /// Offset where it stops; `None` for the end of the recording.
    end: Option<u64>,
}

/// Some bytes of a block. Dropping it wakes the fill, which may wait to write into that block.
struct Slice {
    /// Always there, until [`Drop`] takes it.
    block: Option<Arc<MemoryBlock>>,
    from: usize,
    to: usize,
    entry: Arc<CacheEntry>,
}

impl AsRef<[u8]> for Slice {
    fn as_ref(&self) -> &[u8] {
        let block = self.block.as_ref().map(|block| block.bytes());
        block
            .and_then(|bytes| bytes.get(self.from..self.to))
            .unwrap_or_default()
    }
}

impl Reader {
    pub(in crate::cache) fn new(entry: Arc<CacheEntry>, cache: Weak<Cache>) -> Self {
        let seat = entry.seat();
        Self {
            entry,
            cache,
            seat,
            offset: 0,
            end: None,
        }
    }

    /// Goes to `offset`, to read up to `end` (exclusive), or to the end of the recording. Call it
    /// before the first byte is taken.
    pub(in crate::cache) fn go_to(&mut self, offset: u64, end: Option<u64>) {
        self.offset = offset;
        self.end = end;
        self.sit(offset);
    }

    /// Moves the seat to `offset`: a window need not hold the bytes before it for this reader.
    fn sit(&self, offset: u64) {
        let mut state = self.entry.lock();
        if let Some(seat) = state.readers.get_mut(&self.seat) {
            seat.offset = offset;
        }
        state.forget_behind();
        drop(state);
        self.entry.note_room();
    }

    /// Whether a window has dropped bytes that this reader has not taken.
    pub(in crate::cache) fn is_spent(&self) -> bool {
        self.entry.lock().base > self.offset
    }

    /// Waits until the beginning has been read, and returns the metadata.
    ///
    /// # Cancel safety
    /// Safe.
    pub(in crate::cache) async fn metadata(&self) -> Result<Arc<Metadata>, CacheError> {
        self.when(|state| state.metadata.clone()).await
    }

    /// Waits until the recording has been read to its end, and returns the length.
    ///
    /// # Cancel safety
    /// Safe.
    pub(in crate::cache) async fn length(&self) -> Result<u64, CacheError> {
        self.when(|state| matches!(state.phase, Phase::Whole).then_some(state.head))
            .await
    }

    /// As [`Reader::length`], also for a window, which holds bytes for this reader and so would
    /// never get to its end: while it waits, the seat is behind all bytes.
    ///
    /// # Cancel safety
    /// Safe, but the reader may be spent.
    pub(in crate::cache) async fn length_at_any_price(&self) -> Result<u64, CacheError> {
        self.sit(u64::MAX);
        let length = self.length().await;
        self.sit(self.offset);
        length
    }

    /// Waits until the recording has been read beyond `offset`, and returns how far; the length,
    /// where it ends before.
    ///
    /// # Cancel safety
    /// Safe, but the bytes before `offset` may be gone.
    pub(in crate::cache) async fn read_beyond(&self, offset: u64) -> Result<u64, CacheError> {
        self.sit(offset);
        let whole = |state: &EntryState| matches!(state.phase, Phase::Whole);
        self.when(|state| (state.head > offset || whole(state)).then_some(state.head))
            .await
    }

    /// Whether the bytes up to `end`, or to the end of the recording, are missing and no fill is at
    /// work to read them.
    pub(in crate::cache) fn lacks(&self, end: Option<u64>) -> bool {
        let state = self.entry.lock();
        let there = end.is_some_and(|end| end <= state.head && !state.is_unconfirmed(end));
        matches!(state.phase, Phase::Stopped(..)) && !there
    }

    pub(in crate::cache) fn has_begun(&self) -> bool {
        let state = self.entry.lock();
        state.metadata.is_some() || matches!(state.phase, Phase::Failed(_))
    }

    /// Whether this beginning is that of the recording which was read to its end `before`.
    pub(in crate::cache) fn looks_like(&self, before: &Metadata) -> bool {
        let metadata = self.entry.lock().metadata.clone();
        let (Some(metadata), Some(cache)) = (metadata, self.cache.upgrade()) else {
            return false;
        };
        let identity = cache.identity(&self.entry.pbx, &self.entry.key);
        metadata.is_same_recording(identity, before)
    }

    /// Whether two passes had to agree on the end of the recording.
    pub(in crate::cache) fn end_is_agreed(&self) -> bool {
        let state = self.entry.lock();
        state
            .metadata
            .as_ref()
            .is_some_and(|metadata| metadata.end_is_agreed())
    }

    /// Whether the bytes up to `end` are there, and no fill is at work.
    pub(in crate::cache) fn has_stopped_at(&self, end: u64) -> bool {
        let state = self.entry.lock();
        matches!(state.phase, Phase::Stopped(..)) && end <= state.head
    }

    pub(in crate::cache) fn is_filling(&self) -> bool {
        self.entry.is_filling()
    }

    /// Returns once the fill has the recording open.
    ///
    /// # Cancel safety
    /// Safe.
    pub(in crate::cache) async fn opened(&self) -> Result<(), CacheError> {
        let is_open = |state: &EntryState| !matches!(state.phase, Phase::Opening);
        self.when(|state| (is_open(state) && state.error().is_none()).then_some(()))
            .await
    }

    /// Whether all bytes up to `end` have been given out.
    pub(in crate::cache) fn has_ended(&self) -> bool {
        self.end.is_some_and(|end| self.offset >= end)
    }

    /// The least bytes per second at which its caller has to read: there is such a bound for a
    /// window, where the fill waits for the slowest reader, and other requests may wait for the
    /// fill's download slot.
    pub(in crate::cache) fn least_pace(&self) -> Option<u64> {
        let state = self.entry.lock();
        let filling = matches!(state.phase, Phase::Opening | Phase::Filling);
        let holder = state.window_of.as_ref().filter(|_| filling)?;
        self.entry.pbx.least_pace(holder)
    }

    /// Polls for the next bytes; `None` at the end.
    pub(in crate::cache) fn poll_bytes(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, CacheError>>> {
        if self.has_ended() {
            return Poll::Ready(None);
        }
        let mut state = self.entry.lock();
        if let Some(bytes) = self.slice(&state) {
            self.offset += bytes.len() as u64;
            if let Some(seat) = state.readers.get_mut(&self.seat) {
                seat.offset = self.offset;
            }
            // In a window this step may free the first block. The seat moves before that, and the
            // fill is told after it: see `note_room`.
            if state.is_window() {
                state.forget_behind();
                self.entry.note_room();
            }
            return Poll::Ready(Some(Ok(bytes)));
        }
        if matches!(state.phase, Phase::Whole) {
            return Poll::Ready(None);
        }
        if let Some(error) = state.error() {
            return Poll::Ready(Some(Err(error.clone())));
        }
        // Under the lock under which nothing was found: every later change wakes this waker.
        state.wait(self.seat, context);
        Poll::Pending
    }

    fn slice(&self, state: &EntryState) -> Option<Bytes> {
        let (block, from) = state.block_at(self.offset)?;
        let left = self.end.map_or(u64::MAX, |end| end - self.offset);
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        let size = (block.bytes().len().checked_sub(from)?)
            .min(left)
            .min(MAX_PIECE_BYTES);
        let is_held_back = state.is_unconfirmed(self.offset + size as u64);
        (size > 0 && !is_held_back).then(|| {
            Bytes::from_owner(Slice {
                block: Some(Arc::clone(block)),
                from,
                to: from + size,
                entry: Arc::clone(&self.entry),
            })
        })
    }

    /// Waits until `find` returns a value, or the entry has failed.
    async fn when<T>(&self, find: impl Fn(&EntryState) -> Option<T>) -> Result<T, CacheError> {
        poll_fn(|context| {
            let mut state = self.entry.lock();
            if let Some(found) = find(&state) {
                return Poll::Ready(Ok(found));
            }
            if let Some(error) = state.error() {
                return Poll::Ready(Err(error.clone()));
            }
            state.wait(self.seat, context);
            Poll::Pending
        })
        .await
    }

    pub(in crate::cache) fn entry(&self) -> &Arc<CacheEntry> {
        &self.entry
    }
}

impl EntryState {
    /// Why no more bytes come, for a reader who wants more.
    fn error(&self) -> Option<&CacheError> {
        match &self.phase {
            Phase::Failed(error) | Phase::Stopped(_, Some(error)) => Some(error),
            Phase::Opening | Phase::Filling | Phase::Stopped(_, None) | Phase::Whole => None,
        }
    }

    /// Whether `offset` is the expected end of the recording, and the end has not confirmed it yet.
    /// The last piece is held back until then: only the end shows whether the content is the
    /// expected one. >
    fn is_unconfirmed(&self, offset: u64) -> bool {
        let length = self
            .metadata
            .as_ref()
            .and_then(|metadata| metadata.length());
        length == Some(offset) && !matches!(self.phase, Phase::Whole)
    }

    fn wait(&mut self, seat: u64, context: &Context<'_>) {
        if let Some(seat) = self.readers.get_mut(&seat) {
            seat.waker = Some(context.waker().clone());
        }
    }
}

impl Drop for Slice {
    fn drop(&mut self) {
        // The block goes first: a fill that is woken must see that the slice is gone.
        self.block = None;
        self.entry.note_room();
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(cache) = self.cache.upgrade() {
            cache.leave(&self.entry, self.seat);
        } else {
            self.entry.leave(self.seat);
        }
    }
}

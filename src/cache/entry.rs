//! One entry of the cache: the bytes of one recording, written once by one task and read by any
//! number of readers at any offset.
//!
//! Knows bytes, blocks and readers. Does not know callers beyond an opaque owner, HTTP, or the
//! language of a PBX. ARCHITECTURE.md, "The cache", says how the parts below work together.

mod block;
mod reader;
mod window;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::Ordering::{Acquire, SeqCst};
use std::sync::atomic::{AtomicBool, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::key::EntryKey;
use super::metadata::{ContentIdentity, Metadata};
use super::{CacheError, EndReason, Owner};
use crate::pbx::{BodyEnd, Pbx, ReadingError, ResumePoint};
pub(super) use block::{BLOCK_BYTES, MemoryBlock, NoBlock, Pool};
pub(crate) use reader::Reader;

/// One entry: the bytes of one recording, and those who read and fill it.
pub(crate) struct CacheEntry {
    pub(super) key: EntryKey,
    pub(super) pbx: Arc<Pbx>,
    /// The principal whose share its memory counts against.
    pub(super) owner: Owner,
    state: Mutex<EntryState>,
    /// Notified when a reader has joined or left.
    readers_changed: Notify,
    /// Set while the fill waits for memory, or is about to.
    pub(super) wants_room: AtomicBool,
    /// Notified when memory may be free: a reader has moved on, or dropped a slice.
    pub(super) room: Notify,
    /// Ends the fill.
    pub(super) ended: CancellationToken,
}

struct EntryState {
    phase: Phase,
    metadata: Option<Arc<Metadata>>,
    /// In the order of the bytes; all but the last are full.
    blocks: VecDeque<Arc<MemoryBlock>>,
    /// Offset in the recording of the first block.
    base: u64,
    /// Offset behind the last byte that was written.
    head: u64,
    readers: HashMap<u64, Seat>,
    next_reader: u64,
    /// Set once the entry is a window, which drops the bytes behind its slowest reader. It is the
    /// principal who holds the download slot of the fill.
    window_of: Option<Owner>,
}

/// The offset of one reader, and its waker while it waits.
#[derive(Default)]
struct Seat {
    offset: u64,
    waker: Option<Waker>,
}

/// The phase of an entry.
#[derive(Debug, Clone)]
pub(super) enum Phase {
    /// A fill has been started, and the PBX has not opened the recording yet.
    Opening,
    /// A fill has the recording open.
    Filling,
    /// It has a beginning and no fill. The error is that of the last fill, unless that one ended
    /// for want of readers.
    Stopped(ResumePoint, Option<CacheError>),
    /// It has the whole recording.
    Whole,
    Failed(CacheError),
}

/// How many of the given bytes were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WriteProgress {
    All,
    /// So many; the rest needs another block.
    Part(usize),
}

impl CacheEntry {
    pub(super) fn new(key: EntryKey, pbx: Arc<Pbx>, owner: Owner) -> Self {
        Self {
            key,
            pbx,
            owner,
            state: Mutex::new(EntryState {
                phase: Phase::Opening,
                metadata: None,
                blocks: VecDeque::new(),
                base: 0,
                head: 0,
                readers: HashMap::new(),
                next_reader: 0,
                window_of: None,
            }),
            readers_changed: Notify::new(),
            wants_room: AtomicBool::new(false),
            room: Notify::new(),
            ended: CancellationToken::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, EntryState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a reader at offset 0, and returns the id of its seat. The cache calls it under the lock
    /// of the index, so an entry that has left the index gets no further reader.
    fn seat(&self) -> u64 {
        let mut state = self.lock();
        let id = state.next_reader;
        state.next_reader += 1;
        state.readers.insert(id, Seat::default());
        drop(state);
        self.readers_changed.notify_one();
        id
    }

    /// Takes a reader's seat away. Returns whether no reader is left.
    pub(super) fn leave(&self, id: u64) -> bool {
        let mut state = self.lock();
        state.readers.remove(&id);
        state.forget_behind();
        let last = state.readers.is_empty();
        drop(state);
        self.readers_changed.notify_one();
        self.note_room();
        last
    }

    pub(super) fn has_readers(&self) -> bool {
        !self.lock().readers.is_empty()
    }

    pub(super) fn has_begun(&self) -> bool {
        self.lock().metadata.is_some()
    }

    /// Whether a later fill can go on behind the bytes that are held: not in a window, which has
    /// dropped some, and not in a recording that was still being written.
    pub(super) fn can_go_on(&self) -> bool {
        let state = self.lock();
        let kept = state
            .metadata
            .as_ref()
            .is_some_and(|metadata| !metadata.is_unfinished);
        kept && !state.is_window()
    }

    pub(super) fn is_unfinished(&self) -> bool {
        let state = self.lock();
        state
            .metadata
            .as_ref()
            .is_some_and(|metadata| metadata.is_unfinished)
    }

    pub(super) fn is_whole(&self) -> bool {
        matches!(self.lock().phase, Phase::Whole)
    }

    pub(super) fn is_filling(&self) -> bool {
        matches!(self.lock().phase, Phase::Opening | Phase::Filling)
    }

    pub(super) fn is_window(&self) -> bool {
        self.lock().is_window()
    }

    pub(super) fn head(&self) -> u64 {
        self.lock().head
    }

    /// A copy of the first bytes, up to `limit`, which is less than a block.
    pub(super) fn beginning(&self, limit: usize) -> Vec<u8> {
        let state = self.lock();
        let block = state.blocks.front().filter(|_| state.base == 0);
        let bytes = block.map(|block| block.bytes()).unwrap_or_default();
        bytes.get(..limit).unwrap_or(bytes).to_vec()
    }

    /// Moves from `Opening` to `Filling`: the PBX has opened the recording.
    pub(super) fn open(&self) {
        let mut state = self.lock();
        if matches!(state.phase, Phase::Opening) {
            state.phase = Phase::Filling;
            state.wake();
        }
    }

    /// Gives the metadata to the readers.
    pub(super) fn begin(&self, metadata: Arc<Metadata>) {
        let mut state = self.lock();
        state.metadata = Some(metadata);
        state.wake();
    }

    /// Takes the head for the end of the recording, and returns the metadata with that length.
    /// `end` is the way in which the end became known.
    pub(super) fn complete(
        &self,
        identity: ContentIdentity<'_>,
        end: Option<BodyEnd>,
    ) -> Option<Arc<Metadata>> {
        let mut state = self.lock();
        let metadata = state.metadata.clone()?;
        let Some(end) = end.filter(|_| metadata.length().is_none()) else {
            return Some(metadata);
        };
        let metadata = Metadata::clone(&metadata).with_end(identity, end);
        let metadata = Arc::new(metadata);
        state.metadata = Some(Arc::clone(&metadata));
        Some(metadata)
    }

    /// Takes the resume point of a stopped entry, for a new fill. The phase is `Opening` from here
    /// on, so no second caller gets the resume point.
    pub(super) fn resume(&self) -> Option<ResumePoint> {
        let mut state = self.lock();
        let Phase::Stopped(seen, _) = state.phase.clone() else {
            return None;
        };
        state.phase = Phase::Opening;
        Some(seen)
    }

    /// Wakes the fill if it waits for memory. Call it after memory was freed, not before.
    fn note_room(&self) {
        // Pairs with the fence in `Fill::write`. The caller has freed memory before this fence, and
        // the fill has set `wants_room` before its own. So either the retry in `Fill::write` sees
        // the free memory, or this load sees `wants_room`. Without both fences a wake-up can be
        // lost, and fill and reader wait for each other.
        fence(SeqCst);
        if self.wants_room.load(Acquire) {
            self.room.notify_one();
        }
    }

    /// Ends the entry, even if it has readers. Slices that are handed out already stay valid.
    pub(super) fn end(&self, why: EndReason) {
        self.ended.cancel();
        self.finish(Phase::Failed(CacheError::Ended(why)));
    }

    /// Sets the phase in which the fill has left the entry. An entry that has failed or was ended
    /// stays so.
    pub(super) fn finish(&self, phase: Phase) {
        let mut state = self.lock();
        if matches!(state.phase, Phase::Failed(_)) {
            return;
        }
        // Most failures say nothing about the bytes before them: those stay for the readers. An
        // entry that was ended, or whose content is another one, gives out nothing more: its blocks
        // are dropped now, and a block that readers have slices of with its last slice.
        if let Phase::Failed(CacheError::Ended(_) | CacheError::Broken(ReadingError::Differs)) =
            phase
        {
            state.base = state.head;
            state.blocks.clear();
        }
        state.phase = phase;
        state.wake();
    }

    /// Writes bytes behind the head, as far as the last block and `spare` have room.
    pub(super) fn write(&self, bytes: &[u8], spare: &mut Option<MemoryBlock>) -> WriteProgress {
        let mut state = self.lock();
        let mut written = 0;
        while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            match state.write(rest, spare) {
                0 => break,
                more => written += more,
            }
        }
        state.head += written as u64;
        state.wake();
        if written == bytes.len() {
            WriteProgress::All
        } else {
            WriteProgress::Part(written)
        }
    }

    /// Whether these bytes equal the held ones, as far as the entry holds any there.
    pub(super) fn agrees(&self, mut offset: u64, mut bytes: &[u8]) -> bool {
        let state = self.lock();
        let behind = state.base.saturating_sub(offset);
        let behind = usize::try_from(behind)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        bytes = bytes.get(behind..).unwrap_or_default();
        offset += behind as u64;
        while let Some((block, from)) = state.block_at(offset) {
            let held = block.bytes().get(from..).unwrap_or_default();
            let size = held.len().min(bytes.len());
            if held.get(..size) != bytes.get(..size) {
                return false;
            }
            bytes = bytes.get(size..).unwrap_or_default();
            offset += size as u64;
            if bytes.is_empty() || size == 0 {
                break;
            }
        }
        true
    }

    pub(super) fn holds_anything(&self) -> bool {
        !self.lock().blocks.is_empty()
    }

    /// Returns once there has been no reader for `linger`; for a window, which nobody can join, at
    /// once.
    pub(super) async fn left_alone(&self, linger: Duration) {
        loop {
            while self.has_readers() {
                self.readers_changed.notified().await;
            }
            let linger = if self.is_window() {
                Duration::ZERO
            } else {
                linger
            };
            let until = Instant::now() + linger;
            while !self.has_readers() {
                if timeout_at(until, self.readers_changed.notified())
                    .await
                    .is_err()
                {
                    return;
                }
            }
        }
    }
}

impl EntryState {
    /// Writes into the last block, or begins another one. Returns how many bytes were written; 0
    /// means that a block is needed.
    fn write(&mut self, bytes: &[u8], spare: &mut Option<MemoryBlock>) -> usize {
        if let Some(shared) = self.blocks.back_mut().filter(|block| !block.is_full()) {
            // No reader has a slice of the block: it is written in place.
            if let Some(block) = Arc::get_mut(shared) {
                return block.write(bytes);
            }
            let Some(mut block) = spare.take() else {
                return 0;
            };
            block.write(shared.bytes());
            let written = block.write(bytes);
            *shared = Arc::new(block);
            return written;
        }
        // A reader may wait far ahead of the head. It does not move until the head reaches it, so
        // nobody else drops the blocks behind it.
        self.forget_behind();
        if self.is_full_window() {
            return 0;
        }
        let Some(mut block) = spare.take().or_else(|| self.last_block_again()) else {
            return 0;
        };
        let written = block.write(bytes);
        self.blocks.push_back(Arc::new(block));
        written
    }

    /// The block that holds the byte at `offset`, and the position in it; `None` where no block
    /// holds it.
    fn block_at(&self, offset: u64) -> Option<(&Arc<MemoryBlock>, usize)> {
        let place = usize::try_from(offset.checked_sub(self.base)?).ok()?;
        let block = self.blocks.get(place / BLOCK_BYTES)?;
        Some((block, place % BLOCK_BYTES))
    }

    /// Wakes every waiting reader. Readers look and leave their wakers under the same lock, so none
    /// misses a change.
    fn wake(&mut self) {
        for seat in self.readers.values_mut() {
            if let Some(waker) = seat.waker.take() {
                waker.wake();
            }
        }
    }
}

//! The bytes of one recording in memory: written once, by one task, and read by any number of readers at any place.
//!
//! Knows bytes, blocks and readers. Does not know who asks beyond an opaque owner, nor HTTP or what a PBX speaks.
//! ARCHITECTURE.md, "The cache", says how the parts below work together.

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

use super::index::EntryKey;
use super::metadata::{ContentIdentity, Metadata};
use super::{CacheError, Ended, Owner};
use crate::pbx::{BodyEnd, Pbx, ReadingError, ResumePoint};
pub(super) use block::{BLOCK_BYTES, Block, NoBlock, Pool};
pub(crate) use reader::Reader;

/// The bytes of one recording.
pub(crate) struct CacheEntry {
    pub(super) key: EntryKey,
    pub(super) pbx: Arc<Pbx>,
    /// For whom its memory is held.
    pub(super) owner: Owner,
    state: Mutex<State>,
    /// A reader came or left.
    readers_changed: Notify,
    /// The fill waits for room.
    pub(super) wants_room: AtomicBool,
    /// There may be room: a reader has moved on, or let go of bytes.
    pub(super) room: Notify,
    /// Ends the fill.
    pub(super) ended: CancellationToken,
}

struct State {
    phase: Phase,
    metadata: Option<Arc<Metadata>>,
    /// In order; all but the last are full.
    blocks: VecDeque<Arc<Block>>,
    /// Where the first of them begins.
    base: u64,
    /// How far the recording has been read.
    head: u64,
    readers: HashMap<u64, Seat>,
    next_reader: u64,
    /// Only what lies before its readers is held; who has its place among the downloads.
    window_of: Option<Owner>,
}

/// A reader's place.
#[derive(Default)]
struct Seat {
    offset: u64,
    waker: Option<Waker>,
}

/// How far an entry is.
#[derive(Debug, Clone)]
pub(super) enum Phase {
    /// Its fill waits for the PBX.
    Opening,
    /// Its fill is at work.
    Filling,
    /// It has a beginning, and no fill; and why the last one came no further, where that was not for want of readers.
    Stopped(ResumePoint, Option<CacheError>),
    /// It has the whole recording.
    Whole,
    Failed(CacheError),
}

/// What became of bytes that were to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    All,
    /// So many; for the rest another block is needed.
    Some(usize),
}

impl CacheEntry {
    pub(super) fn new(key: EntryKey, pbx: Arc<Pbx>, owner: Owner) -> Self {
        Self {
            key,
            pbx,
            owner,
            state: Mutex::new(State {
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

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a new reader a seat.
    fn seat(&self) -> u64 {
        let mut state = self.lock();
        let id = state.next_reader;
        state.next_reader += 1;
        state.readers.insert(id, Seat::default());
        drop(state);
        self.readers_changed.notify_one();
        id
    }

    /// Takes a reader's seat away. Returns whether it was the last one.
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

    /// Whether a later fill can go on behind what is there.
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

    /// A copy of its first bytes, as many as there are up to `limit`, which is less than a block.
    pub(super) fn beginning(&self, limit: usize) -> Vec<u8> {
        let state = self.lock();
        let block = state.blocks.front().filter(|_| state.base == 0);
        let bytes = block.map(|block| block.bytes()).unwrap_or_default();
        bytes.get(..limit).unwrap_or(bytes).to_vec()
    }

    /// Notes that the recording is open.
    pub(super) fn open(&self) {
        let mut state = self.lock();
        if matches!(state.phase, Phase::Opening) {
            state.phase = Phase::Filling;
            state.wake();
        }
    }

    /// Tells its readers what is known by now.
    pub(super) fn begin(&self, metadata: Arc<Metadata>) {
        let mut state = self.lock();
        state.metadata = Some(metadata);
        state.wake();
    }

    /// Notes the end that the fill came to, and returns the metadata that are known then.
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

    /// What a fill has to go on behind, of an entry that has none; it is taken to have one from now on.
    pub(super) fn resume(&self) -> Option<ResumePoint> {
        let mut state = self.lock();
        let Phase::Stopped(seen, _) = state.phase.clone() else {
            return None;
        };
        state.phase = Phase::Opening;
        Some(seen)
    }

    /// Tells the fill that there may be room, if it waits for that.
    fn note_room(&self) {
        // What was let go of is seen by whoever says from now on that it waits, and else that is seen here.
        fence(SeqCst);
        if self.wants_room.load(Acquire) {
            self.room.notify_one();
        }
    }

    /// Ends the entry, whoever reads it. What is handed out already stays good.
    pub(super) fn end(&self, why: Ended) {
        self.ended.cancel();
        self.finish(Phase::Failed(CacheError::Ended(why)));
    }

    /// Notes how the fill came out; an entry that has ended stays so.
    pub(super) fn finish(&self, phase: Phase) {
        let mut state = self.lock();
        if matches!(state.phase, Phase::Failed(_)) {
            return;
        }
        // What is good stays for those who read it; it goes with the last of them.
        if let Phase::Failed(CacheError::Ended(_) | CacheError::Broken(ReadingError::Differs)) =
            phase
        {
            state.base = state.head;
            state.blocks.clear();
        }
        state.phase = phase;
        state.wake();
    }

    /// Writes bytes behind the head, as far as there is room in the last block or in `spare`.
    pub(super) fn write(&self, bytes: &[u8], spare: &mut Option<Block>) -> Written {
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
            Written::All
        } else {
            Written::Some(written)
        }
    }

    /// Whether these bytes of the recording are those that are held, as far as they are.
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

    /// Returns once there has been no reader for `linger`; at once of a window.
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

impl State {
    /// Writes into the last block, or begins another one. A block that readers have slices of is not written to: its
    /// bytes move to another one, and the old one goes with its last slice.
    fn write(&mut self, bytes: &[u8], spare: &mut Option<Block>) -> usize {
        if let Some(shared) = self.blocks.back_mut().filter(|block| !block.is_full()) {
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
        // A reader may stand far ahead, and move only once it is reached.
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

    /// The block that holds the byte at `offset`, and where in it; `None` where it is not held.
    fn block_at(&self, offset: u64) -> Option<(&Arc<Block>, usize)> {
        let place = usize::try_from(offset.checked_sub(self.base)?).ok()?;
        let block = self.blocks.get(place / BLOCK_BYTES)?;
        Some((block, place % BLOCK_BYTES))
    }

    /// Lets every reader look again.
    fn wake(&mut self) {
        for seat in self.readers.values_mut() {
            if let Some(waker) = seat.waker.take() {
                waker.wake();
            }
        }
    }
}

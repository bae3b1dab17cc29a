//! A window: an entry that drops the bytes behind its slowest reader.
//!
//! Knows blocks and the offset of the slowest reader. Does not know why an entry becomes a window,
//! or what its fill waits for.

use std::sync::Arc;

use super::block::{BLOCK_BYTES, MemoryBlock};
use super::{CacheEntry, EntryState};
use crate::cache::Owner;

/// Most blocks that a window takes.
const MAX_WINDOW_BLOCKS: usize = 4;

impl CacheEntry {
    /// Makes the entry a window. `holder` is the principal who holds the download slot of the fill.
    /// Take the entry off the index first: a reader who joined now would miss bytes.
    pub(in crate::cache) fn make_window(&self, holder: &Owner) {
        let mut state = self.lock();
        state.window_of = Some(holder.clone());
        state.forget_behind();
    }
}

impl EntryState {
    pub(super) fn is_window(&self) -> bool {
        self.window_of.is_some()
    }

    pub(super) fn is_full_window(&self) -> bool {
        self.is_window() && self.blocks.len() >= MAX_WINDOW_BLOCKS
    }

    /// In a window, drops the blocks behind its slowest reader. The last block stays: the pool may
    /// have no other, and the fill goes on in it.
    pub(super) fn forget_behind(&mut self) {
        while self.is_window() && self.blocks.len() > 1 && self.has_read_first_block() {
            self.blocks.pop_front();
            self.base += BLOCK_BYTES as u64;
        }
    }

    /// In a window, takes its only block to write it again, once every reader is past it.
    pub(super) fn last_block_again(&mut self) -> Option<MemoryBlock> {
        if !self.is_window() || self.blocks.len() != 1 || !self.has_read_first_block() {
            return None;
        }
        // Before: one block, and every seat is past it. A slice of it may still be on its way to a
        // caller; then the block goes back, and the drop of that slice calls `note_room`, which
        // wakes the fill to try again. After: the head is where the emptied block begins.
        match Arc::try_unwrap(self.blocks.pop_front()?) {
            Ok(block) => {
                self.base += BLOCK_BYTES as u64;
                Some(block.emptied())
            }
            Err(shared) => {
                self.blocks.push_front(shared);
                None
            }
        }
    }

    /// Whether every reader has passed the end of the first block; without readers, whether the
    /// head has.
    fn has_read_first_block(&self) -> bool {
        let slowest = self.readers.values().map(|seat| seat.offset).min();
        self.base + BLOCK_BYTES as u64 <= slowest.unwrap_or(self.head)
    }
}

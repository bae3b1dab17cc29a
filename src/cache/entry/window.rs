//! An entry that holds only what lies before its readers, and what it forgets.
//!
//! Knows blocks and where the slowest reader is. Does not know why there is a window, nor who waits for it.

use std::sync::Arc;

use super::block::{BLOCK_BYTES, Block};
use super::{CacheEntry, State};
use crate::cache::Owner;

/// Blocks that a window may hold.
const WINDOW_BLOCKS: usize = 4;

impl CacheEntry {
    /// Holds only what lies before its readers from now on. Nobody may join them any more.
    pub(in crate::cache) fn make_window(&self, holder: &Owner) {
        let mut state = self.lock();
        state.window_of = Some(holder.clone());
        state.forget_behind();
    }
}

impl State {
    pub(super) fn is_window(&self) -> bool {
        self.window_of.is_some()
    }

    pub(super) fn is_full_window(&self) -> bool {
        self.is_window() && self.blocks.len() >= WINDOW_BLOCKS
    }

    /// Of a window: lets go of the blocks behind its slowest reader, but for the last one, without which it could not go
    /// on where there is no other.
    pub(super) fn forget_behind(&mut self) {
        while self.is_window() && self.blocks.len() > 1 && self.has_read_first_block() {
            self.blocks.pop_front();
            self.base += BLOCK_BYTES as u64;
        }
    }

    /// Of a window: the only block that it has, to be written again once everybody has done with what is in it.
    pub(super) fn last_block_again(&mut self) -> Option<Block> {
        if !self.is_window() || self.blocks.len() != 1 || !self.has_read_first_block() {
            return None;
        }
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

    /// Whether every reader has come to the end of the first block.
    fn has_read_first_block(&self) -> bool {
        let slowest = self.readers.values().map(|seat| seat.offset).min();
        self.base + BLOCK_BYTES as u64 <= slowest.unwrap_or(self.head)
    }
}

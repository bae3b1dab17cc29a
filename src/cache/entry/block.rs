//! Blocks of memory of one size, and the pool they come from.
//!
//! Knows how many there may be, and for whom each is held. Does not know what is in them.
//!
//! Blocks are mapped, not taken from the allocator: what is given back then really leaves the process. They are used
//! again as long as there is work for them, since fresh memory costs several times the copying.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use memmap2::{MmapMut, MmapOptions};
use thiserror::Error;
use tokio::sync::OwnedSemaphorePermit;

use crate::cache::Owner;
use crate::limits::concurrency::Permits;

/// The size of a block.
pub(crate) const BLOCK_BYTES: usize = 64 * 1024;

/// Nobody holds more than this part of all blocks.
const SHARE: usize = 4;

/// Why there is no block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(in crate::cache) enum NoBlock {
    #[error("the owner holds as much as one may")]
    Share,
    #[error("all blocks are held")]
    Room,
    #[error("the system has no memory")]
    Remembered,
}

/// All blocks there may be.
pub(in crate::cache) struct Pool(Arc<Shared>);

struct Shared {
    /// Blocks that may still be taken.
    slots: Permits,
    state: Mutex<State>,
}

struct State {
    total: usize,
    held: usize,
    /// By owner; only those who hold any.
    owners: HashMap<Owner, usize>,
    /// Remembered to use again.
    free: Vec<MmapMut>,
    /// The fewest that were free since the last sweep.
    spare: usize,
}

/// A block and what is written in it; counted until it is dropped.
pub(in crate::cache) struct Block {
    memory: Option<MmapMut>,
    len: usize,
    owner: Owner,
    pool: Arc<Shared>,
    _slot: OwnedSemaphorePermit,
}

impl Pool {
    pub(in crate::cache) fn new(total: usize) -> Self {
        Self(Arc::new(Shared {
            slots: Permits::new(total),
            state: Mutex::new(State {
                total,
                held: 0,
                owners: HashMap::new(),
                free: Vec::new(),
                spare: 0,
            }),
        }))
    }

    /// Changes how many there may be. Those that are held stay, and surplus ones go as they come back. Call it within a
    /// tokio runtime.
    pub(in crate::cache) fn resize(&self, total: usize) {
        self.0.slots.resize(total);
        self.0.lock().total = total;
    }

    /// How many are held.
    pub(in crate::cache) fn held(&self) -> usize {
        self.0.lock().held
    }

    /// Whether more are held than there may be.
    pub(in crate::cache) fn is_over(&self) -> bool {
        let state = self.0.lock();
        state.held > state.total
    }

    /// A block, if there is one for this owner now.
    pub(in crate::cache) fn try_take(&self, owner: &Owner) -> Result<Block, NoBlock> {
        let slot = self.0.slots.try_take().ok_or(NoBlock::Room)?;
        self.0.block(owner, slot)
    }

    /// Gives memory back to the system that nobody has needed since the last time.
    pub(in crate::cache) fn sweep(&self) {
        let unused = {
            let mut state = self.0.lock();
            let keep = state.free.len().saturating_sub(state.spare);
            let unused = state.free.split_off(keep);
            state.spare = state.free.len();
            unused
        };
        drop(unused);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A block for `owner`, who may hold their part of all.
    fn block(
        self: &Arc<Self>,
        owner: &Owner,
        slot: OwnedSemaphorePermit,
    ) -> Result<Block, NoBlock> {
        let mut state = self.lock();
        let held = state.owners.get(owner).copied().unwrap_or_default();
        if held >= (state.total / SHARE).max(1) {
            return Err(NoBlock::Share);
        }
        let memory = state.free.pop();
        state.spare = state.spare.min(state.free.len());
        state.held += 1;
        *state.owners.entry(owner.clone()).or_default() += 1;
        drop(state);
        let mut block = Block {
            memory,
            len: 0,
            owner: owner.clone(),
            pool: Arc::clone(self),
            _slot: slot,
        };
        if block.memory.is_none() {
            block.memory = Some(fresh_memory().map_err(|_| NoBlock::Remembered)?);
        }
        Ok(block)
    }
}

/// All of it will be written to: to have it at once is cheaper than page by page.
fn fresh_memory() -> io::Result<MmapMut> {
    MmapOptions::new().len(BLOCK_BYTES).populate().map_anon()
}

impl Block {
    /// What is written in it.
    pub(in crate::cache) fn bytes(&self) -> &[u8] {
        let memory = self.memory.as_deref().unwrap_or_default();
        memory.get(..self.len).unwrap_or_default()
    }

    /// Writes as much of `bytes` as there is room for, and returns how much that was.
    pub(in crate::cache) fn write(&mut self, bytes: &[u8]) -> usize {
        let memory = self.memory.as_deref_mut().unwrap_or_default();
        let room = memory.get_mut(self.len..).unwrap_or_default();
        let size = room.len().min(bytes.len());
        if let (Some(room), Some(bytes)) = (room.get_mut(..size), bytes.get(..size)) {
            room.copy_from_slice(bytes);
        }
        self.len += size;
        size
    }

    pub(in crate::cache) fn is_full(&self) -> bool {
        self.len == BLOCK_BYTES
    }

    /// The same block, to be written from its start.
    pub(in crate::cache) fn emptied(mut self) -> Self {
        self.len = 0;
        self
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let mut state = self.pool.lock();
        state.held -= 1;
        if let Some(held) = state.owners.get_mut(&self.owner) {
            *held -= 1;
            if *held == 0 {
                state.owners.remove(&self.owner);
            }
        }
        // A pool that has become smaller keeps no more than it may give out.
        if state.held + state.free.len() < state.total {
            state.free.extend(self.memory.take());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(name: &str) -> Owner {
        Owner::new("idp", name)
    }

    #[test]
    fn what_is_held_is_counted_and_bounded() {
        let pool = Pool::new(8);
        let mut blocks: Vec<_> = (0..8)
            .map(|index| {
                pool.try_take(&owner(["a", "b", "c", "d"][index % 4]))
                    .unwrap()
            })
            .collect();
        assert_eq!(pool.held(), 8);
        assert_eq!(pool.try_take(&owner("e")).err(), Some(NoBlock::Room));
        blocks.pop();
        assert_eq!(pool.try_take(&owner("a")).err(), Some(NoBlock::Share));
        let last = pool.try_take(&owner("e")).unwrap();
        assert_eq!(pool.held(), 8);
        drop((blocks, last));
        assert_eq!(pool.held(), 0);
        assert!(pool.0.lock().owners.is_empty());
    }

    #[test]
    fn a_block_is_used_again_and_begins_empty() {
        let pool = Pool::new(2);
        let mut block = pool.try_take(&owner("a")).unwrap();
        assert_eq!(block.write(&[7; BLOCK_BYTES + 1]), BLOCK_BYTES);
        assert!(block.is_full());
        drop(block);
        assert_eq!(pool.0.lock().free.len(), 1);
        let block = pool.try_take(&owner("a")).unwrap();
        assert_eq!(block.bytes(), b"");
        assert_eq!(pool.0.lock().free.len(), 0);
    }

    #[test]
    fn memory_that_nobody_needs_for_a_while_goes() {
        let pool = Pool::new(8);
        let blocks = ["a", "b", "c"].map(|name| pool.try_take(&owner(name)).unwrap());
        drop(blocks);
        pool.sweep();
        assert_eq!(pool.0.lock().free.len(), 3);
        drop(pool.try_take(&owner("a")).unwrap());
        pool.sweep();
        // One of them was in use in between.
        assert_eq!(pool.0.lock().free.len(), 1);
        pool.sweep();
        pool.sweep();
        assert_eq!(pool.0.lock().free.len(), 0);
    }

    #[tokio::test]
    async fn a_smaller_pool_shrinks_as_blocks_come_back() {
        let pool = Pool::new(4);
        let blocks = ["a", "b", "c", "d"].map(|name| pool.try_take(&owner(name)).unwrap());
        pool.resize(1);
        tokio::task::yield_now().await;
        drop(blocks);
        tokio::task::yield_now().await;
        assert!(pool.0.lock().free.len() <= 1);
        let one = pool.try_take(&owner("a"));
        assert!(one.is_ok() && pool.try_take(&owner("b")).is_err());
    }
}

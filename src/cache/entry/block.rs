//! The pool: blocks of memory of one size.
//!
//! Knows how many blocks there may be, and which principal each counts against. Does not know which
//! bytes are in them.
//!
//! Blocks are mapped and not taken from the allocator, so a block that is given back really leaves
//! the process. Free blocks are used again while there is work for them: fresh memory costs several
//! times the copying.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use memmap2::{MmapMut, MmapOptions};
use thiserror::Error;
use tokio::sync::OwnedSemaphorePermit;

use crate::cache::Owner;
use crate::limits::concurrency::ConcurrencyLimit;
use crate::pbx::MAX_REACH;
use crate::pbx::settings::READ_BUFFER_BYTES;

/// Bytes of a block.
pub(crate) const BLOCK_BYTES: usize = 64 * 1024;

/// A fill may read this much before its readers learn the metadata, and until then no reader moves
/// on and frees memory. So it must all fit into the first block of an entry.
const _: () = assert!(MAX_REACH + 2 * READ_BUFFER_BYTES <= BLOCK_BYTES);

/// One owner holds at most one block in so many.
const OWNER_SHARE: usize = 4;

/// Why the pool gives no block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(in crate::cache) enum NoBlock {
    #[error("the owner holds as much as one may")]
    Share,
    #[error("all blocks are held")]
    Room,
    #[error("the system has no memory")]
    Memory,
}

/// All blocks of the cache.
pub(in crate::cache) struct Pool(Arc<PoolInner>);

struct PoolInner {
    /// One permit for each block that may still be taken.
    slots: ConcurrencyLimit,
    state: Mutex<PoolState>,
}

struct PoolState {
    total: usize,
    held: usize,
    /// Held blocks by owner; an owner who holds none is not in the map.
    owners: HashMap<Owner, usize>,
    /// Memory of blocks that were given back, to be used again.
    free: Vec<MmapMut>,
    /// The smallest number of free blocks since the last sweep: so many were not needed.
    spare: usize,
}

/// A block and the bytes written in it. It counts as held until it is dropped.
pub(in crate::cache) struct MemoryBlock {
    memory: Option<MmapMut>,
    len: usize,
    owner: Owner,
    pool: Arc<PoolInner>,
    _slot: OwnedSemaphorePermit,
}

impl Pool {
    pub(in crate::cache) fn new(total: usize) -> Self {
        Self(Arc::new(PoolInner {
            slots: ConcurrencyLimit::new(total),
            state: Mutex::new(PoolState {
                total,
                held: 0,
                owners: HashMap::new(),
                free: Vec::new(),
                spare: 0,
            }),
        }))
    }

    /// Changes how many blocks there may be. Held blocks stay; surplus ones are freed as they come
    /// back. Call it within a tokio runtime.
    pub(in crate::cache) fn resize(&self, total: usize) {
        self.0.slots.resize(total);
        self.0.lock().total = total;
    }

    /// Number of held blocks.
    pub(in crate::cache) fn held(&self) -> usize {
        self.0.lock().held
    }

    /// Whether more blocks are held than there may be, as after [`Pool::resize`].
    pub(in crate::cache) fn is_over(&self) -> bool {
        let state = self.0.lock();
        state.held > state.total
    }

    /// Takes a block, if one is free and within the owner's share.
    pub(in crate::cache) fn try_take(&self, owner: &Owner) -> Result<MemoryBlock, NoBlock> {
        let slot = self.0.slots.try_take().ok_or(NoBlock::Room)?;
        self.0.block(owner, slot)
    }

    /// Gives the memory of blocks that were not needed since the last sweep back to the system.
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

impl PoolInner {
    fn lock(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a block of the slot, if it is within the owner's share.
    fn block(
        self: &Arc<Self>,
        owner: &Owner,
        slot: OwnedSemaphorePermit,
    ) -> Result<MemoryBlock, NoBlock> {
        let mut state = self.lock();
        let held = state.owners.get(owner).copied().unwrap_or_default();
        if held >= (state.total / OWNER_SHARE).max(1) {
            return Err(NoBlock::Share);
        }
        let memory = state.free.pop();
        state.spare = state.spare.min(state.free.len());
        state.held += 1;
        *state.owners.entry(owner.clone()).or_default() += 1;
        drop(state);
        let mut block = MemoryBlock {
            memory,
            len: 0,
            owner: owner.clone(),
            pool: Arc::clone(self),
            _slot: slot,
        };
        if block.memory.is_none() {
            block.memory = Some(fresh_memory().map_err(|_| NoBlock::Memory)?);
        }
        Ok(block)
    }
}

/// All of the block will be written, so the pages are populated at once: that is cheaper than one
/// page fault for each.
fn fresh_memory() -> io::Result<MmapMut> {
    MmapOptions::new().len(BLOCK_BYTES).populate().map_anon()
}

impl MemoryBlock {
    /// The bytes written so far.
    pub(in crate::cache) fn bytes(&self) -> &[u8] {
        let memory = self.memory.as_deref().unwrap_or_default();
        memory.get(..self.len).unwrap_or_default()
    }

    /// Writes as much of `bytes` as fits, and returns how much that was.
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

    /// The same block, empty again.
    pub(in crate::cache) fn emptied(mut self) -> Self {
        self.len = 0;
        self
    }
}

impl Drop for MemoryBlock {
    fn drop(&mut self) {
        let mut state = self.pool.lock();
        state.held -= 1;
        if let Some(held) = state.owners.get_mut(&self.owner) {
            *held -= 1;
            if *held == 0 {
                state.owners.remove(&self.owner);
            }
        }
        // A pool that was made smaller keeps no more memory than it may give out.
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
    fn held_blocks_are_counted_and_bounded() {
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
    fn memory_unused_between_two_sweeps_is_freed() {
        let pool = Pool::new(8);
        let blocks = ["a", "b", "c"].map(|name| pool.try_take(&owner(name)).unwrap());
        drop(blocks);
        pool.sweep();
        assert_eq!(pool.0.lock().free.len(), 3);
        drop(pool.try_take(&owner("a")).unwrap());
        pool.sweep();
        // One of the three was in use between the sweeps.
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

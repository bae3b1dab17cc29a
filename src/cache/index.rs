//! The index of the cache: entries by recording, and idle entries in the order in which their last
//! readers left.
//!
//! Knows keys and times. Does not know when an entry has to leave, or which bytes it holds.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Owner;
use super::entry::CacheEntry;
use super::key::EntryKey;
use crate::pbx::Pbx;

/// Entries by recording.
#[derive(Default)]
pub(super) struct CacheIndex {
    entries: HashMap<EntryKey, IndexedEntry>,
    /// Entries without readers, longest idle first.
    idle: BTreeMap<u64, IdleEntry>,
    next: u64,
    /// The PBXs whose recordings may be on the index; `None` means all, until the first reload.
    pbxs: Option<Vec<u64>>,
}

/// An entry on the index.
pub(super) struct IndexedEntry {
    pub(super) entry: Arc<CacheEntry>,
    since: Instant,
    /// Its number among the idle entries; `None` while it has readers.
    idle: Option<u64>,
}

struct IdleEntry {
    key: EntryKey,
    since: Instant,
}

impl CacheIndex {
    /// Adds a new entry, which has a reader already.
    pub(super) fn put(&mut self, entry: &Arc<CacheEntry>) {
        let indexed = IndexedEntry {
            entry: Arc::clone(entry),
            since: Instant::now(),
            idle: None,
        };
        self.entries.insert(entry.key.clone(), indexed);
    }

    /// Accepts recordings of these PBXs alone from now on. Returns the keys of the other entries.
    pub(super) fn serve_only(&mut self, pbxs: &[Arc<Pbx>]) -> Vec<EntryKey> {
        self.pbxs = Some(pbxs.iter().map(|pbx| pbx.id()).collect());
        let others = self.entries.keys().filter(|key| !self.serves(key));
        others.cloned().collect()
    }

    /// Whether an entry of this recording may be added.
    pub(super) fn serves(&self, key: &EntryKey) -> bool {
        let pbxs = self.pbxs.as_ref();
        pbxs.is_none_or(|pbxs| pbxs.contains(&key.pbx))
    }

    /// The keys of the entries that were begun at least `age` ago.
    pub(super) fn older_than(&self, now: Instant, age: Duration) -> Vec<EntryKey> {
        let old = |indexed: &IndexedEntry| now.saturating_duration_since(indexed.since) >= age;
        let old = self.entries.iter().filter(|(_, indexed)| old(indexed));
        old.map(|(key, _)| key.clone()).collect()
    }

    /// The entry of a recording, for one more reader: it is not idle any more.
    pub(super) fn join(&mut self, key: &EntryKey) -> Option<Arc<CacheEntry>> {
        let indexed = self.entries.get_mut(key)?;
        if let Some(idle) = indexed.idle.take() {
            self.idle.remove(&idle);
        }
        Some(Arc::clone(&indexed.entry))
    }

    pub(super) fn contains(&self, entry: &Arc<CacheEntry>) -> bool {
        let indexed = self.entries.get(&entry.key);
        indexed.is_some_and(|indexed| Arc::ptr_eq(&indexed.entry, entry))
    }

    pub(super) fn take(&mut self, key: &EntryKey) -> Option<IndexedEntry> {
        let indexed = self.entries.remove(key)?;
        if let Some(idle) = indexed.idle {
            self.idle.remove(&idle);
        }
        Some(indexed)
    }

    pub(super) fn note_idle(&mut self, key: &EntryKey, since: Instant) {
        if let Some(indexed) = self.entries.get_mut(key) {
            self.next += 1;
            indexed.idle = Some(self.next);
            let key = key.clone();
            self.idle.insert(self.next, IdleEntry { key, since });
        }
    }

    /// Takes the longest idle entry, of one owner or of all; never that of `except`.
    pub(super) fn take_idle(
        &mut self,
        owner: Option<&Owner>,
        except: Option<&EntryKey>,
    ) -> Option<IndexedEntry> {
        let is_of = |key: &EntryKey| {
            let indexed = self.entries.get(key);
            owner.is_none() || indexed.map(|indexed| &indexed.entry.owner) == owner
        };
        let key = self
            .idle
            .values()
            .map(|idle| &idle.key)
            .find(|key| Some(*key) != except && is_of(key))?
            .clone();
        self.take(&key)
    }

    /// Takes an entry that has been idle for `keep` and whose fill has ended.
    pub(super) fn take_idle_since(&mut self, now: Instant, keep: Duration) -> Option<IndexedEntry> {
        let is_filling = |key: &EntryKey| {
            let indexed = self.entries.get(key);
            indexed.is_some_and(|indexed| indexed.entry.is_filling())
        };
        let old = |idle: &&IdleEntry| now.saturating_duration_since(idle.since) >= keep;
        let mut old = self.idle.values().take_while(old);
        let key = old.find(|idle| !is_filling(&idle.key))?.key.clone();
        self.take(&key)
    }
}

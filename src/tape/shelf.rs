//! The tapes there are, by recording, and those that nobody reads in the order in which their last readers left.
//!
//! Knows keys and times. Does not know when a tape has to go, or what is on it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Owner, Tape};
use crate::pbx::Pbx;
use crate::recording::RecordingName;

/// Which recording of which PBX, as that is configured.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pbx: u64,
    name: RecordingName,
}

/// The tapes there are.
#[derive(Default)]
pub(super) struct Shelf {
    tapes: HashMap<Key, Standing>,
    /// Tapes without readers, the longest idle first.
    idle: BTreeMap<u64, Idle>,
    next: u64,
}

/// A tape on the shelf.
pub(super) struct Standing {
    pub(super) tape: Arc<Tape>,
    owner: Owner,
    since: Instant,
    /// Where it stands among the idle ones.
    idle: Option<u64>,
}

struct Idle {
    key: Key,
    since: Instant,
}

impl Key {
    pub(super) fn new(pbx: &Pbx, name: &RecordingName) -> Self {
        Self {
            pbx: pbx.id(),
            name: name.clone(),
        }
    }

    pub(super) fn name(&self) -> &RecordingName {
        &self.name
    }
}

impl Shelf {
    /// Puts a new tape on it, which somebody reads.
    pub(super) fn put(&mut self, tape: &Arc<Tape>, owner: &Owner) {
        let standing = Standing {
            tape: Arc::clone(tape),
            owner: owner.clone(),
            since: Instant::now(),
            idle: None,
        };
        self.tapes.insert(tape.key.clone(), standing);
    }

    /// The tapes of all PBXs but these.
    pub(super) fn not_of(&self, pbxs: &[Arc<Pbx>]) -> Vec<Key> {
        let gone = |key: &Key| !pbxs.iter().any(|pbx| pbx.id() == key.pbx);
        self.tapes.keys().filter(|key| gone(key)).cloned().collect()
    }

    /// The tapes that were begun at least `age` ago.
    pub(super) fn older_than(&self, now: Instant, age: Duration) -> Vec<Key> {
        let old = |standing: &Standing| now.saturating_duration_since(standing.since) >= age;
        let old = self.tapes.iter().filter(|(_, standing)| old(standing));
        old.map(|(key, _)| key.clone()).collect()
    }

    /// The tape of a recording, for one more reader.
    pub(super) fn join(&mut self, key: &Key) -> Option<Arc<Tape>> {
        let standing = self.tapes.get_mut(key)?;
        if let Some(idle) = standing.idle.take() {
            self.idle.remove(&idle);
        }
        Some(Arc::clone(&standing.tape))
    }

    pub(super) fn has(&self, tape: &Arc<Tape>) -> bool {
        let standing = self.tapes.get(&tape.key);
        standing.is_some_and(|standing| Arc::ptr_eq(&standing.tape, tape))
    }

    pub(super) fn take(&mut self, key: &Key) -> Option<Standing> {
        let standing = self.tapes.remove(key)?;
        if let Some(idle) = standing.idle {
            self.idle.remove(&idle);
        }
        Some(standing)
    }

    pub(super) fn note_idle(&mut self, key: &Key, since: Instant) {
        if let Some(standing) = self.tapes.get_mut(key) {
            self.next += 1;
            standing.idle = Some(self.next);
            let key = key.clone();
            self.idle.insert(self.next, Idle { key, since });
        }
    }

    /// The longest idle tape, of one owner or of all; never that of `except`.
    pub(super) fn take_idle(&mut self, owner: Option<&Owner>, except: &Key) -> Option<Standing> {
        let is_of = |key: &Key| {
            let standing = self.tapes.get(key);
            owner.is_none() || standing.map(|standing| &standing.owner) == owner
        };
        let key = self
            .idle
            .values()
            .map(|idle| &idle.key)
            .find(|key| *key != except && is_of(key))?
            .clone();
        self.take(&key)
    }

    /// A tape that has been idle for `keep`.
    pub(super) fn take_idle_since(&mut self, now: Instant, keep: Duration) -> Option<Standing> {
        let (_, idle) = self.idle.first_key_value()?;
        let key = (now.saturating_duration_since(idle.since) >= keep).then(|| idle.key.clone())?;
        self.take(&key)
    }
}

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
    pbx_name: Arc<str>,
    name: RecordingName,
}

/// The tapes there are.
#[derive(Default)]
pub(super) struct Shelf {
    tapes: HashMap<Key, Standing>,
    /// Tapes without readers, the longest idle first.
    idle: BTreeMap<u64, Idle>,
    next: u64,
    /// Whose recordings may stand on it; all PBXs' until there was a reload.
    pbxs: Option<Vec<u64>>,
}

/// A tape on the shelf.
pub(super) struct Standing {
    pub(super) tape: Arc<Tape>,
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
            pbx_name: pbx.shared_name(),
            name: name.clone(),
        }
    }

    pub(super) fn name(&self) -> &RecordingName {
        &self.name
    }

    /// The recording, however its PBX is configured.
    pub(super) fn recording(&self) -> (Arc<str>, RecordingName) {
        (Arc::clone(&self.pbx_name), self.name.clone())
    }
}

impl Shelf {
    /// Puts a new tape on it, which somebody reads.
    pub(super) fn put(&mut self, tape: &Arc<Tape>) {
        let standing = Standing {
            tape: Arc::clone(tape),
            since: Instant::now(),
            idle: None,
        };
        self.tapes.insert(tape.key.clone(), standing);
    }

    /// Is for recordings of these PBXs alone from now on. Returns which tapes are of others.
    pub(super) fn serve_only(&mut self, pbxs: &[Arc<Pbx>]) -> Vec<Key> {
        self.pbxs = Some(pbxs.iter().map(|pbx| pbx.id()).collect());
        let others = self.tapes.keys().filter(|key| !self.serves(key));
        others.cloned().collect()
    }

    /// Whether a tape of this recording may stand on it.
    pub(super) fn serves(&self, key: &Key) -> bool {
        let pbxs = self.pbxs.as_ref();
        pbxs.is_none_or(|pbxs| pbxs.contains(&key.pbx))
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
    pub(super) fn take_idle(
        &mut self,
        owner: Option<&Owner>,
        except: Option<&Key>,
    ) -> Option<Standing> {
        let is_of = |key: &Key| {
            let standing = self.tapes.get(key);
            owner.is_none() || standing.map(|standing| &standing.tape.owner) == owner
        };
        let key = self
            .idle
            .values()
            .map(|idle| &idle.key)
            .find(|key| Some(*key) != except && is_of(key))?
            .clone();
        self.take(&key)
    }

    /// A tape that has been idle for `keep`, and is not being filled any more.
    pub(super) fn take_idle_since(&mut self, now: Instant, keep: Duration) -> Option<Standing> {
        let is_filling = |key: &Key| {
            let standing = self.tapes.get(key);
            standing.is_some_and(|standing| standing.tape.is_filling())
        };
        let old = |idle: &&Idle| now.saturating_duration_since(idle.since) >= keep;
        let mut old = self.idle.values().take_while(old);
        let key = old.find(|idle| !is_filling(&idle.key))?.key.clone();
        self.take(&key)
    }
}

//! The metadata that the cache remembers for longer than the bytes.
//!
//! Knows metadata by key, and for some seconds which recordings do not exist. Does not know where
//! metadata come from.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;

use super::Metadata;
use super::key::EntryKey;
use crate::cache::settings::CacheSettings;
use crate::pbx::{ContentDigest, PbxError};
use crate::recording::RecordingName;

/// Bound on the remembered recordings; each takes a few hundred bytes.
const MAX_RECORDINGS: usize = 50_000;
/// Bound on the remembered names of recordings that do not exist.
const MAX_MISSING: usize = 10_000;

/// Remembered metadata, generations and missing recordings.
pub(super) struct RememberedMetadata {
    recordings: Cache<EntryKey, Expiring<Remembered>>,
    /// How often the content of a recording turned out to be another one. Kept over reloads and
    /// deletions: no tag may come again for another content.
    generations: Cache<(Arc<str>, RecordingName), u64>,
    /// Whether there are any generations.
    has_generations: AtomicBool,
    missing: Cache<EntryKey, Expiring<PbxError>>,
    /// Milliseconds for which metadata are remembered.
    remember: AtomicU64,
    /// Milliseconds for which a missing recording is remembered.
    remember_missing: AtomicU64,
}

/// The metadata of one recording, and the proof of its content.
#[derive(Clone, Default)]
pub(super) struct Remembered {
    pub(super) metadata: Option<Arc<Metadata>>,
    /// Hash of the whole content, if the recording has been read to its end.
    pub(super) digest: Option<ContentDigest>,
}

/// A value that is forgotten at some time.
#[derive(Clone)]
struct Expiring<V> {
    value: V,
    until: Instant,
}

impl<V> Expiring<V> {
    /// A value that lives as long as the configuration says at this time.
    fn new(value: V, milliseconds: &AtomicU64) -> Self {
        let life = Duration::from_millis(milliseconds.load(Relaxed));
        Self {
            value,
            until: Instant::now() + life,
        }
    }
}

/// The value of a key, unless its time is over; then it is forgotten.
fn unexpired<V: Clone>(values: &Cache<EntryKey, Expiring<V>>, key: &EntryKey) -> Option<V> {
    let found = values.get(key)?;
    if Instant::now() < found.until {
        return Some(found.value);
    }
    values.remove(key);
    None
}

impl RememberedMetadata {
    pub(super) fn new(settings: &CacheSettings) -> Self {
        let this = Self {
            recordings: Cache::new(MAX_RECORDINGS),
            generations: Cache::new(MAX_RECORDINGS),
            has_generations: AtomicBool::new(false),
            missing: Cache::new(MAX_MISSING),
            remember: AtomicU64::default(),
            remember_missing: AtomicU64::default(),
        };
        this.configure(settings);
        this
    }

    /// Changes the lifetimes of values that are written from now on.
    pub(super) fn configure(&self, settings: &CacheSettings) {
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.remember
            .store(milliseconds(settings.remember), Relaxed);
        self.remember_missing
            .store(milliseconds(settings.remember_missing), Relaxed);
    }

    pub(super) fn get(&self, key: &EntryKey) -> Remembered {
        unexpired(&self.recordings, key).unwrap_or_default()
    }

    /// Remembers the metadata of a recording in place of those `before`, and the hash of its
    /// content if it was read whole.
    pub(super) fn put(
        &self,
        key: &EntryKey,
        before: Remembered,
        metadata: &Arc<Metadata>,
        digest: Option<ContentDigest>,
    ) {
        self.missing.remove(key);
        let same = before
            .metadata
            .is_some_and(|before| before.etag == metadata.etag);
        let remembered = Remembered {
            metadata: Some(Arc::clone(metadata)),
            digest: digest.or(before.digest.filter(|_| same)),
        };
        let remembered = Expiring::new(remembered, &self.remember);
        self.recordings.insert(key.clone(), remembered);
    }

    /// Notes that the content of a recording is another one now: from now on its tags are others.
    pub(super) fn note_changed(&self, key: &EntryKey) {
        self.recordings.remove(key);
        let generation = self.generation(key) + 1;
        self.generations.insert(key.recording(), generation);
        self.has_generations.store(true, Relaxed);
    }

    /// How often the content of a recording turned out to be another one.
    pub(super) fn generation(&self, key: &EntryKey) -> u64 {
        // Mostly there is none.
        if !self.has_generations.load(Relaxed) {
            return 0;
        }
        self.generations.get(&key.recording()).unwrap_or_default()
    }

    /// The answer of the PBX, where it said a moment ago that there is no such recording.
    pub(super) fn missing(&self, key: &EntryKey) -> Option<PbxError> {
        unexpired(&self.missing, key)
    }

    /// Notes that the PBX says there is no such recording.
    pub(super) fn note_missing(&self, key: &EntryKey, error: &PbxError) {
        self.recordings.remove(key);
        let missing = Expiring::new(error.clone(), &self.remember_missing);
        self.missing.insert(key.clone(), missing);
    }

    pub(super) fn forget(&self, key: &EntryKey) {
        self.recordings.remove(key);
        self.missing.remove(key);
    }
}

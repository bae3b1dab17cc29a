//! The metadata that the cache remembers for longer than the bytes.
//!
//! Knows metadata by key, and for some seconds which recordings do not exist. Does not know where
//! metadata come from.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::sync::Cache;

use super::Metadata;
use super::key::EntryKey;
use crate::cache::settings::CacheSettings;
use crate::pbx::{ContentDigest, PbxError};
use crate::recording::RecordingName;

/// Bound on the remembered recordings; each takes a few hundred bytes.
const MAX_RECORDINGS: u64 = 50_000;
/// Bound on the remembered names of recordings that do not exist.
const MAX_MISSING: u64 = 10_000;

/// Remembered metadata, generations and missing recordings.
pub(super) struct RememberedMetadata {
    recordings: Cache<EntryKey, Remembered>,
    /// How often the content of a recording turned out to be another one. Kept over reloads and
    /// deletions: no tag may come again for another content.
    generations: Cache<(Arc<str>, RecordingName), u64>,
    missing: Cache<EntryKey, PbxError>,
    /// Milliseconds for which metadata are remembered.
    remember: Arc<AtomicU64>,
    /// Milliseconds for which a missing recording is remembered.
    remember_missing: Arc<AtomicU64>,
}

/// The metadata of one recording, and the proof of its content.
#[derive(Clone, Default)]
pub(super) struct Remembered {
    pub(super) metadata: Option<Arc<Metadata>>,
    /// Hash of the whole content, if the recording has been read to its end.
    pub(super) digest: Option<ContentDigest>,
}

/// Lets each value live as long as the configuration says at the time when it is written.
struct ConfiguredLifetime(Arc<AtomicU64>);

impl<V> Expiry<EntryKey, V> for ConfiguredLifetime {
    fn expire_after_create(&self, _: &EntryKey, _: &V, _: Instant) -> Option<Duration> {
        Some(Duration::from_millis(self.0.load(Relaxed)))
    }

    fn expire_after_update(
        &self,
        _: &EntryKey,
        _: &V,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(Duration::from_millis(self.0.load(Relaxed)))
    }
}

impl RememberedMetadata {
    pub(super) fn new(settings: &CacheSettings) -> Self {
        let (known, missing) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let this = Self {
            recordings: Cache::builder()
                .max_capacity(MAX_RECORDINGS)
                .expire_after(ConfiguredLifetime(Arc::clone(&known)))
                .build(),
            generations: Cache::new(MAX_RECORDINGS),
            missing: Cache::builder()
                .max_capacity(MAX_MISSING)
                .expire_after(ConfiguredLifetime(Arc::clone(&missing)))
                .build(),
            remember: known,
            remember_missing: missing,
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
        self.recordings.get(key).unwrap_or_default()
    }

    /// Remembers the metadata of a recording, and the hash of its content if it was read whole.
    pub(super) fn put(
        &self,
        key: &EntryKey,
        metadata: &Arc<Metadata>,
        digest: Option<ContentDigest>,
    ) {
        self.missing.invalidate(key);
        let before = self.get(key);
        let same = before
            .metadata
            .is_some_and(|before| before.etag == metadata.etag);
        self.recordings.insert(
            key.clone(),
            Remembered {
                metadata: Some(Arc::clone(metadata)),
                digest: digest.or(before.digest.filter(|_| same)),
            },
        );
    }

    /// Notes that the content of a recording is another one now: from now on its tags are others.
    pub(super) fn note_changed(&self, key: &EntryKey) {
        self.recordings.invalidate(key);
        let generation = self.generation(key) + 1;
        self.generations.insert(key.recording(), generation);
    }

    /// How often the content of a recording turned out to be another one.
    pub(super) fn generation(&self, key: &EntryKey) -> u64 {
        self.generations.get(&key.recording()).unwrap_or_default()
    }

    /// The answer of the PBX, where it said a moment ago that there is no such recording.
    pub(super) fn missing(&self, key: &EntryKey) -> Option<PbxError> {
        self.missing.get(key)
    }

    /// Notes that the PBX says there is no such recording.
    pub(super) fn note_missing(&self, key: &EntryKey, error: &PbxError) {
        self.recordings.invalidate(key);
        self.missing.insert(key.clone(), error.clone());
    }

    pub(super) fn forget(&self, key: &EntryKey) {
        self.recordings.invalidate(key);
        self.missing.invalidate(key);
    }
}

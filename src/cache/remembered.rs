//! What is remembered of recordings longer than their bytes are.
//!
//! Knows metadata by key, and for seconds what is not there. Does not know where metadata come from.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::sync::Cache;

use super::Metadata;
use super::index::EntryKey;
use crate::cache::settings::CacheSettings;
use crate::pbx::{ContentDigest, PbxError};
use crate::recording::RecordingName;

/// Recordings that are remembered at once; a few hundred bytes each.
const MAX_RECORDINGS: u64 = 50_000;
/// Names that were not found.
const MAX_MISSING: u64 = 10_000;

/// What is remembered.
pub(super) struct RememberedMetadata {
    recordings: Cache<EntryKey, Remembered>,
    /// How often the content of a recording turned out to be another one. Kept over a reload, and whatever else is forgotten:
    /// no tag may come again for another content.
    generations: Cache<(Arc<str>, RecordingName), u64>,
    missing: Cache<EntryKey, PbxError>,
    /// Milliseconds for which a recording is remembered.
    remember: Arc<AtomicU64>,
    /// Milliseconds for which it is remembered that there is none.
    remember_missing: Arc<AtomicU64>,
}

/// What is remembered of one recording.
#[derive(Clone, Default)]
pub(super) struct Remembered {
    pub(super) metadata: Option<Arc<Metadata>>,
    /// Of the whole content, where it has been read whole.
    pub(super) digest: Option<ContentDigest>,
}

/// Lets each entry live as long as the configuration says when it is written.
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

    /// Changes how long recordings are remembered that are seen from now on.
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

    /// Remembers a recording, and its content if that was read whole.
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

    /// Notes that the content of a recording turned out to be another one: it gets another tag.
    pub(super) fn differs(&self, key: &EntryKey) {
        self.recordings.invalidate(key);
        let generation = self.generation(key) + 1;
        self.generations.insert(key.recording(), generation);
    }

    /// How often the content of a recording turned out to be another one.
    pub(super) fn generation(&self, key: &EntryKey) -> u64 {
        self.generations.get(&key.recording()).unwrap_or_default()
    }

    /// Why a recording could not be had a moment ago.
    pub(super) fn missing(&self, key: &EntryKey) -> Option<PbxError> {
        self.missing.get(key)
    }

    /// Notes that the PBX says there is no such recording.
    pub(super) fn gone(&self, key: &EntryKey, error: &PbxError) {
        self.recordings.invalidate(key);
        self.missing.insert(key.clone(), error.clone());
    }

    pub(super) fn forget(&self, key: &EntryKey) {
        self.recordings.invalidate(key);
        self.missing.invalidate(key);
    }
}

//! The cache: recordings in memory, one entry for each.
//!
//! Knows keys, times and the bound on memory. Does not know bytes or callers, but an opaque owner.
//!
//! | an entry leaves | in |
//! |---|---|
//! | without a reader for `keep_s`, or older than `max_age_s` | `Cache::sweep` |
//! | when its memory is needed, the longest idle first | `Cache::block_from`, `Cache::shrink` |
//! | when a reload changes its PBX, or the operator deletes it | `Cache::retain`, `Cache::delete` |
//! | when its fill failed, or its last reader left it unfinished | `Cache::settle`, `Cache::leave` |
//! | when it is too long or no block is free: it becomes a window | `Fill::make_window` |
//!
//! Lock order: the index first, then an entry, then the pool. No fill is spawned while one of these
//! locks is held: a fill that the runtime does not take is dropped at once, and its `Drop` locks
//! the index.

mod entry;
mod error;
mod fill;
mod index;
mod key;
mod metadata;
mod passthrough;
mod recognition;
mod remembered;
pub mod settings;
mod source;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::time::sleep;

use self::entry::{BLOCK_BYTES, CacheEntry, MemoryBlock, NoBlock, Phase, Pool, Reader};
pub(crate) use self::error::{CacheError, EndReason};
use self::fill::Fill;
use self::index::{CacheIndex, IndexedEntry};
use self::key::EntryKey;
pub(crate) use self::metadata::Metadata;
use self::passthrough::Passthrough;
use self::remembered::RememberedMetadata;
pub(crate) use self::source::Source;
use crate::audit::RecordedRead;
use crate::cache::settings::CacheSettings;
use crate::metrics::{Eviction, Metrics};
use crate::pbx::{Excerpt, Pbx, PbxError, ResumePoint};
use crate::principal::PrincipalId;
use crate::recording::RecordingName;

/// The principal whose share of the memory an entry counts against.
type Owner = PrincipalId;

/// Interval between two looks for entries that are idle or old.
const SWEEP_INTERVAL: Duration = Duration::from_millis(500);
/// One sweep in so many also gives unused memory back to the system.
const SWEEPS_PER_MEMORY_SWEEP: u32 = 20;

/// All entries, and the metadata that outlives them.
pub(crate) struct Cache {
    me: Weak<Self>,
    metrics: Arc<Metrics>,
    settings: ArcSwap<CacheSettings>,
    pool: Pool,
    remembered: RememberedMetadata,
    index: Mutex<CacheIndex>,
}

/// A request for one part of a recording whose metadata is remembered.
pub(crate) struct PartRequest {
    pub(crate) metadata: Arc<Metadata>,
    pub(crate) excerpt: Excerpt,
}

impl Cache {
    /// Makes an empty cache and starts the task that removes its old entries. Call it within a
    /// tokio runtime.
    pub(crate) fn start(settings: CacheSettings, metrics: Arc<Metrics>) -> Arc<Self> {
        let cache = Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            metrics,
            pool: Pool::new(blocks(&settings)),
            remembered: RememberedMetadata::new(&settings),
            settings: ArcSwap::from_pointee(settings),
            index: Mutex::default(),
        });
        tokio::spawn(sweep(Arc::downgrade(&cache)));
        cache
    }

    /// Replaces the settings. Memory above a smaller bound is freed as soon as nobody reads it.
    pub(crate) fn configure(&self, settings: CacheSettings) {
        self.pool.resize(blocks(&settings));
        self.remembered.configure(&settings);
        self.settings.store(Arc::new(settings));
        self.shrink(&mut self.lock());
    }

    /// Ends idle entries, longest idle first, until the pool is within its bound.
    fn shrink(&self, index: &mut CacheIndex) {
        while self.pool.is_over()
            && let Some(idle) = index.take_idle(None, None)
        {
            self.end(&idle, EndReason::Room);
        }
    }

    /// Drops the entries of all other PBXs, and makes none for them from now on.
    pub(crate) fn retain(&self, pbxs: &[Arc<Pbx>]) {
        let mut index = self.lock();
        for key in index.serve_only(pbxs) {
            // An entry that has readers leaves the index only: its bytes are still right, so the
            // readers go on.
            if let Some(indexed) = index.take(&key)
                && !indexed.entry.has_readers()
            {
                self.end(&indexed, EndReason::Reload);
            }
        }
    }

    /// The metadata remembered of a recording. Asks no PBX.
    pub(crate) fn known(&self, pbx: &Pbx, read: &RecordedRead) -> Option<Arc<Metadata>> {
        let key = EntryKey::of(pbx, read);
        self.remembered.get(&key).metadata
    }

    /// Joins the entry of a recording, if there is one.
    ///
    /// # Errors
    /// The answer that the PBX gave a moment ago, where that was "no such recording".
    pub(crate) fn find(&self, pbx: &Pbx, read: &RecordedRead) -> Result<Option<Source>, PbxError> {
        let key = EntryKey::of(pbx, read);
        if let Some(error) = self.remembered.missing(&key) {
            return Err(error);
        }
        if self.settings.load().max_bytes == 0 {
            return Ok(None);
        }
        let found = self.join(&mut self.lock(), &key);
        Ok(found)
    }

    /// Opens a recording: joins or begins an entry, or passes the bytes through where there is no
    /// room for an entry. A passthrough asks the PBX for the `part` alone, if there is one and the
    /// PBX is trusted with that.
    ///
    /// # Errors
    /// Why the recording cannot be read, as far as that is known already; [`Source::metadata`]
    /// gives the other reasons.
    ///
    /// # Cancel safety
    /// Safe: a fill without a reader stops before it reads.
    pub(crate) async fn open(
        &self,
        pbx: &Arc<Pbx>,
        read: &RecordedRead,
        part: Option<PartRequest>,
    ) -> Result<Source, CacheError> {
        let key = EntryKey::of(pbx, read);
        if let Some(source) = self.begin(&key, pbx, read) {
            return Ok(source);
        }
        // Boxed: most requests never come here, and their futures need not be that large.
        let (excerpt, known) = part.map(|part| (part.excerpt, part.metadata)).unzip();
        let opened = match Box::pin(pbx.open(read, excerpt)).await {
            Ok(reading) => {
                Passthrough::begin(reading, self, Arc::clone(pbx), key.clone(), known).await
            }
            Err(error) => Err(CacheError::NotOpened(error)),
        };
        if let Err(error) = &opened {
            self.note_failure(&key, error);
        }
        Ok(Source::Passthrough(Box::new(opened?)))
    }

    fn join(&self, index: &mut CacheIndex, key: &EntryKey) -> Option<Source> {
        let entry = index.join(key)?;
        Some(Source::Entry(Reader::new(entry, Weak::clone(&self.me))))
    }

    /// Begins an entry, or joins one that another request has begun since [`Cache::find`]. Returns
    /// `None` where the recording has to pass through.
    fn begin(&self, key: &EntryKey, pbx: &Arc<Pbx>, read: &RecordedRead) -> Option<Source> {
        let settings = self.settings.load();
        let length = || self.remembered.get(key).metadata?.length();
        let max_bytes = settings.max_recording_bytes;
        if settings.max_bytes == 0 || length().is_some_and(|length| length > max_bytes) {
            return None;
        }
        let mut index = self.lock();
        if !index.serves(key) {
            return None;
        }
        if let Some(source) = self.join(&mut index, key) {
            return Some(source);
        }
        let me = self.me.upgrade()?;
        let block = self.block_from(&mut index, read.reader(), key).ok()?;
        let entry = Arc::new(CacheEntry::new(
            key.clone(),
            Arc::clone(pbx),
            read.reader().clone(),
        ));
        index.put(&entry);
        let reader = Reader::new(Arc::clone(&entry), Weak::clone(&self.me));
        drop(index);
        Fill::new(me, entry, read.clone(), Some(block)).spawn(None);
        Some(Source::Entry(reader))
    }

    /// Whether the bytes up to `end`, or to the end of the recording, have to be read from the PBX
    /// again.
    pub(crate) fn lacks(&self, source: &Source, end: Option<u64>) -> bool {
        matches!(source, Source::Entry(reader) if reader.lacks(end))
    }

    /// Starts a new fill for an entry whose fill has stopped, and returns when the recording is
    /// open again.
    ///
    /// # Errors
    /// When the recording cannot be read any more, or its content is another one by now.
    ///
    /// # Cancel safety
    /// Safe.
    pub(crate) async fn go_on(
        &self,
        source: &mut Source,
        read: &RecordedRead,
    ) -> Result<(), CacheError> {
        let Source::Entry(reader) = source else {
            return Ok(());
        };
        if let (Some(me), Some(seen)) = (self.me.upgrade(), reader.entry().resume()) {
            let entry = Arc::clone(reader.entry());
            Fill::new(me, entry, read.clone(), None).spawn(Some(seen));
        }
        reader.opened().await
    }

    /// Ends the entry of a recording, even if it has readers, and forgets its metadata.
    pub(crate) fn delete(&self, pbx: &Pbx, name: &RecordingName) {
        let key = EntryKey::new(pbx, name);
        let indexed = self.lock().take(&key);
        if let Some(indexed) = indexed {
            self.end(&indexed, EndReason::Deleted);
        }
        // After the entry has ended: its fill may have noted metadata until then, and they have to
        // go, too.
        self.remembered.forget(&key);
    }

    /// Bytes of memory that all entries hold.
    pub(crate) fn bytes_held(&self) -> u64 {
        (self.pool.held() * BLOCK_BYTES) as u64
    }

    /// Takes a block for an owner. Where none is free, it ends idle entries, longest idle first:
    /// those of the owner alone, if the owner's share is used up.
    fn block(&self, owner: &Owner, key: &EntryKey) -> Result<MemoryBlock, NoBlock> {
        self.block_from(&mut self.lock(), owner, key)
    }

    fn block_from(
        &self,
        index: &mut CacheIndex,
        owner: &Owner,
        key: &EntryKey,
    ) -> Result<MemoryBlock, NoBlock> {
        loop {
            let error = match self.pool.try_take(owner) {
                Ok(block) => return Ok(block),
                Err(error) => error,
            };
            let of = (error == NoBlock::Share).then_some(owner);
            let Some(idle) = index.take_idle(of, Some(key)) else {
                return Err(error);
            };
            self.end(&idle, EndReason::Room);
        }
    }

    /// Ends an entry that was taken off the index, and counts the eviction.
    fn end(&self, indexed: &IndexedEntry, why: EndReason) {
        indexed.entry.end(why);
        self.metrics.evicted(match why {
            EndReason::Idle => Eviction::Idle,
            EndReason::Room => Eviction::Room,
            EndReason::Age => Eviction::Age,
            EndReason::Deleted => Eviction::Deleted,
            EndReason::Reload => Eviction::Reload,
            // No eviction: the fill itself gave up for want of readers.
            EndReason::Deserted => return,
        });
    }

    fn weak(&self) -> Weak<Self> {
        Weak::clone(&self.me)
    }

    fn settings(&self) -> Arc<CacheSettings> {
        self.settings.load_full()
    }

    /// Whether an entry is on the index, where new readers can join it.
    fn contains(&self, entry: &Arc<CacheEntry>) -> bool {
        self.lock().contains(entry)
    }

    /// Takes an entry off the index. Its readers go on, and nobody joins them.
    fn withdraw(&self, entry: &Arc<CacheEntry>) {
        let mut index = self.lock();
        if index.contains(entry) {
            index.take(&entry.key);
        }
    }

    /// Records how a fill ended. Returns the resume point if a reader joined after the fill had
    /// decided to stop: then the fill goes on from there.
    fn settle(&self, entry: &Arc<CacheEntry>, phase: Phase) -> Option<ResumePoint> {
        let mut index = self.lock();
        let is_mine = index.contains(entry);
        // A recording that was still being written is kept for its present readers only.
        let unkept = !entry.has_readers() && entry.is_unfinished();
        // Under the lock of the index, so nobody joins between this look at the readers and the
        // new phase. After it, no request finds an entry that has failed.
        if is_mine && (matches!(phase, Phase::Failed(_)) || unkept) {
            index.take(&entry.key);
        }
        if let Phase::Failed(error) = &phase {
            self.note_failure(&entry.key, error);
        }
        match phase {
            // A reader joined between the fill's decision to stop and this lock. It saw a running
            // fill, so it starts none itself, and would wait for ever if this one ended.
            Phase::Stopped(seen, None) if is_mine && entry.has_readers() => Some(seen),
            phase => {
                entry.finish(phase);
                None
            }
        }
    }

    /// Takes a reader's seat away, and notes that the entry is idle if that was the last one.
    fn leave(&self, entry: &Arc<CacheEntry>, seat: u64) {
        let mut index = self.lock();
        // Under the lock of the index: nobody joins between the look at the seats and the note.
        // Before: one reader. After: idle, which the sweep or a lack of room ends; a recording
        // that was still being written is dropped at once, so that the next request reads it anew.
        if entry.leave(seat) && index.contains(entry) {
            if entry.is_whole() && entry.is_unfinished() {
                index.take(&entry.key);
            } else {
                index.note_idle(&entry.key, Instant::now());
            }
        }
    }

    fn sweep(&self, now: Instant) {
        let settings = self.settings.load();
        let mut index = self.lock();
        while let Some(idle) = index.take_idle_since(now, settings.keep) {
            self.end(&idle, EndReason::Idle);
        }
        for key in index.older_than(now, settings.max_age) {
            if let Some(indexed) = index.take(&key) {
                self.end(&indexed, EndReason::Age);
            }
        }
        self.shrink(&mut index);
    }

    fn lock(&self) -> MutexGuard<'_, CacheIndex> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends idle and old entries and gives unused memory back, for as long as the cache lives.
async fn sweep(cache: Weak<Cache>) {
    let mut sweeps = 0;
    loop {
        sleep(SWEEP_INTERVAL).await;
        let Some(cache) = cache.upgrade() else {
            return;
        };
        cache.sweep(Instant::now());
        sweeps = (sweeps + 1) % SWEEPS_PER_MEMORY_SWEEP;
        if sweeps == 0 {
            cache.pool.sweep();
        }
    }
}

fn blocks(settings: &CacheSettings) -> usize {
    usize::try_from(settings.max_bytes).unwrap_or(usize::MAX) / BLOCK_BYTES
}

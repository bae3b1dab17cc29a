//! All entries: which there are, which are idle, and when they go.
//!
//! Knows keys, times and the bound on memory. Does not know bytes or who asks beyond an opaque owner.
//!
//! Locks are taken in this order: the index, an entry, the pool. No fill is spawned under any: one that the runtime does not
//! take settles at once.

mod entry;
mod error;
mod fill;
mod index;
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

use self::entry::{BLOCK_BYTES, Block, CacheEntry, NoBlock, Phase, Pool, Reader};
pub(crate) use self::error::{CacheError, Ended};
use self::fill::Fill;
use self::index::{CacheIndex, EntryKey, IndexedEntry};
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

/// For whom memory is held.
type Owner = PrincipalId;

/// How often it is looked which entries have to go.
const SWEEP: Duration = Duration::from_millis(500);
/// Sweeps between those of unused memory.
const SWEEPS_OF_MEMORY: u32 = 20;

/// All entries.
pub(crate) struct Cache {
    me: Weak<Self>,
    metrics: Arc<Metrics>,
    settings: ArcSwap<CacheSettings>,
    pool: Pool,
    known: RememberedMetadata,
    index: Mutex<CacheIndex>,
}

/// A part of a recording of which enough is known from earlier.
pub(crate) struct PartOf {
    pub(crate) metadata: Arc<Metadata>,
    pub(crate) excerpt: Excerpt,
}

impl Cache {
    /// Call it within a tokio runtime.
    pub(crate) fn start(settings: CacheSettings, metrics: Arc<Metrics>) -> Arc<Self> {
        let cache = Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            metrics,
            pool: Pool::new(blocks(&settings)),
            known: RememberedMetadata::new(&settings),
            settings: ArcSwap::from_pointee(settings),
            index: Mutex::default(),
        });
        tokio::spawn(sweep(Arc::downgrade(&cache)));
        cache
    }

    /// Takes other settings over. What is held beyond a smaller bound goes as soon as nobody reads it.
    pub(crate) fn configure(&self, settings: CacheSettings) {
        self.pool.resize(blocks(&settings));
        self.known.configure(&settings);
        self.settings.store(Arc::new(settings));
        self.shrink(&mut self.lock());
    }

    /// Lets go of idle entries while more is held than may be.
    fn shrink(&self, index: &mut CacheIndex) {
        while self.pool.is_over()
            && let Some(idle) = index.take_idle(None, None)
        {
            self.end(&idle, Ended::Room);
        }
    }

    /// Drops the entries of all PBXs but these, and makes none for others from now on.
    pub(crate) fn retain(&self, pbxs: &[Arc<Pbx>]) {
        let mut index = self.lock();
        for key in index.serve_only(pbxs) {
            // Those who read it go on: nothing is wrong with what they hear.
            if let Some(indexed) = index.take(&key)
                && !indexed.entry.has_readers()
            {
                self.end(&indexed, Ended::Reload);
            }
        }
    }

    /// What is known of a recording without asking for it.
    pub(crate) fn known(&self, pbx: &Pbx, name: &RecordingName) -> Option<Arc<Metadata>> {
        self.known.get(&EntryKey::new(pbx, name)).metadata
    }

    /// The entry of a recording, if there is one; or why there is no such recording, if that is known.
    ///
    /// # Errors
    /// What the PBX said a moment ago.
    pub(crate) fn find(&self, pbx: &Pbx, name: &RecordingName) -> Result<Option<Source>, PbxError> {
        let key = EntryKey::new(pbx, name);
        if let Some(error) = self.known.missing(&key) {
            return Err(error);
        }
        if self.settings.load().max_bytes == 0 {
            return Ok(None);
        }
        let found = self.join(&mut self.lock(), &key);
        Ok(found)
    }

    /// Has a recording read: onto an entry, or straight through where there is no room for one. Then no more than the `part`
    /// is asked of the PBX, if there is one and the PBX is trusted with that.
    ///
    /// # Errors
    /// Why the recording cannot be had, as far as that is known already; [`Source::metadata`] tells the rest.
    ///
    /// # Cancel safety
    /// Safe: what nobody reads is not begun.
    pub(crate) async fn open(
        &self,
        pbx: &Arc<Pbx>,
        read: &RecordedRead,
        part: Option<PartOf>,
    ) -> Result<Source, CacheError> {
        let key = EntryKey::new(pbx, read.recording());
        if let Some(source) = self.begin(&key, pbx, read) {
            return Ok(source);
        }
        // In a box: most requests never come here, and their futures need not be that large.
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

    /// A new entry, or one that was begun a moment ago; `None` where the recording is to go straight through.
    fn begin(&self, key: &EntryKey, pbx: &Arc<Pbx>, read: &RecordedRead) -> Option<Source> {
        let settings = self.settings.load();
        let length = self
            .known
            .get(key)
            .metadata
            .and_then(|metadata| metadata.length());
        if length.is_some_and(|length| length > settings.max_recording_bytes) {
            return None;
        }
        let mut index = self.lock();
        if settings.max_bytes == 0 || !index.serves(key) {
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

    /// Whether the bytes up to `end`, or to the end of the recording, need to be read from the PBX again.
    pub(crate) fn lacks(&self, source: &Source, end: Option<u64>) -> bool {
        matches!(source, Source::Entry(reader) if reader.lacks(end))
    }

    /// Has an entry read on that was stopped, and returns when the recording is open again.
    ///
    /// # Errors
    /// When it cannot be had any more, or is another one by now.
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

    /// Ends the entry of a recording, whoever reads it, and forgets what is known of it.
    pub(crate) fn delete(&self, pbx: &Pbx, name: &RecordingName) {
        let key = EntryKey::new(pbx, name);
        let indexed = self.lock().take(&key);
        if let Some(indexed) = indexed {
            self.end(&indexed, Ended::Deleted);
        }
        // Last: what its fill had just found out goes, too.
        self.known.forget(&key);
    }

    /// How many bytes are held.
    pub(crate) fn bytes_held(&self) -> u64 {
        (self.pool.held() * BLOCK_BYTES) as u64
    }

    /// A block for an owner; idle entries go for it, the longest idle first.
    fn block(&self, owner: &Owner, key: &EntryKey) -> Result<Block, NoBlock> {
        self.block_from(&mut self.lock(), owner, key)
    }

    fn block_from(
        &self,
        index: &mut CacheIndex,
        owner: &Owner,
        key: &EntryKey,
    ) -> Result<Block, NoBlock> {
        loop {
            let error = match self.pool.try_take(owner) {
                Ok(block) => return Ok(block),
                Err(error) => error,
            };
            let of = (error == NoBlock::Share).then_some(owner);
            let Some(idle) = index.take_idle(of, Some(key)) else {
                return Err(error);
            };
            self.end(&idle, Ended::Room);
        }
    }

    /// Ends an entry that stands on the index no more.
    fn end(&self, indexed: &IndexedEntry, why: Ended) {
        indexed.entry.end(why);
        self.metrics.evicted(match why {
            Ended::Idle => Eviction::Idle,
            Ended::Room => Eviction::Room,
            Ended::Age => Eviction::Age,
            Ended::Deleted => Eviction::Deleted,
            Ended::Reload => Eviction::Reload,
            // Its fill says so itself.
            Ended::Deserted => return,
        });
    }

    fn weak(&self) -> Weak<Self> {
        Weak::clone(&self.me)
    }

    fn settings(&self) -> Arc<CacheSettings> {
        self.settings.load_full()
    }

    /// Whether an entry stands on the index, where it can be joined.
    fn has(&self, entry: &Arc<CacheEntry>) -> bool {
        self.lock().has(entry)
    }

    /// Takes an entry off the index: it goes on for those who read it.
    fn withdraw(&self, entry: &Arc<CacheEntry>) {
        let mut index = self.lock();
        if index.has(entry) {
            index.take(&entry.key);
        }
    }

    /// Ends the work of a fill. What it returns is to be gone on behind after all.
    fn settle(&self, entry: &Arc<CacheEntry>, phase: Phase) -> Option<ResumePoint> {
        let mut index = self.lock();
        let is_mine = index.has(entry);
        let unkept = !entry.has_readers() && entry.is_unfinished();
        if is_mine && (matches!(phase, Phase::Failed(_)) || unkept) {
            index.take(&entry.key);
        }
        if let Phase::Failed(error) = &phase {
            self.note_failure(&entry.key, error);
        }
        match phase {
            // Somebody came at the last moment.
            Phase::Stopped(seen, None) if is_mine && entry.has_readers() => Some(seen),
            phase => {
                entry.finish(phase);
                None
            }
        }
    }

    /// A reader leaves its entry.
    fn leave(&self, entry: &Arc<CacheEntry>, seat: u64) {
        let mut index = self.lock();
        if entry.leave(seat) && index.has(entry) {
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
            self.end(&idle, Ended::Idle);
        }
        for key in index.older_than(now, settings.max_age) {
            if let Some(indexed) = index.take(&key) {
                self.end(&indexed, Ended::Age);
            }
        }
        self.shrink(&mut index);
    }

    fn lock(&self) -> MutexGuard<'_, CacheIndex> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks after idle and old entries, and unused memory, for as long as there are entries.
async fn sweep(cache: Weak<Cache>) {
    let mut sweeps = 0;
    loop {
        sleep(SWEEP).await;
        let Some(cache) = cache.upgrade() else {
            return;
        };
        cache.sweep(Instant::now());
        sweeps = (sweeps + 1) % SWEEPS_OF_MEMORY;
        if sweeps == 0 {
            cache.pool.sweep();
        }
    }
}

fn blocks(settings: &CacheSettings) -> usize {
    usize::try_from(settings.max_bytes).unwrap_or(usize::MAX) / BLOCK_BYTES
}

//! All tapes: which there are, which are idle, and when they go.
//!
//! Knows keys, times and the bound on memory. Does not know bytes or who asks beyond an opaque owner.
//!
//! Locks are taken in this order: the shelf, a tape, the pool.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::time::sleep;
use tracing::{debug, info};

use super::block::{BLOCK_BYTES, Block, NoBlock, Pool};
use super::facts::Identity;
use super::fill::Fill;
use super::known::Known;
use super::source::Source;
use super::straight::Straight;
use super::{Facts, Owner, Phase, Reader, Tape, TapeError};
use crate::config;
use crate::metrics::{Eviction, Metrics};
use crate::pbx::{Pbx, PbxError, Reading, ReadingError, Seen, Witness};
use crate::recording::RecordingName;

/// How often it is looked which tapes have to go.
const SWEEP: Duration = Duration::from_millis(500);
/// Sweeps between those of unused memory.
const SWEEPS_OF_MEMORY: u32 = 20;

/// Which recording of which PBX, as that is configured.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pbx: u64,
    name: RecordingName,
}

/// Why a tape was ended from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Nobody reads it any more, and it has been kept long enough.
    Idle,
    /// Its memory was needed.
    Room,
    /// It was too old.
    Age,
    /// Somebody said so.
    Deleted,
    /// Its PBX is configured anew.
    Reload,
    /// Its last reader left before there was anything worth keeping.
    Deserted,
}

impl Ended {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "the recording was no longer kept",
            Self::Room => "the memory of the recording was needed",
            Self::Age => "the recording had been kept for tape.max_age_s",
            Self::Deleted => "the recording was deleted",
            Self::Reload => "the PBX was configured anew",
            Self::Deserted => "nobody was left to read the recording",
        }
    }
}

/// All tapes.
pub(crate) struct Tapes {
    me: Weak<Self>,
    metrics: Arc<Metrics>,
    settings: ArcSwap<config::Tape>,
    pool: Pool,
    known: Known,
    shelf: Mutex<Shelf>,
}

#[derive(Default)]
struct Shelf {
    tapes: HashMap<Key, Standing>,
    /// Tapes without readers, the longest idle first.
    idle: BTreeMap<u64, Idle>,
    next: u64,
}

struct Standing {
    tape: Arc<Tape>,
    owner: Owner,
    since: Instant,
    /// Where it stands among the idle ones.
    idle: Option<u64>,
}

struct Idle {
    key: Key,
    since: Instant,
}

impl Tapes {
    /// Call it within a tokio runtime.
    pub(crate) fn start(settings: config::Tape, metrics: Arc<Metrics>) -> Arc<Self> {
        let tapes = Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            metrics,
            pool: Pool::new(blocks(&settings)),
            known: Known::new(&settings),
            settings: ArcSwap::from_pointee(settings),
            shelf: Mutex::default(),
        });
        tokio::spawn(sweep(Arc::downgrade(&tapes)));
        tapes
    }

    /// Takes other settings over. What is held beyond a smaller bound goes as soon as nobody reads it.
    pub(crate) fn configure(&self, settings: config::Tape) {
        self.pool.resize(blocks(&settings));
        self.known.configure(&settings);
        self.settings.store(Arc::new(settings));
    }

    /// Drops the tapes of all PBXs but these.
    pub(crate) fn retain(&self, pbxs: &[Arc<Pbx>]) {
        let mut shelf = self.lock();
        let gone = |key: &Key| !pbxs.iter().any(|pbx| pbx.id() == key.pbx);
        let keys: Vec<_> = shelf
            .tapes
            .keys()
            .filter(|key| gone(key))
            .cloned()
            .collect();
        for key in keys {
            // Those who read it go on: nothing is wrong with what they hear.
            if let Some(standing) = shelf.take(&key)
                && !standing.tape.has_readers()
            {
                self.end(&standing, Ended::Reload);
            }
        }
    }

    /// What is known of a recording without asking for it.
    pub(crate) fn known(&self, pbx: &Pbx, name: &RecordingName) -> Option<Arc<Facts>> {
        self.known.get(&Key::new(pbx, name)).facts
    }

    /// The tape of a recording, if there is one; or why there is no such recording, if that is known.
    ///
    /// # Errors
    /// What the PBX said a moment ago.
    pub(crate) fn find(&self, pbx: &Pbx, name: &RecordingName) -> Result<Option<Source>, PbxError> {
        let key = Key::new(pbx, name);
        if let Some(error) = self.known.missing(&key) {
            return Err(error);
        }
        let found = self.join(&mut self.lock(), &key);
        Ok(found)
    }

    /// Has a recording read: onto a tape, or straight through where there is no room for one.
    ///
    /// # Errors
    /// Why the recording cannot be had, as far as that is known already; [`Source::facts`] tells the rest.
    ///
    /// # Cancel safety
    /// Safe: what nobody reads is not begun.
    pub(crate) async fn open(
        &self,
        pbx: &Arc<Pbx>,
        name: &RecordingName,
        owner: &Owner,
    ) -> Result<Source, TapeError> {
        let key = Key::new(pbx, name);
        if let Some(source) = self.begin(&key, pbx, owner) {
            return Ok(source);
        }
        // In a box: most requests never come here, and their futures need not be that large.
        let opened = match Box::pin(pbx.open(name, owner)).await {
            Ok(reading) => Straight::begin(reading, self, Arc::clone(pbx), key.clone()).await,
            Err(error) => Err(TapeError::NotOpened(error)),
        };
        if let Err(error) = &opened {
            self.note_failure(&key, error);
        }
        Ok(Source::Straight(Box::new(opened?)))
    }

    fn join(&self, shelf: &mut Shelf, key: &Key) -> Option<Source> {
        let tape = shelf.join(key)?;
        Some(Source::Tape(Reader::new(tape, Weak::clone(&self.me))))
    }

    /// A new tape, or one that was begun a moment ago; `None` where the recording is to go straight through.
    fn begin(&self, key: &Key, pbx: &Arc<Pbx>, owner: &Owner) -> Option<Source> {
        let settings = self.settings.load();
        let length = self.known.get(key).facts.and_then(|facts| facts.length);
        if length.is_some_and(|length| length > settings.max_recording_bytes) {
            return None;
        }
        let mut shelf = self.lock();
        if let Some(source) = self.join(&mut shelf, key) {
            return Some(source);
        }
        let me = self.me.upgrade()?;
        let block = self.block_from(&mut shelf, owner, key).ok()?;
        let tape = Arc::new(Tape::new(key.clone(), Arc::clone(pbx)));
        let standing = Standing {
            tape: Arc::clone(&tape),
            owner: owner.clone(),
            since: Instant::now(),
            idle: None,
        };
        shelf.tapes.insert(key.clone(), standing);
        let reader = Reader::new(Arc::clone(&tape), Weak::clone(&self.me));
        Fill::new(me, tape, owner.clone(), Some(block)).spawn(None);
        Some(Source::Tape(reader))
    }

    /// Whether the bytes up to `end`, or to the end of the recording, need to be read from the PBX again.
    pub(crate) fn lacks(&self, source: &Source, end: Option<u64>) -> bool {
        matches!(source, Source::Tape(reader) if reader.lacks(end))
    }

    /// Has a tape read on that was stopped, and returns when the recording is open again.
    ///
    /// # Errors
    /// When it cannot be had any more, or is another one by now.
    ///
    /// # Cancel safety
    /// Safe.
    pub(crate) async fn go_on(&self, source: &mut Source, owner: &Owner) -> Result<(), TapeError> {
        let Source::Tape(reader) = source else {
            return Ok(());
        };
        if let (Some(me), Some(seen)) = (self.me.upgrade(), reader.tape().resume()) {
            let tape = Arc::clone(reader.tape());
            Fill::new(me, tape, owner.clone(), None).spawn(Some(seen));
        }
        reader.opened().await
    }

    /// Ends the tape of a recording, whoever reads it, and forgets what is known of it.
    pub(crate) fn delete(&self, pbx: &Pbx, name: &RecordingName) {
        let key = Key::new(pbx, name);
        self.known.forget(&key);
        let standing = self.lock().take(&key);
        if let Some(standing) = standing {
            self.end(&standing, Ended::Deleted);
        }
    }

    /// How many bytes are held.
    pub(crate) fn bytes_held(&self) -> u64 {
        (self.pool.held() * BLOCK_BYTES) as u64
    }

    /// A block for an owner; idle tapes go for it, the longest idle first.
    pub(super) fn block(&self, owner: &Owner, key: &Key) -> Result<Block, NoBlock> {
        self.block_from(&mut self.lock(), owner, key)
    }

    fn block_from(&self, shelf: &mut Shelf, owner: &Owner, key: &Key) -> Result<Block, NoBlock> {
        loop {
            let error = match self.pool.try_take(owner) {
                Ok(block) => return Ok(block),
                Err(error) => error,
            };
            let of = (error == NoBlock::Share).then_some(owner);
            let Some(idle) = shelf.take_idle(of, key) else {
                return Err(error);
            };
            self.end(&idle, Ended::Room);
        }
    }

    /// Ends a tape that stands on the shelf no more.
    fn end(&self, standing: &Standing, why: Ended) {
        standing.tape.end(why);
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

    pub(super) fn weak(&self) -> Weak<Self> {
        Weak::clone(&self.me)
    }

    pub(super) fn settings(&self) -> Arc<config::Tape> {
        self.settings.load_full()
    }

    /// Takes a tape off the shelf: it goes on for those who read it.
    pub(super) fn withdraw(&self, tape: &Arc<Tape>) {
        let mut shelf = self.lock();
        if shelf.has(tape) {
            shelf.take(&tape.key);
        }
    }

    /// What a key stands for.
    pub(super) fn identity<'a>(&self, pbx: &'a Pbx, key: &'a Key) -> Identity<'a> {
        Identity {
            pbx: pbx.name(),
            name: &key.name,
            generation: self.known.get(key).generation,
            is_young: pbx.is_young(&key.name),
        }
    }

    /// What a recording is whose `first` bytes have been read. Where the PBX tells no length, one that is known from
    /// earlier stands for it, if it is the same recording by its beginning.
    pub(super) fn recognise(
        &self,
        pbx: &Pbx,
        key: &Key,
        reading: &mut Reading,
        first: &[u8],
    ) -> Arc<Facts> {
        let identity = self.identity(pbx, key);
        let facts = Facts::new(identity, reading.audio(), reading.length(), first);
        let known = self.known.get(key).facts.filter(|_| facts.length.is_none());
        if let Some(known) = known
            && let Some(length) = known.length
            && known.etag == Some(facts.tag(identity, length))
        {
            reading.expect_length(length);
            return known;
        }
        log_format(pbx, &facts);
        let facts = Arc::new(facts);
        self.note(key, &facts, None);
        facts
    }

    /// Remembers what has been seen of a recording. Returns whether its content, where it has been read whole, is what it
    /// was the last time.
    pub(super) fn note(&self, key: &Key, facts: &Arc<Facts>, witness: Option<Witness>) -> bool {
        if facts.is_unfinished {
            return true;
        }
        if let (Some(before), Some(now)) = (self.known.get(key).witness, &witness)
            && before.at == now.at
            && before != *now
        {
            self.known.differs(key);
            return false;
        }
        self.known.put(key, facts, witness);
        true
    }

    /// Ends the work of a fill.
    pub(super) fn settle(&self, tape: &Arc<Tape>, phase: Phase) {
        let mut shelf = self.lock();
        let is_mine = shelf.has(tape);
        let unkept = !tape.has_readers() && tape.is_unfinished();
        if is_mine && (matches!(phase, Phase::Failed(_)) || unkept) {
            shelf.take(&tape.key);
        }
        if let Phase::Failed(error) = &phase {
            self.note_failure(&tape.key, error);
        }
        match phase {
            // Somebody came at the last moment.
            Phase::Stopped(seen) if is_mine && tape.has_readers() => {
                self.fill(&mut shelf, tape, seen)
            }
            phase => tape.finish(phase),
        }
    }

    /// Has a tape read on that stands on the shelf.
    fn fill(&self, shelf: &mut Shelf, tape: &Arc<Tape>, seen: Seen) {
        let owner = shelf
            .tapes
            .get(&tape.key)
            .map(|standing| standing.owner.clone());
        if let (Some(me), Some(owner)) = (self.me.upgrade(), owner) {
            Fill::new(me, Arc::clone(tape), owner, None).spawn(Some(seen));
        }
    }

    /// Remembers why a recording could not be had, as far as that says something about it.
    pub(super) fn note_failure(&self, key: &Key, error: &TapeError) {
        match error {
            TapeError::NotOpened(error) | TapeError::Broken(ReadingError::NotAgain(error)) => {
                if error.is_gone() {
                    self.known.gone(key, error);
                }
            }
            TapeError::Broken(ReadingError::Differs) => self.known.differs(key),
            TapeError::Broken(ReadingError::Broken(_))
            | TapeError::NoRoom
            | TapeError::Ended(_) => {}
        }
    }

    /// A reader leaves its tape.
    pub(super) fn leave(&self, tape: &Arc<Tape>, seat: u64) {
        let mut shelf = self.lock();
        if tape.leave(seat) && shelf.has(tape) {
            if tape.is_whole() && tape.is_unfinished() {
                shelf.take(&tape.key);
            } else {
                shelf.note_idle(&tape.key, Instant::now());
            }
        }
    }

    fn sweep(&self, now: Instant) {
        let settings = self.settings.load();
        let mut shelf = self.lock();
        while let Some(idle) = shelf.take_idle_since(now, settings.keep) {
            self.end(&idle, Ended::Idle);
        }
        let old =
            |standing: &Standing| now.saturating_duration_since(standing.since) >= settings.max_age;
        let keys: Vec<_> = shelf
            .tapes
            .iter()
            .filter(|(_, standing)| old(standing))
            .map(|(key, _)| key.clone())
            .collect();
        for key in keys {
            if let Some(standing) = shelf.take(&key) {
                self.end(&standing, Ended::Age);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Key {
    fn new(pbx: &Pbx, name: &RecordingName) -> Self {
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
    /// The tape of a recording, for one more reader.
    fn join(&mut self, key: &Key) -> Option<Arc<Tape>> {
        let standing = self.tapes.get_mut(key)?;
        if let Some(idle) = standing.idle.take() {
            self.idle.remove(&idle);
        }
        Some(Arc::clone(&standing.tape))
    }

    fn has(&self, tape: &Arc<Tape>) -> bool {
        let standing = self.tapes.get(&tape.key);
        standing.is_some_and(|standing| Arc::ptr_eq(&standing.tape, tape))
    }

    fn take(&mut self, key: &Key) -> Option<Standing> {
        let standing = self.tapes.remove(key)?;
        if let Some(idle) = standing.idle {
            self.idle.remove(&idle);
        }
        Some(standing)
    }

    fn note_idle(&mut self, key: &Key, since: Instant) {
        if let Some(standing) = self.tapes.get_mut(key) {
            self.next += 1;
            standing.idle = Some(self.next);
            let key = key.clone();
            self.idle.insert(self.next, Idle { key, since });
        }
    }

    /// The longest idle tape, of one owner or of all; never that of `except`.
    fn take_idle(&mut self, owner: Option<&Owner>, except: &Key) -> Option<Standing> {
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
    fn take_idle_since(&mut self, now: Instant, keep: Duration) -> Option<Standing> {
        let (_, idle) = self.idle.first_key_value()?;
        let key = (now.saturating_duration_since(idle.since) >= keep).then(|| idle.key.clone())?;
        self.take(&key)
    }
}

fn log_format(pbx: &Pbx, facts: &Facts) {
    let Some(wave) = &facts.wave else {
        return;
    };
    let (pbx, rate) = (pbx.name(), wave.bytes_per_second());
    debug!(pbx, format = %wave, bytes_per_second = rate, data_offset = wave.data_offset(), "a recording begins");
    if !wave.plays_in_browsers() {
        info!(
            pbx,
            codec = wave.codec(),
            advice = "callers have to save it and play it with a program that knows it",
            "browsers do not play this recording"
        );
    }
}

/// Looks after idle and old tapes, and unused memory, for as long as there are tapes.
async fn sweep(tapes: Weak<Tapes>) {
    let mut sweeps = 0;
    loop {
        sleep(SWEEP).await;
        let Some(tapes) = tapes.upgrade() else {
            return;
        };
        tapes.sweep(Instant::now());
        sweeps = (sweeps + 1) % SWEEPS_OF_MEMORY;
        if sweeps == 0 {
            tapes.pool.sweep();
        }
    }
}

fn blocks(settings: &config::Tape) -> usize {
    usize::try_from(settings.max_bytes).unwrap_or(usize::MAX) / BLOCK_BYTES
}

//! All tapes: which there are, which are idle, and when they go.
//!
//! Knows keys, times and the bound on memory. Does not know bytes or who asks beyond an opaque owner.
//!
//! Locks are taken in this order: the shelf, a tape, the pool. No fill is spawned under any: one that the runtime does not
//! take settles at once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::time::sleep;

use super::block::{BLOCK_BYTES, Block, NoBlock, Pool};
use super::fill::Fill;
use super::known::Known;
use super::shelf::{Key, Shelf, Standing};
use super::source::Source;
use super::straight::Straight;
use super::{Ended, Facts, Owner, Phase, Reader, Tape, TapeError};
use crate::config;
use crate::metrics::{Eviction, Metrics};
use crate::pbx::{Excerpt, Pbx, PbxError, Seen};
use crate::recording::RecordingName;

/// How often it is looked which tapes have to go.
const SWEEP: Duration = Duration::from_millis(500);
/// Sweeps between those of unused memory.
const SWEEPS_OF_MEMORY: u32 = 20;

/// All tapes.
pub(crate) struct Tapes {
    me: Weak<Self>,
    metrics: Arc<Metrics>,
    settings: ArcSwap<config::Tape>,
    pool: Pool,
    pub(super) known: Known,
    shelf: Mutex<Shelf>,
}

/// A part of a recording of which enough is known from earlier.
pub(crate) struct PartOf {
    pub(crate) facts: Arc<Facts>,
    pub(crate) excerpt: Excerpt,
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
        self.shrink(&mut self.lock());
    }

    /// Lets go of idle tapes while more is held than may be.
    fn shrink(&self, shelf: &mut Shelf) {
        while self.pool.is_over()
            && let Some(idle) = shelf.take_idle(None, None)
        {
            self.end(&idle, Ended::Room);
        }
    }

    /// Drops the tapes of all PBXs but these, and makes none for others from now on.
    pub(crate) fn retain(&self, pbxs: &[Arc<Pbx>]) {
        let mut shelf = self.lock();
        for key in shelf.serve_only(pbxs) {
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
        if self.settings.load().max_bytes == 0 {
            return Ok(None);
        }
        let found = self.join(&mut self.lock(), &key);
        Ok(found)
    }

    /// Has a recording read: onto a tape, or straight through where there is no room for one. Then no more than the `part`
    /// is asked of the PBX, if there is one and the PBX is trusted with that.
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
        part: Option<PartOf>,
    ) -> Result<Source, TapeError> {
        let key = Key::new(pbx, name);
        if let Some(source) = self.begin(&key, pbx, owner) {
            return Ok(source);
        }
        // In a box: most requests never come here, and their futures need not be that large.
        let (excerpt, known) = part.map(|part| (part.excerpt, part.facts)).unzip();
        let opened = match Box::pin(pbx.open(name, owner, excerpt)).await {
            Ok(reading) => {
                Straight::begin(reading, self, Arc::clone(pbx), key.clone(), known).await
            }
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
        if settings.max_bytes == 0 || !shelf.serves(key) {
            return None;
        }
        if let Some(source) = self.join(&mut shelf, key) {
            return Some(source);
        }
        let me = self.me.upgrade()?;
        let block = self.block_from(&mut shelf, owner, key).ok()?;
        let tape = Arc::new(Tape::new(key.clone(), Arc::clone(pbx), owner.clone()));
        shelf.put(&tape);
        let reader = Reader::new(Arc::clone(&tape), Weak::clone(&self.me));
        drop(shelf);
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
        let standing = self.lock().take(&key);
        if let Some(standing) = standing {
            self.end(&standing, Ended::Deleted);
        }
        // Last: what its fill had just found out goes, too.
        self.known.forget(&key);
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
            let Some(idle) = shelf.take_idle(of, Some(key)) else {
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

    /// Whether a tape stands on the shelf, where it can be joined.
    pub(super) fn has(&self, tape: &Arc<Tape>) -> bool {
        self.lock().has(tape)
    }

    /// Takes a tape off the shelf: it goes on for those who read it.
    pub(super) fn withdraw(&self, tape: &Arc<Tape>) {
        let mut shelf = self.lock();
        if shelf.has(tape) {
            shelf.take(&tape.key);
        }
    }

    /// Ends the work of a fill. What it returns is to be gone on behind after all.
    pub(super) fn settle(&self, tape: &Arc<Tape>, phase: Phase) -> Option<Seen> {
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
            Phase::Stopped(seen, None) if is_mine && tape.has_readers() => Some(seen),
            phase => {
                tape.finish(phase);
                None
            }
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
        for key in shelf.older_than(now, settings.max_age) {
            if let Some(standing) = shelf.take(&key) {
                self.end(&standing, Ended::Age);
            }
        }
        self.shrink(&mut shelf);
    }

    fn lock(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
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

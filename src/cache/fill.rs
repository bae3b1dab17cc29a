//! The fill: the task that reads a recording from the PBX into its entry.
//!
//! Knows when to go on, when to wait and when to stop. It owns the reading, and with it a download
//! slot of the PBX, for no longer than there is something to read.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Release, SeqCst};
use std::sync::atomic::fence;
use std::time::Duration;

use bytes::{Buf, Bytes};

use super::entry::{CacheEntry, MemoryBlock, Phase, WriteProgress};
use super::metadata::{FIRST_BYTES, first_bytes};
use super::{Cache, CacheError, EndReason};
use crate::audit::RecordedRead;
use crate::pbx::{MAX_REACH, Reading, ReadingError, ResumePoint};

/// The fill of one entry.
pub(super) struct Fill {
    cache: Arc<Cache>,
    entry: Arc<CacheEntry>,
    /// The recorded reason to read. Its principal waits in the queue for the download slot, and
    /// holds it.
    read: RecordedRead,
    linger: Duration,
    max_recording_bytes: u64,
    /// A free block for the next bytes.
    spare: Option<MemoryBlock>,
    settled: bool,
}

impl Fill {
    pub(super) fn new(
        cache: Arc<Cache>,
        entry: Arc<CacheEntry>,
        read: RecordedRead,
        spare: Option<MemoryBlock>,
    ) -> Self {
        let settings = cache.settings();
        let (linger, max_recording_bytes) = (settings.linger, settings.max_recording_bytes);
        drop(settings);
        Self {
            cache,
            entry,
            read,
            linger,
            max_recording_bytes,
            spare,
            settled: false,
        }
    }

    /// Starts the task; behind the resume point `seen`, if there is one.
    pub(super) fn spawn(mut self, mut seen: Option<ResumePoint>) {
        tokio::spawn(async move {
            while !self.settled {
                let phase = self.fill(seen).await;
                seen = self.settle(phase);
            }
        });
    }

    /// Ends the fill. Returns a resume point if a reader has joined at the last moment: then the
    /// fill has to go on from there.
    fn settle(&mut self, phase: Phase) -> Option<ResumePoint> {
        self.spare = None;
        let seen = self.cache.settle(&self.entry, phase);
        self.settled = seen.is_none();
        seen
    }

    async fn fill(&mut self, seen: Option<ResumePoint>) -> Phase {
        let entry = Arc::clone(&self.entry);
        let mut reading = tokio::select! {
            biased;
            () = entry.ended.cancelled() => return deserted(None),
            () = entry.left_alone(Duration::ZERO) => return deserted(seen),
            opened = open(&entry, &self.read, seen.clone()) => match opened {
                Ok(reading) => reading,
                Err(error) => return failed(error, seen),
            },
        };
        entry.open();
        let mut left_alone = pin!(entry.left_alone(self.linger));
        let agrees = |offset, bytes: &[u8]| entry.agrees(offset, bytes);
        let (mut to_the_end, mut begun) = (false, entry.has_begun());
        let mut telling = FIRST_BYTES;
        loop {
            // A cache takes the bytes as they come; a window, within its bound.
            reading.note_pace(true);
            let next = tokio::select! {
                biased;
                () = entry.ended.cancelled() => return deserted(None),
                () = &mut left_alone, if !to_the_end => match self.stop(&reading) {
                    Some(phase) => return phase,
                    None => {
                        to_the_end = true;
                        continue;
                    }
                },
                next = reading.bytes(&agrees) => next,
            };
            let data = match next {
                Some(Ok(data)) => data,
                Some(Err(error)) => {
                    let seen = reading.resume_point().filter(|_| self.is_worth_keeping());
                    return failed(error.into(), seen);
                }
                None => return self.whole(&mut reading),
            };
            let written = tokio::select! {
                biased;
                written = self.write(data) => written,
                () = entry.ended.cancelled() => return deserted(None),
                // Only the fill of a window waits in `write`, and nobody can join a window: without
                // readers there is nothing to keep.
                () = &mut left_alone, if !to_the_end => return deserted(None),
            };
            if let Err(error) = written {
                return Phase::Failed(error);
            }
            if !begun && (reading.head() >= telling as u64 || reading.has_ended()) {
                let first = first_bytes(&mut telling, |limit| entry.beginning(limit));
                if first.len() == telling || reading.has_ended() {
                    self.begin(&mut reading, &first);
                    begun = true;
                }
            }
            if reading.head() > self.max_recording_bytes {
                self.make_window();
            }
            if reading.has_ended() {
                return self.whole(&mut reading);
            }
            // Without readers, the rest is read for those who may still join. An entry that has
            // left the index gets none.
            if to_the_end && !entry.has_readers() && !self.can_be_joined() {
                return deserted(None);
            }
        }
    }

    /// Whether a new reader may still join the entry.
    fn can_be_joined(&self) -> bool {
        !self.entry.is_window() && self.cache.contains(&self.entry)
    }

    fn is_worth_keeping(&self) -> bool {
        self.entry.can_go_on() && self.can_be_joined()
    }

    /// Decides what to do once nobody reads any more. `None` means: read on to the end, since less
    /// is left than has been read.
    fn stop(&self, reading: &Reading) -> Option<Phase> {
        let entry = &self.entry;
        let length = reading.length().or(reading.audio().told_length());
        let read = entry.head();
        if self.can_be_joined() && length.is_some_and(|length| length.saturating_sub(read) < read) {
            return None;
        }
        let seen = reading.resume_point().filter(|_| self.is_worth_keeping());
        Some(deserted(seen))
    }

    /// Makes the metadata of the beginning, and gives them to the readers.
    fn begin(&self, reading: &mut Reading, first: &[u8]) {
        let entry = &self.entry;
        let metadata = self.cache.recognize(&entry.pbx, &entry.key, reading, first);
        if metadata
            .length()
            .is_some_and(|length| length > self.max_recording_bytes)
        {
            self.make_window();
        }
        entry.begin(metadata);
    }

    /// Completes the entry at the end of the recording.
    fn whole(&self, reading: &mut Reading) -> Phase {
        let entry = &self.entry;
        if !entry.has_begun() {
            self.begin(reading, &entry.beginning(MAX_REACH));
        }
        let identity = self.cache.identity(&entry.pbx, &entry.key);
        let Some(metadata) = entry.complete(identity, reading.end()) else {
            return Phase::Whole;
        };
        if self.cache.note(
            &entry.key,
            &metadata,
            reading.resume_point().map(|point| point.digest),
        ) {
            return Phase::Whole;
        }
        Phase::Failed(CacheError::Broken(ReadingError::Differs))
    }

    async fn write(&mut self, mut data: Bytes) -> Result<(), CacheError> {
        loop {
            match self.entry.write(&data, &mut self.spare) {
                WriteProgress::All => break,
                WriteProgress::Part(written) => data.advance(written),
            }
            // Before: the write found no room. A reader may have freed some since, and told nobody,
            // because `wants_room` was not set. So the first failure sets `wants_room` and tries
            // again, and only the second one waits. The fence pairs with the one in
            // `CacheEntry::note_room`: either the retry sees the freed block, or `note_room` sees
            // `wants_room` and notifies. The notice is kept until somebody waits for it.
            let waited = self.entry.wants_room.swap(true, AcqRel);
            fence(SeqCst);
            if waited {
                self.make_room().await?;
            }
        }
        // A reader that still saw the flag leaves one notice behind. The next wait ends at once
        // because of it, finds no room, and waits again.
        self.entry.wants_room.store(false, Release);
        Ok(())
    }

    /// Takes a block, or waits for one. Where the pool has none, the entry becomes a window, and
    /// the fill of a window waits for its slowest reader and goes on in the blocks that it has.
    async fn make_room(&mut self) -> Result<(), CacheError> {
        if self.spare.is_none() {
            self.spare = self.cache.block(&self.entry.owner, &self.entry.key).ok();
            if self.spare.is_some() || self.make_window() {
                return Ok(());
            }
        }
        if !self.entry.holds_anything() {
            return Err(CacheError::NoRoom);
        }
        self.entry.room.notified().await;
        Ok(())
    }

    /// Makes the entry a window. Returns `false` if it was one already.
    fn make_window(&self) -> bool {
        if self.entry.is_window() {
            return false;
        }
        // Off the index first, then a window: a reader who joined a window would start at offset 0,
        // and wait for bytes that were dropped. Those who joined before have seats, and a window
        // drops nothing that lies before a seat.
        self.cache.withdraw(&self.entry);
        self.entry.make_window(self.read.reader());
        true
    }
}

impl Drop for Fill {
    fn drop(&mut self) {
        if !self.settled {
            // The runtime is ending, or this task has panicked. The readers get an error, and do
            // not wait for ever.
            self.settle(deserted(None));
        }
    }
}

async fn open(
    entry: &CacheEntry,
    read: &RecordedRead,
    seen: Option<ResumePoint>,
) -> Result<Reading, CacheError> {
    let pbx = &entry.pbx;
    match seen {
        Some(seen) => Ok(pbx.open_behind(read, seen).await?),
        None => Ok(pbx.open(read, None).await?),
    }
}

/// The phase after an error. Where the error says nothing about the bytes, the resume point `seen`
/// stays valid, and the next reader who wants more starts another fill.
fn failed(error: CacheError, seen: Option<ResumePoint>) -> Phase {
    let says_nothing = match &error {
        CacheError::Broken(ReadingError::Broken(_)) => true,
        CacheError::Broken(ReadingError::NotAgain(error)) => !error.is_gone(),
        CacheError::Broken(ReadingError::Differs)
        | CacheError::NotOpened(_)
        | CacheError::NoRoom
        | CacheError::Ended(_) => false,
    };
    match seen.filter(|_| says_nothing) {
        Some(seen) => Phase::Stopped(seen, Some(error)),
        None => Phase::Failed(error),
    }
}

fn deserted(seen: Option<ResumePoint>) -> Phase {
    match seen {
        Some(seen) => Phase::Stopped(seen, None),
        None => Phase::Failed(CacheError::Ended(EndReason::Deserted)),
    }
}

//! The task that fills an entry.
//!
//! Knows when to go on, when to wait and when to stop. Holds the reading, so with it the place among the downloads of the
//! PBX: never longer than there is something to read.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Release, SeqCst};
use std::sync::atomic::fence;
use std::time::Duration;

use bytes::{Buf, Bytes};

use super::entry::{Block, CacheEntry, Phase, Written};
use super::metadata::{FIRST_BYTES, first_bytes};
use super::{Cache, CacheError, Ended};
use crate::audit::RecordedRead;
use crate::pbx::{MAX_REACH, Reading, ReadingError, ResumePoint};

/// The fill of one entry.
pub(super) struct Fill {
    cache: Arc<Cache>,
    entry: Arc<CacheEntry>,
    /// Why the recording may be read; its reader waits for the place among the downloads, and holds it.
    read: RecordedRead,
    linger: Duration,
    max_recording_bytes: u64,
    /// A block for what comes next.
    spare: Option<Block>,
    settled: bool,
}

impl Fill {
    pub(super) fn new(
        cache: Arc<Cache>,
        entry: Arc<CacheEntry>,
        read: RecordedRead,
        spare: Option<Block>,
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

    /// Goes to work; behind what was `seen`, if anything was.
    pub(super) fn spawn(mut self, mut seen: Option<ResumePoint>) {
        tokio::spawn(async move {
            while !self.settled {
                let phase = self.fill(seen).await;
                seen = self.settle(phase);
            }
        });
    }

    /// Ends the work, unless somebody has come at the last moment: then it goes on behind what this returns.
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
                // Only a window waits, and nobody joins that any more.
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
            // What goes on for nobody is for those who may still come.
            if to_the_end && !entry.has_readers() && !self.can_be_joined() {
                return deserted(None);
            }
        }
    }

    /// Whether somebody may still come to read what has been read.
    fn can_be_joined(&self) -> bool {
        !self.entry.is_window() && self.cache.has(&self.entry)
    }

    fn is_worth_keeping(&self) -> bool {
        self.entry.can_go_on() && self.can_be_joined()
    }

    /// What to do when nobody reads any more: `None` is to go on to the end.
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

    /// The beginning has been read.
    fn begin(&self, reading: &mut Reading, first: &[u8]) {
        let entry = &self.entry;
        let metadata = self.cache.recognise(&entry.pbx, &entry.key, reading, first);
        if metadata
            .length()
            .is_some_and(|length| length > self.max_recording_bytes)
        {
            self.make_window();
        }
        entry.begin(metadata);
    }

    /// The end has been read.
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
                Written::All => break,
                Written::Some(written) => data.advance(written),
            }
            // Whoever makes room from now on says so; who did a moment ago did not.
            let waited = self.entry.wants_room.swap(true, AcqRel);
            fence(SeqCst);
            if waited {
                self.make_room().await?;
            }
        }
        self.entry.wants_room.store(false, Release);
        Ok(())
    }

    /// Gets a block. Where there is none, the entry becomes a window, and a window waits for its slowest reader: it goes on
    /// with what it has.
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

    /// From now on only what lies before the readers is held, and nobody joins them. Returns whether that was not so before.
    fn make_window(&self) -> bool {
        if self.entry.is_window() {
            return false;
        }
        // In this order: who joined it now would wait for what is gone.
        self.cache.withdraw(&self.entry);
        self.entry.make_window(self.read.reader());
        true
    }
}

impl Drop for Fill {
    fn drop(&mut self) {
        if !self.settled {
            // The runtime ends, or this task has panicked: nobody is to wait for it.
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

/// What was `seen` stays good where the error says nothing about it: the next who wants more tries again.
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
        None => Phase::Failed(CacheError::Ended(Ended::Deserted)),
    }
}

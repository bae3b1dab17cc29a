//! The task that fills a tape.
//!
//! Knows when to go on, when to wait and when to stop. Holds the reading, so with it the place among the downloads of the
//! PBX: never longer than there is something to read.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Release, SeqCst};
use std::sync::atomic::fence;
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::time::{Instant, timeout_at};

use super::block::Block;
use super::facts::{FIRST_BYTES, first_bytes};
use super::store::Tapes;
use super::{Ended, Owner, Phase, Tape, TapeError, Written};
use crate::pbx::{Reading, ReadingError, Seen, wave};

/// The fill of one tape.
pub(super) struct Fill {
    tapes: Arc<Tapes>,
    tape: Arc<Tape>,
    /// Who waits for the place among the downloads, and holds it.
    holder: Owner,
    linger: Duration,
    max_recording_bytes: u64,
    /// A block for what comes next.
    spare: Option<Block>,
    settled: bool,
}

impl Fill {
    pub(super) fn new(
        tapes: Arc<Tapes>,
        tape: Arc<Tape>,
        holder: Owner,
        spare: Option<Block>,
    ) -> Self {
        let settings = tapes.settings();
        let (linger, max_recording_bytes) = (settings.linger, settings.max_recording_bytes);
        drop(settings);
        Self {
            tapes,
            tape,
            holder,
            linger,
            max_recording_bytes,
            spare,
            settled: false,
        }
    }

    /// Goes to work; behind what was `seen`, if anything was.
    pub(super) fn spawn(mut self, mut seen: Option<Seen>) {
        tokio::spawn(async move {
            while !self.settled {
                let phase = self.fill(seen).await;
                seen = self.settle(phase);
            }
        });
    }

    /// Ends the work, unless somebody has come at the last moment: then it goes on behind what this returns.
    fn settle(&mut self, phase: Phase) -> Option<Seen> {
        self.spare = None;
        let seen = self.tapes.settle(&self.tape, phase);
        self.settled = seen.is_none();
        seen
    }

    async fn fill(&mut self, seen: Option<Seen>) -> Phase {
        let tape = Arc::clone(&self.tape);
        let mut reading = tokio::select! {
            biased;
            () = tape.ended.cancelled() => return deserted(None),
            () = tape.left_alone(Duration::ZERO) => return deserted(seen),
            opened = open(&tape, &self.holder, seen.clone()) => match opened {
                Ok(reading) => reading,
                Err(error) => return failed(error, seen),
            },
        };
        tape.open();
        let mut left_alone = pin!(tape.left_alone(self.linger));
        let agrees = |offset, bytes: &[u8]| tape.agrees(offset, bytes);
        let (mut to_the_end, mut begun) = (false, tape.has_begun());
        let mut telling = FIRST_BYTES;
        loop {
            let next = tokio::select! {
                biased;
                () = tape.ended.cancelled() => return deserted(None),
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
                    let seen = reading.seen().filter(|_| self.is_worth_keeping());
                    return failed(error.into(), seen);
                }
                None => return self.whole(&mut reading),
            };
            let written = tokio::select! {
                biased;
                written = self.write(data) => written,
                () = tape.ended.cancelled() => return deserted(None),
                // Only a window waits, and nobody joins that any more.
                () = &mut left_alone, if !to_the_end => return deserted(None),
            };
            if let Err(error) = written {
                return Phase::Failed(error);
            }
            if !begun && (reading.head() >= telling as u64 || reading.has_ended()) {
                let first = first_bytes(&mut telling, |limit| tape.beginning(limit));
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
            if to_the_end && !tape.has_readers() && !self.can_be_joined() {
                return deserted(None);
            }
        }
    }

    /// Whether somebody may still come to read what has been read.
    fn can_be_joined(&self) -> bool {
        !self.tape.is_window() && self.tapes.has(&self.tape)
    }

    fn is_worth_keeping(&self) -> bool {
        self.tape.can_go_on() && self.can_be_joined()
    }

    /// What to do when nobody reads any more: `None` is to go on to the end.
    fn stop(&self, reading: &Reading) -> Option<Phase> {
        let tape = &self.tape;
        let length = reading.length().or(reading.audio().told_length());
        let read = tape.head();
        if self.can_be_joined() && length.is_some_and(|length| length.saturating_sub(read) < read) {
            return None;
        }
        let seen = reading.seen().filter(|_| self.is_worth_keeping());
        Some(deserted(seen))
    }

    /// The beginning has been read.
    fn begin(&self, reading: &mut Reading, first: &[u8]) {
        let tape = &self.tape;
        let facts = self.tapes.recognise(&tape.pbx, &tape.key, reading, first);
        if facts
            .length
            .is_some_and(|length| length > self.max_recording_bytes)
        {
            self.make_window();
        }
        tape.begin(facts);
    }

    /// The end has been read.
    fn whole(&self, reading: &mut Reading) -> Phase {
        let tape = &self.tape;
        if !tape.has_begun() {
            self.begin(reading, &tape.beginning(wave::MAX_REACH));
        }
        let identity = self.tapes.identity(&tape.pbx, &tape.key);
        let Some(facts) = tape.complete(identity, reading.end_is_agreed()) else {
            return Phase::Whole;
        };
        if self
            .tapes
            .note(&tape.key, &facts, reading.seen().map(|seen| seen.witness))
        {
            return Phase::Whole;
        }
        Phase::Failed(TapeError::Broken(ReadingError::Differs))
    }

    async fn write(&mut self, mut data: Bytes) -> Result<(), TapeError> {
        loop {
            match self.tape.write(&data, &mut self.spare) {
                Written::All => break,
                Written::Some(written) => data.advance(written),
            }
            // Whoever makes room from now on says so; who did a moment ago did not.
            let waited = self.tape.wants_room.swap(true, AcqRel);
            fence(SeqCst);
            if waited {
                self.make_room().await?;
            }
        }
        self.tape.wants_room.store(false, Release);
        Ok(())
    }

    /// Gets a block. Where there is none, the tape becomes a window, and a window waits for its slowest reader: it goes on
    /// with what it has.
    async fn make_room(&mut self) -> Result<(), TapeError> {
        if self.spare.is_none() {
            self.spare = self.tapes.block(&self.tape.owner, &self.tape.key).ok();
            if self.spare.is_some() || self.make_window() {
                return Ok(());
            }
        }
        if !self.tape.holds_anything() {
            return Err(TapeError::NoRoom);
        }
        self.tape.room.notified().await;
        Ok(())
    }

    /// From now on only what lies before the readers is held, and nobody joins them. Returns whether that was not so before.
    fn make_window(&self) -> bool {
        if self.tape.is_window() {
            return false;
        }
        // In this order: who joined it now would wait for what is gone.
        self.tapes.withdraw(&self.tape);
        self.tape.make_window(&self.holder);
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

async fn open(tape: &Tape, holder: &Owner, seen: Option<Seen>) -> Result<Reading, TapeError> {
    let (pbx, name) = (&tape.pbx, tape.key.name());
    match seen {
        Some(seen) => Ok(pbx.open_behind(name, holder, seen).await?),
        None => Ok(pbx.open(name, holder, None).await?),
    }
}

/// What was `seen` stays good where the error says nothing about it: the next who wants more tries again.
fn failed(error: TapeError, seen: Option<Seen>) -> Phase {
    let says_nothing = match &error {
        TapeError::Broken(ReadingError::Broken(_)) => true,
        TapeError::Broken(ReadingError::NotAgain(error)) => !error.is_gone(),
        TapeError::Broken(ReadingError::Differs)
        | TapeError::NotOpened(_)
        | TapeError::NoRoom
        | TapeError::Ended(_) => false,
    };
    match seen.filter(|_| says_nothing) {
        Some(seen) => Phase::Stopped(seen, Some(error)),
        None => Phase::Failed(error),
    }
}

fn deserted(seen: Option<Seen>) -> Phase {
    match seen {
        Some(seen) => Phase::Stopped(seen, None),
        None => Phase::Failed(TapeError::Ended(Ended::Deserted)),
    }
}

impl Tape {
    fn holds_anything(&self) -> bool {
        !self.lock().blocks.is_empty()
    }

    /// Returns once there has been no reader for `linger`; at once of a window.
    async fn left_alone(&self, linger: Duration) {
        loop {
            while self.has_readers() {
                self.readers_changed.notified().await;
            }
            let linger = if self.is_window() {
                Duration::ZERO
            } else {
                linger
            };
            let until = Instant::now() + linger;
            while !self.has_readers() {
                if timeout_at(until, self.readers_changed.notified())
                    .await
                    .is_err()
                {
                    return;
                }
            }
        }
    }
}

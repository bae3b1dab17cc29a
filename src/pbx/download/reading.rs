//! One recording, read from its start over as many connections as it takes.
//!
//! Knows how a reading that broke off is mended: another ticket, the recording again from its start, what was handed out
//! before compared and not handed out again, and on from there. Knows when a recording is whole where nothing trustworthy tells
//! its length: when two passes end on purpose at the same byte, with the same content. Does not know who listens, or where the bytes
//! go. How often it may be begun anew is in [`passes`].
//!
//! Polled by whoever takes the bytes, in that task: nobody reads ahead.

mod passes;

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use thiserror::Error;
use tokio::time::sleep;
use tracing::info;

use crate::metrics::Mend;
use crate::pbx::content::digest::{ContentDigest, ContentHasher};
use crate::pbx::content::sniff::AudioType;
use crate::pbx::download::excerpt::Excerpt;
use crate::pbx::download::silence::IdleTimer;
use crate::pbx::download::stream::{End, Part, PbxStream, StreamError};
use crate::pbx::error::PbxError;
use crate::pbx::{DownloadPermit, Pbx};
use crate::recording::RecordingName;
use passes::Passes;

/// Why a reading ended before its end.
#[derive(Debug, Clone, Error)]
pub(crate) enum ReadingError {
    /// The last connection broke off, and there is no further try.
    #[error("{0}")]
    Broken(#[from] StreamError),
    /// The recording cannot be asked for again.
    #[error("it broke off, and could not be asked for again: {0}")]
    NotAgain(#[source] PbxError),
    /// What comes now is not what came before.
    #[error("the PBX now gives out another content under this name")]
    Differs,
}

/// What an earlier reading of the recording showed, for one that goes on behind it.
#[derive(Debug, Clone)]
pub(crate) struct ResumePoint {
    pub(crate) witness: ContentDigest,
    audio: AudioType,
    length: Option<u64>,
}

/// What is asked of the PBX.
pub(in crate::pbx) struct Asked {
    pub(in crate::pbx) pbx: Arc<Pbx>,
    pub(in crate::pbx) recording: RecordingName,
    /// The part of it that is wanted, where the PBX is trusted with that.
    pub(in crate::pbx) excerpt: Option<Excerpt>,
    pub(in crate::pbx) permit: DownloadPermit,
}

/// The bytes of one recording, in order, each handed out once.
pub(crate) struct Reading {
    asked: Arc<Asked>,
    pass: Pass,
    audio: AudioType,
    /// Where every pass begins: at the start of the recording, unless the PBX gives out a part of it.
    start: u64,
    /// The whole length: what HTTP tells, or what is known from earlier. Of a part, where that ends.
    length: Option<u64>,
    /// Where in the recording the bytes end that have been handed out, those of an earlier reading included.
    head: u64,
    /// Where in the recording this pass has come to.
    position: u64,
    digest: ContentHasher,
    /// What this pass must agree with where it comes to.
    witness: Option<ContentDigest>,
    passes: Passes,
    /// Nothing told where it ends, and two passes agreed.
    end_is_agreed: bool,
    silence: IdleTimer,
}

enum Pass {
    Running(Box<PbxStream>),
    Opening(Pin<Box<dyn Future<Output = Result<PbxStream, PbxError>> + Send>>),
    /// The reading has ended, one way or the other.
    Over,
}

impl Reading {
    /// A reading whose first connection is open.
    pub(in crate::pbx) fn new(asked: Asked, stream: PbxStream) -> Self {
        let silence = IdleTimer::new(asked.pbx.idle_timeout());
        Self {
            asked: Arc::new(asked),
            audio: stream.audio(),
            start: stream.start(),
            length: stream.length(),
            head: stream.start(),
            position: stream.start(),
            pass: Pass::Running(Box::new(stream)),
            digest: ContentHasher::new(),
            witness: None,
            passes: Passes::default(),
            end_is_agreed: false,
            silence,
        }
    }

    /// A reading that hands out what comes behind the bytes that an earlier one saw.
    ///
    /// # Errors
    /// When the stream already shows that it is not what was seen.
    pub(in crate::pbx) fn behind(
        asked: Asked,
        stream: PbxStream,
        seen: ResumePoint,
    ) -> Result<Self, ReadingError> {
        let mut reading = Self::new(asked, stream);
        if reading.audio != seen.audio || reading.is_other_length(seen.length) {
            return Err(ReadingError::Differs);
        }
        reading.length = reading.length.or(seen.length);
        reading.head = seen.witness.at;
        reading.witness = Some(seen.witness);
        Ok(reading)
    }

    fn is_other_length(&self, length: Option<u64>) -> bool {
        matches!((self.length, length), (Some(before), Some(now)) if before != now)
    }

    /// What it is, by its content.
    pub(crate) fn audio(&self) -> AudioType {
        self.audio
    }

    /// The whole length, where it is told and so can be enforced.
    pub(crate) fn length(&self) -> Option<u64> {
        self.length
    }

    /// Has a recording that tells no length end where it is known to end. Call it where none is told only.
    pub(crate) fn expect_length(&mut self, length: u64) {
        self.length = Some(length);
    }

    /// Where in the recording it begins: at the start, unless the PBX gives out the part that was asked for.
    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    /// Where in the recording the bytes end that have been handed out, those of an earlier reading included.
    pub(crate) fn head(&self) -> u64 {
        self.head
    }

    /// Whether every byte of a known length has been handed out.
    pub(crate) fn has_ended(&self) -> bool {
        match &self.pass {
            Pass::Running(stream) => stream.has_ended() && self.position == self.head,
            Pass::Opening(_) => false,
            Pass::Over => true,
        }
    }

    /// Whether nothing told where it ends, and two passes agreed.
    pub(crate) fn end_is_agreed(&self) -> bool {
        self.end_is_agreed
    }

    /// The least bytes per second at which it has to be read while others wait for its place.
    pub(crate) fn least_pace(&self) -> Option<u64> {
        self.asked.pbx.least_pace(self.asked.permit.holder())
    }

    /// What another reading needs to go on behind this one; `None` of a part.
    pub(crate) fn seen(&self) -> Option<ResumePoint> {
        if self.start > 0 {
            return None;
        }
        let witness = if self.position < self.head {
            self.witness.clone()
        } else {
            Some(self.digest.witness(self.head))
        };
        Some(ResumePoint {
            witness: witness?,
            audio: self.audio,
            length: self.length,
        })
    }

    /// The next bytes; `None` after the last byte of a recording that is whole. `agrees` is asked whether bytes that a
    /// further pass brings are those that were handed out at that place, as far as the caller still has them.
    pub(crate) fn poll_bytes(
        &mut self,
        context: &mut Context<'_>,
        agrees: &dyn Fn(u64, &[u8]) -> bool,
    ) -> Poll<Option<Result<Bytes, ReadingError>>> {
        let next = ready!(self.poll_next(context, agrees));
        if !matches!(next, Ok(Some(_))) {
            self.pass = Pass::Over;
        }
        match next {
            Ok(_) => {}
            Err(ReadingError::Differs) => self.note(Mend::Differs),
            Err(ReadingError::Broken(_) | ReadingError::NotAgain(_)) => self.note(Mend::Failed),
        }
        Poll::Ready(next.transpose())
    }

    /// As [`Reading::poll_bytes`], for one who waits.
    ///
    /// # Cancel safety
    /// Safe: nothing is lost.
    pub(crate) async fn bytes(
        &mut self,
        agrees: &(dyn Fn(u64, &[u8]) -> bool + Sync),
    ) -> Option<Result<Bytes, ReadingError>> {
        poll_fn(|context| self.poll_bytes(context, agrees)).await
    }

    fn poll_next(
        &mut self,
        context: &mut Context<'_>,
        agrees: &dyn Fn(u64, &[u8]) -> bool,
    ) -> Poll<Result<Option<Bytes>, ReadingError>> {
        loop {
            let part = match &mut self.pass {
                Pass::Over => return Poll::Ready(Ok(None)),
                Pass::Opening(opening) => {
                    let stream = ready!(opening.as_mut().poll(context));
                    self.begin_pass(stream.map_err(ReadingError::NotAgain)?)?;
                    continue;
                }
                Pass::Running(stream) => match stream.poll_next(context) {
                    Poll::Ready(part) => part,
                    Poll::Pending if stream.waits_its_turn() => return Poll::Pending,
                    Poll::Pending => {
                        ready!(self.silence.poll(context));
                        Err(StreamError::Stalled)
                    }
                },
            };
            self.silence.end();
            match part {
                Ok(Part::Bytes(data)) => {
                    if let Some(new) = self.take_in(data, agrees)? {
                        return Poll::Ready(Ok(Some(new)));
                    }
                }
                Ok(Part::End(end)) if self.is_whole(end)? => return Poll::Ready(Ok(None)),
                Ok(Part::End(_)) => {
                    // A shorter end says nothing about the place that an earlier pass had come to.
                    let end = (self.position == self.head).then_some(self.head);
                    self.passes.end(end, self.length.is_some());
                    self.pass_again(StreamError::Truncated)?;
                }
                Err(error) => {
                    self.tell_break(error);
                    self.passes.break_off();
                    self.pass_again(error)?;
                }
            }
        }
    }

    fn tell_break(&self, error: StreamError) {
        info!(pbx = self.asked.pbx.name(), %error, bytes = self.head, "a recording broke off");
    }

    fn note(&self, mend: Mend) {
        self.asked.pbx.standing.metrics.mended(mend);
    }

    /// Begins a pass: nothing about it may contradict the passes before.
    fn begin_pass(&mut self, stream: PbxStream) -> Result<(), ReadingError> {
        let is_other = stream.audio() != self.audio || stream.start() != self.start;
        if is_other || self.is_other_length(stream.length()) {
            return Err(ReadingError::Differs);
        }
        self.length = self.length.or(stream.length());
        self.position = self.start;
        self.digest = ContentHasher::new();
        self.pass = Pass::Running(Box::new(stream));
        Ok(())
    }

    /// Takes the next bytes of a pass in: compares what was handed out before, and returns what was not.
    fn take_in(
        &mut self,
        mut data: Bytes,
        agrees: &dyn Fn(u64, &[u8]) -> bool,
    ) -> Result<Option<Bytes>, ReadingError> {
        if self.position < self.head {
            let again = usize::try_from(self.head - self.position).unwrap_or(usize::MAX);
            let again = data.split_to(again.min(data.len()));
            if !agrees(self.position, &again) {
                return Err(ReadingError::Differs);
            }
            self.digest.write(&again);
            self.position += again.len() as u64;
        }
        if self.position == self.head
            && let Some(witness) = self.witness.take()
        {
            if self.digest.witness(self.head) != witness {
                return Err(ReadingError::Differs);
            }
            if self.passes.is_past_break() {
                self.note(Mend::Mended);
            }
        }
        if data.is_empty() {
            return Ok(None);
        }
        if self.passes.is_past_end(self.head) {
            self.tell_break(StreamError::Truncated);
            if self.passes.are_mended_too_often() {
                return Err(ReadingError::Broken(StreamError::Truncated));
            }
            self.note(Mend::Mended);
        }
        self.digest.write(&data);
        self.position += data.len() as u64;
        self.head = self.position;
        if self.length.is_some_and(|length| self.head > length) {
            return Err(ReadingError::Differs);
        }
        Ok(Some(data))
    }

    /// Whether the recording ends here. Where nothing trustworthy tells that, another pass has to say so, too.
    fn is_whole(&mut self, end: End) -> Result<bool, ReadingError> {
        let (short, length) = (self.position < self.head, self.length);
        match (end, length) {
            (End::Whole, _) if short => Err(ReadingError::Differs),
            (End::Whole, Some(length)) if length != self.head => Err(ReadingError::Differs),
            (End::Whole, _) => Ok(true),
            (End::Clean, _) if short => Ok(false),
            (End::Clean, Some(length)) if length == self.head => Ok(true),
            (End::Clean, _) if !self.passes.agree_on(self.head) => Ok(false),
            // The header does not contradict the length that is known, so both ends are cuts.
            (End::Clean, Some(length)) if self.is_told_within(length) => Ok(false),
            (End::Clean, Some(_)) => Err(ReadingError::Differs),
            (End::Clean, None) => {
                self.end_is_agreed = true;
                self.asked.pbx.standing.metrics.agreed_end();
                Ok(true)
            }
        }
    }

    fn is_told_within(&self, length: u64) -> bool {
        let told = self.audio.told_length();
        told.is_some_and(|told| told <= length)
    }

    /// Goes for a further pass, if there may be one after `error`.
    fn pass_again(&mut self, error: StreamError) -> Result<(), ReadingError> {
        if !self.passes.begin_another() {
            return Err(ReadingError::Broken(error));
        }
        if self.position == self.head {
            self.witness = Some(self.digest.witness(self.head));
        }
        let asked = Arc::clone(&self.asked);
        self.pass = Pass::Opening(Box::pin(async move { asked.open_again().await }));
        Ok(())
    }
}

impl Asked {
    /// Opens the recording, each time under the one permit. A token is waited for until `deadline`.
    pub(in crate::pbx) async fn open(&self, deadline: Instant) -> Result<PbxStream, PbxError> {
        self.pbx.connect(self, deadline).await
    }

    /// The same for a further pass. A PBX that is busy then may not have noticed that the pass before is over.
    async fn open_again(&self) -> Result<PbxStream, PbxError> {
        let deadline = self.pbx.queue_deadline();
        let mut pauses = self.pbx.config.not_ready.retries.iter();
        loop {
            match (self.open(deadline).await, pauses.next()) {
                (Err(error), Some(pause)) if error.is_busy() => sleep(*pause).await,
                (opened, _) => {
                    return opened.map_err(|error| self.pbx.or_not_ready(error, &self.recording));
                }
            }
        }
    }
}

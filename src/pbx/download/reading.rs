//! One recording, read from its start over as many connections as it takes.
//!
//! Knows how a reading that broke off is mended: another ticket, the recording again from its
//! start, the bytes that were handed out before compared and not handed out again, and on from
//! there. Knows when a recording is whole where no sign proves its end: when two passes end on
//! purpose at the same byte, with the same content. Does not know who listens, or where the bytes
//! go. [`passes`] counts how often the recording may be begun anew.
//!
//! A reading is polled by the task that takes the bytes: nothing is read ahead.

mod error;
mod passes;

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tracing::info;

use super::idle_timer::IdleTimer;
use super::source::{OpenRecording, RecordingSource};
use super::stream::PbxStream;
use crate::metrics::Mend;
use crate::pbx::content::digest::{ContentDigest, ContentHasher};
use crate::pbx::content::sniff::AudioType;
use crate::pbx::error::PbxError;
use crate::pbx::wire::body_end::{BodyEnd, BodyPart, StreamError};
pub(crate) use error::ReadingError;
use passes::Passes;

/// The point from which another reading of the same recording can go on.
#[derive(Debug, Clone)]
pub(crate) struct ResumePoint {
    /// The digest of the bytes in front of the point.
    pub(crate) digest: ContentDigest,
    audio: AudioType,
    /// The end, where it was known before it was read.
    known_end: Option<BodyEnd>,
}

/// The bytes of one recording, in order, each handed out once.
pub(crate) struct Reading {
    source: Arc<RecordingSource>,
    pass: Pass,
    audio: AudioType,
    /// The byte at which every pass begins: the start of the recording, unless the PBX gives out a
    /// part.
    start: u64,
    /// The end of the recording, or of the part, where it is known before it is read: by HTTP, or
    /// from an earlier reading.
    known_end: Option<BodyEnd>,
    /// The end that was found, once the reading is over.
    found_end: Option<BodyEnd>,
    /// The byte behind all that have been handed out, those of an earlier reading included.
    head: u64,
    /// The byte that this pass has come to.
    position: u64,
    /// Over the bytes of this pass.
    hasher: ContentHasher,
    /// The digest that this pass must have when it comes to `head`.
    expected: Option<ContentDigest>,
    passes: Passes,
    idle: IdleTimer,
}

enum Pass {
    Running(Box<PbxStream>),
    Opening(Pin<Box<dyn Future<Output = Result<PbxStream, PbxError>> + Send>>),
    /// The reading has ended, one way or the other.
    Over,
}

impl Reading {
    /// A reading of an open recording.
    pub(in crate::pbx) fn new(open: OpenRecording) -> Self {
        let OpenRecording { source, stream } = open;
        Self {
            audio: stream.audio(),
            start: stream.start(),
            known_end: stream.known_end(),
            found_end: None,
            head: stream.start(),
            position: stream.start(),
            pass: Pass::Running(Box::new(stream)),
            hasher: ContentHasher::new(),
            expected: None,
            passes: Passes::default(),
            idle: IdleTimer::new(source.idle_timeout()),
            source: Arc::new(source),
        }
    }

    /// A reading that hands out the bytes behind the point of an earlier one.
    ///
    /// # Errors
    /// [`ReadingError::Differs`], when the stream already shows that it is another recording.
    pub(in crate::pbx) fn behind(
        open: OpenRecording,
        point: ResumePoint,
    ) -> Result<Self, ReadingError> {
        let mut reading = Self::new(open);
        if reading.audio != point.audio || reading.contradicts(point.known_end) {
            return Err(ReadingError::Differs);
        }
        reading.known_end = reading.known_end.or(point.known_end);
        reading.head = point.digest.at;
        reading.expected = Some(point.digest);
        Ok(reading)
    }

    /// Returns true if `end` is at another byte than the end that is known.
    fn contradicts(&self, end: Option<BodyEnd>) -> bool {
        let end = end.and_then(BodyEnd::length);
        matches!((self.length(), end), (Some(before), Some(now)) if before != now)
    }

    /// The kind of audio, by its content.
    pub(crate) fn audio(&self) -> AudioType {
        self.audio
    }

    /// The end, where it is known before it is read, so that it can be enforced.
    pub(crate) fn known_end(&self) -> Option<BodyEnd> {
        self.known_end
    }

    /// The end that the reading came to; the one that is known where it has not come to any.
    pub(crate) fn end(&self) -> Option<BodyEnd> {
        self.found_end.or(self.known_end)
    }

    /// The length that is known before the end is read.
    pub(crate) fn length(&self) -> Option<u64> {
        self.known_end.and_then(BodyEnd::length)
    }

    /// Ends the reading where an earlier one ended. Only for a recording whose end is not known.
    pub(crate) fn expect_length(&mut self, length: u64) {
        self.known_end = Some(BodyEnd::EarlierLength(length));
    }

    /// The byte of the recording at which the reading begins: its start, unless the PBX gives out
    /// the part that was asked for.
    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    /// The byte behind all that have been handed out, those of an earlier reading included.
    pub(crate) fn head(&self) -> u64 {
        self.head
    }

    /// Returns true if every byte of a known length has been handed out.
    pub(crate) fn has_ended(&self) -> bool {
        match &self.pass {
            Pass::Running(stream) => stream.has_ended() && self.position == self.head,
            Pass::Opening(_) => false,
            Pass::Over => true,
        }
    }

    /// The least bytes per second at which it has to be read while others wait for its permit.
    pub(crate) fn least_pace(&self) -> Option<u64> {
        self.source.least_pace()
    }

    /// Notes whether the reader takes the bytes quickly: then more of them are read at once.
    pub(crate) fn note_pace(&self, is_quick: bool) {
        if let Pass::Running(stream) = &self.pass {
            stream.note_pace(is_quick);
        }
    }

    /// The point from which another reading can go on; `None` for a part.
    pub(crate) fn resume_point(&self) -> Option<ResumePoint> {
        if self.start > 0 {
            return None;
        }
        // A pass that has not come to `head` again has no digest of its own for it yet.
        let digest = if self.position < self.head {
            self.expected.clone()
        } else {
            Some(self.hasher.digest(self.head))
        };
        Some(ResumePoint {
            digest: digest?,
            audio: self.audio,
            known_end: self.known_end,
        })
    }

    /// The next bytes; `None` after the last byte of a recording that is whole. `agrees` says
    /// whether bytes of a further pass are those that were handed out at that place, as far as the
    /// caller still has them.
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
            Err(ReadingError::Differs) => self.count(Mend::Differs),
            Err(ReadingError::Broken(_) | ReadingError::NotAgain(_)) => self.count(Mend::Failed),
        }
        Poll::Ready(next.transpose())
    }

    /// As [`Reading::poll_bytes`], for a caller that awaits.
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
                    // The bandwidth limit holds it back; the PBX is not silent.
                    Poll::Pending if stream.waits_its_turn() => return Poll::Pending,
                    Poll::Pending => {
                        ready!(self.idle.poll(context));
                        Err(StreamError::Stalled)
                    }
                },
            };
            self.idle.reset();
            match part {
                Ok(BodyPart::Bytes(data)) => {
                    if let Some(new) = self.take_in(data, agrees)? {
                        return Poll::Ready(Ok(Some(new)));
                    }
                }
                Ok(BodyPart::End(end)) => match self.judge_end(end)? {
                    Some(end) => {
                        self.found_end = Some(end);
                        return Poll::Ready(Ok(None));
                    }
                    None => {
                        // Before: a pass ended on purpose, and nothing proves that this is the end.
                        // After: another pass runs, and `passes` remembers the place. An end in
                        // front of `head` is a cut, and says nothing about `head`.
                        let end = (self.position == self.head).then_some(self.head);
                        self.passes.end(end, self.known_end.is_some());
                        self.pass_again(StreamError::Truncated)?;
                    }
                },
                Err(error) => {
                    self.log_break(error);
                    self.passes.break_off();
                    self.pass_again(error)?;
                }
            }
        }
    }

    fn log_break(&self, error: StreamError) {
        info!(pbx = self.source.pbx(), %error, bytes = self.head, "a recording broke off");
    }

    fn count(&self, mend: Mend) {
        self.source.metrics().mended(mend);
    }

    /// Begins a pass: nothing about it may contradict the passes before.
    fn begin_pass(&mut self, stream: PbxStream) -> Result<(), ReadingError> {
        let is_other = stream.audio() != self.audio || stream.start() != self.start;
        if is_other || self.contradicts(stream.known_end()) {
            return Err(ReadingError::Differs);
        }
        self.known_end = self.known_end.or(stream.known_end());
        self.position = self.start;
        self.hasher = ContentHasher::new();
        self.pass = Pass::Running(Box::new(stream));
        Ok(())
    }

    /// Takes the next bytes of a pass in: compares those that were handed out before, and returns
    /// the others.
    fn take_in(
        &mut self,
        mut data: Bytes,
        agrees: &dyn Fn(u64, &[u8]) -> bool,
    ) -> Result<Option<Bytes>, ReadingError> {
        // Before `head`: bytes that were handed out. The caller compares those that it still holds;
        // the digest covers all of them, once this pass comes to `head`.
        if self.position < self.head {
            let again = usize::try_from(self.head - self.position).unwrap_or(usize::MAX);
            let again = data.split_to(again.min(data.len()));
            if !agrees(self.position, &again) {
                return Err(ReadingError::Differs);
            }
            self.hasher.write(&again);
            self.position += again.len() as u64;
        }
        // At `head`, once in a pass: the digest decides before a byte behind it is handed out.
        if self.position == self.head
            && let Some(expected) = self.expected.take()
        {
            if self.hasher.digest(self.head) != expected {
                return Err(ReadingError::Differs);
            }
            if self.passes.is_past_break() {
                self.count(Mend::Mended);
            }
        }
        if data.is_empty() {
            return Ok(None);
        }
        // Behind `head`: an earlier pass that ended on purpose at `head` was cut there after all,
        // and that counts as one more break.
        if self.passes.is_past_end(self.head) {
            self.log_break(StreamError::Truncated);
            if self.passes.is_mended_too_often() {
                return Err(ReadingError::Broken(StreamError::Truncated));
            }
            self.count(Mend::Mended);
        }
        self.hasher.write(&data);
        self.position += data.len() as u64;
        self.head = self.position;
        if self.length().is_some_and(|length| self.head > length) {
            return Err(ReadingError::Differs);
        }
        Ok(Some(data))
    }

    /// Judges the end of a pass: the end of the recording, or `None` where another pass has to
    /// tell.
    fn judge_end(&mut self, end: BodyEnd) -> Result<Option<BodyEnd>, ReadingError> {
        let is_short = self.position < self.head;
        let is_proved = end.length().is_some();
        match self.length() {
            // The answer proves its end, and that is before bytes that were handed out.
            _ if is_proved && is_short => Err(ReadingError::Differs),
            Some(length) if is_proved && length != self.head => Err(ReadingError::Differs),
            _ if is_proved => Ok(Some(end)),
            // Nothing proves the end from here on: a last chunk, or a connection that closed.
            _ if is_short => Ok(None),
            Some(length) if length == self.head => Ok(self.known_end),
            _ if !self.passes.agree_on(self.head) => Ok(None),
            // Two passes agree, and an earlier reading went on behind this byte. Where the header
            // does not contradict that reading, both passes were cut.
            Some(length) if self.is_told_within(length) => Ok(None),
            Some(_) => Err(ReadingError::Differs),
            None => {
                self.source.metrics().agreed_end();
                Ok(Some(BodyEnd::TwoPasses(self.head)))
            }
        }
    }

    fn is_told_within(&self, length: u64) -> bool {
        let told = self.audio.told_length();
        told.is_some_and(|told| told <= length)
    }

    /// Goes for a further pass.
    ///
    /// # Errors
    /// The `error` that ended the last pass, if there may be no further one.
    fn pass_again(&mut self, error: StreamError) -> Result<(), ReadingError> {
        if !self.passes.begin_another() {
            return Err(ReadingError::Broken(error));
        }
        // A pass that broke off in front of `head` leaves the digest of the pass before in place.
        if self.position == self.head {
            self.expected = Some(self.hasher.digest(self.head));
        }
        let source = Arc::clone(&self.source);
        self.pass = Pass::Opening(Box::pin(async move { source.open_again().await }));
        Ok(())
    }
}

//! One transfer, and the body that hands it to hyper.
//!
//! Holds the values that must last as long as the stream: the source with the PBX permit in it, the
//! stream permit, the byte count and the line of the access log. hyper may not poll the body for
//! hours when a reader stalls, so nothing here relies on being polled: [`super::Watchdog`] checks
//! the transfer from outside and takes the source back.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use http_body::{Body, Frame, SizeHint};
use thiserror::Error;
use tokio::time::{Sleep, sleep};
use tracing::warn;

use super::speed::{DownstreamSpeed, SourceSpeed};
use super::watchdog::CallerPace;
use super::{Outcome, Pieces, Watchdog};
use crate::audit::RecordedAnswer;
use crate::cache::{CacheError, Source};
use crate::limits::streams::StreamPermit;
use crate::pbx::{ReadingError, StreamError};
use crate::relay::access_line::AccessLine;

/// The bytes of one write, at most, and a piece more. A slow caller, or one who may be slow, gets
/// less: what its socket does not take stays in memory.
const MAX_QUICK_WRITE: usize = 64 * 1024;
const MAX_SLOW_WRITE: usize = 16 * 1024;
/// The bytes after which a caller counts as quick if it has not been slow: more than the system
/// takes for a caller who reads nothing.
const PROVEN_QUICK_BYTES: u64 = 256 * 1024;
/// The pieces of one write: hyper hands no more to the system at once.
const MAX_PIECES: usize = 64;
/// The time for which bytes of a fast source wait for others.
const PAUSE: Duration = Duration::from_millis(1);

/// The error of a body that broke off. Only hyper sees it, and breaks the caller's connection or
/// stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the recording broke off")]
pub(crate) struct BrokenTransfer;

/// A transfer that is running. The body and the watchdog share it.
pub(super) struct Transfer {
    idle_timeout: Duration,
    /// The length of the body, if it is known.
    length: Option<u64>,
    state: Mutex<TransferState>,
}

struct TransferState {
    /// Held while the transfer is running; dropped at its end, for whatever reason it ends.
    resources: Option<TransferResources>,
    /// True once every byte was handed out.
    is_whole: bool,
    bytes: u64,
    /// The last time at which a byte moved, or at which the body began to wait for the source.
    progress: Instant,
    /// True while the body waits for the source, which has limits of its own. If false, the caller
    /// is the one that takes nothing.
    waits_for_source: bool,
    speed: DownstreamSpeed,
    /// The error that comes behind the bytes that were handed out last.
    failure: Option<CacheError>,
    source_speed: SourceSpeed,
    /// Bytes that wait for others, and the end of their wait.
    held: Pieces,
    pause: Option<Pin<Box<Sleep>>>,
    /// Wakes the task that polls the body, while the body has nothing to give.
    waker: Option<Waker>,
}

/// Aborts a transfer from outside, if it is still running.
#[derive(Clone)]
pub(crate) struct AbortHandle(Weak<Transfer>);

impl AbortHandle {
    pub(crate) fn is_running(&self) -> bool {
        let transfer = self.0.upgrade();
        transfer.is_some_and(|transfer| transfer.lock().resources.is_some())
    }

    pub(crate) fn abort(&self, outcome: Outcome) {
        if let Some(transfer) = self.0.upgrade() {
            transfer.abort(outcome);
        }
    }
}

/// The resources of a running transfer.
struct TransferResources {
    source: Source,
    _permit: StreamPermit,
    line: AccessLine,
}

impl Transfer {
    fn lock(&self) -> MutexGuard<'_, TransferState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bytes that a caller of this pace gets in one write, behind the first `sent` of the body.
    fn most_bytes(&self, sent: u64, pace: CallerPace) -> usize {
        let is_short = self
            .length
            .is_some_and(|length| length <= MAX_QUICK_WRITE as u64);
        match pace {
            CallerPace::Quick if is_short || sent >= PROVEN_QUICK_BYTES => MAX_QUICK_WRITE,
            CallerPace::Quick | CallerPace::Slow => MAX_SLOW_WRITE,
        }
    }

    /// Ends the transfer if its caller has taken nothing for too long, or too little while others
    /// wait. Returns true if the transfer has ended and its caller has not noticed.
    pub(super) fn check(&self, now: Instant) -> bool {
        let mut guard = self.lock();
        let state = &mut *guard;
        let silence = now.saturating_duration_since(state.progress);
        let Some(resources) = &state.resources else {
            // The transfer has ended, but its body still exists: hyper has not polled it since, as
            // the caller takes nothing.
            return silence >= self.idle_timeout;
        };
        if state.waits_for_source {
            // The idle limit of the PBX applies, not that of the caller.
            return false;
        }
        let least = resources.source.least_pace();
        let too_slow = state
            .speed
            .measure(now, self.idle_timeout, state.bytes, least);
        if silence >= self.idle_timeout {
            state.end(Outcome::DownstreamIdle);
            return true;
        }
        if too_slow {
            state.end(Outcome::DownstreamSlow);
        }
        too_slow
    }

    /// Ends the transfer from outside.
    pub(super) fn abort(&self, outcome: Outcome) {
        let mut state = self.lock();
        state.end(outcome);
        // The body may be waiting for the source, which never wakes it again. Without this wake-up
        // the caller would see the end only when there would have been something to send.
        let waker = state.waker.take();
        // Not under the lock: the task that wakes takes it.
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl TransferState {
    /// Takes the bytes that are there, up to `most` and a piece more. Notes the end, or the error,
    /// that comes behind them; without either and without bytes, there are none to send yet.
    fn gather(&mut self, most: usize, context: &mut Context<'_>) -> Pieces {
        let is_quick = most >= MAX_QUICK_WRITE;
        let may_pause = is_quick && self.pause.is_none() && self.source_speed.is_fast();
        if let Some(pause) = &mut self.pause
            && pause.as_mut().poll(context).is_pending()
        {
            return Pieces::default();
        }
        self.pause = None;
        let mut pieces = std::mem::take(&mut self.held);
        let mut has_ended = false;
        if let Some(resources) = &self.resources {
            resources.source.note_pace(is_quick);
        }
        while let Some(resources) = &mut self.resources
            && !has_ended
            && self.failure.is_none()
            && pieces.len() < most
            && pieces.count() < MAX_PIECES
        {
            match resources.source.poll_bytes(context) {
                Poll::Pending if may_pause => return self.pause(pieces, context),
                Poll::Pending if pieces.is_empty() => {
                    self.note_wait();
                    break;
                }
                Poll::Pending => break,
                Poll::Ready(Some(Ok(data))) => {
                    pieces.push(data);
                    // hyper does not poll again once `is_end_stream` is true, so the end has to be
                    // seen together with the last byte.
                    has_ended = resources.source.has_ended();
                }
                Poll::Ready(Some(Err(error))) => self.failure = Some(error),
                Poll::Ready(None) => has_ended = true,
            }
        }
        if !pieces.is_empty() {
            self.note_progress(pieces.len() as u64);
        }
        if has_ended {
            self.end(Outcome::Complete);
        }
        pieces
    }

    /// Waits a moment for more bytes of a source that is fast: one write of many costs less than
    /// many writes of few.
    fn pause(&mut self, pieces: Pieces, context: &mut Context<'_>) -> Pieces {
        self.held = pieces;
        let pause = self.pause.insert(Box::pin(sleep(PAUSE)));
        // The first poll sets the timer, unless the time is over already.
        if pause.as_mut().poll(context).is_ready() {
            context.waker().wake_by_ref();
        }
        Pieces::default()
    }

    /// Notes that the body waits for the source. From here on the time counts against the PBX.
    fn note_wait(&mut self) {
        if !self.waits_for_source {
            self.waits_for_source = true;
            self.progress = Instant::now();
        }
    }

    /// Notes that bytes moved.
    fn note_progress(&mut self, bytes: u64) {
        let now = Instant::now();
        self.bytes += bytes;
        (self.resources.iter_mut()).for_each(|resources| resources.line.note_sent(bytes));
        self.source_speed.note(now, bytes);
        if self.waits_for_source {
            self.waits_for_source = false;
            self.speed.waited += now.saturating_duration_since(self.progress);
        }
        self.progress = now;
    }

    /// Ends the transfer with the error of its source.
    fn fail(&mut self, error: &CacheError) {
        if let Some(resources) = &self.resources {
            log_failure(error, self.bytes, &resources.line);
        }
        self.end(outcome_of(error));
    }

    /// Keeps the waker, so that [`Transfer::abort`] can wake the body.
    fn wait(&mut self, context: &Context<'_>) {
        match &mut self.waker {
            Some(waker) => waker.clone_from(context.waker()),
            None => self.waker = Some(context.waker().clone()),
        }
    }

    /// Gives back all resources, and writes the line of the access log by dropping it. Only the
    /// first call has an effect, so the first outcome stands.
    fn end(&mut self, outcome: Outcome) {
        if let Some(mut resources) = self.resources.take() {
            self.is_whole = outcome == Outcome::Complete;
            resources.line.audit.end_is_agreed |= resources.source.end_is_agreed();
            resources.line.end_transfer(outcome);
        }
        self.held = Pieces::default();
        self.pause = None;
    }
}

fn outcome_of(error: &CacheError) -> Outcome {
    match error {
        CacheError::Broken(ReadingError::Broken(StreamError::Stalled)) => Outcome::UpstreamIdle,
        CacheError::NotOpened(_)
        | CacheError::Broken(_)
        | CacheError::NoRoom
        | CacheError::Ended(_) => Outcome::UpstreamFailed,
    }
}

/// The body of a recording's answer.
pub(crate) struct RelayBody {
    transfer: Arc<Transfer>,
    watchdog: Arc<Watchdog>,
}

impl RelayBody {
    /// Starts a transfer under the watchdog of its connection. `length` is the length of the body
    /// in bytes, if it is known. The [`RecordedAnswer`] proves that the decision is in the audit
    /// log.
    pub(crate) fn new(
        _answer: &RecordedAnswer,
        source: Source,
        length: Option<u64>,
        permit: StreamPermit,
        line: AccessLine,
        idle_timeout: Duration,
        watchdog: &Arc<Watchdog>,
    ) -> Self {
        let now = Instant::now();
        let transfer = Arc::new(Transfer {
            idle_timeout,
            length,
            state: Mutex::new(TransferState {
                resources: Some(TransferResources {
                    source,
                    _permit: permit,
                    line,
                }),
                is_whole: false,
                bytes: 0,
                progress: now,
                waits_for_source: false,
                speed: DownstreamSpeed::new(now),
                failure: None,
                source_speed: SourceSpeed::new(now),
                held: Pieces::default(),
                pause: None,
                waker: None,
            }),
        });
        watchdog.watch(&transfer);
        Self {
            transfer,
            watchdog: Arc::clone(watchdog),
        }
    }

    /// A handle that aborts the transfer from outside.
    pub(crate) fn abort_handle(&self) -> AbortHandle {
        AbortHandle(Arc::downgrade(&self.transfer))
    }
}

impl Body for RelayBody {
    type Data = Pieces;
    type Error = BrokenTransfer;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Pieces>, BrokenTransfer>>> {
        let mut guard = self.transfer.lock();
        let state = &mut *guard;
        if state.resources.is_none() {
            // Ended: complete, or from outside. A part must never look like the whole.
            return Poll::Ready((!state.is_whole).then_some(Err(BrokenTransfer)));
        }
        // hyper keeps polling while its socket refuses bytes, and would buffer all that comes.
        let Poll::Ready(pace) = self.watchdog.poll_unblocked(context) else {
            state.wait(context);
            return Poll::Pending;
        };
        let pieces = state.gather(self.transfer.most_bytes(state.bytes, pace), context);
        if !pieces.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(pieces))));
        }
        if let Some(error) = state.failure.take() {
            state.fail(&error);
            // hyper drops its unsent bytes when it sees an error. So this poll returns nothing,
            // and the next one the error: the caller gets the status and all bytes that came
            // first.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if state.is_whole {
            return Poll::Ready(None);
        }
        state.wait(context);
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.transfer.lock().is_whole
    }

    fn size_hint(&self) -> SizeHint {
        match self.transfer.length {
            Some(length) => SizeHint::with_exact(length.saturating_sub(self.transfer.lock().bytes)),
            None => SizeHint::default(),
        }
    }
}

impl Drop for RelayBody {
    fn drop(&mut self) {
        self.transfer.lock().end(Outcome::DownstreamGone);
    }
}

fn log_failure(error: &CacheError, bytes: u64, line: &AccessLine) {
    warn!(
        request_id = line.request_id(),
        pbx = &*line.pbx,
        %error,
        bytes,
        advice = "look at the PBX and the network to it if it continues; the caller can ask again",
        "the recording broke off, and so does the answer"
    );
}

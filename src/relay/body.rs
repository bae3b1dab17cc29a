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

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use thiserror::Error;
use tracing::warn;

use super::{Outcome, Watchdog};
use crate::audit::RecordedAnswer;
use crate::cache::{CacheError, Source};
use crate::limits::streams::StreamPermit;
use crate::pbx::{ReadingError, StreamError};
use crate::relay::access_line::AccessLine;

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

/// The speed at which the caller takes the bytes that are there.
struct DownstreamSpeed {
    since: Instant,
    bytes: u64,
    /// The time in which there was nothing to take.
    waited: Duration,
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
            resources.line.outcome = outcome.as_str();
            resources.line.bytes = self.bytes;
        }
    }
}

impl DownstreamSpeed {
    fn new(now: Instant) -> Self {
        Self {
            since: now,
            bytes: 0,
            waited: Duration::ZERO,
        }
    }

    /// Measures once for every `period` in which there was something to take. Returns true if the
    /// caller took less than `least` bytes per second in it.
    fn measure(&mut self, now: Instant, period: Duration, bytes: u64, least: Option<u64>) -> bool {
        let elapsed = now.saturating_duration_since(self.since);
        let elapsed = elapsed.saturating_sub(self.waited);
        if elapsed < period {
            return false;
        }
        let taken = bytes - self.bytes;
        *self = Self {
            bytes,
            ..Self::new(now)
        };
        let wanted = |least: u64| u128::from(least) * elapsed.as_millis() / 1000;
        least.is_some_and(|least| u128::from(taken) < wanted(least))
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
    type Data = Bytes;
    type Error = BrokenTransfer;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenTransfer>>> {
        let mut guard = self.transfer.lock();
        let state = &mut *guard;
        let Some(resources) = &mut state.resources else {
            // Ended: complete, or from outside. A part must never look like the whole.
            return Poll::Ready((!state.is_whole).then_some(Err(BrokenTransfer)));
        };
        // hyper keeps polling while its socket refuses bytes, and would buffer all that comes.
        if self.watchdog.poll_unblocked(context).is_pending() {
            state.wait(context);
            return Poll::Pending;
        }
        match resources.source.poll_bytes(context) {
            Poll::Pending => {
                if !state.waits_for_source {
                    state.waits_for_source = true;
                    // From here on the time counts against the PBX.
                    state.progress = Instant::now();
                }
                state.wait(context);
                Poll::Pending
            }
            Poll::Ready(Some(Ok(data))) => {
                let now = Instant::now();
                if state.waits_for_source {
                    state.waits_for_source = false;
                    state.speed.waited += now.saturating_duration_since(state.progress);
                }
                state.progress = now;
                state.bytes += data.len() as u64;
                // hyper does not poll again once `is_end_stream` is true, so the end has to be seen
                // together with the last byte.
                if resources.source.has_ended() {
                    state.end(Outcome::Complete);
                }
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
            Poll::Ready(Some(Err(error))) => {
                log_failure(&error, state.bytes, &resources.line);
                state.end(outcome_of(&error));
                // hyper drops its unsent bytes when it sees an error. So this poll returns nothing,
                // and the next one the error: the caller gets the status and all bytes that came
                // first.
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Ready(None) => {
                state.end(Outcome::Complete);
                Poll::Ready(None)
            }
        }
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
        pbx = line.pbx,
        %error,
        bytes,
        advice = "look at the PBX and the network to it if it continues; the caller can ask again",
        "the recording broke off, and so does the answer"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_secs(2);
    const LEAST: u64 = 1_000;

    /// Measures at each of `looks`: a time in ms, and the bytes that the caller has taken by then.
    #[track_caller]
    fn check(least: Option<u64>, waited_ms: u64, looks: &[(u64, u64)], expected: &[bool]) {
        let begun = Instant::now();
        let mut speed = DownstreamSpeed::new(begun);
        speed.waited = Duration::from_millis(waited_ms);
        let too_slow: Vec<bool> = looks
            .iter()
            .map(|(at, bytes)| {
                let now = begun + Duration::from_millis(*at);
                speed.measure(now, PERIOD, *bytes, least)
            })
            .collect();
        assert_eq!(too_slow, expected);
    }

    #[test]
    fn less_than_the_least_over_a_period_is_too_slow() {
        check(Some(LEAST), 0, &[(2_000, 1_999)], &[true]);
        check(Some(LEAST), 0, &[(2_000, 2_000)], &[false]);
        check(Some(LEAST), 0, &[(2_500, 2_499)], &[true]);
        check(Some(LEAST), 0, &[(2_500, 2_500)], &[false]);
        check(Some(LEAST), 0, &[(2_000, 0)], &[true]);
    }

    #[test]
    fn within_a_period_no_caller_is_too_slow() {
        check(Some(LEAST), 0, &[(0, 0), (1_999, 0)], &[false, false]);
    }

    #[test]
    fn each_period_counts_for_itself() {
        let looks = [(2_000, 100_000), (3_000, 100_000), (4_000, 101_999)];
        check(Some(LEAST), 0, &looks, &[false, false, true]);
        // The bytes of the period before neither help nor harm.
        let looks = [(2_000, 0), (4_000, 2_000), (6_000, 3_999)];
        check(Some(LEAST), 0, &looks, &[true, false, true]);
    }

    #[test]
    fn time_without_anything_to_take_does_not_count() {
        check(Some(LEAST), 1_500, &[(3_499, 0)], &[false]);
        check(Some(LEAST), 1_500, &[(3_500, 1_999)], &[true]);
        check(Some(LEAST), 1_500, &[(3_500, 2_000)], &[false]);
        // The next period starts without it.
        let looks = [(3_500, 2_000), (5_500, 3_999)];
        check(Some(LEAST), 1_500, &looks, &[false, true]);
    }

    #[test]
    fn while_no_one_waits_every_caller_is_fast_enough() {
        check(None, 0, &[(2_000, 0), (4_000, 0)], &[false, false]);
    }

    #[test]
    fn a_long_time_and_a_high_rate_do_not_overflow() {
        let year = 365 * 24 * 3_600 * 1_000;
        check(Some(u64::MAX), 0, &[(year, u64::MAX)], &[true]);
    }
}

//! One transfer, and the body that hands it to hyper.
//!
//! Knows what must last as long as the stream: the source with the PBX permit in it, the stream permit, the count and
//! the line of the access log. The body may not be polled for hours when a reader stalls, so nothing here relies on
//! being polled: [`super::Watchdog`] looks at the transfer from outside and takes the source back.

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

/// The transfer broke off. Seen by hyper only, which then breaks the caller's connection or stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the recording broke off")]
pub(crate) struct BrokenOff;

/// A transfer under way; shared by the body and the watchdog.
pub(super) struct Transfer {
    idle_timeout: Duration,
    /// How long the body is, where that is known.
    length: Option<u64>,
    state: Mutex<State>,
}

struct State {
    /// What a running transfer holds; gone at its end, however that comes.
    running: Option<Running>,
    /// Every byte has been handed out.
    is_whole: bool,
    bytes: u64,
    progress: Instant,
    /// The body was polled and is waiting for the source, which has limits of its own; else it is the caller who takes
    /// nothing.
    waits_for_source: bool,
    pace: Pace,
    /// Who polls the body, while it has nothing to give.
    waker: Option<Waker>,
}

/// Ends a transfer from outside, if it is still running.
#[derive(Clone)]
pub(crate) struct Cutter(Weak<Transfer>);

impl Cutter {
    pub(crate) fn is_running(&self) -> bool {
        let transfer = self.0.upgrade();
        transfer.is_some_and(|transfer| transfer.lock().running.is_some())
    }

    pub(crate) fn cut(&self, outcome: Outcome) {
        if let Some(transfer) = self.0.upgrade() {
            transfer.cut(outcome);
        }
    }
}

/// How fast the caller takes what there is.
struct Pace {
    since: Instant,
    bytes: u64,
    /// How long there was nothing to take.
    waited: Duration,
}

struct Running {
    source: Source,
    _permit: StreamPermit,
    line: AccessLine,
}

impl Transfer {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the transfer if its caller has taken nothing for too long, or too little while others wait. Returns whether
    /// it is over for a caller who has not noticed.
    pub(super) fn check(&self, now: Instant) -> bool {
        let mut guard = self.lock();
        let state = &mut *guard;
        let silence = now.saturating_duration_since(state.progress);
        let Some(running) = &state.running else {
            return silence >= self.idle_timeout;
        };
        if state.waits_for_source {
            return false;
        }
        let least = running.source.least_pace();
        let too_slow = state
            .pace
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
    pub(super) fn cut(&self, outcome: Outcome) {
        let mut state = self.lock();
        state.end(outcome);
        let waker = state.waker.take();
        drop(state);
        // The caller sees it break off now, and not only when there would have been something to send.
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl State {
    fn wait(&mut self, context: &Context<'_>) {
        match &mut self.waker {
            Some(waker) => waker.clone_from(context.waker()),
            None => self.waker = Some(context.waker().clone()),
        }
    }

    /// Gives everything back and writes the line of the access log.
    fn end(&mut self, outcome: Outcome) {
        if let Some(mut running) = self.running.take() {
            self.is_whole = outcome == Outcome::Complete;
            running.line.audit.end_is_agreed |= running.source.end_is_agreed();
            running.line.outcome = outcome.as_str();
            running.line.bytes = self.bytes;
        }
    }
}

impl Pace {
    fn new(now: Instant) -> Self {
        Self {
            since: now,
            bytes: 0,
            waited: Duration::ZERO,
        }
    }

    /// Measures anew every `period` in which there was something to take. Returns whether it was less than `least` bytes
    /// per second.
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
    /// Puts a transfer of `length` bytes, where that is known, under the watchdog of its connection. Nothing is sent without
    /// the proof that the answer is written down.
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
            state: Mutex::new(State {
                running: Some(Running {
                    source,
                    _permit: permit,
                    line,
                }),
                is_whole: false,
                bytes: 0,
                progress: now,
                waits_for_source: false,
                pace: Pace::new(now),
                waker: None,
            }),
        });
        watchdog.watch(&transfer);
        Self {
            transfer,
            watchdog: Arc::clone(watchdog),
        }
    }

    /// What ends the transfer from outside.
    pub(crate) fn cutter(&self) -> Cutter {
        Cutter(Arc::downgrade(&self.transfer))
    }
}

impl Body for RelayBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let mut guard = self.transfer.lock();
        let state = &mut *guard;
        let Some(running) = &mut state.running else {
            return Poll::Ready((!state.is_whole).then_some(Err(BrokenOff)));
        };
        if self.watchdog.poll_unblocked(context).is_pending() {
            state.wait(context);
            return Poll::Pending;
        }
        match running.source.poll_bytes(context) {
            Poll::Pending => {
                if !state.waits_for_source {
                    state.waits_for_source = true;
                    state.progress = Instant::now();
                }
                state.wait(context);
                Poll::Pending
            }
            Poll::Ready(Some(Ok(data))) => {
                let now = Instant::now();
                if state.waits_for_source {
                    state.waits_for_source = false;
                    state.pace.waited += now.saturating_duration_since(state.progress);
                }
                state.progress = now;
                state.bytes += data.len() as u64;
                if running.source.has_ended() {
                    state.end(Outcome::Complete);
                }
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
            Poll::Ready(Some(Err(error))) => {
                log_failure(&error, state.bytes, &running.line);
                state.end(outcome_of(&error));
                // hyper drops what it has not sent yet when it sees an error. So it sees it at the next poll, and sends
                // first: the caller is told the status and gets the bytes that came.
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
        advice = "look at the PBX and the network to it if it goes on; the caller can ask again",
        "the recording broke off, and so does the answer"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_secs(2);
    const LEAST: u64 = 1_000;

    /// What comes of looking at a transfer at these times, in ms, when so many bytes had been taken in all.
    #[track_caller]
    fn check(least: Option<u64>, waited_ms: u64, looks: &[(u64, u64)], expected: &[bool]) {
        let begun = Instant::now();
        let mut pace = Pace::new(begun);
        pace.waited = Duration::from_millis(waited_ms);
        let too_slow: Vec<bool> = looks
            .iter()
            .map(|(at, bytes)| {
                let now = begun + Duration::from_millis(*at);
                pace.measure(now, PERIOD, *bytes, least)
            })
            .collect();
        assert_eq!(too_slow, expected);
    }

    #[test]
    fn who_takes_less_than_the_least_over_a_period_is_too_slow() {
        check(Some(LEAST), 0, &[(2_000, 1_999)], &[true]);
        check(Some(LEAST), 0, &[(2_000, 2_000)], &[false]);
        check(Some(LEAST), 0, &[(2_500, 2_499)], &[true]);
        check(Some(LEAST), 0, &[(2_500, 2_500)], &[false]);
        check(Some(LEAST), 0, &[(2_000, 0)], &[true]);
    }

    #[test]
    fn within_a_period_nobody_is_too_slow() {
        check(Some(LEAST), 0, &[(0, 0), (1_999, 0)], &[false, false]);
    }

    #[test]
    fn each_period_counts_for_itself() {
        let looks = [(2_000, 100_000), (3_000, 100_000), (4_000, 101_999)];
        check(Some(LEAST), 0, &looks, &[false, false, true]);
        // What was taken in the one before helps nobody, and does no harm.
        let looks = [(2_000, 0), (4_000, 2_000), (6_000, 3_999)];
        check(Some(LEAST), 0, &looks, &[true, false, true]);
    }

    #[test]
    fn time_without_anything_to_take_does_not_count() {
        check(Some(LEAST), 1_500, &[(3_499, 0)], &[false]);
        check(Some(LEAST), 1_500, &[(3_500, 1_999)], &[true]);
        check(Some(LEAST), 1_500, &[(3_500, 2_000)], &[false]);
        // It is forgotten with its period.
        let looks = [(3_500, 2_000), (5_500, 3_999)];
        check(Some(LEAST), 1_500, &looks, &[false, true]);
    }

    #[test]
    fn where_nobody_waits_everybody_is_fast_enough() {
        check(None, 0, &[(2_000, 0), (4_000, 0)], &[false, false]);
    }

    #[test]
    fn a_long_time_and_a_high_rate_do_not_overflow() {
        let year = 365 * 24 * 3_600 * 1_000;
        check(Some(u64::MAX), 0, &[(year, u64::MAX)], &[true]);
    }
}

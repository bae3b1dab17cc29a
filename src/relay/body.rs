//! One transfer, and the body that hands it to hyper.
//!
//! Knows what must last as long as the stream: the source with the PBX permit in it, the stream permit, the count and
//! the line of the access log. The body may not be polled for hours when a reader stalls, so nothing here relies on
//! being polled: [`super::Watchdog`] looks at the transfer from outside and takes the source back.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use thiserror::Error;
use tracing::warn;

use super::{Outcome, StreamPermit, Watchdog};
use crate::pbx::{PbxStream, StreamError};
use crate::telemetry::AccessLine;

/// The transfer broke off. Seen by hyper only, which then breaks the caller's connection or stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the recording broke off")]
pub(crate) struct BrokenOff;

/// How long either side may be silent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) upstream_idle: Duration,
    pub(crate) downstream_idle: Duration,
}

/// A transfer under way; shared by the body and the watchdog.
pub(super) struct Transfer {
    limits: Limits,
    /// The whole length, where it is known.
    length: Option<u64>,
    state: Mutex<State>,
}

struct State {
    /// What a running transfer holds; gone at its end, however that comes.
    running: Option<Running>,
    bytes: u64,
    progress: Instant,
    /// The body was polled and is waiting for the PBX; else it is the caller who takes nothing.
    waits_for_upstream: bool,
    waker: Option<Waker>,
}

struct Running {
    source: PbxStream,
    _permit: StreamPermit,
    line: AccessLine,
}

impl Transfer {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the transfer if either side has been silent for too long. Returns whether the caller is the one.
    pub(super) fn check(&self, now: Instant) -> bool {
        let mut state = self.lock();
        let silence = now.saturating_duration_since(state.progress);
        if state.running.is_none() {
            // Cut before, and the caller has not even noticed.
            return silence >= self.limits.downstream_idle;
        }
        if state.waits_for_upstream && silence >= self.limits.upstream_idle {
            state.end(Outcome::UpstreamIdle);
            // hyper polls the body once more, gets the error and breaks the transfer.
            if let Some(waker) = state.waker.take() {
                waker.wake();
            }
            return false;
        }
        if !state.waits_for_upstream && silence >= self.limits.downstream_idle {
            state.end(Outcome::DownstreamIdle);
            return true;
        }
        false
    }

    /// Whether every byte has been handed out, of a transfer that no longer runs.
    fn is_whole(&self, state: &State) -> bool {
        state.running.is_none() && self.length == Some(state.bytes)
    }

    /// Ends the transfer with the program.
    pub(super) fn cut(&self) {
        self.lock().end(Outcome::Drained);
    }
}

impl State {
    /// Gives everything back and writes the line of the access log.
    fn end(&mut self, outcome: Outcome) {
        if let Some(mut running) = self.running.take() {
            running.line.outcome = outcome.as_str();
            running.line.bytes = self.bytes;
        }
    }
}

/// The body of a recording's answer.
pub(crate) struct RelayBody(Arc<Transfer>);

impl RelayBody {
    /// Puts a transfer together and under the watchdog of its connection.
    pub(crate) fn new(
        source: PbxStream,
        permit: StreamPermit,
        line: AccessLine,
        limits: Limits,
        watchdog: &Watchdog,
    ) -> Self {
        let transfer = Arc::new(Transfer {
            limits,
            length: source.length(),
            state: Mutex::new(State {
                running: Some(Running {
                    source,
                    _permit: permit,
                    line,
                }),
                bytes: 0,
                progress: Instant::now(),
                waits_for_upstream: false,
                waker: None,
            }),
        });
        watchdog.watch(&transfer);
        Self(transfer)
    }
}

impl Body for RelayBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let mut guard = self.0.lock();
        let state = &mut *guard;
        let Some(running) = &mut state.running else {
            let whole = self.0.is_whole(state);
            return Poll::Ready(if whole { None } else { Some(Err(BrokenOff)) });
        };
        match running.source.poll_bytes(context) {
            Poll::Pending => {
                // The watchdog counts the PBX's silence from the moment somebody began to wait for it.
                if !state.waits_for_upstream {
                    state.waits_for_upstream = true;
                    state.progress = Instant::now();
                }
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
            Poll::Ready(Some(Ok(data))) => {
                state.waits_for_upstream = false;
                state.progress = Instant::now();
                state.bytes += data.len() as u64;
                if running.source.has_ended() {
                    state.end(Outcome::Complete);
                }
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
            Poll::Ready(Some(Err(error))) => {
                log_failure(error, state.bytes, &running.line);
                state.end(Outcome::UpstreamFailed);
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
        self.0.is_whole(&self.0.lock())
    }

    fn size_hint(&self) -> SizeHint {
        match self.0.length {
            Some(length) => SizeHint::with_exact(length.saturating_sub(self.0.lock().bytes)),
            None => SizeHint::default(),
        }
    }
}

impl Drop for RelayBody {
    fn drop(&mut self) {
        self.0.lock().end(Outcome::DownstreamGone);
    }
}

fn log_failure(error: StreamError, bytes: u64, line: &AccessLine) {
    warn!(
        request_id = line.request_id(),
        pbx = line.pbx,
        %error,
        bytes,
        advice = "look at the PBX and the network to it if it goes on; the caller can ask again",
        "the recording broke off, and so does the answer"
    );
}

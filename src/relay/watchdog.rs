//! The watchdog of one downstream connection: it finds a caller that takes nothing.
//!
//! Knows the requests and transfers of the connection, and since when the socket refuses bytes.
//! Does not know what is sent. The task of the connection calls it at intervals, because hyper does
//! not poll the body of a reader that stalls, so no timer inside the body would fire.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::Outcome;
use super::body::Transfer;

/// The result of a check: keep the connection, or end it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WatchdogVerdict {
    Keep,
    /// The caller has taken nothing for too long.
    End,
}

/// A caller who lets its socket refuse bytes for longer than this is slow.
const MAX_QUICK_PAUSE: Duration = Duration::from_millis(50);

/// The pace at which the caller of a connection took the last bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallerPace {
    /// Quickly, as far as that is known.
    Quick,
    /// Slowly; or the connection carries several answers, and none may fill it.
    Slow,
}

/// Watches one downstream connection.
pub(crate) struct Watchdog {
    idle_timeout: Duration,
    state: Mutex<ConnectionState>,
}

struct ConnectionState {
    transfers: Vec<Weak<Transfer>>,
    /// The time since which the socket refuses bytes.
    blocked_since: Option<Instant>,
    /// The pace of the bytes that the socket refused at first.
    pace: CallerPace,
    /// True for a connection that carries several answers at once.
    is_shared: bool,
    /// The bodies that wait until the socket takes bytes again.
    wakers: Vec<Waker>,
    /// The number of requests whose answer has not begun.
    pending_requests: usize,
    /// True once there was a request.
    has_begun: bool,
    /// The last time at which there was a request or a transfer; at first, the time of the start.
    last_busy: Instant,
}

/// A request that has no answer yet, until it is dropped.
pub(crate) struct PendingRequest(Arc<Watchdog>);

impl Drop for PendingRequest {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.pending_requests = state.pending_requests.saturating_sub(1);
        state.last_busy = Instant::now();
    }
}

impl Watchdog {
    /// `idle_timeout` is the time after which a caller that takes nothing is disconnected.
    pub(crate) fn new(idle_timeout: Duration) -> Self {
        Self {
            idle_timeout,
            state: Mutex::new(ConnectionState {
                transfers: Vec::new(),
                blocked_since: None,
                pace: CallerPace::Quick,
                is_shared: false,
                wakers: Vec::new(),
                pending_requests: 0,
                has_begun: false,
                last_busy: Instant::now(),
            }),
        }
    }

    /// Notes a request. Drop the returned value when its answer begins.
    pub(crate) fn note_request(self: &Arc<Self>) -> PendingRequest {
        let mut state = self.lock();
        state.pending_requests += 1;
        state.has_begun = true;
        drop(state);
        PendingRequest(Arc::clone(self))
    }

    /// Notes that the connection carries several answers at once.
    pub(crate) fn note_shared(&self) {
        self.lock().is_shared = true;
    }

    /// True once there was a request.
    pub(crate) fn has_begun(&self) -> bool {
        self.lock().has_begun
    }

    /// The time without a request or a transfer, as of the last [`Watchdog::check`]. None while the
    /// socket refuses bytes: they may be the last ones of a transfer.
    pub(crate) fn idle_for(&self, now: Instant) -> Duration {
        let state = self.lock();
        match state.blocked_since {
            Some(_) => Duration::ZERO,
            None => now.saturating_duration_since(state.last_busy),
        }
    }

    /// The interval between two checks: a quarter of the limit, so that no end is later than that.
    pub(crate) fn period(&self) -> Duration {
        (self.idle_timeout / 4).clamp(Duration::from_millis(10), Duration::from_secs(5))
    }

    /// Aborts every transfer of the connection, at the end of the program.
    pub(crate) fn abort(&self) {
        let transfers = self.lock().transfers.clone();
        transfers
            .iter()
            .filter_map(Weak::upgrade)
            .for_each(|transfer| transfer.abort(Outcome::Drained));
    }

    /// Watches a transfer until its body is gone.
    pub(super) fn watch(&self, transfer: &Arc<Transfer>) {
        let mut state = self.lock();
        state
            .transfers
            .retain(|transfer| transfer.strong_count() > 0);
        state.transfers.push(Arc::downgrade(transfer));
    }

    /// Notes that the socket refuses bytes for now, or that it took some.
    pub(crate) fn note_write(&self, blocked: bool) {
        let mut state = self.lock();
        match (blocked, state.blocked_since) {
            (true, None) => state.blocked_since = Some(Instant::now()),
            (false, Some(since)) => {
                state.blocked_since = None;
                state.pace = match since.elapsed() > MAX_QUICK_PAUSE {
                    true => CallerPace::Slow,
                    false => CallerPace::Quick,
                };
                state.wakers.drain(..).for_each(Waker::wake);
            }
            _ => {}
        }
    }

    /// Ready unless the socket refuses bytes. hyper holds in memory all bytes that the socket has
    /// not taken, so nothing more is read for it until it takes some.
    pub(super) fn poll_unblocked(&self, context: &Context<'_>) -> Poll<CallerPace> {
        let mut state = self.lock();
        if state.blocked_since.is_none() {
            return Poll::Ready(match state.is_shared {
                true => CallerPace::Slow,
                false => state.pace,
            });
        }
        if !state
            .wakers
            .iter()
            .any(|waker| waker.will_wake(context.waker()))
        {
            state.wakers.push(context.waker().clone());
        }
        Poll::Pending
    }

    /// Ends the transfers whose callers have been silent for too long.
    ///
    /// The connection ends if its socket is stuck, or if a caller stalls and nothing else on the
    /// connection is alive: no other transfer, and no request that waits for its answer. HTTP/2
    /// carries several, and a stalled one must not end the others.
    pub(crate) fn check(&self, now: Instant) -> WatchdogVerdict {
        let (is_stuck, pending_requests, transfers) = {
            let mut state = self.lock();
            state
                .transfers
                .retain(|transfer| transfer.strong_count() > 0);
            let is_stuck = state
                .blocked_since
                .is_some_and(|since| now.saturating_duration_since(since) >= self.idle_timeout);
            if state.pending_requests > 0 || !state.transfers.is_empty() {
                state.last_busy = now;
            }
            (is_stuck, state.pending_requests, state.transfers.clone())
        };
        // Outside the lock of the connection: a transfer that ends drops its source, and its body
        // takes the locks in the other order, its own first.
        let transfers: Vec<_> = transfers.iter().filter_map(Weak::upgrade).collect();
        let stalled = transfers
            .iter()
            .filter(|transfer| transfer.check(now))
            .count();
        if is_stuck {
            // hyper may have taken more bytes of a transfer since then, into a buffer that goes
            // nowhere. To the transfer that looked like progress, so its own check did not end it.
            transfers
                .iter()
                .for_each(|transfer| transfer.abort(Outcome::DownstreamIdle));
            return WatchdogVerdict::End;
        }
        if stalled > 0 && stalled == transfers.len() && pending_requests == 0 {
            return WatchdogVerdict::End;
        }
        WatchdogVerdict::Keep
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, ConnectionState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

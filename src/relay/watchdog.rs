//! The watchdog of one downstream connection: finds the caller who takes nothing.
//!
//! Knows the requests and transfers of the connection and when the socket last took a byte. Does not know what is sent.
//! It is asked by the connection's own task now and then, since hyper polls no body whose reader stalls.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::Outcome;
use super::body::Transfer;

/// What is to become of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Keep,
    /// Its caller has taken nothing for too long.
    End,
}

/// Watches one downstream connection.
pub(crate) struct Watchdog {
    idle_timeout: Duration,
    state: Mutex<State>,
}

struct State {
    transfers: Vec<Weak<Transfer>>,
    /// Since when the socket has refused bytes.
    blocked_since: Option<Instant>,
    /// Bodies that wait for it to take some.
    wakers: Vec<Waker>,
    /// Requests whose answer has not begun.
    answering: usize,
    /// Whether there has been a request.
    begun: bool,
    /// When a request or a transfer was last seen; at first, when the connection began.
    busy: Instant,
}

/// A request that has no answer yet.
pub(crate) struct Answering(Arc<Watchdog>);

impl Drop for Answering {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.answering = state.answering.saturating_sub(1);
        state.busy = Instant::now();
    }
}

impl Watchdog {
    /// `idle_timeout` is how long the caller may take nothing.
    pub(crate) fn new(idle_timeout: Duration) -> Self {
        Self {
            idle_timeout,
            state: Mutex::new(State {
                transfers: Vec::new(),
                blocked_since: None,
                wakers: Vec::new(),
                answering: 0,
                begun: false,
                busy: Instant::now(),
            }),
        }
    }

    /// Notes a request until its answer begins, which is when the returned value is dropped.
    pub(crate) fn answering(self: &Arc<Self>) -> Answering {
        let mut state = self.lock();
        state.answering += 1;
        state.begun = true;
        drop(state);
        Answering(Arc::clone(self))
    }

    /// Whether there has been a request.
    pub(crate) fn has_begun(&self) -> bool {
        self.lock().begun
    }

    /// How long there has been neither a request nor a transfer, as of the last [`Watchdog::check`].
    pub(crate) fn idle_for(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.lock().busy)
    }

    /// How often to ask: often enough to be late by a quarter of the limit at most.
    pub(crate) fn period(&self) -> Duration {
        (self.idle_timeout / 4).clamp(Duration::from_millis(10), Duration::from_secs(5))
    }

    /// Ends every transfer of the connection with the program.
    pub(crate) fn cut(&self) {
        let transfers = self.lock().transfers.clone();
        transfers
            .iter()
            .filter_map(Weak::upgrade)
            .for_each(|transfer| transfer.cut(Outcome::Drained));
    }

    /// Watches a transfer until its body is gone.
    pub(super) fn watch(&self, transfer: &Arc<Transfer>) {
        let mut state = self.lock();
        state
            .transfers
            .retain(|transfer| transfer.strong_count() > 0);
        state.transfers.push(Arc::downgrade(transfer));
    }

    /// Notes that the socket takes no more bytes for now, or that it took some.
    pub(crate) fn note_write(&self, blocked: bool) {
        let mut state = self.lock();
        match (blocked, state.blocked_since) {
            (true, None) => state.blocked_since = Some(Instant::now()),
            (false, Some(_)) => {
                state.blocked_since = None;
                state.wakers.drain(..).for_each(Waker::wake);
            }
            _ => {}
        }
    }

    /// Ready unless the socket refuses bytes. What it has not taken is held in memory for it, so nothing more is read for
    /// it meanwhile.
    pub(super) fn poll_unblocked(&self, context: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.blocked_since.is_none() {
            return Poll::Ready(());
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

    /// Ends the transfers of which either side has been silent for too long. The connection ends when its socket is
    /// stuck, or when a caller stalls and nothing else of the connection is alive, neither a transfer nor a request
    /// that waits for its answer: HTTP/2 carries several, and one that stalls must not take the others with it.
    pub(crate) fn check(&self, now: Instant) -> Verdict {
        let (stuck, answering, transfers) = {
            let mut state = self.lock();
            state
                .transfers
                .retain(|transfer| transfer.strong_count() > 0);
            let stuck = state
                .blocked_since
                .is_some_and(|since| now.saturating_duration_since(since) >= self.idle_timeout);
            if state.answering > 0 || !state.transfers.is_empty() {
                state.busy = now;
            }
            (stuck, state.answering, state.transfers.clone())
        };
        let transfers: Vec<_> = transfers.iter().filter_map(Weak::upgrade).collect();
        let stalled = transfers
            .iter()
            .filter(|transfer| transfer.check(now))
            .count();
        if stuck {
            // hyper may have taken some more from a transfer since then, for a buffer that goes nowhere.
            transfers
                .iter()
                .for_each(|transfer| transfer.cut(Outcome::DownstreamIdle));
            return Verdict::End;
        }
        if stalled > 0 && stalled == transfers.len() && answering == 0 {
            return Verdict::End;
        }
        Verdict::Keep
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

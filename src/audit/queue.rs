//! What waits to be written.
//!
//! Knows the order. Its bound is that of the places: each item has one, or its request has, so nothing is ever turned away, not
//! even by a `Drop` that cannot wait.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::line::{Decision, Delivery, Record, SystemReadLine};

/// A place in the queue.
pub(super) type Place = OwnedSemaphorePermit;

/// Something to be written.
pub(super) enum Item {
    Decision {
        decision: Box<Decision>,
        /// Gets the line's number when it is on disk; closed where it cannot be written.
        written: oneshot::Sender<u64>,
        /// Of a request that was denied; that of an allowed one is with its delivery.
        _place: Option<Place>,
    },
    /// A read of the gateway's own, waited for as a decision is.
    SystemRead {
        read: SystemReadLine,
        written: oneshot::Sender<u64>,
    },
    Delivery {
        delivery: Delivery,
        decision: DecisionLine,
        place: Place,
    },
    /// A denial that was answered before it was on disk.
    Answered(oneshot::Receiver<u64>),
    /// What the gateway has to say of itself.
    Own(Record),
}

/// The decision that a delivery belongs to.
pub(super) enum DecisionLine {
    /// The line of this number.
    Known(u64),
    /// It is under way.
    Awaited {
        seq: oneshot::Receiver<u64>,
        /// The request goes on without it: one that never gets there is missing.
        is_carried_out: bool,
    },
}

impl DecisionLine {
    /// One that is waited for.
    pub(super) fn awaited(seq: oneshot::Receiver<u64>) -> Self {
        Self::Awaited {
            seq,
            is_carried_out: false,
        }
    }
}

/// The queue of one writer.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    filled: Condvar,
}

#[derive(Default)]
struct State {
    items: Vec<Item>,
    is_closed: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an item, unless the queue is closed.
    pub(super) fn push(&self, item: Item) {
        let mut state = self.lock();
        if !state.is_closed {
            state.items.push(item);
            drop(state);
            self.filled.notify_one();
        }
    }

    /// No more items: what is there is still written.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.filled.notify_one();
    }

    /// Takes everything there is, and waits for it no longer than `patience`. Returns whether more may come.
    pub(super) fn take(&self, items: &mut Vec<Item>, patience: Duration) -> bool {
        let is_idle = |state: &mut State| state.items.is_empty() && !state.is_closed;
        let waited = self
            .filled
            .wait_timeout_while(self.lock(), patience, is_idle);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        items.append(&mut state.items);
        !state.is_closed
    }

    /// How many items wait.
    pub(super) fn len(&self) -> usize {
        self.lock().items.len()
    }
}

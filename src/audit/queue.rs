//! The queue of lines to be written.
//!
//! Knows their order. The number of queue places bounds it: each item holds a place, or its request
//! does. So no item is ever turned away, not even one from a `Drop`, which cannot wait.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::line::{Decision, Delivery, LogRecord, SystemReadLine};

/// A place in the queue: the permit to bring one item.
pub(super) type QueuePlace = OwnedSemaphorePermit;

/// An item for the writer.
pub(super) enum Item {
    Decision {
        decision: Box<Decision>,
        /// Gets the number of the line once the line is on disk; closed if it cannot be written.
        written: oneshot::Sender<u64>,
        /// The place of a denied request. The place of an allowed request is with its delivery.
        _place: Option<QueuePlace>,
    },
    /// A read that the gateway does for itself. It is waited for, as a decision is.
    SystemRead {
        read: SystemReadLine,
        written: oneshot::Sender<u64>,
    },
    Delivery {
        delivery: Delivery,
        decision: DecisionLine,
        place: QueuePlace,
    },
    /// A denial that was answered before its line was on disk. If the line never gets there, the
    /// decision counts as missing.
    Answered(oneshot::Receiver<u64>),
    /// A line about the gateway or the log itself.
    Own(LogRecord),
}

/// The decision line that a delivery belongs to.
pub(super) enum DecisionLine {
    /// It is on disk and has this number.
    Known(u64),
    /// It is on its way to the disk.
    Awaited {
        seq: oneshot::Receiver<u64>,
        /// The request goes on without it. If the line never gets to the disk, the decision counts
        /// as missing.
        is_carried_out: bool,
    },
}

impl DecisionLine {
    /// A line that is on its way.
    pub(super) fn awaited(seq: oneshot::Receiver<u64>) -> Self {
        Self::Awaited {
            seq,
            is_carried_out: false,
        }
    }
}

impl Item {
    /// Whether a request waits until the item is on disk.
    fn is_awaited(&self) -> bool {
        matches!(self, Self::Decision { .. } | Self::SystemRead { .. })
    }
}

/// The longest time that lines wait for others if no request waits for them.
const MAX_GATHER_TIME: Duration = Duration::from_millis(100);
/// The number of items that wait no longer for others.
const URGENT_ITEMS: usize = 256;

/// The queue of one writer.
#[derive(Default)]
pub(super) struct LineQueue {
    state: Mutex<QueueState>,
    filled: Condvar,
}

#[derive(Default)]
struct QueueState {
    items: Vec<Item>,
    /// Whether a request waits for one of the items.
    is_awaited: bool,
    is_closed: bool,
    /// The event that wakes the writer. Each time it wakes costs two switches of threads.
    waits_for: WaitsFor,
}

/// The event that a writer waits for.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum WaitsFor {
    /// Nothing: it is at work.
    #[default]
    Nothing,
    AnyItem,
    /// An item that a request waits for, or many others.
    Urgency,
}

impl QueueState {
    fn is_urgent(&self) -> bool {
        self.is_awaited || self.is_closed || self.items.len() >= URGENT_ITEMS
    }

    /// Whether the writer is to be woken.
    fn is_due(&self) -> bool {
        match self.waits_for {
            WaitsFor::Nothing => false,
            WaitsFor::AnyItem => true,
            WaitsFor::Urgency => self.is_urgent(),
        }
    }
}

impl LineQueue {
    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an item, unless the queue is closed.
    pub(super) fn push(&self, item: Item) {
        let mut state = self.lock();
        if state.is_closed {
            return;
        }
        state.is_awaited |= item.is_awaited();
        state.items.push(item);
        self.wake(state);
    }

    /// Takes no more items. Those in the queue are still written.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        self.wake(state);
    }

    fn wake(&self, mut state: MutexGuard<'_, QueueState>) {
        if state.is_due() {
            state.waits_for = WaitsFor::Nothing;
            drop(state);
            self.filled.notify_one();
        }
    }

    /// Takes all items, and waits at most `patience` for the first one. Items that no request waits
    /// for are gathered for a while. Returns `false` once the queue is closed.
    pub(super) fn take(&self, items: &mut Vec<Item>, patience: Duration) -> bool {
        let mut state = self.lock();
        if state.items.is_empty() && !state.is_closed {
            state = self.wait(state, WaitsFor::AnyItem, patience);
        }
        if !state.items.is_empty() && !state.is_urgent() {
            state = self.wait(state, WaitsFor::Urgency, MAX_GATHER_TIME);
        }
        state.is_awaited = false;
        items.append(&mut state.items);
        !state.is_closed
    }

    fn wait<'q>(
        &'q self,
        mut state: MutexGuard<'q, QueueState>,
        event: WaitsFor,
        patience: Duration,
    ) -> MutexGuard<'q, QueueState> {
        state.waits_for = event;
        let goes_on = |state: &mut QueueState| state.waits_for != WaitsFor::Nothing;
        let waited = self.filled.wait_timeout_while(state, patience, goes_on);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        state.waits_for = WaitsFor::Nothing;
        state
    }

    /// Number of items that wait.
    pub(super) fn len(&self) -> usize {
        self.lock().items.len()
    }
}

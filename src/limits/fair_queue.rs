//! A fair queue for the downloads of one PBX.
//!
//! Knows how a task waits for a download and how it gives one back. Does not know who a principal
//! is or what is downloaded. The rules are in [`ledger`].

mod ledger;

use std::iter;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::principal::PrincipalId;
use ledger::Ledger;

/// The downloads of one PBX, shared fairly between principals. It bounds neither the time that a
/// task waits nor the number of waiting tasks: its user does.
pub(crate) struct FairQueue(Mutex<Ledger<Arc<Notify>>>);

/// A place in the queue, which becomes a download at its turn. Dropping it gives up either.
pub(crate) struct FairQueuePlace {
    queue: Arc<FairQueue>,
    who: PrincipalId,
    number: u64,
}

impl FairQueue {
    pub(crate) fn new(total: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Ledger::new(total))))
    }

    /// Takes a place in the queue, and returns when it has become a download.
    ///
    /// # Cancel safety
    /// Safe: the place is given up. If a download has just become free for it, the next place gets
    /// it.
    pub(crate) async fn take(self: &Arc<Self>, who: &PrincipalId) -> FairQueuePlace {
        let called = Arc::new(Notify::new());
        let place = FairQueuePlace {
            queue: Arc::clone(self),
            who: who.clone(),
            number: self.change(|ledger| ledger.arrive(who, Arc::clone(&called))),
        };
        // `place` exists before the first await: if this future is dropped here, its `Drop` gives
        // up the place in the ledger, whether it was called already or not.
        called.notified().await;
        place
    }

    /// Changes the number of downloads. If more are running, the surplus goes as they end.
    pub(crate) fn resize(&self, total: usize) {
        self.change(|ledger| ledger.resize(total));
    }

    /// The number of downloads that may begin at once.
    pub(crate) fn free(&self) -> usize {
        self.lock().free()
    }

    /// True if a principal other than `who` waits.
    pub(crate) fn has_waiting_beside(&self, who: &PrincipalId) -> bool {
        self.lock().has_waiting_beside(who)
    }

    /// Makes a change, then wakes every task whose turn has come.
    fn change<T>(&self, change: impl FnOnce(&mut Ledger<Arc<Notify>>) -> T) -> T {
        let mut ledger = self.lock();
        let result = change(&mut ledger);
        let served: Vec<_> = iter::from_fn(|| ledger.serve()).collect();
        // Not under the lock: the task that wakes may come straight back to it.
        drop(ledger);
        served.iter().for_each(|called| called.notify_one());
        result
    }

    fn lock(&self) -> MutexGuard<'_, Ledger<Arc<Notify>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FairQueuePlace {
    /// The principal that has the place.
    pub(crate) fn holder(&self) -> &PrincipalId {
        &self.who
    }
}

impl Drop for FairQueuePlace {
    fn drop(&mut self) {
        self.queue
            .change(|ledger| ledger.leave(&self.who, self.number));
    }
}

#[cfg(test)]
mod tests;

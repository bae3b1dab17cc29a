//! Who gets the downloads of one PBX, and in which order.
//!
//! Knows how to wait for one and how to give one back. Does not know who a principal is or what is downloaded; the rules
//! are the ledger's.

mod ledger;

use std::iter;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::principal::PrincipalId;
use ledger::Ledger;

/// The downloads of one PBX, shared fairly between principals. How long somebody waits, and how many do, is for the
/// caller to limit.
pub(crate) struct Queue(Mutex<Ledger<Arc<Notify>>>);

/// A place in the queue, and from its turn on a download. Dropping it gives up either.
pub(crate) struct Place {
    queue: Arc<Queue>,
    who: PrincipalId,
    number: u64,
}

impl Queue {
    pub(crate) fn new(total: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Ledger::new(total))))
    }

    /// Takes a place in the queue, and returns when it has become a download.
    ///
    /// # Cancel safety
    /// Safe: the place is given up, and a download that has just become free for it goes to the next.
    pub(crate) async fn take(self: &Arc<Self>, who: &PrincipalId) -> Place {
        let called = Arc::new(Notify::new());
        let place = Place {
            queue: Arc::clone(self),
            who: who.clone(),
            number: self.change(|ledger| ledger.arrive(who, Arc::clone(&called))),
        };
        called.notified().await;
        place
    }

    /// Changes how many downloads there may be. Where more run, the surplus goes as they end.
    pub(crate) fn resize(&self, total: usize) {
        self.change(|ledger| ledger.resize(total));
    }

    /// Whether anybody but `who` waits.
    pub(crate) fn has_waiting_beside(&self, who: &PrincipalId) -> bool {
        self.lock().has_waiting_beside(who)
    }

    /// Makes a change, and then calls everybody who need not wait any longer.
    fn change<T>(&self, change: impl FnOnce(&mut Ledger<Arc<Notify>>) -> T) -> T {
        let mut ledger = self.lock();
        let result = change(&mut ledger);
        let served: Vec<_> = iter::from_fn(|| ledger.serve()).collect();
        drop(ledger);
        served.iter().for_each(|called| called.notify_one());
        result
    }

    fn lock(&self) -> MutexGuard<'_, Ledger<Arc<Notify>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Who has it.
    pub(crate) fn holder(&self) -> &PrincipalId {
        &self.who
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.queue
            .change(|ledger| ledger.leave(&self.who, self.number));
    }
}

#[cfg(test)]
mod tests;

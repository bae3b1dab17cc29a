//! Permits that the instances share: a number at once, over all of them.
//!
//! Knows who holds which permit here, and keeps them. Does not know what a permit is for. A permit
//! of an instance that has died ends by itself.
//!
//! While the store is away, each instance gives out its share: the number divided by the instances
//! that there were, and at least one.

use std::collections::{HashMap, HashSet};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::{Fleet, fresh_id, jittered, milliseconds};

/// A permit that is not prolonged for so long is free again.
const PERMIT_LIFE: Duration = Duration::from_secs(10);
/// The interval at which permits are prolonged.
const PROLONG: Duration = Duration::from_secs(2);
/// The permits that are given back with one call.
const AT_ONCE: usize = 500;
/// The pause between two tries to get a permit.
const RETRY: Duration = Duration::from_millis(100);

/// The permits that this instance holds, by what they are permits of.
#[derive(Default)]
pub(super) struct HeldPermits {
    held: Mutex<HashMap<Arc<str>, HashSet<String>>>,
    /// Permits that are to be given back.
    returned: Mutex<Vec<ReturnedPermit>>,
    wake: Notify,
}

/// A permit that the store still counts. Each one ends by itself, so there are only those of the
/// last seconds.
struct ReturnedPermit {
    key: Arc<str>,
    id: String,
    since: Instant,
}

/// A number of permits that all instances share.
#[derive(Clone)]
pub(crate) struct SharedPermits {
    fleet: Arc<Fleet>,
    key: Arc<str>,
}

/// One permit, given back when dropped.
pub(crate) struct SharedPermit {
    fleet: Arc<Fleet>,
    key: Arc<str>,
    id: String,
}

impl SharedPermits {
    /// The permits of this kind of something.
    pub(crate) fn new(fleet: &Arc<Fleet>, kind: &str, what: &[u8]) -> Self {
        let place = format!("permits:{}", fleet.seal.name(kind, what));
        Self {
            fleet: Arc::clone(fleet),
            key: fleet.key(&place).into(),
        }
    }

    /// Takes a permit if fewer than `max` are out.
    ///
    /// # Cancel safety
    /// Safe: the permit is given back.
    pub(crate) async fn try_take(&self, max: usize) -> Option<SharedPermit> {
        // Held before the store is asked, so that a caller who leaves gives it back.
        let permit = self.hold();
        let mut call = self.fleet.scripts.take.key(&*self.key);
        call.arg(&permit.id).arg(max).arg(milliseconds(PERMIT_LIFE));
        let is_taken = match self.fleet.store.run::<u8>(&call).await {
            Ok(taken) => taken == 1,
            Err(_) => {
                let members = self.fleet.members().place();
                let share = max / members.map_or(1, |place| place.count.max(1));
                self.fleet.held.count(&self.key) <= share.max(1)
            }
        };
        is_taken.then_some(permit)
    }

    /// Takes a permit, and waits until fewer than `max` are out.
    ///
    /// # Cancel safety
    /// As for [`SharedPermits::try_take`].
    pub(crate) async fn take(&self, max: usize) -> SharedPermit {
        loop {
            if let Some(permit) = self.try_take(max).await {
                return permit;
            }
            sleep(jittered(RETRY)).await;
        }
    }

    fn hold(&self) -> SharedPermit {
        let id = fresh_id();
        let mut held = self.fleet.held.held();
        held.entry(Arc::clone(&self.key))
            .or_default()
            .insert(id.clone());
        SharedPermit {
            fleet: Arc::clone(&self.fleet),
            key: Arc::clone(&self.key),
            id,
        }
    }
}

impl Drop for SharedPermit {
    fn drop(&mut self) {
        let permits = &self.fleet.held;
        let mut held = permits.held();
        if let Some(ids) = held.get_mut(&self.key) {
            ids.remove(&self.id);
            if ids.is_empty() {
                held.remove(&self.key);
            }
        }
        drop(held);
        permits.returned().push(ReturnedPermit {
            key: Arc::clone(&self.key),
            id: mem::take(&mut self.id),
            since: Instant::now(),
        });
        permits.wake.notify_one();
    }
}

impl HeldPermits {
    fn count(&self, key: &str) -> usize {
        self.held().get(key).map_or(0, HashSet::len)
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Arc<str>, HashSet<String>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn returned(&self) -> MutexGuard<'_, Vec<ReturnedPermit>> {
        self.returned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives permits back and prolongs those that are held, for as long as the fleet is in use.
pub(super) fn keep(fleet: &Arc<Fleet>) {
    let prolonging = Arc::downgrade(fleet);
    tokio::spawn(async move {
        let mut known = (0, 0);
        while let Some(found) = prolong(&prolonging, known).await {
            known = found;
            sleep(PROLONG).await;
        }
    });
    let returning = Arc::downgrade(fleet);
    tokio::spawn(async move { while give_back(&returning).await.is_some() {} });
}

/// Prolongs the permits that are held. `known` tells the store that has them: its mark, and the
/// contact to it. Gives that of now, once it has them.
async fn prolong(fleet: &Weak<Fleet>, known: (u64, u64)) -> Option<(u64, u64)> {
    let fleet = fleet.upgrade()?;
    let state = *fleet.watch().borrow();
    let found = (state.marked, state.contact);
    let keys: Vec<_> = fleet.held.held().keys().cloned().collect();
    for key in keys {
        // Looked at only now: a permit that was given back meanwhile is not prolonged.
        let ids = fleet.held.held().get(&key).cloned().unwrap_or_default();
        let mut call = fleet.scripts.keep.key(&*key);
        // A store that was emptied, or was away for long, may lack permits that are held.
        call.arg(milliseconds(PERMIT_LIFE))
            .arg(u8::from(found != known));
        for id in ids {
            call.arg(id);
        }
        if fleet.store.run::<u8>(&call).await.is_err() {
            // While the store is away, nobody else takes them either.
            return Some(known);
        }
    }
    Some(found)
}

async fn give_back(fleet: &Weak<Fleet>) -> Option<()> {
    let fleet = fleet.upgrade()?;
    let _ = timeout(PROLONG, fleet.held.wake.notified()).await;
    let mut by_key: HashMap<Arc<str>, Vec<ReturnedPermit>> = HashMap::new();
    for permit in mem::take(&mut *fleet.held.returned()) {
        // An older one has ended by itself.
        if permit.since.elapsed() < PERMIT_LIFE {
            by_key
                .entry(Arc::clone(&permit.key))
                .or_default()
                .push(permit);
        }
    }
    let mut failed = Vec::new();
    for (key, mut permits) in by_key {
        while !permits.is_empty() {
            let some = permits.split_off(permits.len().saturating_sub(AT_ONCE));
            let mut call = fleet.scripts.give.key(&*key);
            for permit in &some {
                call.arg(&permit.id);
            }
            if fleet.store.run::<u64>(&call).await.is_err() {
                failed.extend(some);
            }
        }
    }
    if !failed.is_empty() {
        fleet.held.returned().extend(failed);
        sleep(PROLONG / 4).await;
    }
    Some(())
}

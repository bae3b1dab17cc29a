//! The active transfers, and those that are about to begin, so that they can be aborted from
//! outside: when a right is withdrawn, a cache entry is deleted, or a transfer lasts too long.
//!
//! Knows the grant and the start of each. Does not know why one has to end.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use tokio::time::sleep;

use crate::audit::Recorded;
use crate::auth::Authenticator;
use crate::policy::{Grant, Policy};
use crate::relay::{AbortHandle, Outcome};

/// The interval between two sweeps for transfers that last too long.
const SWEEP: Duration = Duration::from_millis(500);

/// All active transfers of recordings.
pub(crate) struct ActiveTransfers {
    max: ArcSwap<Duration>,
    /// The rules in force, used to check requests that began under older ones again.
    rules: ArcSwap<Rules>,
    pending_transfers: Mutex<Vec<Weak<PendingTransfer>>>,
    transfers: Mutex<Vec<ActiveTransfer>>,
}

/// The policy and the issuers.
pub(crate) struct Rules {
    pub(crate) policy: Policy,
    pub(crate) authenticator: Authenticator,
}

impl Rules {
    /// True if the principal is still accepted and the policy still allows the grant.
    fn still_allow(&self, grant: &Grant, now: SystemTime) -> bool {
        let known = self
            .authenticator
            .still_accepts(grant.principal(), grant.pbx());
        known && self.policy.still_allows(grant, now)
    }
}

/// A request between its grant and its first byte.
pub(super) struct PendingTransfer {
    grant: Recorded<Grant>,
    ended: OnceLock<Outcome>,
}

impl PendingTransfer {
    /// The outcome, if the transfer was aborted before it began. Call [`ActiveTransfers::note`]
    /// first: an abort then reaches either this value or the transfer.
    pub(super) fn ended(&self) -> Option<Outcome> {
        self.ended.get().copied()
    }
}

/// A transfer that has begun.
struct ActiveTransfer {
    grant: Recorded<Grant>,
    since: Instant,
    abort_handle: AbortHandle,
}

impl ActiveTransfers {
    /// Starts the sweep. `max` is the longest time that a transfer may last. Call it within a tokio
    /// runtime.
    pub(crate) fn start(max: Duration, rules: Rules) -> Arc<Self> {
        let active = Arc::new(Self {
            max: ArcSwap::from_pointee(max),
            rules: ArcSwap::from_pointee(rules),
            pending_transfers: Mutex::default(),
            transfers: Mutex::default(),
        });
        tokio::spawn(sweep(Arc::downgrade(&active)));
        active
    }

    /// Changes the longest time.
    pub(crate) fn configure(&self, max: Duration) {
        self.max.store(Arc::new(max));
    }

    /// Puts new rules in force, and aborts the transfers that they deny. Returns the number of
    /// them.
    pub(crate) fn apply_rules(&self, rules: Rules) -> usize {
        self.rules.store(Arc::new(rules));
        let (rules, now) = (self.rules.load(), SystemTime::now());
        self.abort(Outcome::Revoked, |grant| !rules.still_allow(grant, now))
    }

    /// True if the current policy denies a grant made under an older one. Every reload makes a new
    /// policy.
    pub(super) fn denies(&self, grant: &Grant, granted_by: &Policy) -> bool {
        let rules = self.rules.load();
        !rules.policy.is_same_policy(granted_by) && !rules.still_allow(grant, SystemTime::now())
    }

    /// The policy in force, if it is newer than `policy`.
    pub(super) fn newer_than(&self, policy: &Policy) -> Option<Policy> {
        let current = &self.rules.load().policy;
        (!current.is_same_policy(policy)).then(|| current.clone())
    }

    /// Notes a request before a source is opened for it. Keep the returned value until the transfer
    /// is noted.
    pub(super) fn open(&self, grant: &Recorded<Grant>) -> Arc<PendingTransfer> {
        let pending = Arc::new(PendingTransfer {
            grant: grant.clone(),
            ended: OnceLock::new(),
        });
        self.pending_transfers().push(Arc::downgrade(&pending));
        pending
    }

    /// Notes a transfer until it ends.
    pub(super) fn note(&self, grant: &Recorded<Grant>, abort_handle: AbortHandle) {
        self.lock().push(ActiveTransfer {
            grant: grant.clone(),
            since: Instant::now(),
            abort_handle,
        });
    }

    /// Aborts the transfers whose grants match, and marks the pending ones, so that they end at
    /// their first byte. Returns the number of transfers that it aborted.
    pub(crate) fn abort(&self, outcome: Outcome, matches: impl Fn(&Grant) -> bool) -> usize {
        // Pending transfers first. A request notes its transfer before it looks at its mark. So if
        // this loop marks it after that look, its transfer is already among those below.
        self.pending_transfers().retain(|pending| {
            let pending = pending.upgrade();
            if let Some(pending) = pending.as_ref().filter(|pending| matches(&pending.grant)) {
                let _ = pending.ended.set(outcome);
            }
            pending.is_some()
        });
        self.abort_matching(outcome, |transfer| matches(&transfer.grant))
    }

    fn abort_matching(&self, outcome: Outcome, matches: impl Fn(&ActiveTransfer) -> bool) -> usize {
        let abort_handles: Vec<AbortHandle> = {
            let mut transfers = self.lock();
            transfers.retain(|transfer| transfer.abort_handle.is_running());
            let matching = transfers.iter().filter(|transfer| matches(transfer));
            matching
                .map(|transfer| transfer.abort_handle.clone())
                .collect()
        };
        // Not under the lock: an aborted transfer drops its source, which can take other locks.
        abort_handles
            .iter()
            .for_each(|abort_handle| abort_handle.abort(outcome));
        abort_handles.len()
    }

    fn pending_transfers(&self) -> MutexGuard<'_, Vec<Weak<PendingTransfer>>> {
        self.pending_transfers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<ActiveTransfer>> {
        self.transfers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Aborts transfers that last too long, and forgets those that have ended.
async fn sweep(active: Weak<ActiveTransfers>) {
    loop {
        sleep(SWEEP).await;
        let Some(active) = active.upgrade() else {
            return;
        };
        let max = **active.max.load();
        active.abort_matching(Outcome::Overdue, |transfer| transfer.since.elapsed() >= max);
        let mut pending_transfers = active.pending_transfers();
        pending_transfers.retain(|pending| pending.strong_count() > 0);
    }
}

//! The transfers under way, and those that are about to begin, so that one can be ended from outside: whose right has gone, what
//! was erased, what lasts too long.
//!
//! Knows by which grant each is, and since when. Does not know why one has to end.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use tokio::time::sleep;

use crate::audit::Recorded;
use crate::auth::Authenticator;
use crate::policy::{Grant, Policy};
use crate::relay::{Cutter, Outcome};

/// How often it is looked which last too long.
const SWEEP: Duration = Duration::from_millis(500);

/// All transfers of recordings that are under way.
pub(crate) struct ActiveTransfers {
    max: ArcSwap<Duration>,
    /// What is in force, by which a request that began before it is judged again.
    rules: ArcSwap<Rules>,
    openings: Mutex<Vec<Weak<Opening>>>,
    transfers: Mutex<Vec<Transfer>>,
}

/// Who may hear what, and who is known at all.
pub(crate) struct Rules {
    pub(crate) policy: Policy,
    pub(crate) authenticator: Authenticator,
}

impl Rules {
    fn still_allow(&self, grant: &Grant, now: SystemTime) -> bool {
        let known = self
            .authenticator
            .still_accepts(grant.principal(), grant.pbx());
        known && self.policy.still_allows(grant, now)
    }
}

/// A request that is on its way to its first byte.
pub(super) struct Opening {
    grant: Recorded<Grant>,
    ended: OnceLock<Outcome>,
}

impl Opening {
    /// How its transfer has to end, if it was ended before it began. Note the transfer before this is asked.
    pub(super) fn ended(&self) -> Option<Outcome> {
        self.ended.get().copied()
    }
}

struct Transfer {
    grant: Recorded<Grant>,
    since: Instant,
    cutter: Cutter,
}

impl ActiveTransfers {
    /// `max` is how long one may last. Call it within a tokio runtime.
    pub(crate) fn start(max: Duration, rules: Rules) -> Arc<Self> {
        let active = Arc::new(Self {
            max: ArcSwap::from_pointee(max),
            rules: ArcSwap::from_pointee(rules),
            openings: Mutex::default(),
            transfers: Mutex::default(),
        });
        tokio::spawn(sweep(Arc::downgrade(&active)));
        active
    }

    /// Takes another limit over.
    pub(crate) fn configure(&self, max: Duration) {
        self.max.store(Arc::new(max));
    }

    /// Puts other rules in force, and ends what they deny. Returns how many transfers that were.
    pub(crate) fn judge(&self, rules: Rules) -> usize {
        self.rules.store(Arc::new(rules));
        let (rules, now) = (self.rules.load(), SystemTime::now());
        self.cut(Outcome::Revoked, |grant| !rules.still_allow(grant, now))
    }

    /// Whether the rules in force deny what those of its own time allowed. Each reload makes policies of its own.
    pub(super) fn denies(&self, grant: &Grant, granted_by: &Policy) -> bool {
        let rules = self.rules.load();
        !rules.policy.is_same_policy(granted_by) && !rules.still_allow(grant, SystemTime::now())
    }

    /// The policies in force, if they are others than those.
    pub(super) fn newer_than(&self, policy: &Policy) -> Option<Policy> {
        let current = &self.rules.load().policy;
        (!current.is_same_policy(policy)).then(|| current.clone())
    }

    /// Notes a request before anything is opened for it, for as long as what this returns is kept.
    pub(super) fn open(&self, grant: &Recorded<Grant>) -> Arc<Opening> {
        let opening = Arc::new(Opening {
            grant: grant.clone(),
            ended: OnceLock::new(),
        });
        self.openings().push(Arc::downgrade(&opening));
        opening
    }

    /// Notes a transfer until it has ended.
    pub(super) fn note(&self, grant: &Recorded<Grant>, cutter: Cutter) {
        self.lock().push(Transfer {
            grant: grant.clone(),
            since: Instant::now(),
            cutter,
        });
    }

    /// Ends the transfers by grants that are `meant`, and lets none begin that are on their way. Returns how many it ended.
    pub(crate) fn cut(&self, outcome: Outcome, meant: impl Fn(&Grant) -> bool) -> usize {
        // These first: what is no opening any more by then is a transfer.
        self.openings().retain(|opening| {
            let opening = opening.upgrade();
            if let Some(opening) = opening.as_ref().filter(|opening| meant(&opening.grant)) {
                let _ = opening.ended.set(outcome);
            }
            opening.is_some()
        });
        self.cut_those(outcome, |transfer| meant(&transfer.grant))
    }

    fn cut_those(&self, outcome: Outcome, meant: impl Fn(&Transfer) -> bool) -> usize {
        let meant: Vec<Cutter> = {
            let mut transfers = self.lock();
            transfers.retain(|transfer| transfer.cutter.is_running());
            let meant = transfers.iter().filter(|transfer| meant(transfer));
            meant.map(|transfer| transfer.cutter.clone()).collect()
        };
        // Not under the lock: what a transfer holds goes with it.
        meant.iter().for_each(|cutter| cutter.cut(outcome));
        meant.len()
    }

    fn openings(&self) -> MutexGuard<'_, Vec<Weak<Opening>>> {
        self.openings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Transfer>> {
        self.transfers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends what lasts too long, and forgets what has ended.
async fn sweep(active: Weak<ActiveTransfers>) {
    loop {
        sleep(SWEEP).await;
        let Some(active) = active.upgrade() else {
            return;
        };
        let max = **active.max.load();
        active.cut_those(Outcome::Overdue, |transfer| transfer.since.elapsed() >= max);
        let mut openings = active.openings();
        openings.retain(|opening| opening.strong_count() > 0);
    }
}

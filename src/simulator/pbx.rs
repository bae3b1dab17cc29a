//! The state of the box, shared by all its connections.
//!
//! Knows the parts of the state and how to reach them. Does not know HTTP or sockets. No code holds
//! a lock while it takes another one, or across an await.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::account::SimulatedAccount;
use super::calls::CallRecord;
use super::chaos::Chaos;
use super::errno::Errno;
use super::fault::Faults;
use super::generation::Api;
use super::observations::ObservationLedger;
use super::p_series;
use super::store::RecordingStore;
use super::switch::{Switch, Switches};
use super::tickets::{TicketClaim, TicketRefusal, Tickets};
use super::tokens::{LiveToken, LoginTokens};

/// The number of downloads at a time under [`Switch::BusyIs503`].
const MAX_DOWNLOADS_OF_BUSY_BOX: usize = 2;

/// The state of one simulated box.
pub(super) struct PbxState {
    pub(super) api: Api,
    pub(super) switches: Switches,
    /// The delay of each answer under [`Switch::SlowAnswers`].
    pub(super) answer_delay: Duration,
    /// If set, only these addresses may connect.
    pub(super) allowed_peers: Option<Vec<IpAddr>>,
    /// The values of `Host` that are accepted under [`Switch::HostRequired`].
    pub(super) hosts: Vec<String>,
    pub(super) ledger: ObservationLedger,
    pub(super) account: Mutex<SimulatedAccount>,
    pub(super) tokens: Mutex<LoginTokens>,
    pub(super) tickets: Mutex<Tickets>,
    pub(super) cdr_tickets: Mutex<Tickets>,
    /// The number of requests for `cdr/download`.
    pub(super) cdr_downloads: AtomicU64,
    pub(super) recordings: Mutex<RecordingStore>,
    /// The calls in the order in which they were added.
    pub(super) calls: Mutex<Vec<CallRecord>>,
    /// Texts that replace the row of a call, by the name of its recording.
    pub(super) odd_rows: HashMap<String, String>,
    /// The offset of the box's local time from UTC, in seconds to the east.
    pub(super) utc_offset_s: i64,
    pub(super) faults: Mutex<Faults>,
    /// Set while answers break at random.
    pub(super) chaos: Mutex<Option<Chaos>>,
    pub(super) slots: DownloadSlots,
    /// If set, every download stops after this number of bytes of its recording.
    pub(super) held_at: watch::Sender<Option<u64>>,
    /// The state that only a P-Series has.
    pub(super) p_series: p_series::PSeriesState,
}

/// Locks `mutex`, also after a task has panicked while it held the lock: every change is one step,
/// so the value is whole.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl PbxState {
    pub(super) fn has(&self, switch: Switch) -> bool {
        self.switches.has(switch)
    }

    pub(super) fn admits(&self, peer: IpAddr) -> bool {
        self.allowed_peers
            .as_ref()
            .is_none_or(|allowed| allowed.contains(&peer))
    }

    /// Finds a live token of the S-Series or Cloud PBX, and prolongs its life if `prolong` is true.
    pub(super) fn token(&self, token: &str, prolong: bool) -> Result<LiveToken, Errno> {
        let prolong = prolong && self.api != Api::Cloud110; // tokens of Cloud PBX 1.1.0 have a fixed life
        let found = lock(&self.tokens).find(token, Instant::now(), prolong);
        found.map_err(|errno| {
            let plain = errno == Errno::TOKEN_TIMED_OUT && !self.has(Switch::ExpiredTokenIs20006);
            if plain { Errno::NO_SUCH_TOKEN } else { errno }
        })
    }

    /// True if the token is good now, on a box of any family. Does not count as a use of the token.
    pub(super) fn is_token_live(&self, token: &str) -> bool {
        if self.api == Api::PSeries {
            lock(&self.p_series.tokens).is_live(token, Instant::now())
        } else {
            self.token(token, false).is_ok()
        }
    }

    /// Ends a token, on a box of any family.
    pub(super) fn kill_token(&self, token: &str) {
        lock(&self.tokens).erase(token);
        lock(&self.p_series.tokens).erase(token);
    }

    /// Makes a spent ticket good again, on a box of any family.
    pub(super) fn restore_ticket(&self, ticket: &str) {
        lock(&self.tickets).restore(ticket);
        lock(&self.p_series.resources).restore(ticket);
    }

    /// Spends the ticket of a download and counts the result.
    pub(super) fn spend(&self, random: &str, claim: &TicketClaim<'_>) -> Result<(), TicketRefusal> {
        let spent = lock(&self.tickets).spend(random, claim, Instant::now());
        self.ledger.note(|seen| match spent {
            Ok(age) => {
                seen.tickets_used += 1;
                seen.oldest_ticket_used = seen.oldest_ticket_used.max(age);
            }
            Err(refusal) => {
                seen.tickets_refused += 1;
                seen.tickets_used_twice += u64::from(refusal == TicketRefusal::Spent);
            }
        });
        spent.map(drop)
    }

    /// Spends the ticket of a `cdr/download` and counts the result.
    pub(super) fn spend_for_cdr(
        &self,
        random: &str,
        claim: &TicketClaim<'_>,
    ) -> Result<(), TicketRefusal> {
        let mut spent = lock(&self.cdr_tickets).spend(random, claim, Instant::now());
        if self.has(Switch::CdrRandomForNobody) {
            spent = spent.and(Err(TicketRefusal::OtherPurpose));
        }
        self.ledger.note(|seen| match spent {
            Ok(_) => seen.cdr_tickets_used += 1,
            Err(_) => seen.cdr_tickets_refused += 1,
        });
        spent.map(drop)
    }

    /// Counts a request for `cdr/download`. Returns true for the first one.
    pub(super) fn is_first_cdr_download(&self) -> bool {
        self.cdr_downloads.fetch_add(1, Ordering::Relaxed) == 0
    }
}

/// The limit on downloads at the same time.
pub(super) enum DownloadSlots {
    Unlimited,
    /// A download without a slot waits for one.
    Queued(Arc<Semaphore>),
    /// A download without a slot is refused.
    Refused(Arc<Semaphore>),
}

/// Error: all slots are taken, and this box refuses instead of waiting.
pub(super) struct Busy;

impl DownloadSlots {
    pub(super) fn new(api: Api, switches: &Switches) -> Self {
        let mp3_alone = api == Api::PSeries && switches.has(Switch::Mp3);
        if switches.has(Switch::OneDownloadAtATime) {
            Self::Queued(Arc::new(Semaphore::new(1)))
        } else if switches.has(Switch::BusyIs503) {
            Self::Refused(Arc::new(Semaphore::new(MAX_DOWNLOADS_OF_BUSY_BOX)))
        } else if mp3_alone {
            Self::Refused(Arc::new(Semaphore::new(1)))
        } else {
            Self::Unlimited
        }
    }

    /// Takes a slot for one download; it is free again when the permit is dropped. Cancel safe.
    pub(super) async fn take(&self) -> Result<Option<OwnedSemaphorePermit>, Busy> {
        match self {
            Self::Unlimited => Ok(None),
            Self::Queued(slots) => Arc::clone(slots)
                .acquire_owned()
                .await
                .map(Some)
                .map_err(|_| Busy),
            Self::Refused(slots) => Arc::clone(slots)
                .try_acquire_owned()
                .map(Some)
                .map_err(|_| Busy),
        }
    }
}

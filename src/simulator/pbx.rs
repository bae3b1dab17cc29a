//! The box behind the listener: everything its connections share.
//!
//! Knows the state and how its parts are reached. Does not know HTTP or sockets. No lock is held
//! while another is taken, or across an await.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::account::Account;
use super::calls::CallRecord;
use super::chaos::Chaos;
use super::errno::Errno;
use super::fault::Faults;
use super::generation::Api;
use super::p_series;
use super::seen::Ledger;
use super::shelf::Shelf;
use super::switch::{Switch, Switches};
use super::tickets::{Refusal, Shown, Tickets};
use super::tokens::{Token, Tokens};

const DOWNLOADS_WHEN_BUSY: usize = 2;

/// The state of one simulated box.
pub(super) struct Pbx {
    pub(super) api: Api,
    pub(super) switches: Switches,
    /// How late answers are under [`Switch::SlowAnswers`].
    pub(super) answer_delay: Duration,
    /// The only addresses that may connect, if there is a list.
    pub(super) allowed_peers: Option<Vec<IpAddr>>,
    /// Values of `Host` that are accepted under [`Switch::HostRequired`].
    pub(super) hosts: Vec<String>,
    pub(super) ledger: Ledger,
    pub(super) account: Mutex<Account>,
    pub(super) tokens: Mutex<Tokens>,
    pub(super) tickets: Mutex<Tickets>,
    pub(super) cdr_tickets: Mutex<Tickets>,
    /// How often `cdr/download` was asked for.
    pub(super) cdr_downloads: AtomicU64,
    pub(super) shelf: Mutex<Shelf>,
    /// In the order in which they came to be known.
    pub(super) calls: Mutex<Vec<CallRecord>>,
    /// The text that is written in place of the call, by the name of its recording.
    pub(super) odd_rows: HashMap<String, String>,
    /// How far the box's local time is to the east of UTC.
    pub(super) utc_offset_s: i64,
    pub(super) faults: Mutex<Faults>,
    /// Trouble at random, if any.
    pub(super) chaos: Mutex<Option<Chaos>>,
    pub(super) slots: Slots,
    /// The byte of each recording before which downloads wait for now, if any.
    pub(super) held_at: watch::Sender<Option<u64>>,
    /// What only a P-Series has.
    pub(super) p_series: p_series::State,
}

/// Locks; what a panicking task left behind is still whole, since every change is a single step.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pbx {
    pub(super) fn has(&self, switch: Switch) -> bool {
        self.switches.has(switch)
    }

    pub(super) fn admits(&self, peer: IpAddr) -> bool {
        self.allowed_peers
            .as_ref()
            .is_none_or(|allowed| allowed.contains(&peer))
    }

    /// Finds a live token, in the words of the API where there is none.
    pub(super) fn token(&self, token: &str, prolong: bool) -> Result<Token, Errno> {
        let prolong = prolong && self.api != Api::Cloud110; // its tokens have a fixed life
        let found = lock(&self.tokens).find(token, Instant::now(), prolong);
        found.map_err(|errno| {
            let plain = errno == Errno::TOKEN_TIMED_OUT && !self.has(Switch::ExpiredTokenIs20006);
            if plain { Errno::NO_SUCH_TOKEN } else { errno }
        })
    }

    /// Whether a token is good now, on a box of any family. This is no use of it.
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

    /// Makes a ticket good again that was spent, on a box of any family.
    pub(super) fn restore_ticket(&self, ticket: &str) {
        lock(&self.tickets).restore(ticket);
        lock(&self.p_series.resources).restore(ticket);
    }

    /// Spends a random string and counts how that went.
    pub(super) fn spend(&self, random: &str, shown: &Shown<'_>) -> Result<(), Refusal> {
        let spent = lock(&self.tickets).spend(random, shown, Instant::now());
        self.ledger.note(|seen| match spent {
            Ok(age) => {
                seen.tickets_used += 1;
                seen.oldest_ticket_used = seen.oldest_ticket_used.max(age);
            }
            Err(refusal) => {
                seen.tickets_refused += 1;
                seen.tickets_used_twice += u64::from(refusal == Refusal::Spent);
            }
        });
        spent.map(drop)
    }

    /// The same for a random string of the CDR.
    pub(super) fn spend_for_cdr(&self, random: &str, shown: &Shown<'_>) -> Result<(), Refusal> {
        let mut spent = lock(&self.cdr_tickets).spend(random, shown, Instant::now());
        if self.has(Switch::CdrRandomForNobody) {
            spent = spent.and(Err(Refusal::OtherPurpose));
        }
        self.ledger.note(|seen| match spent {
            Ok(_) => seen.cdr_tickets_used += 1,
            Err(_) => seen.cdr_tickets_refused += 1,
        });
        spent.map(drop)
    }

    /// Counts a `cdr/download`: true for the first.
    pub(super) fn is_first_cdr_download(&self) -> bool {
        self.cdr_downloads.fetch_add(1, Ordering::Relaxed) == 0
    }
}

/// How many downloads the box bears at a time.
pub(super) enum Slots {
    Unlimited,
    /// The next one waits.
    Queued(Arc<Semaphore>),
    /// The next one is refused.
    Refused(Arc<Semaphore>),
}

/// All slots are taken, and nobody waits here.
pub(super) struct Busy;

impl Slots {
    pub(super) fn new(api: Api, switches: &Switches) -> Self {
        let mp3_alone = api == Api::PSeries && switches.has(Switch::Mp3);
        if switches.has(Switch::OneDownloadAtATime) {
            Self::Queued(Arc::new(Semaphore::new(1)))
        } else if switches.has(Switch::BusyIs503) {
            Self::Refused(Arc::new(Semaphore::new(DOWNLOADS_WHEN_BUSY)))
        } else if mp3_alone {
            Self::Refused(Arc::new(Semaphore::new(1)))
        } else {
            Self::Unlimited
        }
    }

    /// Takes a slot for one download. Cancel safe.
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

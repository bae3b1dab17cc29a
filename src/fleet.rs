//! The instances of one fleet, and the store that they share.
//!
//! | part | what the instances share |
//! |---|---|
//! | [`account`] | one token of a PBX and the history of its logins, under a lease |
//! | [`permits`] | numbers at once, such as downloads of a PBX |
//! | [`rates`] | numbers per time, such as requests of a principal |
//! | [`values`] | a list that only grows: the revocations |
//!
//! Knows places, leases and counts. Does not know what a value means: it is opaque here, and lies
//! encrypted in the store ([`seal`]). Nothing here decides who may hear what.
//!
//! The store is Valkey or Redis. Each step is one script, which the store carries out alone, by its
//! own clock. A store that is away is no error of a request: each part says what it does then.

pub(crate) mod account;
mod connect;
mod members;
pub(crate) mod permits;
pub(crate) mod rates;
mod scripts;
mod seal;
pub mod settings;
mod store;
pub(crate) mod values;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use aws_lc_rs::rand;
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing::warn;
use uuid::Builder;

use account::SharedAccount;
use members::Members;
pub(crate) use members::Place;
use permits::HeldPermits;
use scripts::Scripts;
use seal::Seal;
use settings::FleetSettings;
use store::Store;
pub(crate) use store::StoreAway;

/// The interval at which an instance looks for changes. Revocations have to reach all instances
/// within a second.
const BEAT: Duration = Duration::from_millis(300);
/// An instance that has been silent for so long is no member any more.
const MEMBER_LIFE: Duration = Duration::from_secs(10);
/// The time for which a new or emptied store gives out no lease: members put back what they know.
const SETTLE: Duration = Duration::from_millis(1_500);
/// Pauses between two tries to connect. The last one goes on.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(100),
    Duration::from_millis(300),
    Duration::from_millis(700),
    Duration::from_millis(1_500),
];
/// The time that the start of the program waits for the store.
const FIRST_CONTACT: Duration = Duration::from_secs(4);

/// The value by which an instance knows the store of its fleet.
const MARK: &[u8] = b"wavegate";
const MARK_PLACE: &str = "fleet";

/// The store holds the values of another fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "the store at shared.url has values of another fleet under this name; shared.key_file must be \
     the same in all instances, and another fleet needs another shared.name"
)]
pub(crate) struct ForeignStore;

/// The state of the store, as the last look found it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct StoreState {
    /// The time when the store was new or empty; another time than before means that it was
    /// emptied.
    pub(crate) marked: u64,
    /// The number of values in the list that only grows.
    pub(crate) values: u64,
    /// The number of the connection; 0 while there was none.
    pub(crate) contact: u64,
}

/// This instance's part in a fleet.
pub(crate) struct Fleet {
    /// Made anew at each start.
    id: String,
    prefix: String,
    seal: Seal,
    store: Store,
    members: Mutex<Members>,
    state: watch::Sender<StoreState>,
    /// The accounts in use. One that is used twice, as after a reload, is one account.
    accounts: Mutex<HashMap<String, Weak<SharedAccount>>>,
    held: HeldPermits,
    /// This instance has left.
    is_leaving: AtomicBool,
    /// The store belongs to somebody else; said once.
    is_foreign: AtomicBool,
    scripts: Scripts,
}

/// One look at the store: seal, time of the mark, version, members, changed accounts, values.
type Look = (Vec<u8>, u64, u64, Vec<String>, Vec<String>, u64);

impl Fleet {
    /// Joins the fleet, and waits a moment for the store. A store that is away is no reason not to
    /// start. Call it within a tokio runtime.
    ///
    /// # Errors
    /// A sentence for an operator: a value that cannot be used, or a store that holds the values of
    /// another fleet.
    pub(crate) async fn join(settings: &FleetSettings) -> Result<Arc<Self>, String> {
        let fleet = Arc::new(Self::new(settings)?);
        let mut state = fleet.state.subscribe();
        tokio::spawn(keep(Arc::downgrade(&fleet)));
        permits::keep(&fleet);
        let first = state.wait_for(|state| state.contact > 0);
        if timeout(FIRST_CONTACT, first).await.is_err() {
            if fleet.is_foreign.load(Relaxed) {
                return Err(ForeignStore.to_string());
            }
            warn!(
                advice = "look at the store at shared.url; until then this instance goes on alone",
                "the shared store was not there at the start"
            );
        }
        Ok(fleet)
    }

    /// Tries the store once, for an operator, and changes nothing there.
    ///
    /// # Errors
    /// A sentence for an operator.
    pub(crate) async fn try_store(settings: &FleetSettings) -> Result<(), String> {
        Self::new(settings)?.connect().await
    }

    fn new(settings: &FleetSettings) -> Result<Self, String> {
        Ok(Self {
            id: fresh_id(),
            prefix: format!("wavegate:{{{}}}:", settings.name),
            seal: Seal::new(&settings.key, &settings.name)?,
            store: Store::new(settings)?,
            members: Mutex::new(Members::new()),
            state: watch::Sender::new(StoreState::default()),
            accounts: Mutex::default(),
            held: HeldPermits::default(),
            is_leaving: AtomicBool::new(false),
            is_foreign: AtomicBool::new(false),
            scripts: Scripts::default(),
        })
    }

    /// The state of the store; it changes within a second after the store.
    pub(crate) fn watch(&self) -> watch::Receiver<StoreState> {
        self.state.subscribe()
    }

    /// Returns true if the store answers.
    pub(crate) fn has_store(&self) -> bool {
        self.store.is_there()
    }

    /// The members of late.
    pub(crate) fn members(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves the fleet. Returns true if this instance was the last one, and false where the store
    /// does not say so.
    ///
    /// # Cancel safety
    /// This instance may or may not have left.
    pub(crate) async fn leave(&self) -> bool {
        self.is_leaving.store(true, Relaxed);
        let key = self.key("members");
        let mut call = self.scripts.leave.key(key);
        call.arg(&self.id).arg(milliseconds(MEMBER_LIFE));
        self.store.run::<u64>(&call).await == Ok(0)
    }

    /// The key of a place in the store.
    fn key(&self, place: &str) -> String {
        format!("{}{place}", self.prefix)
    }

    /// Encrypts a value for its place.
    ///
    /// # Errors
    /// Where the system has no randomness: then nothing can be stored.
    fn seal(&self, place: &str, value: &[u8]) -> Result<Vec<u8>, StoreAway> {
        self.seal.seal(place, value).ok_or(StoreAway)
    }

    /// The account of this id, as all its users share it.
    fn account(
        &self,
        id: String,
        make: impl FnOnce(String) -> Arc<SharedAccount>,
    ) -> Arc<SharedAccount> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.retain(|_, account| account.strong_count() > 0);
        if let Some(account) = accounts.get(&id).and_then(Weak::upgrade) {
            return account;
        }
        let account = make(id.clone());
        accounts.insert(id, Arc::downgrade(&account));
        account
    }

    /// Tells those who follow an account that it, or the store, has changed.
    fn wake(&self, is_concerned: impl Fn(&String) -> bool) {
        let accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let concerned = accounts.iter().filter(|(id, _)| is_concerned(id));
        let concerned: Vec<_> = concerned
            .filter_map(|(_, account)| account.upgrade())
            .collect();
        drop(accounts);
        concerned.iter().for_each(|account| account.wake());
    }

    /// Connects, and makes sure that the store is the fleet's own.
    async fn connect(&self) -> Result<(), String> {
        let mut greeting = self.scripts.look.prepare_invoke();
        greeting.key(self.key(MARK_PLACE));
        let greet = |seal: Vec<u8>| match seal.is_empty() || self.is_own(&seal) {
            true => Ok(()),
            false => Err(ForeignStore),
        };
        let connected = self.store.connect(&greeting, greet).await;
        let is_foreign = connected
            .as_ref()
            .is_err_and(|why| *why == ForeignStore.to_string());
        self.is_foreign.store(is_foreign, Relaxed);
        connected
    }

    /// Looks for changes until the store is given up. Gives the reason why it was never of use.
    async fn beat_on(&self, contact: u64) -> Option<String> {
        let (mut version, mut was_of_use) = (0, false);
        while !self.is_leaving.load(Relaxed) {
            let Ok(found) = self.beat(contact, version).await else {
                break;
            };
            (version, was_of_use) = (found, true);
            self.store.announce();
            let _ = timeout(BEAT, self.store.lost()).await;
        }
        self.members().note_lost();
        self.store
            .give_up("it refuses what each instance has to write, as a store that is full");
        (!was_of_use).then(|| "it answers, but refuses what each instance has to write".to_owned())
    }

    fn is_own(&self, seal: &[u8]) -> bool {
        let mark = self.seal.open(MARK_PLACE, seal);
        mark.is_some_and(|mark| mark.expose() == MARK)
    }

    /// Notes in the store that this instance lives, and looks for changes since `version`. Gives
    /// the version that was found.
    async fn beat(&self, contact: u64, version: u64) -> Result<u64, StoreAway> {
        let mark = self.seal(MARK_PLACE, MARK)?;
        let mut call = self.scripts.beat.key(self.key(MARK_PLACE));
        for place in ["members", "changes", "values"] {
            call.key(self.key(place));
        }
        call.arg(&self.id)
            .arg(mark)
            .arg(milliseconds(MEMBER_LIFE))
            .arg(version);
        let look: Look = self.store.run(&call).await?;
        let (seal, marked, version, members, changed, values) = look;
        if !self.is_own(&seal) {
            self.store.give_up(&ForeignStore.to_string());
            return Err(StoreAway);
        }
        self.members().note(&self.id, members);
        let new = StoreState {
            marked,
            values,
            contact,
        };
        let old = *self.state.borrow();
        self.state
            .send_if_modified(|state| std::mem::replace(state, new) != new);
        if (old.marked, old.contact) != (marked, contact) {
            // The store may lack values that this instance knows, or have others.
            self.wake(|_| true);
            return Ok(0);
        }
        self.wake(|account| changed.contains(account));
        Ok(version)
    }
}

/// Keeps the connection to the store, and looks for changes, for as long as the fleet is in use.
async fn keep(fleet: Weak<Fleet>) {
    let (mut contact, mut tries, mut said) = (0, 0, None);
    loop {
        let Some(fleet) = fleet.upgrade() else { return };
        let why = match fleet.connect().await {
            Ok(()) => fleet.beat_on(contact + 1).await,
            Err(why) => Some(why),
        };
        if fleet.is_leaving.load(Relaxed) {
            return;
        }
        match why {
            // It was of use for a while.
            None => (contact, tries, said) = (contact + 1, 0, None),
            // Said once for each reason.
            Some(why) if said.as_ref() != Some(&why) => {
                warn!(why, "there is no shared store");
                said = Some(why);
            }
            Some(_) => {}
        }
        let pause = PAUSES.get(tries).or(PAUSES.last()).copied();
        tries += 1;
        drop(fleet);
        sleep(jittered(pause.unwrap_or(BEAT))).await;
    }
}

/// A time between a half and the whole of this one, so that instances do not act all at once.
pub(crate) fn jittered(time: Duration) -> Duration {
    let part = f64::from(u16::from_ne_bytes(random())) / f64::from(u16::MAX);
    time / 2 + (time / 2).mul_f64(part)
}

/// A name that nobody else has.
fn fresh_id() -> String {
    Builder::from_random_bytes(random())
        .into_uuid()
        .simple()
        .to_string()
}

/// Random bytes. A system without randomness fails at its first TLS connection, long before this
/// matters.
fn random<const BYTES: usize>() -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    let _ = rand::fill(&mut bytes);
    bytes
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The time since an instant, in milliseconds.
fn age_of(time: Instant) -> u64 {
    milliseconds(time.elapsed())
}

//! One account of a PBX that the instances share: a token and a history, under a lease.
//!
//! Knows who may change them. Does not know what is in them. The lease is the right to log in: its
//! holder alone writes, and each lease has a higher fencing number than all before it. The number
//! of a lease stands with the token that was got under it. Leases end by the clock of the store.
//!
//! A state that the store has lost is put back by whoever knows it, if nothing newer is there.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use redis::ScriptInvocation;
use tokio::select;
use tokio::sync::{Mutex, OwnedMutexGuard, watch};
use tokio::time::sleep;

use super::store::StoreAway;
use super::{Fleet, SETTLE, age_of, milliseconds};
use crate::secret::Secret;

/// The life of a lease: longer than a pause in the network, shorter than a caller's patience. Its
/// holder prolongs it while a login takes longer.
pub(crate) const LEASE_LIFE: Duration = Duration::from_secs(10);

/// An account in the store.
pub(crate) struct SharedAccount {
    fleet: Arc<Fleet>,
    id: String,
    /// The highest fencing number that was seen.
    fence: AtomicU64,
    changed: watch::Sender<()>,
    /// Held with the lease: one task of this instance at a time.
    turn: Arc<Mutex<()>>,
}

/// The state of an account, as the store has it.
#[derive(Default)]
pub(crate) struct AccountState {
    /// The highest fencing number; 0 for an account that was never used.
    pub(crate) fence: u64,
    /// The value of the token.
    pub(crate) token: Option<Secret>,
    /// The value of the history.
    pub(crate) history: Option<Secret>,
    /// The time since the token was got.
    pub(crate) age: Duration,
    /// The time since its last use, by any instance.
    pub(crate) unused_for: Duration,
}

/// The answer to an instance that wants the lease.
pub(crate) enum Acquired {
    Lease(Lease),
    /// Another instance, or another task of this one, has it. Worth another try after this time at
    /// the latest.
    Busy(Duration),
}

/// The lease of an account. It is given back by [`Lease::end`], or ends by itself.
pub(crate) struct Lease {
    account: Arc<SharedAccount>,
    fence: u64,
    _turn: OwnedMutexGuard<()>,
}

/// The end of a write under a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    Yes,
    /// Another instance has taken the lease over.
    LeaseLost,
}

/// New values of an account; `None` leaves one as it is.
#[derive(Default)]
pub(crate) struct AccountChange<'v> {
    pub(crate) token: TokenChange<'v>,
    pub(crate) history: Option<&'v [u8]>,
}

/// The change of a token.
#[derive(Default)]
pub(crate) enum TokenChange<'v> {
    /// The token stays.
    #[default]
    None,
    /// The token has been given back.
    Gone,
    Put {
        value: &'v [u8],
        /// The fencing number under which it was got.
        fence: u64,
        /// The times when it was got and used last.
        got: Instant,
        used: Instant,
    },
}

impl SharedAccount {
    /// The account with this description, which tells it from all others.
    pub(crate) fn new(fleet: &Arc<Fleet>, description: &[u8]) -> Arc<Self> {
        let id = fleet.seal.name("account", description);
        fleet.account(id, |id| {
            Arc::new(Self {
                fleet: Arc::clone(fleet),
                id,
                fence: AtomicU64::new(0),
                changed: watch::Sender::new(()),
                turn: Arc::default(),
            })
        })
    }

    pub(crate) fn fleet(&self) -> &Arc<Fleet> {
        &self.fleet
    }

    /// The highest fencing number that this instance knows.
    pub(crate) fn known_fence(&self) -> u64 {
        self.fence.load(Relaxed)
    }

    /// A number above this one. The holder of a lease knows more than the others, who put back what
    /// they saw of its lease when the store is emptied.
    pub(crate) fn outrun(&self, fence: u64) -> u64 {
        self.fence.fetch_max(fence + 1, Relaxed);
        fence + 1
    }

    /// Follows the account. A change of it, or of the store, is noted there; whoever begins to
    /// follow has not seen it yet.
    pub(crate) fn follow(&self) -> watch::Receiver<()> {
        let mut changes = self.changed.subscribe();
        changes.mark_changed();
        changes
    }

    /// Tells all who follow.
    pub(super) fn wake(&self) {
        self.changed.send_replace(());
    }

    /// Reads the account. A value that cannot be opened counts as absent.
    ///
    /// # Errors
    /// If the store is away.
    pub(crate) async fn read(&self) -> Result<AccountState, StoreAway> {
        let call = self.fleet.scripts.read.key(self.key());
        let (fence, token, history, age, used): (u64, Vec<u8>, Vec<u8>, u64, u64) =
            self.fleet.store.run(&call).await?;
        self.fence.fetch_max(fence, Relaxed);
        Ok(AccountState {
            fence,
            token: self.open("token", &token),
            history: self.open("history", &history),
            age: Duration::from_millis(age),
            unused_for: Duration::from_millis(used),
        })
    }

    /// Asks for the lease. An instance whose answer was lost may ask again at once: it gets another
    /// number, and a write under the lost one is refused.
    ///
    /// # Errors
    /// If the store is away.
    ///
    /// # Cancel safety
    /// The lease may have been taken; it ends by itself, or this instance takes it again.
    pub(crate) async fn acquire(self: &Arc<Self>) -> Result<Acquired, StoreAway> {
        let Ok(turn) = Arc::clone(&self.turn).try_lock_owned() else {
            return Ok(Acquired::Busy(LEASE_LIFE));
        };
        let mut call = self.fleet.scripts.acquire.key(self.key());
        call.key(self.fleet.key(super::MARK_PLACE));
        call.arg(&self.fleet.id).arg(self.fence.load(Relaxed));
        call.arg(milliseconds(LEASE_LIFE)).arg(milliseconds(SETTLE));
        let (fence, busy_ms): (u64, u64) = self.fleet.store.run(&call).await?;
        if fence == 0 {
            return Ok(Acquired::Busy(Duration::from_millis(busy_ms)));
        }
        self.fence.fetch_max(fence, Relaxed);
        Ok(Acquired::Lease(Lease {
            account: Arc::clone(self),
            fence,
            _turn: turn,
        }))
    }

    /// Puts back a state that the store has lost. Gives false where it knows one as new, or another
    /// instance has gone on meanwhile.
    ///
    /// # Errors
    /// If the store is away, or was emptied a moment ago.
    pub(crate) async fn restore(
        &self,
        fence: u64,
        change: &AccountChange<'_>,
    ) -> Result<bool, StoreAway> {
        let mut call = self.fleet.scripts.restore.key(self.key());
        self.other_keys(&mut call);
        call.arg(fence).arg(&self.id);
        change.token.ages(&mut call);
        call.arg(milliseconds(LEASE_LIFE));
        self.values(&mut call, change)?;
        match self.fleet.store.run::<u8>(&call).await? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(StoreAway),
        }
    }

    /// Notes the last use of the token that was got under this fencing number.
    ///
    /// # Errors
    /// If the store is away.
    pub(crate) async fn note_use(&self, fence: u64, used: Instant) -> Result<(), StoreAway> {
        let mut call = self.fleet.scripts.used.key(self.key());
        call.arg(fence).arg(age_of(used));
        self.fleet.store.run::<u8>(&call).await.map(drop)
    }

    fn key(&self) -> String {
        self.fleet.key(&self.place("account"))
    }

    fn other_keys(&self, call: &mut ScriptInvocation<'_>) {
        call.key(self.fleet.key(super::MARK_PLACE))
            .key(self.fleet.key("changes"));
    }

    fn place(&self, field: &str) -> String {
        format!("{field}:{}", self.id)
    }

    fn open(&self, field: &str, sealed: &[u8]) -> Option<Secret> {
        self.fleet.seal.open(&self.place(field), sealed)
    }

    fn values(
        &self,
        call: &mut ScriptInvocation<'_>,
        change: &AccountChange<'_>,
    ) -> Result<(), StoreAway> {
        match change.token {
            TokenChange::None => {}
            TokenChange::Gone => _ = call.arg("token").arg("").arg("of").arg(""),
            TokenChange::Put { value, fence, .. } => {
                let sealed = self.fleet.seal(&self.place("token"), value)?;
                call.arg("token").arg(sealed).arg("of").arg(fence);
            }
        }
        if let Some(history) = change.history {
            let sealed = self.fleet.seal(&self.place("history"), history)?;
            call.arg("history").arg(sealed);
        }
        Ok(())
    }
}

impl TokenChange<'_> {
    /// Adds the ages of the token and of its last use to the arguments of a step.
    fn ages(&self, call: &mut ScriptInvocation<'_>) {
        let (got, used) = match self {
            Self::Put { got, used, .. } => (age_of(*got), age_of(*used)),
            Self::None | Self::Gone => (0, 0),
        };
        call.arg(got).arg(used);
    }
}

impl Lease {
    /// The fencing number.
    pub(crate) fn fence(&self) -> u64 {
        self.fence
    }

    /// Writes under the lease, and prolongs it.
    ///
    /// # Errors
    /// If the store is away.
    pub(crate) async fn write(&self, change: &AccountChange<'_>) -> Result<Written, StoreAway> {
        self.hold(LEASE_LIFE, change).await
    }

    /// Writes under the lease, and gives it back.
    ///
    /// # Errors
    /// If the store is away. The lease ends by itself then.
    pub(crate) async fn end(self, change: &AccountChange<'_>) -> Result<Written, StoreAway> {
        self.hold(Duration::ZERO, change).await
    }

    /// Carries out `work`, and prolongs the lease meanwhile.
    ///
    /// # Cancel safety
    /// As that of `work`.
    pub(crate) async fn while_doing<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            select! {
                done = &mut work => return done,
                () = sleep(LEASE_LIFE / 3) => {
                    // A lease that is lost shows at the next write.
                    let _ = self.write(&AccountChange::default()).await;
                }
            }
        }
    }

    async fn hold(&self, life: Duration, change: &AccountChange<'_>) -> Result<Written, StoreAway> {
        let account = &self.account;
        let mut call = account.fleet.scripts.hold.key(account.key());
        account.other_keys(&mut call);
        call.arg(&account.fleet.id)
            .arg(self.fence)
            .arg(milliseconds(life))
            .arg(&account.id);
        change.token.ages(&mut call);
        account.values(&mut call, change)?;
        Ok(match account.fleet.store.run::<u8>(&call).await? {
            1 => Written::Yes,
            _ => Written::LeaseLost,
        })
    }
}

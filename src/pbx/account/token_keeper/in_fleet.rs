//! The token that the instances of a fleet share.
//!
//! Knows when this instance takes the token of another one, when it logs in for all, and what it
//! does while the store is away. Does not know how a token is got.
//!
//! One instance at a time logs in, under a lease, and writes that into the store before: a login
//! that nobody else knows of must not be followed by another one. A token that died is known by the
//! fencing number of its lease, so no instance takes it over again.

mod without_store;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::time::sleep;
use tracing::{debug, info, warn};

use super::{LoginResult, PbxToken, TokenKeeper};
use crate::fleet::StoreAway;
use crate::fleet::account::{
    AccountChange, AccountState, Acquired, LEASE_LIFE, Lease, SharedAccount, Written,
};
use crate::pbx::account::login_history::LoginEnd;
use crate::pbx::account::shared_token;
use crate::pbx::error::{HoldOff, PbxError};
use crate::secret::Secret;
pub(super) use without_store::StoreOutage;

/// The longest wait for other instances that log in.
const MAX_WAIT: Duration = Duration::from_secs(30);
/// The interval at which a waiting instance looks again.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// The time after which a store that went away is not waited for any more.
const STORE_PATIENCE: Duration = Duration::from_secs(3);
/// The outcome of one try to get a token.
enum Attempt {
    Done(LoginResult),
    /// Another instance has the lease, for this time at most.
    Busy(Duration),
}

impl TokenKeeper {
    /// Follows the account in the store for as long as the keeper is in use.
    pub(super) fn follow_fleet(self: &Arc<Self>) {
        let Some(shared) = self.shared.clone() else {
            return;
        };
        let keeper = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                shared.changed().await;
                let Some(keeper) = keeper.upgrade() else {
                    return;
                };
                // A store that goes away here comes back with another call.
                if let Err(StoreAway) = keeper.catch_up(&shared).await {
                    debug!(
                        pbx = keeper.pbx,
                        "the store went away while it was looked at"
                    );
                }
            }
        });
    }

    /// Tells the other instances of a change of the history, some time soon.
    pub(super) fn tell_fleet(self: &Arc<Self>) {
        if let Some(shared) = self.shared.clone() {
            let keeper = Arc::clone(self);
            tokio::spawn(async move { keeper.share_history(&shared).await });
        }
    }

    /// The token of the fleet: that of another instance, or one that this instance gets for all.
    pub(super) async fn renew_in_fleet(&self, shared: &Arc<SharedAccount>) -> LoginResult {
        let began = Instant::now();
        loop {
            match self.attempt_in_fleet(shared).await {
                Ok(Attempt::Done(result)) => return result,
                Ok(Attempt::Busy(left)) if began.elapsed() < MAX_WAIT => {
                    sleep(left.min(LOOK_INTERVAL)).await
                }
                Ok(Attempt::Busy(left)) => {
                    return super::hold_off::held_off(left, HoldOff::FleetBusy);
                }
                Err(StoreAway) => match self.allow_without_store(shared.fleet().membership()) {
                    Ok(()) => return self.renew(None).await,
                    Err(_) if began.elapsed() < STORE_PATIENCE => sleep(LOOK_INTERVAL).await,
                    Err(error) => return Err(error),
                },
            }
        }
    }

    async fn attempt_in_fleet(&self, shared: &Arc<SharedAccount>) -> Result<Attempt, StoreAway> {
        if let Some(token) = self.adopt(&shared.read().await?) {
            return Ok(Attempt::Done(Ok(token)));
        }
        if let Err(error) = self.allow_renewal() {
            return Ok(Attempt::Done(Err(error)));
        }
        let lease = match shared.acquire().await? {
            Acquired::Busy(left) => return Ok(Attempt::Busy(left)),
            Acquired::Lease(lease) => lease,
        };
        // Another instance may have logged in between the look and the lease.
        if let Some(token) = self.adopt(&shared.read().await?) {
            lease.end(&AccountChange::default()).await?;
            return Ok(Attempt::Done(Ok(token)));
        }
        let result = lease.while_doing(self.renew(Some(&lease))).await;
        self.publish(shared, lease, result).await
    }

    /// Allows what a renewal would do, or gives the reason to wait.
    fn allow_renewal(&self) -> Result<(), PbxError> {
        let state = self.lock();
        match state.refresh {
            None => self.allow_login(&state),
            Some(_) => self.allow_exchange(&state),
        }
    }

    /// Hands the result of a renewal on, and gives the lease back.
    async fn publish(
        &self,
        shared: &Arc<SharedAccount>,
        lease: Lease,
        result: LoginResult,
    ) -> Result<Attempt, StoreAway> {
        let fence = lease.fence();
        let history = self.history().to_shared();
        let value = result.as_ref().ok().map(|token| self.written(token, fence));
        let change = AccountChange {
            token: value.as_ref().map(Secret::expose),
            history: Some(&history),
        };
        let written = match lease.end(&change).await {
            Ok(Written::Yes) => true,
            // The store was emptied meanwhile, or another instance has a later lease.
            Ok(Written::LeaseLost) => {
                let now = Instant::now();
                shared
                    .restore(fence, (now, now), &change)
                    .await
                    .unwrap_or(true)
            }
            // The token is good, whoever knows it; the others learn of it later.
            Err(StoreAway) => return Ok(Attempt::Done(result)),
        };
        if written {
            self.history().note_shared();
            return Ok(Attempt::Done(result));
        }
        if let Ok(token) = result {
            warn!(
                pbx = self.pbx,
                "another instance has logged in meanwhile, so this token is given up"
            );
            self.drop_token(&token);
            self.give_back(Some(token)).await;
        }
        Ok(Attempt::Busy(Duration::ZERO))
    }

    /// Writes into the store that a login is about to be sent.
    ///
    /// # Errors
    /// If the store does not take it, or another instance has the lease: then nothing may be sent.
    pub(super) async fn tell_of_login(&self, lease: &Lease) -> Result<(), PbxError> {
        let history = self.history().to_shared();
        let change = AccountChange {
            history: Some(&history),
            token: None,
        };
        if lease.write(&change).await == Ok(Written::Yes) {
            self.history().note_shared();
            return Ok(());
        }
        self.note("taking a login back", |history| {
            history.end(LoginEnd::Unsent, false, SystemTime::now())
        });
        super::hold_off::held_off(LOOK_INTERVAL, HoldOff::FleetBusy)
    }

    /// Takes over what the store has. Gives the token, where it is of use.
    fn adopt(&self, account: &AccountState) -> Option<Arc<PbxToken>> {
        if let Some(history) = &account.history {
            self.note("taking over the logins of the fleet", |own| {
                own.adopt(history)
            });
        }
        let found = shared_token::read(account)?;
        let is_dead = self.is_dead(&found.token);
        let mut state = self.lock();
        let own = state.token.clone().filter(|own| !own.left().is_zero());
        match own {
            // A token that is to be exchanged before its end is not looked for.
            Some(own) if own.fence == found.token.fence => {
                Some(own).filter(|own| !own.wants_exchange())
            }
            Some(_) if is_dead => None,
            None if is_dead => {
                state.refresh = found.refresh;
                None
            }
            _ => {
                drop(state);
                debug!(
                    pbx = self.pbx,
                    "the token of another instance is used from now on"
                );
                let token = self.put(found.token, found.refresh);
                self.lock().last_login = Some(token.since);
                Some(token)
            }
        }
    }

    /// Looks at the store after a change, or after it was away or emptied: takes over what is new
    /// there, and puts back what is missing.
    async fn catch_up(self: &Arc<Self>, shared: &Arc<SharedAccount>) -> Result<(), StoreAway> {
        let known = shared.known_fence();
        let mut account = shared.read().await?;
        self.lock().store_outage = None;
        if account.fence < known && self.restore(shared, known).await? {
            info!(
                pbx = self.pbx,
                "the store had lost the PBX token and the logins; they are back"
            );
            account = shared.read().await?;
        }
        let own = self.own_token();
        self.adopt(&account);
        self.changed.notify_waiters();
        if self.own_token().is_none() {
            // The token of another instance takes its place.
            self.give_back(own).await;
        }
        if self.history().is_unshared() || self.own_token().is_some() {
            self.share_history(shared).await;
        }
        Ok(())
    }

    /// Puts back what the store has lost. Gives false where it knows something as new.
    async fn restore(&self, shared: &SharedAccount, fence: u64) -> Result<bool, StoreAway> {
        let token = self.lock().token.clone();
        let token = token.filter(|token| token.fence > 0 && !token.left().is_zero());
        let value = token.as_ref().map(|token| self.written(token, token.fence));
        let history = self.history().to_shared();
        let change = AccountChange {
            token: value.as_ref().map(Secret::expose),
            history: Some(&history),
        };
        let now = Instant::now();
        let ages = token.map_or((now, now), |token| (token.since, token.last_use()));
        let restored = shared.restore(fence, ages, &change).await?;
        if restored {
            self.history().note_shared();
        }
        Ok(restored)
    }

    /// Adds to the store what only this instance knows: logins, and a token that it got on its own.
    async fn share_history(&self, shared: &Arc<SharedAccount>) {
        let began = Instant::now();
        while began.elapsed() < MAX_WAIT {
            match shared.acquire().await {
                Ok(Acquired::Lease(lease)) => {
                    let _ = self.share_under(shared, lease).await;
                    return;
                }
                Ok(Acquired::Busy(left)) => sleep(left.min(LEASE_LIFE / 10)).await,
                Err(StoreAway) => return,
            }
        }
    }

    async fn share_under(&self, shared: &SharedAccount, lease: Lease) -> Result<(), StoreAway> {
        let account = shared.read().await?;
        let own = self.own_token();
        // A token that this instance got on its own is the latest, unless another one was first.
        let stored = shared_token::read(&account);
        let own = own.filter(|_| stored.is_none_or(|stored| self.is_dead(&stored.token)));
        if let Some(history) = &account.history {
            self.note("taking over the logins of the fleet", |own| {
                own.adopt(history)
            });
        }
        let history = self.history().to_shared();
        let value = own.as_ref().map(|token| self.written(token, lease.fence()));
        let change = AccountChange {
            token: value.as_ref().map(Secret::expose),
            history: Some(&history),
        };
        let fence = lease.fence();
        if lease.end(&change).await? == Written::Yes {
            self.history().note_shared();
            if let Some(own) = own {
                let token = PbxToken::aged(
                    own.text().clone(),
                    own.life(),
                    fence,
                    (own.since.elapsed(), own.unused_for()),
                );
                let refresh = self.lock().refresh.clone();
                self.put(token, refresh);
            }
        }
        Ok(())
    }

    /// The token that this instance got on its own, and that still works.
    fn own_token(&self) -> Option<Arc<PbxToken>> {
        let token = self.lock().token.clone();
        token.filter(|token| token.fence == 0 && !token.left().is_zero())
    }

    /// Returns true if a token of the store is of no use.
    fn is_dead(&self, token: &PbxToken) -> bool {
        token.left().is_zero() || token.fence <= self.lock().dead_fence
    }

    fn written(&self, token: &PbxToken, fence: u64) -> Secret {
        let refresh = self.lock().refresh.clone();
        shared_token::write(token, fence, refresh.as_ref())
    }

    fn drop_token(&self, dropped: &Arc<PbxToken>) {
        let mut state = self.lock();
        state.token.take_if(|token| Arc::ptr_eq(token, dropped));
        state.refresh = None;
    }

    /// Gives the token of the fleet back, as its last instance.
    pub(super) async fn give_back_of_fleet(
        &self,
        shared: &Arc<SharedAccount>,
        own: Option<Arc<PbxToken>>,
    ) {
        let Ok(Acquired::Lease(lease)) = shared.acquire().await else {
            return;
        };
        let Ok(account) = shared.read().await else {
            return;
        };
        let token = shared_token::read(&account).map(|found| Arc::new(found.token));
        self.give_back(token.or(own)).await;
        let change = AccountChange {
            token: Some(&[]),
            history: None,
        };
        let _ = lease.end(&change).await;
    }
}

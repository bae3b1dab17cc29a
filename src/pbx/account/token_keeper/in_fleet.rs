//! The token that the instances of a fleet share.
//!
//! Knows when this instance takes the token of another one, when it logs in for all, and what it
//! does while the store is away. Does not know how a token is got.
//!
//! One instance at a time logs in, under a lease, and writes that into the store before: a login
//! that nobody else knows of must not be followed by another one. A token that died is known by the
//! fencing number of its lease, so no instance takes it over again.

mod hand_over;
mod without_store;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};
use tracing::{debug, info};

use super::hold_off::held_off;
use super::{LoginResult, PbxToken, TokenKeeper};
use crate::fleet::StoreAway;
use crate::fleet::account::{AccountChange, AccountState, Acquired, SharedAccount};
use crate::pbx::account::shared_token;
use crate::pbx::error::{HoldOff, PbxError};

/// The longest wait for other instances that log in: a little more than the life of a lease.
const MAX_WAIT: Duration = Duration::from_secs(15);
/// The interval at which a waiting instance looks again.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// The interval at which an instance asks for the lease to add what only it knows.
const SHARE_INTERVAL: Duration = Duration::from_millis(300);
/// The time after which a store that went away is not waited for any more.
const STORE_PATIENCE: Duration = Duration::from_secs(3);
/// The interval at which the task that follows an account looks whether its keeper is in use.
const FOLLOW_INTERVAL: Duration = Duration::from_secs(60);

/// The outcome of one try to get a token.
enum Attempt {
    Done(LoginResult),
    /// Another instance has the lease, for this time at most.
    Busy(Duration),
}

impl TokenKeeper {
    /// Follows the account in the store for as long as the keeper is in use.
    pub(super) fn follow_fleet(self: &Arc<Self>) {
        let Some(shared) = &self.shared else {
            return;
        };
        let mut changes = shared.follow();
        let keeper = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                let changed = timeout(FOLLOW_INTERVAL, changes.changed()).await;
                let Some(keeper) = keeper.upgrade() else {
                    return;
                };
                if let (Ok(_), Some(shared)) = (changed, &keeper.shared)
                    && let Err(StoreAway) = keeper.catch_up(shared).await
                {
                    // A store that comes back wakes this task again.
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
            tokio::spawn(async move { keeper.share(&shared).await });
        }
    }

    /// The token of the fleet: that of another instance, or one that this instance gets for all.
    pub(super) async fn renew_in_fleet(
        self: &Arc<Self>,
        shared: &Arc<SharedAccount>,
    ) -> LoginResult {
        let began = Instant::now();
        loop {
            match self.attempt_in_fleet(shared).await {
                Ok(Attempt::Done(result)) => return result,
                Ok(Attempt::Busy(left)) if began.elapsed() < MAX_WAIT => {
                    sleep(left.min(LOOK_INTERVAL)).await
                }
                Ok(Attempt::Busy(left)) => return held_off(left, HoldOff::FleetBusy),
                Err(StoreAway) => {
                    // Another instance may have got one before the store went away.
                    if let Some(token) = self.live_token() {
                        return Ok(token);
                    }
                    let place = shared.fleet().members().place();
                    let away_for = place.map_or(STORE_PATIENCE, |place| place.away_for);
                    match self.allow_without_store(place) {
                        Ok(()) => {
                            let result = self.renew(None).await;
                            self.tell_fleet();
                            return result;
                        }
                        Err(_) if began.elapsed().max(away_for) < STORE_PATIENCE => {
                            sleep(LOOK_INTERVAL).await
                        }
                        Err(error) => return Err(error),
                    }
                }
            }
        }
    }

    async fn attempt_in_fleet(&self, shared: &Arc<SharedAccount>) -> Result<Attempt, StoreAway> {
        if let Some(token) = self.adopt(&self.look(shared).await?) {
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
        if let Some(token) = self.adopt(&self.look(shared).await?) {
            // A lease that is not given back ends by itself.
            let _ = lease.end(&AccountChange::default()).await;
            return Ok(Attempt::Done(Ok(token)));
        }
        let result = lease.while_doing(self.renew(Some(&lease))).await;
        Ok(self.publish(shared, lease, result).await)
    }

    /// Allows what a renewal would do, or gives the reason to wait.
    fn allow_renewal(&self) -> Result<(), PbxError> {
        let state = self.lock();
        match state.refresh {
            None => self.allow_login(&state),
            Some(_) => self.allow_exchange(&state),
        }
    }

    /// Reads the account, and takes over its history. Puts back what the store has lost.
    async fn look(&self, shared: &SharedAccount) -> Result<AccountState, StoreAway> {
        let (state, known) = (self.history().state(), shared.known_fence());
        let account = shared.read().await?;
        if account.fence < known {
            if self.restore(shared, known).await? {
                info!(
                    pbx = self.pbx,
                    "the store had lost the PBX token and the logins; they are back"
                );
                return shared.read().await;
            }
            // Another instance has gone on in the emptied store; both histories count.
            self.history().doubt();
        }
        if let Some(history) = &account.history {
            self.note("taking over the logins of the fleet", |own| {
                own.adopt(history, state)
            });
        }
        Ok(account)
    }

    /// Takes over the token that the store has, where it is of use, and gives it.
    fn adopt(&self, account: &AccountState) -> Option<Arc<PbxToken>> {
        let found = shared_token::read(account)?;
        let is_dead = self.is_dead(&found.token);
        let own = self.live_token();
        match own {
            // A token that is to be exchanged before its end is not looked for.
            Some(own) if own.fence == found.token.fence => {
                Some(own).filter(|own| !own.wants_exchange())
            }
            Some(_) if is_dead => None,
            None if is_dead => {
                self.lock().refresh = found.refresh;
                None
            }
            _ => {
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
    /// there, and adds what is missing.
    async fn catch_up(&self, shared: &Arc<SharedAccount>) -> Result<(), StoreAway> {
        let account = self.look(shared).await?;
        let own = self.private_token();
        self.adopt(&account);
        self.changed.notify_waiters();
        let used = self.live_token();
        let is_used = |own: &Arc<PbxToken>| {
            let used = used.as_ref();
            used.is_some_and(|used| used.text().expose() == own.text().expose())
        };
        // The token of another instance has taken the place of one that was not shared.
        self.give_back(own.filter(|own| !is_used(own))).await;
        if self.has_news() {
            self.share(shared).await;
        }
        Ok(())
    }

    /// Returns true if this instance knows something that the store does not.
    fn has_news(&self) -> bool {
        self.history().is_unshared() || self.private_token().is_some()
    }

    /// Adds to the store what only this instance knows: logins, and a token that it got on its own.
    async fn share(&self, shared: &Arc<SharedAccount>) {
        let began = Instant::now();
        while began.elapsed() < MAX_WAIT {
            // The store may be emptied while this waits: what it lost needs no lease to come back.
            if self.look(shared).await.is_err() || !self.has_news() {
                return;
            }
            match shared.acquire().await {
                Ok(Acquired::Lease(lease)) => {
                    // What is not shared now, is at the next change or contact.
                    let _ = self.share_under(shared, lease).await;
                    return;
                }
                Ok(Acquired::Busy(left)) => sleep(left.min(SHARE_INTERVAL)).await,
                Err(StoreAway) => return,
            }
        }
    }

    /// The token that works, as far as this instance knows.
    fn live_token(&self) -> Option<Arc<PbxToken>> {
        let token = self.lock().token.clone();
        token.filter(|token| !token.left().is_zero())
    }

    /// The token that works, and that the store does not have.
    fn private_token(&self) -> Option<Arc<PbxToken>> {
        self.live_token().filter(|token| token.fence == 0)
    }

    /// Returns true if a token of the store is of no use.
    fn is_dead(&self, token: &PbxToken) -> bool {
        token.left().is_zero() || token.fence <= self.lock().dead_fence
    }
}

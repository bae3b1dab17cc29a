//! The writes of one instance into the account that a fleet shares.
//!
//! Knows what is written, and what becomes of a token that could not be. Does not know when.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::sleep;
use tracing::warn;

use super::super::hold_off::held_off;
use super::super::{LoginResult, PbxToken, TokenKeeper};
use super::{Attempt, LOOK_INTERVAL};
use crate::fleet::StoreAway;
use crate::fleet::account::{AccountChange, Acquired, Lease, SharedAccount, TokenChange, Written};
use crate::pbx::account::login_history::LoginEnd;
use crate::pbx::account::shared_token;
use crate::pbx::error::{HoldOff, PbxError};
use crate::secret::Secret;

impl TokenKeeper {
    /// Hands the result of a renewal on, and gives the lease back.
    pub(super) async fn publish(
        &self,
        shared: &Arc<SharedAccount>,
        lease: Lease,
        result: LoginResult,
    ) -> Attempt {
        let fence = lease.fence();
        let (history, state) = self.history().to_shared();
        let value = result.as_ref().ok().map(|token| self.written(token, fence));
        let change = AccountChange {
            token: change_to(result.as_ref().ok(), value.as_ref(), fence),
            history: Some(&history),
        };
        let written = match lease.end(&change).await {
            Ok(Written::Yes) => Ok(true),
            // The store was emptied meanwhile, or another instance has a later lease.
            Ok(Written::LeaseLost) => shared.restore(shared.outrun(fence), &change).await,
            Err(StoreAway) => Err(StoreAway),
        };
        match (written, result) {
            (Ok(true), result) => {
                self.history().note_shared(state);
                Attempt::Done(result)
            }
            // The token is good, whoever knows it. The others learn of it when the store is back.
            (Err(StoreAway), result) => {
                Attempt::Done(result.map(|token| self.put_again(&token, 0)))
            }
            (Ok(false), Err(error)) => Attempt::Done(Err(error)),
            (Ok(false), Ok(token)) => {
                warn!(
                    pbx = self.pbx,
                    "another instance has logged in meanwhile, so this token is given up"
                );
                self.drop_token(&token);
                self.give_back(Some(token)).await;
                Attempt::Busy(LOOK_INTERVAL)
            }
        }
    }

    /// Writes into the store that a login is about to be sent.
    ///
    /// # Errors
    /// If the store does not take it, or another instance has the lease: then nothing may be sent.
    pub(in super::super) async fn tell_of_login(&self, lease: &Lease) -> Result<(), PbxError> {
        let (history, state) = self.history().to_shared();
        let change = AccountChange {
            history: Some(&history),
            ..AccountChange::default()
        };
        if lease.write(&change).await == Ok(Written::Yes) {
            self.history().note_shared(state);
            return Ok(());
        }
        self.note("taking a login back", |history| {
            history.end(LoginEnd::Unsent, false, SystemTime::now())
        });
        held_off(LOOK_INTERVAL, HoldOff::FleetBusy)
    }

    /// Puts back what the store has lost. Gives false where another instance has gone on there.
    pub(super) async fn restore(
        &self,
        shared: &SharedAccount,
        fence: u64,
    ) -> Result<bool, StoreAway> {
        let token = self.live_token().filter(|token| token.fence > 0);
        let value = token.as_ref().map(|token| self.written(token, token.fence));
        let (history, state) = self.history().to_shared();
        let of = token.as_ref().map_or(0, |token| token.fence);
        let change = AccountChange {
            token: change_to(token.as_ref(), value.as_ref(), of),
            history: Some(&history),
        };
        let restored = shared.restore(fence, &change).await?;
        if restored {
            self.history().note_shared(state);
        }
        Ok(restored)
    }

    /// Adds to the store what only this instance knows, and gives the lease back.
    pub(super) async fn share_under(
        &self,
        shared: &SharedAccount,
        lease: Lease,
    ) -> Result<(), StoreAway> {
        let account = self.look(shared).await?;
        // A token that this instance got on its own is the latest, unless another one was first.
        let stored = shared_token::read(&account);
        let is_first = stored.is_none_or(|stored| self.is_dead(&stored.token));
        let own = self.private_token().filter(|_| is_first);
        let fence = lease.fence();
        let (history, state) = self.history().to_shared();
        let value = own.as_ref().map(|token| self.written(token, fence));
        let change = AccountChange {
            token: change_to(own.as_ref(), value.as_ref(), fence),
            history: Some(&history),
        };
        if lease.end(&change).await? == Written::Yes {
            self.history().note_shared(state);
            if let Some(own) = own {
                self.put_again(&own, fence);
            }
        }
        Ok(())
    }

    /// Gives the tokens of the fleet back, as its last instance.
    pub(in super::super) async fn give_back_of_fleet(
        &self,
        shared: &Arc<SharedAccount>,
        own: Option<Arc<PbxToken>>,
    ) {
        let lease = loop {
            match shared.acquire().await {
                Ok(Acquired::Lease(lease)) => break lease,
                Ok(Acquired::Busy(_)) => sleep(LOOK_INTERVAL).await,
                Err(StoreAway) => return,
            }
        };
        let Ok(account) = shared.read().await else {
            return;
        };
        let token = shared_token::read(&account).map(|found| Arc::new(found.token));
        let own = own.filter(|own| own.fence == 0 || token.is_none());
        self.give_back(own).await;
        self.give_back(token).await;
        let change = AccountChange {
            token: TokenChange::Gone,
            history: None,
        };
        let _ = lease.end(&change).await;
    }

    /// The same token under another fencing number; 0 for one that the store does not have.
    fn put_again(&self, token: &PbxToken, fence: u64) -> Arc<PbxToken> {
        let ages = (token.since.elapsed(), token.unused_for());
        let again = PbxToken::aged(token.text().clone(), token.life(), fence, ages);
        let refresh = self.lock().refresh.clone();
        self.put(again, refresh)
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
}

/// The change to a token, where there is one.
fn change_to<'v>(
    token: Option<&Arc<PbxToken>>,
    value: Option<&'v Secret>,
    fence: u64,
) -> TokenChange<'v> {
    match (token, value) {
        (Some(token), Some(value)) => TokenChange::Put {
            value: value.expose(),
            fence,
            got: token.since,
            used: token.last_use(),
        },
        _ => TokenChange::None,
    }
}

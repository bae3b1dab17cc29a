//! One renewal of the token: the exchange, or the login.
//!
//! Knows the order of the two, and what each notes. Does not know when a renewal is worth it, or
//! who waits for it.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use tracing::{debug, error, info};

use super::outcome::{self, judge};
use super::{LoginResult, PbxToken, TokenKeeper};
use crate::fleet::account::Lease;
use crate::pbx::account::account_api::AccountApi;
use crate::pbx::account::login_history::LoginEnd;
use crate::pbx::dialect::Tokens;
use crate::secret::Secret;

impl TokenKeeper {
    /// A new token: in exchange for the old one where that is possible, else by a login. In a fleet
    /// both need its `lease`, if there is a store.
    pub(super) async fn renew(&self, lease: Option<&Lease>) -> LoginResult {
        let api = self.api.load_full();
        let refresh = self.lock().refresh.clone();
        let began = Instant::now();
        let exchange = match &refresh {
            Some(refresh) => {
                self.note_sending(lease);
                api.refresh(refresh, self.is_accepted()).await
            }
            None => None,
        };
        if let Some(exchanged) = exchange {
            match exchanged {
                Ok(tokens) => {
                    debug!(pbx = self.pbx, "the PBX token was exchanged for a new one");
                    return Ok(self.take(tokens, lease));
                }
                // The error says nothing about the pair, which may still be good; the next try will
                // tell.
                Err(error) if !outcome::spoils_pair(&error) => {
                    self.note_refusal(&error);
                    self.note_lost_exchange(began);
                    return Err(error);
                }
                Err(error) => {
                    info!(pbx = self.pbx, %error, "the PBX token could not be exchanged, so a login follows");
                    let old = {
                        let mut state = self.lock();
                        state.refresh = None;
                        self.count_death(&mut state);
                        let old = state.token.take();
                        old.or_else(|| state.dead.take())
                    };
                    // The old token may still take one of eight slots. It is given back first, so
                    // that the login never holds a second one.
                    self.give_back(old).await;
                }
            }
        }
        let is_renewal = {
            let mut state = self.lock();
            // Asked again: the pauses may have changed while the exchange was under way.
            self.allow_login(&state)?;
            state.last_login = Some(Instant::now());
            state.ended_early
        };
        self.log_in(&api, is_renewal, lease).await
    }

    /// Returns true if the PBX has accepted the credentials, and not refused them since.
    pub(super) fn is_accepted(&self) -> bool {
        self.history().counts(SystemTime::now()).accepted
    }

    /// Puts new tokens in the place of the old ones.
    fn take(&self, tokens: Tokens, lease: Option<&Lease>) -> Arc<PbxToken> {
        let fence = lease.map_or(0, Lease::fence);
        let token = PbxToken::new(tokens.access, tokens.life, fence);
        // It takes the place of all tokens that the fleet had before.
        let known = self
            .shared
            .as_ref()
            .map_or(0, |shared| shared.known_fence());
        let before = lease.map_or(known, |lease| lease.fence().saturating_sub(1));
        let mut state = self.lock();
        state.dead_fence = state.dead_fence.max(before);
        drop(state);
        self.put(token, tokens.refresh)
    }

    /// Notes that something is about to be sent, where other instances do not know of it.
    fn note_sending(&self, lease: Option<&Lease>) {
        if self.shared.is_some() && lease.is_none() {
            self.note_lone_try();
        }
    }

    /// Puts a token in force.
    pub(super) fn put(&self, token: PbxToken, refresh: Option<Secret>) -> Arc<PbxToken> {
        let token = Arc::new(token);
        let mut state = self.lock();
        state.token = Some(Arc::clone(&token));
        state.ended_early = false;
        state.dead = None;
        state.refresh = refresh;
        state.slots_taken = None;
        state.lost_exchanges = None;
        self.changed.notify_waiters();
        token
    }

    async fn log_in(
        &self,
        api: &AccountApi,
        is_renewal: bool,
        lease: Option<&Lease>,
    ) -> LoginResult {
        self.note("noting a login", |history| history.begin(SystemTime::now()));
        if let Some(lease) = lease {
            self.tell_of_login(lease).await?;
        }
        self.note_sending(lease);
        let result = api.log_in(self.is_accepted()).await;
        let end = result.as_ref().map_or_else(judge, |_| LoginEnd::Accepted);
        self.metrics.login_ended(end.into());
        self.note("noting how a login went", |history| {
            history.end(end, is_renewal, SystemTime::now())
        });
        match &result {
            Ok(_) => info!(pbx = self.pbx, "logged in to the PBX"),
            Err(error) => {
                self.note_refusal(error);
                error!(pbx = self.pbx, %error, advice = error.advice(), "the login to the PBX failed")
            }
        }
        result.map(|tokens| self.take(tokens, lease))
    }
}

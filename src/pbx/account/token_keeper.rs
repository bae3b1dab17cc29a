//! The keeper of one PBX's token: logs in on first need, once for all requests, and holds off after
//! a refusal.
//!
//! Knows when to log in, when to exchange the token instead, and when to do neither. Does not know
//! recordings or callers.
//!
//! A renewal runs in a task of its own and is shared by all requests that wait for it, so a caller
//! who leaves neither stops it nor makes the next one start another. That matters: whether a second
//! login ends the first token is not documented, and on a P-Series it takes another of eight slots.
//!
//! Locks are taken in this order: the state, then the history.

mod hold_off;
mod in_fleet;
mod outcome;
mod renewal;
mod upkeep;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};
use tokio::time::{timeout, timeout_at};
use tracing::{debug, error, info, warn};

use super::account_api::AccountApi;
use super::login_history::LoginHistory;
use super::pbx_token::PbxToken;
use crate::fleet::account::SharedAccount;
use crate::metrics::PbxMetrics;
use crate::pbx::dialect::Operation;
use crate::pbx::error::{HoldOff, PbxError};
use crate::secret::Secret;

/// A token that dies younger than this has been ended by another program.
const MIN_TOKEN_AGE: Duration = Duration::from_secs(5 * 60);
/// The time that the end of the program may take for the token's sake.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

type LoginResult = Result<Arc<PbxToken>, PbxError>;

#[derive(Default)]
struct KeeperState {
    token: Option<Arc<PbxToken>>,
    /// The last token that the PBX called dead. If the PBX was wrong, it still takes a slot.
    dead: Option<Arc<PbxToken>>,
    /// Tokens of a fleet up to this fencing number are dead.
    dead_fence: u64,
    /// The text that a new token can be exchanged for, also when the old token is dead; always the
    /// latest.
    refresh: Option<Secret>,
    /// The renewal under way.
    renewal: Option<watch::Receiver<Option<LoginResult>>>,
    /// The last token was ended by another program, long before its time.
    ended_early: bool,
    last_login: Option<Instant>,
    /// Logins in a row that found all slots taken, and the time of the last one.
    slots_taken: Option<(u32, Instant)>,
    /// Exchanges in a row without an answer, and the time when the last one began.
    lost_exchanges: Option<(u32, Instant)>,
    /// Another keeper has taken over.
    retired: bool,
    /// The time when a login or an exchange was sent last without the lease of the fleet.
    lone_try: Option<Instant>,
}

/// Keeps the one token of one PBX.
pub(in crate::pbx) struct TokenKeeper {
    pbx: String,
    api: ArcSwap<AccountApi>,
    history: Mutex<LoginHistory>,
    state: Mutex<KeeperState>,
    /// Wakes the requests that wait for the end of a pause: there is a token, or the pause is over
    /// before its time.
    changed: Notify,
    metrics: PbxMetrics,
    /// The account, where the instances of a fleet share it.
    shared: Option<Arc<SharedAccount>>,
}

impl TokenKeeper {
    /// Call it within a tokio runtime.
    pub(in crate::pbx) fn new(
        pbx: &str,
        api: AccountApi,
        history: LoginHistory,
        metrics: PbxMetrics,
        shared: Option<Arc<SharedAccount>>,
    ) -> Arc<Self> {
        let keeper = Arc::new(Self {
            pbx: pbx.to_owned(),
            api: ArcSwap::from_pointee(api),
            history: Mutex::new(history),
            state: Mutex::default(),
            changed: Notify::new(),
            metrics,
            shared,
        });
        keeper.follow_fleet();
        keeper
    }

    /// Makes calls in another way from now on, with another pause between logins that may be
    /// refused.
    pub(in crate::pbx) fn change(&self, api: AccountApi, login_retry: Duration) {
        self.api.store(Arc::new(api));
        self.history().change_retry(login_retry);
    }

    /// The token, after a login if there is none. A short pause between logins is waited for, until
    /// `deadline`.
    ///
    /// # Errors
    /// The failure of the login, or the reason why none was tried.
    ///
    /// # Cancel safety
    /// Safe: a login that has begun goes on for the other requests.
    pub(in crate::pbx) async fn token(self: &Arc<Self>, deadline: Instant) -> LoginResult {
        loop {
            // Made before the look at the state: a change between the look and the wait would be
            // missed.
            let changed = self.changed.notified();
            match self.token_now().await {
                Err(PbxError::HeldOff {
                    retry_after,
                    reason,
                }) if reason.passes_soon() && Instant::now() < deadline => {
                    let end = Instant::now() + retry_after;
                    let _ = timeout_at(end.min(deadline).into(), changed).await;
                }
                result => return result,
            }
        }
    }

    /// The token, after a login if there is none, and if one is allowed now.
    ///
    /// # Errors
    /// As for [`TokenKeeper::token`].
    ///
    /// # Cancel safety
    /// As for [`TokenKeeper::token`].
    pub(in crate::pbx) async fn token_now(self: &Arc<Self>) -> LoginResult {
        let renewal = {
            let mut state = self.lock();
            if let Some(token) = state.token.as_ref().filter(|token| !token.left().is_zero()) {
                return Ok(Arc::clone(token));
            }
            self.join_renewal(&mut state)?
        };
        wait(renewal).await
    }

    /// Notes that the PBX no longer knows `dead`. The next [`TokenKeeper::token`] logs in, unless
    /// another request already has.
    pub(in crate::pbx) fn died(&self, dead: &Arc<PbxToken>) {
        let mut state = self.lock();
        // Several requests may report one token. Only the first report counts: afterwards the token
        // of the keeper is another one, and that is not dead.
        let is_current = |token: &Arc<PbxToken>| Arc::ptr_eq(token, dead);
        if !state.token.as_ref().is_some_and(is_current) {
            return;
        }
        state.dead = state.token.take();
        state.dead_fence = state.dead_fence.max(dead.fence);
        let age_s = dead.since.elapsed().as_secs();
        if state.refresh.is_some() {
            debug!(pbx = self.pbx, age_s, "the PBX token has ended");
        } else {
            self.count_death(&mut state);
        }
    }

    /// Counts a token that ended and costs a login.
    fn count_death(&self, state: &mut KeeperState) {
        let age = state
            .last_login
            .map_or(MIN_TOKEN_AGE, |login| login.elapsed());
        let age_s = age.as_secs();
        state.ended_early = age < MIN_TOKEN_AGE;
        if !state.ended_early {
            info!(pbx = self.pbx, age_s, "the PBX token has ended");
            return;
        }
        self.metrics.token_ended_early();
        warn!(
            pbx = self.pbx,
            age_s,
            within_ten_minutes = self.history().counts(SystemTime::now()).renewals,
            advice = HoldOff::TokensEnded.advice(),
            "the PBX token was ended early, as by another program that logs in with this account"
        );
    }

    /// Returns true if the token can be exchanged for a new one, without a login.
    pub(in crate::pbx) fn can_refresh(&self) -> bool {
        self.lock().refresh.is_some()
    }

    /// Lets the next request log in, whatever was refused before: the operator says that something
    /// has changed.
    pub(in crate::pbx) fn forgive(self: &Arc<Self>) {
        let mut state = self.lock();
        state.ended_early = false;
        state.slots_taken = None;
        state.lost_exchanges = None;
        drop(state);
        self.note("forgetting refused logins", LoginHistory::forgive);
        self.changed.notify_waiters();
        self.tell_fleet();
    }

    /// Gets no token any more: another keeper has taken over. The token that there is stays in use
    /// until it ends.
    pub(in crate::pbx) fn retire(&self) {
        self.lock().retired = true;
        self.history().let_go();
        self.changed.notify_waiters();
    }

    /// Returns true while a request uses the token.
    pub(in crate::pbx) fn is_in_use(&self) -> bool {
        let state = self.lock();
        // One reference is the keeper's own.
        let is_shared = |token: &Arc<PbxToken>| Arc::strong_count(token) > 1;
        state.renewal.is_some() || state.token.as_ref().is_some_and(is_shared)
    }

    /// Gets no token any more. Gives the one that there is back, where the configuration wants that
    /// and no other instance of a fleet uses it.
    pub(in crate::pbx) async fn close(&self, is_last: bool) {
        self.lock().retired = true;
        self.changed.notify_waiters();
        let _ = timeout(CLOSE_LIMIT, async {
            // A renewal under way is waited for: cut off, it would count as a login whose answer
            // was lost.
            let renewal = self.lock().renewal.clone();
            if let Some(renewal) = renewal {
                let _ = wait(renewal).await;
            }
            let token = {
                let mut state = self.lock();
                state.refresh = None;
                let token = state.token.take();
                token.or_else(|| state.dead.take())
            };
            match &self.shared {
                None => self.give_back(token).await,
                Some(shared) if is_last => self.give_back_of_fleet(shared, token).await,
                // The others do not know this one.
                Some(_) => self.give_back(token.filter(|token| token.fence == 0)).await,
            }
        })
        .await;
    }

    async fn give_back(&self, token: Option<Arc<PbxToken>>) {
        let api = self.api.load_full();
        if let Some(token) = token
            && let Err(error) = api.log_out(token.text()).await
        {
            warn!(pbx = self.pbx, %error, "the PBX token could not be given back");
        }
    }

    /// The renewal under way, or a new one where that is allowed.
    fn join_renewal(
        self: &Arc<Self>,
        state: &mut KeeperState,
    ) -> Result<watch::Receiver<Option<LoginResult>>, PbxError> {
        // A receiver without a sender is left behind by a task that was dropped; it is passed over.
        let running = state.renewal.as_ref();
        if let Some(renewal) = running.filter(|renewal| renewal.has_changed().is_ok()) {
            return Ok(renewal.clone());
        }
        if state.refresh.is_none() {
            self.allow_login(state)?;
        } else {
            self.allow_exchange(state)?;
        }
        // The caller holds the lock, so no second renewal begins before this one stands in the
        // state.
        let (sender, receiver) = watch::channel(None);
        state.renewal = Some(receiver.clone());
        let keeper = Arc::clone(self);
        tokio::spawn(async move {
            let result = match &keeper.shared {
                None => keeper.renew(None).await,
                Some(shared) => keeper.renew_in_fleet(shared).await,
            };
            // First the state, then the result: a request that is woken by the result and needs yet
            // another token must not join this renewal again.
            keeper.lock().renewal = None;
            let _ = sender.send(Some(result));
        });
        Ok(receiver)
    }

    /// Changes the history. That is a small file, written at logins only, so no other thread writes
    /// it.
    fn note(
        &self,
        doing: &'static str,
        change: impl FnOnce(&mut LoginHistory) -> std::io::Result<()>,
    ) {
        if let Err(error) = change(&mut self.history()) {
            error!(pbx = self.pbx, %error, doing, "state_dir cannot be written; refused logins may add up over restarts");
        }
    }

    fn history(&self) -> MutexGuard<'_, LoginHistory> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, KeeperState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn wait(mut login: watch::Receiver<Option<LoginResult>>) -> LoginResult {
    match login.wait_for(Option::is_some).await.as_deref() {
        Ok(Some(result)) => result.clone(),
        // The login's task ended without a result.
        _ => Err(PbxError::Unreadable {
            operation: Operation::Login,
            what: "the login was abandoned",
        }),
    }
}

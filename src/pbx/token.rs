//! The keeper of one PBX's token: logs in on first need, once for everybody, and holds off after a refusal.
//!
//! Knows when to log in, when to exchange the token instead, and when to do neither. Does not know recordings or callers.
//!
//! A renewal runs in a task of its own and is shared by all who wait for it, so a caller who leaves neither stops it nor
//! makes the next one start another. That matters: whether a second login ends the first token is not documented, and
//! on a P-Series it takes another of eight slots.

mod hold_off;
mod outcome;
mod pbx_token;
mod standing;
mod upkeep;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};
use tokio::time::{timeout, timeout_at};
use tracing::{debug, error, info, warn};

use super::answer::read_answer;
use super::dialect::{Call, Dialect, Operation, Tokens};
use super::error::{GIVEN_UP, HoldOff, PbxError};
use super::logins::{LoginEnd, LoginHistory};
use super::transport::Transport;
use crate::metrics::PbxMetrics;
use crate::secret::Secret;
use outcome::judge;
pub(super) use pbx_token::PbxToken;
pub(crate) use standing::{Logins, end_of};

/// A token that dies younger than this has been ended by somebody.
const EARLY: Duration = Duration::from_secs(5 * 60);
/// A login with credentials that the PBX has accepted before is given up after this time: a PBX that starts may take
/// connections and never answer.
const LOGIN_LIMIT: Duration = Duration::from_secs(10);
/// How long the end of the program may take for the token's sake.
const CLOSING: Duration = Duration::from_secs(5);

type LoginResult = Result<Arc<PbxToken>, PbxError>;

#[derive(Default)]
struct State {
    token: Option<Arc<PbxToken>>,
    /// The last token that the PBX called dead. Should it not be, it still takes a slot.
    dead: Option<Arc<PbxToken>>,
    /// What a new token can be had for, also when the old one is dead; always the latest.
    refresh: Option<Secret>,
    /// The renewal under way.
    renewal: Option<watch::Receiver<Option<LoginResult>>>,
    /// The last token was ended by somebody, long before its time.
    ended_early: bool,
    last_login: Option<Instant>,
    /// Logins in a row that found all slots taken, and when the last one did.
    slots_taken: Option<(u32, Instant)>,
    /// Exchanges in a row without an answer, and when the last one began.
    lost_exchanges: Option<(u32, Instant)>,
    /// Another keeper has taken over.
    retired: bool,
}

/// How the account's calls are made. A reload may change it; the token stays.
pub(super) struct Way {
    pub(super) dialect: Arc<dyn Dialect>,
    pub(super) transport: Arc<Transport>,
}

/// Keeps the one token of one PBX.
pub(super) struct TokenKeeper {
    pbx: String,
    way: ArcSwap<Way>,
    history: Mutex<LoginHistory>,
    state: Mutex<State>,
    /// Calls those who wait for the end of a pause: there is a token, or the pause is over before its time.
    changed: Notify,
    metrics: PbxMetrics,
}

impl TokenKeeper {
    pub(super) fn new(
        pbx: &str,
        way: Way,
        history: LoginHistory,
        metrics: PbxMetrics,
    ) -> Arc<Self> {
        Arc::new(Self {
            pbx: pbx.to_owned(),
            way: ArcSwap::from_pointee(way),
            history: Mutex::new(history),
            state: Mutex::default(),
            changed: Notify::new(),
            metrics,
        })
    }

    /// Makes calls in another way from now on, with another pause between logins that may be refused.
    pub(super) fn change(&self, way: Way, login_retry: Duration) {
        self.way.store(Arc::new(way));
        self.history().change_retry(login_retry);
    }

    /// The token, after a login if there is none. A short pause between logins is waited for, until `deadline`.
    ///
    /// # Errors
    /// How the login went, or why none was tried.
    ///
    /// # Cancel safety
    /// Safe: a login that has begun goes on for the others.
    pub(super) async fn token(self: &Arc<Self>, deadline: Instant) -> LoginResult {
        loop {
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
    pub(super) async fn token_now(self: &Arc<Self>) -> LoginResult {
        let renewal = {
            let mut state = self.lock();
            if let Some(token) = state.token.as_ref().filter(|token| !token.left().is_zero()) {
                return Ok(Arc::clone(token));
            }
            self.join_renewal(&mut state)?
        };
        wait(renewal).await
    }

    /// Notes that the PBX no longer knows `dead`. The next [`TokenKeeper::token`] logs in, unless somebody already has.
    pub(super) fn died(&self, dead: &Arc<PbxToken>) {
        let mut state = self.lock();
        if !state
            .token
            .as_ref()
            .is_some_and(|token| Arc::ptr_eq(token, dead))
        {
            return;
        }
        state.dead = state.token.take();
        let age_s = dead.since.elapsed().as_secs();
        if state.refresh.is_some() {
            debug!(pbx = self.pbx, age_s, "the PBX token has ended");
        } else {
            self.count_death(&mut state);
        }
    }

    /// Counts a token that ended and costs a login.
    fn count_death(&self, state: &mut State) {
        let age = state.last_login.map_or(EARLY, |login| login.elapsed());
        let age_s = age.as_secs();
        state.ended_early = age < EARLY;
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

    /// Whether a new token can be had without a login.
    pub(super) fn can_refresh(&self) -> bool {
        self.lock().refresh.is_some()
    }

    /// Lets the next request log in, whatever was refused before: the operator says that something has changed.
    pub(super) fn forgive(&self) {
        let mut state = self.lock();
        state.ended_early = false;
        state.slots_taken = None;
        state.lost_exchanges = None;
        drop(state);
        self.note("forgetting refused logins", LoginHistory::forgive);
        self.changed.notify_waiters();
    }

    /// Gets no token any more: another keeper has taken over. The one there is goes on until it ends.
    pub(super) fn retire(&self) {
        self.lock().retired = true;
        self.history().let_go();
        self.changed.notify_waiters();
    }

    /// Whether somebody uses the token just now.
    pub(super) fn is_in_use(&self) -> bool {
        let state = self.lock();
        state.renewal.is_some()
            || state
                .token
                .as_ref()
                .is_some_and(|token| Arc::strong_count(token) > 1)
    }

    /// Gives the token back, where the configuration wants that, and gets none any more. A renewal under way is waited
    /// for: cut off, it would count as a login whose answer was lost.
    pub(super) async fn close(&self) {
        self.lock().retired = true;
        self.changed.notify_waiters();
        let _ = timeout(CLOSING, async {
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
            self.give_back(token).await;
        })
        .await;
    }

    async fn give_back(&self, token: Option<Arc<PbxToken>>) {
        let way = self.way.load_full();
        if let Some(call) = token.and_then(|token| way.dialect.logout(token.text()))
            && let Err(error) = way.transport.call(&call).await
        {
            warn!(pbx = self.pbx, %error, "the PBX token could not be given back");
        }
    }

    /// The renewal under way, or a new one where that is allowed.
    fn join_renewal(
        self: &Arc<Self>,
        state: &mut State,
    ) -> Result<watch::Receiver<Option<LoginResult>>, PbxError> {
        if let Some(renewal) = state
            .renewal
            .as_ref()
            .filter(|renewal| renewal.has_changed().is_ok())
        {
            return Ok(renewal.clone());
        }
        if state.refresh.is_none() {
            self.allow_login(state)?;
        } else {
            self.allow_exchange(state)?;
        }
        let (sender, receiver) = watch::channel(None);
        state.renewal = Some(receiver.clone());
        let keeper = Arc::clone(self);
        tokio::spawn(async move {
            let result = keeper.renew().await;
            keeper.lock().renewal = None;
            let _ = sender.send(Some(result));
        });
        Ok(receiver)
    }

    /// A new token: in exchange for the old one where that is possible, else by a login.
    async fn renew(&self) -> LoginResult {
        let way = self.way.load_full();
        let refresh = self.lock().refresh.clone();
        if let Some(call) = refresh.and_then(|refresh| way.dialect.refresh(&refresh)) {
            let began = Instant::now();
            match self.exchange(&way, Operation::Refresh, &call).await {
                Ok(tokens) => {
                    debug!(pbx = self.pbx, "the PBX token was exchanged for a new one");
                    return Ok(self.take(tokens));
                }
                // It says nothing about the pair, which may still be good; the next try will tell.
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
                    // What can be given back would take a slot beside the new one.
                    self.give_back(old).await;
                }
            }
        }
        let is_renewal = {
            let mut state = self.lock();
            self.allow_login(&state)?;
            state.last_login = Some(Instant::now());
            state.ended_early
        };
        self.log_in(&way, is_renewal).await
    }

    async fn exchange(
        &self,
        way: &Way,
        operation: Operation,
        call: &Call,
    ) -> Result<Tokens, PbxError> {
        let accepted = self.history().counts(SystemTime::now()).accepted;
        let answer = match accepted {
            true => way.transport.call_early(call, LOGIN_LIMIT, GIVEN_UP).await,
            false => way.transport.call(call).await,
        };
        let answer = answer.map_err(|source| PbxError::Transport { operation, source })?;
        read_answer(operation, answer, |body| way.dialect.read_tokens(body))
    }

    /// Puts new tokens in the place of the old ones.
    fn take(&self, tokens: Tokens) -> Arc<PbxToken> {
        let token = Arc::new(PbxToken::new(tokens.access, tokens.life));
        let mut state = self.lock();
        state.token = Some(Arc::clone(&token));
        state.ended_early = false;
        state.dead = None;
        state.refresh = tokens.refresh;
        state.slots_taken = None;
        state.lost_exchanges = None;
        self.changed.notify_waiters();
        token
    }

    async fn log_in(&self, way: &Way, is_renewal: bool) -> LoginResult {
        self.note("noting a login", |history| history.begin(SystemTime::now()));
        let login = way.dialect.login();
        let result = self.exchange(way, Operation::Login, &login).await;
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
        result.map(|tokens| self.take(tokens))
    }

    /// The history is a small file that is written at logins only, so writing it does not wait in another thread.
    fn note(
        &self,
        doing: &'static str,
        change: impl FnOnce(&mut LoginHistory) -> std::io::Result<()>,
    ) {
        if let Err(error) = change(&mut self.history()) {
            error!(pbx = self.pbx, %error, doing, "state_dir cannot be written; refused logins may add up over restarts");
        }
    }

    fn history(&self) -> std::sync::MutexGuard<'_, LoginHistory> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
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

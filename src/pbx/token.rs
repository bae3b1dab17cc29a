//! The keeper of one PBX's token: logs in on first need, once for everybody, and holds off after a refusal.
//!
//! Knows when to log in and when not to. Does not know recordings or callers.
//!
//! A login runs in a task of its own and is shared by all who wait for it, so a caller who leaves neither stops it nor
//! makes the next one start another. That matters: whether a second login ends the first token is not documented.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;
use tokio::time::timeout;
use tracing::{debug, error, info, warn};

use super::answer::read_answer;
use super::dialect::{AnswerError, Dialect, Operation, RefusalClass};
use super::error::{HoldOff, PbxError, TransportError};
use super::logins::{Ended, LoginHistory, Verdict};
use super::transport::{Answer, Transport};
use crate::config::secret::Secret;

/// A token that dies younger than this has been ended by somebody.
const EARLY: Duration = Duration::from_secs(5 * 60);
/// So many early deaths in a row are no accident.
const EARLY_DEATHS: u32 = 3;
/// How often a token is renewed then.
const SLOW_RENEWAL: Duration = Duration::from_secs(5 * 60);
/// A token this close to its end is not used any more: it could die between ticket and download.
const MARGIN: Duration = Duration::from_secs(60);
/// An unused token is prolonged at this age, well before its end.
const PROLONG_AFTER: Duration = Duration::from_secs(20 * 60);
/// How long the end of the program may take for the token's sake.
const CLOSING: Duration = Duration::from_secs(5);

/// A PBX token in use.
pub(super) struct PbxToken {
    text: Secret,
    since: Instant,
    /// When a call last made it young again.
    touched: Mutex<Instant>,
}

impl PbxToken {
    fn new(text: Secret) -> Self {
        let now = Instant::now();
        Self {
            text,
            since: now,
            touched: Mutex::new(now),
        }
    }

    pub(super) fn text(&self) -> &Secret {
        &self.text
    }

    /// Notes a call that the PBX answered: it prolongs the token.
    pub(super) fn touch(&self) {
        *self.touched.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn unused_for(&self) -> Duration {
        self.touched
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .elapsed()
    }
}

type LoginResult = Result<Arc<PbxToken>, PbxError>;

#[derive(Default)]
struct State {
    token: Option<Arc<PbxToken>>,
    /// The login under way.
    login: Option<watch::Receiver<Option<LoginResult>>>,
    /// Tokens that died early, in a row.
    early_deaths: u32,
    last_login: Option<Instant>,
    /// Another keeper has taken over.
    retired: bool,
}

/// Keeps the one token of one PBX.
pub(super) struct TokenKeeper {
    pbx: String,
    dialect: Arc<dyn Dialect>,
    transport: Arc<Transport>,
    history: Mutex<LoginHistory>,
    state: Mutex<State>,
}

impl TokenKeeper {
    pub(super) fn new(
        pbx: &str,
        dialect: Arc<dyn Dialect>,
        transport: Arc<Transport>,
        history: LoginHistory,
    ) -> Arc<Self> {
        Arc::new(Self {
            pbx: pbx.to_owned(),
            dialect,
            transport,
            history: Mutex::new(history),
            state: Mutex::default(),
        })
    }

    /// The token, after a login if there is none.
    ///
    /// # Cancel safety
    /// Safe: a login that has begun goes on for the others.
    pub(super) async fn token(self: &Arc<Self>) -> LoginResult {
        let login = {
            let mut state = self.lock();
            if let Some(token) = &state.token {
                if token.unused_for() + MARGIN < self.dialect.token_life() {
                    return Ok(Arc::clone(token));
                }
                debug!(pbx = self.pbx, "the PBX token has grown too old");
                state.token = None;
            }
            self.join_login(&mut state)?
        };
        wait(login).await
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
        state.token = None;
        let age = dead.since.elapsed();
        if age >= EARLY {
            state.early_deaths = 0;
            info!(
                pbx = self.pbx,
                age_s = age.as_secs(),
                "the PBX token has ended"
            );
            return;
        }
        state.early_deaths = state.early_deaths.saturating_add(1);
        warn!(
            pbx = self.pbx,
            age_s = age.as_secs(),
            in_a_row = state.early_deaths,
            "the PBX token was ended early, as by another login to this account"
        );
    }

    /// Keeps an unused token alive. Called now and then.
    pub(super) async fn upkeep(self: &Arc<Self>) {
        let token = self.lock().token.clone();
        let Some(token) = token.filter(|token| token.unused_for() >= PROLONG_AFTER) else {
            return;
        };
        let Some(call) = self.dialect.prolong(token.text()) else {
            return;
        };
        let answer = self.transport.call(&call).await;
        match answer.map(|answer| self.dialect.read_prolong(&answer.body)) {
            Ok(Ok(())) => {
                token.touch();
                debug!(pbx = self.pbx, "the PBX token was prolonged");
            }
            Ok(Err(AnswerError::Refused(refusal))) if refusal.class == RefusalClass::TokenDead => {
                self.died(&token)
            }
            Ok(Err(error)) => warn!(
                pbx = self.pbx,
                ?error,
                "the PBX token could not be prolonged"
            ),
            Err(error) => warn!(pbx = self.pbx, %error, "the PBX token could not be prolonged"),
        }
    }

    /// Lets the next request log in, whatever was refused before: the operator says that something has changed.
    pub(super) fn forgive(&self) {
        let mut state = self.lock();
        state.early_deaths = 0;
        drop(state);
        self.note("forgetting refused logins", LoginHistory::forgive);
    }

    /// Logs in no more: another keeper has taken over the account. What was logged in goes on until it ends.
    pub(super) fn retire(&self) {
        self.lock().retired = true;
        self.history().let_go();
    }

    /// Gives the token back, where the configuration wants that. A login under way is waited for: cut off, it would
    /// count as one whose answer was lost.
    pub(super) async fn close(&self) {
        let _ = timeout(CLOSING, self.give_back()).await;
    }

    async fn give_back(&self) {
        let login = self.lock().login.clone();
        if let Some(login) = login {
            let _ = wait(login).await;
        }
        let token = self.lock().token.take();
        if let Some(call) = token.and_then(|token| self.dialect.logout(token.text()))
            && let Err(error) = self.transport.call(&call).await
        {
            warn!(pbx = self.pbx, %error, "the PBX token could not be given back");
        }
    }

    /// The login under way, or a new one where that is allowed.
    fn join_login(
        self: &Arc<Self>,
        state: &mut State,
    ) -> Result<watch::Receiver<Option<LoginResult>>, PbxError> {
        if let Some(login) = state
            .login
            .as_ref()
            .filter(|login| login.has_changed().is_ok())
        {
            return Ok(login.clone());
        }
        self.allow_login(state)?;
        let (sender, receiver) = watch::channel(None);
        state.login = Some(receiver.clone());
        state.last_login = Some(Instant::now());
        let keeper = Arc::clone(self);
        tokio::spawn(async move {
            let result = keeper.log_in().await;
            let mut state = keeper.lock();
            state.login = None;
            state.token = result.as_ref().ok().cloned();
            drop(state);
            let _ = sender.send(Some(result));
        });
        Ok(receiver)
    }

    fn allow_login(&self, state: &State) -> Result<(), PbxError> {
        let held_off = |retry_after, reason| {
            Err(PbxError::HeldOff {
                retry_after,
                reason,
            })
        };
        if state.retired {
            return held_off(Duration::from_secs(1), HoldOff::Retired);
        }
        let since = state.last_login.map(|login| login.elapsed());
        if let Some(since) =
            since.filter(|since| state.early_deaths >= EARLY_DEATHS && *since < SLOW_RENEWAL)
        {
            return held_off(SLOW_RENEWAL - since, HoldOff::TokensDieEarly);
        }
        match self.history().verdict(SystemTime::now()) {
            Verdict::Go => Ok(()),
            Verdict::Wait(left) => held_off(left, HoldOff::LoginRefused),
            Verdict::Unanswered(left) => held_off(left, HoldOff::LoginsUnanswered),
            Verdict::Locked(left) => held_off(left, HoldOff::LockedOut),
            Verdict::Stopped => Err(PbxError::LoginStopped),
        }
    }

    async fn log_in(&self) -> LoginResult {
        self.note("noting a login", |history| history.begin(SystemTime::now()));
        let result = match self.transport.call(&self.dialect.login()).await {
            Ok(answer) => read_login(&*self.dialect, answer),
            Err(source) => Err(PbxError::Transport {
                operation: Operation::Login,
                source,
            }),
        };
        let ended = result.as_ref().map_or_else(judge, |_| Ended::Accepted);
        self.note("noting how a login went", |history| {
            history.end(ended, SystemTime::now())
        });
        match &result {
            Ok(_) => info!(pbx = self.pbx, "logged in to the PBX"),
            Err(error) => {
                error!(pbx = self.pbx, %error, advice = error.advice(), "the login to the PBX failed")
            }
        }
        result.map(|text| Arc::new(PbxToken::new(text)))
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

/// What a failed login means for the next one.
fn judge(error: &PbxError) -> Ended {
    match error {
        PbxError::Refused { refusal, .. } => match refusal.class {
            RefusalClass::LoginRefused => Ended::Refused,
            RefusalClass::LockedOut => Ended::LockedOut,
            _ => Ended::Unjudged,
        },
        // Nothing was sent before the connection and its trust stood.
        PbxError::Transport {
            source:
                TransportError::Unreachable(_)
                | TransportError::Tls(_)
                | TransportError::Timeout("connect"),
            ..
        }
        | PbxError::Status { .. }
        | PbxError::Page { .. }
        | PbxError::Redirected { .. } => Ended::Unjudged,
        _ => Ended::Unanswered,
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

fn read_login(dialect: &dyn Dialect, answer: Answer) -> Result<Secret, PbxError> {
    read_answer(Operation::Login, answer, |body| dialect.read_login(body))
}

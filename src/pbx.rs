//! One PBX: from a grant to a stream of audio.
//!
//! Knows the order of permit, token and try, and what is tried once more. Does not know who asks, but for whose turn it
//! is, or what an answer to them looks like.

mod account;
mod answer;
mod attempts;
mod certificate;
mod connection;
mod dialect;
mod download;
mod error;
mod fetch;
mod health;
mod inspect;
mod listing;
mod logins;
mod pace;
mod probe;
mod queue;
mod sniff;
mod standing;
mod stream;
mod ticket;
pub(crate) mod tls;
mod token;
mod transport;
mod wave;

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use account::{is_same_account, open_history};
use attempts::{Attempts, Death};
pub(crate) use certificate::Certificate;
use connection::KeptConnections;
use dialect::Dialect;
pub(crate) use dialect::{Operation, RefusalClass};
pub(crate) use error::{PbxError, TransportError};
pub(crate) use health::Report;
pub(crate) use inspect::{Sample, Session};
pub(crate) use listing::ListKind;
pub(crate) use probe::{Probe, ProbeError, Reached};
use standing::Standing;
pub(crate) use stream::{PbxStream, StreamError};
use token::{PbxToken, TokenKeeper, Way};
use transport::Transport;

use crate::auth::policy::Grant;
use crate::config;
use crate::metrics::Metrics;
use crate::recording::RecordingName;

/// How often it is looked whether anybody still needs a PBX that another one has replaced.
const LINGER: Duration = Duration::from_millis(200);
/// How often unused tokens and connections are looked after.
const UPKEEP: Duration = Duration::from_secs(15);

/// A PBX that recordings can be read from.
pub(crate) struct Pbx {
    config: config::Pbx,
    dialect: Arc<dyn Dialect>,
    transport: Arc<Transport>,
    keeper: Arc<TokenKeeper>,
    standing: Arc<Standing>,
    kept: Arc<KeptConnections>,
    /// Whether a ticket's connection is used for its download, too. Not any more once that has failed: some PBXs close
    /// a connection without saying so.
    shares: AtomicBool,
}

impl Pbx {
    /// Makes a PBX out of its configuration. What can go on of an `old` one of this name does: its standing always,
    /// its token where the account is the same, whatever the way to it.
    ///
    /// # Errors
    /// A sentence for an operator: trust that cannot be read, or a state folder that cannot.
    pub(crate) fn start(
        config: &config::Pbx,
        state_dir: Option<&Path>,
        old: Option<&Arc<Self>>,
        metrics: &Metrics,
    ) -> Result<Arc<Self>, String> {
        if let Some(old) = old.filter(|old| old.config == *config) {
            return Ok(Arc::clone(old));
        }
        let transport = Arc::new(Transport::new(config)?);
        let dialect = dialect::of(config);
        let keeper = match old.filter(|old| is_same_account(&old.config, config)) {
            Some(old) => Arc::clone(&old.keeper),
            None => {
                let history = open_history(config, state_dir)?;
                let way = Way {
                    dialect: Arc::clone(&dialect),
                    transport: Arc::clone(&transport),
                };
                TokenKeeper::new(&config.name, way, history)
            }
        };
        let pbx = Arc::new(Self {
            dialect,
            transport,
            keeper,
            standing: match old {
                Some(old) => Arc::clone(&old.standing),
                None => Arc::new(Standing::new(config, metrics)),
            },
            kept: Arc::new(KeptConnections::new(config.limits.max_downloads)),
            shares: AtomicBool::new(true),
            config: config.clone(),
        });
        tokio::spawn(upkeep(Arc::downgrade(&pbx)));
        Ok(pbx)
    }

    pub(crate) fn name(&self) -> &str {
        &self.config.name
    }

    /// How long a recording may stand still once it flows.
    pub(crate) fn idle_timeout(&self) -> Duration {
        self.config.limits.idle_timeout
    }

    /// Whether a request that names no PBX means this one for a recording.
    pub(crate) fn holds(&self, recording: &RecordingName) -> bool {
        self.config.names.holds(recording)
    }

    /// Takes over from the one it was started after: what runs and what waits goes on, within the limits of this one.
    pub(crate) fn take_over(&self) {
        self.standing.resize(&self.config.limits);
        let way = Way {
            dialect: Arc::clone(&self.dialect),
            transport: Arc::clone(&self.transport),
        };
        self.keeper.change(way, self.config.account.login_retry);
    }

    /// Whether both use one token.
    pub(crate) fn shares_account(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.keeper, &other.keeper)
    }

    /// Gets no token any more: another PBX has taken this one's place. Returns what gives the one it has back, once
    /// nobody needs it, or the program ends.
    pub(crate) fn retire(
        self: &Arc<Self>,
        end: CancellationToken,
    ) -> impl Future<Output = ()> + Send + 'static {
        self.keeper.retire();
        let (keeper, users) = (Arc::clone(&self.keeper), Arc::downgrade(self));
        async move {
            while users.strong_count() > 0 || keeper.is_in_use() {
                if timeout(LINGER, end.cancelled()).await.is_ok() {
                    break;
                }
            }
            keeper.close().await;
        }
    }

    /// Opens a recording. The stream begins with bytes known to be audio.
    ///
    /// A recording of a young call that the PBX does not know, or of which it has nothing yet, is asked for again after
    /// a while, holding no permit: it may still be on its way from the call to the PBX's disk. So is one that the PBX is
    /// still at work on.
    ///
    /// # Cancel safety
    /// Safe: permit and connection are given back, a ticket may be lost.
    pub(crate) async fn open(&self, grant: &Grant) -> Result<PbxStream, PbxError> {
        let result = self.read_patiently(grant).await;
        self.standing.health.note(&result);
        result
    }

    /// How it has been doing.
    pub(crate) fn health(&self) -> Report {
        self.standing.health.report()
    }

    /// How many requests have not got their first byte.
    pub(crate) fn waiting(&self) -> usize {
        self.standing.waiting.taken()
    }

    async fn read_patiently(&self, grant: &Grant) -> Result<PbxStream, PbxError> {
        let _waiting = self.standing.waiting.try_take().ok_or(PbxError::Crowded)?;
        let mut pauses = self.config.not_ready.retries.iter();
        loop {
            match self.read(grant).await {
                Err(error) if self.may_come(&error, grant.recording()) => match pauses.next() {
                    Some(pause) => sleep(*pause).await,
                    None if error.is_busy() => return Err(error),
                    None => return Err(PbxError::NotReady),
                },
                result => return result,
            }
        }
    }

    fn may_come(&self, error: &PbxError, recording: &RecordingName) -> bool {
        let missing = error.is_not_found() || matches!(error, PbxError::Empty);
        error.is_busy() || (missing && self.is_young(recording))
    }

    fn is_young(&self, recording: &RecordingName) -> bool {
        let age = recording
            .call_started()
            .map(|started| SystemTime::now().duration_since(started));
        // A call that begins in our future: the clocks disagree, and it is young by either.
        age.is_some_and(|age| age.unwrap_or_default() < self.config.not_ready.window)
    }

    /// Opens a recording within the limit of downloads at once, when it is the principal's turn.
    async fn read(&self, grant: &Grant) -> Result<PbxStream, PbxError> {
        let who = grant.principal().id();
        let turn = self.standing.downloads.take(&who);
        let permit = timeout(self.config.limits.queue_timeout, turn).await;
        let permit = Arc::new(permit.map_err(|_| PbxError::Saturated)?);
        let mut attempts = Attempts::default();
        loop {
            let token = self.keeper.token().await?;
            let attempt = self.attempt(&token, grant.recording(), &mut attempts, &permit);
            match attempt.await {
                Ok(stream) => return Ok(stream),
                Err(error) => self.recover(error, &token, &mut attempts).await?,
            }
        }
    }

    /// After a failed try: returns, after a pause, if another one is worth it; else gives the error back.
    async fn recover(
        &self,
        error: PbxError,
        token: &Arc<PbxToken>,
        attempts: &mut Attempts,
    ) -> Result<(), PbxError> {
        let next = match self.death(&error, token) {
            Some(death) => {
                self.keeper.died(token);
                attempts.after_dead_token(death).then_some(Duration::ZERO)
            }
            None => attempts.next(&error, self.config.limits.retry_delay),
        };
        let Some(pause) = next else {
            return Err(error);
        };
        debug!(pbx = self.name(), %error, "asking the PBX once more");
        sleep(pause).await;
        Ok(())
    }

    /// How the token died, if it did.
    fn death(&self, error: &PbxError, token: &PbxToken) -> Option<Death> {
        let told = error.refusal_class() == Some(RefusalClass::TokenDead);
        let shown = self.dialect.hides_dead_tokens() && error.looks_logged_out();
        let worn_out = told && token.has_worked() && self.keeper.can_refresh();
        (told || shown).then_some(if worn_out {
            Death::WornOut
        } else {
            Death::Other
        })
    }

    /// Lets the next request log in, whatever was refused before.
    pub(crate) fn forgive(&self) {
        self.keeper.forgive();
    }

    /// Gives the PBX token back, where the configuration wants that.
    pub(crate) async fn close(&self) {
        self.keeper.close().await;
    }
}

/// Looks after unused tokens and connections for as long as the PBX is in use.
async fn upkeep(pbx: Weak<Pbx>) {
    loop {
        sleep(UPKEEP).await;
        let Some(pbx) = pbx.upgrade() else {
            return;
        };
        pbx.kept.sweep();
        pbx.keeper.upkeep().await;
    }
}

/// Puts a limit on a step.
async fn within<T>(
    limit: Duration,
    operation: Operation,
    name: &'static str,
    step: impl Future<Output = Result<T, PbxError>>,
) -> Result<T, PbxError> {
    timeout(limit, step)
        .await
        .unwrap_or(Err(PbxError::Transport {
            operation,
            source: TransportError::Timeout(name),
        }))
}

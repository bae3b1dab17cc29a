//! One PBX: from a grant to a stream of audio.
//!
//! Knows the order of permit, token, ticket and download, and what may be tried once more. Does not know who asks or
//! what an answer to them looks like.

mod answer;
mod attempts;
mod certificate;
mod connection;
mod dialect;
mod error;
mod health;
mod inspect;
mod listing;
mod logins;
mod pace;
mod probe;
mod sniff;
mod stream;
mod ticket;
pub(crate) mod tls;
mod token;
mod transport;
mod wave;

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};

use http::StatusCode;
use http::header::TRANSFER_ENCODING;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{sleep, timeout};
use tracing::debug;

use answer::{answer_error, read_answer};
use attempts::{Attempts, Death};
pub(crate) use certificate::Certificate;
use connection::{Connection, KeptConnections};
use dialect::Dialect;
pub(crate) use dialect::{Operation, RefusalClass};
pub(crate) use error::{PbxError, TransportError};
use health::Health;
pub(crate) use health::Report;
pub(crate) use inspect::{Sample, Session};
pub(crate) use listing::ListKind;
use logins::LoginHistory;
use pace::{Pace, Turns};
pub(crate) use probe::{Probe, ProbeError, Reached};
use sniff::Beginning;
use stream::Arriving;
pub(crate) use stream::{PbxStream, StreamError};
use ticket::Ticket;
use token::{PbxToken, TokenKeeper};
use transport::{MAX_ANSWER_BYTES, Transport};

use crate::auth::policy::Grant;
use crate::config::{self, AllowedIp, PbxLimits, PbxPassword};
use crate::permits::Permits;
use crate::recording::RecordingName;

/// An error object in place of audio is read up to here.
const MAX_OBJECT_BYTES: usize = 64 * 1024;
/// How often unused tokens and connections are looked after.
const UPKEEP: Duration = Duration::from_secs(15);

/// A PBX that recordings can be read from.
pub(crate) struct Pbx {
    config: config::Pbx,
    dialect: Arc<dyn Dialect>,
    transport: Arc<Transport>,
    keeper: Arc<TokenKeeper>,
    permits: Arc<Permits>,
    /// For those that have not got their first byte: a PBX that hangs must not take every stream there is.
    waiting: Arc<Permits>,
    /// For lists, which have no part in the limit of downloads.
    lists: Arc<Permits>,
    pace: Arc<Pace>,
    health: Arc<Health>,
    kept: Arc<KeptConnections>,
    /// Whether a ticket's connection is used for its download, too. Not any more once that has failed: some PBXs close
    /// a connection without saying so.
    shares: AtomicBool,
}

impl Pbx {
    /// Makes a PBX out of its configuration. What can go on of an `old` one of this name does: its permits always, its
    /// token where the account and the way to it are the same.
    ///
    /// # Errors
    /// A sentence for an operator: trust that cannot be read, or a state folder that cannot.
    pub(crate) fn start(
        config: &config::Pbx,
        state_dir: Option<&Path>,
        old: Option<&Arc<Self>>,
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
                TokenKeeper::new(
                    &config.name,
                    Arc::clone(&dialect),
                    Arc::clone(&transport),
                    history,
                )
            }
        };
        let (max, waiting) = (config.limits.max_downloads, config.limits.max_waiting);
        let pbx = Arc::new(Self {
            config: config.clone(),
            dialect,
            transport,
            keeper,
            permits: old.map_or_else(
                || Arc::new(Permits::new(max)),
                |old| Arc::clone(&old.permits),
            ),
            waiting: old.map_or_else(
                || Arc::new(Permits::new(waiting)),
                |old| Arc::clone(&old.waiting),
            ),
            lists: old.map_or_else(
                || Arc::new(Permits::new(listing::MAX_LISTS)),
                |old| Arc::clone(&old.lists),
            ),
            pace: old.map_or_else(
                || Arc::new(Pace::new(config.limits.max_bytes_per_second)),
                |old| Arc::clone(&old.pace),
            ),
            health: old.map_or_else(
                || Arc::new(Health::new(&config.name)),
                |old| Arc::clone(&old.health),
            ),
            kept: Arc::new(KeptConnections::new(max)),
            shares: AtomicBool::new(true),
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

    /// Takes over new limits; what runs and what waits goes on.
    pub(crate) fn resize(&self, limits: &PbxLimits) {
        self.permits.resize(limits.max_downloads);
        self.waiting.resize(limits.max_waiting);
        self.pace.set(limits.max_bytes_per_second);
    }

    /// Whether both use one token.
    pub(crate) fn shares_account(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.keeper, &other.keeper)
    }

    /// Logs in no more, and gives the token back once nobody can need it: another PBX has taken this one's place.
    pub(crate) fn retire(self: &Arc<Self>) {
        self.keeper.retire();
        let keeper = Arc::clone(&self.keeper);
        tokio::spawn(async move { keeper.close().await });
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
        let result = self.read_patiently(grant.recording()).await;
        self.health.note(&result);
        result
    }

    /// How it has been doing.
    pub(crate) fn health(&self) -> Report {
        self.health.report()
    }

    async fn read_patiently(&self, recording: &RecordingName) -> Result<PbxStream, PbxError> {
        let _waiting = self.waiting.try_take().ok_or(PbxError::Crowded)?;
        let mut pauses = self.config.not_ready.retries.iter();
        loop {
            match self.read(recording).await {
                Err(error) if self.may_come(&error, recording) => match pauses.next() {
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

    /// Opens a recording within the limit of downloads at once.
    async fn read(&self, recording: &RecordingName) -> Result<PbxStream, PbxError> {
        let permit = timeout(self.config.limits.queue_timeout, self.permits.take()).await;
        let permit = permit.ok().flatten().ok_or(PbxError::Saturated)?;
        let permit = Arc::new(permit);
        let mut attempts = Attempts::default();
        loop {
            let token = self.keeper.token().await?;
            let attempt = self.attempt(&token, recording, &mut attempts, &permit);
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

    /// One ticket, one download.
    async fn attempt(
        &self,
        token: &Arc<PbxToken>,
        recording: &RecordingName,
        attempts: &mut Attempts,
        permit: &Arc<OwnedSemaphorePermit>,
    ) -> Result<PbxStream, PbxError> {
        let limits = &self.config.limits;
        // Only the first try uses a connection twice: the PBX may have closed it by now.
        let first = attempts.begin();
        let kept = if first { self.kept.take() } else { None };
        attempts.note_kept(kept.is_some());
        let mut connection = self.connected(kept, Operation::Ticket).await?;
        let taking = self.take_ticket(&mut connection, token, recording);
        let ticket = within(limits.answer_timeout, Operation::Ticket, "answer", taking).await?;
        attempts.count_ticket();
        let shared = first && self.may_share(&mut connection);
        let open = shared.then_some(connection);
        let downloading = self.download(open, token, recording, ticket, permit);
        let result = within(
            limits.first_byte_timeout,
            Operation::Download,
            "first byte",
            downloading,
        )
        .await;
        if shared && result.as_ref().is_err_and(PbxError::is_broken_connection) {
            self.shares.store(false, Relaxed);
        }
        result
    }

    /// Whether a ticket's connection can be used for what the ticket is for.
    fn may_share(&self, connection: &mut Connection) -> bool {
        self.shares.load(Relaxed) && connection.is_idle()
    }

    /// `open`, or a new connection.
    async fn connected(
        &self,
        open: Option<Connection>,
        operation: Operation,
    ) -> Result<Connection, PbxError> {
        match open {
            Some(connection) => Ok(connection),
            None => Connection::open(&self.transport)
                .await
                .map_err(|source| PbxError::Transport { operation, source }),
        }
    }

    /// The address that may use a ticket beside ours.
    fn allowed_ip(&self, connection: &Connection) -> Result<Option<Ipv4Addr>, PbxError> {
        match (self.config.allowed_ip, connection.own_address()) {
            (AllowedIp::Absent, _) => Ok(None),
            (AllowedIp::Fixed(address), _) => Ok(Some(address)),
            (AllowedIp::Auto, Some(IpAddr::V4(address))) => Ok(Some(address)),
            (AllowedIp::Auto, _) => Err(PbxError::NoOwnAddress),
        }
    }

    async fn take_ticket(
        &self,
        connection: &mut Connection,
        token: &Arc<PbxToken>,
        recording: &RecordingName,
    ) -> Result<Ticket, PbxError> {
        let operation = Operation::Ticket;
        let allowed_ip = self.allowed_ip(connection)?;
        let asked = Instant::now();
        let call = self.dialect.ticket(token.text(), recording, allowed_ip);
        let answer = connection
            .call(&self.transport, &call, MAX_ANSWER_BYTES)
            .await;
        let answer = answer.map_err(|source| PbxError::Transport { operation, source })?;
        let text = read_answer(operation, answer, |body| {
            self.dialect.read_ticket(body, recording)
        })?;
        token.touch();
        Ok(Ticket::new(text, asked))
    }

    async fn download(
        &self,
        open: Option<Connection>,
        token: &Arc<PbxToken>,
        recording: &RecordingName,
        ticket: Ticket,
        permit: &Arc<OwnedSemaphorePermit>,
    ) -> Result<PbxStream, PbxError> {
        let operation = Operation::Download;
        let mut connection = self.connected(open, operation).await?;
        let ticket = ticket.spend(Instant::now()).ok_or(PbxError::TicketStale)?;
        let call = self.dialect.download(token.text(), recording, &ticket);
        let answer = connection.send(&self.transport, &call).await;
        let (head, body) = answer
            .map_err(|source| PbxError::Transport { operation, source })?
            .into_parts();
        let mut arriving = Arriving::new(
            connection,
            body,
            head.headers.contains_key(TRANSFER_ENCODING),
        );
        let audio = self.judge(head.status, &mut arriving).await?;
        let (kept, permit) = (Arc::clone(&self.kept), Arc::clone(permit));
        let turns = Turns::new(Arc::clone(&self.pace));
        Ok(arriving.into_stream(audio, kept, permit, turns))
    }

    /// Finds out whether the answer is audio before anybody is told so.
    async fn judge(
        &self,
        status: StatusCode,
        arriving: &mut Arriving,
    ) -> Result<sniff::Audio, PbxError> {
        let operation = Operation::Download;
        let broken = |error: StreamError| PbxError::Transport {
            operation,
            source: TransportError::Broken(error.to_string()),
        };
        let status_error = PbxError::Status {
            operation,
            status: status.as_u16(),
        };
        if status.is_redirection() {
            return Err(PbxError::Redirected {
                operation,
                status: status.as_u16(),
            });
        }
        match arriving.beginning().await.map_err(broken)? {
            Beginning::Object => {
                let object = arriving
                    .read_ahead(MAX_OBJECT_BYTES)
                    .await
                    .map_err(broken)?;
                Err(answer_error(operation, self.dialect.read_refusal(&object)))
            }
            // Nobody asked for a part, so nothing but 200 is the recording.
            _ if status != StatusCode::OK => Err(status_error),
            Beginning::Audio(audio) => Ok(audio),
            Beginning::Page => Err(PbxError::Page { operation }),
            Beginning::Empty => Err(PbxError::Empty),
            Beginning::Unknown => Err(PbxError::NotAudio),
        }
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

/// Whether a token of the one is a token of the other, and logins go the same way.
fn is_same_account(old: &config::Pbx, new: &config::Pbx) -> bool {
    let of = |pbx: &config::Pbx| (pbx.limits.connect_timeout, pbx.limits.answer_timeout);
    old.api == new.api
        && old.url == new.url
        && old.trust == new.trust
        && old.bind_address == new.bind_address
        && old.account == new.account
        && of(old) == of(new)
}

fn open_history(config: &config::Pbx, state_dir: Option<&Path>) -> Result<LoginHistory, String> {
    let account = &config.account;
    let (PbxPassword::Clear(password) | PbxPassword::Md5(password)) = &account.password;
    let credentials = [
        config.url.as_str().as_bytes(),
        account.username.expose(),
        password.expose(),
    ];
    LoginHistory::open(state_dir, &config.name, &credentials, account.login_retry).map_err(
        |error| match state_dir {
            Some(folder) => state_dir_problem(folder, &error),
            None => error.to_string(),
        },
    )
}

fn state_dir_problem(folder: &Path, error: &std::io::Error) -> String {
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    format!(
        "state_dir {}: {error}; it must be a folder that the gateway's user owns",
        folder.display()
    )
}

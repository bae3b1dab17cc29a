//! One PBX: a façade over the parts that do the work.
//!
//! Knows which part serves which request, and what of a PBX outlives a reload. Does not know who
//! asks, beyond whose turn it is, or what an answer to them looks like.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::account::account_api::AccountApi;
use super::account::token_keeper::TokenKeeper;
use super::account::token_source::TokenSource;
use super::account::{is_same_account, open_history, shared_account};
use super::dialect;
use super::download::excerpt::Excerpt;
use super::download::fetch::TicketBroker;
use super::download::permit::DownloadPermits;
use super::download::reading::{Reading, ReadingError, ResumePoint};
use super::download::source::{Downloads, OpenRecording};
use super::error::PbxError;
use super::health::{Health, HealthReport};
use super::inspect::Inspection;
use super::limiters::PbxLimiters;
use super::listing::{ListKind, ListPage, Lister, Visible};
use super::settings::PbxSettings;
use super::wire::connection_pool::ConnectionPool;
use super::wire::transport::Transport;
use crate::audit::RecordedRead;
use crate::fleet::Fleet;
use crate::fleet::permits::SharedPermits;
use crate::list::Query;
use crate::metrics::{Metrics, PbxLevels};
use crate::principal::PrincipalId;
use crate::recording::RecordingName;

/// The pause between two looks whether a PBX that another one has replaced is still in use.
const RETIRE_INTERVAL: Duration = Duration::from_millis(200);
/// The pause between two rounds of upkeep for unused tokens and connections.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(15);

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

/// A PBX that recordings can be read from.
pub(crate) struct Pbx {
    /// Unique in this process, among PBXs of earlier configurations, too.
    id: u64,
    name: Arc<str>,
    config: PbxSettings,
    limiters: PbxLimiters,
    health: Arc<Health>,
    keeper: Arc<TokenKeeper>,
    transport: Arc<Transport>,
    downloads: Arc<Downloads>,
    lister: Lister,
}

/// A place among the requests that wait for a PBX.
pub(crate) struct WaitingSlot(
    #[expect(dead_code, reason = "held, not looked at")] OwnedSemaphorePermit,
);

/// The life of a PBX, from its configuration to its end.
impl Pbx {
    /// Makes a PBX out of its configuration. It takes over from an `old` one of this name: the
    /// limits and the health always, the token where the account is the same, however it is
    /// reached.
    ///
    /// # Errors
    /// A sentence for an operator: trust that cannot be read, or a state folder that cannot.
    pub(crate) fn start(
        config: &PbxSettings,
        (state_dir, fleet): (Option<&Path>, Option<&Arc<Fleet>>),
        old: Option<&Arc<Self>>,
        metrics: &Metrics,
    ) -> Result<Arc<Self>, String> {
        if let Some(old) = old.filter(|old| old.config == *config) {
            return Ok(Arc::clone(old));
        }
        let name: Arc<str> = config.name.as_str().into();
        let transport = Arc::new(Transport::new(config)?);
        let dialect = dialect::of(config);
        let counters = Arc::new(metrics.pbx(&name));
        let keeper = match old.filter(|old| is_same_account(&old.config, config)) {
            Some(old) => Arc::clone(&old.keeper),
            None => {
                let history = open_history(config, state_dir)?;
                let api = AccountApi::new(&dialect, &transport, &counters);
                let shared = fleet.map(|fleet| shared_account(config, fleet));
                TokenKeeper::new(&name, api, history, metrics.pbx(&name), shared)
            }
        };
        let (limiters, health) = match old {
            Some(old) => (old.limiters.clone(), Arc::clone(&old.health)),
            None => (
                PbxLimiters::new(&config.limits),
                Arc::new(Health::new(&name)),
            ),
        };
        let max_idle = config.limits.max_downloads;
        let pool = Arc::new(ConnectionPool::new(
            Arc::clone(&transport),
            max_idle,
            Arc::clone(&counters),
        ));
        let tokens = Arc::new(TokenSource::new(
            Arc::clone(&name),
            Arc::clone(&keeper),
            Arc::clone(&dialect),
            config.limits.retry_delay,
        ));
        let tickets = TicketBroker::new(Arc::clone(&name), Arc::clone(&pool), config);
        let tickets = Arc::new(tickets);
        let lister = Lister::new(
            config,
            Arc::clone(&dialect),
            &tokens,
            (&pool, &tickets),
            (&limiters.lists, &limiters.bandwidth),
            Arc::clone(&counters),
        );
        let downloads = Arc::new(Downloads {
            pbx: Arc::clone(&name),
            dialect,
            tokens,
            tickets,
            permits: DownloadPermits {
                queue: Arc::clone(&limiters.downloads),
                shared: fleet.map(|fleet| shared_downloads(config, fleet)),
            },
            bandwidth: Arc::clone(&limiters.bandwidth),
            metrics: counters,
            limits: config.limits.clone(),
            not_ready: config.not_ready.clone(),
        });
        tokio::spawn(upkeep(Arc::downgrade(&pool), Arc::downgrade(&keeper)));
        Ok(Arc::new(Self {
            id: NEXT_ID.fetch_add(1, Relaxed),
            name,
            config: config.clone(),
            limiters,
            health,
            keeper,
            transport,
            downloads,
            lister,
        }))
    }

    /// Takes over from the PBX that it was started after: downloads that run and requests that wait
    /// go on, within the limits of this one.
    pub(crate) fn take_over(&self) {
        self.limiters.resize(&self.config.limits);
        let api = AccountApi::new(
            &self.downloads.dialect,
            &self.transport,
            &self.downloads.metrics,
        );
        self.keeper.change(api, self.config.account.login_retry);
    }

    /// Returns true if both use one token.
    pub(crate) fn shares_account(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.keeper, &other.keeper)
    }

    /// Ends the logins of a PBX that another one has replaced. The future that it returns gives the
    /// token back, once no request needs it, or the program ends.
    pub(crate) fn retire(
        self: &Arc<Self>,
        end: CancellationToken,
    ) -> impl Future<Output = ()> + Send + 'static {
        self.keeper.retire();
        // A reading between two passes holds no token, but it holds the downloads.
        let (keeper, users) = (Arc::clone(&self.keeper), Arc::downgrade(&self.downloads));
        async move {
            while users.strong_count() > 0 || keeper.is_in_use() {
                if timeout(RETIRE_INTERVAL, end.cancelled()).await.is_ok() {
                    break;
                }
            }
            // Other instances of a fleet may not have read their configuration again yet.
            keeper.close(false).await;
        }
    }

    /// Lets the next request log in, whatever the PBX refused before.
    pub(crate) fn forgive(&self) {
        self.keeper.forgive();
    }

    /// Gives the PBX token back, where the configuration wants that, and where this is the last
    /// instance that uses it.
    pub(crate) async fn close(&self, is_last: bool) {
        self.keeper.close(is_last).await;
    }
}

/// The requests to a PBX.
impl Pbx {
    /// Takes a place among the requests that wait for their first byte: a PBX that hangs must not
    /// take every stream there is.
    ///
    /// # Errors
    /// [`PbxError::Crowded`] when there is none.
    pub(crate) fn wait(&self) -> Result<WaitingSlot, PbxError> {
        let slot = self.limiters.waiting.try_take();
        slot.map(WaitingSlot).ok_or(PbxError::Crowded)
    }

    /// Opens a recording, or the `excerpt` of it where the PBX gives that out: [`Reading::start`]
    /// is where it begins. A whole recording begins with bytes known to be audio. A young recording
    /// is waited for.
    ///
    /// # Cancel safety
    /// Safe: permit and connection are given back, a ticket may be lost.
    pub(crate) async fn open(
        &self,
        read: &RecordedRead,
        excerpt: Option<Excerpt>,
    ) -> Result<Reading, PbxError> {
        let opened = self.open_stream(read, excerpt).await;
        opened.map(Reading::new)
    }

    async fn open_stream(
        &self,
        read: &RecordedRead,
        excerpt: Option<Excerpt>,
    ) -> Result<OpenRecording, PbxError> {
        if *read.pbx() != self.name {
            return Err(PbxError::OtherPbx);
        }
        let opened = self.downloads.open(read, excerpt).await;
        self.health.note(&opened);
        opened
    }

    /// Opens a recording to go on behind the point that an earlier reading came to.
    ///
    /// # Errors
    /// As [`Pbx::open`], in [`ReadingError::NotAgain`]; and when it is another recording by now.
    ///
    /// # Cancel safety
    /// As for [`Pbx::open`].
    pub(crate) async fn open_behind(
        &self,
        read: &RecordedRead,
        point: ResumePoint,
    ) -> Result<Reading, ReadingError> {
        let opened = self.open_stream(read, None).await;
        Reading::behind(opened.map_err(ReadingError::NotAgain)?, point)
    }

    /// Reads one page of the list.
    ///
    /// # Cancel safety
    /// As for [`Pbx::open`].
    pub(crate) async fn list(
        &self,
        query: &Query,
        visible: &Visible<'_>,
    ) -> Result<ListPage, PbxError> {
        let _waiting = self.wait()?;
        let page = self.lister.page(query, visible).await;
        self.health.note_list(&page);
        page
    }

    /// Logs in once, unless earlier refusals forbid it, for an operator who tries the PBX step by
    /// step.
    ///
    /// # Errors
    /// The failure of the login, or the reason why it was not tried.
    pub(crate) async fn inspect(&self) -> Result<Inspection<'_>, PbxError> {
        Inspection::begin(&self.keeper, &self.transport, &self.downloads, &self.lister).await
    }
}

/// Facts about a PBX, without a request to it.
impl Pbx {
    /// Unique in this process, among PBXs of earlier configurations, too.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn shared_name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    /// Returns true if a request that names no PBX means this one for a recording.
    pub(crate) fn holds(&self, recording: &RecordingName) -> bool {
        self.config.names.holds(recording)
    }

    /// Returns true if a request that names no PBX means this one for a recording made `now`.
    pub(crate) fn holds_new(&self, now: SystemTime) -> bool {
        let now = Timestamp::try_from(now).unwrap_or(Timestamp::UNIX_EPOCH);
        let clock = self.time_zone().to_datetime(now);
        self.config.names.holds_time(clock)
    }

    /// The zone of the PBX's clocks.
    pub(crate) fn time_zone(&self) -> &TimeZone {
        &self.config.time_zone
    }

    /// Returns true if a recording may still change: its call began not long ago.
    pub(crate) fn is_young(&self, recording: &RecordingName) -> bool {
        self.downloads.is_young(recording)
    }

    pub(crate) fn list_kind(&self) -> ListKind {
        self.lister.kind()
    }

    /// The least bytes per second at which the `holder` of a permit has to use it, while others
    /// wait for one.
    pub(crate) fn least_pace(&self, holder: &PrincipalId) -> Option<u64> {
        self.downloads.least_pace(holder)
    }

    /// The health of the PBX, and the state of the next login.
    pub(crate) fn health(&self) -> HealthReport {
        self.health.report(self.keeper.logins())
    }

    /// The state of the PBX in numbers.
    pub(crate) fn levels(&self) -> PbxLevels {
        PbxLevels {
            name: self.name.to_string(),
            api: self.config.api.as_str(),
            waiting: self.limiters.waiting.taken(),
            max_waiting: self.limiters.waiting.total(),
            free_downloads: self.limiters.downloads.free(),
            token_age: self.keeper.token_age().map(|age| age.as_secs()),
            hold_off: self.keeper.hold_off(),
            failing: self.health.failing(),
        }
    }
}

/// The downloads that all instances of a fleet share, and their number.
fn shared_downloads(config: &PbxSettings, fleet: &Arc<Fleet>) -> (SharedPermits, usize) {
    let permits = SharedPermits::new(fleet, "downloads", config.url.as_str().as_bytes());
    (permits, config.limits.max_downloads)
}

/// Looks after unused tokens and connections for as long as the PBX is in use.
async fn upkeep(pool: Weak<ConnectionPool>, keeper: Weak<TokenKeeper>) {
    loop {
        sleep(UPKEEP_INTERVAL).await;
        let (Some(pool), Some(keeper)) = (pool.upgrade(), keeper.upgrade()) else {
            return;
        };
        pool.sweep();
        keeper.upkeep().await;
    }
}

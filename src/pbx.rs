//! One PBX: from a grant to a stream of audio.
//!
//! Knows what a PBX is made of, and what of it outlives a reload. Does not know who asks, but for whose turn it is, or
//! what an answer to them looks like. The way to an open recording is in [`opening`].

mod account;
mod answer;
mod arriving;
mod attempts;
mod connection;
mod dialect;
mod digest;
mod download;
mod error;
mod excerpt;
mod fetch;
mod health;
mod inspect;
mod listing;
mod logins;
mod opening;
mod probe;
mod reading;
pub mod settings;
mod silence;
mod sniff;
mod standing;
mod stream;
mod ticket;
mod token;
mod transport;
pub(crate) mod wave;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::limits::fair_queue::Place;
use crate::pbx::settings::PbxSettings;
use crate::pbx::settings::UpstreamRanges;
use account::{is_same_account, open_history};
use connection::KeptConnections;
use dialect::Dialect;
pub(crate) use dialect::{Operation, RefusalClass};
pub(crate) use digest::Witness;
pub(crate) use error::{PbxError, TransportError};
pub(crate) use excerpt::Excerpt;
pub(crate) use health::Report;
pub(crate) use inspect::{Sample, Session};
pub(crate) use listing::ListKind;
pub(crate) use probe::{Probe, ProbeError, Reached};
pub(crate) use reading::{Reading, ReadingError, Seen};
pub(crate) use sniff::Audio;
use standing::Standing;
pub(crate) use stream::StreamError;
pub(crate) use token::end_of;
use token::{TokenKeeper, Way};
use transport::Transport;
pub(crate) use wave::Wave;

use crate::metrics::Metrics;
use crate::principal::PrincipalId;
use crate::recording::RecordingName;

/// How often it is looked whether anybody still needs a PBX that another one has replaced.
const LINGER: Duration = Duration::from_millis(200);
/// How often unused tokens and connections are looked after.
const UPKEEP: Duration = Duration::from_secs(15);

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

/// A place among the downloads of a PBX, shared by all that one download needs.
type Permit = Arc<Place>;

/// A place among the requests that wait for a PBX.
pub(crate) struct Waiting(
    #[expect(dead_code, reason = "held, not looked at")] OwnedSemaphorePermit,
);

/// A PBX that recordings can be read from.
pub(crate) struct Pbx {
    /// Tells it from all others of this process, those of an earlier configuration included.
    id: u64,
    name: Arc<str>,
    config: PbxSettings,
    dialect: Arc<dyn Dialect>,
    transport: Arc<Transport>,
    keeper: Arc<TokenKeeper>,
    standing: Arc<Standing>,
    kept: Arc<KeptConnections>,
    /// Whether a ticket's connection is used for its download, too. Not any more once that has failed: some PBXs close
    /// a connection without saying so.
    shares: AtomicBool,
    /// Whether it is trusted to give out parts of a recording. Not any more once it has given out another one.
    gives_excerpts: AtomicBool,
}

impl Pbx {
    /// Makes a PBX out of its configuration. What can go on of an `old` one of this name does: its standing always,
    /// its token where the account is the same, whatever the way to it.
    ///
    /// # Errors
    /// A sentence for an operator: trust that cannot be read, or a state folder that cannot.
    pub(crate) fn start(
        config: &PbxSettings,
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
                TokenKeeper::new(&config.name, way, history, metrics.pbx(&config.name))
            }
        };
        let pbx = Arc::new(Self {
            id: NEXT_ID.fetch_add(1, Relaxed),
            name: config.name.as_str().into(),
            dialect,
            transport,
            keeper,
            standing: match old {
                Some(old) => Arc::clone(&old.standing),
                None => Arc::new(Standing::new(config, metrics)),
            },
            kept: Arc::new(KeptConnections::new(config.limits.max_downloads)),
            shares: AtomicBool::new(true),
            gives_excerpts: AtomicBool::new(config.upstream_ranges == UpstreamRanges::Trust),
            config: config.clone(),
        });
        tokio::spawn(upkeep(Arc::downgrade(&pbx)));
        Ok(pbx)
    }

    /// Tells it from all others of this process, those of an earlier configuration included.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn shared_name(&self) -> Arc<str> {
        Arc::clone(&self.name)
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

    /// A place among those who wait for their first byte: a PBX that hangs must not take every stream there is.
    ///
    /// # Errors
    /// [`PbxError::Crowded`] when there is none.
    pub(crate) fn wait(&self) -> Result<Waiting, PbxError> {
        let place = self.standing.waiting.try_take();
        place.map(Waiting).ok_or(PbxError::Crowded)
    }

    /// The least bytes per second at which the `holder` of a place among the downloads has to use it, while others wait for
    /// one.
    pub(crate) fn least_pace(&self, holder: &PrincipalId) -> Option<u64> {
        let least = self.config.limits.min_bytes_per_second;
        (least > 0 && self.standing.downloads.has_waiting_beside(holder)).then_some(least)
    }

    /// Whether it is trusted to give out parts of a recording.
    pub(crate) fn gives_excerpts(&self) -> bool {
        self.gives_excerpts.load(Relaxed)
    }

    /// How it has been doing, and whether it may be logged in to.
    pub(crate) fn health(&self) -> Report {
        self.standing.health.report(self.keeper.logins())
    }

    /// How many requests have not got their first byte.
    pub(crate) fn waiting(&self) -> usize {
        self.standing.waiting.taken()
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

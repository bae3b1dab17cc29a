//! The audit log: who asked for which recording, the decision, and how much of the recording they
//! got.
//!
//! Knows that a decision is on disk before anything is answered, and that each decision that allows
//! something has a queue place reserved for its delivery line. Does not know how a decision is
//! made. The log needs the names of recordings and people, so it holds them unmasked; it holds no
//! credential, and nothing of the PBX's.
//!
//! Lines are JSON, chained by hashes ([`chain`]) and signed every minute ([`heads`]); one thread
//! writes them ([`writer`]). `wavegate audit` and `wavegate why` read them back.

pub(crate) mod chain;
pub(crate) mod files;
pub(crate) mod heads;
pub(crate) mod heard;
pub(crate) mod line;
mod outage;
mod pending_delivery;
mod queue;
mod recorded;
pub mod settings;
mod tally;
mod writer;

use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use thiserror::Error;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::audit::settings::{AuditSettings, OnFailure};
use crate::limits::concurrency::ConcurrencyLimit;
use crate::metrics::AuditMetrics;
use files::Files;
pub use heads::HeadKey;
pub(crate) use heard::AudioSpan;
pub(crate) use line::{Decision, StartRecord};
use line::{LogRecord, SystemReadLine};
use outage::Outage;
use pending_delivery::LoggedDecision;
pub(crate) use pending_delivery::PendingDelivery;
use queue::{DecisionLine, Item, LineQueue, QueuePlace};
pub(crate) use recorded::Allowed;
pub use recorded::{Recorded, RecordedAnswer, RecordedRead, SystemRead};
use tally::Tally;
use writer::Writer;

/// Queue places for requests that are no streams, such as those that are denied.
const MAX_OTHER_REQUESTS: usize = 1024;
/// Longest wait for a decision to be on disk, and for a queue place.
const MAX_WRITE_WAIT: Duration = Duration::from_secs(10);
/// Longest wait for the last lines when the log is closed.
const MAX_CLOSE_WAIT: Duration = Duration::from_secs(10);

/// The audit log cannot take the line, and no request is served without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the audit log cannot be written, and audit.on_failure is \"refuse\"")]
pub(crate) struct AuditUnavailable;

/// The audit log, if one is configured. Clones are the same log.
#[derive(Clone, Default)]
pub(crate) struct AuditLog(Option<Arc<Handle>>);

/// The open log. Dropping the last handle closes the queue, and so ends the writer.
struct Handle {
    shared: Arc<SharedLog>,
    on_failure: OnFailure,
    /// One place for each request that may still bring a line: this bounds the queue.
    places: ConcurrencyLimit,
    /// Cancelled once the writer has ended.
    over: CancellationToken,
}

/// The state that the writer shares with the requests that give it lines.
struct SharedLog {
    queue: LineQueue,
    tally: Tally,
    outage: Outage,
    metrics: AuditMetrics,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.queue.close();
    }
}

impl AuditLog {
    /// Opens the log and starts its writer, with room for `max_streams` streams.
    ///
    /// # Errors
    /// When another process writes this log; or when the log cannot be written, unless `on_failure`
    /// is `serve`.
    pub(crate) fn start(
        audit: &AuditSettings,
        max_streams: usize,
        metrics: AuditMetrics,
    ) -> Result<Self, String> {
        let opened = Files::open(audit);
        if let Err(error) = &opened
            && (audit.on_failure == OnFailure::Refuse
                || error.kind() == io::ErrorKind::ResourceBusy)
        {
            return Err(format!("audit.dir: {error}"));
        }
        let shared = Arc::new(SharedLog {
            queue: LineQueue::default(),
            tally: Tally::default(),
            outage: Outage::default(),
            metrics,
        });
        if opened.is_err() {
            shared.outage.begin(Timestamp::now());
        }
        let over = CancellationToken::new();
        let handle = Handle {
            shared: Arc::clone(&shared),
            on_failure: audit.on_failure,
            places: ConcurrencyLimit::new(places(max_streams)),
            over: over.clone(),
        };
        let audit = audit.clone();
        let write = move || Writer::new(audit, shared, opened, over.drop_guard()).run();
        let thread = std::thread::Builder::new().name("audit".to_owned());
        let spawned = thread.spawn(write);
        spawned.map_err(|error| format!("audit: no thread to write it: {error}"))?;
        Ok(Self(Some(Arc::new(handle))))
    }

    /// Changes the number of queue places to that for `max_streams` streams. Call it within a tokio
    /// runtime.
    pub(crate) fn resize(&self, max_streams: usize) {
        if let Some(handle) = &self.0 {
            handle.places.resize(places(max_streams));
        }
    }

    /// Adds a line that says which policy and keys are in force from now on.
    pub(crate) fn started(&self, start: StartRecord) {
        if let Some(handle) = &self.0 {
            let own = Item::Own(LogRecord::Start(start));
            handle.shared.queue.push(own);
        }
    }

    /// Writes the line of a request that is allowed, and returns the proof of it once the line is
    /// on disk. The fields that only `allowed` knows come from it. The pending delivery writes down
    /// how the request ends, whenever it is dropped.
    ///
    /// # Errors
    /// When the line cannot be written. Nothing may be answered then.
    ///
    /// # Cancel safety
    /// Safe: a decision that is written although nobody waits any more gets its delivery line.
    pub(crate) async fn record<T: Allowed>(
        &self,
        mut decision: Decision,
        allowed: T,
    ) -> Result<(Recorded<T>, PendingDelivery), AuditUnavailable> {
        decision.allowed = true;
        allowed.describe(&mut decision);
        let entry = match &self.0 {
            None => PendingDelivery::default(),
            Some(handle) => match handle.open(decision).await {
                Ok(entry) => entry,
                Err(unavailable) => {
                    handle.without(unavailable)?;
                    PendingDelivery::default()
                }
            },
        };
        Ok((Recorded::new(allowed), entry))
    }

    /// Writes the line of a read that the gateway does for itself, and returns the proof of it once
    /// the line is on disk.
    ///
    /// # Errors
    /// As for [`AuditLog::record`]. Nothing may be read then.
    ///
    /// # Cancel safety
    /// Safe: the line is written nevertheless, or it is not.
    pub(crate) async fn record_system(
        &self,
        read: SystemRead,
    ) -> Result<Recorded<SystemRead>, AuditUnavailable> {
        if let Some(handle) = &self.0
            && let Err(unavailable) = handle.note_system(&read).await
        {
            handle.without(unavailable)?;
        }
        Ok(Recorded::new(read))
    }

    /// Writes the line of a request that is denied, and returns once it is on disk.
    ///
    /// # Errors
    /// As for [`AuditLog::record`].
    ///
    /// # Cancel safety
    /// Safe: it is written nevertheless, or it is not.
    pub(crate) async fn denied(&self, decision: Decision) -> Result<(), AuditUnavailable> {
        let Some(handle) = &self.0 else {
            return Ok(());
        };
        match handle.deny(decision).await {
            Ok(()) => Ok(()),
            Err(unavailable) => handle.without(unavailable),
        }
    }

    /// Counts a request without a valid credential.
    pub(crate) fn refused(&self, source: IpAddr) {
        if let Some(handle) = &self.0 {
            handle.shared.tally.count(source, Timestamp::now());
        }
    }

    /// Whether requests are refused now, since the log cannot be written.
    pub(crate) fn refuses(&self) -> bool {
        let refuses = |handle: &Arc<Handle>| {
            handle.on_failure == OnFailure::Refuse && handle.shared.outage.is_on()
        };
        self.0.as_ref().is_some_and(refuses)
    }

    /// Number of lines that wait to be written.
    pub(crate) fn waiting(&self) -> usize {
        let waiting = |handle: &Arc<Handle>| handle.shared.queue.len();
        self.0.as_ref().map_or(0, waiting)
    }

    /// Writes and signs the lines that are left, and closes the files. Later lines are not written.
    pub(crate) async fn close(&self) {
        if let Some(handle) = &self.0 {
            handle.shared.queue.close();
            let _ = timeout(MAX_CLOSE_WAIT, handle.over.cancelled()).await;
        }
    }
}

fn places(max_streams: usize) -> usize {
    max_streams.saturating_add(MAX_OTHER_REQUESTS)
}

impl SharedLog {
    /// Notes that so many decisions were carried out and are not in the log.
    fn missed(&self, decisions: u64) {
        if decisions > 0 {
            self.outage.miss(decisions, Timestamp::now());
            self.metrics.unwritten.inc_by(decisions);
        }
    }
}

impl Handle {
    /// Waits for a queue place, which holds room for a request's lines.
    async fn place(&self) -> Result<QueuePlace, AuditUnavailable> {
        if self.shared.outage.is_on() {
            return Err(AuditUnavailable);
        }
        match timeout(MAX_WRITE_WAIT, self.places.take()).await {
            Ok(place) => place.ok_or(AuditUnavailable),
            Err(_) => {
                self.stalled();
                Err(AuditUnavailable)
            }
        }
    }

    async fn open(
        self: &Arc<Self>,
        decision: Decision,
    ) -> Result<PendingDelivery, AuditUnavailable> {
        let place = self.place().await?;
        let (written, seq) = oneshot::channel();
        let mut entry = PendingDelivery {
            open: Some(LoggedDecision {
                handle: Arc::clone(self),
                id: Arc::clone(&decision.id),
                decision: DecisionLine::awaited(seq),
                place,
            }),
            ..PendingDelivery::default()
        };
        self.shared.queue.push(Item::Decision {
            decision: Box::new(decision),
            written,
            _place: None,
        });
        let written = match &mut entry.open {
            Some(open) => self.waited(open.decided()).await,
            None => return Err(AuditUnavailable),
        };
        match (written, self.on_failure) {
            (Some(true), _) => Ok(entry),
            (Some(false), _) => {
                // There is no decision line, so there must be no delivery line either.
                entry.open = None;
                Err(AuditUnavailable)
            }
            (None, OnFailure::Refuse) => {
                entry.status = 503;
                entry.outcome = "audit-unavailable";
                Err(AuditUnavailable)
            }
            // The decision may still get into the log. Then the real end of the request follows it;
            // else the decision counts as missing.
            (None, OnFailure::Serve) => {
                entry.is_carried_out();
                Ok(entry)
            }
        }
    }

    async fn deny(&self, decision: Decision) -> Result<(), AuditUnavailable> {
        let place = self.place().await?;
        let (written, mut seq) = oneshot::channel();
        self.shared.queue.push(Item::Decision {
            decision: Box::new(decision),
            written,
            _place: Some(place),
        });
        match (self.waited(&mut seq).await, self.on_failure) {
            (Some(Ok(_)), _) => Ok(()),
            (Some(Err(_)), _) | (None, OnFailure::Refuse) => Err(AuditUnavailable),
            (None, OnFailure::Serve) => {
                self.shared.queue.push(Item::Answered(seq));
                Ok(())
            }
        }
    }

    async fn note_system(&self, read: &SystemRead) -> Result<(), AuditUnavailable> {
        let _place = self.place().await?;
        let (written, seq) = oneshot::channel();
        self.shared.queue.push(Item::SystemRead {
            read: SystemReadLine {
                purpose: read.purpose().to_owned(),
                pbx: read.pbx().to_owned(),
                recording: read.recording().as_str().to_owned(),
            },
            written,
        });
        match self.waited(seq).await {
            Some(Ok(_)) => Ok(()),
            Some(Err(_)) | None => Err(AuditUnavailable),
        }
    }

    /// Waits for the writer's answer to a decision; `None` where that takes longer than
    /// [`MAX_WRITE_WAIT`].
    async fn waited<F: Future>(&self, told: F) -> Option<F::Output> {
        let mut told = pin!(told);
        if let Ok(told) = timeout(MAX_WRITE_WAIT, told.as_mut()).await {
            return Some(told);
        }
        let is_new = self.stalled();
        // The answer may arrive right now. The writer sends it before it ends the outage: so if the
        // answer is not here after the outage has begun, the end of the outage is still to come. If
        // it is here, the outage that this call began may have missed its end, and is ended here.
        let told = timeout(Duration::ZERO, told).await.ok();
        if told.is_some() && is_new {
            self.shared.outage.end();
        }
        told
    }

    /// Begins an outage, so that nobody else waits for a disk that hangs. The next line that the
    /// disk takes ends it. Returns whether this call has begun it.
    fn stalled(&self) -> bool {
        let is_new = self.shared.outage.begin(Timestamp::now());
        if is_new {
            error!(
                patience = ?MAX_WRITE_WAIT,
                advice = "look at the disk of audit.dir",
                "the disk of the audit log takes too long to write a line"
            );
        }
        is_new
    }

    /// Goes on without a line, if `on_failure` allows that.
    fn without(&self, unavailable: AuditUnavailable) -> Result<(), AuditUnavailable> {
        match self.on_failure {
            OnFailure::Refuse => Err(unavailable),
            OnFailure::Serve => {
                self.shared.missed(1);
                Ok(())
            }
        }
    }
}

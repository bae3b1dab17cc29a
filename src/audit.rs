//! The audit log: who asked for which recording, what was decided, and how much of it they got.
//!
//! Knows that a decision is on disk before anything is answered, and that each one that allows something has the place of its
//! delivery line reserved. Does not know how a decision is made. It needs the names of recordings and people, so it has them as
//! they are; it holds no credential, and nothing of the PBX's.
//!
//! Lines are JSON, chained by hashes ([`chain`]) and signed every minute ([`heads`]); one thread writes them ([`writer`]). What
//! was written is read back by [`verify`], [`report`] and [`story`].

pub(crate) mod chain;
mod entry;
pub(crate) mod files;
pub(crate) mod heads;
pub(crate) mod heard;
pub(crate) mod line;
mod outage;
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
use crate::limits::concurrency::Permits;
use crate::metrics::AuditMetrics;
pub(crate) use entry::Entry;
use entry::Open;
use files::Files;
pub use heads::HeadKey;
pub(crate) use heard::Audio;
pub(crate) use line::{Decision, Start};
use line::{Record, SystemReadLine};
use outage::Outage;
use queue::{DecisionLine, Item, Place, Queue};
pub(crate) use recorded::Allowed;
pub use recorded::{Recorded, RecordedAnswer, RecordedRead, SystemRead};
use tally::Tally;
use writer::Writer;

/// Requests that are neither streams nor waiting for one, such as those that are being denied.
const FURTHER_PLACES: usize = 1024;
/// How long a decision may take to get to the disk.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the last lines may take.
const END_PATIENCE: Duration = Duration::from_secs(10);

/// The decision cannot be written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the audit log cannot be written, and audit.on_failure is \"refuse\"")]
pub(crate) struct Unavailable;

/// The audit log, if there is one. Clones are the same log.
#[derive(Clone, Default)]
pub(crate) struct AuditLog(Option<Arc<Handle>>);

/// Its writer ends when the last of these goes.
struct Handle {
    shared: Arc<Shared>,
    on_failure: OnFailure,
    /// A place for each request that a line may come of.
    places: Permits,
    /// The writer has ended.
    over: CancellationToken,
}

/// What the writer has in common with those who give it lines.
struct Shared {
    queue: Queue,
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
    /// When another process has it; or it cannot be written, unless `on_failure` is `serve`.
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
        let shared = Arc::new(Shared {
            queue: Queue::default(),
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
            places: Permits::new(places(max_streams)),
            over: over.clone(),
        };
        let audit = audit.clone();
        let write = move || Writer::new(audit, shared, opened, over.drop_guard()).run();
        let thread = std::thread::Builder::new().name("audit".to_owned());
        let spawned = thread.spawn(write);
        spawned.map_err(|error| format!("audit: no thread to write it: {error}"))?;
        Ok(Self(Some(Arc::new(handle))))
    }

    /// Makes room for so many streams. Call it within a tokio runtime.
    pub(crate) fn resize(&self, max_streams: usize) {
        if let Some(handle) = &self.0 {
            handle.places.resize(places(max_streams));
        }
    }

    /// Writes down what is in force from now on.
    pub(crate) fn started(&self, start: Start) {
        if let Some(handle) = &self.0 {
            let own = Item::Own(Record::Start(start));
            handle.shared.queue.push(own);
        }
    }

    /// Writes down that a request is allowed, and returns the proof of it once the line is on disk. The fields that the
    /// decision itself knows come from it. The entry writes down how the request ends, whenever it is dropped.
    ///
    /// # Errors
    /// When the line cannot be written. Nothing may be answered then.
    ///
    /// # Cancel safety
    /// Safe: a decision that is written nevertheless has its delivery line.
    pub(crate) async fn record<T: Allowed>(
        &self,
        mut decision: Decision,
        allowed: T,
    ) -> Result<(Recorded<T>, Entry), Unavailable> {
        decision.allowed = true;
        allowed.describe(&mut decision);
        let entry = match &self.0 {
            None => Entry::default(),
            Some(handle) => match handle.open(decision).await {
                Ok(entry) => entry,
                Err(unavailable) => {
                    handle.without(unavailable)?;
                    Entry::default()
                }
            },
        };
        Ok((Recorded::new(allowed), entry))
    }

    /// Writes down that the gateway itself reads a recording, and returns the proof of it once the line is on disk.
    ///
    /// # Errors
    /// As for [`AuditLog::record`]. Nothing may be read then.
    ///
    /// # Cancel safety
    /// Safe: the line is written nevertheless, or it is not.
    pub(crate) async fn record_system(
        &self,
        read: SystemRead,
    ) -> Result<Recorded<SystemRead>, Unavailable> {
        if let Some(handle) = &self.0
            && let Err(unavailable) = handle.note_system(&read).await
        {
            handle.without(unavailable)?;
        }
        Ok(Recorded::new(read))
    }

    /// Writes down that a request is denied, and returns when that is on disk.
    ///
    /// # Errors
    /// As for [`AuditLog::allowed`].
    ///
    /// # Cancel safety
    /// Safe: it is written nevertheless, or it is not.
    pub(crate) async fn denied(&self, decision: Decision) -> Result<(), Unavailable> {
        let Some(handle) = &self.0 else {
            return Ok(());
        };
        match handle.deny(decision).await {
            Ok(()) => Ok(()),
            Err(unavailable) => handle.without(unavailable),
        }
    }

    /// Counts a request that came without a valid credential.
    pub(crate) fn refused(&self, source: IpAddr) {
        if let Some(handle) = &self.0 {
            handle.shared.tally.count(source, Timestamp::now());
        }
    }

    /// Whether requests are refused because it cannot be written.
    pub(crate) fn refuses(&self) -> bool {
        let refuses = |handle: &Arc<Handle>| {
            handle.on_failure == OnFailure::Refuse && handle.shared.outage.is_on()
        };
        self.0.as_ref().is_some_and(refuses)
    }

    /// How many lines wait to be written.
    pub(crate) fn waiting(&self) -> usize {
        let waiting = |handle: &Arc<Handle>| handle.shared.queue.len();
        self.0.as_ref().map_or(0, waiting)
    }

    /// Writes what is left, signs it, and lets the files go. What comes later is not written.
    pub(crate) async fn close(&self) {
        if let Some(handle) = &self.0 {
            handle.shared.queue.close();
            let _ = timeout(END_PATIENCE, handle.over.cancelled()).await;
        }
    }
}

fn places(max_streams: usize) -> usize {
    max_streams.saturating_add(FURTHER_PLACES)
}

impl Shared {
    /// So many decisions were carried out and are not in the log.
    fn missed(&self, decisions: u64) {
        if decisions > 0 {
            self.outage.miss(decisions, Timestamp::now());
            self.metrics.unwritten.inc_by(decisions);
        }
    }
}

impl Handle {
    /// A place for a request's lines, as soon as there is one.
    async fn place(&self) -> Result<Place, Unavailable> {
        if self.shared.outage.is_on() {
            return Err(Unavailable);
        }
        match timeout(PATIENCE, self.places.take()).await {
            Ok(place) => place.ok_or(Unavailable),
            Err(_) => {
                self.stalled();
                Err(Unavailable)
            }
        }
    }

    async fn open(self: &Arc<Self>, decision: Decision) -> Result<Entry, Unavailable> {
        let place = self.place().await?;
        let (written, seq) = oneshot::channel();
        let mut entry = Entry {
            open: Some(Open {
                handle: Arc::clone(self),
                id: decision.id.clone(),
                decision: DecisionLine::awaited(seq),
                place,
            }),
            ..Entry::default()
        };
        self.shared.queue.push(Item::Decision {
            decision: Box::new(decision),
            written,
            _place: None,
        });
        let written = match &mut entry.open {
            Some(open) => self.waited(open.decided()).await,
            None => return Err(Unavailable),
        };
        match (written, self.on_failure) {
            (Some(true), _) => Ok(entry),
            (Some(false), _) => {
                // There is no line of it.
                entry.open = None;
                Err(Unavailable)
            }
            (None, OnFailure::Refuse) => {
                entry.status = 503;
                entry.outcome = "audit-unavailable";
                Err(Unavailable)
            }
            // It may be written yet, and what really becomes of the request behind it.
            (None, OnFailure::Serve) => {
                entry.is_carried_out();
                Ok(entry)
            }
        }
    }

    async fn deny(&self, decision: Decision) -> Result<(), Unavailable> {
        let place = self.place().await?;
        let (written, mut seq) = oneshot::channel();
        self.shared.queue.push(Item::Decision {
            decision: Box::new(decision),
            written,
            _place: Some(place),
        });
        match (self.waited(&mut seq).await, self.on_failure) {
            (Some(Ok(_)), _) => Ok(()),
            (Some(Err(_)), _) | (None, OnFailure::Refuse) => Err(Unavailable),
            (None, OnFailure::Serve) => {
                self.shared.queue.push(Item::Answered(seq));
                Ok(())
            }
        }
    }

    async fn note_system(&self, read: &SystemRead) -> Result<(), Unavailable> {
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
            Some(Err(_)) | None => Err(Unavailable),
        }
    }

    /// What the writer says of a decision; none where that takes too long.
    async fn waited<F: Future>(&self, told: F) -> Option<F::Output> {
        let mut told = pin!(told);
        if let Ok(told) = timeout(PATIENCE, told.as_mut()).await {
            return Some(told);
        }
        let is_new = self.stalled();
        // The writer tells this first and ends the outage then: either its word is here by now, or the end is still to come.
        let told = timeout(Duration::ZERO, told).await.ok();
        if told.is_some() && is_new {
            self.shared.outage.end();
        }
        told
    }

    /// Lets nobody else wait for a disk that hangs. The next line that it takes shows that it does not any more.
    fn stalled(&self) -> bool {
        let is_new = self.shared.outage.begin(Timestamp::now());
        if is_new {
            error!(
                patience = ?PATIENCE,
                advice = "look at the disk of audit.dir",
                "the audit log takes too long to be written"
            );
        }
        is_new
    }

    /// Goes on without a line, where that may be.
    fn without(&self, unavailable: Unavailable) -> Result<(), Unavailable> {
        match self.on_failure {
            OnFailure::Refuse => Err(unavailable),
            OnFailure::Serve => {
                self.shared.missed(1);
                Ok(())
            }
        }
    }
}

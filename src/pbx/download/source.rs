//! The way to an open recording: the permit, the token, the tries, and the second and third
//! opening.
//!
//! Knows the order of permit, token and try, and how long a young recording is waited for. Does not
//! know one try, or what is made of the bytes.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::time::{sleep, timeout_at};

use super::excerpt::Excerpt;
use super::fetch::TicketBroker;
use super::permit::{DownloadPermit, DownloadPermits};
use super::recording_request::RecordingRequest;
use super::stream::PbxStream;
use crate::audit::RecordedRead;
use crate::limits::bandwidth::BandwidthLimit;
use crate::metrics::{Download, PbxMetrics};
use crate::pbx::account::pbx_token::PbxToken;
use crate::pbx::account::token_source::TokenSource;
use crate::pbx::dialect::{Dialect, RefusalClass};
use crate::pbx::error::PbxError;
use crate::pbx::settings::{NotReady, PbxLimits};
use crate::pbx::wire::attempts::Attempts;
use crate::principal::PrincipalId;
use crate::recording::RecordingName;

/// All that it takes to download recordings of one PBX.
pub(in crate::pbx) struct Downloads {
    pub(in crate::pbx) pbx: Arc<str>,
    pub(in crate::pbx) dialect: Arc<dyn Dialect>,
    pub(in crate::pbx) tokens: Arc<TokenSource>,
    pub(in crate::pbx) tickets: Arc<TicketBroker>,
    pub(in crate::pbx) permits: DownloadPermits,
    pub(in crate::pbx) bandwidth: Arc<BandwidthLimit>,
    pub(in crate::pbx) metrics: Arc<PbxMetrics>,
    pub(in crate::pbx) limits: PbxLimits,
    pub(in crate::pbx) not_ready: NotReady,
}

/// A recording whose first connection is open. Only [`Downloads::open`] makes one.
pub(in crate::pbx) struct OpenRecording {
    pub(super) source: RecordingSource,
    pub(super) stream: PbxStream,
}

/// One recording under one permit: it can be opened again and again.
pub(in crate::pbx) struct RecordingSource {
    downloads: Arc<Downloads>,
    recording: RecordingName,
    /// The part that is wanted; the PBX is asked for it where it is trusted with that.
    excerpt: Option<Excerpt>,
    permit: DownloadPermit,
}

impl Downloads {
    /// Opens a recording, or the `excerpt` of it where the PBX gives that out:
    /// [`PbxStream::start`] is where the stream begins.
    ///
    /// A recording of a young call that the PBX does not know, or of which it has nothing yet, is
    /// asked for again after a while, without a permit: it may still be on its way from the call to
    /// the PBX's disk. So is a recording that the PBX is still at work on.
    ///
    /// # Cancel safety
    /// Safe: permit and connection are given back, a ticket may be lost.
    pub(in crate::pbx) async fn open(
        self: &Arc<Self>,
        read: &RecordedRead,
        excerpt: Option<Excerpt>,
    ) -> Result<OpenRecording, PbxError> {
        let recording = read.recording();
        let mut pauses = self.not_ready.retries.iter();
        loop {
            match self.open_in_turn(read, excerpt).await {
                Err(error) if self.may_come(&error, recording) => match pauses.next() {
                    Some(pause) => sleep(*pause).await,
                    None => return Err(self.or_not_ready(error, recording)),
                },
                result => return result,
            }
        }
    }

    /// Opens a recording under a permit, when it is the turn of its reader.
    async fn open_in_turn(
        self: &Arc<Self>,
        read: &RecordedRead,
        excerpt: Option<Excerpt>,
    ) -> Result<OpenRecording, PbxError> {
        let deadline = self.queue_deadline();
        let turn = DownloadPermit::take(&self.permits, read.reader());
        let permit = timeout_at(deadline.into(), turn).await;
        let source = RecordingSource {
            downloads: Arc::clone(self),
            recording: read.recording().clone(),
            excerpt,
            permit: permit.map_err(|_| self.why_saturated())?,
        };
        let stream = source.open(deadline).await?;
        Ok(OpenRecording { source, stream })
    }

    /// The reason why no permit came free: those who have one may wait for a login.
    fn why_saturated(&self) -> PbxError {
        self.tokens.short_pause().unwrap_or(PbxError::Saturated)
    }

    /// The end of a wait that begins now.
    fn queue_deadline(&self) -> Instant {
        Instant::now() + self.limits.queue_timeout
    }

    /// Returns true if the same request may succeed a little later.
    fn may_come(&self, error: &PbxError, recording: &RecordingName) -> bool {
        let is_empty = matches!(error, PbxError::Empty | PbxError::EmptyRecording);
        let is_deleted = error.refusal_class() == Some(RefusalClass::Deleted);
        let is_unsure = is_deleted && self.dialect.deleted_may_be_missing();
        let is_missing = error.is_not_found() || is_empty || is_unsure;
        error.is_busy() || (is_missing && self.is_young(recording))
    }

    /// The error, or [`PbxError::NotReady`] where the recording may come yet.
    fn or_not_ready(&self, error: PbxError, recording: &RecordingName) -> PbxError {
        match self.may_come(&error, recording) && !error.is_busy() {
            true => PbxError::NotReady,
            false => error,
        }
    }

    /// Returns true if a recording may still change: its call began not long ago.
    pub(in crate::pbx) fn is_young(&self, recording: &RecordingName) -> bool {
        let started = recording.call_started();
        let age = started.map(|started| SystemTime::now().duration_since(started));
        // A call that begins in our future: the clocks disagree, and it is young by either.
        age.is_some_and(|age| age.unwrap_or_default() < self.not_ready.window)
    }

    /// The least bytes per second at which the `holder` of a permit has to use it, while others
    /// wait for one.
    pub(in crate::pbx) fn least_pace(&self, holder: &PrincipalId) -> Option<u64> {
        let least = self.limits.min_bytes_per_second;
        (least > 0 && self.permits.queue.has_waiting_beside(holder)).then_some(least)
    }
}

impl RecordingSource {
    /// Opens the recording, as often as that is worth it. A token is waited for until `deadline`.
    async fn open(&self, deadline: Instant) -> Result<PbxStream, PbxError> {
        let mut attempts = Attempts::default();
        loop {
            let token = self.downloads.tokens.token(deadline).await?;
            match self.attempt(&token, &mut attempts).await {
                Ok(stream) => return Ok(stream),
                Err(error) => {
                    let tokens = &self.downloads.tokens;
                    tokens.recover(error, &token, &mut attempts).await?;
                }
            }
        }
    }

    /// Opens the recording once more, for a further pass under the same permit.
    ///
    /// # Cancel safety
    /// As for [`Downloads::open`].
    pub(super) async fn open_again(&self) -> Result<PbxStream, PbxError> {
        let downloads = &self.downloads;
        let deadline = downloads.queue_deadline();
        let mut pauses = downloads.not_ready.retries.iter();
        loop {
            match (self.open(deadline).await, pauses.next()) {
                // The PBX may not have noticed yet that the pass before is over.
                (Err(error), Some(pause)) if error.is_busy() => sleep(*pause).await,
                (opened, _) => {
                    return opened.map_err(|error| downloads.or_not_ready(error, &self.recording));
                }
            }
        }
    }

    /// One ticket, one download.
    async fn attempt(
        &self,
        token: &Arc<PbxToken>,
        attempts: &mut Attempts,
    ) -> Result<PbxStream, PbxError> {
        let Downloads {
            dialect,
            tickets,
            bandwidth,
            metrics,
            ..
        } = &*self.downloads;
        // A part is asked for with the first ticket only: where that fails, the whole may succeed.
        let may_ask = tickets.gives_excerpts() && !attempts.had_ticket();
        let excerpt = self.excerpt.filter(|_| may_ask);
        let request = RecordingRequest::new(&**dialect, &self.recording, excerpt, &self.permit);
        let fetched = tickets.fetch(token, &request, attempts).await;
        let result =
            fetched.and_then(|judged| PbxStream::new(judged, self.permit.clone(), bandwidth));
        metrics.tried(match &result {
            Ok(_) => Download::Begun,
            Err(error) if error.is_not_found() => Download::NotFound,
            Err(PbxError::EmptyRecording) => Download::Empty,
            Err(_) => Download::Failed,
        });
        result
    }

    pub(super) fn pbx(&self) -> &str {
        &self.downloads.pbx
    }

    pub(super) fn metrics(&self) -> &PbxMetrics {
        &self.downloads.metrics
    }

    /// The time for which a recording may stand still once it flows.
    pub(super) fn idle_timeout(&self) -> Duration {
        self.downloads.limits.idle_timeout
    }

    /// The least bytes per second at which the recording has to be read while others wait for the
    /// permit.
    pub(super) fn least_pace(&self) -> Option<u64> {
        self.downloads.least_pace(self.permit.holder())
    }
}

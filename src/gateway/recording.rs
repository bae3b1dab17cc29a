//! The stages that prepare and relay a recording, once its grant is recorded.
//!
//! Knows the order: remembered metadata, then a cache entry or the PBX, then the range. Does not
//! know how any of them works.

mod conditional_request;
mod content_search;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, Response, StatusCode, request};

use super::Gateway;
use super::active_transfers::{ActiveTransfers, PendingTransfer};
use super::answer::AnswerBody;
use super::browser::navigation::{self, is_for_a_person};
use super::downstream::Downstream;
use super::error::GatewayError;
use super::front::Addressed;
use crate::audit::{AudioSpan, Recorded, RecordedAnswer, RecordedRead};
use crate::auth::Credential;
use crate::cache::{Cache, Metadata, Source};
use crate::http::headers::{self, BodyExtent, BrowserCache};
use crate::limits::principal_rate::PrincipalRate;
use crate::limits::streams::{StreamLimit, StreamPermit};
use crate::metrics::Metrics;
use crate::pbx::Pbx;
use crate::policy::Grant;
use crate::relay::access_line::AccessLine;
use crate::relay::{Outcome, RelayBody};
use conditional_request::ConditionalRequest;
use content_search::ContentSearch;

/// The parts that answer requests for recordings, and their limits.
pub(crate) struct Recordings {
    /// The limit on streams that are open at once.
    pub(crate) stream_limit: Arc<StreamLimit>,
    /// The limit on recordings that are read from PBXs for one principal.
    pub(crate) read_limit: Arc<PrincipalRate>,
    pub(crate) cache: Arc<Cache>,
    /// The time that a range waits for the length of a recording, if that is unknown.
    pub(crate) range_wait: Duration,
    /// True if browsers may keep recordings.
    pub(crate) browser_cache: BrowserCache,
    /// The time after which a caller that takes nothing is disconnected.
    pub(crate) downstream_idle: Duration,
    pub(crate) metrics: Arc<Metrics>,
}

/// A recording that is ready to be sent.
pub(super) struct PreparedRecording {
    answer: RecordedAnswer,
    pending: Arc<PendingTransfer>,
    permit: StreamPermit,
    metadata: Arc<Metadata>,
    last_modified: Option<SystemTime>,
    /// True if the query asks for a file to save, rather than to play.
    download: bool,
    content: Content,
}

/// The content of the answer.
enum Content {
    NotModified,
    /// The header fields without the body.
    Head(BodyExtent),
    Bytes(BodyExtent, Box<Source>),
}

impl Recordings {
    /// Opens the recording, and selects the content of the answer.
    ///
    /// # Errors
    /// If a limit is reached, a condition of the request fails, or the recording cannot be read.
    ///
    /// # Cancel safety
    /// Safe: all permits are given back.
    pub(super) async fn prepare(
        &self,
        active: &ActiveTransfers,
        pbx: &Arc<Pbx>,
        grant: &Recorded<Grant>,
        request: &Addressed<'_>,
    ) -> Result<PreparedRecording, GatewayError> {
        let permit = self.stream_limit.open(&grant.principal().id()).await?;
        let pending = active.open(grant);
        let conditional = ConditionalRequest::new(request.head(), grant.recording(), request.now());
        let read = RecordedRead::from(grant);
        let mut search = ContentSearch::new(self, pbx, &read, &conditional);
        let found = search.find().await;
        if let Some(hit) = search.hit().filter(|_| is_served(&found)) {
            self.metrics.hit(hit);
        }
        let (metadata, content) = found?;
        Ok(PreparedRecording {
            last_modified: conditional.last_modified_of(&metadata),
            answer: RecordedAnswer::from(grant),
            pending,
            permit,
            metadata,
            download: request.wants_download(),
            content,
        })
    }
}

/// True if the answer is about the recording itself. Statuses 412 and 416 are.
fn is_served<T>(found: &Result<T, GatewayError>) -> bool {
    let error = found.as_ref().err();
    error.is_none_or(|error| {
        matches!(
            error,
            GatewayError::PreconditionFailed | GatewayError::RangeNotSatisfiable { .. }
        )
    })
}

/// The answer to a request for a recording.
pub(super) fn relay(
    head: &request::Parts,
    prepared: PreparedRecording,
    mut line: AccessLine,
    downstream: &Downstream,
    gateway: &Gateway,
) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::Absent);
    *response.status_mut() = match prepared.content.extent() {
        None => StatusCode::NOT_MODIFIED,
        Some(BodyExtent::Whole(_)) => StatusCode::OK,
        Some(BodyExtent::Part { .. }) => StatusCode::PARTIAL_CONTENT,
    };
    line.status = response.status().as_u16();
    line.audit.end_is_agreed = prepared.metadata.end_is_agreed();
    prepared.fill_headers(head, gateway, response.headers_mut());
    *response.body_mut() = prepared.start_transfer(line, downstream, gateway);
    response
}

impl Content {
    /// The extent of the body; `None` for an answer without one.
    fn extent(&self) -> Option<BodyExtent> {
        match self {
            Self::NotModified => None,
            Self::Head(extent) | Self::Bytes(extent, _) => Some(*extent),
        }
    }
}

impl PreparedRecording {
    fn fill_headers(&self, head: &request::Parts, gateway: &Gateway, fields: &mut HeaderMap) {
        let grant = self.answer.grant();
        let by_link = matches!(grant.principal().credential(), Credential::Link(_));
        let caching = headers::CachingHeaders {
            etag: self.metadata.etag.as_ref(),
            last_modified: self.last_modified,
            by_link,
            cache: gateway.recordings.browser_cache,
        };
        let wave = self.metadata.wave;
        let plays = wave.is_none_or(|wave| wave.plays_in_browsers());
        if !plays {
            navigation::vary(fields);
        }
        match self.content.extent() {
            None => headers::fill_not_modified(fields, &caching),
            Some(body) => headers::fill(
                fields,
                &headers::RecordingHeaders {
                    name: grant.recording(),
                    media_type: self.metadata.media_type(),
                    body,
                    // A browser that navigates to it would show a player that cannot play it.
                    download: self.download || (!plays && is_for_a_person(head)),
                    kept: &caching,
                },
            ),
        }
        if !by_link {
            gateway.frames.fill_recording(fields);
        }
    }

    /// Starts the transfer, if the answer has bytes of the recording.
    fn start_transfer(
        self,
        mut line: AccessLine,
        downstream: &Downstream,
        gateway: &Gateway,
    ) -> AnswerBody {
        let Content::Bytes(extent, source) = self.content else {
            line.outcome = "complete";
            return AnswerBody::Absent;
        };
        line.audit.first = Some(match extent {
            BodyExtent::Whole(_) => 0,
            BodyExtent::Part { first, .. } => first,
        });
        line.audit.audio = audio(&self.metadata);
        line.audit.told_length = self.metadata.told_length();
        let body = RelayBody::new(
            &self.answer,
            *source,
            extent.length(),
            self.permit,
            line,
            gateway.recordings.downstream_idle,
            &downstream.watchdog,
        );
        abort_if_withdrawn(gateway, self.answer.grant(), &self.pending, &body);
        AnswerBody::Recording(body)
    }
}

/// Aborts a transfer whose right was withdrawn while the request was on its way.
///
/// The order matters. The transfer is noted first: an abort from then on reaches it by its handle.
/// Only then the mark of the pending transfer is read: it has every abort from before. Read the
/// other way round, an abort between the two steps would be lost.
fn abort_if_withdrawn(
    gateway: &Gateway,
    grant: &Recorded<Grant>,
    pending: &PendingTransfer,
    body: &RelayBody,
) {
    let (rights, abort_handle) = (&gateway.rights, body.abort_handle());
    rights.active.note(grant, abort_handle.clone());
    if let Some(outcome) = pending.ended() {
        abort_handle.abort(outcome);
    } else if rights.is_withdrawn(grant) {
        // A reload or a revocation from before this request was noted as pending.
        abort_handle.abort(Outcome::Revoked);
    }
}

/// The place of the audio in a recording, as far as its header tells. If the length in the header
/// is not that of the recording, the header is from an earlier state, when the recording was still
/// being written. The end of the audio is unknown then.
fn audio(metadata: &Metadata) -> Option<AudioSpan> {
    let wave = metadata.wave.as_ref()?;
    let begin = wave.data_offset()?;
    let end = wave
        .data_bytes()
        .filter(|_| metadata.told_length().is_some())
        .map(|bytes| begin.saturating_add(bytes.into()));
    Some(AudioSpan {
        begin,
        end,
        bytes_per_second: wave.bytes_per_second(),
    })
}

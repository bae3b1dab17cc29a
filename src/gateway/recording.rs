//! A request for a recording, once it is allowed: what of it is wanted, whether it is wanted at all, and from where.
//!
//! Knows the order: what is known already, then a cache entry or the PBX, then the range. Does not know how any of them works.

mod asked;
mod finding;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{Response, StatusCode, request};
use percent_encoding::percent_decode_str;

use super::Gateway;
use super::active_transfers::{ActiveTransfers, Opening};
use super::answer::AnswerBody;
use super::browser::navigation::{self, is_for_a_person};
use super::downstream::Downstream;
use super::error::GatewayError;
use super::front::Addressed;
use crate::audit::{AudioSpan, Recorded, RecordedAnswer, RecordedRead};
use crate::auth::Credential;
use crate::cache::{Cache, Metadata, Source};
use crate::http::headers::{self, BodyExtent, BrowserCache};
use crate::limits::reads::Reads;
use crate::limits::streams::{Admission, StreamPermit};
use crate::metrics::Metrics;
use crate::pbx::Pbx;
use crate::policy::Grant;
use crate::relay::access_line::AccessLine;
use crate::relay::{Outcome, RelayBody};
use asked::Asked;
use finding::Finding;

/// What recordings are answered from, and the bounds of that.
pub(crate) struct Recordings {
    /// The streams that may be open at once.
    pub(crate) admission: Arc<Admission>,
    /// How many recordings a principal may have read from PBXs per minute.
    pub(crate) reads: Arc<Reads>,
    pub(crate) cache: Arc<Cache>,
    /// How long a range waits for the end of a recording of unknown length.
    pub(crate) range_wait: Duration,
    /// Whether a browser may keep a recording.
    pub(crate) browser_cache: BrowserCache,
    /// How long a caller may take nothing before its connection is cut.
    pub(crate) downstream_idle: Duration,
    pub(crate) metrics: Arc<Metrics>,
}

/// A recording that is ready to be answered.
pub(super) struct Prepared {
    answer: RecordedAnswer,
    opening: Arc<Opening>,
    permit: StreamPermit,
    metadata: Arc<Metadata>,
    last_modified: Option<SystemTime>,
    /// To be saved rather than played, as the query asks.
    download: bool,
    content: Content,
}

enum Content {
    NotModified,
    /// The header fields alone.
    Head(BodyExtent),
    Bytes(BodyExtent, Box<Source>),
}

impl Recordings {
    /// Finds out what to answer, and from where.
    ///
    /// # Errors
    /// When there is no room, or the recording cannot be had.
    ///
    /// # Cancel safety
    /// Safe: everything taken is given back.
    pub(super) async fn prepare(
        &self,
        active: &ActiveTransfers,
        pbx: &Arc<Pbx>,
        grant: &Recorded<Grant>,
        request: &Addressed<'_>,
    ) -> Result<Prepared, GatewayError> {
        let permit = self.admission.admit(&grant.principal().id())?;
        let opening = active.open(grant);
        let asked = Asked::new(request.head(), grant.recording(), request.now());
        let read = RecordedRead::from(grant);
        let mut finding = Finding::new(self, pbx, &read, &asked);
        let found = finding.find().await;
        if let Some(hit) = finding.hit().filter(|_| is_served(&found)) {
            self.metrics.hit(hit);
        }
        let (metadata, content) = found?;
        Ok(Prepared {
            last_modified: asked.last_modified_of(&metadata),
            answer: RecordedAnswer::from(grant),
            opening,
            permit,
            metadata,
            download: request.wants_download(),
            content,
        })
    }
}

/// Whether the answer is that of the recording: 412 and 416 are.
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
    prepared: Prepared,
    mut line: AccessLine,
    downstream: &Downstream,
    gateway: &Gateway,
) -> Response<AnswerBody> {
    let Prepared {
        answer,
        opening,
        permit,
        metadata,
        last_modified,
        download,
        content,
    } = prepared;
    let grant = answer.grant();
    line.audit.end_is_agreed = metadata.end_is_agreed();
    let mut response = Response::new(AnswerBody::Absent);
    let by_link = matches!(grant.principal().credential(), Credential::Link(_));
    let kept = headers::CachingHeaders {
        etag: metadata.etag.as_ref(),
        last_modified,
        by_link,
        cache: gateway.recordings.browser_cache,
    };
    let body = match &content {
        Content::NotModified => None,
        Content::Head(body) | Content::Bytes(body, _) => Some(*body),
    };
    *response.status_mut() = match body {
        None => StatusCode::NOT_MODIFIED,
        Some(BodyExtent::Whole(_)) => StatusCode::OK,
        Some(BodyExtent::Part { .. }) => StatusCode::PARTIAL_CONTENT,
    };
    line.status = response.status().as_u16();
    let fields = response.headers_mut();
    let plays = metadata.wave.is_none_or(|wave| wave.plays_in_browsers());
    if !plays {
        navigation::vary(fields);
    }
    match body {
        None => headers::fill_not_modified(fields, &kept),
        Some(body) => headers::fill(
            fields,
            &headers::RecordingHeaders {
                name: grant.recording(),
                media_type: metadata.media_type(),
                body,
                // A browser that opens it by itself would show a player that cannot play it.
                download: download || (!plays && is_for_a_person(head)),
                kept: &kept,
            },
        ),
    }
    if !by_link {
        gateway.frames.fill_recording(fields);
    }
    if let Content::Bytes(body, source) = content {
        line.audit.first = Some(match body {
            BodyExtent::Whole(_) => 0,
            BodyExtent::Part { first, .. } => first,
        });
        line.audit.audio = audio(&metadata);
        line.audit.told_length = metadata.told_length();
        let watchdog = &downstream.watchdog;
        let idle_timeout = gateway.recordings.downstream_idle;
        let length = body.length();
        let body = RelayBody::new(
            &answer,
            *source,
            length,
            permit,
            line,
            idle_timeout,
            watchdog,
        );
        let cutter = body.cutter();
        gateway.rights.active.note(grant, cutter.clone());
        // In this order: what was deleted, revoked or denied while the request was on its way ends here, what is from now on
        // ends there.
        if let Some(outcome) = opening.ended() {
            cutter.cut(outcome);
        } else if gateway.rights.is_withdrawn(grant) {
            cutter.cut(Outcome::Revoked);
        }
        *response.body_mut() = AnswerBody::Recording(body);
    } else {
        line.outcome = "complete";
    }
    response
}

/// Where the audio stands in a recording, as far as its header tells. Where the length in the header is not
/// the recording's, it is of an earlier state of it, as while it was being written, and nobody knows where the audio ends.
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

/// The parameter `download` has another value than those that it can have, or is there twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("download is neither 1, true, yes nor empty, or it is given more than once")]
pub(crate) struct NotADownload;

/// True where the query asks for the recording as a file to save.
///
/// # Errors
/// When `download` has another value. One that says no is refused as well: another reader may
/// take it for a yes.
pub(super) fn wants_download(head: &request::Parts) -> Result<bool, NotADownload> {
    let decoded = |text| percent_decode_str(text).collect::<Vec<u8>>();
    let query = head.uri.query().unwrap_or_default();
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let mut values = pairs.filter_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name) == b"download").then(|| decoded(value))
    });
    match (values.next().as_deref(), values.next()) {
        (None, _) => Ok(false),
        (Some(b"1" | b"true" | b"yes" | b""), None) => Ok(true),
        _ => Err(NotADownload),
    }
}

#[cfg(test)]
mod tests {
    use http::Request;
    use proptest::prelude::*;

    use super::*;

    fn wants(query: &str) -> Result<bool, NotADownload> {
        let request = Request::builder().uri(format!("/recordings/a.wav?{query}"));
        wants_download(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn a_download_is_asked_for_in_four_ways_and_no_other() {
        for query in ["", "link=a", "x&link=download", "Download=0", "xdownload=0"] {
            assert_eq!(wants(query), Ok(false), "{query}");
        }
        for value in ["=1", "=true", "=yes", "=", "", "=%31", "=tr%75e"] {
            assert_eq!(wants(&format!("download{value}")), Ok(true), "{value}");
            let among = format!("link=a&&download{value}&x");
            assert_eq!(wants(&among), Ok(true), "{value}");
        }
        assert_eq!(wants("%64ownload=1"), Ok(true));
        for value in [
            "0", "no", "false", "off", "2", "11", "TRUE", "Yes", "y", "1+", "%201", "1;", "1=",
            "%ff", "%",
        ] {
            assert_eq!(
                wants(&format!("download={value}")),
                Err(NotADownload),
                "{value}"
            );
        }
        for twice in [
            "download=1&download=1",
            "download&link=a&download=0",
            "download=0&download",
        ] {
            assert_eq!(wants(twice), Err(NotADownload), "{twice}");
        }
    }

    proptest! {
        #[test]
        fn what_is_not_the_parameter_changes_nothing(other in "[a-c=%0-9]{0,20}", value in "[a-z01]{0,4}") {
            let alone = wants(&format!("download={value}"));
            prop_assert_eq!(wants(&format!("{other}&download={value}")), alone);
            prop_assert_eq!(wants(&format!("download={value}&{other}")), alone);
        }
    }
}

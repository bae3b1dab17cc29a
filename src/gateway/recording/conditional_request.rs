//! The conditions and the range of a request, and the part of a recording that they select.
//!
//! Knows conditions and ranges together. Does not know the origin of the bytes, except that it
//! reads some to learn an unknown length.

use std::sync::Arc;
use std::time::SystemTime;

use http::{Method, Version, request};

use super::Content;
use crate::cache::{Metadata, PartRequest, Source};
use crate::gateway::error::GatewayError;
use crate::http::conditions;
use crate::http::conditions::{Evaluation, Validators};
use crate::http::headers::BodyExtent;
use crate::http::range;
use crate::http::range::{RequestedRange, SelectedRange};
use crate::recording::RecordingName;

/// The conditions and the range of a request (RFC 9110 §13 and §14).
pub(super) struct ConditionalRequest<'r> {
    head: &'r request::Parts,
    pub(super) head_only: bool,
    now: SystemTime,
    last_modified: Option<SystemTime>,
}

/// The part of a recording that a request selects.
pub(super) enum PartDecision {
    NotModified,
    Send(BodyExtent),
    /// The part depends on the length, which is unknown.
    NeedsLength(RequestedRange),
}

/// The result for a recording of unknown length: the part, or else its length.
pub(super) enum UnknownLengthPart {
    Part(BodyExtent),
    Length(u64),
}

impl<'r> ConditionalRequest<'r> {
    pub(super) fn new(
        head: &'r request::Parts,
        recording: &RecordingName,
        now: SystemTime,
    ) -> Self {
        Self {
            head,
            head_only: head.method == Method::HEAD,
            now,
            last_modified: conditions::last_modified(recording, now),
        }
    }

    /// True if the answer depends on the unknown length, or on the ETag that comes with it.
    pub(super) fn depends_on_length(&self, metadata: &Metadata) -> bool {
        let is_open = || {
            matches!(
                self.select(metadata, None),
                Ok(PartDecision::NeedsLength(_))
            )
        };
        metadata.length().is_none()
            && (conditions::has_tag_condition(&self.head.headers) || is_open())
    }

    /// The end of the requested bytes in a recording of unknown length, if nothing else in the
    /// answer depends on the length.
    pub(super) fn end(&self, metadata: &Metadata) -> Option<u64> {
        match self.select(metadata, None) {
            Ok(PartDecision::NeedsLength(RequestedRange::Between { first: 1.., last }))
                if !conditions::has_tag_condition(&self.head.headers) =>
            {
                Some(last.saturating_add(1))
            }
            _ => None,
        }
    }

    /// The part to send of a recording of unknown length. If the part needs the length, the length.
    pub(super) async fn part_of_unknown(
        &self,
        source: &mut Source,
        wanted: RequestedRange,
    ) -> Result<UnknownLengthPart, GatewayError> {
        let (first, last) = match wanted {
            // The last bytes begin at an unknown place until the end is read.
            RequestedRange::Last(_) => {
                let length = source.learn_length_at_any_price().await?;
                return Ok(UnknownLengthPart::Length(length));
            }
            RequestedRange::Whole
            | RequestedRange::From(0)
            | RequestedRange::Between { first: 0, .. } => {
                return if self.needs_length() {
                    Err(GatewayError::LengthUnknown)
                } else {
                    Ok(UnknownLengthPart::Part(BodyExtent::Whole(None)))
                };
            }
            RequestedRange::From(first) => (first, u64::MAX),
            RequestedRange::Between { first, last } => (first, last),
        };
        let read = source.read_beyond(first).await?;
        if read <= first {
            return Ok(UnknownLengthPart::Length(read));
        }
        Ok(UnknownLengthPart::Part(BodyExtent::Part {
            first,
            last: last.min(read - 1),
            total: None,
        }))
    }

    /// The date for `Last-Modified`. A recording that may still be written has none: it keeps the
    /// same date when it is completed, so the date does not identify its content.
    pub(super) fn last_modified_of(&self, metadata: &Metadata) -> Option<SystemTime> {
        self.last_modified.filter(|_| !metadata.may_grow)
    }

    /// True if the answer needs a length. HTTP/1.0 ends a body by its length or by closing the
    /// connection, and a broken transfer closes it, too.
    fn needs_length(&self) -> bool {
        self.head.version == Version::HTTP_10 && !self.head_only
    }

    /// The requested part, if it can be read without the beginning of the recording.
    pub(super) fn part_of(&self, metadata: Arc<Metadata>) -> Option<PartRequest> {
        let Ok(PartDecision::Send(BodyExtent::Part { first, last, .. })) =
            self.select(&metadata, None)
        else {
            return None;
        };
        let excerpt = metadata.excerpt(first, last)?;
        Some(PartRequest { metadata, excerpt })
    }

    /// The content of an answer that needs no byte of the recording.
    pub(super) fn without_bytes(
        &self,
        metadata: &Metadata,
    ) -> Result<Option<Content>, GatewayError> {
        Ok(match self.select(metadata, None)? {
            PartDecision::NotModified => Some(Content::NotModified),
            PartDecision::Send(body) if self.head_only => Some(Content::Head(body)),
            PartDecision::Send(_) | PartDecision::NeedsLength(_) => None,
        })
    }

    /// Selects the part of a recording with this metadata. `learned` is its length, if only this
    /// request knows it.
    pub(super) fn select(
        &self,
        metadata: &Metadata,
        learned: Option<u64>,
    ) -> Result<PartDecision, GatewayError> {
        let headers = &self.head.headers;
        let validators = Validators {
            etag: metadata.etag.clone(),
            last_modified: self.last_modified_of(metadata),
        };
        match conditions::evaluate(headers, &validators) {
            Evaluation::Proceed => {}
            Evaluation::NotModified => return Ok(PartDecision::NotModified),
            Evaluation::Failed => return Err(GatewayError::PreconditionFailed),
        }
        let wanted = range::requested_range(headers, !self.head_only, &validators, self.now);
        let Some(length) = metadata.length().or(learned) else {
            return Ok(match wanted {
                RequestedRange::Whole if !self.needs_length() => {
                    PartDecision::Send(BodyExtent::Whole(None))
                }
                wanted => PartDecision::NeedsLength(wanted),
            });
        };
        match wanted.resolve(length) {
            SelectedRange::Whole => Ok(PartDecision::Send(BodyExtent::Whole(Some(length)))),
            SelectedRange::Part { first, last } => Ok(PartDecision::Send(BodyExtent::Part {
                first,
                last,
                total: Some(length),
            })),
            SelectedRange::Unsatisfiable => Err(GatewayError::RangeNotSatisfiable { length }),
        }
    }
}

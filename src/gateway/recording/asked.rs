//! What a request asks of a recording, and what that is of one of which so much is known.
//!
//! Knows conditions and ranges together. Does not know where bytes come from, but for what has to be found out of them.

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

/// What is asked of a recording.
pub(super) struct Asked<'r> {
    head: &'r request::Parts,
    pub(super) head_only: bool,
    now: SystemTime,
    last_modified: Option<SystemTime>,
}

/// What that is of a recording.
pub(super) enum Choice {
    NotModified,
    Send(BodyExtent),
    /// It depends on the length, which is not known.
    Open(RequestedRange),
}

/// What is found out about a recording of unknown length.
pub(super) enum Found {
    Part(BodyExtent),
    Length(u64),
}

impl<'r> Asked<'r> {
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

    /// Whether the answer would be another one if the length were known, and the tag with it.
    pub(super) fn depends_on_length(&self, metadata: &Metadata) -> bool {
        let is_open = || matches!(self.select(metadata, None), Ok(Choice::Open(_)));
        metadata.length().is_none()
            && (conditions::has_tag_condition(&self.head.headers) || is_open())
    }

    /// Where the bytes end that are wanted of a recording of unknown length, where nothing else of the answer depends on that.
    pub(super) fn end(&self, metadata: &Metadata) -> Option<u64> {
        match self.select(metadata, None) {
            Ok(Choice::Open(RequestedRange::Between { first: 1.., last }))
                if !conditions::has_tag_condition(&self.head.headers) =>
            {
                Some(last.saturating_add(1))
            }
            _ => None,
        }
    }

    /// What to send of a recording whose length is not known, or the length where that had to be found.
    pub(super) async fn part_of_unknown(
        &self,
        source: &mut Source,
        wanted: RequestedRange,
    ) -> Result<Found, GatewayError> {
        let (first, last) = match wanted {
            // Nobody knows where it begins before the end has come, and anything else would be another answer.
            RequestedRange::Last(_) => {
                let length = source.learn_length_at_any_price().await?;
                return Ok(Found::Length(length));
            }
            RequestedRange::Whole
            | RequestedRange::From(0)
            | RequestedRange::Between { first: 0, .. } => {
                return if self.needs_length() {
                    Err(GatewayError::LengthUnknown)
                } else {
                    Ok(Found::Part(BodyExtent::Whole(None)))
                };
            }
            RequestedRange::From(first) => (first, u64::MAX),
            RequestedRange::Between { first, last } => (first, last),
        };
        let read = source.read_beyond(first).await?;
        if read <= first {
            return Ok(Found::Length(read));
        }
        Ok(Found::Part(BodyExtent::Part {
            first,
            last: last.min(read - 1),
            total: None,
        }))
    }

    /// None of a recording that may still be being written: it keeps the date when it is completed, so the date does not
    /// stand for its content.
    pub(super) fn last_modified_of(&self, metadata: &Metadata) -> Option<SystemTime> {
        self.last_modified.filter(|_| !metadata.may_grow)
    }

    /// HTTP/1.0 tells the end of an answer by its length or by the end of the connection, and that comes also when it
    /// breaks.
    fn needs_length(&self) -> bool {
        self.head.version == Version::HTTP_10 && !self.head_only
    }

    /// The part of it that is wanted, if it is one of which the beginning is not needed.
    pub(super) fn part_of(&self, metadata: Arc<Metadata>) -> Option<PartRequest> {
        let Ok(Choice::Send(BodyExtent::Part { first, last, .. })) = self.select(&metadata, None)
        else {
            return None;
        };
        let excerpt = metadata.excerpt(first, last)?;
        Some(PartRequest { metadata, excerpt })
    }

    /// The answer where that needs no byte of the recording.
    pub(super) fn without_bytes(
        &self,
        metadata: &Metadata,
    ) -> Result<Option<Content>, GatewayError> {
        Ok(match self.select(metadata, None)? {
            Choice::NotModified => Some(Content::NotModified),
            Choice::Send(body) if self.head_only => Some(Content::Head(body)),
            Choice::Send(_) | Choice::Open(_) => None,
        })
    }

    /// What is wanted of a recording of which so much is known; `learned` is its length where only this request knows it.
    pub(super) fn select(
        &self,
        metadata: &Metadata,
        learned: Option<u64>,
    ) -> Result<Choice, GatewayError> {
        let headers = &self.head.headers;
        let validators = Validators {
            etag: metadata.etag.clone(),
            last_modified: self.last_modified_of(metadata),
        };
        match conditions::evaluate(headers, &validators) {
            Evaluation::Proceed => {}
            Evaluation::NotModified => return Ok(Choice::NotModified),
            Evaluation::Failed => return Err(GatewayError::PreconditionFailed),
        }
        let wanted = range::requested_range(headers, !self.head_only, &validators, self.now);
        let Some(length) = metadata.length().or(learned) else {
            return Ok(match wanted {
                RequestedRange::Whole if !self.needs_length() => {
                    Choice::Send(BodyExtent::Whole(None))
                }
                wanted => Choice::Open(wanted),
            });
        };
        match wanted.resolve(length) {
            SelectedRange::Whole => Ok(Choice::Send(BodyExtent::Whole(Some(length)))),
            SelectedRange::Part { first, last } => Ok(Choice::Send(BodyExtent::Part {
                first,
                last,
                total: Some(length),
            })),
            SelectedRange::Unsatisfiable => Err(GatewayError::RangeNotSatisfiable { length }),
        }
    }
}

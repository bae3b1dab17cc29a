//! Answers: the header fields of a recording, problem documents and pages, and what scripts of other origins see.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use serde_json::Value;

use crate::relay::{BrokenOff, DocumentBody, RelayBody};

/// The body of any answer.
pub(crate) enum AnswerBody {
    /// A small document, whole in memory.
    Document(Full<Bytes>),
    /// A long one.
    List(Box<DocumentBody>),
    /// A recording.
    Recording(RelayBody),
    /// None at all, as the answer to HEAD; of unknown size, so that no length is made up for it.
    Absent,
}

impl AnswerBody {
    /// A body of no bytes, which is told.
    pub(crate) fn empty() -> Self {
        Self::Document(Full::default())
    }
}

/// An answer that is neither a recording nor a list nor a problem, whole in memory.
pub(crate) type Small = Box<Response<AnswerBody>>;

/// A small JSON document.
pub(crate) fn document(status: StatusCode, document: &Value) -> Small {
    let mut response = small(status, document.to_string());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Done, and nothing to say.
pub(crate) fn no_content() -> Small {
    small(StatusCode::NO_CONTENT, String::new())
}

fn small(status: StatusCode, text: String) -> Small {
    let body = AnswerBody::Document(Full::new(Bytes::from(text)));
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Box::new(response)
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match self.get_mut() {
            Self::Document(document) => Pin::new(document)
                .poll_frame(context)
                .map(|frame| frame.map(|frame| frame.map_err(|error: Infallible| match error {}))),
            Self::List(document) => Pin::new(document.as_mut())
                .poll_frame(context)
                .map(|frame| frame.map(|frame| frame.map_err(|error: Infallible| match error {}))),
            Self::Recording(recording) => Pin::new(recording).poll_frame(context),
            Self::Absent => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Document(document) => document.is_end_stream(),
            Self::List(document) => document.is_end_stream(),
            Self::Recording(recording) => recording.is_end_stream(),
            Self::Absent => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Document(document) => document.size_hint(),
            Self::List(document) => document.size_hint(),
            Self::Recording(recording) => recording.size_hint(),
            Self::Absent => SizeHint::default(),
        }
    }
}

//! The body of any answer, and small answers that are whole in memory.
//!
//! Knows which kinds of bodies there are. Does not know what an answer says.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use serde_json::Value;

use crate::relay::{BrokenTransfer, DocumentBody, Pieces, RelayBody};

/// The body of any answer.
pub(crate) enum AnswerBody {
    /// A small document, whole in memory.
    Document(Full<Bytes>),
    /// A long document, sent in pieces.
    List(Box<DocumentBody>),
    /// A recording.
    Recording(RelayBody),
    /// No body, as for HEAD. Its size is unknown, so that hyper adds no Content-Length.
    Absent,
}

impl AnswerBody {
    /// A body of zero bytes, with Content-Length 0.
    pub(crate) fn empty() -> Self {
        Self::Document(Full::default())
    }
}

/// An answer that is neither a recording nor a list nor a problem, whole in memory.
pub(crate) type SmallResponse = Box<Response<AnswerBody>>;

/// A small JSON document.
pub(crate) fn document(status: StatusCode, document: &Value) -> SmallResponse {
    let mut response = small(status, document.to_string());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A success without a body.
pub(crate) fn no_content() -> SmallResponse {
    small(StatusCode::NO_CONTENT, String::new())
}

/// A response of one text, which caches must not keep.
fn small(status: StatusCode, text: String) -> SmallResponse {
    let body = AnswerBody::Document(Full::new(Bytes::from(text)));
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Box::new(response)
}

/// A frame of a body that cannot fail.
fn in_one_piece(
    frame: Option<Result<Frame<Bytes>, Infallible>>,
) -> Option<Result<Frame<Pieces>, BrokenTransfer>> {
    let frame = frame?.map(|frame| frame.map_data(Pieces::from));
    Some(frame.map_err(|error| match error {}))
}

impl Body for AnswerBody {
    type Data = Pieces;
    type Error = BrokenTransfer;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Pieces>, BrokenTransfer>>> {
        match self.get_mut() {
            Self::Document(document) => Pin::new(document).poll_frame(context).map(in_one_piece),
            Self::List(document) => Pin::new(&mut **document)
                .poll_frame(context)
                .map(in_one_piece),
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

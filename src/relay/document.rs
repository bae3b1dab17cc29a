//! The body of a long document that stands in memory, such as a page of a list.
//!
//! Holds the stream permit and the line of the access log until the document is sent, and counts
//! the bytes that the connection took. Does not know what the document says.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::Outcome;
use crate::limits::streams::StreamPermit;
use crate::relay::access_line::AccessLine;

/// The size of one piece of the body, in bytes.
const PIECE_BYTES: usize = 16 * 1024;

/// A document, or the rest of it.
pub(crate) struct DocumentBody {
    rest: Bytes,
    line: AccessLine,
    _permit: StreamPermit,
}

impl DocumentBody {
    pub(crate) fn new(document: Bytes, permit: StreamPermit, line: AccessLine) -> Self {
        Self {
            rest: document,
            line,
            _permit: permit,
        }
    }
}

impl Body for DocumentBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let size = PIECE_BYTES.min(self.rest.len());
        if size == 0 {
            return Poll::Ready(None);
        }
        let piece = self.rest.split_to(size);
        self.line.note_sent(size as u64);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

impl Drop for DocumentBody {
    fn drop(&mut self) {
        let outcome = if self.rest.is_empty() {
            Outcome::Complete
        } else {
            Outcome::DownstreamGone
        };
        self.line.end_transfer(outcome);
    }
}

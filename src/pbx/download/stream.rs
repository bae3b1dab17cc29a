//! One pass over a recording, or over a part of it: the bytes of one connection.
//!
//! Knows when the end of the body is the end of the recording, as far as one pass can tell. Does
//! not know who listens, or what is done when the pass breaks off. Holds everything that has to
//! last as long as the pass: the connection, the permit and the token. Dropping it closes the
//! connection.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::fetch::JudgedResponse;
use super::permit::DownloadPermit;
use crate::limits::bandwidth::{BandwidthLimit, Turns};
use crate::pbx::account::pbx_token::PbxToken;
use crate::pbx::content::sniff::{AudioType, Beginning};
use crate::pbx::error::PbxError;
use crate::pbx::wire::body_end::{BodyEnd, BodyPart, StreamError};
use crate::pbx::wire::pending_response::{PendingResponse, ended_early};

/// The bytes of a recording, or of a part of it, as they come from the PBX.
pub(in crate::pbx) struct PbxStream {
    audio: AudioType,
    /// The end as the head of the answer tells it, counted from the start of the recording.
    framing: BodyEnd,
    /// The byte of the recording at which the pass begins.
    start: u64,
    /// The byte of the recording that comes next.
    position: u64,
    /// `None` once the body has ended.
    response: Option<PendingResponse>,
    turns: Turns,
    _permit: DownloadPermit,
    _token: Arc<PbxToken>,
}

impl PbxStream {
    /// Makes a stream of an answer, which counts within the bandwidth limit.
    ///
    /// # Errors
    /// [`PbxError::NotAudio`].
    pub(in crate::pbx) fn new(
        judged: JudgedResponse,
        permit: DownloadPermit,
        bandwidth: &Arc<BandwidthLimit>,
    ) -> Result<Self, PbxError> {
        let Beginning::Audio(audio) = judged.beginning() else {
            return Err(PbxError::NotAudio);
        };
        Ok(Self {
            audio,
            framing: judged.response.framing().behind(judged.start),
            start: judged.start,
            position: judged.start,
            response: Some(judged.response),
            turns: Turns::new(Arc::clone(bandwidth)),
            _permit: permit,
            _token: judged.token,
        })
    }

    /// The kind of audio, by its content.
    pub(in crate::pbx) fn audio(&self) -> AudioType {
        self.audio
    }

    /// The byte of the recording at which the pass begins: its start, unless a part is given out.
    pub(in crate::pbx) fn start(&self) -> u64 {
        self.start
    }

    /// The end, where HTTP tells and enforces it. The RIFF header is not taken for it: a file may
    /// go on behind the length in its header.
    pub(in crate::pbx) fn known_end(&self) -> Option<BodyEnd> {
        self.framing.length().map(|_| self.framing)
    }

    /// The next part. Nothing comes after an end or an error.
    pub(in crate::pbx) fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<BodyPart, StreamError>> {
        let Some(response) = &mut self.response else {
            return Poll::Ready(Ok(BodyPart::End(self.framing)));
        };
        match ready!(response.poll_data(&mut self.turns, context)) {
            Some(Ok(data)) => {
                self.position += data.len() as u64;
                // Nobody polls again after the last byte of a known length, so the connection is
                // given back here and not at the end of the body.
                if self.framing.length() == Some(self.position)
                    && let Some(response) = self.response.take()
                {
                    response.give_back();
                }
                Poll::Ready(Ok(BodyPart::Bytes(data)))
            }
            end => Poll::Ready(self.end(end.and_then(Result::err)).map(BodyPart::End)),
        }
    }

    /// Notes whether the reader takes the bytes quickly.
    pub(in crate::pbx) fn note_pace(&self, is_quick: bool) {
        if let Some(response) = &self.response {
            response.read_ahead_if(is_quick);
        }
    }

    /// Returns true while the stream waits for its turn, and not for the PBX.
    pub(in crate::pbx) fn waits_its_turn(&self) -> bool {
        self.turns.is_waiting()
    }

    /// Returns true if the bytes given out so far are all, known without asking for more.
    pub(in crate::pbx) fn has_ended(&self) -> bool {
        self.response.is_none() && self.framing.length() == Some(self.position)
    }

    /// Judges the end of the body by how HTTP tells it and by the length in the RIFF header.
    fn end(&mut self, error: Option<io::Error>) -> Result<BodyEnd, StreamError> {
        let response = self.response.take();
        let is_early = error.as_ref().is_none_or(ended_early);
        let is_on_purpose = match self.framing {
            // The end of a connection counts without close_notify, too: embedded servers leave it
            // out, and know no other way to end a body.
            BodyEnd::Close { .. } => is_early,
            // The connection reports a body that lacks bytes or its last chunk.
            _ => error.is_none(),
        };
        if !is_on_purpose {
            return Err(match is_early {
                true => StreamError::Truncated,
                false => StreamError::Broken,
            });
        }
        if let Some(response) = response {
            response.give_back();
        }
        // Without `Content-Length`, a header that fits proves the end. One that does not fit proves
        // nothing: a writer that was stopped leaves the size that it had meant to reach.
        let fits = self.framing.length().is_none() && self.fits_header();
        Ok(if fits {
            BodyEnd::RiffLength(self.position)
        } else {
            self.framing
        })
    }

    /// Returns true if as many bytes have come as the RIFF header says. A chunk of odd length is
    /// followed by one byte that belongs to nothing.
    fn fits_header(&self) -> bool {
        let more = |total: u64| Some((self.position.checked_sub(total)?, total & 1));
        self.audio
            .told_length()
            .and_then(more)
            .is_some_and(|(more, padding)| more <= padding)
    }
}

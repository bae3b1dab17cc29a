//! One try for a recording.
//!
//! Knows what a recording's two calls are, and that only audio is one. Does not know what is tried again or who waits.

use std::net::Ipv4Addr;
use std::sync::Arc;

use crate::limits::bandwidth::Turns;
use crate::metrics::Download;
use crate::pbx::account::token_keeper::PbxToken;
use crate::pbx::content::sniff::Beginning;
use crate::pbx::dialect::{AnswerError, Dialect, Operation, PbxCall};
use crate::pbx::download::excerpt::Excerpt;
use crate::pbx::download::fetch::TicketExchange;
use crate::pbx::download::reading::Asked;
use crate::pbx::download::stream::{Held, PbxStream};
use crate::pbx::error::PbxError;
use crate::pbx::wire::attempts::Attempts;
use crate::pbx::wire::pending_response::PendingResponse;
use crate::pbx::{DownloadPermit, Pbx};
use crate::recording::RecordingName;
use crate::secret::Secret;

/// A recording, as it is asked for.
pub(in crate::pbx) struct RecordingRequest<'r> {
    pub(in crate::pbx) dialect: &'r dyn Dialect,
    pub(in crate::pbx) recording: &'r RecordingName,
    /// The part of it that is wanted, where not the whole is.
    pub(in crate::pbx) excerpt: Option<Excerpt>,
}

impl TicketExchange for RecordingRequest<'_> {
    const TICKET: Operation = Operation::Ticket;
    const DOWNLOAD: Operation = Operation::Download;

    fn ticket(&self, token: &Secret, allowed_ip: Option<Ipv4Addr>) -> PbxCall {
        self.dialect.ticket(token, self.recording, allowed_ip)
    }

    fn read_ticket(&self, body: &[u8]) -> Result<Secret, AnswerError> {
        self.dialect.read_ticket(body, self.recording)
    }

    fn download(&self, token: &Secret, ticket: &Secret) -> PbxCall {
        PbxCall {
            range: self.excerpt.map(|excerpt| (excerpt.first, excerpt.last)),
            ..self.dialect.download(token, self.recording, ticket)
        }
    }

    fn excerpt(&self) -> Option<Excerpt> {
        self.excerpt
    }

    fn read_refusal(&self, object: &[u8]) -> AnswerError {
        self.dialect.read_refusal(object)
    }
}

impl Pbx {
    /// One ticket, one download. A part is asked for with the first ticket only: where that comes to nothing, the whole
    /// may.
    pub(in crate::pbx) async fn attempt(
        &self,
        token: &Arc<PbxToken>,
        asked: &Asked,
        attempts: &mut Attempts,
    ) -> Result<PbxStream, PbxError> {
        let may_ask = self.gives_excerpts() && !attempts.had_ticket();
        let audio = RecordingRequest {
            excerpt: asked.excerpt.filter(|_| may_ask),
            ..self.audio(&asked.recording)
        };
        let fetched = self.fetch(token, &audio, attempts).await;
        let result = fetched.and_then(|fetched| self.stream(fetched, token, &asked.permit));
        self.standing.metrics.tried(match &result {
            Ok(_) => Download::Begun,
            Err(error) if error.is_not_found() => Download::NotFound,
            Err(PbxError::EmptyRecording) => Download::Empty,
            Err(_) => Download::Failed,
        });
        result
    }

    pub(in crate::pbx) fn audio<'r>(
        &'r self,
        recording: &'r RecordingName,
    ) -> RecordingRequest<'r> {
        RecordingRequest {
            dialect: &*self.dialect,
            recording,
            excerpt: None,
        }
    }

    /// What was fetched as a stream, if it is audio.
    pub(in crate::pbx) fn stream(
        &self,
        (beginning, arriving): (Beginning, PendingResponse),
        token: &Arc<PbxToken>,
        permit: &DownloadPermit,
    ) -> Result<PbxStream, PbxError> {
        let Beginning::Audio(audio) = beginning else {
            return Err(PbxError::NotAudio);
        };
        let held = Held {
            _permit: Arc::clone(permit),
            _token: Arc::clone(token),
        };
        let turns = Turns::new(Arc::clone(&self.standing.pace));
        let kept = Arc::clone(&self.kept);
        Ok(PbxStream::new(arriving, audio, kept, held, turns))
    }
}

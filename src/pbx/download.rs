//! One try for a recording.
//!
//! Knows what a recording's two calls are, and that only audio is one. Does not know what is tried again or who waits.

use std::net::Ipv4Addr;
use std::sync::Arc;

use super::arriving::Arriving;
use super::attempts::Attempts;
use super::dialect::{AnswerError, Call, Dialect, Operation};
use super::error::PbxError;
use super::excerpt::Excerpt;
use super::fetch::Ticketed;
use super::reading::Asked;
use super::sniff::Beginning;
use super::stream::{Held, PbxStream};
use super::token::PbxToken;
use super::{Pbx, Permit};
use crate::limits::bandwidth::Turns;
use crate::metrics::Download;
use crate::recording::RecordingName;
use crate::secret::Secret;

/// A recording, as it is asked for.
pub(super) struct Audio<'r> {
    pub(super) dialect: &'r dyn Dialect,
    pub(super) recording: &'r RecordingName,
    /// The part of it that is wanted, where not the whole is.
    pub(super) excerpt: Option<Excerpt>,
}

impl Ticketed for Audio<'_> {
    const TICKET: Operation = Operation::Ticket;
    const DOWNLOAD: Operation = Operation::Download;

    fn ticket(&self, token: &Secret, allowed_ip: Option<Ipv4Addr>) -> Call {
        self.dialect.ticket(token, self.recording, allowed_ip)
    }

    fn read_ticket(&self, body: &[u8]) -> Result<Secret, AnswerError> {
        self.dialect.read_ticket(body, self.recording)
    }

    fn download(&self, token: &Secret, ticket: &Secret) -> Call {
        Call {
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
    pub(super) async fn attempt(
        &self,
        token: &Arc<PbxToken>,
        asked: &Asked,
        attempts: &mut Attempts,
    ) -> Result<PbxStream, PbxError> {
        let may_ask = self.gives_excerpts() && !attempts.had_ticket();
        let audio = Audio {
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

    pub(super) fn audio<'r>(&'r self, recording: &'r RecordingName) -> Audio<'r> {
        Audio {
            dialect: &*self.dialect,
            recording,
            excerpt: None,
        }
    }

    /// What was fetched as a stream, if it is audio.
    pub(super) fn stream(
        &self,
        (beginning, arriving): (Beginning, Arriving),
        token: &Arc<PbxToken>,
        permit: &Permit,
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

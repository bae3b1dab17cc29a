//! The request for one recording.
//!
//! Knows the two calls for a recording. Does not know connections, or what is tried again.

use std::net::Ipv4Addr;

use super::excerpt::Excerpt;
use super::fetch::TicketExchange;
use super::permit::DownloadPermit;
use crate::pbx::dialect::{AnswerError, Dialect, Operation, PbxCall};
use crate::recording::RecordingName;
use crate::secret::Secret;

/// The request for one recording, or for a part of it.
pub(in crate::pbx) struct RecordingRequest<'r> {
    dialect: &'r dyn Dialect,
    recording: &'r RecordingName,
    excerpt: Option<Excerpt>,
}

impl<'r> RecordingRequest<'r> {
    /// The request for the whole recording, or for the `excerpt` of it. It takes a permit to make
    /// one, so that no ticket grows old in the queue.
    pub(in crate::pbx) fn new(
        dialect: &'r dyn Dialect,
        recording: &'r RecordingName,
        excerpt: Option<Excerpt>,
        _permit: &'r DownloadPermit,
    ) -> Self {
        Self {
            dialect,
            recording,
            excerpt,
        }
    }
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

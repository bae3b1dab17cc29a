//! One try for a recording: a ticket, and the download that it is for.
//!
//! Knows the two calls, the connections they go over, and what is audio. Does not know what is tried again or who waits.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use http::StatusCode;
use http::header::TRANSFER_ENCODING;
use tokio::sync::OwnedSemaphorePermit;

use super::answer::{answer_error, read_answer};
use super::attempts::Attempts;
use super::connection::Connection;
use super::dialect::Operation;
use super::error::{PbxError, TransportError};
use super::pace::Turns;
use super::sniff::{self, Beginning};
use super::stream::{Arriving, Held, PbxStream, StreamError};
use super::ticket::Ticket;
use super::token::PbxToken;
use super::transport::MAX_ANSWER_BYTES;
use super::{Pbx, within};
use crate::config::AllowedIp;
use crate::recording::RecordingName;

/// An error object in place of audio is read up to here.
pub(super) const MAX_OBJECT_BYTES: usize = 64 * 1024;

impl Pbx {
    /// One ticket, one download.
    pub(super) async fn attempt(
        &self,
        token: &Arc<PbxToken>,
        recording: &RecordingName,
        attempts: &mut Attempts,
        permit: &Arc<OwnedSemaphorePermit>,
    ) -> Result<PbxStream, PbxError> {
        let limits = &self.config.limits;
        // Only the first try uses a connection twice: the PBX may have closed it by now.
        let first = attempts.begin();
        let kept = if first { self.kept.take() } else { None };
        attempts.note_kept(kept.is_some());
        let mut connection = self.connected(kept, Operation::Ticket).await?;
        let taking = self.take_ticket(&mut connection, token, recording);
        let ticket = within(limits.answer_timeout, Operation::Ticket, "answer", taking).await?;
        attempts.count_ticket();
        let shared = first && self.may_share(&mut connection);
        let open = shared.then_some(connection);
        let downloading = self.download(open, token, recording, ticket, permit);
        let result = within(
            limits.first_byte_timeout,
            Operation::Download,
            "first byte",
            downloading,
        )
        .await;
        if shared && result.as_ref().is_err_and(PbxError::is_broken_connection) {
            self.shares.store(false, Relaxed);
        }
        result
    }

    /// Whether a ticket's connection can be used for what the ticket is for.
    pub(super) fn may_share(&self, connection: &mut Connection) -> bool {
        self.shares.load(Relaxed) && connection.is_idle()
    }

    /// `open`, or a new connection.
    pub(super) async fn connected(
        &self,
        open: Option<Connection>,
        operation: Operation,
    ) -> Result<Connection, PbxError> {
        match open {
            Some(connection) => Ok(connection),
            None => Connection::open(&self.transport)
                .await
                .map_err(|source| PbxError::Transport { operation, source }),
        }
    }

    /// The address that may use a ticket beside ours.
    pub(super) fn allowed_ip(&self, connection: &Connection) -> Result<Option<Ipv4Addr>, PbxError> {
        match (self.config.allowed_ip, connection.own_address()) {
            (AllowedIp::Absent, _) => Ok(None),
            (AllowedIp::Fixed(address), _) => Ok(Some(address)),
            (AllowedIp::Auto, Some(IpAddr::V4(address))) => Ok(Some(address)),
            (AllowedIp::Auto, _) => Err(PbxError::NoOwnAddress),
        }
    }

    pub(super) async fn take_ticket(
        &self,
        connection: &mut Connection,
        token: &Arc<PbxToken>,
        recording: &RecordingName,
    ) -> Result<Ticket, PbxError> {
        let operation = Operation::Ticket;
        let allowed_ip = self.allowed_ip(connection)?;
        let asked = Instant::now();
        let call = self.dialect.ticket(token.text(), recording, allowed_ip);
        let answer = connection
            .call(&self.transport, &call, MAX_ANSWER_BYTES)
            .await;
        let answer = answer.map_err(|source| PbxError::Transport { operation, source })?;
        let text = read_answer(operation, answer, |body| {
            self.dialect.read_ticket(body, recording)
        })?;
        token.touch();
        Ok(Ticket::new(text, asked))
    }

    pub(super) async fn download(
        &self,
        open: Option<Connection>,
        token: &Arc<PbxToken>,
        recording: &RecordingName,
        ticket: Ticket,
        permit: &Arc<OwnedSemaphorePermit>,
    ) -> Result<PbxStream, PbxError> {
        let operation = Operation::Download;
        let mut connection = self.connected(open, operation).await?;
        let ticket = ticket.spend(Instant::now()).ok_or(PbxError::TicketStale)?;
        let call = self.dialect.download(token.text(), recording, &ticket);
        let answer = connection.send(&self.transport, &call).await;
        let (head, body) = answer
            .map_err(|source| PbxError::Transport { operation, source })?
            .into_parts();
        let mut arriving = Arriving::new(
            connection,
            body,
            head.headers.contains_key(TRANSFER_ENCODING),
        );
        let audio = self.judge(head.status, &mut arriving).await?;
        let held = Held {
            _permit: Arc::clone(permit),
            _token: Arc::clone(token),
        };
        let turns = Turns::new(Arc::clone(&self.standing.pace));
        Ok(arriving.into_stream(audio, Arc::clone(&self.kept), held, turns))
    }

    /// Finds out whether the answer is audio before anybody is told so.
    async fn judge(
        &self,
        status: StatusCode,
        arriving: &mut Arriving,
    ) -> Result<sniff::Audio, PbxError> {
        let operation = Operation::Download;
        let broken = |error: StreamError| PbxError::Transport {
            operation,
            source: TransportError::Broken(error.to_string()),
        };
        let status_error = PbxError::Status {
            operation,
            status: status.as_u16(),
        };
        if status.is_redirection() {
            return Err(PbxError::Redirected {
                operation,
                status: status.as_u16(),
            });
        }
        match arriving.beginning().await.map_err(broken)? {
            Beginning::Object => {
                let object = arriving
                    .read_ahead(MAX_OBJECT_BYTES)
                    .await
                    .map_err(broken)?;
                Err(answer_error(operation, self.dialect.read_refusal(&object)))
            }
            // Nobody asked for a part, so nothing but 200 is the recording.
            _ if status != StatusCode::OK => Err(status_error),
            Beginning::Audio(audio) => Ok(audio),
            Beginning::Page => Err(PbxError::Page { operation }),
            Beginning::Empty => Err(PbxError::Empty),
            Beginning::Unknown => Err(PbxError::NotAudio),
        }
    }
}

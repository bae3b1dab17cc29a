//! One try for something behind a ticket: the ticket, and what it is for.
//!
//! Knows the two calls, the connections they go over, and when an answer is an error. Does not know what is fetched, what
//! is tried again or who waits.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use http::header::TRANSFER_ENCODING;
use http::{HeaderMap, StatusCode, response};

use super::answer::{answer_error, read_answer};
use super::arriving::Arriving;
use super::attempts::Attempts;
use super::connection::Connection;
use super::dialect::{AnswerError, Call, Operation};
use super::error::{PbxError, TransportError};
use super::excerpt::Excerpt;
use super::sniff::{Audio, Beginning};
use super::stream::StreamError;
use super::ticket::Ticket;
use super::token::PbxToken;
use super::transport::MAX_ANSWER_BYTES;
use super::{Pbx, within};
use tracing::warn;

use crate::pbx::settings::AllowedIp;
use crate::secret::Secret;

/// An error object in place of what was asked for is read up to here.
const MAX_OBJECT_BYTES: usize = 64 * 1024;

/// What the PBX gives out against a ticket.
pub(super) trait Ticketed: Sync {
    /// The call for a ticket.
    const TICKET: Operation;
    /// The call that spends it.
    const DOWNLOAD: Operation;

    fn ticket(&self, token: &Secret, allowed_ip: Option<Ipv4Addr>) -> Call;
    fn read_ticket(&self, body: &[u8]) -> Result<Secret, AnswerError>;
    fn download(&self, token: &Secret, ticket: &Secret) -> Call;
    /// The part of it that is asked for, where not the whole is.
    fn excerpt(&self) -> Option<Excerpt> {
        None
    }
    /// What an object says that came in place of it.
    fn read_refusal(&self, object: &[u8]) -> AnswerError;
    /// Returns true if an answer without a byte is an answer, where the PBX says so on purpose.
    fn may_be_empty(&self) -> bool {
        false
    }
}

impl Pbx {
    /// One ticket, one download, as far as its first bytes: it is no error.
    pub(super) async fn fetch<T: Ticketed>(
        &self,
        token: &PbxToken,
        what: &T,
        attempts: &mut Attempts,
    ) -> Result<(Beginning, Arriving), PbxError> {
        let (mut connection, is_first) = self.begin(attempts, T::TICKET).await?;
        let limit = self.config.limits.answer_timeout;
        let taking = self.take_ticket(&mut connection, token, what);
        let ticket = within(limit, T::TICKET, "answer", taking).await?;
        attempts.count_ticket();
        let shared = is_first && self.shares.load(Relaxed) && connection.is_idle();
        let open = shared.then_some(connection);
        let limit = self.config.limits.first_byte_timeout;
        let spending = self.spend_ticket(open, token, what, ticket);
        let result = within(limit, T::DOWNLOAD, "first byte", spending).await;
        if shared && result.as_ref().is_err_and(PbxError::is_broken_connection) {
            self.shares.store(false, Relaxed);
        }
        result
    }

    /// Begins a try with a connection, and tells whether it is the first. Only the first goes to a kept one: the PBX may
    /// have closed that by now.
    pub(super) async fn begin(
        &self,
        attempts: &mut Attempts,
        operation: Operation,
    ) -> Result<(Connection, bool), PbxError> {
        let is_first = attempts.begin();
        let kept = is_first.then(|| self.kept.take()).flatten();
        attempts.note_kept(kept.is_some());
        Ok((self.connected(kept, operation).await?, is_first))
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

    pub(super) async fn take_ticket<T: Ticketed>(
        &self,
        connection: &mut Connection,
        token: &PbxToken,
        what: &T,
    ) -> Result<Ticket, PbxError> {
        let operation = T::TICKET;
        let allowed_ip = self.allowed_ip(connection)?;
        let asked = Instant::now();
        let call = what.ticket(token.text(), allowed_ip);
        let answer = connection
            .call(&self.transport, &call, MAX_ANSWER_BYTES)
            .await;
        let answer = answer.map_err(|source| PbxError::Transport { operation, source })?;
        let text = read_answer(operation, answer, |body| what.read_ticket(body))?;
        token.touch();
        Ok(Ticket::new(text, asked))
    }

    /// The address that may use a ticket beside ours.
    fn allowed_ip(&self, connection: &Connection) -> Result<Option<Ipv4Addr>, PbxError> {
        match (self.config.allowed_ip, connection.own_address()) {
            (AllowedIp::Absent, _) => Ok(None),
            (AllowedIp::Fixed(address), _) => Ok(Some(address)),
            (AllowedIp::Auto, Some(IpAddr::V4(address))) => Ok(Some(address)),
            (AllowedIp::Auto, _) => Err(PbxError::NoOwnAddress),
        }
    }

    pub(super) async fn spend_ticket<T: Ticketed>(
        &self,
        open: Option<Connection>,
        token: &PbxToken,
        what: &T,
        ticket: Ticket,
    ) -> Result<(Beginning, Arriving), PbxError> {
        let operation = T::DOWNLOAD;
        let mut connection = self.connected(open, operation).await?;
        let ticket = ticket.spend(Instant::now()).ok_or(PbxError::TicketStale)?;
        let call = what.download(token.text(), &ticket);
        let answer = connection.send(&self.transport, &call).await;
        let answer = answer.map_err(|source| PbxError::Transport { operation, source })?;
        let (head, body) = answer.into_parts();
        let is_chunked = is_chunked(&head.headers);
        let mut arriving = Arriving::new(connection, body, is_chunked);
        let beginning = match self.begin_excerpt(what, &head, &mut arriving)? {
            Some(audio) => Beginning::Audio(audio),
            None => judge(what, head.status, &mut arriving).await?,
        };
        Ok((beginning, arriving))
    }

    /// Notes where an answer begins that is the part that was asked for; `None` where it is to be judged as the whole. A
    /// PBX that gives out another part is asked for the whole from then on.
    fn begin_excerpt<T: Ticketed>(
        &self,
        what: &T,
        head: &response::Parts,
        arriving: &mut Arriving,
    ) -> Result<Option<Audio>, PbxError> {
        let Some(excerpt) = what
            .excerpt()
            .filter(|_| head.status == StatusCode::PARTIAL_CONTENT)
        else {
            return Ok(None);
        };
        if excerpt.is_told_by(&head.headers, arriving.framing) {
            arriving.start = excerpt.first;
            return Ok(Some(excerpt.audio));
        }
        if self.gives_excerpts.swap(false, Relaxed) {
            warn!(
                pbx = self.name(),
                advice = "set upstream_ranges = \"never\" for this PBX",
                "the PBX gave out another part of a recording than it was asked for, and is asked for the whole from now on"
            );
        }
        Err(PbxError::Status {
            operation: T::DOWNLOAD,
            status: head.status.as_u16(),
        })
    }
}

/// Whether a body ends with a last chunk: `chunked` is the last coding, if it is one (RFC 9112 §6.1).
fn is_chunked(headers: &HeaderMap) -> bool {
    let codings = headers.get_all(TRANSFER_ENCODING).iter();
    let mut last = codings.filter_map(|codings| codings.to_str().ok()?.rsplit(',').next());
    last.next_back()
        .is_some_and(|coding| coding.trim().eq_ignore_ascii_case("chunked"))
}

/// Tells an error from what was asked for: that is [`Beginning::Audio`] or [`Beginning::Unknown`],
/// or nothing where that may be.
async fn judge<T: Ticketed>(
    what: &T,
    status: StatusCode,
    arriving: &mut Arriving,
) -> Result<Beginning, PbxError> {
    let operation = T::DOWNLOAD;
    let code = status.as_u16();
    if status.is_redirection() {
        let status = code;
        return Err(PbxError::Redirected { operation, status });
    }
    let broken = |error: StreamError| PbxError::Transport {
        operation,
        source: TransportError::Broken(error.to_string()),
    };
    match arriving.beginning().await.map_err(broken)? {
        Beginning::Object => {
            let object = arriving.read_ahead(MAX_OBJECT_BYTES).await;
            let refusal = what.read_refusal(&object.map_err(broken)?);
            Err(answer_error(operation, refusal))
        }
        // Nothing but 200 is the whole.
        _ if status != StatusCode::OK => {
            let status = code;
            Err(PbxError::Status { operation, status })
        }
        Beginning::Page => Err(PbxError::Page { operation }),
        Beginning::Empty if arriving.is_told_empty() && what.may_be_empty() => Ok(Beginning::Empty),
        Beginning::Empty if arriving.is_told_empty() && operation == Operation::Download => {
            Err(PbxError::EmptyRecording)
        }
        Beginning::Empty => Err(PbxError::Empty),
        beginning @ (Beginning::Audio(_) | Beginning::Unknown) => Ok(beginning),
    }
}

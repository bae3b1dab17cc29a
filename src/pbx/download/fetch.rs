//! One fetch of something that a PBX gives out against a ticket: the ticket, and the answer to it.
//!
//! Knows the two calls, the connections that carry them, and when an answer is an error. Does not
//! know what is fetched, what is tried again or who waits.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use http::StatusCode;
use tracing::warn;

use super::excerpt::Excerpt;
use super::ticket::Ticket;
use crate::pbx::account::pbx_token::PbxToken;
use crate::pbx::content::sniff::Beginning;
use crate::pbx::dialect::{AnswerError, Operation, PbxCall};
use crate::pbx::error::{PbxError, TimeLimit, TransportError};
use crate::pbx::settings::{AllowedIp, PbxSettings, UpstreamRanges};
use crate::pbx::wire::answer::{answer_error, read_answer};
use crate::pbx::wire::attempts::Attempts;
use crate::pbx::wire::body_end::StreamError;
use crate::pbx::wire::connection::PbxConnection;
use crate::pbx::wire::connection_pool::ConnectionPool;
use crate::pbx::wire::http1::ResponseHead;
use crate::pbx::wire::pending_response::PendingResponse;
use crate::pbx::wire::time_limit::within;
use crate::pbx::wire::transport::MAX_ANSWER_BYTES;
use crate::secret::Secret;

/// The limit on an error object that comes in place of the bytes that were asked for.
const MAX_OBJECT_BYTES: usize = 64 * 1024;

/// Two calls to a PBX: one that brings a ticket, and one that spends it.
pub(in crate::pbx) trait TicketExchange: Sync {
    /// The call for a ticket.
    const TICKET: Operation;
    /// The call that spends it.
    const DOWNLOAD: Operation;

    fn ticket(&self, token: &Secret, allowed_ip: Option<Ipv4Addr>) -> PbxCall;
    fn read_ticket(&self, body: &[u8]) -> Result<Secret, AnswerError>;
    fn download(&self, token: &Secret, ticket: &Secret) -> PbxCall;
    /// The part that is asked for; `None` for the whole.
    fn excerpt(&self) -> Option<Excerpt> {
        None
    }
    /// Reads an object that came in place of the bytes that were asked for.
    fn read_refusal(&self, object: &[u8]) -> AnswerError;
    /// Returns true if an answer without a byte is an answer, where the PBX says so on purpose.
    fn may_be_empty(&self) -> bool {
        false
    }
}

/// An answer to a download whose first bytes have been judged: it is no error. Only this file makes
/// one.
pub(in crate::pbx) struct JudgedResponse {
    beginning: Beginning,
    pub(in crate::pbx) response: PendingResponse,
    /// The byte of the recording at which the answer begins.
    pub(in crate::pbx) start: u64,
    /// The token that the answer was got with.
    pub(in crate::pbx) token: Arc<PbxToken>,
}

impl JudgedResponse {
    /// [`Beginning::Audio`], [`Beginning::Unknown`], or [`Beginning::Empty`] where that may be.
    pub(in crate::pbx) fn beginning(&self) -> Beginning {
        self.beginning
    }
}

/// Gets tickets of one PBX and spends them.
pub(in crate::pbx) struct TicketBroker {
    pbx: Arc<str>,
    pool: Arc<ConnectionPool>,
    allowed_ip: AllowedIp,
    answer_timeout: Duration,
    first_byte_timeout: Duration,
    /// The PBX is trusted to give out parts of a recording. False once it has given out another
    /// part than it was asked for.
    gives_excerpts: AtomicBool,
}

impl TicketBroker {
    pub(in crate::pbx) fn new(
        pbx: Arc<str>,
        pool: Arc<ConnectionPool>,
        config: &PbxSettings,
    ) -> Self {
        Self {
            pbx,
            pool,
            allowed_ip: config.allowed_ip,
            answer_timeout: config.limits.answer_timeout,
            first_byte_timeout: config.limits.first_byte_timeout,
            gives_excerpts: AtomicBool::new(config.upstream_ranges == UpstreamRanges::Trust),
        }
    }

    /// Returns true if the PBX is trusted to give out parts of a recording.
    pub(in crate::pbx) fn gives_excerpts(&self) -> bool {
        self.gives_excerpts.load(Relaxed)
    }

    /// Takes one ticket and spends it at once, as far as the first bytes of the answer.
    ///
    /// # Cancel safety
    /// Safe: the connection is closed, and a ticket may be lost.
    pub(in crate::pbx) async fn fetch<T: TicketExchange>(
        &self,
        token: &Arc<PbxToken>,
        exchange: &T,
        attempts: &mut Attempts,
    ) -> Result<JudgedResponse, PbxError> {
        let (mut connection, is_first) = self.pool.begin(attempts, T::TICKET).await?;
        let ticket = self.take_ticket(&mut connection, token, exchange).await?;
        attempts.count_ticket();
        // The download follows its ticket on one connection where this is the first try, no shared
        // connection has failed before, and the PBX left this one open. Else it gets a new one.
        let shares = is_first && self.pool.shares_connections() && connection.is_idle();
        let open = shares.then_some(connection);
        let result = self.spend_ticket(open, exchange, ticket).await;
        // The ticket is lost with the connection. From now on no download shares one, so the next
        // try, which costs another ticket, cannot fail for the same reason.
        if shares && result.as_ref().is_err_and(PbxError::is_broken_connection) {
            self.pool.stop_sharing();
        }
        result
    }

    /// Takes a ticket on a connection of its own.
    pub(in crate::pbx) async fn ticket<T: TicketExchange>(
        &self,
        token: &Arc<PbxToken>,
        exchange: &T,
    ) -> Result<Ticket, PbxError> {
        let mut connection = self.pool.open(T::TICKET).await?;
        self.take_ticket(&mut connection, token, exchange).await
    }

    /// Takes a ticket on this connection, within the limit on an answer.
    async fn take_ticket<T: TicketExchange>(
        &self,
        connection: &mut PbxConnection,
        token: &Arc<PbxToken>,
        exchange: &T,
    ) -> Result<Ticket, PbxError> {
        let operation = T::TICKET;
        let allowed_ip = self.allowed_ip(connection)?;
        let taking = async {
            let requested = Instant::now();
            let call = exchange.ticket(token.text(), allowed_ip);
            let answer = connection.call(&call, MAX_ANSWER_BYTES).await;
            let answer = answer.map_err(|source| PbxError::Transport { operation, source })?;
            let text = read_answer(operation, answer, |body| exchange.read_ticket(body))?;
            token.touch();
            Ok(Ticket::new(text, Arc::clone(token), requested))
        };
        let taken = within(self.answer_timeout, operation, TimeLimit::Answer, taking).await;
        self.pool.count(operation, &taken);
        taken
    }

    /// The address that may use a ticket beside ours.
    fn allowed_ip(&self, connection: &PbxConnection) -> Result<Option<Ipv4Addr>, PbxError> {
        match (self.allowed_ip, connection.own_address()) {
            (AllowedIp::Absent, _) => Ok(None),
            (AllowedIp::Fixed(address), _) => Ok(Some(address)),
            (AllowedIp::Auto, Some(IpAddr::V4(address))) => Ok(Some(address)),
            (AllowedIp::Auto, _) => Err(PbxError::NoOwnAddress),
        }
    }

    /// Spends a ticket, on the `open` connection or on a new one, as far as the first bytes of the
    /// answer, within the limit on them.
    pub(in crate::pbx) async fn spend_ticket<T: TicketExchange>(
        &self,
        open: Option<PbxConnection>,
        exchange: &T,
        ticket: Ticket,
    ) -> Result<JudgedResponse, PbxError> {
        let operation = T::DOWNLOAD;
        let spending = async {
            let mut connection = match open {
                Some(connection) => connection,
                None => self.pool.open(operation).await?,
            };
            // Judged only now: to connect takes time.
            let spent = ticket.spend(Instant::now());
            let (ticket, token) = spent.ok_or(PbxError::TicketStale)?;
            let call = exchange.download(token.text(), &ticket);
            let head = connection.send(&call).await;
            let head = head.map_err(|source| PbxError::Transport { operation, source })?;
            let mut response = PendingResponse::new(connection, Arc::clone(&self.pool), &head);
            let (beginning, start) = match self.find_excerpt(exchange, &head, &response)? {
                Some(excerpt) => (Beginning::Audio(excerpt.audio), excerpt.first),
                None => (judge(exchange, head.status, &mut response).await?, 0),
            };
            Ok(JudgedResponse {
                beginning,
                response,
                start,
                token,
            })
        };
        let limit = self.first_byte_timeout;
        let spent = within(limit, operation, TimeLimit::FirstByte, spending).await;
        self.pool.count(operation, &spent);
        spent
    }

    /// The part that was asked for, if the answer is that part; `None` where the answer is to be
    /// judged as the whole.
    ///
    /// # Errors
    /// When the answer is another part. The PBX is asked for the whole from then on.
    fn find_excerpt<T: TicketExchange>(
        &self,
        exchange: &T,
        head: &ResponseHead,
        response: &PendingResponse,
    ) -> Result<Option<Excerpt>, PbxError> {
        let excerpt = exchange.excerpt();
        let Some(excerpt) = excerpt.filter(|_| head.status == StatusCode::PARTIAL_CONTENT) else {
            return Ok(None);
        };
        if excerpt.is_told_by(&head.headers, response.framing()) {
            return Ok(Some(excerpt));
        }
        if self.gives_excerpts.swap(false, Relaxed) {
            warn!(
                pbx = &*self.pbx,
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

/// Tells an error from the bytes that were asked for.
async fn judge<T: TicketExchange>(
    exchange: &T,
    status: StatusCode,
    response: &mut PendingResponse,
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
    match response.beginning().await.map_err(broken)? {
        Beginning::Object => {
            let object = response.read_ahead(MAX_OBJECT_BYTES).await;
            let refusal = exchange.read_refusal(&object.map_err(broken)?);
            Err(answer_error(operation, refusal))
        }
        // No other status stands for the whole.
        _ if status != StatusCode::OK => {
            let status = code;
            Err(PbxError::Status { operation, status })
        }
        Beginning::Page => Err(PbxError::Page { operation }),
        Beginning::Empty if response.is_told_empty() && exchange.may_be_empty() => {
            Ok(Beginning::Empty)
        }
        Beginning::Empty if response.is_told_empty() && operation == Operation::Download => {
            Err(PbxError::EmptyRecording)
        }
        Beginning::Empty => Err(PbxError::Empty),
        beginning @ (Beginning::Audio(_) | Beginning::Unknown) => Ok(beginning),
    }
}

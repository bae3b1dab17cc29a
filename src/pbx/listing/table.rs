//! A page of a list that the PBX gives out as a table of all its calls.
//!
//! Knows how the table is read, and when it is whole. Does not know its columns.
//!
//! A table that was cut must not look like a short list. It is whole where its end is told, by `Content-Length`, a last
//! chunk or close_notify, and its last row has a line end. Where the end may be that of a process that died, as over
//! plain HTTP, or the last row has none, the table is read once more: two that agree byte by byte are whole.

use std::time::Instant;

use http::StatusCode;
use http::header::TRANSFER_ENCODING;
use jiff::Timestamp;
use tokio::time::timeout;
use tracing::debug;

use super::super::answer::{answer_error, read_answer};
use super::super::attempts::Attempts;
use super::super::connection::Connection;
use super::super::dialect::{Operation, RowError, SSeries, Span};
use super::super::download::MAX_OBJECT_BYTES;
use super::super::error::{PbxError, TransportError};
use super::super::pace::Turns;
use super::super::sniff::Beginning;
use super::super::stream::{Arriving, End, Piece, StreamError};
use super::super::ticket::Ticket;
use super::super::token::PbxToken;
use super::super::transport::MAX_ANSWER_BYTES;
use super::super::{Pbx, within};
use super::choice::{Choice, TableError};
use super::{ListPage, SLACK_S, Visible};
use crate::list::{Order, Position, Query, Second, on_the_wall};

/// Times that any PBX can read: from the epoch to the end of 2099.
const READABLE: (Second, Second) = (0, 4_102_444_799);

/// How often a table is read whose end is not told. Two are needed, and a third where a call was added in between.
const MAX_READINGS: usize = 3;

const TICKET: Operation = Operation::ListTicket;
const DOWNLOAD: Operation = Operation::ListDownload;

/// A table that was read to its end.
struct Table {
    page: ListPage,
    is_whole: bool,
    /// What it is compared by.
    hash: Vec<u8>,
}

impl Pbx {
    /// Reads the table until it is known to be whole.
    pub(super) async fn select(
        &self,
        dialect: &SSeries,
        query: &Query,
        visible: &Visible<'_>,
    ) -> Result<ListPage, PbxError> {
        let span = self.span(query);
        let mut attempts = Attempts::default();
        let mut readings: Vec<Vec<u8>> = Vec::new();
        loop {
            let token = self.keeper.token().await?;
            let reading = self.read_table(dialect, &token, &span, &mut attempts);
            let table = match reading.await {
                Ok(arriving) => self.choose(arriving, query, visible).await,
                Err(error) => Err(error),
            };
            match table {
                Ok(table) if table.is_whole || readings.contains(&table.hash) => {
                    return Ok(table.page);
                }
                Ok(_) if readings.len() + 1 == MAX_READINGS => {
                    return Err(broken(StreamError::Truncated));
                }
                Ok(table) => {
                    debug!(
                        pbx = self.name(),
                        "the table may be cut, so it is read once more"
                    );
                    readings.push(table.hash);
                }
                Err(error) => self.recover(error, &token, &mut attempts).await?,
            }
        }
    }

    /// The time that the PBX is asked about.
    fn span(&self, query: &Query) -> Span {
        let (mut from, mut to) = (
            query.filter.from.unwrap_or(READABLE.0),
            query.filter.to.unwrap_or(READABLE.1),
        );
        match (start_of(query), query.order) {
            (Some(start), Order::Ascending) => from = from.max(start),
            (Some(start), Order::Descending) => to = to.min(start),
            (None, _) => {}
        }
        let clock = |second: Second| {
            let second = second.clamp(READABLE.0, READABLE.1);
            on_the_wall(second, self.time_zone())
        };
        Span {
            start: clock(from.saturating_sub(SLACK_S)),
            end: clock(to.saturating_add(SLACK_S)),
        }
    }

    /// Asks for the ticket of a table, and leaves it at that: a table is work for the PBX.
    pub(super) async fn try_table(
        &self,
        dialect: &SSeries,
        token: &PbxToken,
    ) -> Result<(), PbxError> {
        let now = on_the_wall(Timestamp::now().as_second(), self.time_zone());
        let span = Span {
            start: now,
            end: now,
        };
        let mut connection = self.connected(None, TICKET).await?;
        let taking = self.take_table_ticket(&mut connection, dialect, token, &span);
        let limit = self.config.limits.answer_timeout;
        within(limit, TICKET, "answer", taking).await.map(drop)
    }

    /// One ticket, one table whose first bytes are no error.
    async fn read_table(
        &self,
        dialect: &SSeries,
        token: &PbxToken,
        span: &Span,
        attempts: &mut Attempts,
    ) -> Result<Arriving, PbxError> {
        let limits = &self.config.limits;
        let first = attempts.begin();
        let kept = if first { self.kept.take() } else { None };
        attempts.note_kept(kept.is_some());
        let mut connection = self.connected(kept, TICKET).await?;
        let taking = self.take_table_ticket(&mut connection, dialect, token, span);
        let ticket = within(limits.answer_timeout, TICKET, "answer", taking).await?;
        attempts.count_ticket();
        let open = (first && self.may_share(&mut connection)).then_some(connection);
        let opening = self.open_table(open, dialect, token, span, ticket);
        within(limits.first_byte_timeout, DOWNLOAD, "first byte", opening).await
    }

    async fn take_table_ticket(
        &self,
        connection: &mut Connection,
        dialect: &SSeries,
        token: &PbxToken,
        span: &Span,
    ) -> Result<Ticket, PbxError> {
        let allowed_ip = self.allowed_ip(connection)?;
        let asked = Instant::now();
        let call = dialect.table_ticket(token.text(), span, allowed_ip);
        let answer = connection
            .call(&self.transport, &call, MAX_ANSWER_BYTES)
            .await;
        let answer = answer.map_err(|source| PbxError::Transport {
            operation: TICKET,
            source,
        })?;
        let text = read_answer(TICKET, answer, |body| dialect.read_table_ticket(body))?;
        token.touch();
        Ok(Ticket::new(text, asked))
    }

    async fn open_table(
        &self,
        open: Option<Connection>,
        dialect: &SSeries,
        token: &PbxToken,
        span: &Span,
        ticket: Ticket,
    ) -> Result<Arriving, PbxError> {
        let mut connection = self.connected(open, DOWNLOAD).await?;
        let ticket = ticket.spend(Instant::now()).ok_or(PbxError::TicketStale)?;
        let call = dialect.table(token.text(), span, &ticket);
        let answer = connection.send(&self.transport, &call).await;
        let answer = answer.map_err(|source| PbxError::Transport {
            operation: DOWNLOAD,
            source,
        })?;
        let (head, body) = answer.into_parts();
        let is_chunked = head.headers.contains_key(TRANSFER_ENCODING);
        let mut arriving = Arriving::new(connection, body, is_chunked);
        judge(dialect, head.status, &mut arriving).await?;
        Ok(arriving)
    }

    /// Reads the table and keeps what belongs to the page.
    async fn choose(
        &self,
        mut arriving: Arriving,
        query: &Query,
        visible: &Visible<'_>,
    ) -> Result<Table, PbxError> {
        let mut turns = Turns::new(std::sync::Arc::clone(&self.standing.pace));
        let mut choice = Choice::new(query, self.time_zone(), visible);
        let end = loop {
            let next = timeout(self.config.limits.idle_timeout, arriving.next(&mut turns));
            let next = next.await.map_err(|_| PbxError::Transport {
                operation: DOWNLOAD,
                source: TransportError::Timeout("idle"),
            })?;
            match next.map_err(broken)? {
                Piece::Bytes(bytes) => choice.push(&bytes).map_err(unusable)?,
                Piece::End(end) => break end,
            }
        };
        let chosen = choice.finish().map_err(unusable)?;
        let (pbx, rows, nameless) = (self.name(), chosen.rows, chosen.nameless);
        debug!(pbx, rows, nameless, "the table of calls was read");
        Ok(Table {
            is_whole: end == End::Told && chosen.ends_in_line,
            page: chosen.page,
            hash: chosen.hash,
        })
    }
}

fn start_of(query: &Query) -> Option<Second> {
    match &query.after {
        Some(Position::Start(key)) => Some(key.start),
        Some(Position::Id { .. }) | None => None,
    }
}

/// Finds out whether the answer may be a table.
async fn judge(
    dialect: &SSeries,
    status: StatusCode,
    arriving: &mut Arriving,
) -> Result<(), PbxError> {
    let operation = DOWNLOAD;
    let code = status.as_u16();
    if status.is_redirection() {
        let status = code;
        return Err(PbxError::Redirected { operation, status });
    }
    match arriving.beginning().await.map_err(broken)? {
        Beginning::Object => {
            let object = arriving.read_ahead(MAX_OBJECT_BYTES).await;
            let refusal = dialect.read_table_refusal(&object.map_err(broken)?);
            Err(answer_error(operation, refusal))
        }
        _ if status != StatusCode::OK => {
            let status = code;
            Err(PbxError::Status { operation, status })
        }
        Beginning::Page => Err(PbxError::Page { operation }),
        Beginning::Empty => Err(PbxError::Empty),
        Beginning::Audio(_) | Beginning::Unknown => Ok(()),
    }
}

fn broken(error: StreamError) -> PbxError {
    PbxError::Transport {
        operation: DOWNLOAD,
        source: TransportError::Broken(error.to_string()),
    }
}

fn unusable(error: TableError) -> PbxError {
    let what = match error {
        TableError::Cut => return broken(StreamError::Truncated),
        TableError::Row(RowError::TooLong(_)) => "a row is longer than any row of a list of calls",
        TableError::Row(RowError::NoRecordings) => "it has no column with the names of recordings",
        TableError::Row(RowError::Ragged) => "a row has not as many fields as there are columns",
    };
    let operation = DOWNLOAD;
    PbxError::Unreadable { operation, what }
}

//! A page of a list that the PBX gives out as a table of all its calls.
//!
//! Knows how the table is read, and when it is whole. Does not know its columns.
//!
//! A table that was cut must not look like a short list. It is whole where its end is told, by
//! `Content-Length`, a last chunk or close_notify, and its last row has a line end. Where the end
//! may be that of a process that died, as over plain HTTP, or the last row has none, the table is
//! read once more: two that agree byte by byte are whole. A table of no byte is an empty list where
//! `Content-Length` or a last chunk says so.

use std::net::Ipv4Addr;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::time::timeout;
use tracing::debug;

use super::super::arriving::{Arriving, End, Piece};
use super::super::attempts::Attempts;
use super::super::dialect::{AnswerError, Call, Operation, RowError, SSeries, Span};
use super::super::error::{PbxError, TransportError};
use super::super::fetch::Ticketed;
use super::super::sniff::Beginning;
use super::super::stream::StreamError;
use super::super::token::PbxToken;
use super::super::{Pbx, within};
use super::choice::Choice;
use super::{ListPage, SLACK_S, Visible};
use crate::limits::bandwidth::Turns;
use crate::list::{Order, Position, Query, Second, on_the_wall};
use crate::secret::Secret;

/// Times that any PBX can read: from the epoch to the end of 2099.
const READABLE: (Second, Second) = (0, 4_102_444_799);

/// How often a table is read whose end is not told. Two are needed, and a third where a call was added in between.
const MAX_READINGS: usize = 3;

const TICKET: Operation = Operation::ListTicket;
const DOWNLOAD: Operation = Operation::ListDownload;

/// The calls of a time, as their table is asked for.
struct Calls<'d> {
    dialect: &'d SSeries,
    span: Span,
}

impl Ticketed for Calls<'_> {
    const TICKET: Operation = TICKET;
    const DOWNLOAD: Operation = DOWNLOAD;

    fn ticket(&self, token: &Secret, allowed_ip: Option<Ipv4Addr>) -> Call {
        self.dialect.table_ticket(token, &self.span, allowed_ip)
    }

    fn read_ticket(&self, body: &[u8]) -> Result<Secret, AnswerError> {
        self.dialect.read_table_ticket(body)
    }

    fn download(&self, token: &Secret, ticket: &Secret) -> Call {
        self.dialect.table(token, &self.span, ticket)
    }

    fn read_refusal(&self, object: &[u8]) -> AnswerError {
        self.dialect.read_table_refusal(object)
    }

    /// A PBX that has no calls of that time may write no line at all.
    fn may_be_empty(&self) -> bool {
        true
    }
}

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
        let calls = Calls {
            dialect,
            span: self.span(query),
        };
        let deadline = self.queue_deadline();
        let mut attempts = Attempts::default();
        let mut readings: Vec<Vec<u8>> = Vec::new();
        loop {
            let token = self.keeper.token(deadline).await?;
            let table = match self.fetch(&token, &calls, &mut attempts).await {
                Ok((Beginning::Empty, _)) if readings.is_empty() => return Ok(ListPage::default()),
                Ok((Beginning::Empty, _)) => Err(broken(StreamError::Truncated)),
                Ok((_, arriving)) => self.choose(arriving, query, visible).await,
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
        let calls = Calls { dialect, span };
        let mut connection = self.connected(None, TICKET).await?;
        let taking = self.take_ticket(&mut connection, token, &calls);
        let limit = self.config.limits.answer_timeout;
        within(limit, TICKET, "answer", taking).await.map(drop)
    }

    /// Reads the table and keeps what belongs to the page.
    async fn choose(
        &self,
        mut arriving: Arriving,
        query: &Query,
        visible: &Visible<'_>,
    ) -> Result<Table, PbxError> {
        let mut turns = Turns::new(Arc::clone(&self.standing.pace));
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

fn broken(error: StreamError) -> PbxError {
    PbxError::Transport {
        operation: DOWNLOAD,
        source: TransportError::Broken(error.to_string()),
    }
}

fn unusable(error: RowError) -> PbxError {
    let what = match error {
        RowError::Cut => return broken(StreamError::Truncated),
        RowError::TooLong(_) => "a row is longer than any row of a list of calls",
        RowError::NoRecordings => "it has no column with the names of recordings",
        RowError::Interrupted => "an object or a page stands among its rows",
    };
    let operation = DOWNLOAD;
    PbxError::Unreadable { operation, what }
}

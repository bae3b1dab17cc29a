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
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::time::timeout;
use tracing::debug;

use super::choice::TableSelector;
use super::{ListPage, SLACK_S, Visible};
use crate::limits::bandwidth::{BandwidthLimit, Turns};
use crate::list::{Order, Position, Query, Second, local_time};
use crate::pbx::account::pbx_token::PbxToken;
use crate::pbx::account::token_source::TokenSource;
use crate::pbx::content::sniff::Beginning;
use crate::pbx::dialect::{AnswerError, Operation, PbxCall, SSeries, TableError, TableSpan};
use crate::pbx::download::fetch::{JudgedResponse, TicketBroker, TicketExchange};
use crate::pbx::error::{PbxError, TransportError};
use crate::pbx::wire::attempts::Attempts;
use crate::pbx::wire::body_end::{BodyPart, StreamError};
use crate::secret::Secret;

/// The times that any PBX can read: from the epoch to the end of 2099.
const READABLE_TIMES: (Second, Second) = (0, 4_102_444_799);

/// The number of times that a table is read whose end is not told. It takes two readings, and a
/// third where a call was added in between.
const MAX_READINGS: usize = 3;

const TICKET: Operation = Operation::ListTicket;
const DOWNLOAD: Operation = Operation::ListDownload;

/// The calls of a span of time, as their table is asked for.
struct CallTable<'d> {
    dialect: &'d SSeries,
    span: TableSpan,
}

impl TicketExchange for CallTable<'_> {
    const TICKET: Operation = TICKET;
    const DOWNLOAD: Operation = DOWNLOAD;

    fn ticket(&self, token: &Secret, allowed_ip: Option<Ipv4Addr>) -> PbxCall {
        self.dialect.table_ticket(token, &self.span, allowed_ip)
    }

    fn read_ticket(&self, body: &[u8]) -> Result<Secret, AnswerError> {
        self.dialect.read_table_ticket(body)
    }

    fn download(&self, token: &Secret, ticket: &Secret) -> PbxCall {
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
struct TableReading {
    page: ListPage,
    is_whole: bool,
    /// Two readings are compared by it.
    hash: Vec<u8>,
}

/// Reads the tables of one PBX.
pub(super) struct TableReader {
    pub(super) pbx: Arc<str>,
    pub(super) tokens: Arc<TokenSource>,
    pub(super) tickets: Arc<TicketBroker>,
    pub(super) bandwidth: Arc<BandwidthLimit>,
    pub(super) zone: TimeZone,
    pub(super) queue_timeout: Duration,
    pub(super) idle_timeout: Duration,
}

impl TableReader {
    /// Reads the table until it is known to be whole.
    pub(super) async fn page(
        &self,
        dialect: &SSeries,
        query: &Query,
        visible: &Visible<'_>,
    ) -> Result<ListPage, PbxError> {
        let calls = CallTable {
            dialect,
            span: self.span(query),
        };
        let deadline = Instant::now() + self.queue_timeout;
        let mut attempts = Attempts::default();
        let mut readings: Vec<Vec<u8>> = Vec::new();
        loop {
            let token = self.tokens.token(deadline).await?;
            let table = match self.tickets.fetch(&token, &calls, &mut attempts).await {
                Ok(judged) if judged.beginning() != Beginning::Empty => {
                    self.read(judged, query, visible).await
                }
                Ok(_) if readings.is_empty() => return Ok(ListPage::default()),
                // The reading before had rows.
                Ok(_) => Err(broken(StreamError::Truncated)),
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
                        pbx = &*self.pbx,
                        "the table may be cut, so it is read once more"
                    );
                    readings.push(table.hash);
                }
                Err(error) => self.tokens.recover(error, &token, &mut attempts).await?,
            }
        }
    }

    /// The time that the PBX is asked about.
    fn span(&self, query: &Query) -> TableSpan {
        let (mut from, mut to) = (
            query.filter.from.unwrap_or(READABLE_TIMES.0),
            query.filter.to.unwrap_or(READABLE_TIMES.1),
        );
        match (start_of(query), query.order) {
            (Some(start), Order::Ascending) => from = from.max(start),
            (Some(start), Order::Descending) => to = to.min(start),
            (None, _) => {}
        }
        let clock = |second: Second| {
            let second = second.clamp(READABLE_TIMES.0, READABLE_TIMES.1);
            local_time(second, &self.zone)
        };
        TableSpan {
            start: clock(from.saturating_sub(SLACK_S)),
            end: clock(to.saturating_add(SLACK_S)),
        }
    }

    /// Asks for the ticket of a table, and leaves it at that: a table is work for the PBX.
    pub(super) async fn probe(
        &self,
        dialect: &SSeries,
        token: &Arc<PbxToken>,
    ) -> Result<(), PbxError> {
        let now = local_time(Timestamp::now().as_second(), &self.zone);
        let span = TableSpan {
            start: now,
            end: now,
        };
        let calls = CallTable { dialect, span };
        self.tickets.ticket(token, &calls).await.map(drop)
    }

    /// Reads the table and keeps the rows that belong to the page.
    async fn read(
        &self,
        judged: JudgedResponse,
        query: &Query,
        visible: &Visible<'_>,
    ) -> Result<TableReading, PbxError> {
        let mut response = judged.response;
        let mut turns = Turns::new(Arc::clone(&self.bandwidth));
        let mut selector = TableSelector::new(query, &self.zone, visible);
        let end = loop {
            let next = timeout(self.idle_timeout, response.next(&mut turns));
            let next = next.await.map_err(|_| PbxError::Transport {
                operation: DOWNLOAD,
                source: TransportError::Timeout("idle"),
            })?;
            match next.map_err(broken)? {
                BodyPart::Bytes(bytes) => selector.push(&bytes).map_err(unusable)?,
                BodyPart::End(end) => break end,
            }
        };
        let selection = selector.finish().map_err(unusable)?;
        let (rows, nameless) = (selection.rows, selection.nameless);
        debug!(
            pbx = &*self.pbx,
            rows, nameless, "the table of calls was read"
        );
        Ok(TableReading {
            is_whole: end.is_told() && selection.ends_in_line,
            page: selection.page,
            hash: selection.hash,
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

fn unusable(error: TableError) -> PbxError {
    let what = match error {
        TableError::Cut => return broken(StreamError::Truncated),
        TableError::TooLong(_) => "a row is longer than any row of a list of calls",
        TableError::NoRecordings => "it has no column with the names of recordings",
        TableError::Interrupted => "an object or a page stands among its rows",
    };
    let operation = DOWNLOAD;
    PbxError::Unreadable { operation, what }
}

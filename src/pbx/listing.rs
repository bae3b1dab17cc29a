//! The list of a PBX's recordings: a page of it, whatever the PBX calls a list.
//!
//! Knows the limits that all lists have. Does not know who asks: the caller says which recordings
//! are visible.

mod choice;
mod pages;
mod table;
mod walk;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tracing::warn;

use crate::limits::bandwidth::BandwidthLimit;
use crate::limits::concurrency::ConcurrencyLimit;
use crate::list::{ListEntry, Position, Query, Second, UnreadableRows};
use crate::metrics::PbxMetrics;
use crate::pbx::account::pbx_token::PbxToken;
use crate::pbx::account::token_source::TokenSource;
use crate::pbx::dialect::{Dialect, Lists, Operation};
use crate::pbx::download::fetch::TicketBroker;
use crate::pbx::error::{PbxError, TimeLimit};
use crate::pbx::settings::PbxSettings;
use crate::pbx::wire::connection_pool::ConnectionPool;
use crate::pbx::wire::time_limit::within;
use crate::recording::RecordingName;
use pages::PageReader;
use table::TableReader;

/// The lists of one PBX that are read at once: they cost it more than a download does.
pub(in crate::pbx) const MAX_LISTS: usize = 2;
/// The longest that one list may take, however slowly it comes.
const MAX_TIME: Duration = Duration::from_secs(5 * 60);

/// The margin added at both ends of the time that the PBX is asked about. A day covers a clock that
/// was put back, a `time_zone` that is not the PBX's, and a PBX whose time of a call is not the one
/// in the recording's name.
const SLACK_S: Second = 24 * 60 * 60;

/// Returns true if the caller may see a recording.
pub(crate) type Visible<'v> = dyn Fn(&RecordingName) -> bool + Send + Sync + 'v;

/// One page of a list, in the order of the query.
#[derive(Debug, Default)]
pub(crate) struct ListPage {
    pub(crate) entries: Vec<ListEntry>,
    /// The place where the page ends, if another one follows. A page may be short, or empty, and
    /// lead on.
    pub(crate) next: Option<Position>,
    /// The rows that were left out because they cannot be read.
    pub(crate) unreadable: UnreadableRows,
}

/// The kind of list that a PBX has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListKind {
    /// None.
    Absent,
    /// One that is asked for by time, from and to.
    Windowed,
    /// One that can be read as a whole.
    Open,
}

/// Reads the list of one PBX.
pub(in crate::pbx) struct Lister {
    pbx: Arc<str>,
    dialect: Arc<dyn Dialect>,
    /// Lists that may be read at once; they have no part in the limit of downloads.
    permits: Arc<ConcurrencyLimit>,
    metrics: Arc<PbxMetrics>,
    queue_timeout: Duration,
    tables: TableReader,
    pages: PageReader,
}

impl Lister {
    /// A lister that counts within `permits` and `bandwidth`.
    pub(in crate::pbx) fn new(
        config: &PbxSettings,
        dialect: Arc<dyn Dialect>,
        tokens: &Arc<TokenSource>,
        (pool, tickets): (&Arc<ConnectionPool>, &Arc<TicketBroker>),
        (permits, bandwidth): (&Arc<ConcurrencyLimit>, &Arc<BandwidthLimit>),
        metrics: Arc<PbxMetrics>,
    ) -> Self {
        let pbx: Arc<str> = config.name.as_str().into();
        let (limits, zone) = (&config.limits, &config.time_zone);
        Self {
            tables: TableReader {
                pbx: Arc::clone(&pbx),
                tokens: Arc::clone(tokens),
                tickets: Arc::clone(tickets),
                bandwidth: Arc::clone(bandwidth),
                zone: zone.clone(),
                queue_timeout: limits.queue_timeout,
                idle_timeout: limits.idle_timeout,
            },
            pages: PageReader {
                pbx: Arc::clone(&pbx),
                tokens: Arc::clone(tokens),
                pool: Arc::clone(pool),
                zone: zone.clone(),
                queue_timeout: limits.queue_timeout,
                answer_timeout: limits.answer_timeout,
            },
            pbx,
            dialect,
            permits: Arc::clone(permits),
            metrics,
            queue_timeout: limits.queue_timeout,
        }
    }

    pub(in crate::pbx) fn kind(&self) -> ListKind {
        match self.dialect.lists() {
            Lists::Absent => ListKind::Absent,
            Lists::Table(_) => ListKind::Windowed,
            Lists::Pages(_) => ListKind::Open,
        }
    }

    /// Reads one page of the list.
    ///
    /// # Cancel safety
    /// Safe: permit and connection are given back, a ticket may be lost.
    pub(in crate::pbx) async fn page(
        &self,
        query: &Query,
        visible: &Visible<'_>,
    ) -> Result<ListPage, PbxError> {
        let permit = timeout(self.queue_timeout, self.permits.take()).await;
        let _permit = permit.ok().flatten().ok_or(PbxError::ListsSaturated)?;
        let page = self.read(query, visible).await?;
        self.note_unreadable(&page.unreadable);
        Ok(page)
    }

    async fn read(&self, query: &Query, visible: &Visible<'_>) -> Result<ListPage, PbxError> {
        match self.dialect.lists() {
            // The kind of list is asked for first, so no caller ever gets this error.
            Lists::Absent => Err(PbxError::Unreadable {
                operation: Operation::ListPage,
                what: "this API has no list",
            }),
            Lists::Table(dialect) => {
                let reading = self.tables.page(dialect, query, visible);
                within(MAX_TIME, Operation::ListDownload, TimeLimit::List, reading).await
            }
            Lists::Pages(dialect) => {
                let reading = self.pages.page(dialect, query, visible);
                within(MAX_TIME, Operation::ListPage, TimeLimit::List, reading).await
            }
        }
    }

    fn note_unreadable(&self, unreadable: &UnreadableRows) {
        let UnreadableRows { rows, first } = *unreadable;
        if rows > 0 {
            warn!(
                pbx = &*self.pbx,
                rows, first, "rows of the PBX's list cannot be read, and are left out"
            );
            self.metrics.unreadable(rows);
        }
    }

    /// Asks once for the first page of a list, or for the ticket of a table; `None` where the API
    /// has no list.
    pub(in crate::pbx) async fn probe(
        &self,
        token: &Arc<PbxToken>,
    ) -> Option<Result<(), PbxError>> {
        match self.dialect.lists() {
            Lists::Absent => None,
            Lists::Table(dialect) => Some(self.tables.probe(dialect, token).await),
            Lists::Pages(dialect) => Some(self.pages.probe(dialect, token).await),
        }
    }
}

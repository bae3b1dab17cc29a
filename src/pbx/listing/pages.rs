//! A page of a list that the PBX itself keeps in pages.
//!
//! Knows how many calls a request may cost, and which entries are passed over. Does not know
//! parameters of the PBX.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use tracing::debug;

use super::walk::{PageAddress, PageSummary, Walk, WalkStep};
use super::{ListPage, SLACK_S, Visible};
use crate::list::{ListEntry, ListFilter, ListRow, Order, Query, UnreadableRows};
use crate::pbx::account::pbx_token::PbxToken;
use crate::pbx::account::token_source::TokenSource;
use crate::pbx::dialect::{Operation, PSeries, PageEntry, PbxPage};
use crate::pbx::error::{PbxError, TimeLimit};
use crate::pbx::wire::answer::read_answer;
use crate::pbx::wire::attempts::Attempts;
use crate::pbx::wire::connection_pool::ConnectionPool;
use crate::pbx::wire::time_limit::within;

/// The pages of the PBX that one request may cost. Where they hold few matching entries, the page
/// that is answered is short, and leads on.
const MAX_CALLS: usize = 20;
/// The time after which no further page is asked for.
const MAX_TIME: Duration = Duration::from_secs(20);
/// 100 entries take some 60 KB.
const MAX_PAGE_BYTES: usize = 1024 * 1024;

/// The reason for leaving out an entry by which the place in the list could not be found again.
const NO_ID: &str = "it has no id";

/// A page as the PBX is asked for it.
struct PageRequest<'q> {
    address: PageAddress,
    order: Order,
    filter: &'q ListFilter,
}

/// Widens the filter by time: the PBX goes by its own time of a call, which need not be the one in
/// the name, by which the gateway goes.
fn wider(filter: &ListFilter) -> ListFilter {
    ListFilter {
        from: filter.from.map(|from| from.saturating_sub(SLACK_S)),
        to: filter.to.map(|to| to.saturating_add(SLACK_S)),
        ..filter.clone()
    }
}

/// Reads the pages of one PBX.
pub(super) struct PageReader {
    pub(super) pbx: Arc<str>,
    pub(super) tokens: Arc<TokenSource>,
    pub(super) pool: Arc<ConnectionPool>,
    pub(super) zone: TimeZone,
    pub(super) queue_timeout: Duration,
    pub(super) answer_timeout: Duration,
}

impl PageReader {
    /// Walks along the PBX's pages until there are enough entries, or the request has cost enough.
    pub(super) async fn page(
        &self,
        dialect: &PSeries,
        query: &Query,
        visible: &Visible<'_>,
    ) -> Result<ListPage, PbxError> {
        let begun = Instant::now();
        let mut assembly = PageAssembly {
            query,
            wider: wider(&query.filter),
            visible,
            zone: &self.zone,
            walk: Walk::new(query.order, query.after.as_ref()),
            entries: Vec::new(),
            unreadable: UnreadableRows::default(),
        };
        for calls in 1..=MAX_CALLS {
            let found = self.fetch(dialect, &assembly.request()).await?;
            let step = assembly.take(found)?;
            debug!(pbx = &*self.pbx, calls, "a page of the list was read");
            if step == WalkStep::End {
                return Ok(assembly.finish(false));
            }
            let is_full = assembly.entries.len() >= query.page_size;
            if is_full || begun.elapsed() > MAX_TIME {
                break;
            }
        }
        Ok(assembly.finish(true))
    }

    /// Asks once for the first page.
    pub(super) async fn probe(
        &self,
        dialect: &PSeries,
        token: &Arc<PbxToken>,
    ) -> Result<(), PbxError> {
        let query = Query::everything();
        let request = PageRequest {
            address: PageAddress::FIRST,
            order: query.order,
            filter: &query.filter,
        };
        let mut attempts = Attempts::default();
        let asked = self.ask(dialect, token, &request, &mut attempts);
        asked.await.map(drop)
    }

    /// Asks for a page, as often as that is worth it.
    async fn fetch(
        &self,
        dialect: &PSeries,
        request: &PageRequest<'_>,
    ) -> Result<PbxPage, PbxError> {
        let deadline = Instant::now() + self.queue_timeout;
        let mut attempts = Attempts::default();
        loop {
            let token = self.tokens.token(deadline).await?;
            let asked = self.ask(dialect, &token, request, &mut attempts);
            match asked.await {
                Ok(found) => return Ok(found),
                Err(error) => self.tokens.recover(error, &token, &mut attempts).await?,
            }
        }
    }

    /// Asks for a page once.
    async fn ask(
        &self,
        dialect: &PSeries,
        token: &PbxToken,
        request: &PageRequest<'_>,
        attempts: &mut Attempts,
    ) -> Result<PbxPage, PbxError> {
        let operation = Operation::ListPage;
        let (mut connection, _) = self.pool.begin(attempts, operation).await?;
        let PageRequest {
            address,
            order,
            filter,
        } = request;
        let page = (address.page, address.size);
        let call = dialect.list_page(token.text(), page, *order, filter);
        let asking = async {
            let answer = connection.call(&call, MAX_PAGE_BYTES).await;
            let answer = answer.map_err(|source| PbxError::Transport { operation, source })?;
            read_answer(operation, answer, |body| dialect.read_list_page(body))
        };
        let found = within(self.answer_timeout, operation, TimeLimit::Answer, asking).await;
        self.pool.count(operation, &found);
        let found = found?;
        token.touch();
        self.pool.give_back(connection);
        Ok(found)
    }
}

/// The page that is answered, while it is put together out of pages of the PBX.
struct PageAssembly<'q> {
    query: &'q Query,
    /// The filter that the PBX is asked with.
    wider: ListFilter,
    visible: &'q Visible<'q>,
    zone: &'q TimeZone,
    walk: Walk,
    entries: Vec<ListEntry>,
    unreadable: UnreadableRows,
}

impl PageAssembly<'_> {
    /// The page to ask for next.
    fn request(&self) -> PageRequest<'_> {
        PageRequest {
            address: self.walk.ask(),
            order: self.query.order,
            filter: &self.wider,
        }
    }

    /// Takes the matching entries from a page.
    fn take(&mut self, found: PbxPage) -> Result<WalkStep, PbxError> {
        let ids: Vec<u64> = found.entries.iter().map(|entry| entry.id).collect();
        let looked = self.walk.look(PageSummary {
            ids: &ids,
            rows: found.rows,
            behind: found.behind,
            total: found.total,
            is_refusal: found.is_refusal,
        });
        let looked = looked.map_err(|astray| PbxError::Unreadable {
            operation: Operation::ListPage,
            what: astray.as_str(),
        })?;
        let step = match looked {
            WalkStep::From(next) => self.take_entries(found.entries, next),
            other => other,
        };
        if step == WalkStep::End {
            self.unreadable.add(found.behind, NO_ID);
        }
        Ok(step)
    }

    /// Takes the entries of a page from the `next` one on, until there are enough. Entries without
    /// an id are counted with the one behind them, and those at the end of the list with the end: a
    /// page is seen more than once.
    fn take_entries(&mut self, entries: Vec<PageEntry>, next: usize) -> WalkStep {
        let count = entries.len();
        for (index, entry) in entries.into_iter().enumerate().skip(next) {
            self.walk.pass(entry.id);
            self.unreadable.add(entry.before, NO_ID);
            self.offer(entry.row);
            if self.entries.len() == self.query.page_size && index + 1 < count {
                return WalkStep::Elsewhere;
            }
        }
        self.walk.turn()
    }

    /// Keeps an entry that matches. The filter is applied once more: a PBX may pass over
    /// parameters.
    fn offer(&mut self, row: Option<ListRow>) {
        let Some(entry) = row.and_then(|row| ListEntry::from_row(row, self.zone)) else {
            self.unreadable.add(1, UnreadableRows::NO_NAME);
            return;
        };
        if self.query.filter.matches(&entry) && (self.visible)(&entry.name) {
            self.entries.push(entry);
        }
    }

    fn finish(self, goes_on: bool) -> ListPage {
        let next = self.walk.position().filter(|_| goes_on);
        ListPage {
            entries: self.entries,
            next,
            unreadable: self.unreadable,
        }
    }
}

//! A page of a list that the PBX itself keeps in pages.
//!
//! Knows how many calls a request may cost, and what is passed over. Does not know parameters of the PBX.

use std::time::{Duration, Instant};

use tracing::debug;

use super::super::answer::read_answer;
use super::super::attempts::Attempts;
use super::super::dialect::{FoundEntry, FoundPage, Operation, PSeries};
use super::super::error::PbxError;
use super::super::token::PbxToken;
use super::super::{Pbx, within};
use super::walk::{Answer, Ask, Look, Walk};
use super::{ListPage, SLACK_S, Visible};
use crate::list::{ListEntry, ListFilter, ListRow, Order, Query, UnreadableRows};

/// Pages of the PBX that one request may cost. Where few entries are wanted, its page is short, and leads on.
const MAX_CALLS: usize = 20;
/// After so long no further page is asked for.
const MAX_TIME: Duration = Duration::from_secs(20);
/// 100 entries take some 60 KB.
const MAX_PAGE_BYTES: usize = 1024 * 1024;

/// Why an entry is left out by which the place in the list could not be found again.
const NO_ID: &str = "it has no id";

/// A page as the PBX is asked for it.
pub(super) struct Wanted<'q> {
    ask: Ask,
    order: Order,
    filter: &'q ListFilter,
}

impl<'q> Wanted<'q> {
    pub(super) fn first(query: &'q Query) -> Self {
        Self {
            ask: Ask::FIRST,
            order: query.order,
            filter: &query.filter,
        }
    }
}

/// The PBX goes by its own time of a call, which need not be the one in the name, by which we go.
fn wider(filter: &ListFilter) -> ListFilter {
    ListFilter {
        from: filter.from.map(|from| from.saturating_sub(SLACK_S)),
        to: filter.to.map(|to| to.saturating_add(SLACK_S)),
        ..filter.clone()
    }
}

/// What a request has come to.
struct Gathering<'q> {
    query: &'q Query,
    /// What the PBX is asked for, which is more.
    wider: ListFilter,
    visible: &'q Visible<'q>,
    walk: Walk,
    entries: Vec<ListEntry>,
    unreadable: UnreadableRows,
}

impl Pbx {
    /// Walks along the PBX's pages until there are enough entries, or the request has cost enough.
    pub(super) async fn gather(
        &self,
        dialect: &PSeries,
        query: &Query,
        visible: &Visible<'_>,
    ) -> Result<ListPage, PbxError> {
        let begun = Instant::now();
        let mut gathering = Gathering {
            query,
            wider: wider(&query.filter),
            visible,
            walk: Walk::new(query.order, query.after.as_ref()),
            entries: Vec::new(),
            unreadable: UnreadableRows::default(),
        };
        for calls in 1..=MAX_CALLS {
            let found = self.found_page(dialect, &gathering).await?;
            let look = self.take(found, &mut gathering)?;
            let pbx = self.name();
            debug!(pbx, calls, "a page of the list was read");
            if look == Look::End {
                return Ok(gathering.finish(false));
            }
            let is_full = gathering.entries.len() >= query.page_size;
            if is_full || begun.elapsed() > MAX_TIME {
                break;
            }
        }
        Ok(gathering.finish(true))
    }

    /// Takes what is wanted from a page.
    fn take(&self, found: FoundPage, gathering: &mut Gathering<'_>) -> Result<Look, PbxError> {
        let ids: Vec<u64> = found.entries.iter().map(|entry| entry.id).collect();
        let looked = gathering.walk.look(Answer {
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
        let look = match looked {
            Look::From(next) => gathering.take(found.entries, next, self),
            other => other,
        };
        if look == Look::End {
            gathering.unreadable.add(found.behind, NO_ID);
        }
        Ok(look)
    }

    async fn found_page(
        &self,
        dialect: &PSeries,
        gathering: &Gathering<'_>,
    ) -> Result<FoundPage, PbxError> {
        let wanted = Wanted {
            ask: gathering.walk.ask(),
            order: gathering.query.order,
            filter: &gathering.wider,
        };
        let deadline = self.queue_deadline();
        let mut attempts = Attempts::default();
        loop {
            let token = self.keeper.token(deadline).await?;
            let asked = self.ask_page(dialect, &token, &wanted, &mut attempts);
            match asked.await {
                Ok(found) => return Ok(found),
                Err(error) => self.recover(error, &token, &mut attempts).await?,
            }
        }
    }

    pub(super) async fn ask_page(
        &self,
        dialect: &PSeries,
        token: &PbxToken,
        wanted: &Wanted<'_>,
        attempts: &mut Attempts,
    ) -> Result<FoundPage, PbxError> {
        let operation = Operation::ListPage;
        let (mut connection, _) = self.begin(attempts, operation).await?;
        let Wanted { ask, order, filter } = wanted;
        let page = (ask.page, ask.size);
        let call = dialect.list_page(token.text(), page, *order, filter);
        let answer = async {
            let answer = connection
                .call(&self.transport, &call, MAX_PAGE_BYTES)
                .await;
            answer.map_err(|source| PbxError::Transport { operation, source })
        };
        let limit = self.config.limits.answer_timeout;
        let answer = within(limit, operation, "answer", answer).await?;
        let found = read_answer(operation, answer, |body| dialect.read_list_page(body))?;
        token.touch();
        self.kept.put(connection);
        Ok(found)
    }
}

impl Gathering<'_> {
    /// Takes the entries of a page from the `next` one on, until there are enough. Entries without
    /// an id are counted with the one behind them, and those at the end of the list with the end: a
    /// page is seen more than once.
    fn take(&mut self, entries: Vec<FoundEntry>, next: usize, pbx: &Pbx) -> Look {
        let count = entries.len();
        for (index, entry) in entries.into_iter().enumerate().skip(next) {
            self.walk.pass(entry.id);
            self.unreadable.add(entry.before, NO_ID);
            self.offer(entry.row, pbx);
            if self.entries.len() == self.query.page_size && index + 1 < count {
                return Look::Elsewhere;
            }
        }
        self.walk.turn()
    }

    /// The filter is applied once more: a PBX may pass over parameters.
    fn offer(&mut self, row: Option<ListRow>, pbx: &Pbx) {
        let Some(entry) = row.and_then(|row| ListEntry::from_row(row, pbx.time_zone())) else {
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

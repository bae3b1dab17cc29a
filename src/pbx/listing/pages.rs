//! A page of a list that the PBX itself keeps in pages.
//!
//! Knows how many calls a request may cost, and what is passed over. Does not know parameters of the PBX.

use std::time::{Duration, Instant};

use tracing::debug;

use super::super::answer::read_answer;
use super::super::attempts::Attempts;
use super::super::dialect::{FoundPage, Operation, PSeries};
use super::super::error::PbxError;
use super::super::token::PbxToken;
use super::super::{Pbx, within};
use super::walk::{Look, Walk};
use super::{ListPage, Visible};
use crate::list::{Entry, Query, Row};

/// Pages of the PBX that one request may cost. Where few entries are wanted, its page is short, and leads on.
const MAX_CALLS: usize = 20;
/// After so long no further page is asked for.
const MAX_TIME: Duration = Duration::from_secs(20);
/// 100 entries take some 60 KB.
const MAX_PAGE_BYTES: usize = 1024 * 1024;

/// What a request has come to.
struct Gathering<'q> {
    query: &'q Query,
    visible: &'q Visible<'q>,
    walk: Walk,
    entries: Vec<Entry>,
    /// Entries that no path of ours can name.
    nameless: u64,
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
            visible,
            walk: Walk::new(query.order, query.after.as_ref()),
            entries: Vec::new(),
            nameless: 0,
        };
        for calls in 1..=MAX_CALLS {
            let page = gathering.walk.page();
            let found = self.found_page(dialect, page, query).await?;
            let look = self.take(found, &mut gathering)?;
            let (pbx, nameless) = (self.name(), gathering.nameless);
            debug!(pbx, calls, nameless, "a page of the list was read");
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
        let ids: Vec<u64> = found.entries.iter().map(|(id, _)| *id).collect();
        let looked = gathering.walk.look(&ids, found.total);
        let looked = looked.map_err(|_| PbxError::Unreadable {
            operation: Operation::ListPage,
            what: "its entries are not in the order that was asked for",
        })?;
        let Look::From(next) = looked else {
            return Ok(looked);
        };
        let count = ids.len();
        for (index, (id, row)) in found.entries.into_iter().enumerate().skip(next) {
            gathering.walk.pass(id);
            gathering.offer(row, self);
            if gathering.entries.len() == gathering.query.page_size && index + 1 < count {
                return Ok(Look::Elsewhere);
            }
        }
        Ok(gathering.walk.turn(count))
    }

    async fn found_page(
        &self,
        dialect: &PSeries,
        page: u64,
        query: &Query,
    ) -> Result<FoundPage, PbxError> {
        let mut attempts = Attempts::default();
        loop {
            let token = self.keeper.token().await?;
            let asked = self.ask_page(dialect, &token, page, query, &mut attempts);
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
        page: u64,
        query: &Query,
        attempts: &mut Attempts,
    ) -> Result<FoundPage, PbxError> {
        let operation = Operation::ListPage;
        // Only the first try goes to a connection that the PBX may have closed by now.
        let kept = if attempts.begin() {
            self.kept.take()
        } else {
            None
        };
        attempts.note_kept(kept.is_some());
        let mut connection = self.connected(kept, operation).await?;
        let call = dialect.list_page(token.text(), page, query.order, &query.filter);
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
    /// The filter is applied once more: a PBX may pass over parameters.
    fn offer(&mut self, row: Row, pbx: &Pbx) {
        let Some(entry) = Entry::of(row, pbx.time_zone()) else {
            self.nameless += 1;
            return;
        };
        if self.query.filter.wants(&entry) && (self.visible)(&entry.name) {
            self.entries.push(entry);
        }
    }

    fn finish(self, goes_on: bool) -> ListPage {
        let next = self.walk.position().filter(|_| goes_on);
        ListPage {
            entries: self.entries,
            next,
        }
    }
}

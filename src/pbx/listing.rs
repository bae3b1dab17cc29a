//! The list of a PBX's recordings: a page of it, whatever the PBX calls a list.
//!
//! Knows the limits that all lists have. Does not know who asks: whoever does says which recordings are visible.

mod choice;
mod pages;
mod table;
mod walk;

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::time::timeout;
use tracing::warn;

use super::attempts::Attempts;
use super::dialect::{Lists, Operation};
use super::error::{PbxError, WHOLE_LIST};
use super::token::PbxToken;
use super::{Pbx, within};
use crate::list::{ListEntry, Position, Query, Second, UnreadableRows};
use crate::recording::RecordingName;
use pages::Wanted;

/// Lists of one PBX that are read at once: they cost it more than a download does.
pub(super) const MAX_LISTS: usize = 2;
/// The longest that one list may take, however it trickles.
const MAX_TIME: Duration = Duration::from_secs(5 * 60);

/// How much more of the PBX's time is asked for than was asked of us. The day makes good a clock that was put back, a
/// `time_zone` that is not the PBX's, and a PBX whose time of a call is not the one in the recording's name.
const SLACK_S: Second = 24 * 60 * 60;

/// Whether whoever asks may see a recording.
pub(crate) type Visible<'v> = dyn Fn(&RecordingName) -> bool + Send + Sync + 'v;

/// One page of a list, in the order that was asked for.
#[derive(Debug, Default)]
pub(crate) struct ListPage {
    pub(crate) entries: Vec<ListEntry>,
    /// Where it ends, if another one follows. A page may be short, or empty, and lead on.
    pub(crate) next: Option<Position>,
    /// The rows that were left out because they cannot be read.
    pub(crate) unreadable: UnreadableRows,
}

/// What lists a PBX has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListKind {
    /// None.
    Absent,
    /// One that is asked for by time, from and to.
    Windowed,
    /// One that can be had whole.
    Open,
}

impl Pbx {
    pub(crate) fn list_kind(&self) -> ListKind {
        match self.dialect.lists() {
            Lists::Absent => ListKind::Absent,
            Lists::Table(_) => ListKind::Windowed,
            Lists::Pages(_) => ListKind::Open,
        }
    }

    /// The zone of the PBX's clocks.
    pub(crate) fn time_zone(&self) -> &TimeZone {
        &self.config.time_zone
    }

    /// Whether a request that names no PBX means this one for a recording made `now`.
    pub(crate) fn holds_new(&self, now: SystemTime) -> bool {
        let now = Timestamp::try_from(now).unwrap_or(Timestamp::UNIX_EPOCH);
        let clock = self.time_zone().to_datetime(now);
        self.config.names.holds_time(clock)
    }

    /// Reads one page of the list.
    ///
    /// # Cancel safety
    /// Safe: permit and connection are given back, a ticket may be lost.
    pub(crate) async fn list(
        &self,
        query: &Query,
        visible: &Visible<'_>,
    ) -> Result<ListPage, PbxError> {
        let _waiting = self.standing.waiting.try_take().ok_or(PbxError::Crowded)?;
        let permit = timeout(self.config.limits.queue_timeout, self.standing.lists.take()).await;
        let _permit = permit.ok().flatten().ok_or(PbxError::ListsSaturated)?;
        let page = self.read_list(query, visible).await;
        self.standing.health.note_list(&page);
        if let Ok(page) = &page {
            self.note_unreadable(&page.unreadable);
        }
        page
    }

    fn note_unreadable(&self, unreadable: &UnreadableRows) {
        let UnreadableRows { rows, first } = *unreadable;
        if rows > 0 {
            let pbx = self.name();
            warn!(
                pbx,
                rows, first, "rows of the PBX's list cannot be read, and are left out"
            );
            self.standing.metrics.unreadable(rows);
        }
    }

    /// Asks once for what a list begins with; `None` where the API has no list.
    pub(super) async fn try_list(&self, token: &PbxToken) -> Option<Result<(), PbxError>> {
        match self.dialect.lists() {
            Lists::Absent => None,
            Lists::Table(dialect) => Some(self.try_table(dialect, token).await),
            Lists::Pages(dialect) => {
                let (query, mut attempts) = (Query::everything(), Attempts::default());
                let wanted = Wanted::first(&query);
                let asked = self.ask_page(dialect, token, &wanted, &mut attempts);
                Some(asked.await.map(drop))
            }
        }
    }

    async fn read_list(&self, query: &Query, visible: &Visible<'_>) -> Result<ListPage, PbxError> {
        match self.dialect.lists() {
            // The configuration's API is asked about first, so this is never said to a caller.
            Lists::Absent => Err(PbxError::Unreadable {
                operation: Operation::ListPage,
                what: "this API has no list",
            }),
            Lists::Table(dialect) => {
                let reading = self.select(dialect, query, visible);
                within(MAX_TIME, Operation::ListDownload, WHOLE_LIST, reading).await
            }
            Lists::Pages(dialect) => {
                let reading = self.gather(dialect, query, visible);
                within(MAX_TIME, Operation::ListPage, WHOLE_LIST, reading).await
            }
        }
    }
}

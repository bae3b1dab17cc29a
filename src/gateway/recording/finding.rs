//! The way to the bytes of one request: what is known, a cache entry, or the PBX; and anew where what was found is gone.
//!
//! Knows the order, and what it cost. Does not know how any of them works.

use std::sync::Arc;

use tokio::time::timeout;

use super::asked::{Asked, Choice, Found};
use super::{Content, Recordings};
use crate::audit::RecordedRead;
use crate::cache::{CacheError, Metadata, PartRequest, Source};
use crate::gateway::error::GatewayError;
use crate::http::headers::BodyExtent;
use crate::metrics::Hit;
use crate::pbx::{Pbx, PbxError, ReadingError};

/// Openings of a recording for one request: a cache entry may end just as somebody comes to it, or turn out to be of an earlier
/// content.
const OPENINGS: u32 = 3;

/// What a request comes to, and of which recording.
type Chosen = (Arc<Metadata>, Content);

/// One request on its way to its bytes.
pub(super) struct Finding<'a> {
    recordings: &'a Recordings,
    pbx: &'a Arc<Pbx>,
    read: &'a RecordedRead,
    asked: &'a Asked<'a>,
    /// The length, where only this request knows it.
    learned: Option<u64>,
    /// What served it, as far as it has come.
    hit: Option<Hit>,
    /// It has cost a read.
    has_read: bool,
    /// It has not waited for the length yet.
    may_wait: bool,
}

/// Why an opening of a recording came to nothing.
enum Lost {
    /// The bytes are wanted that were read, and thrown away, to learn the length.
    Spent(Arc<Metadata>),
    /// What was there has ended, or is not what the PBX has any more.
    Gone(CacheError),
    /// Another opening would not change it.
    Failed(GatewayError),
}

impl<'a> Finding<'a> {
    pub(super) fn new(
        recordings: &'a Recordings,
        pbx: &'a Arc<Pbx>,
        read: &'a RecordedRead,
        asked: &'a Asked<'a>,
    ) -> Self {
        Self {
            recordings,
            pbx,
            read,
            asked,
            learned: None,
            hit: None,
            has_read: false,
            may_wait: true,
        }
    }

    /// What served it without a read of its own, if anything did.
    pub(super) fn hit(&self) -> Option<Hit> {
        self.hit.filter(|_| !self.has_read)
    }

    /// Finds out what to answer, and from where.
    ///
    /// # Cancel safety
    /// Safe: everything taken is given back.
    pub(super) async fn find(&mut self) -> Result<Chosen, GatewayError> {
        let known = self.recordings.cache.known(self.pbx, self.read.recording());
        if let Some(metadata) = &known
            && !self.waits_for_length(metadata)
            && let Some(content) = self.asked.without_bytes(metadata).transpose()
        {
            self.hit = Some(Hit::Known);
            return Ok((Arc::clone(metadata), content?));
        }
        let mut part = known.and_then(|metadata| self.asked.part_of(metadata));
        let (mut before, mut last) = (None, ReadingError::Differs.into());
        for _ in 0..OPENINGS {
            match self.open_and_choose(part.take(), before.take()).await {
                Ok(chosen) => return Ok(chosen),
                Err(Lost::Spent(metadata)) => before = Some(metadata),
                Err(Lost::Gone(error)) => last = error,
                Err(Lost::Failed(error)) => return Err(error),
            }
        }
        Err(last.into())
    }

    /// One opening. `before` is what an earlier one has found out, and was spent by.
    async fn open_and_choose(
        &mut self,
        part: Option<PartRequest>,
        before: Option<Arc<Metadata>>,
    ) -> Result<Chosen, Lost> {
        let mut source = self.open(part).await?;
        if !before.is_some_and(|metadata| source.expect(&metadata)) {
            self.learned = None;
        }
        self.choose(source).await
    }

    /// What is there of the recording, or a new reading of it: of no more than the `part` where that can be.
    async fn open(&mut self, part: Option<PartRequest>) -> Result<Source, Lost> {
        let (cache, name) = (&self.recordings.cache, self.read.recording());
        let Some(mut source) = cache.find(self.pbx, name)? else {
            let _waiting = self.pbx.wait()?;
            self.count_read()?;
            let mut source = cache.open(self.pbx, self.read, part).await?;
            source.metadata().await?;
            return Ok(source);
        };
        self.hit = source.hit();
        if source.has_begun() {
            return Ok(source);
        }
        let _waiting = self.pbx.wait()?;
        match source.metadata().await {
            // It was another's turn that did not come.
            Err(error) if is_anothers_patience(&error) => Err(Lost::Gone(error)),
            begun => Ok(begun.map(|_| source)?),
        }
    }

    /// Chooses what to send of a recording that is open.
    async fn choose(&mut self, mut source: Source) -> Result<Chosen, Lost> {
        let asked = self.asked;
        loop {
            let metadata = source.metadata().await?;
            let is_there = asked
                .end(&metadata)
                .is_some_and(|end| source.has_stopped_at(end));
            if std::mem::take(&mut self.may_wait) && !is_there && self.waits_for_length(&metadata) {
                self.read_on(&mut source, None).await?;
                let patience = self.recordings.range_wait;
                if let Ok(length) = timeout(patience, source.learn_length()).await {
                    self.learned = Some(length?);
                }
                continue;
            }
            let body = match asked.select(&metadata, self.learned)? {
                Choice::NotModified => return Ok((metadata, Content::NotModified)),
                Choice::Send(body) if asked.head_only => {
                    return Ok((metadata, Content::Head(body)));
                }
                Choice::Send(_) | Choice::Open(_) if source.is_spent() => {
                    return Err(Lost::Spent(metadata));
                }
                Choice::Send(body) => body,
                Choice::Open(wanted) => {
                    self.read_on(&mut source, wanted.reach()).await?;
                    match asked.part_of_unknown(&mut source, wanted).await? {
                        Found::Part(body) => body,
                        Found::Length(length) => {
                            self.learned = Some(length);
                            continue;
                        }
                    }
                }
            };
            let (offset, end) = match body {
                BodyExtent::Whole(length) => (0, length),
                BodyExtent::Part { first, last, .. } => (first, Some(last.saturating_add(1))),
            };
            self.read_on(&mut source, end).await?;
            source.go_to(offset, end);
            return Ok((metadata, Content::Bytes(body, Box::new(source))));
        }
    }

    /// Whether to wait for the length before anything is answered.
    fn waits_for_length(&self, metadata: &Metadata) -> bool {
        !self.recordings.range_wait.is_zero() && self.asked.depends_on_length(metadata)
    }

    /// Counts a recording that is about to be read from its PBX anew.
    fn count_read(&mut self) -> Result<(), GatewayError> {
        let counted = self.recordings.reads.check(self.read.reader());
        counted.map_err(|retry_after| GatewayError::RateLimited { retry_after })?;
        self.has_read = true;
        Ok(())
    }

    /// Has a cache entry read on that was stopped, where the bytes up to `end`, or to the end of the recording, are wanted.
    async fn read_on(&mut self, source: &mut Source, end: Option<u64>) -> Result<(), Lost> {
        let cache = &self.recordings.cache;
        if !cache.lacks(source, end) {
            return Ok(());
        }
        let _waiting = self.pbx.wait()?;
        self.count_read()?;
        match cache.go_on(source, self.read).await {
            // Nothing of the old content has been sent yet.
            Err(error @ CacheError::Broken(ReadingError::Differs)) => Err(Lost::Gone(error)),
            gone_on => Ok(gone_on?),
        }
    }
}

impl From<GatewayError> for Lost {
    fn from(error: GatewayError) -> Self {
        Self::Failed(error)
    }
}

impl From<PbxError> for Lost {
    fn from(error: PbxError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<CacheError> for Lost {
    fn from(error: CacheError) -> Self {
        match error {
            CacheError::Ended(_) => Self::Gone(error),
            error => Self::Failed(error.into()),
        }
    }
}

/// Whether somebody's wait is over who may have begun it much earlier.
fn is_anothers_patience(error: &CacheError) -> bool {
    matches!(error, CacheError::NotOpened(error) if error.is_out_of_patience())
}

//! The search for the content of one answer: remembered metadata, a cache entry, or the PBX. It
//! starts again if the entry that it found has ended.
//!
//! Knows the order and the limits that each step counts for. Does not know how any of them works.

use std::sync::Arc;

use tokio::time::timeout;

use super::conditional_request::{ConditionalRequest, PartDecision, UnknownLengthPart};
use super::{Content, Recordings};
use crate::audit::RecordedRead;
use crate::cache::{CacheError, Metadata, PartRequest, Source};
use crate::gateway::error::GatewayError;
use crate::http::headers::BodyExtent;
use crate::metrics::Hit;
use crate::pbx::{Pbx, PbxError, ReadingError};

/// The number of times that one request opens a recording. A cache entry may end just as a request
/// comes to it, or have an older content than the PBX.
const MAX_OPENINGS: u32 = 3;

/// The content of an answer, with the metadata of the recording.
type RecordingContent = (Arc<Metadata>, Content);

/// The search of one request.
pub(super) struct ContentSearch<'a> {
    recordings: &'a Recordings,
    pbx: &'a Arc<Pbx>,
    read: &'a RecordedRead,
    request: &'a ConditionalRequest<'a>,
    /// The length, if only this request knows it.
    learned: Option<u64>,
    /// The kind of hit so far.
    hit: Option<Hit>,
    /// True once a read was counted for this request.
    has_read: bool,
    /// True until this request has waited for the length.
    may_wait: bool,
}

/// The reason why one opening gave no content.
enum OpeningError {
    /// The answer needs bytes that were read and dropped to learn the length.
    Spent(Arc<Metadata>),
    /// The cache entry has ended, or the PBX has another content now.
    Gone(CacheError),
    /// Another opening would not change it.
    Failed(GatewayError),
}

impl<'a> ContentSearch<'a> {
    pub(super) fn new(
        recordings: &'a Recordings,
        pbx: &'a Arc<Pbx>,
        read: &'a RecordedRead,
        request: &'a ConditionalRequest<'a>,
    ) -> Self {
        Self {
            recordings,
            pbx,
            read,
            request,
            learned: None,
            hit: None,
            has_read: false,
            may_wait: true,
        }
    }

    /// The kind of hit, if the request was served without a read of its own.
    pub(super) fn hit(&self) -> Option<Hit> {
        self.hit.filter(|_| !self.has_read)
    }

    /// Opens the recording, and selects the content of the answer.
    ///
    /// # Cancel safety
    /// Safe: all permits are given back.
    pub(super) async fn find(&mut self) -> Result<RecordingContent, GatewayError> {
        let known = self.recordings.cache.known(self.pbx, self.read);
        if let Some(metadata) = &known
            && !self.waits_for_length(metadata)
            && let Some(content) = self.request.without_bytes(metadata).transpose()
        {
            self.hit = Some(Hit::Known);
            return Ok((Arc::clone(metadata), content?));
        }
        let mut part = known.and_then(|metadata| self.request.part_of(metadata));
        let (mut before, mut last) = (None, ReadingError::Differs.into());
        for _ in 0..MAX_OPENINGS {
            match self.open_and_choose(part.take(), before.take()).await {
                Ok(content) => return Ok(content),
                Err(OpeningError::Spent(metadata)) => before = Some(metadata),
                Err(OpeningError::Gone(error)) => last = error,
                Err(OpeningError::Failed(error)) => return Err(error),
            }
        }
        Err(last.into())
    }

    /// Opens the recording once. `before` is the metadata of an earlier opening, whose bytes were
    /// dropped to learn the length.
    async fn open_and_choose(
        &mut self,
        part: Option<PartRequest>,
        before: Option<Arc<Metadata>>,
    ) -> Result<RecordingContent, OpeningError> {
        let mut source = self.open(part).await?;
        // The learned length holds only if the recording is still the same.
        if !before.is_some_and(|metadata| source.expect(&metadata)) {
            self.learned = None;
        }
        self.choose(source).await
    }

    /// Finds a cache entry, or reads the recording from the PBX. If `part` is given and the PBX can
    /// send a part, only that is read.
    async fn open(&mut self, part: Option<PartRequest>) -> Result<Source, OpeningError> {
        let cache = &self.recordings.cache;
        let Some(mut source) = cache.find(self.pbx, self.read)? else {
            let _waiting = self.pbx.wait()?;
            self.count_read().await?;
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
            // The entry waited with the patience of another request, which began earlier.
            Err(error) if is_out_of_patience(&error) => Err(OpeningError::Gone(error)),
            result => Ok(result.map(|_| source)?),
        }
    }

    /// Selects the content of a recording that is open.
    async fn choose(&mut self, mut source: Source) -> Result<RecordingContent, OpeningError> {
        let request = self.request;
        loop {
            let metadata = source.metadata().await?;
            let is_in_cache = request
                .end(&metadata)
                .is_some_and(|end| source.has_stopped_at(end));
            if std::mem::take(&mut self.may_wait)
                && !is_in_cache
                && self.waits_for_length(&metadata)
            {
                self.read_on(&mut source, None).await?;
                let patience = self.recordings.range_wait;
                if let Ok(length) = timeout(patience, source.learn_length()).await {
                    self.learned = Some(length?);
                }
                continue;
            }
            let body = match request.select(&metadata, self.learned)? {
                PartDecision::NotModified => return Ok((metadata, Content::NotModified)),
                PartDecision::Send(body) if request.head_only => {
                    return Ok((metadata, Content::Head(body)));
                }
                PartDecision::Send(_) | PartDecision::NeedsLength(_) if source.is_spent() => {
                    return Err(OpeningError::Spent(metadata));
                }
                PartDecision::Send(body) => body,
                PartDecision::NeedsLength(wanted) => {
                    self.read_on(&mut source, wanted.reach()).await?;
                    match request.part_of_unknown(&mut source, wanted).await? {
                        UnknownLengthPart::Part(body) => body,
                        UnknownLengthPart::Length(length) => {
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

    /// True if the answer has to wait for the length.
    fn waits_for_length(&self, metadata: &Metadata) -> bool {
        !self.recordings.range_wait.is_zero() && self.request.depends_on_length(metadata)
    }

    /// Counts a read of a recording from its PBX.
    async fn count_read(&mut self) -> Result<(), GatewayError> {
        let counted = self.recordings.read_limit.check(self.read.reader()).await;
        counted.map_err(|retry_after| GatewayError::RateLimited { retry_after })?;
        self.has_read = true;
        Ok(())
    }

    /// Lets a stopped cache entry read on, if it lacks bytes before `end`, or before the end of the
    /// recording.
    async fn read_on(&mut self, source: &mut Source, end: Option<u64>) -> Result<(), OpeningError> {
        let cache = &self.recordings.cache;
        if !cache.lacks(source, end) {
            return Ok(());
        }
        let _waiting = self.pbx.wait()?;
        self.count_read().await?;
        match cache.go_on(source, self.read).await {
            // No byte of the old content was sent, so the request can start again.
            Err(error @ CacheError::Broken(ReadingError::Differs)) => {
                Err(OpeningError::Gone(error))
            }
            result => Ok(result?),
        }
    }
}

impl From<GatewayError> for OpeningError {
    fn from(error: GatewayError) -> Self {
        Self::Failed(error)
    }
}

impl From<PbxError> for OpeningError {
    fn from(error: PbxError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<CacheError> for OpeningError {
    fn from(error: CacheError) -> Self {
        match error {
            CacheError::Ended(_) => Self::Gone(error),
            error => Self::Failed(error.into()),
        }
    }
}

/// True if the fetch of an entry failed because its request had waited for too long.
fn is_out_of_patience(error: &CacheError) -> bool {
    matches!(error, CacheError::NotOpened(error) if error.is_out_of_patience())
}

//! Passthrough: a recording, or a part of it, on its way from the PBX to one caller.
//!
//! Knows which bytes the caller wants, and cuts them out of the stream. Keeps no byte.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};

use super::key::EntryKey;
use super::metadata::{FIRST_BYTES, first_bytes};
use super::{Cache, CacheError, Metadata};
use crate::pbx::{Pbx, Reading, ReadingError, beginning};

/// The transfer of one recording to one caller.
pub(crate) struct Passthrough {
    reading: Reading,
    cache: Weak<Cache>,
    pbx: Arc<Pbx>,
    key: EntryKey,
    metadata: Arc<Metadata>,
    /// Pieces that were read before [`Passthrough::go_to`] said which bytes the caller wants.
    ahead: VecDeque<Bytes>,
    /// Offset in the recording of the first piece in `ahead`, or of the next byte from the PBX.
    position: u64,
    /// Whether bytes have been read and dropped, so that another opening is needed for them.
    is_spent: bool,
    /// Bytes still to be dropped in front of those that the caller wants.
    skip: u64,
    /// Bytes that the caller still wants; `None` for all up to the end.
    left: Option<u64>,
    /// Whether the wanted bytes go up to the end of a recording whose length is known.
    to_the_end: bool,
    /// The last wanted piece. It is held back until the end of the recording shows that the content
    /// is the expected one.
    last: Option<Bytes>,
}

impl Passthrough {
    /// Reads the beginning, and makes the metadata of it. An excerpt begins elsewhere, so its
    /// metadata are those that are `known`.
    ///
    /// # Errors
    /// When the recording breaks off within its beginning.
    ///
    /// # Cancel safety
    /// Safe: the connection to the PBX is closed.
    pub(super) async fn begin(
        mut reading: Reading,
        cache: &Cache,
        pbx: Arc<Pbx>,
        key: EntryKey,
        known: Option<Arc<Metadata>>,
    ) -> Result<Self, CacheError> {
        let mut ahead = VecDeque::<Bytes>::new();
        let (mut first, mut telling) = (Vec::new(), FIRST_BYTES);
        let position = reading.start();
        let known = known.filter(|_| position > 0);
        while known.is_none() && first.len() < telling {
            let Some(data) = reading.bytes(&|_, _| true).await.transpose()? else {
                break;
            };
            ahead.push_back(data);
            first = first_bytes(&mut telling, |limit| beginning(ahead.iter(), limit));
        }
        let metadata = known.unwrap_or_else(|| cache.recognize(&pbx, &key, &mut reading, &first));
        Ok(Self {
            reading,
            cache: cache.weak(),
            pbx,
            key,
            metadata,
            ahead,
            position,
            is_spent: false,
            skip: 0,
            left: None,
            to_the_end: false,
            last: None,
        })
    }

    pub(super) fn metadata(&self) -> &Arc<Metadata> {
        &self.metadata
    }

    pub(super) fn reading(&self) -> &Reading {
        &self.reading
    }

    /// Reads to the end, and returns the length. The bytes are dropped.
    ///
    /// # Cancel safety
    /// Safe, but the bytes that were read by then are dropped.
    pub(super) async fn learn_length(&mut self) -> Result<u64, CacheError> {
        self.is_spent = true;
        loop {
            match self.reading.bytes(&|_, _| true).await {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(self.note_error(error)),
                None => return self.note_end().map(|()| self.reading.head()),
            }
        }
    }

    /// Expects the length and end of the recording that was read to its end `before`, if the
    /// beginning is the same. Returns whether it is.
    pub(super) fn expect(&mut self, before: &Arc<Metadata>) -> bool {
        let is_same = self.cache.upgrade().is_some_and(|cache| {
            let identity = cache.identity(&self.pbx, &self.key);
            self.metadata.is_same_recording(identity, before)
        });
        if let (true, None, Some(length)) = (is_same, self.metadata.length(), before.length()) {
            self.reading.expect_length(length);
            self.metadata = Arc::clone(before);
        }
        is_same
    }

    pub(super) fn is_spent(&self) -> bool {
        self.is_spent
    }

    /// Reads on until the byte at `offset` is there, and returns how far the reading has come; no
    /// further than `offset` where the recording ends before. The pieces before that byte are
    /// dropped.
    ///
    /// # Cancel safety
    /// Safe, but bytes that were read by then may be dropped.
    pub(super) async fn read_beyond(&mut self, offset: u64) -> Result<u64, CacheError> {
        loop {
            while let Some(front) = self.ahead.pop_front() {
                let end = self.position + front.len() as u64;
                if end > offset {
                    self.ahead.push_front(front);
                    return Ok(self.position + self.bytes_ahead());
                }
                self.position = end;
            }
            match self.reading.bytes(&|_, _| true).await {
                Some(Ok(data)) => self.ahead.push_back(data),
                Some(Err(error)) => return Err(self.note_error(error)),
                None => {
                    self.is_spent = true;
                    self.note_end()?;
                    return Ok(self.position);
                }
            }
        }
    }

    fn bytes_ahead(&self) -> u64 {
        self.ahead.iter().map(|data| data.len() as u64).sum()
    }

    /// Goes to the byte at `offset`, to give out the bytes up to `end` (exclusive).
    pub(super) fn go_to(&mut self, offset: u64, end: Option<u64>) {
        self.skip = offset.saturating_sub(self.position);
        self.left = end.map(|end| end.saturating_sub(offset));
        self.to_the_end = end.is_some() && end == self.metadata.length();
    }

    pub(super) fn note_pace(&self, is_quick: bool) {
        self.reading.note_pace(is_quick);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.left == Some(0) && self.last.is_none()
    }

    pub(super) fn poll_bytes(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, CacheError>>> {
        while !self.has_ended() {
            let next = match self.ahead.pop_front() {
                Some(data) => Some(Ok(data)),
                None => ready!(self.reading.poll_bytes(context, &|_, _| true)),
            };
            match next {
                Some(Ok(data)) => match self.cut(data) {
                    Some(wanted) if self.to_the_end && self.left == Some(0) => {
                        self.last = Some(wanted);
                    }
                    Some(wanted) => return Poll::Ready(Some(Ok(wanted))),
                    None => {}
                },
                Some(Err(error)) => return Poll::Ready(Some(Err(self.note_error(error)))),
                None => {
                    let last = self.last.take();
                    return Poll::Ready(match self.note_end() {
                        Ok(()) => last.map(Ok),
                        Err(error) => Some(Err(error)),
                    });
                }
            }
        }
        Poll::Ready(None)
    }

    /// Cuts the wanted bytes out of a piece; `None` where there are none.
    fn cut(&mut self, mut data: Bytes) -> Option<Bytes> {
        let skipped = usize::try_from(self.skip)
            .unwrap_or(usize::MAX)
            .min(data.len());
        data.advance(skipped);
        self.skip -= skipped as u64;
        if let Some(left) = self.left {
            data.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            self.left = Some(left - data.len() as u64);
        }
        (!data.is_empty()).then_some(data)
    }

    /// Notes that the recording has been read to its end, and checks its content against the
    /// remembered one.
    fn note_end(&mut self) -> Result<(), CacheError> {
        let (Some(cache), Some(point)) = (self.cache.upgrade(), self.reading.resume_point()) else {
            return Ok(());
        };
        let end = self.reading.end();
        if let Some(end) = end.filter(|_| self.metadata.length().is_none()) {
            let metadata = Metadata::clone(&self.metadata);
            let identity = cache.identity(&self.pbx, &self.key);
            self.metadata = Arc::new(metadata.with_end(identity, end));
        }
        if cache.note(&self.key, &self.metadata, Some(point.digest)) {
            return Ok(());
        }
        Err(CacheError::Broken(ReadingError::Differs))
    }

    fn note_error(&self, error: ReadingError) -> CacheError {
        let error = CacheError::Broken(error);
        if let Some(cache) = self.cache.upgrade() {
            cache.note_failure(&self.key, &error);
        }
        error
    }
}

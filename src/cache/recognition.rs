//! What recordings are, and what is remembered of them.
//!
//! Knows what a beginning, an end or a failure says about a recording. Does not know who reads it.

use std::sync::Arc;

use tracing::{debug, info};

use super::index::EntryKey;
use super::metadata::ContentIdentity;
use super::{Cache, CacheError, Metadata};
use crate::pbx::{ContentDigest, Pbx, Reading, ReadingError};

impl Cache {
    /// What a key stands for.
    pub(super) fn identity<'a>(&self, pbx: &'a Pbx, key: &'a EntryKey) -> ContentIdentity<'a> {
        ContentIdentity {
            pbx: pbx.name(),
            name: key.name(),
            generation: self.known.generation(key),
            is_young: pbx.is_young(key.name()),
        }
    }

    /// What a recording is whose `first` bytes have been read. Where the PBX tells no length, one that is known from
    /// earlier stands for it, if it is the same recording by its beginning.
    pub(super) fn recognise(
        &self,
        pbx: &Pbx,
        key: &EntryKey,
        reading: &mut Reading,
        first: &[u8],
    ) -> Arc<Metadata> {
        let identity = self.identity(pbx, key);
        let metadata = Metadata::new(identity, reading.audio(), reading.known_end(), first);
        let known = self
            .known
            .get(key)
            .metadata
            .filter(|_| metadata.length().is_none());
        if let Some(known) = known
            && let Some(length) = known.length()
            && known.etag == Some(metadata.tag(identity, length))
        {
            reading.expect_length(length);
            return known;
        }
        log_format(pbx, &metadata);
        let metadata = Arc::new(metadata);
        self.note(key, &metadata, None);
        metadata
    }

    /// Remembers what has been seen of a recording, but of one that is still being written nothing. Returns whether its content,
    /// where it has been read whole, is what it was the last time.
    pub(super) fn note(
        &self,
        key: &EntryKey,
        metadata: &Arc<Metadata>,
        digest: Option<ContentDigest>,
    ) -> bool {
        if metadata.is_unfinished {
            // That may have shown at its end only.
            self.known.forget(key);
            return true;
        }
        if let (Some(before), Some(now)) = (self.known.get(key).digest, &digest)
            && before.at == now.at
            && before != *now
        {
            self.known.differs(key);
            return false;
        }
        self.known.put(key, metadata, digest);
        true
    }

    /// Remembers why a recording could not be had, as far as that says something about it.
    pub(super) fn note_failure(&self, key: &EntryKey, error: &CacheError) {
        match error {
            CacheError::NotOpened(error) | CacheError::Broken(ReadingError::NotAgain(error)) => {
                if error.is_gone() {
                    self.known.gone(key, error);
                }
            }
            CacheError::Broken(ReadingError::Differs) => self.known.differs(key),
            CacheError::Broken(ReadingError::Broken(_))
            | CacheError::NoRoom
            | CacheError::Ended(_) => {}
        }
    }
}

fn log_format(pbx: &Pbx, metadata: &Metadata) {
    let Some(wave) = &metadata.wave else {
        return;
    };
    let (pbx, rate) = (pbx.name(), wave.bytes_per_second());
    debug!(pbx, format = %wave, bytes_per_second = rate, data_offset = wave.data_offset(), "a recording begins");
    if !wave.plays_in_browsers() {
        info!(
            pbx,
            codec = wave.codec(),
            advice = "callers have to save it and play it with a program that knows it",
            "browsers do not play this recording"
        );
    }
}

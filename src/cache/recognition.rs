//! Recognition: the metadata that the cache learns while a recording is read, and remembers.
//!
//! Knows how the beginning, the end or a failure of a reading changes the remembered metadata. Does
//! not know who reads it.

use std::sync::Arc;

use tracing::{debug, info};

use super::key::EntryKey;
use super::metadata::ContentIdentity;
use super::{Cache, CacheError, Metadata};
use crate::pbx::{ContentDigest, Pbx, Reading, ReadingError};

impl Cache {
    /// The identity of the recording that a key stands for.
    pub(super) fn identity<'a>(&self, pbx: &'a Pbx, key: &'a EntryKey) -> ContentIdentity<'a> {
        ContentIdentity {
            pbx: pbx.name(),
            name: key.name(),
            generation: self.remembered.generation(key),
            is_young: pbx.is_young(key.name()),
        }
    }

    /// Makes the metadata of a recording whose `first` bytes have been read. Where the PBX tells no
    /// length, the remembered length is expected, if the beginning is that of the remembered
    /// recording.
    pub(super) fn recognize(
        &self,
        pbx: &Pbx,
        key: &EntryKey,
        reading: &mut Reading,
        first: &[u8],
    ) -> Arc<Metadata> {
        let identity = self.identity(pbx, key);
        let metadata = Metadata::new(identity, reading.audio(), reading.known_end(), first);
        if metadata.length().is_none()
            && let Some(known) = self.remembered.get(key).metadata
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

    /// Remembers the metadata of a recording, unless the recording is still being written.
    /// Returns `false` if the recording was read whole and its content is not the one that was read
    /// the last time.
    pub(super) fn note(
        &self,
        key: &EntryKey,
        metadata: &Arc<Metadata>,
        digest: Option<ContentDigest>,
    ) -> bool {
        if metadata.is_unfinished {
            // The beginning may have been noted already: that a recording is unfinished may show at
            // its end only.
            self.remembered.forget(key);
            return true;
        }
        let remembered = self.remembered.get(key);
        if let (Some(before), Some(now)) = (&remembered.digest, &digest)
            && before.at == now.at
            && before != now
        {
            self.remembered.note_changed(key);
            return false;
        }
        self.remembered.put(key, remembered, metadata, digest);
        true
    }

    /// Remembers a failure, as far as it says something about the recording and not about the
    /// connection.
    pub(super) fn note_failure(&self, key: &EntryKey, error: &CacheError) {
        match error {
            CacheError::NotOpened(error) | CacheError::Broken(ReadingError::NotAgain(error)) => {
                if error.is_gone() {
                    self.remembered.note_missing(key, error);
                }
            }
            CacheError::Broken(ReadingError::Differs) => self.remembered.note_changed(key),
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
            advice = "callers have to save it, and play it with a program that knows the codec",
            "browsers do not play this recording"
        );
    }
}

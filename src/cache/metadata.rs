//! The metadata of a recording: length, type, `ETag` and format.
//!
//! Knows how the first bytes and the length give the metadata. Does not know where the bytes came
//! from.

use bytes::Bytes;

use crate::http::etag::ETag;
use crate::pbx::{AudioType, BodyEnd, Excerpt, RiffHeader, Wave};
use crate::recording::RecordingName;

/// These first bytes and the length identify a recording. The number is the same in every instance,
/// else their tags would differ.
pub(crate) const FIRST_BYTES: usize = 512;

/// Returns the first bytes of a recording, as many as it takes to make its metadata. `telling` is
/// that number: it begins with [`FIRST_BYTES`] and grows where the format of a WAV file stands
/// behind other chunks. `there` gives the first bytes that have been read, up to a limit.
pub(super) fn first_bytes(telling: &mut usize, there: impl Fn(usize) -> Vec<u8>) -> Vec<u8> {
    loop {
        let first = there(*telling);
        let further = RiffHeader::read(&first).and_then(|header| header.reach);
        let further = further.filter(|further| further > telling);
        match further.filter(|_| first.len() == *telling) {
            Some(further) => *telling = further,
            None => return first,
        }
    }
}

/// The metadata of a recording.
#[derive(Debug, Clone)]
pub(crate) struct Metadata {
    /// The end, where it is known, by the sign that tells it.
    end: Option<BodyEnd>,
    /// Made with the length.
    pub(crate) etag: Option<ETag>,
    /// The format, where it is a WAV file whose header says.
    pub(crate) wave: Option<Wave>,
    /// The recording was still being written when it was read: its header does not fit its length.
    pub(crate) is_unfinished: bool,
    /// The recording may still be being written: it is unfinished, or it is young and its end is
    /// not known.
    pub(crate) may_grow: bool,
    /// The kind of audio, by its content, and the facts of its header.
    audio: AudioType,
    /// The first bytes, until there is a tag made of them.
    first: Bytes,
}

/// The parts of a recording's identity that its bytes do not tell.
#[derive(Clone, Copy)]
pub(crate) struct ContentIdentity<'a> {
    pub(crate) pbx: &'a str,
    pub(crate) name: &'a RecordingName,
    /// Counts the contents that this name has had with the same length and first bytes.
    pub(crate) generation: u64,
    /// The call began not long ago, so the recording may still be being written.
    pub(crate) is_young: bool,
}

impl Metadata {
    /// Makes the metadata of the [`first_bytes`]; of all bytes, where the recording is shorter.
    pub(crate) fn new(
        identity: ContentIdentity<'_>,
        audio: AudioType,
        end: Option<BodyEnd>,
        first: &[u8],
    ) -> Self {
        let length = end.and_then(BodyEnd::length);
        let wave = RiffHeader::read(first).and_then(|header| header.wave);
        let first = first.get(..FIRST_BYTES).unwrap_or(first);
        let metadata = Self {
            end: None,
            etag: None,
            wave,
            is_unfinished: identity.is_young && !fits(audio, length),
            may_grow: identity.is_young,
            audio,
            first: Bytes::copy_from_slice(first),
        };
        match end {
            Some(end) => metadata.with_end(identity, end),
            None => metadata,
        }
    }

    /// The whole length, where it is known.
    pub(crate) fn length(&self) -> Option<u64> {
        self.end.and_then(BodyEnd::length)
    }

    /// Returns true if no sign proved the end, and two passes agreed on it.
    pub(crate) fn end_is_agreed(&self) -> bool {
        matches!(self.end, Some(BodyEnd::TwoPasses(_)))
    }

    /// The request for the bytes from `first` to `last` alone, if they are not at the beginning.
    pub(crate) fn excerpt(&self, first: u64, last: u64) -> Option<Excerpt> {
        let total = self.length().filter(|_| first > 0)?;
        Some(Excerpt {
            first,
            last,
            total,
            audio: self.audio,
        })
    }

    /// The media type, from the content.
    pub(crate) fn media_type(&self) -> &'static str {
        self.audio.media_type()
    }

    /// The length that the header tells, where it does not contradict the known length.
    pub(crate) fn told_length(&self) -> Option<u64> {
        let told = self.audio.told_length();
        told.filter(|told| self.length().is_none_or(|length| length == *told))
    }

    /// The same metadata with the length.
    pub(super) fn with_end(mut self, identity: ContentIdentity<'_>, end: BodyEnd) -> Self {
        self.end = Some(end);
        if let Some(length) = end.length() {
            self.etag = Some(self.tag(identity, length));
        }
        self.is_unfinished = identity.is_young && !fits(self.audio, end.length());
        self.may_grow = self.is_unfinished;
        self.first = Bytes::new();
        self
    }

    /// True if both are of one recording, as far as the lengths and tags tell. `self` is the newer.
    pub(super) fn is_same_recording(&self, identity: ContentIdentity<'_>, before: &Self) -> bool {
        match (self.length(), before.length()) {
            (Some(_), _) => self.etag == before.etag,
            (None, Some(length)) => before.etag == Some(self.tag(identity, length)),
            (None, None) => self.first == before.first,
        }
    }

    /// The tag for this length. Call it while the length is not known: afterwards the first bytes
    /// are gone.
    pub(super) fn tag(&self, identity: ContentIdentity<'_>, length: u64) -> ETag {
        let ContentIdentity {
            pbx,
            name,
            generation,
            ..
        } = identity;
        ETag::of(pbx, name, length, &self.first, generation)
    }
}

/// Whether the length that the header tells does not contradict the length.
fn fits(audio: AudioType, length: Option<u64>) -> bool {
    match (audio, length) {
        (AudioType::Wave { total: None }, _) => false,
        (AudioType::Wave { total: Some(told) }, Some(length)) => told == length,
        (AudioType::Wave { total: Some(_) }, None) | (AudioType::Mpeg, _) => true,
    }
}

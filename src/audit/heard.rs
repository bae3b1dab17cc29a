//! How many seconds of audio are in the delivered bytes of a recording.
//!
//! Knows intervals of bytes, and the seconds in them. Does not know callers. Pure.
//!
//! Delivered bytes are those handed to the connection: at most the audio that was heard, plus the
//! bytes that buffers on the way held at the end.

use serde::{Deserialize, Serialize};

/// The bytes of a recording that are audio, and how many of them are a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct AudioSpan {
    /// The first byte of the audio, behind the headers.
    pub(crate) begin: u64,
    /// The first byte behind the audio; `None` where the header does not tell, or does not fit the
    /// length.
    pub(crate) end: Option<u64>,
    pub(crate) bytes_per_second: u32,
}

impl AudioSpan {
    /// The audio within so many bytes from `first` on, as first byte and first byte behind it.
    pub(crate) fn part(&self, first: u64, bytes: u64) -> Option<(u64, u64)> {
        let end = first.saturating_add(bytes);
        let begin = first.max(self.begin);
        let end = self.end.map_or(end, |audio| audio.min(end));
        (begin < end).then_some((begin, end))
    }

    /// How long so many bytes of audio play, in ms; `None` where the header gives no rate.
    pub(crate) fn milliseconds(&self, bytes: u64) -> Option<u64> {
        let ms = (u128::from(bytes) * 1000).checked_div(self.bytes_per_second.into())?;
        u64::try_from(ms).ok()
    }

    /// How long the audio within so many bytes from `first` on plays, in ms.
    pub(crate) fn heard(&self, first: u64, bytes: u64) -> Option<u64> {
        let part = self.part(first, bytes);
        self.milliseconds(part.map_or(0, |(begin, end)| end - begin))
    }
}

/// A set of bytes: a byte counts once, however often it was delivered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Union {
    /// First byte and first byte behind of each interval; in order, and neither touching nor
    /// overlapping.
    parts: Vec<(u64, u64)>,
}

impl Union {
    /// Adds the bytes from `begin` up to `end` (exclusive).
    pub(crate) fn add(&mut self, begin: u64, end: u64) {
        if begin >= end {
            return;
        }
        let from = self.parts.partition_point(|part| part.1 < begin);
        let to = self.parts.partition_point(|part| part.0 <= end);
        let touched = self.parts.get(from..to).unwrap_or_default();
        let begin = touched.first().map_or(begin, |part| part.0.min(begin));
        let end = touched.last().map_or(end, |part| part.1.max(end));
        self.parts.splice(from..to, [(begin, end)]);
    }

    /// Number of bytes in the set.
    pub(crate) fn bytes(&self) -> u64 {
        self.parts.iter().map(|(begin, end)| end - begin).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const AUDIO: AudioSpan = AudioSpan {
        begin: 44,
        end: Some(16_044),
        bytes_per_second: 8_000,
    };

    #[track_caller]
    fn check(audio: AudioSpan, first: u64, bytes: u64, expected: Option<u64>) {
        assert_eq!(audio.heard(first, bytes), expected);
    }

    #[test]
    fn only_bytes_of_the_audio_are_heard() {
        check(AUDIO, 0, 44, Some(0));
        check(AUDIO, 0, 16_044, Some(2_000));
        // Bytes behind the audio do not count.
        check(AUDIO, 0, 99_999, Some(2_000));
        check(AUDIO, 8_044, 4_000, Some(500));
        check(AUDIO, 16_044, 10, Some(0));
        check(AUDIO, 40, 12, Some(1));
        check(AudioSpan { end: None, ..AUDIO }, 44, 80_000, Some(10_000));
        check(AUDIO, u64::MAX, u64::MAX, Some(0));
        let silent = AudioSpan {
            bytes_per_second: 0,
            ..AUDIO
        };
        check(silent, 0, 16_044, None);
    }

    proptest! {
        #[test]
        fn a_byte_counts_once(parts in prop::collection::vec((0u64..60, 0u64..12), 0..30)) {
            let (mut union, mut bytes) = (Union::default(), BTreeSet::new());
            for (begin, length) in parts {
                union.add(begin, begin + length);
                bytes.extend(begin..begin + length);
                prop_assert!(union.parts.windows(2).all(|pair| pair[0].1 < pair[1].0));
            }
            prop_assert_eq!(union.bytes(), bytes.len() as u64);
        }
    }
}

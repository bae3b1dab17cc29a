//! The kind of a download, by its first bytes.
//!
//! Knows the beginnings of WAV, MP3, JSON and HTML. Does not know where the bytes come from. Pure.
//!
//! Sources: ID3v2 and the MPEG audio frame header as in ISO/IEC 11172-3; RIFF is read in `riff.rs`.
//! That a PBX answers errors with status 200 and an object or a page in place of audio is known
//! from programs that talk to real ones.

use super::riff::RiffHeader;

/// The bytes that it takes to tell audio from everything else: `RIFF`, a size, `WAVE`.
pub(crate) const SNIFF_BYTES: usize = 12;

/// A kind of audio, recognized by content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AudioType {
    /// RIFF/WAVE. `total` is the length of the file by its own header; `None` where the header does
    /// not tell it, as in a file that was still being written.
    Wave { total: Option<u64> },
    /// MPEG audio, layers 1 to 3.
    Mpeg,
}

impl AudioType {
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::Wave { .. } => "audio/wav",
            Self::Mpeg => "audio/mpeg",
        }
    }

    /// The length by its own header.
    pub(crate) fn told_length(self) -> Option<u64> {
        match self {
            Self::Wave { total } => total,
            Self::Mpeg => None,
        }
    }
}

/// The kind of an answer, by its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beginning {
    Audio(AudioType),
    /// A JSON object: the PBX reports an error.
    Object,
    /// A page.
    Page,
    /// No byte.
    Empty,
    Unknown,
}

/// Judges the first bytes; fewer than [`SNIFF_BYTES`] mean that the answer ended there.
pub(crate) fn sniff(bytes: &[u8]) -> Beginning {
    if let Some(audio) = wave(bytes).or_else(|| mpeg(bytes)) {
        return Beginning::Audio(audio);
    }
    let text = bytes
        .strip_prefix(b"\xEF\xBB\xBF")
        .unwrap_or(bytes)
        .trim_ascii_start();
    match text.first() {
        None => Beginning::Empty,
        Some(b'{') => Beginning::Object,
        Some(b'<') => Beginning::Page,
        Some(_) => Beginning::Unknown,
    }
}

fn wave(bytes: &[u8]) -> Option<AudioType> {
    let header = RiffHeader::read(bytes)?;
    Some(AudioType::Wave {
        total: header.file_length,
    })
}

fn mpeg(bytes: &[u8]) -> Option<AudioType> {
    let frame = match bytes {
        [0xFF, second, third, ..] => {
            let sync = second & 0xE0 == 0xE0;
            let version = second & 0x18 != 0x08;
            let layer = second & 0x06 != 0;
            let bit_rate = third & 0xF0 != 0xF0;
            let sampling_rate = third & 0x0C != 0x0C;
            sync && version && layer && bit_rate && sampling_rate
        }
        _ => false,
    };
    (frame || bytes.starts_with(b"ID3")).then_some(AudioType::Mpeg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: Beginning) {
        assert_eq!(sniff(bytes), expected, "{bytes:?}");
    }

    const fn wave(total: Option<u64>) -> Beginning {
        Beginning::Audio(AudioType::Wave { total })
    }

    #[test]
    fn the_first_bytes_tell_the_type_of_an_answer() {
        check(b"RIFF\x24\x01\0\0WAVEfmt ", wave(Some(300)));
        check(b"RIFF\0\0\0\0WAVE", wave(None));
        check(b"RIFF\xFF\xFF\xFF\xFFWAVE", wave(None));
        check(b"RIFF\x24\0\0\0AVI ", Beginning::Unknown);
        check(b"RIFF\x24\0\0", Beginning::Unknown);
        check(
            b"ID3\x04\0\0\0\0\0\0\0\0",
            Beginning::Audio(AudioType::Mpeg),
        );
        check(
            b"\xFF\xFB\x90\x44\0\0\0\0\0\0\0\0",
            Beginning::Audio(AudioType::Mpeg),
        );
        check(
            b"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF",
            Beginning::Unknown,
        );
        check(b"{\"errno\":1}", Beginning::Object);
        check(b"\xEF\xBB\xBF \r\n{}", Beginning::Object);
        check(b"\n<html><body>", Beginning::Page);
        check(b"", Beginning::Empty);
        check(b"  \r\n", Beginning::Empty);
        check(b"hello world!", Beginning::Unknown);
    }
}

//! The format of a WAV file, from its first bytes.
//!
//! Knows RIFF chunks and the format tags that PBXs use. Does not know where bytes come from. Pure.
//!
//! Source: Microsoft and IBM, "Multimedia Programming Interface and Data Specifications 1.0" (RIFF, `fmt `); the tags
//! are those of RFC 2361, appendix A.

use std::fmt;

/// What a WAV file's header tells about its audio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wave {
    tag: u16,
    channels: u16,
    samples_per_second: u32,
    bytes_per_second: u32,
    bits: u16,
    /// Where the audio begins; `None` where that does not stand in the bytes that were read.
    data_offset: Option<u64>,
    /// The length of the audio; `None` where the header does not tell, as while it is being written.
    data_bytes: Option<u32>,
}

/// Reads the header out of a file's first bytes; `None` where its format does not stand in them.
pub(crate) fn read(bytes: &[u8]) -> Option<Wave> {
    let mut rest = bytes
        .strip_prefix(b"RIFF")?
        .get(4..)?
        .strip_prefix(b"WAVE")?;
    let mut wave = None;
    while let Some((id, after)) = rest.split_first_chunk::<4>() {
        let (size, body) = after.split_first_chunk::<4>()?;
        let size = u32::from_le_bytes(*size);
        match id {
            b"fmt " => wave = Some(format(body)?),
            b"data" => {
                let data_bytes = Some(size).filter(|size| (1..u32::MAX).contains(size));
                let data_offset = Some((bytes.len() - body.len()) as u64);
                return wave.map(|wave| Wave {
                    data_offset,
                    data_bytes,
                    ..wave
                });
            }
            _ => {}
        }
        // Chunks begin at even places.
        let next = usize::try_from(size).ok()?.checked_add(1)? & !1;
        rest = body.get(next..).unwrap_or_default();
    }
    wave
}

fn format(body: &[u8]) -> Option<Wave> {
    let short = |at: usize| Some(u16::from_le_bytes(*body.get(at..)?.first_chunk()?));
    let long = |at: usize| Some(u32::from_le_bytes(*body.get(at..)?.first_chunk()?));
    Some(Wave {
        tag: short(0)?,
        channels: short(2)?,
        samples_per_second: long(4)?,
        bytes_per_second: long(8)?,
        bits: short(14)?,
        data_offset: None,
        data_bytes: None,
    })
}

impl Wave {
    /// The codec's name.
    pub(crate) fn codec(&self) -> String {
        match self.tag {
            0x0001 => format!("PCM, {} bits", self.bits),
            0x0006 => "G.711 A-law".to_owned(),
            0x0007 => "G.711 µ-law".to_owned(),
            0x0031 => "GSM 6.10".to_owned(),
            0x0050 => "MPEG".to_owned(),
            0x0055 => "MP3".to_owned(),
            tag => format!("format {tag:#06x}"),
        }
    }

    /// Whether browsers play it: PCM and the two of G.711 they do, GSM they do not.
    pub(crate) fn plays_in_browsers(&self) -> bool {
        matches!(self.tag, 0x0001 | 0x0006 | 0x0007 | 0x0055)
    }

    /// Where the audio begins in the file.
    pub(crate) fn data_offset(&self) -> Option<u64> {
        self.data_offset
    }

    /// The length of the audio in bytes, where the header tells.
    pub(crate) fn data_bytes(&self) -> Option<u32> {
        self.data_bytes
    }

    /// Bytes of audio per second.
    pub(crate) fn bytes_per_second(&self) -> u32 {
        self.bytes_per_second
    }

    /// How long it plays, in milliseconds, by its header.
    pub(crate) fn milliseconds(&self) -> Option<u64> {
        let bytes = u64::from(self.data_bytes?);
        (bytes * 1000).checked_div(self.bytes_per_second.into())
    }
}

impl fmt::Display for Wave {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let channels = match self.channels {
            1 => "mono",
            2 => "stereo",
            _ => "many channels",
        };
        let (codec, rate) = (self.codec(), self.samples_per_second);
        write!(formatter, "{codec}, {rate} Hz, {channels}")?;
        match self.milliseconds() {
            Some(ms) => write!(formatter, ", {}.{} s", ms / 1000, ms % 1000 / 100),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(tag: u16, data: u32) -> Vec<u8> {
        let mut bytes = b"RIFF\0\0\0\0WAVELIST\x03\0\0\0abc\0fmt \x10\0\0\0".to_vec();
        bytes.extend_from_slice(&tag.to_le_bytes());
        bytes.extend_from_slice(&1u16.to_le_bytes());
        bytes.extend_from_slice(&8000u32.to_le_bytes());
        bytes.extend_from_slice(&16_000u32.to_le_bytes());
        bytes.extend_from_slice(&2u16.to_le_bytes());
        bytes.extend_from_slice(&16u16.to_le_bytes());
        bytes.extend_from_slice(b"data");
        bytes.extend_from_slice(&data.to_le_bytes());
        bytes
    }

    #[track_caller]
    fn check(bytes: &[u8], expected: Option<&str>) {
        let text = read(bytes).map(|wave| wave.to_string());
        assert_eq!(text.as_deref(), expected, "{bytes:?}");
    }

    #[test]
    fn the_header_tells_codec_and_length() {
        check(&file(1, 56_000), Some("PCM, 16 bits, 8000 Hz, mono, 3.5 s"));
        check(&file(0x31, 16_000), Some("GSM 6.10, 8000 Hz, mono, 1.0 s"));
        check(&file(1, u32::MAX), Some("PCM, 16 bits, 8000 Hz, mono"));
        check(&file(0xABCD, 0), Some("format 0xabcd, 8000 Hz, mono"));
        // Cut inside the format, and before the audio.
        check(&file(1, 0)[..40], None);
        check(&file(1, 0)[..48], Some("PCM, 16 bits, 8000 Hz, mono"));
        check(b"RIFF\0\0\0\0AVI fmt ", None);
        check(b"{}", None);
    }

    #[test]
    fn the_audio_begins_behind_all_headers() {
        let bytes = file(1, 56_000);
        assert_eq!(
            read(&bytes).unwrap().data_offset(),
            Some(bytes.len() as u64)
        );
        assert_eq!(read(&bytes[..48]).unwrap().data_offset(), None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(tail in any::<Vec<u8>>()) {
            let bytes = [&b"RIFF\0\0\0\0WAVE"[..], &tail].concat();
            let _ = read(&bytes).map(|wave| wave.to_string());
        }
    }
}

//! The header of a WAV file, from the first bytes of the file.
//!
//! Knows RIFF chunks, the format tags that PBXs use, and which formats browsers play inline. Does
//! not know where the bytes come from. Pure.
//!
//! Source: Microsoft and IBM, "Multimedia Programming Interface and Data Specifications 1.0" (RIFF,
//! `fmt `); the tags are those of RFC 2361, appendix A; Microsoft, "WAVEFORMATEXTENSIBLE structure"
//! (tag 0xFFFE, sub-formats).

use std::fmt;

/// The format of a WAV file, and the place of its audio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wave {
    tag: u16,
    channels: u16,
    samples_per_second: u32,
    bytes_per_second: u32,
    bits: u16,
    /// The byte at which the audio begins; `None` where the first bytes do not go that far.
    data_offset: Option<u64>,
    /// The length of the audio; `None` where the header does not tell it, as while the file is
    /// being written.
    data_bytes: Option<u32>,
}

/// The number of first bytes in which the format is looked for: other chunks may stand in front of
/// it.
pub(crate) const MAX_REACH: usize = 32 * 1024;

/// The size of a format without a sub-format.
const PLAIN_FORMAT_BYTES: usize = 16;
/// The size of a format with a sub-format.
const EXTENSIBLE_FORMAT_BYTES: usize = 40;
/// The least size of the part of an extensible format behind the fields that every format has.
const MIN_EXTENSION_BYTES: u16 = 22;

/// Tags of formats.
const PCM: u16 = 0x0001;
const FLOAT: u16 = 0x0003;
const A_LAW: u16 = 0x0006;
const MU_LAW: u16 = 0x0007;
const MP3: u16 = 0x0055;
const EXTENSIBLE: u16 = 0xFFFE;

/// The end of a sub-format's identifier that begins with a tag:
/// `xxxxxxxx-0000-0010-8000-00AA00389B71`.
const SUB_FORMAT_TAIL: [u8; 14] = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71];

/// The header of a RIFF/WAVE file, as far as the first bytes of the file tell it. The only reader
/// of RIFF in the gateway: the kind of an answer, its end and the format of a recording come from
/// here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RiffHeader {
    /// The length of the whole file. `None` where the header does not tell it, as in a file that is
    /// still being written.
    pub(crate) file_length: Option<u64>,
    /// The format. `None` where it does not stand in the first bytes.
    pub(crate) wave: Option<Wave>,
    /// The number of first bytes that it takes to find the format, or to look further. `None` where
    /// the format stands in these bytes already, or cannot be found: behind the audio, or beyond
    /// [`MAX_REACH`].
    pub(crate) reach: Option<usize>,
}

impl RiffHeader {
    /// Reads the first bytes of a file; `None` of a file that is no RIFF/WAVE.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (riff, rest) = bytes.split_first_chunk::<4>()?;
        let (size, rest) = rest.split_first_chunk::<4>()?;
        if riff != b"RIFF" || !rest.starts_with(b"WAVE") {
            return None;
        }
        let size = u32::from_le_bytes(*size);
        let is_told = size >= MIN_RIFF_BYTES && size != u32::MAX;
        Some(Self {
            file_length: is_told.then(|| u64::from(size) + RIFF_HEAD_BYTES),
            wave: find_wave(bytes),
            reach: find_reach(bytes),
        })
    }
}

/// Finds the format, and the place of the audio behind it.
fn find_wave(bytes: &[u8]) -> Option<Wave> {
    let mut wave = None;
    for chunk in Chunks::of(bytes) {
        match &chunk.id {
            b"fmt " => wave = Some(read_format(chunk.body(bytes))?),
            b"data" => {
                return wave.map(|wave| Wave {
                    data_offset: Some(chunk.begin as u64),
                    data_bytes: Some(chunk.size).filter(|size| (1..u32::MAX).contains(size)),
                    ..wave
                });
            }
            _ => {}
        }
    }
    wave
}

/// Finds out how many first bytes it takes to read the format.
fn find_reach(bytes: &[u8]) -> Option<usize> {
    let mut chunks = Chunks::of(bytes);
    let format = chunks.find(|chunk| matches!(&chunk.id, b"fmt " | b"data"));
    let reach = match format {
        None => chunks.next.saturating_add(CHUNK_HEAD_BYTES),
        Some(chunk) if &chunk.id == b"data" => return None,
        Some(chunk) => chunk.begin + chunk.size().min(EXTENSIBLE_FORMAT_BYTES),
    };
    (bytes.len() + 1..=MAX_REACH)
        .contains(&reach)
        .then_some(reach)
}

/// `RIFF` and the size, which does not count itself.
const RIFF_HEAD_BYTES: u64 = 8;
/// The least size in the header of a file with a format. Files that are still being written say 0,
/// or all ones.
const MIN_RIFF_BYTES: u32 = 28;
/// `RIFF`, the size, and `WAVE`: the first chunk follows.
const FIRST_CHUNK: usize = 12;

/// The bytes of a chunk in front of its body: its id, and the size of the body.
const CHUNK_HEAD_BYTES: usize = 8;

/// A chunk whose head stands in the first bytes.
struct Chunk {
    id: [u8; 4],
    size: u32,
    /// The byte at which its body begins.
    begin: usize,
}

/// The chunks of a file, one after the other, as far as the first bytes go.
struct Chunks<'a> {
    bytes: &'a [u8],
    next: usize,
}

impl<'a> Chunks<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        let next = FIRST_CHUNK;
        Self { bytes, next }
    }
}

impl Iterator for Chunks<'_> {
    type Item = Chunk;

    fn next(&mut self) -> Option<Chunk> {
        let (id, rest) = self.bytes.get(self.next..)?.split_first_chunk::<4>()?;
        let size = u32::from_le_bytes(*rest.first_chunk()?);
        let chunk = Chunk {
            id: *id,
            size,
            begin: self.next + CHUNK_HEAD_BYTES,
        };
        // A chunk begins at an even byte.
        let size = chunk.size().saturating_add(1) & !1;
        self.next = chunk.begin.saturating_add(size);
        Some(chunk)
    }
}

impl Chunk {
    fn size(&self) -> usize {
        usize::try_from(self.size).unwrap_or(usize::MAX)
    }

    /// Its body, as far as the first bytes go.
    fn body<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let body = bytes.get(self.begin..).unwrap_or_default();
        body.get(..self.size()).unwrap_or(body)
    }
}

/// Reads the body of a chunk `fmt `; `None` where the body is cut.
fn read_format(body: &[u8]) -> Option<Wave> {
    let body = body.get(..body.len().min(EXTENSIBLE_FORMAT_BYTES))?;
    body.get(..PLAIN_FORMAT_BYTES)?;
    let short = |at: usize| Some(u16::from_le_bytes(*body.get(at..)?.first_chunk()?));
    let long = |at: usize| Some(u32::from_le_bytes(*body.get(at..)?.first_chunk()?));
    let tag = short(0)?;
    let is_extended =
        tag == EXTENSIBLE && short(16).is_some_and(|size| size >= MIN_EXTENSION_BYTES);
    let sub_format = is_extended.then(|| sub_format(body)).flatten();
    Some(Wave {
        tag: sub_format.unwrap_or(tag),
        channels: short(2)?,
        samples_per_second: long(4)?,
        bytes_per_second: long(8)?,
        bits: short(14)?,
        data_offset: None,
        data_bytes: None,
    })
}

/// The tag that the sub-format of an extensible format stands for; `None` where it stands for none.
fn sub_format(body: &[u8]) -> Option<u16> {
    let (tag, rest) = body.get(24..)?.split_first_chunk::<2>()?;
    (rest == SUB_FORMAT_TAIL).then(|| u16::from_le_bytes(*tag))
}

impl Wave {
    /// The codec's name.
    pub(crate) fn codec(&self) -> String {
        match self.tag {
            PCM => format!("PCM, {} bits", self.bits),
            FLOAT => format!("float, {} bits", self.bits),
            A_LAW => "G.711 A-law".to_owned(),
            MU_LAW => "G.711 µ-law".to_owned(),
            0x0031 => "GSM 6.10".to_owned(),
            0x0050 => "MPEG".to_owned(),
            MP3 => "MP3".to_owned(),
            tag => format!("format {tag:#06x}"),
        }
    }

    /// Returns true if browsers play it. They play PCM, G.711, MP3, and float except 64 bits; they
    /// do not play GSM.
    pub(crate) fn plays_in_browsers(&self) -> bool {
        match self.tag {
            PCM | A_LAW | MU_LAW | MP3 => true,
            FLOAT => self.bits != 64,
            _ => false,
        }
    }

    /// The byte at which the audio begins in the file.
    pub(crate) fn data_offset(&self) -> Option<u64> {
        self.data_offset
    }

    /// The length of the audio in bytes, where the header tells it.
    pub(crate) fn data_bytes(&self) -> Option<u32> {
        self.data_bytes
    }

    /// Bytes of audio per second.
    pub(crate) fn bytes_per_second(&self) -> u32 {
        self.bytes_per_second
    }

    /// The time that it plays, in milliseconds, by its header.
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
mod tests;

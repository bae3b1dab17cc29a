//! Unusual forms of a recording, and recordings for a demonstration.
//!
//! Knows GSM in WAV, MP3 frames and files whose sizes are wrong. Does not know when a PBX has such
//! files. That they occur is an assumption from Asterisk and from the checks in published clients.

use bytes::{BufMut, Bytes, BytesMut};

use super::{BYTES_PER_SECOND, HEADER_BYTES, Noise, SAMPLE_RATE, header, music};

const GSM_BLOCK_BYTES: u16 = 65;
const GSM_BLOCK_SAMPLES: u16 = 320;
const MP3_FRAME_BYTES: usize = 72;
const MP3_FRAME_SAMPLES: u32 = 576;

/// Makes a WAV file of `seconds` in GSM 6.10: format tag 0x0031, blocks of 65 bytes for 320
/// samples.
///
/// The blocks are well formed and hold noise.
pub fn gsm(seconds: u32) -> Bytes {
    let (block_bytes, block_samples) = (u32::from(GSM_BLOCK_BYTES), u32::from(GSM_BLOCK_SAMPLES));
    let blocks = seconds.saturating_mul(SAMPLE_RATE) / block_samples;
    let data_bytes = blocks * block_bytes;
    let padding = data_bytes % 2; // RIFF chunks start at even offsets
    let mut file = BytesMut::with_capacity(60 + data_bytes as usize + 1);
    file.put_slice(b"RIFF");
    file.put_u32_le(52 + data_bytes + padding);
    file.put_slice(b"WAVEfmt ");
    file.put_u32_le(20);
    file.put_u16_le(0x0031);
    file.put_u16_le(1);
    file.put_u32_le(SAMPLE_RATE);
    file.put_u32_le(SAMPLE_RATE / block_samples * block_bytes);
    file.put_u16_le(GSM_BLOCK_BYTES);
    file.put_u16_le(0);
    file.put_u16_le(2);
    file.put_u16_le(GSM_BLOCK_SAMPLES);
    file.put_slice(b"fact");
    file.put_u32_le(4);
    file.put_u32_le(blocks * block_samples);
    file.put_slice(b"data");
    file.put_u32_le(data_bytes);
    put_noise(&mut file, data_bytes as usize);
    file.put_bytes(0, padding as usize);
    file.freeze()
}

/// Makes a WAV file of 308 bytes without audio, as a call leaves it that ended at once.
pub fn header_only() -> Bytes {
    Bytes::from(header(0))
}

/// Returns a copy with `size` in the RIFF size field. A file that is not RIFF stays as it is.
pub fn riff_size(recording: &Bytes, size: u32) -> Bytes {
    let mut file = BytesMut::from(recording.as_ref());
    if file.starts_with(b"RIFF")
        && let Some(field) = file.get_mut(4..8)
    {
        field.copy_from_slice(&size.to_le_bytes());
    }
    file.freeze()
}

/// Returns a copy whose header announces `more` bytes of audio that the file does not have, as when
/// the PBX stopped before it had written all. A file that is too short for the header of this
/// module stays as it is.
pub fn with_missing(recording: &Bytes, more: u32) -> Bytes {
    let mut file = BytesMut::from(recording.as_ref());
    let size =
        |bytes: usize| u32::try_from(bytes).map_or(u32::MAX, |bytes| bytes.saturating_add(more));
    if let Some(audio) = recording.len().checked_sub(HEADER_BYTES) {
        put_at(&mut file, 4, &size(recording.len() - 8).to_le_bytes());
        put_at(&mut file, HEADER_BYTES - 4, &size(audio).to_le_bytes());
    }
    file.freeze()
}

/// Returns a copy with two equal channels: PCM, 8 kHz, 16 bits, stereo. A file that is too short
/// for the header of this module stays as it is.
pub fn stereo(recording: &Bytes) -> Bytes {
    let Some((head, samples)) = recording.split_at_checked(HEADER_BYTES) else {
        return recording.clone();
    };
    let mut file = BytesMut::with_capacity(head.len() + 2 * samples.len());
    file.put_slice(head);
    for sample in samples.chunks(2) {
        file.put_slice(sample);
        file.put_slice(sample);
    }
    let size = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
    let (riff_bytes, data_bytes) = (file.len().saturating_sub(8), 2 * samples.len());
    put_at(&mut file, 4, &size(riff_bytes).to_le_bytes());
    put_at(&mut file, 22, &2_u16.to_le_bytes());
    put_at(&mut file, 28, &(2 * BYTES_PER_SECOND).to_le_bytes());
    put_at(&mut file, 32, &4_u16.to_le_bytes());
    put_at(&mut file, HEADER_BYTES - 4, &size(data_bytes).to_le_bytes());
    file.freeze()
}

/// Overwrites a field of a header, if the file is long enough to have it.
fn put_at(file: &mut BytesMut, position: usize, value: &[u8]) {
    if let Some(field) = file.get_mut(position..position + value.len()) {
        field.copy_from_slice(value);
    }
}

/// Makes an MP3 file of `seconds`: an ID3 tag, then MPEG 2.5 frames of 8 kbit/s, 8 kHz, mono.
///
/// The frames are silent. Unused bytes in them differ, so that different places have different
/// bytes.
pub fn mp3(seconds: u32) -> Bytes {
    let frames = seconds.saturating_mul(SAMPLE_RATE) / MP3_FRAME_SAMPLES;
    let mut file = BytesMut::new();
    file.put_slice(b"ID3\x04\x00\x00\x00\x00\x00\x0A"); // version 2.4, ten bytes of padding
    file.put_bytes(0, 10);
    for frame in 0..frames.max(1) {
        file.put_slice(&[0xFF, 0xE3, 0x18, 0xC4]);
        file.put_bytes(0, 9); // side information: no audio data
        file.put_u32(frame & 0x7F7F_7F7F); // never a second synchronisation word
        file.put_bytes(0, MP3_FRAME_BYTES - 17);
    }
    file.freeze()
}

/// The duration of a PCM recording in seconds, rounded up, from one second to ten hours.
pub(crate) fn seconds_of(recording: &[u8]) -> u32 {
    let audio = recording.len().saturating_sub(HEADER_BYTES);
    u32::try_from(audio)
        .unwrap_or(u32::MAX)
        .div_ceil(BYTES_PER_SECOND)
        .clamp(1, 36_000)
}

/// Makes the recordings of the demonstration, with their names: 3 s, 1 min and 30 min of music.
///
/// The names follow the samples in Yeastar, "S-Series API Guide", "CDR": start of the recording,
/// call id (its first part is the start of the call), caller, callee, direction.
pub fn demo_recordings() -> Vec<(String, Bytes)> {
    [
        ("20260302091407-1772442845.1203-1001-1003-Internal.wav", 3),
        (
            "20260302104512-1772448301.1219-0205550147-1000-Inbound.wav",
            60,
        ),
        (
            "20260303143026-1772548211.1384-1002-0445550199-Outbound.wav",
            1_800,
        ),
    ]
    .into_iter()
    .map(|(name, seconds)| (name.to_owned(), music(seconds)))
    .collect()
}

fn put_noise(file: &mut BytesMut, bytes: usize) {
    let mut noise = Noise::new();
    let end = file.len() + bytes;
    while file.len() < end {
        file.put_u64_le(noise.next());
    }
    file.truncate(end);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gsm_has_its_format_tag_and_block_size() {
        let file = gsm(2);
        assert_eq!(file[20..22], [0x31, 0]);
        assert_eq!(file.len() - 60, 50 * usize::from(GSM_BLOCK_BYTES));
        assert_eq!(file[4..8], 3_302_u32.to_le_bytes());
        assert_eq!(&file[52..56], b"data");
        assert_eq!(gsm(1).len() % 2, 0);
    }

    #[test]
    fn a_header_without_audio_is_a_valid_file() {
        let file = header_only();
        assert_eq!(file.len(), HEADER_BYTES);
        assert_eq!(file[4..8], 300_u32.to_le_bytes());
        assert!(file.ends_with(&[0; 4]));
    }

    #[test]
    fn riff_size_changes_the_size_field_only() {
        let (file, other) = (music(1), riff_size(&music(1), u32::MAX));
        assert_eq!(other[4..8], [0xFF; 4]);
        assert_eq!((&file[..4], &file[8..]), (&other[..4], &other[8..]));
        assert_eq!(riff_size(&Bytes::from_static(b"text"), 0), "text");
    }

    #[test]
    fn with_missing_announces_more_audio_than_there_is() {
        let (file, other) = (music(1), with_missing(&music(1), 7));
        assert_eq!(other.len(), file.len());
        assert_eq!(other[4..8], 16_307_u32.to_le_bytes());
        assert_eq!(other[304..308], 16_007_u32.to_le_bytes());
        assert_eq!(other[308..], file[308..]);
        assert_eq!(with_missing(&file, 0), file);
        assert_eq!(with_missing(&Bytes::from_static(b"text"), 7), "text");
    }

    #[test]
    fn stereo_has_every_sample_twice() {
        let (mono, file) = (music(1), stereo(&music(1)));
        assert_eq!(file.len(), HEADER_BYTES + 32_000);
        assert_eq!(file[4..8], 32_300_u32.to_le_bytes());
        assert_eq!((file[22], file[32]), (2, 4));
        assert_eq!(file[28..32], 32_000_u32.to_le_bytes());
        assert_eq!(&file[300..304], b"data");
        assert_eq!(file[304..308], 32_000_u32.to_le_bytes());
        let twice = mono[HEADER_BYTES..]
            .chunks(2)
            .flat_map(|two| [two, two].concat());
        assert!(twice.eq(file[HEADER_BYTES..].iter().copied()));
        assert_eq!(stereo(&Bytes::from_static(b"text")), "text");
    }

    #[test]
    fn mp3_has_a_tag_and_frames() {
        let file = mp3(1);
        assert!(file.starts_with(b"ID3"));
        let frames: Vec<_> = file[20..].chunks(MP3_FRAME_BYTES).collect();
        assert_eq!(frames.len(), 13);
        assert!(
            frames
                .iter()
                .all(|frame| frame.len() == 72 && frame.starts_with(&[0xFF, 0xE3]))
        );
    }

    #[test]
    fn demonstration_names_follow_the_vendors_samples() {
        for (name, file) in demo_recordings() {
            let fields: Vec<_> = name.trim_end_matches(".wav").split('-').collect();
            assert_eq!((fields.len(), fields[0].len()), (5, 14));
            assert_eq!(file.len() % 320, 308);
        }
    }
}

//! Formats that browsers play and others, wherever they stand, and headers that are none.

use proptest::prelude::*;

use super::*;

fn read(bytes: &[u8]) -> Option<Wave> {
    RiffHeader::read(bytes)?.wave
}

fn reach(bytes: &[u8]) -> Option<usize> {
    RiffHeader::read(bytes)?.reach
}

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

/// A file whose format is extensible, with these fields and another chunk of so many bytes in
/// front.
fn extensible(sub_format: &[u8], extension: u16, in_front: usize) -> Vec<u8> {
    let mut bytes = b"RIFF\0\0\0\0WAVE".to_vec();
    let mut chunk = |id: &[u8; 4], body: &[u8]| {
        bytes.extend_from_slice(id);
        bytes.extend_from_slice(&u32::try_from(body.len()).unwrap().to_le_bytes());
        bytes.extend_from_slice(body);
        bytes.resize(bytes.len().next_multiple_of(2), 0);
    };
    if in_front > 0 {
        chunk(b"JUNK", &vec![b' '; in_front]);
    }
    let mut body = file(0xFFFE, 0)[32..48].to_vec();
    body.extend_from_slice(&extension.to_le_bytes());
    body.extend_from_slice(b"\x10\0\x04\0\0\0");
    body.extend_from_slice(sub_format);
    chunk(b"fmt ", &body);
    chunk(b"data", &[0; 100]);
    bytes
}

fn of_tag(tag: u16) -> Vec<u8> {
    [&tag.to_le_bytes()[..], &SUB_FORMAT_TAIL].concat()
}

#[track_caller]
fn check_codec(bytes: &[u8], codec: &str, plays: bool) {
    let wave = read(bytes).unwrap();
    assert_eq!((&*wave.codec(), wave.plays_in_browsers()), (codec, plays));
}

#[test]
fn the_sub_format_decides_where_the_format_is_extensible() {
    for in_front in [0, 1, 4_096, 40_000] {
        let of = |tag| extensible(&of_tag(tag), 22, in_front);
        check_codec(&of(1), "PCM, 16 bits", true);
        check_codec(&of(3), "float, 16 bits", true);
        check_codec(&of(6), "G.711 A-law", true);
        check_codec(&of(7), "G.711 µ-law", true);
        check_codec(&of(0x31), "GSM 6.10", false);
        check_codec(&of(0xFFFE), "format 0xfffe", false);
    }
    check_codec(&file(3, 0), "float, 16 bits", true);
    let mut double = file(3, 0);
    double[46] = 64;
    check_codec(&double, "float, 64 bits", false);
}

#[test]
fn a_sub_format_that_is_none_or_is_not_there_decides_nothing() {
    let unknown = "format 0xfffe";
    let pcm = of_tag(1);
    // Of another family, with a longer tag, cut, or said to be shorter than it has to be.
    for byte in 2..16 {
        let mut other = pcm.clone();
        other[byte] ^= 1;
        check_codec(&extensible(&other, 22, 0), unknown, false);
    }
    check_codec(&extensible(&pcm[..15], 22, 0), unknown, false);
    check_codec(&extensible(&[], 22, 0), unknown, false);
    for size in [0, 2, 21] {
        check_codec(&extensible(&pcm, size, 0), unknown, false);
    }
    check_codec(&extensible(&pcm, u16::MAX, 0), "PCM, 16 bits", true);
    check_codec(&file(0xFFFE, 0), unknown, false);
}

#[track_caller]
fn check_reach(bytes: &[u8], expected: Option<usize>) {
    assert_eq!(reach(bytes), expected, "{} bytes", bytes.len());
}

#[test]
fn reach_gives_the_end_of_the_format_chunk() {
    let bytes = extensible(&of_tag(1), 22, 4_097);
    check_reach(&bytes[..11], None);
    check_reach(&bytes[..12], Some(20));
    check_reach(&bytes[..512], Some(20 + 4_098 + 8));
    check_reach(&bytes[..4_126], Some(4_126 + 40));
    check_reach(&bytes[..4_166], None);
    check_reach(&bytes, None);
    let far = extensible(&of_tag(1), 22, MAX_REACH);
    check_reach(&far[..512], None);
    check_reach(b"RIFF\0\0\0\0WAVEJUNK\xFF\xFF\xFF\xFF", None);
    check_reach(b"RIFF\0\0\0\0WAVEJUNK\xFE\xFF\xFF\x7F", None);
    check_reach(b"RIFF\0\0\0\0WAVEdata\0\0\0\0fmt ", None);
    check_reach(b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0", Some(36));
    check_reach(b"RIFF\0\0\0\0WAVEfmt \0\0\0\0", None);
    check_reach(b"RIFF\0\0\0\0AVI LIST", None);
    check_reach(b"ID3\x04\0\0\0\0\0\0\0\0", None);
}

proptest! {
    #[test]
    fn no_bytes_panic(tail in any::<Vec<u8>>()) {
        let bytes = [&b"RIFF\0\0\0\0WAVE"[..], &tail].concat();
        let _ = read(&bytes).map(|wave| wave.to_string());
        let further = reach(&bytes);
        prop_assert!(further.is_none_or(|further| (bytes.len() + 1..=MAX_REACH).contains(&further)));
    }

    #[test]
    fn no_chunks_panic(
        chunks in prop::collection::vec(("fmt |data|JUNK|LIST", any::<u32>(), any::<Vec<u8>>()), 0..6),
    ) {
        let mut bytes = b"RIFF\0\0\0\0WAVE".to_vec();
        for (id, size, body) in chunks {
            // Half of them tell their true size.
            let size = if size % 2 == 0 { size } else { u32::try_from(body.len()).unwrap() };
            bytes.extend_from_slice(id.as_bytes());
            bytes.extend_from_slice(&size.to_le_bytes());
            bytes.extend_from_slice(&body);
        }
        let _ = read(&bytes).map(|wave| wave.to_string());
        // A reader who goes as far as is told comes to an end.
        let mut there = 12.min(bytes.len());
        while let Some(further) = reach(&bytes[..there]) {
            if further > bytes.len() {
                break;
            }
            prop_assert!(further > there);
            there = further;
        }
    }

    #[test]
    fn chunks_before_the_format_do_not_change_the_codec(
        in_front in 1usize..32_000,
        tag in prop::sample::select(vec![1u16, 3, 6, 7, 0x31]),
    ) {
        let bytes = extensible(&of_tag(tag), 22, in_front);
        let mut there = 512.min(bytes.len());
        while let Some(further) = reach(&bytes[..there]) {
            there = further.min(bytes.len());
        }
        let (some, all) = (read(&bytes[..there]).unwrap(), read(&bytes).unwrap());
        prop_assert_eq!(some.codec(), all.codec());
        prop_assert_eq!(all.data_bytes(), Some(100));
    }
}

//! Recordings made in memory; the same arguments give the same bytes.
//!
//! Knows the layout of a WAV file as a PBX writes it, and how to fill one with a melody or with
//! noise. Does not know names or the API. Unusual forms of a recording are in [`forms`].
//!
//! The documented sizes of recordings (825588, 177588 and 4148 bytes; Yeastar, "P-Series Developer
//! Guide", "Query Recording List") are all 308 modulo 320, and 320 bytes is the size of a 20 ms
//! frame of PCM with 8000 samples of 16 bits per second. So this module writes a header of 308
//! bytes: it is longer than the classic 44, with a LIST chunk before the data.

use bytes::Bytes;

pub mod forms;

pub use forms::{demo_recordings, gsm, header_only, mp3, riff_size, stereo, with_missing};

/// Samples per second.
pub const SAMPLE_RATE: u32 = 8_000;
/// Bytes per second of audio: one channel of 16 bits.
pub const BYTES_PER_SECOND: u32 = 2 * SAMPLE_RATE;
/// The length of the header that this module writes, except for short files of [`pcm_of_size`].
pub const HEADER_BYTES: usize = 308;

/// The length of the classic header, without a LIST chunk.
const SHORT_HEADER_BYTES: usize = 44;
/// The length of a note, in samples.
const NOTE_SAMPLES: u32 = 1_600;
/// The length of the wave table, in samples.
const SAMPLES_OF_TABLE: u32 = 1_024;

/// Makes a recording of `seconds` with a melody in it: PCM, 8 kHz, 16 bits, mono.
///
/// The melody does not repeat within an hour, so different places have different bytes. The same
/// length gives the same bytes, and a shorter recording is the beginning of a longer one, except
/// for the header.
pub fn music(seconds: u32) -> Bytes {
    let data_bytes = seconds.saturating_mul(BYTES_PER_SECOND);
    let mut file = header(data_bytes);
    file.reserve(data_bytes as usize);
    let mut player = Player::new();
    for _ in 0..seconds.saturating_mul(SAMPLE_RATE) / NOTE_SAMPLES {
        player.play_note(&mut file);
    }
    Bytes::from(file)
}

/// Makes a PCM recording of exactly `bytes` bytes, filled with noise that does not repeat.
///
/// For tests of sizes; it is unpleasant to hear. Below 308 bytes the header is the classic one of
/// 44 bytes, and below 44 bytes only its beginning is there.
pub fn pcm_of_size(bytes: usize) -> Bytes {
    let header_bytes = if bytes < HEADER_BYTES {
        SHORT_HEADER_BYTES
    } else {
        HEADER_BYTES
    };
    let data_bytes = u32::try_from(bytes.saturating_sub(header_bytes)).unwrap_or(u32::MAX);
    let mut file = if bytes < HEADER_BYTES {
        short_header(data_bytes)
    } else {
        header(data_bytes)
    };
    file.reserve_exact(bytes.saturating_sub(header_bytes) + 8);
    let mut noise = Noise::new();
    while file.len() < bytes {
        file.extend_from_slice(&noise.next().to_le_bytes());
    }
    file.truncate(bytes);
    Bytes::from(file)
}

/// Writes the 308 bytes before `data_bytes` of PCM: RIFF, `fmt `, LIST, and the head of `data`.
fn header(data_bytes: u32) -> Vec<u8> {
    const SOFTWARE_BYTES: u32 = 244;
    let mut file = riff_and_format(300, data_bytes);
    file.extend_from_slice(b"LIST");
    file.extend_from_slice(&(4 + 8 + SOFTWARE_BYTES).to_le_bytes());
    file.extend_from_slice(b"INFOISFT");
    file.extend_from_slice(&SOFTWARE_BYTES.to_le_bytes());
    file.extend_from_slice(b"simulated PBX");
    file.resize(HEADER_BYTES - 8, 0); // the rest of the chunk
    data_head(file, data_bytes)
}

fn short_header(data_bytes: u32) -> Vec<u8> {
    let file = riff_and_format(36, data_bytes);
    data_head(file, data_bytes)
}

/// Writes the chunks RIFF and `fmt `. The size in RIFF counts the file without its first 8 bytes;
/// `header_bytes` is the part of it before the data.
fn riff_and_format(header_bytes: u32, data_bytes: u32) -> Vec<u8> {
    let mut file = Vec::with_capacity(HEADER_BYTES);
    let riff_bytes = header_bytes.saturating_add(data_bytes);
    file.extend_from_slice(b"RIFF");
    file.extend_from_slice(&riff_bytes.to_le_bytes());
    file.extend_from_slice(b"WAVEfmt ");
    file.extend_from_slice(&16_u32.to_le_bytes());
    file.extend_from_slice(&1_u16.to_le_bytes()); // PCM
    file.extend_from_slice(&1_u16.to_le_bytes()); // one channel
    file.extend_from_slice(&SAMPLE_RATE.to_le_bytes());
    file.extend_from_slice(&BYTES_PER_SECOND.to_le_bytes());
    file.extend_from_slice(&2_u16.to_le_bytes()); // bytes per sample
    file.extend_from_slice(&16_u16.to_le_bytes()); // bits per sample
    file
}

fn data_head(mut file: Vec<u8>, data_bytes: u32) -> Vec<u8> {
    file.extend_from_slice(b"data");
    file.extend_from_slice(&data_bytes.to_le_bytes());
    file
}

/// A generator of pseudo-random numbers: xorshift64, always from the same seed.
struct Noise(u64);

impl Noise {
    fn new() -> Self {
        Self(0x9E37_79B9_7F4A_7C15)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// Plays a voice over a bass. Both take their samples from one table: a wave with two harmonics.
struct Player {
    wave: Vec<i32>,
    noise: Noise,
    step: usize,
    notes: u32,
    voice_phase: u32,
    bass_phase: u32,
    bass_pitch: u32,
}

impl Player {
    /// The pitches of the melody, in mHz: a pentatonic scale on A over two octaves.
    const SCALE: [u32; 10] = [
        220_000, 246_942, 277_183, 329_628, 369_994, 440_000, 493_883, 554_365, 659_255, 739_989,
    ];

    fn new() -> Self {
        let wave = (0..SAMPLES_OF_TABLE)
            .map(|index| (6 * sine(index) + 3 * sine(index * 2) + sine(index * 3)) / 10)
            .collect();
        let noise = Noise::new();
        let (step, notes, voice_phase, bass_phase, bass_pitch) = (5, 0, 0, 0, Self::SCALE[0]);
        Self {
            wave,
            noise,
            step,
            notes,
            voice_phase,
            bass_phase,
            bass_pitch,
        }
    }

    /// Appends the next note, which lasts 200 ms.
    fn play_note(&mut self, file: &mut Vec<u8>) {
        let chance = self.noise.next();
        let pitch = self.walk(chance);
        if self.notes.is_multiple_of(8) {
            self.bass_pitch = pitch / 2;
        }
        self.notes += 1;
        let loudness = match chance % 7 {
            0 => 0,
            1..=3 => 11_000,
            4 | 5 => 13_000,
            _ => 14_500,
        };
        let (voice_step, bass_step) = (phase_step(pitch), phase_step(self.bass_pitch / 2));
        for sample in 0..NOTE_SAMPLES {
            self.voice_phase = self.voice_phase.wrapping_add(voice_step);
            self.bass_phase = self.bass_phase.wrapping_add(bass_step);
            let voice = self.at(self.voice_phase) * loudness / 32_768 * envelope(sample) / 4_096;
            let bass = self.at(self.bass_phase) / 6;
            file.extend_from_slice(&clipped(voice + bass).to_le_bytes());
        }
    }

    /// Moves up or down the scale by at most two steps, and returns the pitch there.
    fn walk(&mut self, chance: u64) -> u32 {
        let (up, down) = match chance >> 8 & 7 {
            0 => (2, 0),
            1 | 2 => (1, 0),
            3 | 4 => (0, 1),
            5 => (0, 2),
            _ => (0, 0),
        };
        self.step = (self.step + up)
            .saturating_sub(down)
            .min(Self::SCALE.len() - 1);
        Self::SCALE
            .get(self.step)
            .copied()
            .unwrap_or(Self::SCALE[0])
    }

    fn at(&self, phase: u32) -> i32 {
        self.wave.get((phase >> 22) as usize).copied().unwrap_or(0)
    }
}

/// Converts a sum of voices to a sample, and limits it to the range of 16 bits.
fn clipped(sum: i32) -> i16 {
    i16::try_from(sum).unwrap_or(if sum < 0 { i16::MIN } else { i16::MAX })
}

/// The part of a full turn (2³²) that a tone advances with each sample; `pitch` is in mHz.
fn phase_step(pitch: u32) -> u32 {
    let step = (u64::from(pitch) << 32) / (u64::from(SAMPLE_RATE) * 1_000);
    u32::try_from(step).unwrap_or(u32::MAX)
}

/// The loudness at a sample of a note, 0 to 4096: a short attack, then a fade to 0.
fn envelope(sample: u32) -> i32 {
    const ATTACK: u32 = 64;
    let level = if sample < ATTACK {
        sample * 64
    } else {
        (NOTE_SAMPLES - sample) * 4_096 / (NOTE_SAMPLES - ATTACK)
    };
    level as i32
}

/// The sine of `index` / 1024 turns, scaled to 32767, by Bhaskara's formula. It uses integers only,
/// so every machine makes the same recording.
fn sine(index: u32) -> i32 {
    let half = i64::from(SAMPLES_OF_TABLE / 2);
    let index = i64::from(index % SAMPLES_OF_TABLE);
    let sign = if index < half { 1 } else { -1 };
    let x = index % half;
    let arc = x * (half - x);
    let scaled = sign * 32_767 * 16 * arc / (5 * half * half - 4 * arc);
    i32::try_from(scaled).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(file: &[u8], at: usize) -> u32 {
        u32::from_le_bytes(file[at..at + 4].try_into().unwrap())
    }

    #[test]
    fn music_has_the_layout_and_size_of_a_real_recording() {
        let file = music(3);
        assert_eq!(file.len(), HEADER_BYTES + 48_000);
        assert_eq!(file.len() % 320, 308);
        assert_eq!((&file[..4], &file[8..16]), (&b"RIFF"[..], &b"WAVEfmt "[..]));
        assert_eq!(word(&file, 4) as usize, file.len() - 8);
        assert_eq!(&file[36..40], b"LIST");
        let data = 44 + word(&file, 40) as usize;
        assert_eq!(&file[data..data + 4], b"data");
        assert_eq!(word(&file, data + 4), 48_000);
        assert_eq!(data + 8, HEADER_BYTES);
    }

    #[test]
    fn music_repeats_per_call_but_not_within_a_recording() {
        let file = music(60);
        assert_eq!(file, music(60));
        assert_eq!(file[HEADER_BYTES..][..48_000], music(3)[HEADER_BYTES..]);
        let mut places: Vec<_> = file[HEADER_BYTES..].chunks(16_000).collect();
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), 60);
    }

    #[test]
    fn music_is_audible_and_does_not_clip() {
        let file = music(10);
        let samples = file[HEADER_BYTES..]
            .chunks(2)
            .map(|pair| i16::from_le_bytes([pair[0], pair[1]]));
        let loudest = samples.map(i16::unsigned_abs).max().unwrap();
        assert!((8_000..32_000).contains(&loudest), "{loudest}");
    }

    #[test]
    fn the_integer_sine_is_close_to_the_exact_one() {
        for index in 0..SAMPLES_OF_TABLE {
            let exact = (f64::from(index) / 1_024.0 * std::f64::consts::TAU).sin() * 32_767.0;
            assert!((f64::from(sine(index)) - exact).abs() < 70.0, "{index}");
        }
    }

    #[test]
    fn a_pcm_recording_has_exactly_the_requested_size() {
        for size in [0, 10, 44, 45, 307, 308, 309, 1_000_000] {
            let file = pcm_of_size(size);
            assert_eq!(file.len(), size);
            if size >= 44 {
                assert_eq!(word(&file, 4) as usize, size - 8);
            }
        }
        assert_eq!(pcm_of_size(5_000), pcm_of_size(5_000));
    }
}

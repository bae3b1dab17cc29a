//! The formats that browsers play, wherever the header names them.
//!
//! A browser that opens a recording by itself gets it `inline` if it can play it, and otherwise as
//! a file to save. Programs and `<audio>` elements always get it `inline`.
//!
//! The kind: tag 0xFFFE (extensible), whose sub-format decides, and tag 3 (float); a format after
//! other chunks, of even and odd sizes and in any number, up to 32 KiB; the same where the PBX
//! sends a length or none, with the cache and without, for a range, for every generation of PBX,
//! and for the doctor.
//!
//! The rule must not permit more: a sub-format of another family, or one that is cut or declared
//! too short, decides nothing, and a format that browsers do not play is saved as before. No size,
//! tag or end makes a recording unavailable, and no request waits for a format that is beyond the
//! bound or cannot come.

use bytes::{BufMut, Bytes, BytesMut};
use http::{Method, StatusCode};
use wavegate::simulator::{Api, Simulator, Switch};

use crate::browser;
use crate::harness::programs::run_wavegate;
use crate::harness::{Answer, Call, Gateway, NAME, gateway, gateway_for, jwt, soon};

/// A person who opens the address in a browser.
const PERSON: (&str, &str) = ("sec-fetch-mode", "navigate");
const PROGRAM: (&str, &str) = ("accept", "*/*");
const CACHES: [&str; 3] = ["max_bytes = 0", "", "max_bytes = 1048576"];

const PCM: u16 = 1;
const FLOAT: u16 = 3;
const A_LAW: u16 = 6;
const MU_LAW: u16 = 7;
const GSM: u16 = 0x31;
const EXTENSIBLE: u16 = 0xFFFE;

/// The beginning of a file.
#[derive(Clone)]
struct Form {
    tag: u16,
    bits: u16,
    /// The part of the format after the fields that every format has.
    extension: Vec<u8>,
    /// Other chunks in front of the format.
    in_front: Vec<(&'static [u8; 4], usize)>,
}

impl Form {
    fn plain(tag: u16, bits: u16) -> Self {
        Self {
            tag,
            bits,
            extension: Vec::new(),
            in_front: Vec::new(),
        }
    }

    /// An extensible format with a sub-format of the family that begins with a tag.
    fn extensible(sub_format: u16, bits: u16) -> Self {
        let mut guid = *b"\0\0\0\0\0\0\x10\0\x80\0\0\xAA\0\x38\x9B\x71";
        guid[..2].copy_from_slice(&sub_format.to_le_bytes());
        Self::with_guid(&guid, 22, bits)
    }

    fn with_guid(guid: &[u8], size: u16, bits: u16) -> Self {
        let mut extension = size.to_le_bytes().to_vec();
        extension.extend_from_slice(&bits.to_le_bytes());
        extension.extend_from_slice(&4_u32.to_le_bytes());
        extension.extend_from_slice(guid);
        Self {
            extension,
            ..Self::plain(EXTENSIBLE, bits)
        }
    }

    fn behind(mut self, in_front: &[(&'static [u8; 4], usize)]) -> Self {
        self.in_front = in_front.to_vec();
        self
    }

    /// Three seconds of silence in this form.
    fn file(&self) -> Bytes {
        let per_second = 8_000 * u32::from(self.bits) / 8;
        let mut chunks = BytesMut::new();
        let mut chunk = |id: &[u8; 4], body: &[u8]| {
            chunks.put_slice(id);
            chunks.put_u32_le(u32::try_from(body.len()).unwrap());
            chunks.put_slice(body);
            chunks.put_bytes(0, body.len() % 2);
        };
        for (id, size) in &self.in_front {
            chunk(id, &vec![b' '; *size]);
        }
        let mut format = BytesMut::new();
        format.put_u16_le(self.tag);
        format.put_u16_le(1);
        format.put_u32_le(8_000);
        format.put_u32_le(per_second);
        format.put_u16_le(self.bits / 8);
        format.put_u16_le(self.bits);
        format.put_slice(&self.extension);
        chunk(b"fmt ", &format);
        chunk(b"data", &vec![0; 3 * per_second as usize]);
        let mut file = BytesMut::new();
        file.put_slice(b"RIFF");
        file.put_u32_le(u32::try_from(chunks.len()).unwrap() + 4);
        file.put_slice(b"WAVE");
        file.put_slice(&chunks);
        file.freeze()
    }
}

/// Forms, and whether browsers play them.
fn forms() -> Vec<(&'static str, Form, bool)> {
    const JUNK: &[u8; 4] = b"JUNK";
    let pcm = || Form::plain(PCM, 16);
    let extensible = Form::extensible;
    let guid = *b"\x01\0\0\0\0\0\x10\0\x80\0\0\xAA\0\x38\x9B\x71";
    let mut ambisonic = guid;
    ambisonic[4..].copy_from_slice(b"\x21\x07\xD3\x11\x86\x44\xC8\xC1\xCA\0\0\0");
    let mut long_tag = guid;
    long_tag[2] = 1;
    vec![
        ("PCM", pcm(), true),
        ("float", Form::plain(FLOAT, 32), true),
        ("A-law", Form::plain(A_LAW, 8), true),
        ("µ-law", Form::plain(MU_LAW, 8), true),
        ("extensible PCM", extensible(PCM, 16), true),
        ("extensible PCM, 24 bits", extensible(PCM, 24), true),
        ("extensible float", extensible(FLOAT, 32), true),
        ("extensible A-law", extensible(A_LAW, 8), true),
        ("extensible µ-law", extensible(MU_LAW, 8), true),
        ("4 KB in front", pcm().behind(&[(JUNK, 4_096)]), true),
        (
            "4 KB in front of an extensible one",
            extensible(A_LAW, 8).behind(&[(JUNK, 4_096)]),
            true,
        ),
        (
            "an odd size in front",
            extensible(PCM, 16).behind(&[(b"bext", 5_001), (b"LIST", 0), (JUNK, 1)]),
            true,
        ),
        (
            "many in front",
            extensible(MU_LAW, 8).behind(&[(JUNK, 8); 1_000]),
            true,
        ),
        ("30 KB in front", pcm().behind(&[(JUNK, 30_000)]), true),
        // Formats that browsers do not play, as before.
        ("GSM", Form::plain(GSM, 8), false),
        ("64 bits of float", Form::plain(FLOAT, 64), false),
        ("extensible, 64 bits of float", extensible(FLOAT, 64), false),
        ("extensible GSM", extensible(GSM, 8), false),
        (
            "GSM behind 4 KB",
            Form::plain(GSM, 8).behind(&[(JUNK, 4_096)]),
            false,
        ),
        ("nothing said", Form::plain(EXTENSIBLE, 16), false),
        ("extensible in itself", extensible(EXTENSIBLE, 16), false),
        (
            "of another family",
            Form::with_guid(&ambisonic, 22, 16),
            false,
        ),
        ("a longer tag", Form::with_guid(&long_tag, 22, 16), false),
        ("cut", Form::with_guid(&guid[..15], 22, 16), false),
        (
            "said to be too short",
            Form::with_guid(&guid, 20, 16),
            false,
        ),
        ("an unknown tag", Form::plain(0xABCD, 16), false),
        // The format is unknown, so the recording is sent inline.
        (
            "beyond the bound",
            Form::plain(GSM, 8).behind(&[(JUNK, 33_000)]),
            true,
        ),
    ]
}

async fn start(api: Api, switches: &[Switch], recording: &Bytes) -> Simulator {
    let mut builder = Simulator::builder(api).recording(NAME, recording.clone());
    for switch in switches {
        builder = builder.switch(*switch);
    }
    builder.start().await.unwrap()
}

fn call(gateway: &Gateway, method: Method, (field, value): (&str, &str)) -> Call {
    let call = gateway.request(method, &format!("/recordings/{NAME}"));
    call.bearer(&jwt("alice")).header(field, value)
}

#[track_caller]
fn check(answer: &Answer, kind: &str, row: &str) {
    assert!(answer.status().is_success(), "{row}");
    assert_eq!(answer.header("content-type"), Some("audio/wav"), "{row}");
    let expected = format!("{kind}; filename=\"{NAME}\"");
    assert_eq!(
        answer.header("content-disposition"),
        Some(&*expected),
        "{row}"
    );
}

/// Checks that a person gets a recording inline or as a file, a program always inline, and both the
/// same bytes.
async fn check_form(api: Api, switches: &[Switch], cache: &str, (what, form, plays): &Row) {
    let row = format!("{what} {api} {switches:?} {cache}");
    let recording = form.file();
    let pbx = start(api, switches, &recording).await;
    let gateway = gateway_for(&pbx, api)
        .cache()
        .lines("[cache]", cache)
        .set("range.wait_ms", 60000);
    let gateway = gateway.start().await;
    let kind = if *plays { "inline" } else { "attachment" };
    let head = call(&gateway, Method::HEAD, PERSON).send().await;
    check(&head, kind, &row);
    for (who, kind) in [(PERSON, kind), (PROGRAM, "inline")] {
        let answer = call(&gateway, Method::GET, who).send().await;
        check(&answer, kind, &row);
        assert!(answer.bytes().await.unwrap() == recording, "{row}");
        let part = call(&gateway, Method::GET, who).header("range", "bytes=600-699");
        let answer = part.send().await;
        assert_eq!(answer.status(), StatusCode::PARTIAL_CONTENT, "{row}");
        check(&answer, kind, &row);
        assert!(answer.bytes().await.unwrap() == recording[600..700]);
    }
}

type Row = (&'static str, Form, bool);

#[tokio::test]
async fn a_browser_plays_what_it_can_and_saves_the_rest() {
    for row in &forms() {
        check_form(Api::SSeries200, &[], CACHES[1], row).await;
        check_form(
            Api::SSeries200,
            &[Switch::DownloadWithLength],
            CACHES[0],
            row,
        )
        .await;
    }
}

#[tokio::test]
async fn the_format_is_found_wherever_the_bytes_go() {
    let behind = [(b"JUNK", 30_000)];
    for (form, plays) in [
        (Form::extensible(PCM, 16).behind(&behind), true),
        (Form::plain(GSM, 8).behind(&behind), false),
    ] {
        let row = ("30 KB in front", form, plays);
        for switches in [&[][..], &[Switch::DownloadWithLength]] {
            for cache in CACHES {
                check_form(Api::SSeries200, switches, cache, &row).await;
            }
        }
    }
}

#[tokio::test]
async fn the_format_is_found_in_what_every_generation_of_pbx_sends() {
    for &api in Api::ALL {
        let row = (
            "behind 4 KB",
            Form::extensible(GSM, 8).behind(&[(b"JUNK", 4_096)]),
            false,
        );
        check_form(api, &[], "", &row).await;
        check_form(api, &[Switch::DownloadChunked], CACHES[0], &row).await;
    }
}

/// Files whose headers are cut or absurd. Each still counts as a recording, since it begins like
/// one.
fn absurd() -> Vec<(&'static str, Bytes)> {
    let whole = Form::extensible(PCM, 16).file();
    let of = |bytes: &[u8]| Bytes::copy_from_slice(bytes);
    let with = |place: usize, bytes: &[u8]| {
        let mut file = whole.to_vec();
        file[place..place + bytes.len()].copy_from_slice(bytes);
        Bytes::from(file)
    };
    vec![
        ("no chunk", of(&whole[..12])),
        ("half a head of a chunk", of(&whole[..18])),
        ("no format in its chunk", of(&whole[..20])),
        ("half a format", of(&whole[..30])),
        ("half an extension", of(&whole[..40])),
        ("no audio", of(&whole[..60])),
        ("a format of no size", with(16, &[0; 4])),
        ("a format of 15 bytes", with(16, &[15, 0, 0, 0])),
        ("a format of 4 GiB", with(16, &[0xFF; 4])),
        (
            "a chunk of 4 GiB in front",
            with(12, b"JUNK\xFF\xFF\xFF\xFF"),
        ),
        ("one of 2 GiB", with(12, b"JUNK\xFE\xFF\xFF\x7F")),
        ("one as long as the bound", with(12, b"JUNK\0\x80\0\0")),
        ("one longer than the file", with(12, b"JUNK\0\x7F\0\0")),
        ("the audio in front", with(12, b"data\0\0\0\0")),
        (
            "nothing but zeros",
            [&whole[..12], &[0; 50_000]].concat().into(),
        ),
    ]
}

#[tokio::test]
async fn no_header_keeps_a_recording_from_being_served() {
    for (what, recording) in absurd() {
        let told = &[Switch::DownloadWithLength];
        for (switches, cache) in [(&[][..], CACHES[1]), (told, CACHES[0])] {
            let row = format!("{what} {switches:?} {cache}");
            let pbx = start(Api::SSeries200, switches, &recording).await;
            let gateway = gateway(&pbx).cache().lines("[cache]", cache).start().await;
            for who in [PERSON, PROGRAM] {
                let answer = call(&gateway, Method::GET, who).send().await;
                assert_eq!(answer.status(), StatusCode::OK, "{row}");
                assert!(answer.bytes().await.unwrap() == recording, "{row}");
            }
        }
    }
}

#[tokio::test]
async fn an_answer_does_not_wait_for_a_format_that_never_comes() {
    // The PBX has sent the beginning, and stalls.
    for (what, in_front, is_awaited) in [
        ("not needed", 0, false),
        ("beyond the bound", 33_000, false),
        ("behind what has come", 4_096, true),
    ] {
        let recording = Form::plain(PCM, 16).behind(&[(b"JUNK", in_front)]).file();
        for cache in CACHES {
            let pbx = start(Api::SSeries200, &[], &recording).await;
            pbx.hold_downloads(1_000);
            let gateway = gateway(&pbx).cache().lines("[cache]", cache).start().await;
            let answer = tokio::spawn(call(&gateway, Method::GET, PERSON).send());
            if is_awaited {
                soon(pbx.until(|seen| seen.bytes_sent == 1_000)).await;
                pbx.release_downloads();
            }
            let answer = soon(answer).await.unwrap();
            check(&answer, "inline", what);
            pbx.release_downloads();
            assert!(answer.bytes().await.unwrap() == recording, "{what} {cache}");
        }
    }
}

#[tokio::test]
async fn the_doctor_names_a_format_behind_other_chunks() {
    let form = Form::extensible(A_LAW, 8).behind(&[(b"JUNK", 20_000)]);
    let pbx = start(Api::SSeries200, &[], &form.file()).await;
    let builder = gateway(&pbx);
    let config = builder.write();
    let config = config.to_str().unwrap();
    let arguments = ["doctor", "--config", config, "--recording", NAME];
    let told = run_wavegate(&arguments).await;
    assert_eq!(told.code, Some(0), "{}", told.out);
    assert!(told.out.contains("G.711 A-law"), "{}", told.out);
}

#[tokio::test]
async fn a_browser_plays_the_formats_called_playable() {
    let behind = |form: Form| form.behind(&[(b"JUNK", 4_096)]);
    for form in [
        Form::plain(FLOAT, 32),
        behind(Form::plain(PCM, 16)),
        behind(Form::extensible(PCM, 16)),
        behind(Form::extensible(FLOAT, 32)),
        behind(Form::extensible(A_LAW, 8)),
        behind(Form::extensible(MU_LAW, 8)),
    ] {
        let pbx = start(Api::SSeries200, &[Switch::DownloadWithLength], &form.file()).await;
        let gateway = gateway(&pbx).start().await;
        let Some((duration, position)) = browser::play(&browser::url(gateway.addr())).await else {
            return;
        };
        assert!(position > 1.0);
        assert!((2.9..=3.1).contains(&duration), "{duration}");
    }
}

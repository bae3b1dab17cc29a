//! HTTP/2 frames as an attacker writes them, which no client library does.
//!
//! Source: RFC 9113 §4.1 (frames), §6 (types); RFC 7541 §6.2.2 (fields that are not indexed).

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const FRAME_HEAD_BYTES: usize = 9;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A field that is not indexed, whose value is short of 2^14 bytes.
fn field(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| -> Vec<u8> {
        let mut bytes = Vec::new();
        match text.len() {
            length @ ..127 => bytes.push(length as u8),
            length => {
                let rest = length - 127;
                bytes.extend([127, (rest % 128) as u8 | 128, (rest / 128) as u8]);
            }
        }
        bytes.extend(text.as_bytes());
        bytes
    };
    [vec![0], text(name), text(value)].concat()
}

fn head(path: &str) -> Vec<u8> {
    let fields = [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "localhost"),
        (":path", path),
    ];
    fields.map(|(name, value)| field(name, value)).concat()
}

/// The start of a connection.
pub(super) fn preface() -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &[]));
    bytes
}

/// A request.
pub(super) fn get(stream: u32, path: &str, token: &str) -> Vec<u8> {
    let mut block = head(path);
    block.extend(field("authorization", &format!("Bearer {token}")));
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &block)
}

/// The end of a request, by the caller.
pub(super) fn reset(stream: u32) -> Vec<u8> {
    let cancel = 8_u32;
    frame(RST_STREAM, 0, stream, &cancel.to_be_bytes())
}

/// A request whose head goes on in this many frames of 16 KB, and does not end.
pub(super) fn endless_head(stream: u32, frames: usize) -> Vec<u8> {
    let mut bytes = frame(HEADERS, END_STREAM, stream, &head("/"));
    let more = field("x-long", &"a".repeat(16_000));
    for _ in 0..frames {
        bytes.extend(frame(CONTINUATION, 0, stream, &more));
    }
    bytes
}

/// True if one of these frames ends the connection.
pub(super) fn has_goaway(mut bytes: &[u8]) -> bool {
    while let Some(head) = bytes.first_chunk::<FRAME_HEAD_BYTES>() {
        let [a, b, c, kind, ..] = *head;
        if kind == GOAWAY {
            return true;
        }
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        bytes = bytes.get(FRAME_HEAD_BYTES + length..).unwrap_or_default();
    }
    false
}

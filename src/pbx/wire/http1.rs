//! HTTP/1.1 as a PBX speaks it: the head of an answer, and the body behind it.
//!
//! Knows which bytes are the head, where the body ends, and what has to be taken out of it. Does
//! not know sockets or what the bytes mean. Pure. httparse reads the head; of its fields only those
//! are kept that decide something here, since no field of a PBX is passed on.
//!
//! Sources: RFC 9112, §2.2 to §4 (heads), §6.3 (where a body ends), §7.1 (chunks), §9.3
//! (connections that stay open); RFC 9110 §15.2 (interim answers).

use bytes::{Buf, Bytes, BytesMut};
use http::header::CONTENT_RANGE;
use http::{HeaderMap, HeaderValue, StatusCode};
use thiserror::Error;

/// The longest head of an answer.
const MAX_HEAD_BYTES: usize = 16 * 1024;
const MAX_FIELDS: usize = 100;
/// The most bytes of a chunked body, besides its data, that may follow one another: extensions of
/// a chunk, or trailers.
const MAX_CHUNK_OVERHEAD: usize = 16 * 1024;

/// Bytes that are no HTTP/1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(in crate::pbx) enum Malformed {
    #[error("the answer is no HTTP")]
    Head,
    #[error("the head of the answer is too long")]
    HeadTooLong,
    #[error("the answer has no valid Content-Length")]
    Length,
    #[error("a coded body in HTTP/1.0")]
    Coding,
    #[error("a malformed chunk")]
    Chunk,
}

/// The head of an answer.
#[derive(Debug)]
pub(in crate::pbx) struct ResponseHead {
    pub(in crate::pbx) status: StatusCode,
    /// The fields `Content-Range`, and no others.
    pub(in crate::pbx) headers: HeaderMap,
    pub(in crate::pbx) body: Body,
    /// The connection may be used again behind the body.
    pub(in crate::pbx) is_lasting: bool,
}

/// The rest of a body: how many bytes still come, or what tells its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::pbx) enum Body {
    Length(u64),
    Chunked(Chunk),
    /// Up to the end of the connection.
    Close,
}

/// The part of a chunked body that comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::pbx) enum Chunk {
    /// The line with the size of the next chunk.
    Size,
    Data(u64),
    /// The line end behind the data.
    DataEnd,
    /// The lines behind the last chunk; so many bytes of them have come.
    Trailers(usize),
    End,
}

/// Reads a head, and skips interim answers before it. Returns `None` until all of it is there.
///
/// # Errors
/// When the bytes are no head, or one that does not say where its body ends.
pub(in crate::pbx) fn read_head(bytes: &mut BytesMut) -> Result<Option<ResponseHead>, Malformed> {
    loop {
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut response = httparse::Response::new(&mut fields);
        let length = match response.parse(bytes) {
            Ok(httparse::Status::Complete(length)) if length <= MAX_HEAD_BYTES => length,
            Ok(httparse::Status::Partial) if bytes.len() < MAX_HEAD_BYTES => return Ok(None),
            Ok(_) => return Err(Malformed::HeadTooLong),
            Err(_) => return Err(Malformed::Head),
        };
        let code = response.code.unwrap_or_default();
        let status = StatusCode::from_u16(code).map_err(|_| Malformed::Head)?;
        // 101 would be the end of HTTP on this connection, and nobody asked for that.
        let is_interim = status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS;
        let head = match is_interim {
            true => None,
            false => Some(Fields::of(response.headers).head(status, response.version == Some(1))?),
        };
        bytes.advance(length);
        if head.is_some() {
            return Ok(head);
        }
    }
}

/// The fields that decide something.
#[derive(Default)]
struct Fields {
    /// Every `Content-Length` says the same; an error if they do not.
    length: Option<Result<u64, Malformed>>,
    is_coded: bool,
    /// The last transfer coding is `chunked`.
    is_chunked: bool,
    closes: bool,
    keeps_alive: bool,
    ranges: HeaderMap,
}

impl Fields {
    fn of(all: &[httparse::Header<'_>]) -> Self {
        let mut fields = Self::default();
        for field in all {
            let is = |name: &str| field.name.eq_ignore_ascii_case(name);
            let elements = || {
                field
                    .value
                    .split(|byte| *byte == b',')
                    .map(<[u8]>::trim_ascii)
            };
            if is("content-length") {
                elements().for_each(|element| fields.add_length(element));
            } else if is("transfer-encoding") {
                fields.is_coded = true;
                let last = elements().next_back().unwrap_or_default();
                fields.is_chunked = last.eq_ignore_ascii_case(b"chunked");
            } else if is("connection") {
                let names = |name: &[u8]| elements().any(|one| one.eq_ignore_ascii_case(name));
                fields.closes |= names(b"close");
                fields.keeps_alive |= names(b"keep-alive");
            } else if is("content-range")
                && let Ok(range) = HeaderValue::from_bytes(field.value)
            {
                fields.ranges.append(CONTENT_RANGE, range);
            }
        }
        fields
    }

    fn add_length(&mut self, digits: &[u8]) {
        let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
        let text = str::from_utf8(digits).unwrap_or_default();
        let length = text.parse().ok().filter(|_| is_number);
        let length = length.ok_or(Malformed::Length);
        let is_same = self.length.is_none_or(|before| before == length);
        self.length = Some(if is_same {
            length
        } else {
            Err(Malformed::Length)
        });
    }

    fn head(self, status: StatusCode, is_newer: bool) -> Result<ResponseHead, Malformed> {
        let has_none = matches!(
            status,
            StatusCode::SWITCHING_PROTOCOLS | StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
        );
        // RFC 9112 §6.3: a transfer coding goes before a length. A head with both may come from a
        // mistake of somebody in between, so nothing behind its body is believed.
        let is_doubtful = self.is_coded && self.length.is_some();
        let body = match self.length {
            _ if has_none => Body::Length(0),
            _ if self.is_coded && !is_newer => return Err(Malformed::Coding),
            _ if self.is_chunked => Body::Chunked(Chunk::Size),
            _ if self.is_coded => Body::Close,
            Some(length) => Body::Length(length?),
            None => Body::Close,
        };
        let is_lasting = !self.closes
            && (is_newer || self.keeps_alive)
            && status != StatusCode::SWITCHING_PROTOCOLS
            && body != Body::Close
            && !is_doubtful;
        Ok(ResponseHead {
            status,
            headers: self.ranges,
            body,
            is_lasting,
        })
    }
}

impl Body {
    /// Whether all of it has been taken. The end of a connection is not seen here.
    pub(in crate::pbx) fn has_ended(&self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunk::End))
    }

    /// The number of next bytes that are data, as far as that is known without looking at them.
    fn next_data(&self) -> u64 {
        match self {
            Self::Length(left) | Self::Chunked(Chunk::Data(left)) => *left,
            Self::Chunked(_) => 0,
            Self::Close => u64::MAX,
        }
    }

    /// Counts data that was taken. No more than [`Body::next_data`].
    fn note_data(&mut self, bytes: usize) {
        let bytes = bytes as u64;
        match self {
            Self::Length(left) => *left = left.saturating_sub(bytes),
            Self::Chunked(Chunk::Data(left)) => {
                *left = left.saturating_sub(bytes);
                if *left == 0 {
                    *self = Self::Chunked(Chunk::DataEnd);
                }
            }
            Self::Chunked(_) | Self::Close => {}
        }
    }

    /// Takes the next data out of these bytes; `None` where they hold none yet.
    ///
    /// # Errors
    /// When they are no chunks.
    pub(in crate::pbx) fn take(
        &mut self,
        bytes: &mut BytesMut,
    ) -> Result<Option<Bytes>, Malformed> {
        if let Self::Chunked(chunk) = self {
            chunk.go_to_data(bytes)?;
        }
        let there = usize::try_from(self.next_data()).unwrap_or(usize::MAX);
        let there = there.min(bytes.len());
        if there == 0 {
            return Ok(None);
        }
        self.note_data(there);
        Ok(Some(bytes.split_to(there).freeze()))
    }
}

impl Chunk {
    /// Takes what is no data out of these bytes, as far as it is there.
    fn go_to_data(&mut self, bytes: &mut BytesMut) -> Result<(), Malformed> {
        loop {
            match self {
                Self::Data(_) | Self::End => return Ok(()),
                Self::Size => {
                    let Some(line) = take_line(bytes)? else {
                        return Ok(());
                    };
                    *self = match chunk_size(&line)? {
                        0 => Self::Trailers(0),
                        size => Self::Data(size),
                    };
                }
                Self::DataEnd => match take_line(bytes)? {
                    None => return Ok(()),
                    Some(line) if line.is_empty() => *self = Self::Size,
                    Some(_) => return Err(Malformed::Chunk),
                },
                Self::Trailers(before) => match take_line(bytes)? {
                    None => return Ok(()),
                    Some(line) if line.is_empty() => *self = Self::End,
                    Some(line) => {
                        *before += line.len() + 2;
                        if *before > MAX_CHUNK_OVERHEAD {
                            return Err(Malformed::Chunk);
                        }
                    }
                },
            }
        }
    }
}

/// Takes a line without its end, which is CR and LF; `None` until all of it is there.
fn take_line(bytes: &mut BytesMut) -> Result<Option<BytesMut>, Malformed> {
    let Some(end) = memchr::memchr(b'\n', bytes) else {
        return match bytes.len() > MAX_CHUNK_OVERHEAD {
            true => Err(Malformed::Chunk),
            false => Ok(None),
        };
    };
    let mut line = bytes.split_to(end + 1);
    if end > MAX_CHUNK_OVERHEAD || !line.ends_with(b"\r\n") {
        return Err(Malformed::Chunk);
    }
    line.truncate(end - 1);
    Ok(Some(line))
}

/// The size of a chunk: hexadecimal digits, and perhaps extensions, which nobody has defined.
fn chunk_size(line: &[u8]) -> Result<u64, Malformed> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
    let digits = digits.trim_ascii_end();
    // An extension may hold anything but the end of a line.
    let is_valid = digits.iter().all(u8::is_ascii_hexdigit) && !line.contains(&b'\r');
    let text = str::from_utf8(digits).unwrap_or_default();
    let size = u64::from_str_radix(text, 16).ok().filter(|_| is_valid);
    size.ok_or(Malformed::Chunk)
}

#[cfg(test)]
mod tests;

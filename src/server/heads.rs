//! Scans the bytes of an HTTP/1 connection on their way to hyper, to find a request head that has
//! both a length and a transfer coding.
//!
//! hyper takes such a request by its transfer coding, and hides the length before the gateway sees
//! the head. RFC 9112 §6.3 allows that. But a proxy in front may have taken the request by its
//! length, and then the rest of the body is a request that nobody sent.
//!
//! Knows where heads begin and end, and two of their fields. It changes and delays no byte. A head
//! that hyper refuses need not be understood here: hyper ends the connection. The scan stops behind
//! a head with a transfer coding: the listeners make that request the last one of its connection.
//!
//! Sources: RFC 9112 §2.2 (line ends, empty lines before a request), §5 (fields), §6 (where a body
//! ends).

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::gateway::head::MessageFraming;

const CONTENT_LENGTH: &[u8] = b"content-length";
const TRANSFER_ENCODING: &[u8] = b"transfer-encoding";

/// The message framing of the requests of one connection, in their order.
#[derive(Default)]
pub(crate) struct Heads {
    /// Number of requests that hyper has handed out so far.
    handed_out: AtomicU64,
    /// The number of the head at which the scan stopped, and its framing. Set before hyper sees the
    /// end of that head, so it is there when hyper hands the request out.
    last: OnceLock<(u64, MessageFraming)>,
}

impl Heads {
    /// The framing of the next request. Call it once for each request, in their order, before its
    /// future is first polled.
    pub(crate) fn next(&self) -> MessageFraming {
        let number = self.handed_out.fetch_add(1, Ordering::Relaxed) + 1;
        match self.last.get() {
            Some((last, framing)) if *last <= number => *framing,
            _ => MessageFraming::Plain,
        }
    }
}

/// A connection whose heads are scanned.
pub(crate) struct WatchedHeads<S> {
    stream: S,
    scan: HeadScan,
    heads: Arc<Heads>,
}

impl<S> WatchedHeads<S> {
    pub(crate) fn new(stream: S) -> (Self, Arc<Heads>) {
        let heads = Arc::new(Heads::default());
        let watched = Self {
            stream,
            scan: HeadScan::default(),
            heads: Arc::clone(&heads),
        };
        (watched, heads)
    }
}

/// The part of the connection that the next byte belongs to.
#[derive(Default)]
enum ScanPosition {
    /// Before a request line, where empty lines are allowed.
    #[default]
    Before,
    RequestLine,
    Name(FieldName),
    Value(Field),
    /// In a body with so many bytes left.
    Body(u64),
    /// Behind the head at which the scan stopped.
    Rest,
}

/// The beginning of a field's name, in lower case: as many bytes as it takes to recognize the two
/// fields.
#[derive(Default)]
struct FieldName {
    bytes: [u8; TRANSFER_ENCODING.len()],
    length: usize,
}

#[derive(Clone, Copy)]
enum Field {
    ContentLength,
    Other,
}

/// The state of the scan of one connection.
#[derive(Default)]
struct HeadScan {
    place: ScanPosition,
    /// Number of heads that have ended.
    ended: u64,
    length: Option<u64>,
    has_coding: bool,
}

impl FieldName {
    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = byte.to_ascii_lowercase();
        }
        self.length = self.length.saturating_add(1);
    }

    fn equals(&self, name: &[u8]) -> bool {
        self.length == name.len() && self.bytes.starts_with(name)
    }
}

impl HeadScan {
    /// Scans more bytes. At the end of the last head to be scanned it returns the head's number and
    /// framing, once.
    fn read(&mut self, mut bytes: &[u8]) -> Option<(u64, MessageFraming)> {
        loop {
            match &mut self.place {
                ScanPosition::Rest => return None,
                ScanPosition::Body(left) => {
                    let there = u64::try_from(bytes.len()).unwrap_or(u64::MAX).min(*left);
                    *left -= there;
                    if *left > 0 {
                        return None;
                    }
                    self.place = ScanPosition::Before;
                    bytes = bytes.get(usize::try_from(there).ok()?..)?;
                }
                // Nothing in the rest of such a line matters.
                ScanPosition::RequestLine | ScanPosition::Value(Field::Other) => {
                    let end = memchr::memchr(b'\n', bytes)?;
                    self.place = ScanPosition::Name(FieldName::default());
                    bytes = bytes.get(end + 1..)?;
                }
                ScanPosition::Before | ScanPosition::Name(_) | ScanPosition::Value(_) => {
                    let (byte, rest) = bytes.split_first()?;
                    bytes = rest;
                    if let Some(framing) = self.read_byte(*byte) {
                        return Some((self.ended, framing));
                    }
                }
            }
        }
    }

    /// Scans one byte of a head that matters, or between two heads.
    fn read_byte(&mut self, byte: u8) -> Option<MessageFraming> {
        match (&mut self.place, byte) {
            (ScanPosition::Before, b'\r' | b'\n') => {}
            (ScanPosition::Before, _) => self.place = ScanPosition::RequestLine,
            (ScanPosition::Name(name), b'\n') if name.length == 0 => return self.end_head(),
            (ScanPosition::Name(name), b'\r') if name.length == 0 => {}
            (ScanPosition::Name(_) | ScanPosition::Value(_), b'\n') => {
                self.place = ScanPosition::Name(FieldName::default());
            }
            (ScanPosition::Name(name), b':') => {
                let (is_length, is_coding) =
                    (name.equals(CONTENT_LENGTH), name.equals(TRANSFER_ENCODING));
                self.has_coding |= is_coding;
                if is_length {
                    self.length = Some(0);
                }
                self.place = ScanPosition::Value(match is_length {
                    true => Field::ContentLength,
                    false => Field::Other,
                });
            }
            (ScanPosition::Name(name), byte) => name.push(byte),
            (ScanPosition::Value(Field::ContentLength), b'0'..=b'9') => {
                let digit = u64::from(byte - b'0');
                let so_far = self.length.unwrap_or_default();
                // hyper refuses a length beyond `u64`, and one that has other characters than
                // digits.
                self.length = Some(so_far.saturating_mul(10).saturating_add(digit));
            }
            (
                ScanPosition::RequestLine
                | ScanPosition::Value(_)
                | ScanPosition::Body(_)
                | ScanPosition::Rest,
                _,
            ) => {}
        }
        None
    }

    fn end_head(&mut self) -> Option<MessageFraming> {
        self.ended += 1;
        let framing = match (self.length.take(), std::mem::take(&mut self.has_coding)) {
            (length, false) => {
                self.place = match length {
                    Some(length @ 1..) => ScanPosition::Body(length),
                    Some(0) | None => ScanPosition::Before,
                };
                return None;
            }
            (None, true) => MessageFraming::Coded,
            (Some(_), true) => MessageFraming::Ambiguous,
        };
        self.place = ScanPosition::Rest;
        Some(framing)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WatchedHeads<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let read = buffer.filled().get(before..).unwrap_or_default();
        if let Some(last) = self.scan.read(read) {
            // The scan returns this once, so the cell is empty.
            let _ = self.heads.last.set(last);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WatchedHeads<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use MessageFraming::{Ambiguous, Coded};
    use proptest::prelude::*;

    use super::*;

    /// The number and framing of the head at which the scan stops.
    fn scanned(pieces: &[&[u8]]) -> Option<(u64, MessageFraming)> {
        let mut scan = HeadScan::default();
        let told: Vec<_> = pieces.iter().filter_map(|piece| scan.read(piece)).collect();
        assert!(told.len() <= 1, "{told:?}");
        told.first().copied()
    }

    #[track_caller]
    fn check(bytes: &str, expected: Option<(u64, MessageFraming)>) {
        assert_eq!(scanned(&[bytes.as_bytes()]), expected, "{bytes}");
        let single: Vec<&[u8]> = bytes.as_bytes().chunks(1).collect();
        assert_eq!(scanned(&single), expected, "{bytes}, byte by byte");
    }

    #[test]
    fn a_length_and_a_coding_are_found_in_any_form() {
        let both = Some((1, Ambiguous));
        let head = |fields: &str| format!("POST /links HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        for fields in [
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            "transfer-encoding:chunked\r\nX: y\r\nCONTENT-LENGTH:\t0\r\n",
            "Content-Length: 5\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\nContent-Length: 5\n",
            "Content-Length:\r\nTransfer-Encoding:\r\n",
        ] {
            check(&head(fields), both);
            check(&format!("\r\n\r\n{}", head(fields)), both);
        }
        check(&head("Transfer-Encoding: chunked\r\n"), Some((1, Coded)));
        for fields in [
            "",
            "Content-Length: 0\r\n",
            "X-Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
            "Transfer-Encoding-X: chunked\r\nContent-Length: 0\r\n",
            "X: Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
            "Transfer-Encodin: chunked\r\n",
        ] {
            check(&head(fields), None);
        }
    }

    #[test]
    fn bodies_are_skipped_and_later_heads_are_found() {
        let smuggled = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n";
        let get = "GET /?a=Content-Length:1 HTTP/1.1\r\nHost: a\r\n\r\n";
        check(smuggled, Some((1, Ambiguous)));
        check(&format!("{get}{smuggled}"), Some((2, Ambiguous)));
        let length = smuggled.len();
        let post = format!("POST / HTTP/1.1\r\nContent-Length: {length}\r\n\r\n{smuggled}");
        check(&post, None);
        check(&format!("{post}{smuggled}"), Some((2, Ambiguous)));
        check(&format!("{post}{get}\r\n{smuggled}"), Some((3, Ambiguous)));
        // Behind a transfer coding nothing is scanned: that request is the last one.
        let coded = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
        check(&format!("{coded}{smuggled}"), Some((1, Coded)));
    }

    #[test]
    fn only_the_request_itself_gets_its_framing() {
        let heads = Heads::default();
        assert_eq!(heads.next(), MessageFraming::Plain);
        heads.last.set((3, Ambiguous)).unwrap();
        assert_eq!(heads.next(), MessageFraming::Plain);
        assert_eq!(heads.next(), Ambiguous);
        assert_eq!(heads.next(), Ambiguous);
    }

    proptest! {
        #[test]
        fn the_result_does_not_depend_on_the_cuts_of_reads(
            bodies in prop::collection::vec("[a:\r\n]{0,12}", 0..4),
            last in any::<bool>(),
            cuts in prop::collection::vec(1_usize..40, 0..40),
        ) {
            let mut bytes = String::new();
            for body in &bodies {
                bytes += &format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            }
            if last {
                bytes += "GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx";
            }
            let expected = last.then(|| (bodies.len() as u64 + 1, Ambiguous));
            let (mut rest, mut pieces) = (bytes.as_bytes(), Vec::new());
            for cut in cuts {
                let (piece, left) = rest.split_at(cut.min(rest.len()));
                pieces.push(piece);
                rest = left;
            }
            pieces.push(rest);
            prop_assert_eq!(scanned(&pieces), expected);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = scanned(&[&bytes]);
        }
    }
}

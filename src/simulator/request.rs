//! HTTP requests, read from a connection.
//!
//! Knows the syntax of HTTP/1 and of queries. Does not know paths or the meaning of a request.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use percent_encoding::percent_decode_str;

use super::switch::{Switch, Switches};
use super::wire::Wire;

/// Bounds on the head, the body and the header fields of a request; a larger one is malformed.
const MAX_HEAD_BYTES: usize = 16 * 1024;
const MAX_BODY_BYTES: usize = 64 * 1024;
const MAX_FIELDS: usize = 64;

/// One complete request.
#[derive(Debug)]
pub(super) struct ParsedRequest {
    pub(super) method: String,
    /// Path and query, as the peer sent them.
    pub(super) target: String,
    /// The minor version of HTTP/1.
    pub(super) minor: u8,
    fields: Vec<(String, String)>,
    pub(super) body: Bytes,
}

/// The result of reading the next request of a connection.
pub(super) enum ReadOutcome {
    Request(ParsedRequest),
    /// The peer closed the connection before another request.
    End,
    /// The bytes are not a request that this server accepts.
    Malformed,
}

impl ParsedRequest {
    pub(super) fn path(&self) -> &str {
        self.target
            .split_once('?')
            .map_or(&*self.target, |(path, _)| path)
    }

    /// Returns the first value of a header field. Upper and lower case of `name` are equal.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let found = self
            .fields
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| &**value)
    }

    /// Returns the first value of a query parameter, decoded; empty if it is absent.
    pub(super) fn parameter(&self, name: &str, switches: &Switches) -> String {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(key, _)| *key == name)
            .map_or_else(String::new, |(_, value)| decode(value, switches))
    }

    pub(super) fn is_head(&self) -> bool {
        self.method == "HEAD"
    }
}

fn decode(value: &str, switches: &Switches) -> String {
    let value = if switches.has(Switch::PlusIsSpace) {
        value.replace('+', " ")
    } else {
        value.to_owned()
    };
    if switches.has(Switch::RawQuery) {
        return value;
    }
    percent_decode_str(&value).decode_utf8_lossy().into_owned()
}

/// Reads the next request. Bytes behind it stay in `buffer` for the request after it.
///
/// # Errors
///
/// When the connection breaks. A connection that ends inside a request is no error: the result is
/// [`ReadOutcome::Malformed`].
pub(super) async fn read(wire: &mut Wire, buffer: &mut BytesMut) -> io::Result<ReadOutcome> {
    let (mut request, head_bytes, body_bytes) = loop {
        match parse(buffer) {
            ParseOutcome::Head(request, head_bytes, body_bytes) => {
                break (request, head_bytes, body_bytes);
            }
            ParseOutcome::Malformed => return Ok(ReadOutcome::Malformed),
            ParseOutcome::Incomplete if buffer.len() > MAX_HEAD_BYTES => {
                return Ok(ReadOutcome::Malformed);
            }
            ParseOutcome::Incomplete => {}
        }
        if wire.read(buffer).await? == 0 {
            return Ok(if buffer.is_empty() {
                ReadOutcome::End
            } else {
                ReadOutcome::Malformed
            });
        }
    };
    while buffer.len() < head_bytes + body_bytes {
        if wire.read(buffer).await? == 0 {
            return Ok(ReadOutcome::Malformed);
        }
    }
    buffer.advance(head_bytes);
    request.body = buffer.split_to(body_bytes).freeze();
    Ok(ReadOutcome::Request(request))
}

enum ParseOutcome {
    /// A request without its body yet, the length of its head, and the length of its body.
    Head(ParsedRequest, usize, usize),
    Incomplete,
    Malformed,
}

fn parse(buffer: &[u8]) -> ParseOutcome {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut head = httparse::Request::new(&mut fields);
    let head_bytes = match head.parse(buffer) {
        Ok(httparse::Status::Complete(bytes)) if bytes <= MAX_HEAD_BYTES => bytes,
        Ok(httparse::Status::Partial) => return ParseOutcome::Incomplete,
        Ok(httparse::Status::Complete(_)) | Err(_) => return ParseOutcome::Malformed,
    };
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let request = ParsedRequest {
        method: head.method.unwrap_or_default().to_owned(),
        target: head.path.unwrap_or_default().to_owned(),
        minor: head.version.unwrap_or(1),
        fields: head
            .headers
            .iter()
            .map(|field| (field.name.to_owned(), text(field.value)))
            .collect(),
        body: Bytes::new(),
    };
    match body_bytes(&request) {
        Some(bytes) => ParseOutcome::Head(request, head_bytes, bytes),
        None => ParseOutcome::Malformed,
    }
}

/// The length of the body. `None` if it is too large, or chunked, which Boa 0.94 does not accept.
fn body_bytes(request: &ParsedRequest) -> Option<usize> {
    if request.field("transfer-encoding").is_some() {
        return None;
    }
    let length = request
        .field("content-length")
        .map_or(Some(0), |length| length.trim().parse().ok());
    length.filter(|bytes| *bytes <= MAX_BODY_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(target: &str) -> ParsedRequest {
        let text = format!("GET {target} HTTP/1.1\r\nHost: pbx\r\n\r\n");
        match parse(text.as_bytes()) {
            ParseOutcome::Head(request, ..) => request,
            ParseOutcome::Incomplete | ParseOutcome::Malformed => panic!("{text}"),
        }
    }

    #[track_caller]
    fn check(query: &str, switch: Option<Switch>, expected: &str) {
        let mut switches = Switches::default();
        switch.into_iter().for_each(|switch| switches.set(switch));
        assert_eq!(
            request(&format!("/d?x=1&{query}")).parameter("recording", &switches),
            expected
        );
    }

    #[test]
    fn query_parameters_are_decoded_as_the_switches_say() {
        check("recording=a%2Bb+c%20d", None, "a+b+c d");
        check("recording=a%2Bb+c", Some(Switch::PlusIsSpace), "a+b c");
        check("recording=a%2Bb+c", Some(Switch::RawQuery), "a%2Bb+c");
        check("recording=a&recording=b", None, "a");
        check("other=a", None, "");
        assert_eq!(
            request("/h?k=k?token=T").parameter("token", &Switches::default()),
            ""
        );
        assert_eq!(request("/h?k=k").path(), "/h");
    }

    #[test]
    fn a_request_beyond_the_limits_is_malformed() {
        let with = |field: &str| parse(format!("POST / HTTP/1.1\r\n{field}\r\n\r\n").as_bytes());
        assert!(matches!(
            with("Content-Length: 65536"),
            ParseOutcome::Head(_, _, 65_536)
        ));
        assert!(matches!(
            with("Content-Length: 65537"),
            ParseOutcome::Malformed
        ));
        assert!(matches!(
            with("Content-Length: many"),
            ParseOutcome::Malformed
        ));
        assert!(matches!(
            with("Transfer-Encoding: chunked"),
            ParseOutcome::Malformed
        ));
        assert!(matches!(parse(b"POST / HT"), ParseOutcome::Incomplete));
        assert!(matches!(
            parse(b"\x16\x03\x01\x02"),
            ParseOutcome::Malformed
        ));
    }
}

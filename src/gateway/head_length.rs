//! The length of a request head, which bounds every token in it.
//!
//! Knows how to measure a head, and the answer to one that is too long. Does not know its contents.
//! For HTTP/1.1, hyper measures the head and answers with a bare status; this file makes the whole
//! answer. For HTTP/2, this file measures it.
//!
//! Sources: RFC 6585 §5 (431); RFC 9113 §10.5.1 and §6.5.2 (the size of a header list, and 32 bytes
//! more for each field).

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Buf;
use http::{HeaderMap, Request, Response, request};
use http_body::Body;

use super::error::GatewayError;
use super::{Downstream, TrustedProxies, refusal};
use crate::gateway::answer::AnswerBody;
use crate::http::headers;
use crate::http::headers::X_REQUEST_ID;
use crate::metrics::Metrics;
use crate::relay::access_line::AccessLine;

/// The other reason for which hyper refuses a head. hyper does not tell the two apart.
const OR_TOO_MANY: &str = ", or has more than 100 fields";
/// The bytes that count for each field beside its name and value.
const FIELD_BYTES: usize = 32;
/// The pseudo-header fields of an HTTP/2 request.
const PSEUDO_FIELDS: [&str; 4] = [":method", ":scheme", ":authority", ":path"];

/// The answer to an HTTP/1.1 request whose head is too long to be read, as bytes for the wire. The
/// connection ends with it.
pub(super) fn refuse(
    max_bytes: usize,
    proxies: &TrustedProxies,
    metrics: &Metrics,
    downstream: &Downstream,
) -> Vec<u8> {
    let source = downstream.peer.ip();
    let request_id = proxies.request_id(&HeaderMap::new(), source);
    // The method is unknown, since the head was not read.
    let mut line = AccessLine::new(Arc::clone(&request_id), "other", source);
    line.count_with(metrics.route(""));
    let (head, ()) = Request::new(()).into_parts();
    let error = GatewayError::HeadTooLong {
        max_bytes,
        or: OR_TOO_MANY,
    };
    let mut response = refusal::refuse(&error, &head, line);
    metrics.answered("", response.status());
    headers::fill_common(response.headers_mut());
    if let Ok(id) = request_id.parse() {
        response.headers_mut().insert(X_REQUEST_ID, id);
    }
    written(response)
}

/// The length of a header list: names and values without compression (RFC 9113 §10.5.1).
pub(super) fn list_bytes(head: &request::Parts) -> usize {
    let fields = head.headers.iter();
    let fields = fields.map(|(name, value)| name.as_str().len() + value.len() + FIELD_BYTES);
    let names = PSEUDO_FIELDS.iter().map(|name| name.len() + FIELD_BYTES);
    let uri = &head.uri;
    let authority = uri
        .authority()
        .map_or(0, |authority| authority.as_str().len());
    let path = uri.path_and_query().map_or(0, |path| path.as_str().len());
    let scheme = uri.scheme_str().map_or(0, str::len);
    let values = head.method.as_str().len() + scheme + authority + path;
    fields.sum::<usize>() + names.sum::<usize>() + values
}

/// Writes a small answer in HTTP/1.1, after which the connection ends.
fn written(response: Response<AnswerBody>) -> Vec<u8> {
    let (head, body) = response.into_parts();
    let body = whole(body);
    let status = head.status;
    let mut text = format!("HTTP/1.1 {status}\r\n").into_bytes();
    for (name, value) in &head.headers {
        text.extend_from_slice(name.as_str().as_bytes());
        text.extend_from_slice(b": ");
        text.extend_from_slice(value.as_bytes());
        text.extend_from_slice(b"\r\n");
    }
    let date = httpdate::fmt_http_date(std::time::SystemTime::now());
    let length = body.len();
    let end = format!("date: {date}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
    text.extend_from_slice(end.as_bytes());
    text.extend_from_slice(&body);
    text
}

/// The bytes of a body that is whole in memory, and so is never pending.
fn whole(body: AnswerBody) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut body = pin!(body);
    let mut context = Context::from_waker(Waker::noop());
    while let Poll::Ready(Some(Ok(frame))) = body.as_mut().poll_frame(&mut context) {
        let mut data = frame.into_data().unwrap_or_default();
        bytes.extend_from_slice(&data.copy_to_bytes(data.remaining()));
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_measured_as_a_header_list() {
        let request = Request::builder()
            .method("GET")
            .uri("https://a.test/b?c")
            .header("accept", "*/*")
            .body(());
        let (head, ()) = request.unwrap().into_parts();
        // :method GET, :scheme https, :authority a.test, :path /b?c, accept */*.
        let names_and_values = [7 + 3, 7 + 5, 10 + 6, 5 + 4, 6 + 3];
        let expected: usize = names_and_values.iter().map(|bytes| bytes + 32).sum();
        assert_eq!(list_bytes(&head), expected);
    }
}

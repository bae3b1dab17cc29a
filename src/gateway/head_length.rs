//! The length of a request's head, which bounds every token in it.
//!
//! Knows how long a head is and what is said of one that is too long. Does not know what stands in it. Over HTTP/1.1 hyper measures
//! it and answers by itself, with a status and nothing else; what it does not say is made here. Over HTTP/2 it is measured here.
//!
//! Sources: RFC 6585 §5 (431); RFC 9113 §10.5.1 and §6.5.2 (the size of a header list, and 32 bytes more for each field).

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use http::{HeaderMap, Request, Response, request};
use http_body::Body;

use super::error::GatewayError;
use super::front::Front;
use super::{Downstream, refusal};
use crate::gateway::answer::AnswerBody;
use crate::http::headers;
use crate::http::headers::X_REQUEST_ID;
use crate::metrics::Metrics;
use crate::relay::access_line::AccessLine;

/// The other reason for which hyper answers so. It does not tell which it was.
const OR_TOO_MANY: &str = ", or has more than 100 fields";
/// The bytes that each field counts for beside its name and value.
const FIELD_BYTES: usize = 32;
/// The names of an HTTP/2 request's four pseudo-header fields.
const PSEUDO_FIELDS: [&str; 4] = [":method", ":scheme", ":authority", ":path"];

/// The answer to an HTTP/1.1 request whose head is too long to be read, as it goes over the wire. The connection ends with
/// it.
pub(super) fn refuse(front: &Front, metrics: &Metrics, downstream: &Downstream) -> Vec<u8> {
    let source = downstream.peer.ip();
    let request_id = front.proxies.request_id(&HeaderMap::new(), source);
    // Nobody has read which method it has.
    let line = AccessLine::new(request_id.clone(), "other", source);
    let (head, ()) = Request::new(()).into_parts();
    let error = GatewayError::HeadTooLong {
        max_bytes: front.max_header_bytes,
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

/// RFC 9113 §10.5.1: names and values without compression.
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

/// A small answer in HTTP/1.1, after which the connection ends.
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

/// The bytes of a body that is whole in memory, and so never lets anybody wait.
fn whole(body: AnswerBody) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut body = pin!(body);
    let mut context = Context::from_waker(Waker::noop());
    while let Poll::Ready(Some(Ok(frame))) = body.as_mut().poll_frame(&mut context) {
        bytes.extend_from_slice(&frame.into_data().unwrap_or_default());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_measured_as_http_2_does() {
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

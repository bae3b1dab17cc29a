//! Requests to the admin listener.

use std::net::SocketAddr;

use bytes::Bytes;
use http::request::Builder;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::soon;

/// An answer of the admin listener that has passed the checks for every answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        Some(self.headers.get(name)?.to_str().unwrap())
    }
}

/// The answer of an admin address to a request with these `Authorization` fields; `None` once it is
/// closed.
pub(crate) async fn ask(
    addr: SocketAddr,
    method: Method,
    path: &str,
    authorization: &[&str],
) -> Option<Reply> {
    let mut request = Request::builder().method(method).uri(path);
    for field in authorization {
        request = request.header("authorization", *field);
    }
    send(addr, request, "").await
}

/// The answer to a GET with these header fields.
pub(crate) async fn ask_with(addr: SocketAddr, path: &str, fields: &[(&str, &str)]) -> Reply {
    let mut request = Request::builder().method(Method::GET).uri(path);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    send(addr, request, "").await.unwrap()
}

/// The answer to a POST.
pub(crate) async fn post(
    addr: SocketAddr,
    path: &str,
    fields: &[(&str, &str)],
    body: &str,
) -> Reply {
    let mut request = Request::builder().method(Method::POST).uri(path);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    send(addr, request, body).await.unwrap()
}

async fn send(addr: SocketAddr, request: Builder, body: &str) -> Option<Reply> {
    let stream = TcpStream::connect(addr).await.ok()?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .ok()?;
    tokio::spawn(connection);
    let request = request.header("host", "admin");
    let body = Full::new(Bytes::from(body.to_owned()));
    let request = request.body(body).unwrap();
    let response = soon(sender.send_request(request)).await.ok()?;
    let (head, body) = response.into_parts();
    assert_eq!(head.headers["cache-control"], "no-store");
    let body = soon(body.collect()).await.ok()?.to_bytes();
    Some(Reply {
        status: head.status.as_u16(),
        headers: head.headers,
        text: String::from_utf8(body.to_vec()).unwrap(),
    })
}

/// A number out of the metrics, by its name and labels.
pub(crate) async fn number(addr: SocketAddr, sample: &str) -> u64 {
    let reply = ask(addr, Method::GET, "/metrics", &[]).await.unwrap();
    let line = reply
        .text
        .lines()
        .find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {sample}"))
        .parse()
        .unwrap()
}

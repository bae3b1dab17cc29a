//! Requests of the client that checks everything.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::{Answer, PATIENCE};

/// A request about to be sent, on a connection of its own.
pub(crate) struct Call {
    addr: SocketAddr,
    pub(super) request: http::request::Builder,
    body: Bytes,
}

impl Call {
    pub(crate) fn new(addr: SocketAddr, method: Method, target: &str) -> Self {
        Self {
            addr,
            request: Request::builder().method(method).uri(target),
            body: Bytes::new(),
        }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// Sends a body without a content type.
    pub(crate) fn body(mut self, text: &str) -> Self {
        self.body = Bytes::from(text.to_owned());
        self
    }

    /// Sends a body that is JSON.
    pub(crate) fn json(self, text: &str) -> Self {
        self.header("content-type", "application/json").body(text)
    }

    /// Sends it as HTTP/1.0.
    pub(crate) fn http10(mut self) -> Self {
        self.request = self.request.version(http::Version::HTTP_10);
        self
    }

    pub(crate) async fn send(self) -> Answer {
        self.try_send().await.unwrap()
    }

    /// Sends it over any connection with HTTP/1.1.
    pub(crate) async fn send_on<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
        self,
        stream: S,
    ) -> Answer {
        self.try_send_on(stream).await.unwrap()
    }

    /// Sends it; an error means that the connection ended before the head of an answer.
    pub(crate) async fn try_send(self) -> Result<Answer, hyper::Error> {
        let stream = TcpStream::connect(self.addr).await.unwrap();
        self.try_send_on(stream).await
    }

    /// As [`Call::try_send`], over any connection.
    pub(crate) async fn try_send_on<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
        self,
        stream: S,
    ) -> Result<Answer, hyper::Error> {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        let driver = tokio::spawn(async move {
            let _ = connection.await;
        });
        let has_host = self
            .request
            .headers_ref()
            .is_some_and(|headers| headers.contains_key("host"));
        let host = self.addr.to_string();
        let call = if has_host {
            self
        } else {
            self.header("host", &host)
        };
        let request = call.request.body(Full::new(call.body)).unwrap();
        let response = tokio::time::timeout(PATIENCE, sender.send_request(request))
            .await
            .unwrap()?;
        Ok(Answer::checked(response, driver))
    }

    /// Sends it over any connection with HTTP/2.
    pub(crate) async fn send_http2<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
        self,
        stream: S,
    ) -> Answer {
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .unwrap();
        let driver = tokio::spawn(async move {
            let _ = connection.await;
        });
        let request = self.request.body(Full::new(self.body)).unwrap();
        let response = tokio::time::timeout(PATIENCE, sender.send_request(request))
            .await
            .unwrap()
            .unwrap();
        Answer::checked(response, driver)
    }
}

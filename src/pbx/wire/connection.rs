//! One HTTP/1.1 connection to the PBX, for a ticket, a download or a page of a list.
//!
//! Knows hyper's client connection and whether it may be used again. Does not know tickets or what
//! the bytes mean. The task that reads the body drives the connection: a reader that stalls stops
//! the reading (back-pressure), and one that leaves closes the connection. No request is sent twice
//! unseen.

use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_TYPE, HOST, HeaderValue, RANGE, USER_AGENT};
use http::{Request, Response};
use http_body::{Body as _, Frame};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;

use crate::pbx::dialect::PbxCall;
use crate::pbx::error::TransportError;
use crate::pbx::settings::READ_BUFFER_BYTES;
use crate::pbx::wire::transport::{self, Io, JsonAnswer, Transport};

/// An open connection that carries at most one request at a time.
pub(in crate::pbx) struct PbxConnection {
    sender: SendRequest<Full<Bytes>>,
    driver: http1::Connection<TokioIo<Io>, Full<Bytes>>,
    /// The driver has finished. It must not be polled again.
    ended: bool,
    host_field: HeaderValue,
    own_address: Option<IpAddr>,
    is_tls: bool,
}

impl PbxConnection {
    pub(in crate::pbx) async fn open(transport: &Transport) -> Result<Self, TransportError> {
        let (io, own_address) = transport.connect().await?;
        let is_tls = matches!(io, Io::Right(_));
        let mut builder = http1::Builder::new();
        builder.max_buf_size(READ_BUFFER_BYTES);
        let opened = builder.handshake(TokioIo::new(io)).await;
        let (sender, driver) = opened.map_err(|error| from_hyper(&error))?;
        Ok(Self {
            sender,
            driver,
            ended: false,
            host_field: transport.host_field(),
            own_address,
            is_tls,
        })
    }

    pub(in crate::pbx) fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// The address from which we reach the PBX.
    pub(in crate::pbx) fn own_address(&self) -> Option<IpAddr> {
        self.own_address
    }

    /// Sends a request and waits for the head of its answer.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the connection unusable; drop it too.
    pub(in crate::pbx) async fn send(
        &mut self,
        call: &PbxCall,
    ) -> Result<Response<Incoming>, TransportError> {
        let request = request(self.host_field.clone(), call)
            .map_err(|error| TransportError::Broken(error.to_string()))?;
        let mut answer = pin!(self.sender.send_request(request));
        poll_fn(|context| {
            // The answer is polled first: that hands the request to the connection, which then
            // sends it. Afterwards it is polled once more, since driving the connection may have
            // brought the answer and woken this task already.
            if let Poll::Ready(answer) = answer.as_mut().poll(context) {
                return Poll::Ready(answer);
            }
            let _ = self.drive(context);
            answer.as_mut().poll(context)
        })
        .await
        .map_err(|error| from_hyper(&error))
    }

    /// Makes a JSON call and reads its answer whole, up to `max_bytes`.
    ///
    /// # Cancel safety
    /// As for [`PbxConnection::send`].
    pub(in crate::pbx) async fn call(
        &mut self,
        call: &PbxCall,
        max_bytes: usize,
    ) -> Result<JsonAnswer, TransportError> {
        let (head, mut body) = self.send(call).await?.into_parts();
        let mut answer = JsonAnswer {
            status: head.status,
            body: Vec::new(),
            broken: None,
        };
        while let Some(data) = poll_fn(|context| self.poll_data(&mut body, context)).await {
            match data {
                Ok(data) if answer.body.len() + data.len() > max_bytes => {
                    return Err(TransportError::TooLong);
                }
                Ok(data) => answer.body.extend_from_slice(&data),
                Err(error) => {
                    answer.broken = Some(from_hyper(&error));
                    break;
                }
            }
        }
        Ok(answer)
    }

    /// The next bytes of an answer's body. Reads from the socket for as long as the body has none.
    pub(in crate::pbx) fn poll_data(
        &mut self,
        body: &mut Incoming,
        context: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Bytes>>> {
        loop {
            let mut frame = Pin::new(&mut *body).poll_frame(context);
            if frame.is_pending() {
                // The body has nothing yet, so the connection is driven and the body asked once
                // more. Where the connection has ended and the body still has nothing, nothing more
                // can come.
                let ended = self.drive(context).is_ready();
                frame = Pin::new(&mut *body).poll_frame(context);
                if frame.is_pending() && ended {
                    return Poll::Ready(None);
                }
            }
            match ready!(frame).map(|frame| frame.map(Frame::into_data)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                Some(Ok(Ok(data))) if !data.is_empty() => return Poll::Ready(Some(Ok(data))),
                // Trailers, or a frame without bytes.
                Some(Ok(_)) => {}
            }
        }
    }

    fn drive(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if !self.ended {
            self.ended = Pin::new(&mut self.driver).poll(context).is_ready();
        }
        if self.ended {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// Returns true if the PBX left the connection open and the last answer has come whole.
    pub(in crate::pbx) fn is_idle(&mut self) -> bool {
        let closed = self
            .drive(&mut Context::from_waker(Waker::noop()))
            .is_ready();
        !closed && self.sender.is_ready()
    }
}

/// Makes an HTTP request of a call. A target may hold a text that the PBX made up, so it is checked
/// and not trusted.
fn request(host: HeaderValue, call: &PbxCall) -> http::Result<Request<Full<Bytes>>> {
    let mut request = Request::builder()
        .method(call.method.clone())
        .uri(call.target.expose())
        .header(HOST, host)
        .header(USER_AGENT, transport::USER_AGENT)
        .header(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if let Some((first, last)) = call.range {
        request = request.header(RANGE, format!("bytes={first}-{last}"));
    }
    let mut body = Full::default();
    if let Some(json) = &call.body {
        request = request.header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        body = Full::from(json.expose().to_vec());
    }
    request.body(body)
}

fn from_hyper(error: &hyper::Error) -> TransportError {
    TransportError::Broken(transport::describe(error))
}

//! One HTTP/1.1 connection to the PBX for a ticket or a download, and the few that are kept for the next.
//!
//! Knows hyper's client connection and whether it may be used again. Does not know tickets or what the bytes are.
//! The connection is driven by whoever reads its body, within the same task: a reader that stalls stops the reading
//! (back-pressure), and one that leaves closes it. Nothing is ever sent twice behind anybody's back.
//!
//! Where the PBX keeps connections open, a ticket and its download share one.

use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_TYPE, HOST, HeaderValue, RANGE, USER_AGENT};
use http::{Request, Response};
use http_body::{Body as _, Frame};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;

use super::dialect::Call;
use super::error::TransportError;
use super::transport::{self, Answer, Io, Transport};
use crate::pbx::settings::READ_BUFFER_BYTES;

/// Embedded servers give up on a silent connection after some 15 s or more.
const KEPT_FOR: Duration = Duration::from_secs(10);

/// An open connection that carries at most one request at a time.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: http1::Connection<TokioIo<Io>, Full<Bytes>>,
    /// The driver has finished and is not polled again.
    ended: bool,
    own_address: Option<IpAddr>,
    is_tls: bool,
}

impl Connection {
    pub(super) async fn open(transport: &Transport) -> Result<Self, TransportError> {
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
            own_address,
            is_tls,
        })
    }

    pub(super) fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// The address from which we reach the PBX.
    pub(super) fn own_address(&self) -> Option<IpAddr> {
        self.own_address
    }

    /// Sends a request and waits for the head of its answer.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the connection unusable; drop it too.
    pub(super) async fn send(
        &mut self,
        transport: &Transport,
        call: &Call,
    ) -> Result<Response<Incoming>, TransportError> {
        let request =
            request(transport, call).map_err(|error| TransportError::Broken(error.to_string()))?;
        let mut answer = pin!(self.sender.send_request(request));
        poll_fn(|context| {
            // The answer first: polling it hands the request to the connection.
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
    /// As for [`Connection::send`].
    pub(super) async fn call(
        &mut self,
        transport: &Transport,
        call: &Call,
        max_bytes: usize,
    ) -> Result<Answer, TransportError> {
        let (head, mut body) = self.send(transport, call).await?.into_parts();
        let mut answer = Answer {
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

    /// The next bytes of an answer's body. Moves bytes from the socket for as long as the body wants more.
    pub(super) fn poll_data(
        &mut self,
        body: &mut Incoming,
        context: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Bytes>>> {
        loop {
            let mut frame = Pin::new(&mut *body).poll_frame(context);
            if frame.is_pending() {
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
                // Trailers, or nothing.
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

    /// Whether the PBX left the connection open and nothing of the last answer is outstanding.
    pub(super) fn is_idle(&mut self) -> bool {
        let closed = self
            .drive(&mut Context::from_waker(Waker::noop()))
            .is_ready();
        !closed && self.sender.is_ready()
    }
}

/// What a dialect wants sent, as an HTTP request. Targets hold what a PBX made up, so they are checked, not trusted.
fn request(transport: &Transport, call: &Call) -> http::Result<Request<Full<Bytes>>> {
    let mut request = Request::builder()
        .method(call.method.clone())
        .uri(call.target.expose())
        .header(HOST, transport.host_field())
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

/// Connections whose last answer has ended and which the PBX did not close.
pub(super) struct KeptConnections {
    connections: Mutex<Vec<(Connection, Instant)>>,
    max: usize,
}

impl KeptConnections {
    pub(super) fn new(max: usize) -> Self {
        Self {
            connections: Mutex::new(Vec::new()),
            max,
        }
    }

    /// The connection kept last, if it is still good.
    pub(super) fn take(&self) -> Option<Connection> {
        loop {
            let (mut connection, since) = self.lock().pop()?;
            if since.elapsed() < KEPT_FOR && connection.is_idle() {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection that can be used again; closes any other.
    pub(super) fn put(&self, mut connection: Connection) {
        if !connection.is_idle() {
            return;
        }
        let mut connections = self.lock();
        if connections.len() < self.max {
            connections.push((connection, Instant::now()));
        }
    }

    /// Closes what has been kept too long.
    pub(super) fn sweep(&self) {
        self.lock().retain(|(_, since)| since.elapsed() < KEPT_FOR);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(Connection, Instant)>> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

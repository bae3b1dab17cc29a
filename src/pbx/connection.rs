//! One HTTP/1.1 connection to the PBX for audio, and the few that are kept for the next download.
//!
//! Knows hyper's client connection and whether it may be used again. Does not know tickets or what the bytes are.
//! The connection is driven by whoever reads its body, within the same task: a reader that stalls stops the reading
//! (back-pressure), and one that leaves closes it.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, HOST, HeaderValue, USER_AGENT};
use http::{Request, Response};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;

use super::dialect::Call;
use super::error::TransportError;
use super::transport::{self, Io, Transport};

/// Largest read from the PBX. Decides what a slow reader costs: twice this in buffers, against a little CPU.
const READ_BUFFER_BYTES: usize = 16 * 1024;
/// Embedded servers give up on a silent connection after some 15 s or more.
const KEPT_FOR: Duration = Duration::from_secs(10);

/// An open connection that carries at most one request at a time.
pub(super) struct Connection {
    sender: SendRequest<Empty<Bytes>>,
    driver: http1::Connection<TokioIo<Io>, Empty<Bytes>>,
    /// The driver has finished and is not polled again.
    ended: bool,
}

impl Connection {
    pub(super) async fn open(transport: &Transport) -> Result<Self, TransportError> {
        let io = TokioIo::new(transport.connect().await?);
        let mut builder = http1::Builder::new();
        builder.max_buf_size(READ_BUFFER_BYTES);
        let (sender, driver) = builder
            .handshake(io)
            .await
            .map_err(|error| from_hyper(&error))?;
        Ok(Self {
            sender,
            driver,
            ended: false,
        })
    }

    /// Sends a request and waits for the head of its answer.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the connection unusable; drop it too.
    pub(super) async fn send(
        &mut self,
        request: Request<Empty<Bytes>>,
    ) -> Result<Response<Incoming>, TransportError> {
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

    /// Moves bytes between the socket and the body of the answer.
    pub(super) fn drive(&mut self, context: &mut Context<'_>) -> Poll<()> {
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
    fn is_idle(&mut self) -> bool {
        let closed = self
            .drive(&mut Context::from_waker(Waker::noop()))
            .is_ready();
        !closed && self.sender.is_ready()
    }
}

/// Builds the request of a download. Header and target values that a PBX made up are checked, not trusted.
pub(super) fn request(transport: &Transport, call: &Call) -> Option<Request<Empty<Bytes>>> {
    let mut host = HeaderValue::from_str(transport.authority()).ok()?;
    host.set_sensitive(true);
    Request::builder()
        .method(call.method.clone())
        .uri(call.target.expose())
        .header(HOST, host)
        .header(USER_AGENT, transport::USER_AGENT)
        .header(ACCEPT_ENCODING, "identity")
        .body(Empty::new())
        .ok()
}

pub(super) fn from_hyper(error: &hyper::Error) -> TransportError {
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

//! One HTTP/1.1 connection to the PBX, for a ticket, a download or a page of a list.
//!
//! Knows when to write, when to read, and whether the connection may be used again. Does not know
//! tickets or what the bytes mean. The task that reads the body drives the connection: a reader
//! that stalls stops the reading (back-pressure), and one that leaves closes the connection. No
//! request is sent twice unseen.
//!
//! A client library would have the body go through a channel and a buffer more, with tasks or
//! wake-ups of their own: half of what a short recording cost. What is left of HTTP is small, since
//! this side chooses the requests: one at a time, with a length, without `Expect`.

use std::future::poll_fn;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::{BufMut, Bytes, BytesMut};
use http::HeaderValue;
use tokio::io::{AsyncBufRead, AsyncWriteExt};
use tokio_util::either::Either;
use tokio_util::io::poll_read_buf;

use crate::pbx::dialect::PbxCall;
use crate::pbx::error::TransportError;
use crate::pbx::settings::READ_BUFFER_BYTES;
use crate::pbx::wire::http1::{self, Body, Malformed, ResponseHead};
use crate::pbx::wire::read_ahead::ReadSize;
use crate::pbx::wire::transport::{self, Io, JsonAnswer, Transport};

/// An open connection that carries at most one request at a time. It goes through many hands on its
/// way to the body, and is large: so its parts stay where they are.
pub(in crate::pbx) struct PbxConnection(Box<Parts>);

struct Parts {
    io: Io,
    /// Bytes of the PBX that nobody has taken yet.
    buffer: BytesMut,
    state: State,
    host_field: HeaderValue,
    own_address: Option<IpAddr>,
    read_size: ReadSize,
}

/// The place within a request and its answer.
enum State {
    /// No request is under way, and another one may follow.
    Idle,
    /// A request is under way, and the head of its answer has not come.
    Waiting,
    /// A body comes. The connection may be used again behind it, or not.
    Reading { body: Body, is_lasting: bool },
    /// The connection must not be used again.
    Closed,
}

impl State {
    /// The state behind the head of an answer.
    fn behind(body: Body, is_lasting: bool) -> Self {
        match body.has_ended() {
            true => Self::behind_answer(is_lasting),
            false => Self::Reading { body, is_lasting },
        }
    }

    /// The state behind a whole answer.
    fn behind_answer(is_lasting: bool) -> Self {
        match is_lasting {
            true => Self::Idle,
            false => Self::Closed,
        }
    }
}

impl PbxConnection {
    pub(in crate::pbx) async fn open(transport: &Transport) -> Result<Self, TransportError> {
        let read_size = ReadSize::default();
        let (io, own_address) = transport.connect(&read_size).await?;
        Ok(Self(Box::new(Parts {
            io,
            buffer: BytesMut::new(),
            state: State::Idle,
            host_field: transport.host_field(),
            own_address,
            read_size,
        })))
    }

    pub(in crate::pbx) fn is_tls(&self) -> bool {
        matches!(self.0.io, Either::Right(_))
    }

    /// The address from which we reach the PBX.
    pub(in crate::pbx) fn own_address(&self) -> Option<IpAddr> {
        self.0.own_address
    }

    /// Lets one call of the system bring so many bytes; 0 for as few as TLS needs.
    pub(in crate::pbx) fn read_by(&self, bytes: usize) {
        self.0.read_size.set(bytes);
    }

    /// Sends a request and waits for the head of its answer.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the connection unusable; drop it too.
    pub(in crate::pbx) async fn send(
        &mut self,
        call: &PbxCall,
    ) -> Result<ResponseHead, TransportError> {
        let parts = &mut *self.0;
        let is_idle = matches!(
            std::mem::replace(&mut parts.state, State::Waiting),
            State::Idle
        );
        // Bytes that are there already would be taken for the answer.
        let may_send = is_idle && parts.buffer.is_empty();
        let request = request(&parts.host_field, call).filter(|_| may_send);
        let request = request.ok_or_else(|| broken(&"a request that cannot be sent"))?;
        parts
            .write(&request)
            .await
            .map_err(|error| broken(&error))?;
        let head = poll_fn(|context| parts.poll_head(context)).await;
        let head = head.map_err(|error| broken(&error))?;
        parts.state = State::behind(head.body.clone(), head.is_lasting);
        Ok(head)
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
        let head = self.send(call).await?;
        let length = match head.body {
            Body::Length(length) => usize::try_from(length).unwrap_or(usize::MAX),
            Body::Chunked(_) | Body::Close => 0,
        };
        let mut answer = JsonAnswer {
            status: head.status,
            body: Vec::with_capacity(length.min(max_bytes)),
            broken: None,
        };
        while let Some(data) = poll_fn(|context| self.poll_data(context)).await {
            match data {
                Ok(data) if answer.body.len() + data.len() > max_bytes => {
                    return Err(TransportError::TooLong);
                }
                Ok(data) => answer.body.extend_from_slice(&data),
                Err(error) => {
                    answer.broken = Some(broken(&error));
                    break;
                }
            }
        }
        Ok(answer)
    }

    /// The next bytes of an answer's body; `None` at its end. A connection that ends within a body
    /// of known length gives [`io::ErrorKind::UnexpectedEof`].
    pub(in crate::pbx) fn poll_data(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Bytes>>> {
        let next = ready!(self.0.poll_data(context));
        if next.is_err() {
            self.0.state = State::Closed;
        }
        Poll::Ready(next.transpose())
    }

    /// Returns true if the PBX left the connection open and the last answer has come whole.
    pub(in crate::pbx) fn is_idle(&mut self) -> bool {
        let parts = &mut *self.0;
        if !matches!(parts.state, State::Idle) || !parts.buffer.is_empty() {
            return false;
        }
        // Bytes that nobody asked for, or an end: neither leaves a connection to be used.
        let mut context = Context::from_waker(Waker::noop());
        parts.poll_more(&mut context).is_pending()
    }
}

impl Parts {
    async fn write(&mut self, request: &[u8]) -> io::Result<()> {
        self.io.write_all(request).await?;
        self.io.flush().await
    }

    fn poll_head(&mut self, context: &mut Context<'_>) -> Poll<io::Result<ResponseHead>> {
        loop {
            if let Some(head) = http1::read_head(&mut self.buffer).map_err(malformed)? {
                return Poll::Ready(Ok(head));
            }
            if ready!(self.poll_more(context))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    fn poll_data(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        loop {
            let State::Reading { body, is_lasting } = &mut self.state else {
                return Poll::Ready(Ok(None));
            };
            let data = body.take(&mut self.buffer).map_err(malformed)?;
            let is_cut = !matches!(body, Body::Close);
            let has_ended = body.has_ended();
            if has_ended {
                self.state = State::behind_answer(*is_lasting);
            }
            if data.is_some() || has_ended {
                return Poll::Ready(Ok(data));
            }
            if ready!(self.poll_more(context))? == 0 {
                self.state = State::Closed;
                let cut = || io::ErrorKind::UnexpectedEof.into();
                return Poll::Ready(if is_cut { Err(cut()) } else { Ok(None) });
            }
        }
    }

    /// Reads more bytes into the buffer. Returns how many; 0 at the end of the connection.
    fn poll_more(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let buffer = &mut self.buffer;
        match &mut self.io {
            Either::Left(stream) => {
                buffer.reserve(READ_BUFFER_BYTES);
                let mut room = buffer.limit(READ_BUFFER_BYTES);
                poll_read_buf(Pin::new(stream), context, &mut room)
            }
            // TLS has the bytes of a record already: no room is made before there are any.
            Either::Right(stream) => {
                let mut stream = Pin::new(&mut **stream);
                let bytes = ready!(stream.as_mut().poll_fill_buf(context))?;
                let count = bytes.len();
                buffer.extend_from_slice(bytes);
                stream.consume(count);
                Poll::Ready(Ok(count))
            }
        }
    }
}

/// The bytes of a request; `None` if its target is none. A target may hold a text that the PBX made
/// up, so it is checked and not trusted.
fn request(host: &HeaderValue, call: &PbxCall) -> Option<Vec<u8>> {
    let target = call.target.expose();
    let is_target = target.starts_with(b"/") && target.iter().all(u8::is_ascii_graphic);
    let mut request = Vec::with_capacity(512);
    request.extend_from_slice(call.method.as_str().as_bytes());
    request.push(b' ');
    request.extend_from_slice(target);
    request.extend_from_slice(b" HTTP/1.1\r\nHost: ");
    request.extend_from_slice(host.as_bytes());
    request.extend_from_slice(b"\r\nUser-Agent: ");
    request.extend_from_slice(transport::USER_AGENT.as_bytes());
    request.extend_from_slice(b"\r\nAccept-Encoding: identity\r\n");
    if let Some((first, last)) = call.range {
        // A vector takes everything.
        let _ = write!(request, "Range: bytes={first}-{last}\r\n");
    }
    if let Some(json) = &call.body {
        let length = json.expose().len();
        request.extend_from_slice(b"Content-Type: application/json\r\n");
        let _ = write!(request, "Content-Length: {length}\r\n");
    }
    request.extend_from_slice(b"\r\n");
    if let Some(json) = &call.body {
        request.extend_from_slice(json.expose());
    }
    is_target.then_some(request)
}

fn malformed(error: Malformed) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

fn broken(error: &dyn std::fmt::Display) -> TransportError {
    TransportError::Broken(error.to_string())
}

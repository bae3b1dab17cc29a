//! One downstream connection, from its handshake to its end.
//!
//! Knows TLS, HTTP/1.1, HTTP/2, and when a connection has to end. Does not know the meaning of
//! requests.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use http::header::{CONNECTION, HeaderValue};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::heads::{Heads, WatchedHeads};
use super::io::WatchedIo;
use super::places::{MAX_IDLE_IN_A_CROWD, Places};
use super::refusal::{CountedBody, InFlight, RefusalStream};
use crate::gateway::head::MessageFraming;
use crate::gateway::{Downstream, Gateway};
use crate::relay::WatchdogVerdict;

/// Bytes that TLS and HTTP/2 buffer for one connection. The body of an answer decides how much it
/// hands over.
const BUFFER_BYTES: usize = 16 * 1024;
/// Bound on the unsent bytes that the kernel holds for one connection. Without it the kernel takes
/// megabytes, and reports free space only when a third of them has been sent: a caller who reads at
/// the pace of speech would look stalled.
const MAX_UNSENT_BYTES: u32 = 128 * 1024;
/// Bound on the concurrent requests of one HTTP/2 connection.
const MAX_STREAMS: u32 = 32;
/// A silent HTTP/2 connection gets a ping at this interval.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// Limits of connections.
pub(super) struct ConnectionLimits {
    pub(super) max_header_bytes: usize,
    pub(super) header_timeout: Duration,
    pub(super) handshake_timeout: Duration,
}

/// An accepted connection.
pub(super) struct DownstreamConnection {
    pub(super) stream: TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) gateway: Arc<ArcSwap<Gateway>>,
    pub(super) settings: Arc<ConnectionLimits>,
    pub(super) places: Arc<Places>,
    pub(super) stop: CancellationToken,
    pub(super) kill: CancellationToken,
}

impl DownstreamConnection {
    /// Serves the connection to its end.
    pub(super) async fn serve(self, acceptor: Option<TlsAcceptor>) {
        let Self {
            stream,
            peer,
            gateway,
            settings,
            places,
            stop,
            kill,
        } = self;
        let _ = stream.set_nodelay(true);
        bound_unsent(&stream);
        let watchdog = Arc::new(gateway.load().watchdog());
        let stream = WatchedIo::new(stream, Arc::clone(&watchdog));
        let session = ReadyConnection {
            downstream: Arc::new(Downstream { peer, watchdog }),
            gateway,
            settings,
            places,
            stop,
            kill,
        };
        let Some(acceptor) = acceptor else {
            return session.http1(stream, WatchedIo::linger).await;
        };
        // Bounds the bytes that are encrypted ahead for a caller who does not take them.
        let accept = acceptor.accept_with(stream, |session| {
            session.set_buffer_limit(Some(BUFFER_BYTES))
        });
        let handshake = timeout(session.settings.handshake_timeout, accept);
        let room_wanted = async {
            sleep(MAX_IDLE_IN_A_CROWD).await;
            session.places.room_wanted().await;
        };
        let shaken = tokio::select! {
            // No request has been read yet, so a drain loses nothing by ending the handshake.
            () = session.stop.cancelled() => return,
            () = room_wanted => return debug!("a TLS handshake made room for another connection"),
            shaken = handshake => shaken,
        };
        match shaken {
            Err(_) => debug!("a TLS handshake took too long"),
            Ok(Err(error)) => debug!(%error, "a TLS handshake failed"),
            Ok(Ok(mut stream)) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
                stream.get_mut().0.linger();
                session.http2(stream).await
            }
            Ok(Ok(stream)) => {
                let linger = |stream: &mut TlsStream<WatchedIo>| stream.get_mut().0.linger();
                session.http1(stream, linger).await
            }
        }
    }
}

/// Sets the bound on unsent bytes. Where the system has no such bound, slow callers need a longer
/// `relay.idle_timeout_ms`.
fn bound_unsent(stream: &TcpStream) {
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(stream).set_tcp_notsent_lowat(MAX_UNSENT_BYTES);
    #[cfg(not(target_os = "linux"))]
    let _ = (stream, MAX_UNSENT_BYTES);
}

/// A connection after its handshake, ready for requests.
struct ReadyConnection {
    downstream: Arc<Downstream>,
    gateway: Arc<ArcSwap<Gateway>>,
    settings: Arc<ConnectionLimits>,
    places: Arc<Places>,
    stop: CancellationToken,
    kill: CancellationToken,
}

/// Drives a connection until it ends: by itself, by the watchdog, or by `kill`. After `stop` it
/// takes no more requests. A connection without a request for `idle_limit`, or for a short time while
/// another one waits for its place, is asked to end, and ended after twice that time. A macro, since hyper's two connection types share no trait for the
/// graceful shutdown.
macro_rules! drive {
    ($session:expr, $connection:expr, $idle_limit:expr) => {{
        let session = $session;
        let mut connection = pin!($connection);
        let mut ticks = interval(session.downstream.watchdog.period());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stopping = false;
        let idle_limit: Option<Duration> = $idle_limit;
        loop {
            let idle_limit = tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        debug!(%error, "a connection ended");
                    }
                    return;
                }
                () = session.stop.cancelled(), if !stopping => {
                    // Before the HTTP/2 preface, hyper ignores a graceful shutdown, and no request
                    // has begun.
                    if idle_limit.is_some() && !session.downstream.watchdog.has_begun() {
                        return;
                    }
                    stopping = true;
                    connection.as_mut().graceful_shutdown();
                    continue;
                }
                () = session.kill.cancelled() => {
                    session.downstream.watchdog.abort();
                    return;
                }
                _ = ticks.tick() => idle_limit,
                () = session.places.room_wanted() => Some(MAX_IDLE_IN_A_CROWD),
            };
            let now = Instant::now();
            if session.downstream.watchdog.check(now) == WatchdogVerdict::End {
                debug!("a connection ended: its caller took nothing for too long");
                return;
            }
            let Some(limit) = idle_limit else { continue };
            let idle = session.downstream.watchdog.idle_for(now);
            if idle >= limit.saturating_mul(2) {
                debug!("a connection was ended: its caller sent no request for too long");
                return;
            }
            if idle >= limit && !stopping {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }};
}

impl ReadyConnection {
    /// Serves HTTP/1.1. `linger` makes a stream wait at its end until the caller has stopped
    /// sending.
    async fn http1<S: AsyncRead + AsyncWrite + Unpin>(self, stream: S, linger: fn(&mut S)) {
        let in_flight = InFlight::default();
        let stream = RefusalStream::new(stream, in_flight.clone(), |stream| {
            linger(stream);
            self.gateway.load().refuse_head(&self.downstream)
        });
        let (stream, heads) = WatchedHeads::new(stream);
        let service = self.service(Some(heads), in_flight);
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.settings.header_timeout)
            .max_buf_size(self.settings.max_header_bytes)
            // The bound on the buffer alone lets somewhat longer heads pass.
            .max_header_size(self.settings.max_header_bytes)
            .serve_connection(TokioIo::new(stream), service_fn(service));
        // No idle limit is needed: hyper's limit on the time for a head counts from the end of the
        // last answer.
        drive!(&self, connection, None);
    }

    async fn http2<S: AsyncRead + AsyncWrite + Unpin>(self, stream: S) {
        self.downstream.watchdog.note_shared();
        let service = self.service(None, InFlight::default());
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .max_send_buf_size(BUFFER_BYTES)
            .max_header_list_size(self.max_header_list_size())
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service_fn(service));
        // hyper has no such limit for HTTP/2: none for the preface, and a caller who answers pings
        // may stay for ever.
        drive!(&self, connection, Some(self.settings.header_timeout));
    }

    /// HTTP/2 itself refuses a header list with a bare status, so its bound is well above the
    /// gateway's, whose answer explains itself.
    fn max_header_list_size(&self) -> u32 {
        let size = self.settings.max_header_bytes.saturating_mul(4);
        u32::try_from(size).unwrap_or(u32::MAX)
    }

    /// Makes the service that answers requests. `heads` are those of an HTTP/1 connection.
    fn service(
        &self,
        heads: Option<Arc<Heads>>,
        in_flight: InFlight,
    ) -> impl Fn(hyper::Request<hyper::body::Incoming>) -> ResponseFuture + use<> {
        let (gateway, downstream) = (Arc::clone(&self.gateway), Arc::clone(&self.downstream));
        move |request| {
            let framing = heads
                .as_ref()
                .map_or(MessageFraming::Plain, |heads| heads.next());
            let (gateway, downstream) = (Arc::clone(&gateway), Arc::clone(&downstream));
            let answering = downstream.watchdog.note_request();
            let on_its_way = in_flight.begin();
            Box::pin(async move {
                let gateway = gateway.load_full();
                let mut response = gateway.answer(request, framing, &downstream).await;
                if framing != MessageFraming::Plain {
                    // Heads behind this request are not scanned, so the connection ends with it.
                    let close = HeaderValue::from_static("close");
                    response.headers_mut().insert(CONNECTION, close);
                }
                drop(answering);
                Ok(response.map(|body| CountedBody {
                    body,
                    answering: on_its_way,
                }))
            })
        }
    }
}

type ResponseFuture = std::pin::Pin<
    Box<
        dyn Future<
                Output = Result<
                    hyper::Response<CountedBody<crate::gateway::answer::AnswerBody>>,
                    Infallible,
                >,
            > + Send,
    >,
>;

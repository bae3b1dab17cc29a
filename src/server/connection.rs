//! One downstream connection, from its handshake to its end.
//!
//! Knows TLS, HTTP/1.1, HTTP/2 and when to let go. Does not know what is asked for.

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
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::heads::{Heads, WatchedHeads};
use super::io::WatchedIo;
use super::refusal::{CountedBody, InFlight, Worded};
use crate::gateway::head::MessageFraming;
use crate::gateway::{Downstream, Gateway};
use crate::relay::Verdict;

/// Largest write buffered for one connection, and largest read. Decides what a slow reader costs.
const BUFFER_BYTES: usize = 16 * 1024;
/// Unsent bytes that the kernel may hold for one connection. Left alone it takes megabytes, and says that there is room
/// again only when a third of them has gone: a caller who listens as slowly as one talks would look like one who has
/// stalled.
const UNSENT_BYTES: u32 = 128 * 1024;
/// Requests at once on one HTTP/2 connection.
const MAX_STREAMS: u32 = 32;
/// A silent HTTP/2 connection is asked whether it is still there.
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// Limits of connections.
pub(super) struct Settings {
    pub(super) max_header_bytes: usize,
    pub(super) header_timeout: Duration,
    pub(super) handshake_timeout: Duration,
}

/// An accepted connection.
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) gateway: Arc<ArcSwap<Gateway>>,
    pub(super) settings: Arc<Settings>,
    pub(super) stop: CancellationToken,
    pub(super) kill: CancellationToken,
}

impl Connection {
    /// Serves the connection to its end.
    pub(super) async fn serve(self, acceptor: Option<TlsAcceptor>) {
        let Self {
            stream,
            peer,
            gateway,
            settings,
            stop,
            kill,
        } = self;
        let _ = stream.set_nodelay(true);
        bound_unsent(&stream);
        let watchdog = Arc::new(gateway.load().watchdog());
        let stream = WatchedIo::new(stream, Arc::clone(&watchdog));
        let session = Session {
            downstream: Arc::new(Downstream { peer, watchdog }),
            gateway,
            settings,
            stop,
            kill,
        };
        let Some(acceptor) = acceptor else {
            return session.http1(stream, WatchedIo::linger).await;
        };
        // What a caller does not take is not encrypted ahead for it.
        let accept = acceptor.accept_with(stream, |session| {
            session.set_buffer_limit(Some(BUFFER_BYTES))
        });
        let handshake = timeout(session.settings.handshake_timeout, accept);
        let shaken = tokio::select! {
            // Nothing has been asked yet, so nothing is lost.
            () = session.stop.cancelled() => return,
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

/// Where the system has no such bound, slow callers need a longer `relay.idle_timeout_ms`.
fn bound_unsent(stream: &TcpStream) {
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(stream).set_tcp_notsent_lowat(UNSENT_BYTES);
    #[cfg(not(target_os = "linux"))]
    let _ = (stream, UNSENT_BYTES);
}

/// A connection that is ready for requests.
struct Session {
    downstream: Arc<Downstream>,
    gateway: Arc<ArcSwap<Gateway>>,
    settings: Arc<Settings>,
    stop: CancellationToken,
    kill: CancellationToken,
}

/// Drives a connection until it ends: by itself, by the watchdog, or by `kill`; on `stop` it takes no more requests.
/// Without a request for `idle_limit` it is asked to go, and made to go soon after. A macro, since hyper's two kinds of
/// connection share no trait for their graceful end.
macro_rules! drive {
    ($session:expr, $connection:expr, $idle_limit:expr) => {{
        let session = $session;
        let mut connection = pin!($connection);
        let mut ticks = interval(session.downstream.watchdog.period());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stopping = false;
        let idle_limit: Option<Duration> = $idle_limit;
        loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        debug!(%error, "a connection ended");
                    }
                    return;
                }
                () = session.stop.cancelled(), if !stopping => {
                    // Before its preface hyper's HTTP/2 does not listen.
                    if idle_limit.is_some() && !session.downstream.watchdog.has_begun() {
                        return;
                    }
                    stopping = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = session.kill.cancelled() => {
                    session.downstream.watchdog.cut();
                    return;
                }
                _ = ticks.tick() => {
                    let now = Instant::now();
                    if session.downstream.watchdog.check(now) == Verdict::End {
                        debug!("a connection ended: its caller took nothing for too long");
                        return;
                    }
                    let Some(limit) = idle_limit else { continue };
                    let idle = session.downstream.watchdog.idle_for(now);
                    if idle >= limit.saturating_mul(2) {
                        debug!("a connection ended: its caller asked nothing for too long");
                        return;
                    }
                    if idle >= limit && !stopping {
                        stopping = true;
                        connection.as_mut().graceful_shutdown();
                    }
                }
            }
        }
    }};
}

impl Session {
    /// `linger` makes a stream wait at its end for what the caller still says.
    async fn http1<S: AsyncRead + AsyncWrite + Unpin>(self, stream: S, linger: fn(&mut S)) {
        let in_flight = InFlight::default();
        let stream = Worded::new(stream, in_flight.clone(), |stream| {
            linger(stream);
            self.gateway.load().refuse_head(&self.downstream)
        });
        let (stream, heads) = WatchedHeads::new(stream);
        let service = self.service(Some(heads), in_flight);
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.settings.header_timeout)
            .max_buf_size(self.settings.max_header_bytes)
            // The buffer alone lets somewhat more pass.
            .max_header_size(self.settings.max_header_bytes)
            .serve_connection(TokioIo::new(stream), service_fn(service));
        // hyper's limit on heads counts from the end of the last answer.
        drive!(&self, connection, None);
    }

    async fn http2<S: AsyncRead + AsyncWrite + Unpin>(self, stream: S) {
        let service = self.service(None, InFlight::default());
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .max_send_buf_size(BUFFER_BYTES)
            .max_header_list_size(self.max_header_list_size())
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service_fn(service));
        // hyper has no such limit here: not for the preface, and a caller who answers pings may stay for ever.
        drive!(&self, connection, Some(self.settings.header_timeout));
    }

    /// HTTP/2 itself refuses a list with a status alone, so its bound is well above the gateway's, which has words.
    fn max_header_list_size(&self) -> u32 {
        let size = self.settings.max_header_bytes.saturating_mul(4);
        u32::try_from(size).unwrap_or(u32::MAX)
    }

    /// Answers requests; `heads` are those of an HTTP/1 connection.
    fn service(
        &self,
        heads: Option<Arc<Heads>>,
        in_flight: InFlight,
    ) -> impl Fn(hyper::Request<hyper::body::Incoming>) -> Answering + use<> {
        let (gateway, downstream) = (Arc::clone(&self.gateway), Arc::clone(&self.downstream));
        move |request| {
            let framing = heads
                .as_ref()
                .map_or(MessageFraming::Plain, |heads| heads.next());
            let (gateway, downstream) = (Arc::clone(&gateway), Arc::clone(&downstream));
            let answering = downstream.watchdog.answering();
            let on_its_way = in_flight.begin();
            Box::pin(async move {
                let gateway = gateway.load_full();
                let mut response = gateway.answer(request, framing, &downstream).await;
                if framing != MessageFraming::Plain {
                    // Behind this request no head is looked at.
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

type Answering = std::pin::Pin<
    Box<
        dyn Future<
                Output = Result<
                    hyper::Response<CountedBody<crate::gateway::answer::AnswerBody>>,
                    Infallible,
                >,
            > + Send,
    >,
>;

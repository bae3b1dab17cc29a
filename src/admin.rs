//! The admin listener: health checks, metrics and the operator's calls.
//!
//! Knows sockets and their limits. The answers are in [`mod@answer`], and the check of the
//! operator's token in [`calls`].

mod answer;
mod calls;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use http::header::{CONNECTION, HeaderValue};
use http_body_util::{BodyExt, Collected, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::gateway::head::{self, MessageFraming};
use crate::server::InheritedSockets;
use crate::server::heads::WatchedHeads;
use answer::answer;
pub(crate) use calls::AdminCalls;

const MAX_CONNECTIONS: usize = 64;
/// Bound on the body of a call; no call needs more.
const MAX_BODY_BYTES: usize = 4 * 1024;
/// Longest time of a connection, with all its requests. No answer takes that long.
const MAX_CONNECTION_TIME: Duration = Duration::from_secs(30);
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// The bound listener.
pub(crate) struct AdminListener(TcpListener);

impl AdminListener {
    /// # Errors
    /// When the address cannot be bound.
    pub(crate) fn bind(address: SocketAddr, sockets: &mut InheritedSockets) -> io::Result<Self> {
        sockets.bind(address).map(Self).map_err(|error| {
            io::Error::new(error.kind(), format!("admin.listen {address}: {error}"))
        })
    }

    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Answers requests until `stop`. From `unready` on, `/readyz` says not ready.
    pub(crate) async fn run(
        self,
        unready: CancellationToken,
        stop: CancellationToken,
        calls: Arc<AdminCalls>,
    ) {
        let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let next = async {
                let permit = Arc::clone(&connections).acquire_owned().await.ok()?;
                Some((self.0.accept().await, permit))
            };
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = next => accepted,
            };
            match accepted {
                None => return,
                Some((Err(_), _)) => sleep(ACCEPT_PAUSE).await,
                Some((Ok((stream, peer)), permit)) => {
                    let (unready, calls) = (unready.clone(), Arc::clone(&calls));
                    tokio::spawn(async move {
                        let served = serve(stream, peer.ip(), &unready, &calls);
                        let _ = timeout(MAX_CONNECTION_TIME, served).await;
                        drop(permit);
                    });
                }
            }
        }
    }
}

async fn serve(
    stream: TcpStream,
    source: IpAddr,
    unready: &CancellationToken,
    calls: &Arc<AdminCalls>,
) {
    let (stream, heads) = WatchedHeads::new(stream);
    let service = service_fn(|request: Request<Incoming>| {
        let framing = heads.next();
        async move {
            let (head, body) = request.into_parts();
            if let Err(fault) = head::authority(&head, framing) {
                return Ok(answer::refuse_head(fault));
            }
            let body = Limited::new(body, MAX_BODY_BYTES).collect().await;
            let request = Request::from_parts(head, body.ok().map(Collected::to_bytes));
            let (ready, calls) = (!unready.is_cancelled(), Arc::clone(calls));
            // On a thread of its own kind: some calls write a file.
            let answered = spawn_blocking(move || answer(&request, source, ready, &calls));
            let mut response = answered.await?;
            if framing != MessageFraming::Plain {
                // Heads behind this request are not scanned, so the connection ends with it.
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(CONNECTION, close);
            }
            Ok::<_, JoinError>(response)
        }
    });
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

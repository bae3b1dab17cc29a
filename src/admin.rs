//! The listener for health checks: `/livez`, `/readyz` and `/pbxs`.
//!
//! Knows whether this process should get requests, whatever the state of the PBXs: one that is down is no reason to take
//! the gateway out of the balance. That state has a page of its own, for people and monitors.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

const MAX_CONNECTIONS: usize = 64;
/// No check takes this long; a connection is not kept for the next one beyond it.
const CONNECTION_TIME: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(200);

/// Tells how the PBXs are doing, as JSON.
pub(crate) type PbxReport = Arc<dyn Fn() -> String + Send + Sync>;

/// The bound listener.
pub(crate) struct Admin(TcpListener);

impl Admin {
    /// # Errors
    /// When the address cannot be bound.
    pub(crate) fn bind(address: SocketAddr) -> io::Result<Self> {
        crate::server::bind(address).map(Self).map_err(|error| {
            io::Error::new(error.kind(), format!("admin.listen {address}: {error}"))
        })
    }

    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Answers checks until `stop`; not ready from `unready` on.
    pub(crate) async fn run(
        self,
        unready: CancellationToken,
        stop: CancellationToken,
        pbxs: PbxReport,
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
                Some((Err(_), _)) => sleep(PAUSE).await,
                Some((Ok((stream, _)), permit)) => {
                    let (unready, pbxs) = (unready.clone(), Arc::clone(&pbxs));
                    tokio::spawn(async move {
                        let _ = timeout(CONNECTION_TIME, serve(stream, unready, pbxs)).await;
                        drop(permit);
                    });
                }
            }
        }
    }
}

async fn serve(stream: TcpStream, unready: CancellationToken, pbxs: PbxReport) {
    let service = service_fn(|request| {
        let response = answer(&request, !unready.is_cancelled(), &pbxs);
        async { Ok::<_, Infallible>(response) }
    });
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

fn answer<B>(request: &Request<B>, ready: bool, pbxs: &PbxReport) -> Response<Full<Bytes>> {
    let (path, reads) = (
        request.uri().path(),
        matches!(*request.method(), Method::GET | Method::HEAD),
    );
    if path == "/pbxs" && reads {
        return page(StatusCode::OK, "application/json", pbxs());
    }
    let (status, text) = match (path, ready) {
        ("/livez" | "/readyz" | "/pbxs", _) if !reads => {
            (StatusCode::METHOD_NOT_ALLOWED, "GET or HEAD\n")
        }
        ("/livez", _) => (StatusCode::OK, "alive\n"),
        ("/readyz", true) => (StatusCode::OK, "ready\n"),
        ("/readyz", false) => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
        _ => (StatusCode::NOT_FOUND, "nothing here\n"),
    };
    page(status, "text/plain; charset=utf-8", text.to_owned())
}

fn page(status: StatusCode, media_type: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}

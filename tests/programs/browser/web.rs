//! The sites of the test: a customer's CRM and others. Each name has its own empty pages over TLS,
//! and records its visits.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderValue, LOCATION};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::harness::tls::Identity;

/// With an icon, since otherwise browsers request one at an unknown time.
const PAGE: &str = "<!doctype html><html lang=\"en\"><title>A page of somebody else</title>\
    <link rel=\"icon\" href=\"data:,\"><p>Calls</p>";

/// A path that redirects to another address.
pub(super) const LEADS: &str = "/recording";

/// A request that one of the sites has received.
#[derive(Clone)]
pub(super) struct Visit {
    pub(super) url: String,
    pub(super) headers: HeaderMap,
}

type Visits = Arc<Mutex<Vec<Visit>>>;

/// The server of all sites.
pub(super) struct Web {
    pub(super) addr: SocketAddr,
    visits: Visits,
}

impl Web {
    pub(super) async fn start(identity: &Identity) -> Self {
        let acceptor = identity.acceptor();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let visits = Visits::default();
        let told = Arc::clone(&visits);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, visits) = (acceptor.clone(), Arc::clone(&told));
                tokio::spawn(async move {
                    // Browsers open connections that they do not use.
                    let Ok(stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let service = service_fn(move |request| answer(request, Arc::clone(&visits)));
                    let stream = TokioIo::new(stream);
                    let _ = http1::Builder::new()
                        .serve_connection(stream, service)
                        .await;
                });
            }
        });
        Self { addr, visits }
    }

    /// All requests to a site so far.
    pub(super) fn visits(&self, site: &str) -> Vec<Visit> {
        let visits = self.visits.lock().unwrap();
        let of_site = visits.iter().filter(|visit| visit.url.starts_with(site));
        of_site.cloned().collect()
    }
}

async fn answer(
    request: Request<Incoming>,
    visits: Visits,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let host = request.headers()[HOST].to_str().unwrap();
    visits.lock().unwrap().push(Visit {
        url: format!("https://{host}{}", request.uri()),
        headers: request.headers().clone(),
    });
    // An address of the site's own that redirects to the address in its query.
    if request.uri().path() == LEADS
        && let Some(address) = request.uri().query()
    {
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::SEE_OTHER;
        let address = HeaderValue::from_str(address).unwrap();
        response.headers_mut().insert(LOCATION, address);
        return Ok(response);
    }
    let mut response = Response::new(Full::from(PAGE));
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, html);
    Ok(response)
}

//! What the admin listener answers: its paths, methods and pages.
//!
//! Knows whether this process should get requests, whatever the state of the PBXs: one that is down is no reason to take
//! the gateway out of the balance. That state has a page of its own, for people and monitors.

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;

use super::calls::Calls;
use crate::metrics;

const TEXT: &str = "text/plain; charset=utf-8";

/// What a path names.
enum Target {
    Livez,
    Readyz,
    Pbxs,
    Metrics,
}

impl Target {
    fn of(path: &str) -> Option<Self> {
        match path {
            "/livez" => Some(Self::Livez),
            "/readyz" => Some(Self::Readyz),
            "/pbxs" => Some(Self::Pbxs),
            "/metrics" => Some(Self::Metrics),
            _ => None,
        }
    }

    /// The methods there are.
    fn allow(&self) -> &'static str {
        match self {
            Self::Livez | Self::Readyz | Self::Pbxs | Self::Metrics => "GET, HEAD",
        }
    }

    fn allows(&self, method: &Method) -> bool {
        self.allow()
            .split(", ")
            .any(|allowed| allowed == method.as_str())
    }
}

/// Answers a request.
pub(super) fn answer<B>(request: &Request<B>, ready: bool, calls: &Calls) -> Response<Full<Bytes>> {
    let Some(target) = Target::of(request.uri().path()) else {
        return page(StatusCode::NOT_FOUND, TEXT, "nothing here\n");
    };
    if !target.allows(request.method()) {
        let allow = target.allow();
        let mut response = page(
            StatusCode::METHOD_NOT_ALLOWED,
            TEXT,
            format!("only {allow}\n"),
        );
        let headers = response.headers_mut();
        headers.insert(ALLOW, HeaderValue::from_static(allow));
        return response;
    }
    match target {
        Target::Livez => page(StatusCode::OK, TEXT, "alive\n"),
        Target::Readyz if ready => page(StatusCode::OK, TEXT, "ready\n"),
        Target::Readyz => page(StatusCode::SERVICE_UNAVAILABLE, TEXT, "draining\n"),
        Target::Pbxs => page(StatusCode::OK, "application/json", (calls.pbxs)()),
        Target::Metrics => page(StatusCode::OK, metrics::MEDIA_TYPE, (calls.metrics)()),
    }
}

fn page(
    status: StatusCode,
    media_type: &'static str,
    text: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

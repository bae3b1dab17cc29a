//! What the admin listener answers: its paths, methods and pages.
//!
//! Knows whether this process should get requests, whatever the state of the PBXs: one that is down is no reason to take
//! the gateway out of the balance. That state has a page of its own, for people and monitors.

use std::net::IpAddr;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use tracing::{info, warn};

use super::calls::{Calls, Refused};
use crate::auth::revocations::RevokeError;
use crate::gateway::head::HeadFault;
use crate::metrics;
use crate::recording::RecordingName;

const TEXT: &str = "text/plain; charset=utf-8";

/// What a path names.
enum Target<'r> {
    Livez,
    Readyz,
    Pbxs,
    Metrics,
    Revocations,
    /// A recording in memory.
    Cache {
        pbx: &'r str,
        /// Not decoded yet.
        name: &'r str,
    },
}

/// The answer to the path that an earlier version had: nothing was deleted.
const RENAMED: &str = "renamed; call DELETE /cache/{pbx}/{name}\n";

impl<'r> Target<'r> {
    fn of(path: &'r str) -> Option<Self> {
        match path {
            "/livez" => Some(Self::Livez),
            "/readyz" => Some(Self::Readyz),
            "/pbxs" => Some(Self::Pbxs),
            "/metrics" => Some(Self::Metrics),
            "/revocations" => Some(Self::Revocations),
            path => {
                let (pbx, name) = path.strip_prefix("/cache/")?.split_once('/')?;
                (!name.contains('/')).then_some(Self::Cache { pbx, name })
            }
        }
    }

    /// The methods there are.
    fn allow(&self) -> &'static str {
        match self {
            Self::Livez | Self::Readyz | Self::Pbxs | Self::Metrics => "GET, HEAD",
            Self::Revocations => "POST",
            Self::Cache { .. } => "DELETE",
        }
    }

    fn allows(&self, method: &Method) -> bool {
        self.allow()
            .split(", ")
            .any(|allowed| allowed == method.as_str())
    }
}

/// Answers a request that came from `source`; it has no body where that was too long or broke off. May block on a file.
pub(super) fn answer(
    request: &Request<Option<Bytes>>,
    source: IpAddr,
    ready: bool,
    calls: &Calls,
) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    if path.starts_with("/tapes/") {
        return page(StatusCode::NOT_FOUND, TEXT, RENAMED);
    }
    let Some(target) = Target::of(path) else {
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
        Target::Readyz if !ready => page(StatusCode::SERVICE_UNAVAILABLE, TEXT, "draining\n"),
        Target::Readyz => match (calls.lacks)() {
            None => page(StatusCode::OK, TEXT, "ready\n"),
            Some(what) => page(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{what}\n")),
        },
        Target::Pbxs => page(StatusCode::OK, "application/json", (calls.pbxs)()),
        Target::Metrics => page(StatusCode::OK, metrics::MEDIA_TYPE, (calls.metrics)()),
        Target::Revocations => revoke(request, source, calls),
        Target::Cache { pbx, name } => forget(request, source, calls, pbx, name),
    }
}

/// The answer to a head that is no request; the connection ends with it.
pub(super) fn refuse_head(fault: HeadFault) -> Response<Full<Bytes>> {
    let mut response = page(StatusCode::BAD_REQUEST, TEXT, format!("{fault}\n"));
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
    response
}

/// Puts an entry on the list of what is revoked, and leaves one line in the log whatever comes of it.
fn revoke(
    request: &Request<Option<Bytes>>,
    source: IpAddr,
    calls: &Calls,
) -> Response<Full<Bytes>> {
    match calls.revoke(request.headers(), request.body().as_deref()) {
        Ok(()) => {
            info!(%source, "something was revoked, as the operator wants");
            no_content()
        }
        Err(refused) => {
            // What is wrong with an entry may hold some of it.
            let reason = match &refused {
                Refused::NotRevoked(RevokeError::Entry(_)) => "not a revocation".to_owned(),
                refused => refused.to_string(),
            };
            warn!(%source, reason, "a call of the admin listener was refused");
            refuse(&refused)
        }
    }
}

/// Ends what is held of a recording, and leaves one line in the log whatever comes of it.
fn forget(
    request: &Request<Option<Bytes>>,
    source: IpAddr,
    calls: &Calls,
    pbx: &str,
    name: &str,
) -> Response<Full<Bytes>> {
    let name = RecordingName::from_path_segment(name);
    let recording = name.as_ref().map(|name| (calls.mask)(name));
    let recording = recording.unwrap_or_default();
    match calls.forget(
        request.headers(),
        pbx,
        name.as_ref().map_err(|error| *error),
    ) {
        Ok(()) => {
            info!(%source, pbx, recording, "a recording is held no longer, as the operator wants");
            no_content()
        }
        // The PBX's name is the caller's word, so it is not in the line.
        Err(refused) => {
            warn!(%source, recording, reason = %refused, "a call of the admin listener was refused");
            refuse(&refused)
        }
    }
}

fn no_content() -> Response<Full<Bytes>> {
    let mut response = page(StatusCode::NO_CONTENT, TEXT, "");
    response.headers_mut().remove(CONTENT_TYPE);
    response
}

fn refuse(refused: &Refused) -> Response<Full<Bytes>> {
    let (status, challenge) = match refused {
        Refused::NoCalls => (StatusCode::FORBIDDEN, None),
        Refused::Unauthenticated => (StatusCode::UNAUTHORIZED, Some("Bearer")),
        Refused::WrongToken => (
            StatusCode::UNAUTHORIZED,
            Some("Bearer error=\"invalid_token\""),
        ),
        Refused::Name(_) | Refused::NotRevoked(RevokeError::Entry(_)) => {
            (StatusCode::BAD_REQUEST, None)
        }
        Refused::NoSuchPbx => (StatusCode::NOT_FOUND, None),
        Refused::NotJson => (StatusCode::UNSUPPORTED_MEDIA_TYPE, None),
        Refused::Body => (StatusCode::PAYLOAD_TOO_LARGE, None),
        Refused::NotRevoked(RevokeError::NoFile) => (StatusCode::CONFLICT, None),
        Refused::NotRevoked(RevokeError::File(_) | RevokeError::List(_) | RevokeError::Lost) => {
            (StatusCode::INTERNAL_SERVER_ERROR, None)
        }
    };
    let mut response = page(status, TEXT, format!("{refused}\n"));
    if let Some(challenge) = challenge {
        let challenge = HeaderValue::from_static(challenge);
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    response
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

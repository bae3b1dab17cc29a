//! The paths, methods and answers of the admin listener.
//!
//! `/readyz` tells whether this process should get requests, independent of the PBXs: one PBX that
//! is down is no reason to take the gateway out of a load balancer. `/pbxs` tells the state of the
//! PBXs, for people and monitors.

use std::net::IpAddr;

use bytes::Bytes;
use http::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE,
};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::Full;
use tracing::{info, warn};

use super::calls::{AdminCalls, CallError};
use crate::auth::revocations::RevokeError;
use crate::gateway::head::HeadFault;
use crate::metrics::TextFormat;
use crate::recording::RecordingName;

const TEXT_MEDIA_TYPE: &str = "text/plain; charset=utf-8";

/// The paths of the admin listener.
enum AdminRoute<'r> {
    Livez,
    Readyz,
    Pbxs,
    Metrics,
    Revocations,
    /// A recording in memory.
    Cache {
        pbx: &'r str,
        /// Percent-encoded, as in the path.
        name: &'r str,
    },
}

/// The answer to a path of an earlier version. Nothing was deleted.
const RENAMED_CALL: &str = "renamed; call DELETE /cache/{pbx}/{name}\n";

impl<'r> AdminRoute<'r> {
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

    /// The methods that the path allows.
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

/// Answers a request from `source`. The body is `None` where it was too long or broke off. May
/// block on a file.
pub(super) fn answer(
    request: &Request<Option<Bytes>>,
    source: IpAddr,
    ready: bool,
    calls: &AdminCalls,
) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    if path.starts_with("/tapes/") {
        return page(StatusCode::NOT_FOUND, TEXT_MEDIA_TYPE, RENAMED_CALL);
    }
    let Some(target) = AdminRoute::of(path) else {
        return page(StatusCode::NOT_FOUND, TEXT_MEDIA_TYPE, "nothing here\n");
    };
    if !target.allows(request.method()) {
        let allow = target.allow();
        let mut response = page(
            StatusCode::METHOD_NOT_ALLOWED,
            TEXT_MEDIA_TYPE,
            format!("only {allow}\n"),
        );
        let headers = response.headers_mut();
        headers.insert(ALLOW, HeaderValue::from_static(allow));
        return response;
    }
    match target {
        AdminRoute::Livez => page(StatusCode::OK, TEXT_MEDIA_TYPE, "alive\n"),
        AdminRoute::Readyz if !ready => page(
            StatusCode::SERVICE_UNAVAILABLE,
            TEXT_MEDIA_TYPE,
            "draining\n",
        ),
        AdminRoute::Readyz => match (calls.lacks)() {
            None => page(StatusCode::OK, TEXT_MEDIA_TYPE, "ready\n"),
            Some(what) => page(
                StatusCode::SERVICE_UNAVAILABLE,
                TEXT_MEDIA_TYPE,
                format!("{what}\n"),
            ),
        },
        AdminRoute::Pbxs => page(StatusCode::OK, "application/json", (calls.pbxs)()),
        AdminRoute::Metrics => {
            let format = wanted_format(request.headers());
            page(StatusCode::OK, format.media_type(), (calls.metrics)(format))
        }
        AdminRoute::Revocations => revoke(request, source, calls),
        AdminRoute::Cache { pbx, name } => forget(request, source, calls, pbx, name),
    }
}

/// OpenMetrics, unless the caller takes plain text and does not name OpenMetrics.
fn wanted_format(headers: &HeaderMap) -> TextFormat {
    let fields = headers.get_all(ACCEPT).iter();
    let accepted: Vec<&str> = fields.filter_map(|field| field.to_str().ok()).collect();
    let names = |media_type| accepted.iter().any(|field| field.contains(media_type));
    match names("text/plain") && !names("application/openmetrics-text") {
        true => TextFormat::Plain,
        false => TextFormat::OpenMetrics,
    }
}

/// The answer to an invalid head. The connection ends with it.
pub(super) fn refuse_head(fault: HeadFault) -> Response<Full<Bytes>> {
    let mut response = page(
        StatusCode::BAD_REQUEST,
        TEXT_MEDIA_TYPE,
        format!("{fault}\n"),
    );
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
    response
}

/// Adds an entry to the list of revocations, and writes one log line for success or refusal.
fn revoke(
    request: &Request<Option<Bytes>>,
    source: IpAddr,
    calls: &AdminCalls,
) -> Response<Full<Bytes>> {
    match calls.revoke(request.headers(), request.body().as_deref()) {
        Ok(()) => {
            info!(%source, "the operator has revoked an entry");
            no_content()
        }
        Err(refused) => {
            // The error may quote parts of the entry, which the log must not have.
            let reason = match &refused {
                CallError::NotRevoked(RevokeError::Entry(_)) => "not a revocation".to_owned(),
                refused => refused.to_string(),
            };
            warn!(%source, reason, "a call of the admin listener was refused");
            refuse(&refused)
        }
    }
}

/// Deletes a recording from the cache, and writes one log line for success or refusal.
fn forget(
    request: &Request<Option<Bytes>>,
    source: IpAddr,
    calls: &AdminCalls,
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
            info!(%source, pbx, recording, "the operator has deleted a recording from the cache");
            no_content()
        }
        // Without the PBX's name: it is the caller's text, and may be anything.
        Err(refused) => {
            warn!(%source, recording, reason = %refused, "a call of the admin listener was refused");
            refuse(&refused)
        }
    }
}

fn no_content() -> Response<Full<Bytes>> {
    let mut response = page(StatusCode::NO_CONTENT, TEXT_MEDIA_TYPE, "");
    response.headers_mut().remove(CONTENT_TYPE);
    response
}

fn refuse(refused: &CallError) -> Response<Full<Bytes>> {
    let (status, challenge) = match refused {
        CallError::NoCalls => (StatusCode::FORBIDDEN, None),
        CallError::Unauthenticated => (StatusCode::UNAUTHORIZED, Some("Bearer")),
        CallError::WrongToken => (
            StatusCode::UNAUTHORIZED,
            Some("Bearer error=\"invalid_token\""),
        ),
        CallError::Name(_) | CallError::NotRevoked(RevokeError::Entry(_)) => {
            (StatusCode::BAD_REQUEST, None)
        }
        CallError::NoSuchPbx => (StatusCode::NOT_FOUND, None),
        CallError::NotJson => (StatusCode::UNSUPPORTED_MEDIA_TYPE, None),
        CallError::Body => (StatusCode::PAYLOAD_TOO_LARGE, None),
        CallError::NotRevoked(RevokeError::NoFile) => (StatusCode::CONFLICT, None),
        CallError::NotRevoked(RevokeError::File(_) | RevokeError::List(_) | RevokeError::Lost) => {
            (StatusCode::INTERNAL_SERVER_ERROR, None)
        }
    };
    let mut response = page(status, TEXT_MEDIA_TYPE, format!("{refused}\n"));
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

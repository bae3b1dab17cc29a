//! CORS: the header fields that let scripts of listed origins read answers.
//!
//! Knows which origins are listed. An unlisted origin is never repeated, and gets none of these
//! fields, so its browser hides the answer from its scripts. Does not know the caller: a preflight
//! has no credential. Pure.
//!
//! Source: Fetch standard, "CORS protocol" (§3.3) and "CORS-safelisted response-header name"; RFC
//! 9110 §12.5.5 (`Vary`).

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_METHOD, CACHE_CONTROL, HeaderMap, HeaderValue, ORIGIN, VARY,
};
use http::{Method, Response, StatusCode, request};

use crate::gateway::answer::AnswerBody;
use crate::gateway::settings::cors::CorsSettings;

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, DELETE");
/// The fields that players and scripts send. WebKit adds the session id by itself when it plays.
const REQUEST_FIELDS: HeaderValue = HeaderValue::from_static(
    "Range, Authorization, Content-Type, X-Playback-Session-Id, If-Range, If-Match, If-None-Match, If-Modified-Since, \
     If-Unmodified-Since",
);
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "Content-Range, Content-Length, Accept-Ranges, Content-Disposition, ETag, Link, Retry-After, WWW-Authenticate, X-Request-Id",
);
/// The time for which a browser may keep a preflight, in seconds. No browser keeps it longer.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");

/// The origins whose scripts may read answers.
pub(crate) struct Cors {
    origins: Vec<HeaderValue>,
}

impl Cors {
    pub(crate) fn new(config: &CorsSettings) -> Self {
        let origins = config.origins.iter();
        // An origin is ASCII, so always valid as the value of a field.
        let origins = origins.filter_map(|origin| HeaderValue::from_str(origin.as_str()).ok());
        Self {
            origins: origins.collect(),
        }
    }

    /// Adds the fields that make an answer readable for scripts of a listed origin. The answer then
    /// depends on the origin, so `Vary` says so, whichever origin asked.
    pub(crate) fn fill(&self, request: &HeaderMap, answer: &mut HeaderMap) {
        if self.origins.is_empty() {
            return;
        }
        answer.append(VARY, HeaderValue::from_static("Origin"));
        if let Some(origin) = self.listed(request) {
            answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            answer.insert(
                ACCESS_CONTROL_ALLOW_CREDENTIALS,
                HeaderValue::from_static("true"),
            );
            answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        }
    }

    /// The answer to a preflight: the methods and fields that a listed origin may send. The rest is
    /// added by [`Cors::fill`].
    pub(crate) fn preflight(&self, request: &HeaderMap) -> Response<AnswerBody> {
        let mut response = Response::new(AnswerBody::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.origins.is_empty() {
            return response;
        }
        let depends_on = "Access-Control-Request-Method, Access-Control-Request-Headers";
        headers.append(VARY, HeaderValue::from_static(depends_on));
        if self.listed(request).is_some() {
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_FIELDS);
            headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        }
        response
    }

    /// The origin of a request, if it is listed. A browser sends one, always in the same spelling.
    fn listed(&self, request: &HeaderMap) -> Option<&HeaderValue> {
        let mut fields = request.get_all(ORIGIN).iter();
        let (Some(origin), None) = (fields.next(), fields.next()) else {
            return None;
        };
        self.origins.iter().find(|listed| *listed == origin)
    }
}

/// True for a preflight: a browser asks which requests a script may send.
pub(crate) fn is_preflight(head: &request::Parts) -> bool {
    head.method == Method::OPTIONS
        && head.headers.contains_key(ORIGIN)
        && head.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

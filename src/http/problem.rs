//! Problem documents (RFC 9457), and the list of all problems.
//!
//! Knows the texts for callers. Titles and details are fixed: never a cause, an address, a URL or a
//! text of the PBX.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;

/// The start of `type`, for `concat!`.
macro_rules! type_base {
    () => {
        "urn:wavegate:problem:"
    };
}

/// The start of `type`; the slug follows.
pub const TYPE_BASE: &str = type_base!();

/// One kind of problem.
#[derive(Debug)]
pub struct Problem {
    /// The end of `type`, for programs.
    pub slug: &'static str,
    /// `type` itself.
    kind: &'static str,
    /// HTTP status.
    pub status: StatusCode,
    /// A short title for people.
    pub title: &'static str,
    /// The reason, and the remedy for the caller.
    pub detail: &'static str,
}

macro_rules! problems {
    ($($name:ident = $slug:literal, $status:ident, $title:literal, $detail:literal;)*) => {
        $(
            pub(crate) const $name: Problem = Problem {
                slug: $slug,
                kind: concat!(type_base!(), $slug),
                status: StatusCode::$status,
                title: $title,
                detail: $detail,
            };
        )*

        /// All problems, by status.
        pub const ALL: &[&Problem] = &[$(&$name),*];
    };
}

problems! {
    REQUEST_HEAD_INVALID = "request-head-invalid", BAD_REQUEST, "Invalid request head",
        "A request must name one host, and its body must have a Content-Length or a Transfer-Encoding, not both.";
    RECORDING_NAME_INVALID = "recording-name-invalid", BAD_REQUEST, "Invalid recording name",
        "The name in the path cannot be the name of a recording. Send the name from the PBX's call list, percent-encoded.";
    RECORDING_PARAMETER_INVALID = "recording-parameter-invalid", BAD_REQUEST, "Invalid download parameter",
        "The parameter download must be 1, true, yes or empty, and given once. Leave it out to play the recording.";
    LIST_PARAMETER_INVALID = "list-parameter-invalid", BAD_REQUEST, "Invalid list parameter",
        "A parameter is unknown, repeated or malformed, or the cursor belongs to another list. Times need a date, and from must be earlier than to.";
    LIST_WINDOW_REQUIRED = "list-window-required", BAD_REQUEST, "Time window required",
        "This PBX lists calls only by time. Give both from and to.";
    REQUEST_BODY_INVALID = "request-body-invalid", BAD_REQUEST, "Invalid request body",
        "The body must be a JSON object with the required members, and no others.";
    SESSION_TOO_LARGE = "session-too-large", BAD_REQUEST, "Session too large",
        "The claims of the bearer token do not fit into a cookie, which holds at most 4096 bytes. Send the bearer token with each request instead.";
    BEARER_TOKEN_MISSING = "bearer-token-missing", UNAUTHORIZED, "Authentication required",
        "Send a bearer token in the Authorization field, or use a link.";
    BEARER_TOKEN_INVALID = "bearer-token-invalid", UNAUTHORIZED, "Invalid bearer token",
        "The signature, the expiry, the issuer, the audience or another claim is wrong. Get a new token. A bearer token must be in the Authorization field, a link token in ?link=.";
    LINK_TOKEN_INVALID = "link-token-invalid", UNAUTHORIZED, "Invalid link",
        "The link has expired, or was not made for this use. Ask for a new one.";
    SESSION_INVALID = "session-invalid", UNAUTHORIZED, "Invalid session",
        "The cookie has expired, is not accepted by this gateway, or was sent twice. Sign in again.";
    LINK_FOR_ANOTHER_RECORDING = "link-for-another-recording", FORBIDDEN, "Link for another recording",
        "A link opens only the recording that it was made for.";
    LINK_CANNOT_SHARE = "link-cannot-share", FORBIDDEN, "A link cannot make links",
        "A link only opens its recording. Use a bearer token or a session to make a link.";
    BEARER_TOKEN_REQUIRED = "bearer-token-required", FORBIDDEN, "Bearer token required",
        "A session starts with a bearer token in the Authorization field, not with a link or another cookie.";
    CROSS_SITE_REFUSED = "cross-site-refused", FORBIDDEN, "Request from another site refused",
        "The browser sent its cookie for a page of another site, or did not name the site. The gateway's operator configures the allowed sites.";
    PREFETCH_REFUSED = "prefetch-refused", FORBIDDEN, "Prefetch refused",
        "The browser asked for the recording before anyone wanted to hear it. It will ask again when somebody opens the recording.";
    RECORDING_DENIED = "recording-denied", FORBIDDEN, "Not allowed",
        "You may not hear this recording.";
    NO_SUCH_RESOURCE = "no-such-resource", NOT_FOUND, "No such resource",
        "There is nothing at this address. Recordings are at /recordings/{name} and /pbx/{pbx}/recordings/{name}, lists of them at the same paths without a name.";
    RECORDING_NOT_FOUND = "recording-not-found", NOT_FOUND, "No such recording",
        "The PBX has no recording with this name.";
    RECORDING_NOT_READY = "recording-not-ready", NOT_FOUND, "Recording not ready",
        "The call is recent, and the PBX does not have its recording yet. Try again later.";
    RECORDING_EMPTY = "recording-empty", NOT_FOUND, "Recording empty",
        "The PBX has this recording, but it has no bytes: nobody answered the call, or it ended at once.";
    METHOD_NOT_ALLOWED = "method-not-allowed", METHOD_NOT_ALLOWED, "Method not allowed",
        "Recordings accept GET and HEAD, lists GET, links POST, the session POST and DELETE.";
    REQUEST_TIMEOUT = "request-timeout", REQUEST_TIMEOUT, "Request timeout",
        "The body of the request did not arrive in time.";
    RECORDING_DELETED = "recording-deleted", GONE, "Recording deleted",
        "The PBX had this recording and has deleted it.";
    PRECONDITION_FAILED = "precondition-failed", PRECONDITION_FAILED, "Precondition failed",
        "The recording does not match If-Match or If-Unmodified-Since. Ask again without these fields.";
    REQUEST_TOO_LARGE = "request-too-large", PAYLOAD_TOO_LARGE, "Request body too large",
        "The body of the request is longer than 4096 bytes, which is enough for every request to this gateway.";
    JSON_REQUIRED = "json-required", UNSUPPORTED_MEDIA_TYPE, "JSON required",
        "Send the body as JSON, with Content-Type: application/json.";
    RANGE_NOT_SATISFIABLE = "range-not-satisfiable", RANGE_NOT_SATISFIABLE, "Range not satisfiable",
        "The recording has no byte in the requested range. Content-Range has its length.";
    MISDIRECTED = "misdirected", MISDIRECTED_REQUEST, "Misdirected request",
        "The request names a host that is not this gateway's public address.";
    PRINCIPAL_SATURATED = "principal-saturated", TOO_MANY_REQUESTS, "Too many requests at once",
        "As many of your requests are running as one caller may have. Try again when one has ended.";
    RATE_LIMITED = "rate-limited", TOO_MANY_REQUESTS, "Too many requests",
        "You or your address have sent more requests than the limit allows, or too many recordings were read from the PBX for you. Try again after the time in Retry-After.";
    REQUEST_HEAD_TOO_LARGE = "request-head-too-large", REQUEST_HEADER_FIELDS_TOO_LARGE, "Request head too large",
        "The address and header fields of the request, including the token, are longer than this gateway accepts. Send a shorter token, or ask the gateway's operator for a higher limit.";
    INTERNAL = "internal", INTERNAL_SERVER_ERROR, "Internal error",
        "The gateway failed. Its operator finds the reason by the request id.";
    LINKS_UNCONFIGURED = "links-unconfigured", NOT_IMPLEMENTED, "Links not configured",
        "This gateway needs links.signing_key and server.public_url to make links. Its operator must set what is missing.";
    LIST_UNSUPPORTED = "list-unsupported", NOT_IMPLEMENTED, "List not supported by this PBX",
        "The API of this PBX (S-Series 1.0.1) cannot list recordings. Their names are in the PBX's own call reports.";
    PBX_UNREACHABLE = "pbx-unreachable", BAD_GATEWAY, "PBX unreachable",
        "The connection to the PBX failed, broke, or is not trusted. Try again later; if this continues, the gateway's operator must act.";
    PBX_PROTOCOL = "pbx-protocol", BAD_GATEWAY, "Unusable answer from the PBX",
        "The PBX sent neither the requested answer nor an error that it documents.";
    PBX_LOGIN_REFUSED = "pbx-login-refused", BAD_GATEWAY, "PBX refused the login",
        "The PBX refused the gateway's own account. The gateway's operator must act.";
    PBX_TOKEN_REFUSED = "pbx-token-refused", BAD_GATEWAY, "PBX refused a new token",
        "The PBX did not accept a new token of the gateway. Try again later.";
    PBX_TICKET_REFUSED = "pbx-ticket-refused", BAD_GATEWAY, "PBX refused a new ticket",
        "The PBX did not accept a new ticket of the gateway. The gateway's operator must act.";
    PBX_PERMISSION_MISSING = "pbx-permission-missing", BAD_GATEWAY, "Permission missing on the PBX",
        "The gateway's account on the PBX lacks a permission for this. The gateway's operator must act.";
    PBX_ADDRESS_FORBIDDEN = "pbx-address-forbidden", BAD_GATEWAY, "PBX refused the gateway's address",
        "The PBX accepts requests from other addresses only. The gateway's operator must act.";
    PBX_REQUEST_REFUSED = "pbx-request-refused", BAD_GATEWAY, "PBX refused the request",
        "The PBX did not accept the form of the gateway's request. The gateway's operator must act.";
    PBX_API_UNSUPPORTED = "pbx-api-unsupported", BAD_GATEWAY, "PBX API not available",
        "The PBX's API is switched off or has another version. The gateway's operator must act.";
    PBX_INTERNAL_ERROR = "pbx-internal-error", BAD_GATEWAY, "Internal error of the PBX",
        "The PBX reported an error of its own twice. Try again later.";
    SATURATED = "saturated", SERVICE_UNAVAILABLE, "Gateway saturated",
        "The gateway is fetching as many recordings, or reading as many lists, as it may. Try again in a moment.";
    AUDIT_UNAVAILABLE = "audit-unavailable", SERVICE_UNAVAILABLE, "Audit log unavailable",
        "The gateway records every request before it answers, and cannot do so now. Try again later.";
    PBX_HELD_OFF = "pbx-held-off", SERVICE_UNAVAILABLE, "Waiting before the next login",
        "The PBX accepts no login from the gateway at the moment. Try again later.";
    PBX_OVERLOADED = "pbx-overloaded", SERVICE_UNAVAILABLE, "PBX overloaded",
        "The PBX reports that it is overloaded. Try again later.";
    KEYS_UNAVAILABLE = "keys-unavailable", SERVICE_UNAVAILABLE, "Keys of the issuer unavailable",
        "The token cannot be checked yet, because the keys of its issuer could not be fetched. Try again later.";
    PBX_TIMEOUT = "pbx-timeout", GATEWAY_TIMEOUT, "PBX timeout",
        "The PBX did not answer in time. Try again later.";
    HTTP_VERSION_NOT_SUPPORTED = "http-version-not-supported", HTTP_VERSION_NOT_SUPPORTED, "HTTP/1.1 required",
        "The length of this recording is not known in advance, and HTTP/1.0 cannot tell a complete recording from a truncated one.";
}

/// More than most documents have, and than most of their answers have fields.
const USUAL_BYTES: usize = 512;
const USUAL_FIELDS: usize = 12;

/// The document of a problem.
#[derive(Serialize)]
struct Document<'d> {
    detail: &'d str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'d str>,
    request_id: &'d str,
    status: u16,
    title: &'d str,
    #[serde(rename = "type")]
    kind: &'d str,
}

/// Makes the response for a problem, without the fields that depend on the request. `reason` adds
/// detail that is not fixed.
pub(crate) fn answer(
    problem: &'static Problem,
    request_id: &str,
    reason: Option<String>,
) -> Response<Full<Bytes>> {
    let document = Document {
        detail: problem.detail,
        reason: reason.as_deref(),
        request_id,
        status: problem.status.as_u16(),
        title: problem.title,
        kind: problem.kind,
    };
    let mut text = Vec::with_capacity(USUAL_BYTES);
    // Texts and a number: a vector takes all of it.
    let _ = serde_json::to_writer(&mut text, &document);
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = problem.status;
    let headers = response.headers_mut();
    headers.reserve(USUAL_FIELDS);
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

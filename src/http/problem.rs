//! Problem documents (RFC 9457), and the list of every problem there is.
//!
//! Knows what a caller is told. Titles and details are fixed texts: never a cause, an address, a URL or a word of the
//! PBX.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::Full;
use serde_json::json;

/// What `type` begins with; the slug follows.
pub const TYPE_BASE: &str = "urn:wavegate:problem:";

/// One kind of problem.
#[derive(Debug)]
pub struct Problem {
    /// The end of `type`; what programs should look at.
    pub slug: &'static str,
    /// HTTP status.
    pub status: StatusCode,
    /// A few words for people.
    pub title: &'static str,
    /// What happened and what the caller can do.
    pub detail: &'static str,
}

macro_rules! problems {
    ($($name:ident = $slug:literal, $status:ident, $title:literal, $detail:literal;)*) => {
        $(
            pub(crate) const $name: Problem = Problem {
                slug: $slug,
                status: StatusCode::$status,
                title: $title,
                detail: $detail,
            };
        )*

        /// Every problem there is, by status.
        pub const ALL: &[&Problem] = &[$(&$name),*];
    };
}

problems! {
    REQUEST_HEAD_INVALID = "request-head-invalid", BAD_REQUEST, "Request head not valid",
        "A request names one host. Its body has a Content-Length or a Transfer-Encoding, not both.";
    RECORDING_NAME_INVALID = "recording-name-invalid", BAD_REQUEST, "Not a recording's name",
        "The name in the path is not one that a PBX gives to a recording. Send it percent-encoded, as the PBX's call list has it.";
    RECORDING_PARAMETER_INVALID = "recording-parameter-invalid", BAD_REQUEST, "Value of download not valid",
        "The parameter download is 1, true, yes or empty, and given once. Leave it out to play the recording.";
    LIST_PARAMETER_INVALID = "list-parameter-invalid", BAD_REQUEST, "Not a parameter of the list",
        "A parameter is unknown, repeated or malformed, or the cursor is of another list. Times need a date; from comes before to.";
    LIST_WINDOW_REQUIRED = "list-window-required", BAD_REQUEST, "Between which times?",
        "This PBX lists its calls by time only. Give both from and to.";
    REQUEST_BODY_INVALID = "request-body-invalid", BAD_REQUEST, "Not what is asked for here",
        "The body is not a JSON object with the members that are needed here, and no others.";
    SESSION_TOO_LARGE = "session-too-large", BAD_REQUEST, "Too much for a cookie",
        "What the bearer token says does not fit into a cookie, which has 4096 bytes at most. Send the bearer token itself.";
    BEARER_TOKEN_MISSING = "bearer-token-missing", UNAUTHORIZED, "Who is asking?",
        "Send a bearer token in the Authorization field, or use a link.";
    BEARER_TOKEN_INVALID = "bearer-token-invalid", UNAUTHORIZED, "The bearer token is not valid",
        "Signature, expiry, issuer, audience or a claim is wrong. Get a new token. A bearer token belongs into the Authorization field, a link token into ?link=.";
    LINK_TOKEN_INVALID = "link-token-invalid", UNAUTHORIZED, "The link is not valid",
        "The link has expired, or it was not made for this. Ask for a new one.";
    SESSION_INVALID = "session-invalid", UNAUTHORIZED, "The session is not valid",
        "The cookie has expired, or is not one that this gateway accepts, or is there twice. Sign in again.";
    LINK_FOR_ANOTHER_RECORDING = "link-for-another-recording", FORBIDDEN, "The link is for another recording",
        "A link opens the one recording it was made for.";
    LINK_CANNOT_SHARE = "link-cannot-share", FORBIDDEN, "A link makes no links",
        "A link opens its recording, and nothing else. Use a bearer token or a session.";
    BEARER_TOKEN_REQUIRED = "bearer-token-required", FORBIDDEN, "Only for a bearer token",
        "A session begins with a bearer token in the Authorization field, not with a link or another cookie.";
    CROSS_SITE_REFUSED = "cross-site-refused", FORBIDDEN, "Another site asked",
        "The browser sent its cookie for a page of another site, or does not say for which. The gateway's operator lists the sites that may.";
    PREFETCH_REFUSED = "prefetch-refused", FORBIDDEN, "Not ahead of time",
        "Recordings are not given out for what a browser loads ahead of time. It asks again when somebody wants to hear one.";
    RECORDING_DENIED = "recording-denied", FORBIDDEN, "Not allowed",
        "You may not hear this recording.";
    NO_SUCH_RESOURCE = "no-such-resource", NOT_FOUND, "Nothing here",
        "There is nothing at this address. Recordings are at /recordings/{name} and /pbx/{pbx}/recordings/{name}, lists of them at the same paths without a name.";
    RECORDING_NOT_FOUND = "recording-not-found", NOT_FOUND, "No such recording",
        "The PBX has no recording of this name.";
    RECORDING_NOT_READY = "recording-not-ready", NOT_FOUND, "Not there yet",
        "The call is recent and the PBX does not know its recording yet. Try again later.";
    RECORDING_EMPTY = "recording-empty", NOT_FOUND, "Nothing was recorded",
        "The PBX has this recording, and it has no bytes: nobody answered the call, or it ended at once.";
    METHOD_NOT_ALLOWED = "method-not-allowed", METHOD_NOT_ALLOWED, "Wrong method",
        "Recordings answer to GET and HEAD, lists to GET, links to POST, the session to POST and DELETE.";
    REQUEST_TIMEOUT = "request-timeout", REQUEST_TIMEOUT, "Too slow",
        "The body of the request did not come in time.";
    RECORDING_DELETED = "recording-deleted", GONE, "Deleted",
        "The PBX had this recording and has deleted it.";
    PRECONDITION_FAILED = "precondition-failed", PRECONDITION_FAILED, "Not what you expected",
        "The recording is another one than If-Match or If-Unmodified-Since says. Ask again without them.";
    REQUEST_TOO_LARGE = "request-too-large", PAYLOAD_TOO_LARGE, "Too long",
        "The body of the request is longer than the 4096 bytes that anything asked for here needs.";
    JSON_REQUIRED = "json-required", UNSUPPORTED_MEDIA_TYPE, "JSON, please",
        "Send the body as JSON, with Content-Type: application/json.";
    RANGE_NOT_SATISFIABLE = "range-not-satisfiable", RANGE_NOT_SATISFIABLE, "Nothing in this range",
        "The recording has no byte in the range asked for. Its length is in Content-Range.";
    MISDIRECTED = "misdirected", MISDIRECTED_REQUEST, "Another host",
        "The request names a host that is not this gateway's public address.";
    PRINCIPAL_SATURATED = "principal-saturated", TOO_MANY_REQUESTS, "Too many of yours at once",
        "As many of your requests are being answered as one caller may have. Try again when one has ended.";
    RATE_LIMITED = "rate-limited", TOO_MANY_REQUESTS, "Too many of yours in too short a time",
        "As many requests as one caller or one address may make in such a time have come, or as many recordings were read from the PBX for you. Try again after the time in Retry-After.";
    REQUEST_HEAD_TOO_LARGE = "request-head-too-large", REQUEST_HEADER_FIELDS_TOO_LARGE, "Too long a head",
        "Address and header fields of the request, the token among them, are longer than this gateway takes. Send a shorter token, or ask the gateway's operator for more.";
    INTERNAL = "internal", INTERNAL_SERVER_ERROR, "Internal error",
        "The gateway failed. Its operator finds the reason by the request id.";
    LINKS_UNCONFIGURED = "links-unconfigured", NOT_IMPLEMENTED, "No links are made here",
        "Making links needs links.signing_key and server.public_url. The gateway's operator has to set what is missing.";
    LIST_UNSUPPORTED = "list-unsupported", NOT_IMPLEMENTED, "This PBX has no list",
        "The API of this PBX (S-Series 1.0.1) cannot list recordings. Their names are in the PBX's own call reports.";
    PBX_UNREACHABLE = "pbx-unreachable", BAD_GATEWAY, "The PBX cannot be reached",
        "The connection to the PBX failed, is not trusted, or broke. Try again later; if it goes on, the gateway's operator must act.";
    PBX_PROTOCOL = "pbx-protocol", BAD_GATEWAY, "The PBX gave an unusable answer",
        "What the PBX answered is neither what it was asked for nor an error it documents.";
    PBX_LOGIN_REFUSED = "pbx-login-refused", BAD_GATEWAY, "The PBX refuses the gateway",
        "The gateway's own account on the PBX was refused. Its operator must act.";
    PBX_TOKEN_REFUSED = "pbx-token-refused", BAD_GATEWAY, "The PBX ends the gateway's session",
        "The PBX did not accept a fresh token of the gateway. Try again later.";
    PBX_TICKET_REFUSED = "pbx-ticket-refused", BAD_GATEWAY, "The PBX refuses the download",
        "The PBX did not accept a fresh ticket of the gateway. Its operator must act.";
    PBX_PERMISSION_MISSING = "pbx-permission-missing", BAD_GATEWAY, "The gateway lacks a permission on the PBX",
        "The gateway's account on the PBX may not do this. Its operator must act.";
    PBX_ADDRESS_FORBIDDEN = "pbx-address-forbidden", BAD_GATEWAY, "The PBX refuses the gateway's address",
        "The PBX takes requests from other addresses only. The gateway's operator must act.";
    PBX_REQUEST_REFUSED = "pbx-request-refused", BAD_GATEWAY, "The PBX finds fault with the request",
        "The PBX did not accept the form of the gateway's request. Its operator must act.";
    PBX_API_UNSUPPORTED = "pbx-api-unsupported", BAD_GATEWAY, "The PBX does not know the request",
        "The PBX's API is switched off or of another version. The gateway's operator must act.";
    PBX_INTERNAL_ERROR = "pbx-internal-error", BAD_GATEWAY, "The PBX failed",
        "The PBX reported an error of its own, twice. Try again later.";
    SATURATED = "saturated", SERVICE_UNAVAILABLE, "Too many at once",
        "As many recordings are being fetched, or lists read, as are allowed. Try again in a moment.";
    AUDIT_UNAVAILABLE = "audit-unavailable", SERVICE_UNAVAILABLE, "It cannot be written down",
        "Every request is written down before it is answered, and that is not possible now. Try again later.";
    PBX_HELD_OFF = "pbx-held-off", SERVICE_UNAVAILABLE, "Waiting before the next login",
        "The PBX takes no login of the gateway for the moment. Try again later.";
    PBX_OVERLOADED = "pbx-overloaded", SERVICE_UNAVAILABLE, "The PBX is overloaded",
        "The PBX says that it has too much to do. Try again later.";
    KEYS_UNAVAILABLE = "keys-unavailable", SERVICE_UNAVAILABLE, "The keys of the issuer are not known yet",
        "Nobody can tell yet whether the token is good: the keys of its issuer could not be fetched. Try again.";
    DRAINING = "draining", SERVICE_UNAVAILABLE, "Going down",
        "This instance finishes what it has begun and takes nothing new. Try again.";
    PBX_TIMEOUT = "pbx-timeout", GATEWAY_TIMEOUT, "The PBX is too slow",
        "The PBX did not answer within the limit. Try again later.";
    HTTP_VERSION_NOT_SUPPORTED = "http-version-not-supported", HTTP_VERSION_NOT_SUPPORTED, "HTTP/1.1 is needed",
        "The length of this recording is not known beforehand, and HTTP/1.0 cannot tell a whole one from a cut one.";
}

/// The answer for a problem, without the fields that depend on the request. `reason` says more than `detail` can.
pub(crate) fn answer(
    problem: &'static Problem,
    request_id: &str,
    reason: Option<String>,
) -> Response<Full<Bytes>> {
    let mut document = json!({
        "type": format!("{TYPE_BASE}{}", problem.slug),
        "title": problem.title,
        "status": problem.status.as_u16(),
        "detail": problem.detail,
        "request_id": request_id,
    });
    if let (Some(reason), Some(members)) = (reason, document.as_object_mut()) {
        members.insert("reason".to_owned(), reason.into());
    }
    let mut response = Response::new(Full::new(Bytes::from(document.to_string())));
    *response.status_mut() = problem.status;
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

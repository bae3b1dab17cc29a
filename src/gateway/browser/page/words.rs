//! The texts of problem pages, for people who opened a link and know nothing of tokens or ranges.
//!
//! Knows the next step that a person can take. A problem without a text here has the text for
//! programs.

use http::StatusCode;

use crate::http::problem::Problem;

const AGAIN: &str = "Open the recording again from where you found it, such as your CRM, or ask for a new link there.";
const RIGHTS: &str =
    "If you should be able to hear it, ask the person who manages these rights in your company.";
const ADDRESS: &str = "Check the address, or open the recording from where you found it.";
const LATER: &str = "Try again in a moment.";
const OPERATOR: &str = "Try again later. If this continues, tell the operator of this service, and include the request id below.";

/// A title, what happened, and what to do next.
pub(super) fn words(problem: &Problem) -> (&'static str, &'static str, &'static str) {
    match problem.slug {
        "bearer-token-missing" => (
            "Sign in to hear this recording",
            "You need to sign in, or open a link to this recording. Your browser sent neither a sign-in nor a link.",
            AGAIN,
        ),
        "bearer-token-invalid" | "session-invalid" => (
            "You are not signed in any more",
            "Your sign-in has expired, or is not valid here.",
            "Sign in again, and open the recording once more.",
        ),
        "link-token-invalid" => (
            "This link is not valid any more",
            "The link has expired, or was made for another use.",
            AGAIN,
        ),
        "link-for-another-recording" => (
            "This link is for another recording",
            "A link opens only the recording that it was made for.",
            AGAIN,
        ),
        "prefetch-refused" => (
            "Recording not opened yet",
            "Your browser asked for this recording before you opened it.",
            AGAIN,
        ),
        "cross-site-refused" => (
            "Request from another site refused",
            "A page of another site sent your browser here, and this service does not know that site.",
            AGAIN,
        ),
        "recording-denied" => ("Not allowed", "You may not hear this recording.", RIGHTS),
        "recording-name-invalid" => (
            "Not the address of a recording",
            "The last part of the address is not the name of a recording.",
            ADDRESS,
        ),
        "no-such-resource" => (
            "Page not found",
            "There is nothing at this address.",
            ADDRESS,
        ),
        "recording-not-found" => (
            "No such recording",
            "The telephone system has no recording with this name.",
            ADDRESS,
        ),
        "recording-not-ready" => (
            "Recording not ready",
            "The call is recent, and the telephone system does not have its recording ready yet.",
            LATER,
        ),
        "recording-empty" => (
            "Recording empty",
            "The telephone system has this recording, but it is empty: nobody answered the call, or it ended at once.",
            "There is nothing to hear.",
        ),
        "recording-deleted" => (
            "Recording deleted",
            "The telephone system had this recording and has deleted it.",
            "This service cannot restore it.",
        ),
        "rate-limited" | "principal-saturated" => (
            "Too many requests",
            "You or your network have sent too many requests in a short time.",
            LATER,
        ),
        "misdirected" => (
            "Wrong address",
            "This service does not use the host name in your address bar.",
            OPERATOR,
        ),
        _ => (problem.title, problem.detail, next(problem.status)),
    }
}

fn next(status: StatusCode) -> &'static str {
    match status {
        StatusCode::FORBIDDEN => RIGHTS,
        StatusCode::UNAUTHORIZED => AGAIN,
        StatusCode::SERVICE_UNAVAILABLE => LATER,
        status if status.is_server_error() => OPERATOR,
        _ => ADDRESS,
    }
}

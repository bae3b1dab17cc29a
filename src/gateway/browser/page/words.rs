//! Problems in the words of somebody who has opened a link, and knows nothing of tokens, ranges and PBXs.
//!
//! Knows what they can do next. What has no words of its own here has those that programs get.

use http::StatusCode;

use crate::http::problem::Problem;

const AGAIN: &str =
    "Open the recording from where you found it, such as your CRM, or ask there for a new link.";
const RIGHTS: &str =
    "If you should be able to hear it, ask whoever grants these rights in your company.";
const ADDRESS: &str = "Check the address, or open the recording from where you found it.";
const LATER: &str = "Try again in a moment.";
const OPERATOR: &str = "Try again later. If it goes on, tell whoever runs this service, and give them the request below.";

/// A title, what happened, and what to do next.
pub(super) fn words(problem: &Problem) -> (&'static str, &'static str, &'static str) {
    match problem.slug {
        "bearer-token-missing" => (
            "Who is asking?",
            "This recording is for people who have signed in or have a link to it, and your browser sent neither.",
            AGAIN,
        ),
        "bearer-token-invalid" | "session-invalid" => (
            "You are not signed in any more",
            "What your browser sent to say who you are has expired, or is not valid here.",
            "Sign in again, and open the recording once more.",
        ),
        "link-token-invalid" => (
            "This link is not valid any more",
            "It has expired, or it was made for somebody or something else.",
            AGAIN,
        ),
        "link-for-another-recording" => (
            "This link is for another recording",
            "A link opens the one recording it was made for.",
            AGAIN,
        ),
        "prefetch-refused" => (
            "Not opened yet",
            "Your browser asked for this recording before you did.",
            AGAIN,
        ),
        "cross-site-refused" => (
            "Not from there",
            "A page of another site sent your browser here, and this service does not know that site.",
            AGAIN,
        ),
        "recording-denied" => ("Not allowed", "You may not hear this recording.", RIGHTS),
        "recording-name-invalid" => (
            "Not a recording's address",
            "The last part of the address is not the name of a recording.",
            ADDRESS,
        ),
        "no-such-resource" => ("Nothing here", "There is nothing at this address.", ADDRESS),
        "recording-not-found" => (
            "No such recording",
            "The telephone system has no recording of this name.",
            ADDRESS,
        ),
        "recording-not-ready" => (
            "Not there yet",
            "The call is recent, and the telephone system has not got its recording ready.",
            LATER,
        ),
        "recording-empty" => (
            "Nothing was recorded",
            "The telephone system has this recording, and it is empty: nobody answered the call, or it ended at once.",
            "There is nothing to hear.",
        ),
        "recording-deleted" => (
            "Deleted",
            "The telephone system had this recording and has deleted it.",
            "It cannot be had back from here.",
        ),
        "rate-limited" | "principal-saturated" => (
            "Too much at once",
            "More has been asked for, by you or from your network, than may be in so short a time.",
            LATER,
        ),
        "misdirected" => (
            "Another address",
            "This service does not answer under the name in your address bar.",
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

//! The texts of problem pages, for people who opened a link and know nothing of tokens or ranges.
//!
//! Knows the next step that a person can take. A problem without a text here has the text for
//! programs.

use http::StatusCode;

use crate::http::problem::{self, Problem};

const AGAIN: &str = "Open the recording again from where you found it, such as your CRM, or ask for a new link there.";
const RIGHTS: &str =
    "If you should be able to hear it, ask the person who manages these rights in your company.";
const ADDRESS: &str = "Check the address, or open the recording from where you found it.";
const LATER: &str = "Try again in a moment.";
const OPERATOR: &str = "Try again later. If this continues, tell the operator of this service, and include the request id below.";

/// A title, the event, and the next step.
type PageText = (&'static str, &'static str, &'static str);

/// The words for people, by problem.
const WORDS: &[(&[&Problem], PageText)] = &[
    (
        &[&problem::BEARER_TOKEN_MISSING],
        (
            "Sign in to hear this recording",
            "You need to sign in, or open a link to this recording. Your browser sent neither a sign-in nor a link.",
            AGAIN,
        ),
    ),
    (
        &[&problem::BEARER_TOKEN_INVALID, &problem::SESSION_INVALID],
        (
            "You are not signed in any more",
            "Your sign-in has expired, or is not valid here.",
            "Sign in again, and open the recording once more.",
        ),
    ),
    (
        &[&problem::LINK_TOKEN_INVALID],
        (
            "This link is not valid any more",
            "The link has expired, or was made for another use.",
            AGAIN,
        ),
    ),
    (
        &[&problem::LINK_FOR_ANOTHER_RECORDING],
        (
            "This link is for another recording",
            "A link opens only the recording that it was made for.",
            AGAIN,
        ),
    ),
    (
        &[&problem::PREFETCH_REFUSED],
        (
            "Recording not opened yet",
            "Your browser asked for this recording before you opened it.",
            AGAIN,
        ),
    ),
    (
        &[&problem::CROSS_SITE_REFUSED],
        (
            "Request from another site refused",
            "A page of another site sent your browser here, and this service does not know that site.",
            AGAIN,
        ),
    ),
    (
        &[&problem::RECORDING_DENIED],
        ("Not allowed", "You may not hear this recording.", RIGHTS),
    ),
    (
        &[&problem::RECORDING_NAME_INVALID],
        (
            "Not the address of a recording",
            "The last part of the address is not the name of a recording.",
            ADDRESS,
        ),
    ),
    (
        &[&problem::NO_SUCH_RESOURCE],
        (
            "Page not found",
            "There is nothing at this address.",
            ADDRESS,
        ),
    ),
    (
        &[&problem::RECORDING_NOT_FOUND],
        (
            "No such recording",
            "The telephone system has no recording with this name.",
            ADDRESS,
        ),
    ),
    (
        &[&problem::RECORDING_NOT_READY],
        (
            "Recording not ready",
            "The call is recent, and the telephone system does not have its recording ready yet.",
            LATER,
        ),
    ),
    (
        &[&problem::RECORDING_EMPTY],
        (
            "Recording empty",
            "The telephone system has this recording, but it is empty: nobody answered the call, or it ended at once.",
            "There is nothing to hear.",
        ),
    ),
    (
        &[&problem::RECORDING_DELETED],
        (
            "Recording deleted",
            "The telephone system had this recording and has deleted it.",
            "This service cannot restore it.",
        ),
    ),
    (
        &[&problem::RATE_LIMITED, &problem::PRINCIPAL_SATURATED],
        (
            "Too many requests",
            "You or your network have sent too many requests in a short time.",
            LATER,
        ),
    ),
    (
        &[&problem::MISDIRECTED],
        (
            "Wrong address",
            "This service does not use the host name in your address bar.",
            OPERATOR,
        ),
    ),
];

/// The words of a problem: its own for people, or else those for programs.
pub(super) fn words(problem: &Problem) -> PageText {
    let is_of = |of: &[&Problem]| of.iter().any(|one| one.slug == problem.slug);
    let own = WORDS.iter().find(|(of, _)| is_of(of));
    own.map_or_else(
        || (problem.title, problem.detail, next(problem.status)),
        |(_, words)| *words,
    )
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

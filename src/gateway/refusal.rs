//! An error → its problem document, its line in the access log, and the one line for an operator.
//!
//! Knows what an operator can do about an error. Does not know who reads the answer.

use http::header::{ALLOW, CONNECTION, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Method, Response, StatusCode, Version, request};
use tracing::{error, info, warn};

use super::error::GatewayError;
use super::route::RouteError;
use crate::auth::AuthError;
use crate::cache::CacheError;
use crate::gateway::answer::AnswerBody;
use crate::http::headers;
use crate::http::problem;
use crate::http::problem::Problem;
use crate::limits::streams::AdmissionError;
use crate::pbx::PbxError;
use crate::relay::access_line::AccessLine;

/// Turns an error into its problem, and into the one log line that an operator can act on.
pub(super) fn refuse(
    error: &GatewayError,
    head: &request::Parts,
    mut line: AccessLine,
) -> Response<AnswerBody> {
    let problem = error.problem();
    log(error, problem, &mut line);
    line.status = problem.status.as_u16();
    line.outcome = problem.slug;
    let mut response =
        problem::answer(problem, line.request_id(), error.reason()).map(AnswerBody::Document);
    let headers = response.headers_mut();
    if let Some(pause) = error.retry_after() {
        // Rounded up: who comes back then does not come too early.
        let seconds = pause.as_secs() + u64::from(pause.subsec_nanos() > 0);
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    }
    match error {
        GatewayError::Auth(rejected) if problem.status == StatusCode::UNAUTHORIZED => {
            let challenge = match rejected.reason().is_missing() {
                true => "Bearer",
                false => "Bearer error=\"invalid_token\"",
            };
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        // HTTP/2 has no such field (RFC 9113 §8.2.2).
        GatewayError::Head(_) if head.version != Version::HTTP_2 => {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        GatewayError::RangeNotSatisfiable { length } => headers::fill_unsatisfied(headers, *length),
        GatewayError::Route(RouteError::MethodNotAllowed { allow }) => {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        _ => {}
    }
    if head.method == Method::HEAD {
        *response.body_mut() = AnswerBody::Absent;
    }
    response
}

/// The line for an operator, where there is something to do. What a caller did wrong is for the access log.
fn log(error: &GatewayError, problem: &Problem, line: &mut AccessLine) {
    let (request_id, pbx, problem) = (line.request_id(), &line.pbx, problem.slug);
    let what = match line.route {
        "/recordings" | "/pbx/{pbx}/recordings" => "no list",
        "/links" => "no link",
        "/session" => "no session",
        _ => "no recording",
    };
    let (urgent, advice) = match error {
        GatewayError::Pbx(cause @ PbxError::LoginStopped) => (true, cause.advice()),
        GatewayError::Pbx(cause) if error.problem().status.is_client_error() => {
            info!(request_id, pbx, problem, %error, advice = cause.advice(), "{what}");
            return;
        }
        GatewayError::Pbx(cause) => (false, cause.advice()),
        GatewayError::Misdirected => (
            false,
            "let the proxy pass the Host field on, or correct server.public_url",
        ),
        GatewayError::Auth(rejected) if *rejected.reason() == AuthError::KeysUnavailable => {
            (false, "see to it that the issuer's keys can be had")
        }
        GatewayError::Cache(CacheError::NoRoom) => (false, "raise cache.max_bytes if it goes on"),
        GatewayError::Cache(_) => (false, "nothing is to be done: the caller can ask again"),
        GatewayError::Admission(AdmissionError::Saturated) => (false, "raise relay.max_streams"),
        GatewayError::Mint(_) => (true, "see to it that the machine's clock is right"),
        GatewayError::Admission(AdmissionError::PrincipalSaturated)
        | GatewayError::RateLimited { .. }
        | GatewayError::TooMany { .. }
        | GatewayError::Draining
        | GatewayError::HeadTooLong { .. }
        | GatewayError::Head(_)
        | GatewayError::Route(_)
        | GatewayError::Download(_)
        | GatewayError::NoSuchPbx
        | GatewayError::NoPbxForName
        | GatewayError::Auth(_)
        | GatewayError::Policy(_)
        | GatewayError::Audit(_)
        | GatewayError::Hidden { .. }
        | GatewayError::ListParameter(_)
        | GatewayError::ListWindowRequired
        | GatewayError::ListUnsupported
        | GatewayError::PreconditionFailed
        | GatewayError::RangeNotSatisfiable { .. }
        | GatewayError::LengthUnknown
        | GatewayError::Prefetch
        | GatewayError::CrossSite(_)
        | GatewayError::Body(_)
        | GatewayError::Session(_)
        | GatewayError::Links(_) => {
            line.reason = error.to_string();
            return;
        }
    };
    if urgent {
        error!(request_id, pbx, problem, %error, advice, "{what}");
    } else {
        warn!(request_id, pbx, problem, %error, advice, "{what}");
    }
}

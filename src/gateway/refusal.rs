//! An error becomes a problem document, a line in the access log, and a line for the operator.
//!
//! Knows the header fields that an error adds to the answer. Does not know who reads the answer, or
//! which error has which problem: that is the error's [`ErrorRow`].

use http::header::{ALLOW, CONNECTION, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Method, Response, StatusCode, Version, request};
use tracing::{error, info, warn};

use super::error::GatewayError;
use super::route::RouteError;
use crate::gateway::answer::AnswerBody;
use crate::http::error_row::{Concern, ErrorRow};
use crate::http::headers;
use crate::http::problem;
use crate::relay::access_line::AccessLine;

/// Turns an error into its problem document, and writes its log line.
pub(super) fn refuse(
    error: &GatewayError,
    head: &request::Parts,
    mut line: AccessLine,
) -> Response<AnswerBody> {
    let row = error.row();
    log(error, &row, &mut line);
    let problem = row.problem;
    line.status = problem.status.as_u16();
    line.outcome = problem.slug;
    let document = problem::answer(problem, line.request_id(), row.reason);
    let mut response = document.map(AnswerBody::Document);
    let headers = response.headers_mut();
    if let Some(pause) = row.retry_after {
        // Rounded up, so that a caller who obeys does not come too early.
        let seconds = pause.as_secs() + u64::from(pause.subsec_nanos() > 0);
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    }
    match error {
        GatewayError::Auth(error) if problem.status == StatusCode::UNAUTHORIZED => {
            let challenge = match error.reason().is_missing() {
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

/// Logs an error for the person whom it concerns. The access log alone has errors of the caller.
fn log(error: &GatewayError, row: &ErrorRow, line: &mut AccessLine) {
    let (request_id, pbx) = (line.request_id(), &*line.pbx);
    let (problem, advice) = (row.problem.slug, row.advice);
    let message = match line.route {
        "/recordings" | "/pbx/{pbx}/recordings" => "no list",
        "/links" => "no link",
        "/session" => "no session",
        _ => "no recording",
    };
    match row.concern {
        Concern::Caller => line.reason = error.to_string(),
        Concern::Nobody => info!(request_id, pbx, problem, %error, advice, "{message}"),
        Concern::Operator => warn!(request_id, pbx, problem, %error, advice, "{message}"),
        Concern::OperatorNow => error!(request_id, pbx, problem, %error, advice, "{message}"),
    }
}

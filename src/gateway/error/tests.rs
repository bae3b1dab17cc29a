//! The table of answers, row by row: the slug, the pause before a retry, and the person concerned.
//!
//! Knows each error with its expected row, and holds the rows against the table of
//! `docs/answers.md`.

use jiff::tz::TimeZone;

use super::*;
use crate::audit::AuditUnavailable;
use crate::cache::EndReason;
use crate::http::error_row::Concern;
use crate::http::problem::{ALL, Problem};
use crate::list::Query;
use crate::pbx::{HoldOff, Operation, Refusal, RefusalClass, TimeLimit, TransportError};
use crate::recording::RecordingName;

const ANSWERS: &str = include_str!("../../../docs/answers.md");
/// The pauses of a lock-out and of full token slots.
const LOCK_OUT: u64 = 600;
const SLOTS_TAKEN: u64 = 300;
/// The pause that an error of these tests asks for.
const PAUSE: Duration = Duration::from_secs(7);

/// An error, and the row that it must have.
struct ExpectedRow {
    error: GatewayError,
    slug: &'static str,
    retry_s: Option<u64>,
    concern: Concern,
}

impl ExpectedRow {
    fn new(error: impl Into<GatewayError>, slug: &'static str, concern: Concern) -> Self {
        Self {
            error: error.into(),
            slug,
            retry_s: None,
            concern,
        }
    }

    fn retry(self, seconds: u64) -> Self {
        Self {
            retry_s: Some(seconds),
            ..self
        }
    }
}

fn caller(error: impl Into<GatewayError>, slug: &'static str) -> ExpectedRow {
    ExpectedRow::new(error, slug, Concern::Caller)
}

fn nobody(error: impl Into<GatewayError>, slug: &'static str) -> ExpectedRow {
    ExpectedRow::new(error, slug, Concern::Nobody)
}

fn operator(error: impl Into<GatewayError>, slug: &'static str) -> ExpectedRow {
    ExpectedRow::new(error, slug, Concern::Operator)
}

fn operator_now(error: impl Into<GatewayError>, slug: &'static str) -> ExpectedRow {
    ExpectedRow::new(error, slug, Concern::OperatorNow)
}

fn request_rows() -> Vec<ExpectedRow> {
    let name_error = "".parse::<RecordingName>().unwrap_err();
    let query_error = Query::parse(Some("x=y"), "main", &TimeZone::UTC).unwrap_err();
    let head_too_long = GatewayError::HeadTooLong {
        max_bytes: 1,
        or: "",
    };
    let method = RouteError::MethodNotAllowed { allow: "GET" };
    let unsatisfiable = GatewayError::RangeNotSatisfiable { length: 1 };
    let limited = GatewayError::RateLimited { retry_after: PAUSE };
    let too_many = GatewayError::TooMany {
        limit: "limits.x",
        retry_after: PAUSE,
    };
    vec![
        caller(HeadFault::NoHost, "request-head-invalid"),
        operator(GatewayError::Misdirected, "misdirected"),
        caller(head_too_long, "request-head-too-large"),
        caller(RouteError::NoSuchResource, "no-such-resource"),
        caller(method, "method-not-allowed"),
        caller(RouteError::Name(name_error), "recording-name-invalid"),
        caller(DownloadParameterError, "recording-parameter-invalid"),
        caller(GatewayError::NoSuchPbx, "no-such-resource"),
        caller(GatewayError::NoPbxForName, "recording-not-found"),
        caller(AuditUnavailable, "audit-unavailable").retry(2),
        operator(StreamLimitError::Saturated, "saturated").retry(2),
        caller(StreamLimitError::PrincipalSaturated, "principal-saturated").retry(2),
        caller(limited, "rate-limited").retry(7),
        caller(too_many, "rate-limited").retry(7),
        caller(GatewayError::PreconditionFailed, "precondition-failed"),
        caller(unsatisfiable, "range-not-satisfiable"),
        caller(query_error, "list-parameter-invalid"),
        caller(GatewayError::ListWindowRequired, "list-window-required"),
        caller(GatewayError::ListUnsupported, "list-unsupported"),
        caller(GatewayError::LengthUnknown, "http-version-not-supported"),
        caller(GatewayError::Prefetch, "prefetch-refused"),
        caller(CrossSite, "cross-site-refused"),
        caller(BodyError::NotJson, "json-required"),
        caller(BodyError::TooLong, "request-too-large"),
        caller(BodyError::TooSlow, "request-timeout"),
        caller(BodyError::NotAnObject, "request-body-invalid"),
        caller(BodyError::Unknown(None), "request-body-invalid"),
        caller(LinksError::NoKey, "links-unconfigured"),
        operator_now(MintError::Clock, "internal"),
    ]
}

fn caller_rows() -> Vec<ExpectedRow> {
    let bearer = |error| GatewayError::Auth(CredentialError::Bearer(error));
    let link = |error| GatewayError::Auth(CredentialError::Link(error));
    let cookie = |error| GatewayError::Auth(CredentialError::Cookie(error));
    let denial = || PolicyError::from("a failure");
    let hidden = |young| GatewayError::Hidden {
        denial: denial(),
        young,
    };
    let session = |error| GatewayError::Session(SessionExchangeError::Session(error));
    vec![
        caller(bearer(AuthError::Missing), "bearer-token-missing"),
        caller(bearer(AuthError::UnsupportedScheme), "bearer-token-missing"),
        operator(bearer(AuthError::KeysUnavailable), "keys-unavailable").retry(2),
        operator(cookie(AuthError::KeysUnavailable), "keys-unavailable").retry(2),
        caller(bearer(AuthError::Expired), "bearer-token-invalid"),
        caller(bearer(AuthError::UnknownIssuer), "bearer-token-invalid"),
        caller(link(AuthError::Expired), "link-token-invalid"),
        caller(link(AuthError::LinksDisabled), "link-token-invalid"),
        caller(cookie(AuthError::Revoked), "session-invalid"),
        caller(denial(), "recording-denied"),
        caller(PolicyError::PbxOutOfReach, "recording-denied"),
        caller(
            PolicyError::LinkForAnotherRecording,
            "link-for-another-recording",
        ),
        caller(PolicyError::LinkMakesNoLinks, "link-cannot-share"),
        caller(hidden(false), "recording-not-found"),
        caller(hidden(true), "recording-not-ready").retry(30),
        caller(SessionExchangeError::NotConfigured, "no-such-resource"),
        caller(SessionExchangeError::NotBearer, "bearer-token-required"),
        caller(session(SessionError::TooLong), "session-too-large"),
        operator_now(session(SessionError::Mint(MintError::Crypto)), "internal"),
    ]
}

fn pbx_rows() -> Vec<ExpectedRow> {
    let operation = Operation::Download;
    let transport = |source| GatewayError::Pbx(PbxError::Transport { operation, source });
    let status = |status| GatewayError::Pbx(PbxError::Status { operation, status });
    let unreachable = TransportError::Unreachable("refused".to_owned());
    let broken = TransportError::Broken("reset".to_owned());
    let unreadable = PbxError::Unreadable {
        operation,
        what: "no JSON",
    };
    let redirected = PbxError::Redirected {
        operation,
        status: 302,
    };
    let held_off = PbxError::HeldOff {
        retry_after: PAUSE,
        reason: HoldOff::Brink,
    };
    vec![
        operator(transport(unreachable), "pbx-unreachable"),
        operator(transport(broken), "pbx-unreachable"),
        operator(
            transport(TransportError::Timeout(TimeLimit::Idle)),
            "pbx-timeout",
        ),
        operator(transport(TransportError::TooLong), "pbx-protocol"),
        operator(status(401), "pbx-ticket-refused"),
        nobody(status(404), "recording-not-found"),
        operator(status(418), "pbx-protocol"),
        operator(status(502), "pbx-protocol"),
        operator(status(503), "pbx-overloaded").retry(30),
        operator(status(504), "pbx-timeout"),
        operator(unreadable, "pbx-protocol"),
        operator(redirected, "pbx-protocol"),
        operator(PbxError::Page { operation }, "pbx-protocol"),
        operator(PbxError::Empty, "pbx-protocol"),
        operator(PbxError::NotAudio, "pbx-protocol"),
        nobody(PbxError::EmptyRecording, "recording-empty"),
        operator(PbxError::TicketStale, "pbx-timeout"),
        operator(held_off, "pbx-held-off").retry(7),
        operator_now(PbxError::LoginStopped, "pbx-login-refused"),
        operator(PbxError::Saturated, "saturated").retry(2),
        operator(PbxError::ListsSaturated, "saturated").retry(2),
        operator(PbxError::Crowded, "saturated").retry(2),
        operator(PbxError::NoOwnAddress, "internal"),
        operator(PbxError::OtherPbx, "internal"),
        nobody(PbxError::NotReady, "recording-not-ready").retry(30),
    ]
}

fn refusal_rows() -> Vec<ExpectedRow> {
    let refused = |class| {
        let refusal = Refusal {
            class,
            code: "1".to_owned(),
        };
        let operation = Operation::Ticket;
        GatewayError::Pbx(PbxError::Refused { operation, refusal })
    };
    vec![
        operator(refused(RefusalClass::TokenDead), "pbx-token-refused"),
        operator(refused(RefusalClass::LoginRefused), "pbx-login-refused"),
        operator(refused(RefusalClass::LockedOut), "pbx-held-off").retry(LOCK_OUT),
        operator(refused(RefusalClass::TokenLimit), "pbx-held-off").retry(SLOTS_TAKEN),
        operator(
            refused(RefusalClass::PermissionMissing),
            "pbx-permission-missing",
        ),
        operator(
            refused(RefusalClass::AddressForbidden),
            "pbx-address-forbidden",
        ),
        operator(refused(RefusalClass::ApiOff), "pbx-api-unsupported"),
        operator(refused(RefusalClass::Busy), "pbx-overloaded").retry(30),
        operator(refused(RefusalClass::TicketRefused), "pbx-ticket-refused"),
        nobody(refused(RefusalClass::NotFound), "recording-not-found"),
        nobody(refused(RefusalClass::Deleted), "recording-deleted"),
        nobody(refused(RefusalClass::Name), "recording-name-invalid"),
        operator(refused(RefusalClass::Internal), "pbx-internal-error"),
        operator(refused(RefusalClass::Unsupported), "pbx-api-unsupported"),
        operator(refused(RefusalClass::Request), "pbx-request-refused"),
        operator(refused(RefusalClass::Other), "pbx-protocol"),
    ]
}

fn cache_rows() -> Vec<ExpectedRow> {
    let broken = |error| GatewayError::Cache(CacheError::Broken(error));
    let stream = |error| broken(ReadingError::Broken(error));
    let not_again = broken(ReadingError::NotAgain(PbxError::NotReady));
    let not_opened = GatewayError::Cache(CacheError::NotOpened(PbxError::LoginStopped));
    let ended = GatewayError::Cache(CacheError::Ended(EndReason::Room));
    vec![
        operator_now(not_opened, "pbx-login-refused"),
        nobody(not_again, "recording-not-ready").retry(30),
        operator(stream(StreamError::Stalled), "pbx-timeout"),
        operator(stream(StreamError::Broken), "pbx-unreachable"),
        operator(stream(StreamError::Truncated), "pbx-unreachable"),
        operator(broken(ReadingError::Differs), "pbx-unreachable"),
        operator(CacheError::NoRoom, "saturated").retry(2),
        operator(ended, "saturated").retry(2),
    ]
}

fn all_rows() -> Vec<ExpectedRow> {
    [
        request_rows(),
        caller_rows(),
        pbx_rows(),
        refusal_rows(),
        cache_rows(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[test]
fn each_error_has_its_row() {
    for expected in all_rows() {
        let row = expected.error.row();
        let retry_s = row.retry_after.map(|pause| pause.as_secs());
        let found = (row.problem.slug, retry_s, row.concern);
        let expected_row = (expected.slug, expected.retry_s, expected.concern);
        assert_eq!(found, expected_row, "{}", expected.error);
    }
}

#[test]
fn an_operator_always_gets_advice_and_a_caller_never() {
    for ExpectedRow { error, .. } in all_rows() {
        let row = error.row();
        let is_for_caller = row.concern == Concern::Caller;
        assert_eq!(row.advice.is_empty(), is_for_caller, "{error}");
    }
}

/// The row of a problem in `docs/answers.md`.
fn documented(problem: &Problem) -> &'static str {
    let start = format!("| `{}` | {} |", problem.slug, problem.status.as_u16());
    let mut lines = ANSWERS.lines();
    lines.find(|line| line.starts_with(&start)).unwrap()
}

#[test]
fn every_problem_answers_an_error_and_documents_its_retry() {
    let rows = all_rows();
    for problem in ALL {
        let errors = rows.iter().filter(|row| row.slug == problem.slug);
        let retries: Vec<bool> = errors.map(|row| row.retry_s.is_some()).collect();
        assert!(!retries.is_empty(), "no error has {}", problem.slug);
        let is_documented = documented(problem).contains("`Retry-After`");
        assert!(
            retries.iter().all(|retry| *retry == is_documented),
            "{}",
            problem.slug
        );
    }
}

//! Every way a request can fail, and the row of each in the table of answers.
//!
//! Knows the errors of all stages. The rows of a PBX's errors are in `pbx::error::rows`, those of a
//! request body in [`super::request_body`]; all others are here. A new variant does not compile
//! until it has a row.

#![deny(
    clippy::wildcard_enum_match_arm,
    reason = "a new variant must not get an answer that nobody thought about"
)]

#[cfg(test)]
mod tests;

use std::time::Duration;

use thiserror::Error;

use super::download_parameter::DownloadParameterError;
use super::head::HeadFault;
use super::request_body::BodyError;
use super::route::RouteError;
use crate::audit::AuditUnavailable;
use crate::auth::link_minter::LinksError;
use crate::auth::mint::MintError;
use crate::auth::{AuthError, CredentialError, SessionError};
use crate::cache::CacheError;
use crate::gateway::browser::session::SessionExchangeError;
use crate::gateway::browser::sites::CrossSite;
use crate::http::error_row::{ErrorRow, SOON};
use crate::http::problem;
use crate::limits::streams::StreamLimitError;
use crate::list::QueryError;
use crate::pbx::{PbxError, ReadingError, StreamError};
use crate::policy::PolicyError;

/// Why a request got neither a recording nor a list.
#[derive(Debug, Error)]
pub(crate) enum GatewayError {
    #[error("the request head is malformed: {0}")]
    Head(#[from] HeadFault),
    #[error("the request names another host than server.public_url")]
    Misdirected,
    /// The request head, with the token in it, exceeds the bound.
    #[error(
        "the head of the request is longer than the {max_bytes} bytes of server.max_header_bytes{or}"
    )]
    HeadTooLong {
        max_bytes: usize,
        /// Another possible reason, to go on with the sentence.
        or: &'static str,
    },
    #[error(transparent)]
    Route(#[from] RouteError),
    #[error(transparent)]
    Download(#[from] DownloadParameterError),
    #[error("the path names a PBX that is not configured")]
    NoSuchPbx,
    #[error("the time in the name is not between names_from and names_until of any PBX")]
    NoPbxForName,
    #[error(transparent)]
    Auth(#[from] CredentialError),
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A denial that the answer hides: it looks as if the recording did not exist.
    #[error("{denial}; answered as if there were no such recording")]
    Hidden {
        denial: PolicyError,
        /// True if the call is so recent that a missing recording would count as not ready yet.
        young: bool,
    },
    #[error(transparent)]
    Audit(#[from] AuditUnavailable),
    #[error(transparent)]
    Streams(#[from] StreamLimitError),
    #[error("this principal has used up relay.max_reads_per_minute")]
    RateLimited { retry_after: Duration },
    #[error("more requests than {limit} allows")]
    TooMany {
        limit: &'static str,
        retry_after: Duration,
    },
    #[error(transparent)]
    Pbx(#[from] PbxError),
    #[error(transparent)]
    Cache(#[from] CacheError),
    #[error("a condition of the request does not hold")]
    PreconditionFailed,
    #[error("the recording has no byte of the range")]
    RangeNotSatisfiable { length: u64 },
    #[error("a parameter of the list is wrong: {0}")]
    ListParameter(#[from] QueryError),
    #[error("the list needs both from and to")]
    ListWindowRequired,
    #[error("the API of this PBX has no list")]
    ListUnsupported,
    #[error("HTTP/1.0 needs a length, and the length is not known")]
    LengthUnknown,
    #[error("the browser prefetches")]
    Prefetch,
    #[error(transparent)]
    CrossSite(#[from] CrossSite),
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error(transparent)]
    Session(#[from] SessionExchangeError),
    #[error(transparent)]
    Links(#[from] LinksError),
    #[error("the link could not be made: {0}")]
    Mint(#[from] MintError),
}

impl GatewayError {
    /// The row of each error.
    pub(crate) fn row(&self) -> ErrorRow {
        match self {
            Self::Head(fault) => {
                ErrorRow::caller(&problem::REQUEST_HEAD_INVALID).explain(fault.to_string())
            }
            Self::Misdirected => ErrorRow::operator(
                &problem::MISDIRECTED,
                "let the proxy pass the Host field on, or correct server.public_url",
            ),
            Self::HeadTooLong { .. } => {
                ErrorRow::caller(&problem::REQUEST_HEAD_TOO_LARGE).explain(self.to_string())
            }
            Self::Route(RouteError::NoSuchResource) | Self::NoSuchPbx => {
                ErrorRow::caller(&problem::NO_SUCH_RESOURCE)
            }
            Self::Route(RouteError::MethodNotAllowed { .. }) => {
                ErrorRow::caller(&problem::METHOD_NOT_ALLOWED)
            }
            Self::Route(RouteError::Name(_)) => ErrorRow::caller(&problem::RECORDING_NAME_INVALID),
            Self::Download(DownloadParameterError) => {
                ErrorRow::caller(&problem::RECORDING_PARAMETER_INVALID)
            }
            Self::NoPbxForName => ErrorRow::caller(&problem::RECORDING_NOT_FOUND),
            Self::Auth(error) => auth_row(error),
            Self::Policy(PolicyError::Denied { .. } | PolicyError::PbxOutOfReach) => {
                ErrorRow::caller(&problem::RECORDING_DENIED)
            }
            Self::Policy(PolicyError::LinkForAnotherRecording) => {
                ErrorRow::caller(&problem::LINK_FOR_ANOTHER_RECORDING)
            }
            Self::Policy(PolicyError::LinkMakesNoLinks) => {
                ErrorRow::caller(&problem::LINK_CANNOT_SHARE)
            }
            Self::Hidden { young: false, .. } => ErrorRow::caller(&problem::RECORDING_NOT_FOUND),
            // The answer equals that of a recording that is missing, in every field.
            Self::Hidden { young: true, .. } => PbxError::NotReady.row().for_caller(),
            // The audit log has told the operator already.
            Self::Audit(AuditUnavailable) => {
                ErrorRow::caller(&problem::AUDIT_UNAVAILABLE).retry(SOON)
            }
            Self::Streams(StreamLimitError::Saturated) => {
                ErrorRow::operator(&problem::SATURATED, "raise relay.max_streams").retry(SOON)
            }
            Self::Streams(StreamLimitError::PrincipalSaturated) => {
                ErrorRow::caller(&problem::PRINCIPAL_SATURATED).retry(SOON)
            }
            Self::RateLimited { retry_after } | Self::TooMany { retry_after, .. } => {
                ErrorRow::caller(&problem::RATE_LIMITED).retry(*retry_after)
            }
            Self::Pbx(error) => error.row(),
            Self::Cache(error) => cache_row(error),
            Self::PreconditionFailed => ErrorRow::caller(&problem::PRECONDITION_FAILED),
            Self::RangeNotSatisfiable { .. } => ErrorRow::caller(&problem::RANGE_NOT_SATISFIABLE),
            Self::ListParameter(error) => {
                ErrorRow::caller(&problem::LIST_PARAMETER_INVALID).explain(error.to_string())
            }
            Self::ListWindowRequired => ErrorRow::caller(&problem::LIST_WINDOW_REQUIRED),
            Self::ListUnsupported => ErrorRow::caller(&problem::LIST_UNSUPPORTED),
            Self::LengthUnknown => ErrorRow::caller(&problem::HTTP_VERSION_NOT_SUPPORTED),
            Self::Prefetch => ErrorRow::caller(&problem::PREFETCH_REFUSED),
            Self::CrossSite(CrossSite) => ErrorRow::caller(&problem::CROSS_SITE_REFUSED),
            Self::Body(error) => error.row(),
            Self::Session(SessionExchangeError::NotConfigured) => {
                ErrorRow::caller(&problem::NO_SUCH_RESOURCE)
            }
            Self::Session(SessionExchangeError::NotBearer) => {
                ErrorRow::caller(&problem::BEARER_TOKEN_REQUIRED)
            }
            Self::Session(SessionExchangeError::Session(SessionError::TooLong)) => {
                ErrorRow::caller(&problem::SESSION_TOO_LARGE)
            }
            Self::Links(error @ (LinksError::NoKey | LinksError::NoPublicUrl)) => {
                ErrorRow::caller(&problem::LINKS_UNCONFIGURED).explain(error.to_string())
            }
            Self::Session(SessionExchangeError::Session(SessionError::Mint(error)))
            | Self::Mint(error) => mint_row(*error),
        }
    }
}

fn auth_row(error: &CredentialError) -> ErrorRow {
    match error.reason() {
        AuthError::Missing | AuthError::UnsupportedScheme => {
            ErrorRow::caller(&problem::BEARER_TOKEN_MISSING)
        }
        AuthError::KeysUnavailable => ErrorRow::operator(
            &problem::KEYS_UNAVAILABLE,
            "make sure that the gateway can fetch the issuer's keys",
        )
        .retry(SOON),
        AuthError::Malformed(_)
        | AuthError::TooLong { .. }
        | AuthError::UnknownIssuer
        | AuthError::UnknownKey(_)
        | AuthError::AlgorithmMismatch(_)
        | AuthError::Signature(_)
        | AuthError::Expired
        | AuthError::Revoked
        | AuthError::NotYetValid(_)
        | AuthError::Clock
        | AuthError::WrongAudience(_)
        | AuthError::Claim(_)
        | AuthError::Attribute(..)
        | AuthError::TooManyValues { .. }
        | AuthError::Required(_)
        | AuthError::LinksDisabled
        | AuthError::LinkTooLong { .. }
        | AuthError::LinkAddress
        | AuthError::LinkPbx => match error {
            CredentialError::Bearer(_) => ErrorRow::caller(&problem::BEARER_TOKEN_INVALID),
            CredentialError::Link(_) => ErrorRow::caller(&problem::LINK_TOKEN_INVALID),
            CredentialError::Cookie(_) => ErrorRow::caller(&problem::SESSION_INVALID),
        },
    }
}

fn cache_row(error: &CacheError) -> ErrorRow {
    match error {
        CacheError::NotOpened(error) | CacheError::Broken(ReadingError::NotAgain(error)) => {
            error.row()
        }
        CacheError::Broken(ReadingError::Broken(StreamError::Stalled)) => ErrorRow::operator(
            &problem::PBX_TIMEOUT,
            "the PBX is slow or hangs; look at its load, or raise pbx.idle_timeout_ms",
        ),
        CacheError::Broken(
            ReadingError::Broken(StreamError::Broken | StreamError::Truncated)
            | ReadingError::Differs,
        ) => ErrorRow::operator(
            &problem::PBX_UNREACHABLE,
            "look at the PBX's load and at the server at pbx.url",
        ),
        CacheError::NoRoom => {
            ErrorRow::operator(&problem::SATURATED, "raise cache.max_bytes if it continues")
                .retry(SOON)
        }
        CacheError::Ended(_) => ErrorRow::operator(
            &problem::SATURATED,
            "nothing to do: the caller can ask again",
        )
        .retry(SOON),
    }
}

fn mint_row(error: MintError) -> ErrorRow {
    match error {
        MintError::Clock | MintError::Crypto => ErrorRow::operator_now(
            &problem::INTERNAL,
            "make sure that the machine's clock is right",
        ),
    }
}

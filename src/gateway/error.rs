//! Every way a request can fail, and the one table from there to a problem.
//!
//! Knows all stages' errors. A new variant does not compile until it has a row here.

#![deny(
    clippy::wildcard_enum_match_arm,
    reason = "a new variant must not get an answer that nobody thought about"
)]

use std::time::Duration;

use thiserror::Error;

use super::body::BodyError;
use super::head::HeadFault;
use super::recording::NotADownload;
use super::route::RouteError;
use crate::audit::AuditUnavailable;
use crate::auth::mint::MintError;
use crate::auth::minter::LinksError;
use crate::auth::{AuthError, CredentialError, SessionError};
use crate::cache::CacheError;
use crate::gateway::browser::session::NoSession;
use crate::gateway::browser::sites::CrossSite;
use crate::http::problem;
use crate::http::problem::Problem;
use crate::limits::streams::AdmissionError;
use crate::list::QueryError;
use crate::pbx::{Operation, PbxError, ReadingError, RefusalClass, StreamError, TransportError};
use crate::policy::PolicyError;

/// Why a request got neither recording nor list.
#[derive(Debug, Error)]
pub(crate) enum GatewayError {
    #[error("the head is no request: {0}")]
    Head(#[from] HeadFault),
    #[error("this instance is draining")]
    Draining,
    #[error("the request names another host than server.public_url")]
    Misdirected,
    /// Its head, token and all.
    #[error(
        "the head of the request is longer than the {max_bytes} bytes of server.max_header_bytes{or}"
    )]
    HeadTooLong {
        max_bytes: usize,
        /// Another reason that it may have.
        or: &'static str,
    },
    #[error(transparent)]
    Route(#[from] RouteError),
    #[error(transparent)]
    Download(#[from] NotADownload),
    #[error("the path names a PBX that is not configured")]
    NoSuchPbx,
    #[error("the name is of a time that no PBX's names_from and names_until hold")]
    NoPbxForName,
    #[error(transparent)]
    Auth(#[from] CredentialError),
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A denial that is answered as a recording that does not exist.
    #[error("{denial}; answered as if there were no such recording")]
    Hidden {
        denial: PolicyError,
        /// Whether a recording of this name that is missing would be said to be on its way.
        young: bool,
    },
    #[error(transparent)]
    Audit(#[from] AuditUnavailable),
    #[error(transparent)]
    Admission(#[from] AdmissionError),
    #[error(
        "as many recordings were read anew for this principal as relay.max_reads_per_minute allows"
    )]
    RateLimited { retry_after: Duration },
    #[error("more than {limit} allows")]
    TooMany {
        limit: &'static str,
        retry_after: Duration,
    },
    #[error(transparent)]
    Pbx(#[from] PbxError),
    #[error(transparent)]
    Cache(CacheError),
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
    #[error("HTTP/1.0 needs a length, and there is none")]
    LengthUnknown,
    #[error("a browser asks ahead of time")]
    Prefetch,
    #[error(transparent)]
    CrossSite(#[from] CrossSite),
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error(transparent)]
    Session(#[from] NoSession),
    #[error(transparent)]
    Links(#[from] LinksError),
    #[error("no link could be made: {0}")]
    Mint(#[from] MintError),
}

impl From<CacheError> for GatewayError {
    fn from(error: CacheError) -> Self {
        let broken = |error: ReadingError| PbxError::Transport {
            operation: Operation::Download,
            source: TransportError::Broken(error.to_string()),
        };
        match error {
            CacheError::NotOpened(error) | CacheError::Broken(ReadingError::NotAgain(error)) => {
                Self::Pbx(error)
            }
            CacheError::Broken(ReadingError::Broken(StreamError::Stalled)) => {
                Self::Pbx(PbxError::Transport {
                    operation: Operation::Download,
                    source: TransportError::Timeout("idle"),
                })
            }
            CacheError::Broken(error @ (ReadingError::Broken(_) | ReadingError::Differs)) => {
                Self::Pbx(broken(error))
            }
            CacheError::NoRoom | CacheError::Ended(_) => Self::Cache(error),
        }
    }
}

/// Pause asked for where nothing better is known.
const SOON: Duration = Duration::from_secs(2);
const LATER: Duration = Duration::from_secs(30);
/// How long a PBX refuses an address after too many wrong logins.
const LOCK_OUT: Duration = Duration::from_secs(600);
/// How long the gateway waits, at the least, before it looks for a free slot for its token again.
const SLOTS_TAKEN: Duration = Duration::from_secs(300);

impl GatewayError {
    /// The table.
    pub(crate) fn problem(&self) -> &'static Problem {
        match self {
            Self::Head(_) => &problem::REQUEST_HEAD_INVALID,
            Self::Draining => &problem::DRAINING,
            Self::Misdirected => &problem::MISDIRECTED,
            Self::HeadTooLong { .. } => &problem::REQUEST_HEAD_TOO_LARGE,
            Self::Route(RouteError::NoSuchResource) | Self::NoSuchPbx => &problem::NO_SUCH_RESOURCE,
            Self::Route(RouteError::MethodNotAllowed { .. }) => &problem::METHOD_NOT_ALLOWED,
            Self::Route(RouteError::Name(_)) => &problem::RECORDING_NAME_INVALID,
            Self::Download(_) => &problem::RECORDING_PARAMETER_INVALID,
            Self::NoPbxForName => &problem::RECORDING_NOT_FOUND,
            Self::Auth(rejected) => auth_problem(rejected),
            Self::Policy(PolicyError::Denied { .. } | PolicyError::PbxOutOfReach) => {
                &problem::RECORDING_DENIED
            }
            Self::Hidden { young: false, .. } => &problem::RECORDING_NOT_FOUND,
            Self::Hidden { young: true, .. } => pbx_problem(&PbxError::NotReady),
            Self::Policy(PolicyError::LinkForAnotherRecording) => {
                &problem::LINK_FOR_ANOTHER_RECORDING
            }
            Self::Policy(PolicyError::LinkMakesNoLinks) => &problem::LINK_CANNOT_SHARE,
            Self::Audit(AuditUnavailable) => &problem::AUDIT_UNAVAILABLE,
            Self::Admission(AdmissionError::Saturated) => &problem::SATURATED,
            Self::Admission(AdmissionError::PrincipalSaturated) => &problem::PRINCIPAL_SATURATED,
            Self::RateLimited { .. } | Self::TooMany { .. } => &problem::RATE_LIMITED,
            Self::Pbx(error) => pbx_problem(error),
            Self::Cache(_) => &problem::SATURATED,
            Self::PreconditionFailed => &problem::PRECONDITION_FAILED,
            Self::RangeNotSatisfiable { .. } => &problem::RANGE_NOT_SATISFIABLE,
            Self::ListParameter(_) => &problem::LIST_PARAMETER_INVALID,
            Self::ListWindowRequired => &problem::LIST_WINDOW_REQUIRED,
            Self::ListUnsupported => &problem::LIST_UNSUPPORTED,
            Self::LengthUnknown => &problem::HTTP_VERSION_NOT_SUPPORTED,
            Self::Prefetch => &problem::PREFETCH_REFUSED,
            Self::CrossSite(CrossSite) => &problem::CROSS_SITE_REFUSED,
            Self::Body(error) => body_problem(error),
            Self::Session(NoSession::NotConfigured) => &problem::NO_SUCH_RESOURCE,
            Self::Session(NoSession::NotBearer) => &problem::BEARER_TOKEN_REQUIRED,
            Self::Session(NoSession::Session(SessionError::TooLong)) => &problem::SESSION_TOO_LARGE,
            Self::Links(LinksError::NoKey | LinksError::NoPublicUrl) => {
                &problem::LINKS_UNCONFIGURED
            }
            Self::Session(NoSession::Session(SessionError::Mint(_))) | Self::Mint(_) => {
                &problem::INTERNAL
            }
        }
    }

    /// What exactly is wrong with a request, where its caller can mend it. Of what the caller sent it repeats the name of an
    /// unknown member, and nothing else.
    pub(crate) fn reason(&self) -> Option<String> {
        if let Self::Head(fault) = self {
            return Some(fault.to_string());
        }
        if let Self::ListParameter(error) = self {
            return Some(error.to_string());
        }
        if let Self::Links(error) = self {
            return Some(error.to_string());
        }
        if let Self::HeadTooLong { .. } = self {
            return Some(self.to_string());
        }
        let Self::Body(error) = self else {
            return None;
        };
        Some(error.reason())
    }

    /// When a retry may work, where it may at all.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Draining
            | Self::Audit(AuditUnavailable)
            | Self::Admission(AdmissionError::Saturated | AdmissionError::PrincipalSaturated)
            | Self::Cache(_) => Some(SOON),
            Self::RateLimited { retry_after } | Self::TooMany { retry_after, .. } => {
                Some(*retry_after)
            }
            Self::Auth(rejected) if *rejected.reason() == AuthError::KeysUnavailable => Some(SOON),
            Self::Pbx(error) => pbx_retry_after(error),
            Self::Hidden { young: true, .. } => pbx_retry_after(&PbxError::NotReady),
            Self::Head(_)
            | Self::Misdirected
            | Self::HeadTooLong { .. }
            | Self::Route(_)
            | Self::Download(_)
            | Self::NoSuchPbx
            | Self::NoPbxForName
            | Self::Auth(_)
            | Self::Policy(_)
            | Self::Hidden { young: false, .. }
            | Self::PreconditionFailed
            | Self::RangeNotSatisfiable { .. }
            | Self::ListParameter(_)
            | Self::ListWindowRequired
            | Self::ListUnsupported
            | Self::LengthUnknown
            | Self::Prefetch
            | Self::CrossSite(_)
            | Self::Body(_)
            | Self::Session(_)
            | Self::Links(_)
            | Self::Mint(_) => None,
        }
    }
}

fn auth_problem(rejected: &CredentialError) -> &'static Problem {
    match rejected.reason() {
        AuthError::Missing | AuthError::UnsupportedScheme => &problem::BEARER_TOKEN_MISSING,
        AuthError::KeysUnavailable => &problem::KEYS_UNAVAILABLE,
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
        | AuthError::LinkPbx => match rejected {
            CredentialError::Bearer(_) => &problem::BEARER_TOKEN_INVALID,
            CredentialError::Link(_) => &problem::LINK_TOKEN_INVALID,
            CredentialError::Cookie(_) => &problem::SESSION_INVALID,
        },
    }
}

fn body_problem(error: &BodyError) -> &'static Problem {
    match error {
        BodyError::NotJson => &problem::JSON_REQUIRED,
        BodyError::TooLong => &problem::REQUEST_TOO_LARGE,
        BodyError::TooSlow => &problem::REQUEST_TIMEOUT,
        BodyError::Broken
        | BodyError::NotAnObject
        | BodyError::Missing(_)
        | BodyError::Member { .. }
        | BodyError::Unknown(_) => &problem::REQUEST_BODY_INVALID,
    }
}

fn pbx_problem(error: &PbxError) -> &'static Problem {
    match error {
        PbxError::Transport { source, .. } => match source {
            TransportError::Unreachable(_) | TransportError::Tls(_) | TransportError::Broken(_) => {
                &problem::PBX_UNREACHABLE
            }
            TransportError::Timeout(_) => &problem::PBX_TIMEOUT,
            TransportError::TooLong => &problem::PBX_PROTOCOL,
        },
        PbxError::Refused { refusal, .. } => match refusal.class {
            RefusalClass::TokenDead => &problem::PBX_TOKEN_REFUSED,
            RefusalClass::LoginRefused => &problem::PBX_LOGIN_REFUSED,
            RefusalClass::LockedOut | RefusalClass::TokenLimit => &problem::PBX_HELD_OFF,
            RefusalClass::PermissionMissing => &problem::PBX_PERMISSION_MISSING,
            RefusalClass::AddressForbidden => &problem::PBX_ADDRESS_FORBIDDEN,
            RefusalClass::Busy => &problem::PBX_OVERLOADED,
            RefusalClass::Name => &problem::RECORDING_NAME_INVALID,
            RefusalClass::TicketRefused => &problem::PBX_TICKET_REFUSED,
            RefusalClass::NotFound => &problem::RECORDING_NOT_FOUND,
            RefusalClass::Deleted => &problem::RECORDING_DELETED,
            RefusalClass::Internal => &problem::PBX_INTERNAL_ERROR,
            RefusalClass::Unsupported | RefusalClass::ApiOff => &problem::PBX_API_UNSUPPORTED,
            RefusalClass::Request => &problem::PBX_REQUEST_REFUSED,
            RefusalClass::Other => &problem::PBX_PROTOCOL,
        },
        PbxError::Status { status: 503, .. } => &problem::PBX_OVERLOADED,
        PbxError::Status { status: 504, .. } => &problem::PBX_TIMEOUT,
        PbxError::Status { .. } if error.is_not_found() => &problem::RECORDING_NOT_FOUND,
        PbxError::Status { .. } if error.is_ticket_refused() => &problem::PBX_TICKET_REFUSED,
        PbxError::Status { .. }
        | PbxError::Unreadable { .. }
        | PbxError::Redirected { .. }
        | PbxError::Page { .. }
        | PbxError::Empty
        | PbxError::NotAudio => &problem::PBX_PROTOCOL,
        PbxError::TicketStale => &problem::PBX_TIMEOUT,
        PbxError::HeldOff { .. } => &problem::PBX_HELD_OFF,
        PbxError::LoginStopped => &problem::PBX_LOGIN_REFUSED,
        PbxError::Saturated | PbxError::ListsSaturated | PbxError::Crowded => &problem::SATURATED,
        PbxError::NoOwnAddress => &problem::INTERNAL,
        PbxError::EmptyRecording => &problem::RECORDING_EMPTY,
        PbxError::NotReady => &problem::RECORDING_NOT_READY,
    }
}

fn pbx_retry_after(error: &PbxError) -> Option<Duration> {
    match error {
        PbxError::Saturated | PbxError::ListsSaturated | PbxError::Crowded => Some(SOON),
        PbxError::HeldOff { retry_after, .. } => Some(*retry_after),
        PbxError::NotReady | PbxError::Status { status: 503, .. } => Some(LATER),
        PbxError::Refused { refusal, .. } => match refusal.class {
            RefusalClass::LockedOut => Some(LOCK_OUT),
            RefusalClass::TokenLimit => Some(SLOTS_TAKEN),
            RefusalClass::Busy => Some(LATER),
            RefusalClass::TokenDead
            | RefusalClass::PermissionMissing
            | RefusalClass::AddressForbidden
            | RefusalClass::ApiOff
            | RefusalClass::Name
            | RefusalClass::LoginRefused
            | RefusalClass::TicketRefused
            | RefusalClass::NotFound
            | RefusalClass::Deleted
            | RefusalClass::Internal
            | RefusalClass::Unsupported
            | RefusalClass::Request
            | RefusalClass::Other => None,
        },
        PbxError::Transport { .. }
        | PbxError::Unreadable { .. }
        | PbxError::Redirected { .. }
        | PbxError::Status { .. }
        | PbxError::Page { .. }
        | PbxError::Empty
        | PbxError::EmptyRecording
        | PbxError::NotAudio
        | PbxError::TicketStale
        | PbxError::LoginStopped
        | PbxError::NoOwnAddress => None,
    }
}

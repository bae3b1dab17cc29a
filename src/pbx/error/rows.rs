//! The rows of a PBX's errors: the answer to the caller, the pause before a retry, the person
//! concerned, and the advice.
//!
//! Knows one row for each variant, and nothing else. No text here holds a URL, a token or a ticket.

#![deny(
    clippy::wildcard_enum_match_arm,
    reason = "a new variant must not get an answer that nobody thought about"
)]

use super::{FIRST_SLOTS_PAUSE, LOCK_OUT, PbxError, TimeLimit, TransportError};
use crate::http::error_row::{ErrorRow, LATER, SOON};
use crate::http::problem;
use crate::pbx::dialect::{Operation, RefusalClass};

const OVERLOADED: &str =
    "the PBX is overloaded or slow; look at its load, or at the proxy in front of it";
const LOAD_OR_ADDRESS: &str = "look at the PBX's load and at the server at pbx.url";
const NOT_A_YEASTAR: &str = "the server at pbx.url may not be a Yeastar PBX, or may not offer its API: check that pbx.url is the \
     PBX's own web interface (usually https and port 8088), that the API is on (Settings > PBX > General > API; on a P-Series \
     Integrations > API), and that pbx.api is its version";

impl PbxError {
    /// The row of each error.
    pub(crate) fn row(&self) -> ErrorRow {
        match self {
            Self::Transport { source, .. } => source.row(),
            // A Yeastar always says a number.
            Self::Refused { refusal, .. } if refusal.code.is_empty() => {
                refusal.class.row().advise(NOT_A_YEASTAR)
            }
            Self::Refused {
                operation: Operation::ListPage,
                refusal,
            } if refusal.class == RefusalClass::PermissionMissing => refusal.class.row().advise(
                "on the PBX, Integrations > API, open the application and tick Recording > Query",
            ),
            Self::Refused { refusal, .. } => refusal.class.row(),
            Self::Redirected { .. } => ErrorRow::operator(
                &problem::PBX_PROTOCOL,
                "pbx.url leads to a redirect, as port 80 of the PBX does; use the address of the web interface itself, \
                 usually https and port 8088",
            ),
            Self::Status { status: 502, .. } => {
                ErrorRow::operator(&problem::PBX_PROTOCOL, OVERLOADED)
            }
            Self::Status { status: 503, .. } => {
                ErrorRow::operator(&problem::PBX_OVERLOADED, OVERLOADED).retry(LATER)
            }
            Self::Status { status: 504, .. } => {
                ErrorRow::operator(&problem::PBX_TIMEOUT, OVERLOADED)
            }
            Self::Status { .. } if self.is_not_found() => {
                ErrorRow::nobody(&problem::RECORDING_NOT_FOUND, NOT_A_YEASTAR)
            }
            Self::Status { .. } if self.is_ticket_refused() => RefusalClass::TicketRefused.row(),
            Self::Status { .. } | Self::Page { .. } | Self::Unreadable { .. } => {
                ErrorRow::operator(&problem::PBX_PROTOCOL, NOT_A_YEASTAR)
            }
            Self::EmptyRecording => ErrorRow::nobody(
                &problem::RECORDING_EMPTY,
                "nothing to do: a call that nobody answered leaves an empty recording; the PBX's own page shows it empty, too",
            ),
            Self::Empty | Self::NotAudio => ErrorRow::operator(
                &problem::PBX_PROTOCOL,
                "play the recording on the PBX's own page; it may be empty or damaged",
            ),
            Self::TicketStale => ErrorRow::operator(
                &problem::PBX_TIMEOUT,
                "connecting to the PBX takes too long; look at its load",
            ),
            Self::HeldOff {
                retry_after,
                reason,
            } => ErrorRow::operator(&problem::PBX_HELD_OFF, reason.advice()).retry(*retry_after),
            Self::LoginStopped => ErrorRow::operator_now(
                &problem::PBX_LOGIN_REFUSED,
                RefusalClass::LoginRefused.row().advice,
            ),
            Self::Saturated => ErrorRow::operator(
                &problem::SATURATED,
                "raise pbx.max_downloads if the PBX bears it, or pbx.queue_timeout_ms",
            )
            .retry(SOON),
            Self::ListsSaturated => ErrorRow::operator(
                &problem::SATURATED,
                "nothing to do if it passes; else let callers ask for shorter times, or raise pbx.queue_timeout_ms",
            )
            .retry(SOON),
            Self::Crowded => ErrorRow::operator(
                &problem::SATURATED,
                "look at why the PBX is slow; else raise pbx.max_waiting",
            )
            .retry(SOON),
            Self::NoOwnAddress => ErrorRow::operator(
                &problem::INTERNAL,
                "set pbx.bind_address to an IPv4 address, or pbx.allowed_ip to the address itself",
            ),
            Self::OtherPbx => ErrorRow::operator(
                &problem::INTERNAL,
                "report this as a bug, with the request id: nothing was read",
            ),
            Self::NotReady => ErrorRow::nobody(
                &problem::RECORDING_NOT_READY,
                "nothing to do: the PBX has not filed the recording yet",
            )
            .retry(LATER),
        }
    }
}

impl TransportError {
    fn row(&self) -> ErrorRow {
        match self {
            Self::Unreachable(_) => ErrorRow::operator(
                &problem::PBX_UNREACHABLE,
                "check pbx.url, the network and the PBX's firewall; web access control on the PBX may drop our address",
            ),
            Self::Tls(error) => ErrorRow::operator(&problem::PBX_UNREACHABLE, error.fault.advice()),
            Self::Timeout(TimeLimit::List) => ErrorRow::operator(
                &problem::PBX_TIMEOUT,
                "let callers ask for shorter times; where pbx.max_bytes_per_second is set, raise it",
            ),
            Self::Timeout(TimeLimit::Login) => ErrorRow::operator(
                &problem::PBX_TIMEOUT,
                "the PBX hangs or is starting; look at its load if this continues",
            ),
            Self::Timeout(
                TimeLimit::Connect | TimeLimit::Answer | TimeLimit::FirstByte | TimeLimit::Idle,
            ) => ErrorRow::operator(
                &problem::PBX_TIMEOUT,
                "the PBX is slow or hangs; look at its load, or raise the limit",
            ),
            Self::Broken(_) => ErrorRow::operator(&problem::PBX_UNREACHABLE, LOAD_OR_ADDRESS),
            Self::TooLong => ErrorRow::operator(&problem::PBX_PROTOCOL, LOAD_OR_ADDRESS),
        }
    }
}

impl RefusalClass {
    pub(super) fn row(self) -> ErrorRow {
        match self {
            Self::TokenDead => ErrorRow::operator(
                &problem::PBX_TOKEN_REFUSED,
                "another program may log in with this account all the time; let it share the token or log in less",
            ),
            Self::LoginRefused => ErrorRow::operator(
                &problem::PBX_LOGIN_REFUSED,
                "compare pbx.username and the password file with the PBX (Settings > PBX > General > API; on a P-Series the \
             Client ID and Client Secret of Integrations > API); a running gateway takes a change over at SIGHUP; the fifth \
             wrong login in a row locks our address out",
            ),
            Self::LockedOut => ErrorRow::operator(
                &problem::PBX_HELD_OFF,
                "lift the block on the PBX's page of blocked addresses (tag API-IP; on a P-Series Security > Security Rules > \
             Blocked IPs), or wait ten minutes; then correct the password",
            ).retry(LOCK_OUT),
            Self::TokenLimit => ErrorRow::operator(
                &problem::PBX_HELD_OFF,
                "there are eight tokens for an application: end programs that log in for every call, make an application for \
             this gateway alone (Integrations > API), or wait up to 30 minutes",
            ).retry(FIRST_SLOTS_PAUSE),
            Self::PermissionMissing => ErrorRow::operator(
                &problem::PBX_PERMISSION_MISSING,
                "on the PBX, Integrations > API, open the application and tick Recording > Download",
            ),
            Self::AddressForbidden => ErrorRow::operator(
                &problem::PBX_ADDRESS_FORBIDDEN,
                "on the PBX, Integrations > API, open the application and add our address to Client IP Restriction, or set \
             pbx.bind_address to one that is listed",
            ),
            Self::ApiOff => ErrorRow::operator(
                &problem::PBX_API_UNSUPPORTED,
                "on the PBX, Integrations > API, turn it on; the edition or plan must include it",
            ),
            Self::Busy => ErrorRow::operator(
                &problem::PBX_OVERLOADED,
                "where the PBX records MP3, set pbx.mp3 = true; else ask again later",
            ).retry(LATER),
            Self::Name => ErrorRow::nobody(
                &problem::RECORDING_NAME_INVALID,
                "compare the name with the PBX's list of recordings (GET /recordings)",
            ),
            Self::TicketRefused => ErrorRow::operator(
                &problem::PBX_TICKET_REFUSED,
                "the PBX may see downloads come from another address than requests for tickets: check pbx.allowed_ip and \
             pbx.bind_address",
            ),
            Self::NotFound => ErrorRow::nobody(
                &problem::RECORDING_NOT_FOUND,
                "compare the name with the PBX's CDR or its list of recordings (GET /recordings)",
            ),
            Self::Deleted => ErrorRow::nobody(
                &problem::RECORDING_DELETED,
                "look at the PBX's storage quota and automatic clean-up",
            ),
            Self::Internal => ErrorRow::operator(
                &problem::PBX_INTERNAL_ERROR,
                "restart the PBX's API if the error continues",
            ),
            Self::Unsupported => ErrorRow::operator(
                &problem::PBX_API_UNSUPPORTED,
                "turn the API on (Settings > PBX > General > API; on a P-Series Integrations > API), or correct pbx.api: it must be \
             the PBX's version",
            ),
            Self::Request => ErrorRow::operator(
                &problem::PBX_REQUEST_REFUSED,
                "correct pbx.api, which must be the PBX's version; some firmware wants pbx.report_port at login",
            ),
            Self::Other => ErrorRow::operator(
                &problem::PBX_PROTOCOL,
                "look the number up in the vendor's table of error codes",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_does_not_raise_a_limit_that_cannot_be_set() {
        let advice = |limit| {
            let error = PbxError::Transport {
                operation: Operation::ListDownload,
                source: TransportError::Timeout(limit),
            };
            error.advice()
        };
        assert!(advice(TimeLimit::Idle).contains("raise the limit"));
        assert!(!advice(TimeLimit::List).contains("raise the limit"));
        assert!(advice(TimeLimit::List).contains("shorter times"));
    }
}

//! The failures between the gateway and a PBX, each with advice for an operator.
//!
//! Knows the PBX's side only: no HTTP status of ours, no caller. No text here holds a URL, a token
//! or a ticket.

use std::time::Duration;

use thiserror::Error;

use super::dialect::{Operation, Refusal, RefusalClass};
use crate::tls::client::TlsError;

/// The limit on a list as a whole. It cannot be configured.
pub(in crate::pbx) const WHOLE_LIST: &str = "list";
/// The limit on a login with credentials that were accepted before. It cannot be configured.
pub(in crate::pbx) const GIVEN_UP: &str = "10 s";

/// Why bytes did not move. The details are texts already freed of URLs, so the value can be shared
/// and logged.
#[derive(Debug, Clone, Error)]
pub(crate) enum TransportError {
    #[error("cannot connect: {0}")]
    Unreachable(String),
    #[error("TLS: {0}")]
    Tls(TlsError),
    #[error("no answer within the {0} limit")]
    Timeout(&'static str),
    #[error("the connection broke: {0}")]
    Broken(String),
    #[error("the answer is longer than any answer of this kind")]
    TooLong,
}

/// Why a recording, or a list, cannot be had from the PBX.
#[derive(Debug, Clone, Error)]
pub(crate) enum PbxError {
    #[error("{}: {source}", .operation.as_str())]
    Transport {
        operation: Operation,
        source: TransportError,
    },
    #[error("the PBX refused {}: {refusal}", .operation.as_str())]
    Refused {
        operation: Operation,
        refusal: Refusal,
    },
    #[error("the answer to {} cannot be read: {what}", .operation.as_str())]
    Unreadable {
        operation: Operation,
        what: &'static str,
    },
    #[error("the PBX answered {} with a redirect (status {status})", .operation.as_str())]
    Redirected { operation: Operation, status: u16 },
    #[error("the PBX answered {} with status {status}", .operation.as_str())]
    Status { operation: Operation, status: u16 },
    #[error("the PBX answered {} with a web page", .operation.as_str())]
    Page { operation: Operation },
    #[error("the PBX answered the download with nothing")]
    Empty,
    #[error("the PBX has the recording, and says that it has no bytes")]
    EmptyRecording,
    #[error("the PBX answered the download with something that is neither WAV nor MP3")]
    NotAudio,
    #[error("the ticket grew stale before it could be used")]
    TicketStale,
    #[error("no login for another {} s: {reason}", .retry_after.as_secs_f64().ceil())]
    HeldOff {
        retry_after: Duration,
        reason: HoldOff,
    },
    #[error("no login until the credentials change or SIGHUP: the PBX refused them twice")]
    LoginStopped,
    #[error("all downloads of this PBX are taken, and none ended in time")]
    Saturated,
    #[error("all lists of this PBX that may be read at once are, and none ended in time")]
    ListsSaturated,
    #[error("as many requests wait for this PBX as pbx.max_waiting allows")]
    Crowded,
    #[error("the PBX is reached over IPv6, and allowed_ip must be an IPv4 address")]
    NoOwnAddress,
    #[error("the recording of a young call is not there yet")]
    NotReady,
}

/// Why no login is tried for the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum HoldOff {
    #[error("the last login was refused")]
    LoginRefused,
    #[error("the last logins got no answer, and may have been refused")]
    LoginsUnanswered,
    #[error("the last logins got no answer; the PBX has accepted these credentials before")]
    Outage,
    #[error("the PBX has locked our address out")]
    LockedOut,
    #[error("the last four logins failed, and the fifth in a row would lock our address out")]
    Brink,
    #[error("all slots for tokens are taken")]
    SlotsTaken,
    #[error("another program logs in with this account again and again, and ends our tokens")]
    TokensEnded,
    #[error("the configuration of this PBX was exchanged a moment ago")]
    Retired,
}

impl PbxError {
    /// The class of a refusal; `None` for every other error.
    pub(crate) fn refusal_class(&self) -> Option<RefusalClass> {
        match self {
            Self::Refused { refusal, .. } => Some(refusal.class),
            _ => None,
        }
    }

    /// "Not found" by errno, or by the status of a server that says it that way.
    pub(crate) fn is_not_found(&self) -> bool {
        let by_status = matches!(
            self,
            Self::Status {
                operation: Operation::Download,
                status: 404
            }
        );
        by_status || self.refusal_class() == Some(RefusalClass::NotFound)
    }

    /// The PBX says that there is no such recording, or none any more, or nothing in it.
    pub(crate) fn is_gone(&self) -> bool {
        self.is_not_found()
            || self.refusal_class() == Some(RefusalClass::Deleted)
            || matches!(self, Self::EmptyRecording)
    }

    /// The ticket refused by errno, or by the status of a server that says it that way.
    pub(crate) fn is_ticket_refused(&self) -> bool {
        let by_status = matches!(
            self,
            Self::Status {
                operation: Operation::Download | Operation::ListDownload,
                status: 401 | 403
            }
        );
        by_status || self.refusal_class() == Some(RefusalClass::TicketRefused)
    }

    /// Somebody has waited for as long as a request may wait.
    pub(crate) fn is_out_of_patience(&self) -> bool {
        match self {
            Self::Saturated => true,
            Self::HeldOff { reason, .. } => reason.passes_soon(),
            _ => false,
        }
    }

    /// The PBX has not finished with the recording, or with another one.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                operation: Operation::Ticket | Operation::Download,
                refusal
            } if refusal.class == RefusalClass::Busy
        )
    }

    /// A page, or a status that asks for credentials: on some PBXs the sign of a dead token.
    pub(crate) fn looks_logged_out(&self) -> bool {
        matches!(
            self,
            Self::Page { operation } | Self::Status {
                operation,
                status: 401 | 403
            } if operation.is_of_recordings()
        )
    }

    /// Returns true if the connection broke in the middle of things.
    pub(crate) fn is_broken_connection(&self) -> bool {
        matches!(
            self,
            Self::Transport {
                source: TransportError::Broken(_),
                ..
            }
        )
    }

    /// Advice for an operator, for the log.
    pub(crate) fn advice(&self) -> &'static str {
        match self {
            Self::Transport { source, .. } => match source {
                TransportError::Unreachable(_) => {
                    "check pbx.url, the network and the PBX's firewall; web access control on the PBX may drop our address"
                }
                TransportError::Tls(error) => error.fault.advice(),
                TransportError::Timeout(WHOLE_LIST) => {
                    "let callers ask for shorter times; where pbx.max_bytes_per_second is set, raise it"
                }
                TransportError::Timeout(GIVEN_UP) => {
                    "the PBX hangs or is starting; look at its load if it goes on"
                }
                TransportError::Timeout(_) => {
                    "the PBX is slow or hangs; look at its load, or raise the limit"
                }
                TransportError::Broken(_) | TransportError::TooLong => {
                    "look at the PBX's load and at what answers at pbx.url"
                }
            },
            // A Yeastar always says a number.
            Self::Refused { refusal, .. } if refusal.code.is_empty() => NOT_A_YEASTAR,
            Self::Refused {
                operation: Operation::ListPage,
                refusal,
            } if refusal.class == RefusalClass::PermissionMissing => {
                "on the PBX, Integrations > API, open the application and tick Recording > Query"
            }
            Self::Refused { refusal, .. } => refusal_advice(refusal.class),
            Self::Redirected { .. } => {
                "pbx.url leads to a redirect, as port 80 of the PBX does; use the address of the web interface itself, \
                 usually https and port 8088"
            }
            Self::Status {
                status: 502..=504, ..
            } => "the PBX is overloaded or slow; look at its load, or at what stands before it",
            Self::Status { .. } if self.is_ticket_refused() => {
                refusal_advice(RefusalClass::TicketRefused)
            }
            Self::Status { .. } | Self::Page { .. } | Self::Unreadable { .. } => NOT_A_YEASTAR,
            Self::EmptyRecording => {
                "nothing to do: a call that nobody answered leaves an empty recording; the PBX's own page shows it empty, too"
            }
            Self::Empty | Self::NotAudio => {
                "play the recording on the PBX's own page; it may be empty or damaged"
            }
            Self::TicketStale => "connecting to the PBX takes too long; look at its load",
            Self::HeldOff { reason, .. } => reason.advice(),
            Self::LoginStopped => refusal_advice(RefusalClass::LoginRefused),
            Self::Saturated => {
                "raise pbx.max_downloads if the PBX bears it, or pbx.queue_timeout_ms"
            }
            Self::ListsSaturated => {
                "nothing to do if it passes; else let callers ask for shorter times, or raise pbx.queue_timeout_ms"
            }
            Self::Crowded => "look at why the PBX is slow; else raise pbx.max_waiting",
            Self::NoOwnAddress => {
                "set pbx.bind_address to an IPv4 address, or pbx.allowed_ip to the address itself"
            }
            Self::NotReady => "nothing to do: the PBX has not filed the recording yet",
        }
    }
}

impl HoldOff {
    /// Returns true if it is a matter of seconds, so that a request may wait for its end.
    pub(in crate::pbx) fn passes_soon(self) -> bool {
        matches!(self, Self::Outage | Self::TokensEnded)
    }

    /// Advice to an operator, for the log.
    pub(in crate::pbx) fn advice(self) -> &'static str {
        match self {
            Self::LoginRefused | Self::Brink => refusal_advice(RefusalClass::LoginRefused),
            Self::LoginsUnanswered => {
                "the PBX is slow or hangs; look at its load, or raise pbx.answer_timeout_ms; SIGHUP tries at once"
            }
            Self::Outage => {
                "nothing to do if the PBX is starting; else look at its load and at what answers at pbx.url; SIGHUP tries at once"
            }
            Self::LockedOut => refusal_advice(RefusalClass::LockedOut),
            Self::SlotsTaken => refusal_advice(RefusalClass::TokenLimit),
            Self::TokensEnded => {
                "another program uses this API account and its logins end ours; let it share the token or log in less"
            }
            Self::Retired => "nothing to do",
        }
    }
}

const NOT_A_YEASTAR: &str = "what answers may be no Yeastar PBX, or not its API: check that pbx.url is the PBX's own web \
     interface (usually https and port 8088), that the API is on (Settings > PBX > General > API; on a P-Series Integrations > \
     API), and that pbx.api is its version";

fn refusal_advice(class: RefusalClass) -> &'static str {
    match class {
        RefusalClass::TokenDead => {
            "another program may log in with this account all the time; let it share the token or log in less"
        }
        RefusalClass::LoginRefused => {
            "compare pbx.username and the password file with the PBX (Settings > PBX > General > API; on a P-Series the \
             Client ID and Client Secret of Integrations > API); a running gateway takes a change over at SIGHUP; the fifth \
             wrong login in a row locks our address out"
        }
        RefusalClass::LockedOut => {
            "lift the block on the PBX's page of blocked addresses (tag API-IP; on a P-Series Security > Security Rules > \
             Blocked IPs), or wait ten minutes; then correct the password"
        }
        RefusalClass::TokenLimit => {
            "there are eight tokens for an application: end programs that log in for every call, make an application for \
             this gateway alone (Integrations > API), or wait up to 30 minutes"
        }
        RefusalClass::PermissionMissing => {
            "on the PBX, Integrations > API, open the application and tick Recording > Download"
        }
        RefusalClass::AddressForbidden => {
            "on the PBX, Integrations > API, open the application and add our address to Client IP Restriction, or set \
             pbx.bind_address to one that is listed"
        }
        RefusalClass::ApiOff => {
            "on the PBX, Integrations > API, turn it on; the edition or plan must include it"
        }
        RefusalClass::Busy => "where the PBX records MP3, set pbx.mp3 = true; else ask again later",
        RefusalClass::Name => {
            "compare the name with the PBX's list of recordings (GET /recordings)"
        }
        RefusalClass::TicketRefused => {
            "the PBX may see downloads come from another address than requests for tickets: check pbx.allowed_ip and \
             pbx.bind_address"
        }
        RefusalClass::NotFound => {
            "compare the name with the PBX's CDR or its list of recordings (GET /recordings)"
        }
        RefusalClass::Deleted => "look at the PBX's storage quota and automatic clean-up",
        RefusalClass::Internal => "restart the PBX's API if it goes on",
        RefusalClass::Unsupported => {
            "turn the API on (Settings > PBX > General > API; on a P-Series Integrations > API), or correct pbx.api: it must be \
             the PBX's version"
        }
        RefusalClass::Request => {
            "correct pbx.api, which must be the PBX's version; some firmware wants pbx.report_port at login"
        }
        RefusalClass::Other => "look the number up in the vendor's table of error codes",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_limit_is_to_be_raised_that_cannot_be() {
        let advice = |limit| {
            let error = PbxError::Transport {
                operation: Operation::ListDownload,
                source: TransportError::Timeout(limit),
            };
            error.advice()
        };
        assert!(advice("idle").contains("raise the limit"));
        assert!(!advice(WHOLE_LIST).contains("raise the limit"));
        assert!(advice(WHOLE_LIST).contains("shorter times"));
    }
}

//! What every PBX dialect has in common: calls to make, and the ways a PBX says no.
//!
//! Knows requests and answers as bytes. Does not know sockets, retries, time or who asks.

pub(super) mod csv;
#[cfg(test)]
mod fixtures;
mod p_series;
mod s_series;

use std::fmt;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use http::Method;

use crate::pbx::settings::PbxApi;
use crate::pbx::settings::PbxSettings;
use crate::recording::RecordingName;
use crate::secret::Secret;
pub(super) use p_series::{FoundEntry, FoundPage, PSeries};
pub(super) use s_series::{Columns, FoundRow, RowError, SSeries, Span};

/// What a call is for; the word that logs and counters use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Get a PBX token.
    Login,
    /// Exchange the PBX token for a new one.
    Refresh,
    /// Keep the PBX token alive.
    Prolong,
    /// Give the PBX token back.
    Logout,
    /// Get a ticket for one recording.
    Ticket,
    /// Spend the ticket.
    Download,
    /// Get a ticket for a table of calls.
    ListTicket,
    /// Spend it.
    ListDownload,
    /// Get a page of a list.
    ListPage,
}

impl Operation {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Refresh => "refresh",
            Self::Prolong => "prolong",
            Self::Logout => "logout",
            Self::Ticket => "ticket",
            Self::Download => "download",
            Self::ListTicket => "list-ticket",
            Self::ListDownload => "list-download",
            Self::ListPage => "list-page",
        }
    }

    /// Whether its answer is a ticket.
    pub(crate) fn brings_ticket(self) -> bool {
        matches!(self, Self::Ticket | Self::ListTicket)
    }

    /// Whether it spends a ticket.
    pub(crate) fn spends_ticket(self) -> bool {
        matches!(self, Self::Download | Self::ListDownload)
    }

    /// Whether it concerns recordings, and not our account.
    pub(crate) fn is_of_recordings(self) -> bool {
        self.brings_ticket() || self.spends_ticket() || self == Self::ListPage
    }
}

/// A request that a dialect wants sent. Has no `Debug`: target and body carry the PBX token, the ticket or the
/// password.
pub(crate) struct Call {
    pub(crate) operation: Operation,
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) target: Secret,
    /// A JSON body; `None` for none at all.
    pub(crate) body: Option<Secret>,
    /// The first and the last byte of what is wanted, where not all is.
    pub(crate) range: Option<(u64, u64)>,
}

/// How a PBX said no, in our words. Each class has its own way of going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefusalClass {
    /// The PBX token is unknown, expired or missing: log in once, repeat once.
    TokenDead,
    /// User name or password is wrong: hold off, the fifth try locks our address.
    LoginRefused,
    /// Our address is locked out after too many failed logins.
    LockedOut,
    /// There are as many PBX tokens as there may be.
    TokenLimit,
    /// Our account lacks the permission.
    PermissionMissing,
    /// Our address is not among those that may use the API.
    AddressForbidden,
    /// The API is switched off.
    ApiOff,
    /// The PBX is still at it, or at something else: ask once more, later.
    Busy,
    /// The ticket is wrong, spent or expired, or was used from another address.
    TicketRefused,
    /// There is no such recording.
    NotFound,
    /// There was such a recording, and it has been deleted.
    Deleted,
    /// The PBX does not take this for the name of a recording.
    Name,
    /// Something inside the PBX failed: ask once more, later.
    Internal,
    /// The PBX does not know this call: wrong API version, or the API is off.
    Unsupported,
    /// The PBX found fault with the request itself.
    Request,
    /// Anything else.
    Other,
}

impl RefusalClass {
    /// What a refusal of this class means, in words that go on from "the PBX refused it:".
    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Self::TokenDead => "it does not know the token any more",
            Self::LoginRefused => "user name or password is wrong",
            Self::LockedOut => "our address is locked out after too many wrong logins",
            Self::TokenLimit => "all tokens that this application may have are in use",
            Self::PermissionMissing => "the application lacks the permission",
            Self::AddressForbidden => "our address may not use the API",
            Self::ApiOff => "the API is switched off",
            Self::Busy => "it is still at work on this or on another recording",
            Self::TicketRefused => "the ticket is wrong, spent, stale or from another address",
            Self::NotFound => "there is no such recording",
            Self::Deleted => "the recording has been deleted",
            Self::Name => "it does not take this for the name of a recording",
            Self::Internal => "something inside the PBX failed",
            Self::Unsupported => "it does not know this call",
            Self::Request => "it finds fault with the request",
            Self::Other => "for a reason of its own",
        }
    }
}

/// A refusal with the vendor's own number for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) class: RefusalClass,
    /// The vendor's number, digits only; empty when there was none.
    pub(crate) code: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.class.meaning())?;
        if !self.code.is_empty() {
            write!(formatter, " ({})", self.code)?;
        }
        Ok(())
    }
}

/// Why an answer to a JSON call is not the answer that was hoped for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AnswerError {
    /// The PBX said no.
    Refused(Refusal),
    /// The answer is not an answer of this dialect.
    Unreadable(&'static str),
}

/// How a PBX token ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenLife {
    /// So long after its last use.
    Sliding(Duration),
    /// So long after it was given out, whatever its use.
    Fixed(Duration),
}

/// What a login gives, or a refresh.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Tokens {
    pub(crate) access: Secret,
    /// What it can be exchanged for a new one with.
    pub(crate) refresh: Option<Secret>,
    pub(crate) life: TokenLife,
}

/// How a PBX tells which recordings it has.
pub(crate) enum Lists<'d> {
    /// Not at all.
    Absent,
    /// In a table of the calls of some time, as CSV, for a ticket of its own.
    Table(&'d SSeries),
    /// In pages, in the order of its own ids.
    Pages(&'d PSeries),
}

/// One API family and version of a PBX: builds requests, and reads answers.
pub(crate) trait Dialect: Send + Sync {
    fn login(&self) -> Call;
    /// The call that exchanges a token; `None` where the API has none.
    fn refresh(&self, refresh: &Secret) -> Option<Call>;
    /// The PBX token in the answer to [`Dialect::login`] or [`Dialect::refresh`].
    fn read_tokens(&self, body: &[u8]) -> Result<Tokens, AnswerError>;

    /// A call that keeps the token alive and changes nothing; `None` when it is not wanted.
    fn prolong(&self, token: &Secret) -> Option<Call>;
    fn read_prolong(&self, body: &[u8]) -> Result<(), AnswerError>;

    /// `None` when the token is not to be given back.
    fn logout(&self, token: &Secret) -> Option<Call>;

    fn ticket(
        &self,
        token: &Secret,
        recording: &RecordingName,
        allowed_ip: Option<Ipv4Addr>,
    ) -> Call;
    /// What the PBX calls the ticket, in the answer to [`Dialect::ticket`].
    fn read_ticket(&self, body: &[u8], recording: &RecordingName) -> Result<Secret, AnswerError>;

    fn download(&self, token: &Secret, recording: &RecordingName, ticket: &Secret) -> Call;
    /// What an object says that came in place of audio.
    fn read_refusal(&self, body: &[u8]) -> AnswerError;

    /// How the PBX tells which recordings it has.
    fn lists(&self) -> Lists<'_>;

    /// Whether a page, or status 401 or 403, is how some of these PBXs say that the token is dead.
    fn hides_dead_tokens(&self) -> bool;

    /// Whether [`RefusalClass::Deleted`] may also mean that there is no such recording (yet).
    fn deleted_may_be_missing(&self) -> bool;
}

/// The dialect that a PBX is configured to speak.
pub(super) fn of(pbx: &PbxSettings) -> Arc<dyn Dialect> {
    let account = pbx.account.clone();
    match pbx.api {
        PbxApi::SSeries101 => Arc::new(SSeries::office("v1.0.1", account)),
        PbxApi::SSeries110 => Arc::new(SSeries::office("v1.1.0", account)),
        PbxApi::SSeries200 => Arc::new(SSeries::office("v2.0.0", account)),
        PbxApi::Cloud110 => Arc::new(SSeries::cloud("v1.1.0", account)),
        PbxApi::Cloud200 => Arc::new(SSeries::cloud("v2.0.0", account)),
        PbxApi::PSeries => Arc::new(PSeries::new(account, pbx.url.clone())),
    }
}

//! The dialects of PBXs, in what all of them share: the calls, and the ways in which a PBX says no.
//!
//! Knows requests and answers as bytes. Does not know sockets, retries, time or callers.

pub(in crate::pbx) mod csv;
#[cfg(test)]
mod fixtures;
mod members;
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
pub(in crate::pbx) use p_series::{PSeries, PageEntry, PbxPage};
pub(in crate::pbx) use s_series::{SSeries, TableColumns, TableError, TableRow, TableSpan};

/// The purpose of a call; logs and counters use its word.
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

    /// Returns true if its answer is a ticket.
    pub(crate) fn brings_ticket(self) -> bool {
        matches!(self, Self::Ticket | Self::ListTicket)
    }

    /// Returns true if it spends a ticket.
    pub(crate) fn spends_ticket(self) -> bool {
        matches!(self, Self::Download | Self::ListDownload)
    }

    /// Returns true if it concerns recordings, and not our account.
    pub(crate) fn is_of_recordings(self) -> bool {
        self.brings_ticket() || self.spends_ticket() || self == Self::ListPage
    }
}

/// A request in the words of a dialect. It has no `Debug`: target and body carry the PBX token, the
/// ticket or the password.
pub(crate) struct PbxCall {
    pub(crate) operation: Operation,
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) target: Secret,
    /// A JSON body; `None` for none at all.
    pub(crate) body: Option<Secret>,
    /// The first and the last byte, where not the whole is wanted.
    pub(crate) range: Option<(u64, u64)>,
}

/// A way in which a PBX says no, in our words. Each class is followed by a way of its own to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefusalClass {
    /// The PBX token is unknown, expired or missing: log in once, repeat once.
    TokenDead,
    /// User name or password is wrong: hold off, the fifth try locks our address.
    LoginRefused,
    /// Our address is locked out after too many failed logins.
    LockedOut,
    /// All slots for PBX tokens are taken.
    TokenLimit,
    /// Our account lacks the permission.
    PermissionMissing,
    /// Our address is not among those that may use the API.
    AddressForbidden,
    /// The API is switched off.
    ApiOff,
    /// The PBX is still at work on this recording, or on another one: ask once more, later.
    Busy,
    /// The ticket is wrong, spent or expired, or was used from another address.
    TicketRefused,
    /// There is no such recording.
    NotFound,
    /// There was such a recording, and it has been deleted.
    Deleted,
    /// The PBX does not accept this as the name of a recording.
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
    /// The meaning of a refusal of this class, in words that follow "the PBX refused it:".
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

/// The reason why an answer to a JSON call is no success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AnswerError {
    /// The PBX said no.
    Refused(Refusal),
    /// The answer is not an answer of this dialect.
    Unreadable(&'static str),
}

/// The way in which a PBX token ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenLife {
    /// This long after its last use.
    Sliding(Duration),
    /// This long after it was given out, whatever its use.
    Fixed(Duration),
}

/// The tokens that a login or a refresh brings.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Tokens {
    pub(crate) access: Secret,
    /// The text that a new token can be exchanged for.
    pub(crate) refresh: Option<Secret>,
    pub(crate) life: TokenLife,
}

/// The form in which a PBX lists its recordings.
pub(crate) enum Lists<'d> {
    /// There is no list.
    Absent,
    /// A table of the calls of a span of time, as CSV, for a ticket of its own.
    Table(&'d SSeries),
    /// Pages, in the order of the PBX's own ids.
    Pages(&'d PSeries),
}

/// One API family and version of a PBX: builds requests, and reads answers.
pub(crate) trait Dialect: Send + Sync {
    fn login(&self) -> PbxCall;
    /// The call that exchanges a token; `None` where the API has none.
    fn refresh(&self, refresh: &Secret) -> Option<PbxCall>;
    /// The PBX token in the answer to [`Dialect::login`] or [`Dialect::refresh`].
    fn read_tokens(&self, body: &[u8]) -> Result<Tokens, AnswerError>;

    /// A call that keeps the token alive and changes nothing; `None` when it is not wanted.
    fn prolong(&self, token: &Secret) -> Option<PbxCall>;
    fn read_prolong(&self, body: &[u8]) -> Result<(), AnswerError>;

    /// `None` when the token is not to be given back.
    fn logout(&self, token: &Secret) -> Option<PbxCall>;

    fn ticket(
        &self,
        token: &Secret,
        recording: &RecordingName,
        allowed_ip: Option<Ipv4Addr>,
    ) -> PbxCall;
    /// Reads the ticket, by whatever name, in the answer to [`Dialect::ticket`].
    fn read_ticket(&self, body: &[u8], recording: &RecordingName) -> Result<Secret, AnswerError>;

    fn download(&self, token: &Secret, recording: &RecordingName, ticket: &Secret) -> PbxCall;
    /// Reads an object that came in place of audio.
    fn read_refusal(&self, body: &[u8]) -> AnswerError;

    /// The form in which the PBX lists its recordings.
    fn lists(&self) -> Lists<'_>;

    /// Returns true if some of these PBXs say that the token is dead by a page, or by status 401 or
    /// 403.
    fn hides_dead_tokens(&self) -> bool;

    /// Returns true if [`RefusalClass::Deleted`] may also mean that there is no such recording yet.
    fn deleted_may_be_missing(&self) -> bool;
}

/// The dialect that a PBX is configured to speak.
pub(in crate::pbx) fn of(pbx: &PbxSettings) -> Arc<dyn Dialect> {
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

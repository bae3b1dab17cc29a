//! The calls of the P-Series: from a request to a reply.
//!
//! Knows what every call of `openapi/v1.0` demands first: a User-Agent, permission to call the API,
//! a known path and method, a token. Does not know the effects of the calls, which are in the files
//! below, and does not know sockets or header fields.
//!
//! Source: Yeastar, "P-Series Developer Guide", "API Request Overview", "Authorization Rule" and
//! "Error Code and Error Message". A published client reports that a request without a User-Agent
//! is answered 10001. The order of the checks is an assumption.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::fault::CallKind;
use super::generation::Api;
use super::pbx::{PbxState, lock};
use super::reply::Reply;
use super::request::ParsedRequest;
use super::switch::{Switch, Switches};

mod account;
mod errcode;
mod file;
mod list;
mod recordings;
mod resources;
mod tokens;

use errcode::{Errcode, PSeriesFailure};
use resources::Resources;
use tokens::PSeriesTokens;

/// The call that a path stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PSeriesCall {
    GetToken,
    RefreshToken,
    DelToken,
    List,
    Search,
    /// `recording/download`, which answers the address of a file.
    Download,
    /// The address of a file, which answers the file.
    File,
    /// A path below `/openapi/` that is no call.
    Unknown,
    /// A path of the web interface, which is not simulated.
    NoPage,
}

/// The state that only a P-Series has.
pub(super) struct PSeriesState {
    pub(super) tokens: Mutex<PSeriesTokens>,
    pub(super) resources: Mutex<Resources>,
    /// The recordings whose first download has ended its token, under [`Switch::TokenDiesBetween`].
    first_fetches: Mutex<HashSet<String>>,
}

/// Lifetimes and other bounds of tokens and addresses.
pub(super) struct PSeriesLimits {
    pub(super) access_life: Duration,
    pub(super) refresh_life: Duration,
    /// The number of calls after which an access token ends.
    pub(super) calls: Option<u32>,
    pub(super) resource_life: Duration,
}

impl PSeriesState {
    pub(super) fn new(limits: &PSeriesLimits) -> Self {
        Self {
            tokens: Mutex::new(PSeriesTokens::new(
                limits.access_life,
                limits.refresh_life,
                limits.calls,
            )),
            resources: Mutex::new(Resources::new(limits.resource_life)),
            first_fetches: Mutex::default(),
        }
    }
}

/// Sets the switches whose effect is the default on a P-Series.
pub(super) fn set_defaults(api: Api, switches: &mut Switches) {
    if api == Api::PSeries && !switches.has(Switch::PlusIsPlus) {
        switches.set(Switch::PlusIsSpace);
    }
}

impl PSeriesCall {
    pub(super) fn from_path(path: &str) -> Self {
        if resources::PREFIXES
            .iter()
            .any(|prefix| path.starts_with(prefix))
        {
            return Self::File;
        }
        match path.strip_prefix("/openapi/v1.0/") {
            Some("get_token") => Self::GetToken,
            Some("refresh_token") => Self::RefreshToken,
            Some("del_token") => Self::DelToken,
            Some("recording/list") => Self::List,
            Some("recording/search") => Self::Search,
            Some("recording/download") => Self::Download,
            Some(_) => Self::Unknown,
            None if path.starts_with("/openapi/") => Self::Unknown,
            None => Self::NoPage,
        }
    }

    /// The kind of call that faults and counters know it as; `None` for an unknown path.
    pub(super) fn kind(self) -> Option<CallKind> {
        match self {
            Self::GetToken => Some(CallKind::Login),
            Self::RefreshToken => Some(CallKind::Refresh),
            Self::DelToken => Some(CallKind::Logout),
            Self::List | Self::Search => Some(CallKind::List),
            Self::Download => Some(CallKind::GetRandom),
            Self::File => Some(CallKind::Download),
            Self::Unknown | Self::NoPage => None,
        }
    }

    fn allows_method(self, method: &str) -> bool {
        match self {
            Self::GetToken | Self::RefreshToken => method == "POST",
            Self::DelToken | Self::List | Self::Search | Self::Download => method == "GET",
            Self::File => matches!(method, "GET" | "HEAD"),
            Self::Unknown | Self::NoPage => false,
        }
    }
}

/// Carries out a call of the P-Series. Faults are applied by the caller.
pub(super) fn answer(
    pbx: &PbxState,
    call: PSeriesCall,
    request: &ParsedRequest,
    peer: IpAddr,
) -> Reply {
    match call {
        PSeriesCall::NoPage => return Reply::Page(404),
        PSeriesCall::File => return file::answer(pbx, request, peer),
        _ => {}
    }
    let outcome = match call {
        PSeriesCall::GetToken => account::get_token(pbx, request, peer),
        PSeriesCall::RefreshToken => account::refresh_token(pbx, request, peer),
        _ => admit(pbx, call, request, peer).and_then(|()| known(pbx, call, request)),
    };
    outcome.unwrap_or_else(|failure| Reply::Written(failure.text(&pbx.switches)))
}

/// Carries out a call that needs an access token.
fn known(
    pbx: &PbxState,
    call: PSeriesCall,
    request: &ParsedRequest,
) -> Result<Reply, PSeriesFailure> {
    let token = authorized(pbx, request)?;
    match call {
        PSeriesCall::DelToken => Ok(account::del_token(pbx, &token)),
        PSeriesCall::List => list::list(pbx, request),
        PSeriesCall::Search => list::search(pbx, request),
        PSeriesCall::Download => recordings::answer(pbx, request, &token),
        _ => Err(Errcode::NO_INTERFACE.into()),
    }
}

/// Checks the conditions that every call has before its token and parameters are read.
fn admit(
    pbx: &PbxState,
    call: PSeriesCall,
    request: &ParsedRequest,
    peer: IpAddr,
) -> Result<(), PSeriesFailure> {
    let named = request
        .field("user-agent")
        .is_some_and(|agent| !agent.trim().is_empty());
    if !named || !call.allows_method(&request.method) {
        return Err(Errcode::NO_INTERFACE.into());
    }
    if pbx.has(Switch::ApiOff70123) {
        return Err(Errcode::API_UNAVAILABLE.into());
    }
    if pbx.has(Switch::IpForbidden70087) {
        return Err(Errcode::IP_FORBIDDEN.into());
    }
    let blocked = call == PSeriesCall::GetToken || pbx.has(Switch::LockoutBlocksEveryCall);
    if blocked && lock(&pbx.account).is_locked_out(peer, Instant::now()) {
        return Err(Errcode::IP_BLOCKED.into());
    }
    Ok(())
}

/// Returns the access token of a request if it is good, and counts one use of it.
fn authorized(pbx: &PbxState, request: &ParsedRequest) -> Result<String, PSeriesFailure> {
    let token = request.parameter("access_token", &pbx.switches);
    if lock(&pbx.p_series.tokens).count_use(&token, Instant::now()) {
        Ok(token)
    } else {
        Err(Errcode::TOKEN_EXPIRED.into())
    }
}

/// The reply to a download for which there is no slot.
pub(super) fn overloaded(pbx: &PbxState) -> Reply {
    Reply::FileRefused(PSeriesFailure::from(Errcode::OVERLOADED).text(&pbx.switches))
}

/// A reply with this code, for a scripted fault.
pub(super) fn scripted(errcode: &str, pbx: &PbxState) -> Reply {
    Reply::Written(PSeriesFailure::from(Errcode::other(errcode)).text(&pbx.switches))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: PSeriesCall) {
        assert_eq!(PSeriesCall::from_path(path), expected);
    }

    #[test]
    fn a_path_outside_the_open_api_is_no_call() {
        check("/openapi/v1.0/get_token", PSeriesCall::GetToken);
        check("/openapi/v1.0/recording/download", PSeriesCall::Download);
        check("/openapi/v1.0/recording/get_random", PSeriesCall::Unknown);
        check("/openapi/v1.0//recording/list", PSeriesCall::Unknown);
        check("/openapi/v2.0/get_token", PSeriesCall::Unknown);
        check("/openapi", PSeriesCall::NoPage);
        check("/api/v2.0.0/login", PSeriesCall::NoPage);
        check("/api/download/Recording-1.wav", PSeriesCall::File);
        check("/api/downloadattachment/Recording-1.wav", PSeriesCall::File);
        check("//api/download/Recording-1.wav", PSeriesCall::NoPage);
    }
}

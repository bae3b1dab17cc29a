//! The order of the stages, from an address to an answer.
//!
//! Each stage takes the value that the one before made, so none can be left out. ARCHITECTURE.md,
//! "Life of a request", lists the stages with the types that each takes and gives.

use http::request;
use hyper::body::Incoming;

use super::Gateway;
use super::answer::{self, SmallResponse};
use super::browser::session::{self, SetCookies};
use super::error::GatewayError;
use super::front::{Addressed, Arrival};
use super::head::MessageFraming;
use super::links;
use super::listing::{self, PreparedList};
use super::recording::PreparedRecording;
use super::route::RouteTarget;
use crate::auth::{AuthError, CredentialError, Principal};
use crate::relay::access_line::AccessLine;

/// The result of the stages, ready to be sent.
pub(super) enum PreparedAnswer {
    Recording(Box<PreparedRecording>),
    List(PreparedList),
    Small(SmallResponse),
    Preflight,
}

/// Takes a request through the stages.
///
/// # Errors
/// That of the first stage that fails.
///
/// # Cancel safety
/// Safe: all permits are given back.
pub(super) async fn run(
    gateway: &Gateway,
    head: &request::Parts,
    framing: MessageFraming,
    body: Incoming,
    line: &mut AccessLine,
    cookies: &mut SetCookies,
) -> Result<PreparedAnswer, GatewayError> {
    let request = match gateway.front.arrive(head, framing, line)? {
        Arrival::Preflight => return Ok(PreparedAnswer::Preflight),
        Arrival::Request(request) => request,
    };
    let authenticator = &gateway.callers.authenticator;
    if let RouteTarget::Session { begins } = request.route().target {
        session::require(authenticator)?;
        if !begins {
            session::end(&gateway.sites, request.headers(), cookies)?;
            return Ok(PreparedAnswer::Small(answer::no_content()));
        }
    }
    let caller = gateway.callers.authenticate(&request, cookies).await;
    let caller = caller.map_err(|rejected| refused(gateway, &request, rejected))?;
    note_principal(line, caller.principal());
    let principal = gateway.sites.admit(caller, request.head())?;
    let principal = gateway.front.rates.count_principal(principal).await?;
    let rights = &gateway.rights;
    let (route, now) = (request.route(), request.now());
    match &route.target {
        RouteTarget::Recording { name } => {
            let pbx = gateway.pbxs.find(route, now, line)?;
            let grant = rights.listen(principal, &request, pbx, name, line).await?;
            let prepared = gateway
                .recordings
                .prepare(&rights.active, pbx, &grant, &request);
            Ok(PreparedAnswer::Recording(Box::new(prepared.await?)))
        }
        RouteTarget::List => {
            let pbx = gateway.pbxs.find(route, now, line)?;
            let viewer = rights.view(principal, &request, pbx, line).await?;
            let public_url = gateway.front.public_url.as_ref();
            let stream_limit = &gateway.recordings.stream_limit;
            let page = listing::page(stream_limit, rights, pbx, &viewer, &request, public_url);
            Ok(PreparedAnswer::List(Box::pin(page).await?))
        }
        RouteTarget::Links => {
            let made = links::make(gateway, principal, &request, body, line);
            Ok(PreparedAnswer::Small(Box::pin(made).await?))
        }
        RouteTarget::Session { .. } => {
            let embed = gateway.sites.embed();
            session::open(authenticator, embed, &principal, now, cookies)?;
            Ok(PreparedAnswer::Small(answer::no_content()))
        }
    }
}

/// The error of a request without a valid credential. It counts as a failure of its address, except
/// if the browser is redirected to the sign-in page, or if the issuer's keys are missing.
fn refused(gateway: &Gateway, request: &Addressed<'_>, rejected: CredentialError) -> GatewayError {
    if gateway
        .pages
        .login_address(request.head(), &rejected)
        .is_some()
    {
        return rejected.into();
    }
    gateway.rights.audit.refused(request.source());
    match rejected.reason() {
        AuthError::KeysUnavailable => rejected.into(),
        _ => gateway.front.rates.failed(request.source(), rejected),
    }
}

fn note_principal(line: &mut AccessLine, principal: &Principal) {
    line.principal = Some(principal.id());
    line.credential = principal.credential().kind().as_str();
}

//! The order of the stages. Each takes what the one before made, so none can be left out.
//!
//! ```text
//! Front::arrive          head                     → Addressed           host, source address and its rate, path
//! Callers::authenticate  Addressed                → Authenticated       a verified credential
//! Sites::admit           Authenticated, Addressed → Principal           no other site made the browser send it
//! RequestRates::count_principal  Principal        → Counted<Principal>  the rate of the principal
//! Rights::listen         Counted<Principal>       → Recorded<Grant>     a policy's decision, in the audit log
//! Recordings::prepare    Recorded<Grant>          → Prepared            a stream permit, and an open source
//! recording::relay       Prepared                 → the answer          under the watchdog of its connection
//! ```
//!
//! For a list, `Rights::view` makes a `Recorded<Viewer>` and [`listing::page`] a `Page`; for a link, `Rights::share`.

use http::request;
use hyper::body::Incoming;

use super::Gateway;
use super::answer::{self, Small};
use super::browser::session::{self, SetCookies};
use super::error::GatewayError;
use super::front::{Addressed, Arrival};
use super::head::MessageFraming;
use super::links;
use super::listing::{self, Page};
use super::recording::Prepared;
use super::route::Target;
use crate::auth::{AuthError, CredentialError, Principal};
use crate::relay::access_line::AccessLine;

/// What the stages come to.
pub(super) enum Outcome {
    Recording(Box<Prepared>),
    List(Page),
    Small(Small),
    Preflight,
}

/// Takes a request through the stages.
///
/// # Errors
/// That of the first stage that fails.
///
/// # Cancel safety
/// Safe: everything taken is given back.
pub(super) async fn run(
    gateway: &Gateway,
    head: &request::Parts,
    framing: MessageFraming,
    body: Incoming,
    line: &mut AccessLine,
    cookies: &mut SetCookies,
) -> Result<Outcome, GatewayError> {
    let request = match gateway.front.arrive(head, framing, line)? {
        Arrival::Preflight => return Ok(Outcome::Preflight),
        Arrival::Request(request) => request,
    };
    let authenticator = &gateway.callers.authenticator;
    if let Target::Session { begins } = request.route().target {
        session::require(authenticator)?;
        if !begins {
            session::end(&gateway.sites, request.headers(), cookies)?;
            return Ok(Outcome::Small(answer::no_content()));
        }
    }
    let caller = gateway.callers.authenticate(&request, cookies).await;
    let caller = caller.map_err(|rejected| refused(gateway, &request, rejected))?;
    note_principal(line, caller.principal());
    let principal = gateway.sites.admit(caller, &request)?;
    let principal = gateway.front.rates.count_principal(principal)?;
    let rights = &gateway.rights;
    let (route, now) = (request.route(), request.now());
    match &route.target {
        Target::Recording { name } => {
            let pbx = gateway.pbxs.of(route, now, line)?;
            let grant = rights.listen(principal, &request, pbx, name, line).await?;
            let prepared = gateway
                .recordings
                .prepare(&rights.active, pbx, &grant, &request);
            Ok(Outcome::Recording(Box::new(prepared.await?)))
        }
        Target::List => {
            let pbx = gateway.pbxs.of(route, now, line)?;
            let viewer = rights.view(principal, &request, pbx, line).await?;
            let public_url = gateway.front.public_url.as_ref();
            let admission = &gateway.recordings.admission;
            let page = listing::page(admission, rights, pbx, &viewer, &request, public_url);
            Ok(Outcome::List(Box::pin(page).await?))
        }
        Target::Links => {
            let made = links::make(gateway, principal, &request, body, line);
            Ok(Outcome::Small(Box::pin(made).await?))
        }
        Target::Session { .. } => {
            let embed = gateway.sites.embed();
            session::open(authenticator, embed, &principal, now, cookies)?;
            Ok(Outcome::Small(answer::no_content()))
        }
    }
}

/// The error of a request without a valid credential. One that is sent to sign in counts as no failure of its address, and
/// neither does one that could not be decided for want of the issuer's keys.
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
    principal.issuer().clone_into(&mut line.issuer);
    principal.subject().clone_into(&mut line.subject);
    line.credential = principal.credential().kind().as_str();
}

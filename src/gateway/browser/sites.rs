//! Who made a browser send a request: this site, one that is listed, or any other.
//!
//! Knows which requests with a cookie may be caused by whom, and which ones nobody looks at. A browser sends cookies by itself,
//! so a cookie does not show that its owner wants what is asked for, and no more does a bearer token that a proxy makes out of one;
//! a link in the request does. Pure.
//!
//! Sources: Fetch Metadata Request Headers (W3C), `Sec-Fetch-Site` and `Sec-Fetch-Mode`, which no script can set; Fetch standard,
//! `Origin`; RFC 6454 §6.2; WICG "Prefetch", `Sec-Purpose`, and that only 2xx answers are kept.

use http::header::ORIGIN;
use http::{HeaderMap, Method, request};
use url::Url;

use crate::auth::{Authenticated, Credential, Principal};
use crate::gateway::browser::navigation::is_for_a_person;
use crate::gateway::front::Addressed;
use crate::gateway::settings::cors::{CorsSettings, Origin};
use crate::gateway::settings::embed::Embed;

const SITE: &str = "sec-fetch-site";

/// The sites that count as ours.
pub(crate) struct Sites {
    /// The gateway's own origin, where `server.public_url` tells it.
    own: Option<String>,
    listed: Vec<Origin>,
    embed: Embed,
}

/// Another site caused a request with a cookie that it may not cause.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cookie came with a request that another site caused, or that does not say who did")]
pub(crate) struct CrossSite;

impl Sites {
    pub(crate) fn new(public_url: Option<&Url>, cors: CorsSettings, embed: Embed) -> Self {
        Self {
            own: public_url.map(|url| url.origin().ascii_serialization()),
            listed: cors.origins,
            embed,
        }
    }

    /// Which pages may have the session cookie sent.
    pub(in crate::gateway) fn embed(&self) -> Embed {
        self.embed
    }

    /// Gives away the principal of a request that this site, a listed one, or no page at all has caused.
    ///
    /// # Errors
    /// When another site caused it.
    pub(in crate::gateway) fn admit(
        &self,
        caller: Authenticated,
        request: &Addressed<'_>,
    ) -> Result<Principal, CrossSite> {
        caller.admit(|principal| self.require_ours(request.head(), principal.credential()))
    }

    /// Judges a request whose credential is known. A link is in the address itself, so whoever has it may send it.
    fn require_ours(
        &self,
        head: &request::Parts,
        credential: &Credential,
    ) -> Result<(), CrossSite> {
        let headers = &head.headers;
        let ours = match (credential, is_read(&head.method)) {
            (Credential::Link(_), _) => true,
            // A proxy may have put it in that knows the browser by a cookie, so a browser's word counts. A program says nothing.
            (Credential::Bearer, true) if !headers.contains_key(SITE) => true,
            (Credential::Bearer, true) => self.may_read(headers, credential),
            (Credential::Bearer, false) => self.may_write_by_bearer(headers),
            (Credential::Session | Credential::Sso, true) => self.may_read(headers, credential),
            (Credential::Session | Credential::Sso, false) => self.may_write(headers),
        };
        if ours { Ok(()) } else { Err(CrossSite) }
    }

    /// Whether a request that changes something comes from a page of ours.
    pub(in crate::gateway) fn may_write(&self, headers: &HeaderMap) -> bool {
        field(headers, SITE) == Some("same-origin") || self.is_from_ours(headers)
    }

    /// The same, or from no page at all: a program, an extension, or somebody's own doing.
    fn may_write_by_bearer(&self, headers: &HeaderMap) -> bool {
        let says_nothing = !headers.contains_key(SITE) && !headers.contains_key(ORIGIN);
        says_nothing || field(headers, SITE) == Some("none") || self.may_write(headers)
    }

    fn may_read(&self, headers: &HeaderMap, credential: &Credential) -> bool {
        if self.is_from_ours(headers) {
            return true;
        }
        match field(headers, SITE) {
            Some("same-origin" | "same-site" | "none") => true,
            Some(_) => is_navigating(headers),
            // A browser from before 2023, plain HTTP, or no browser. Where `SameSite` keeps other sites from having the cookie
            // sent, that is enough; a cookie that says otherwise, or that somebody else set, needs to say where it comes from.
            None if headers.contains_key(SITE) => false,
            None => {
                !headers.contains_key(ORIGIN)
                    && *credential == Credential::Session
                    && self.embed == Embed::SameSite
            }
        }
    }

    fn is_from_ours(&self, headers: &HeaderMap) -> bool {
        let listed = self.listed.iter().map(Origin::as_str);
        let mut ours = self.own.as_deref().into_iter().chain(listed);
        field(headers, "origin").is_some_and(|origin| ours.any(|ours| ours == origin))
    }
}

/// Whether somebody goes to a page by this request, rather than a page loading something.
pub(in crate::gateway) fn is_visit(head: &request::Parts) -> bool {
    is_read(&head.method) && is_for_a_person(head)
}

/// Whether a browser asks ahead of time, for what nobody may ever look at. `Purpose` is what browsers sent before `Sec-Purpose`.
pub(in crate::gateway) fn is_prefetch(headers: &HeaderMap) -> bool {
    let asks_ahead = |name: &str| {
        let mut values = headers.get_all(name).iter();
        values.any(|value| {
            let purposes = value.as_bytes().split(|byte| matches!(byte, b',' | b';'));
            let mut purposes = purposes.map(<[u8]>::trim_ascii);
            purposes.any(|purpose| {
                purpose.eq_ignore_ascii_case(b"prefetch")
                    || purpose.eq_ignore_ascii_case(b"prerender")
            })
        })
    };
    asks_ahead("sec-purpose") || asks_ahead("purpose")
}

fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

fn is_navigating(headers: &HeaderMap) -> bool {
    field(headers, "sec-fetch-mode") == Some("navigate")
}

/// The value of a field that is there once.
fn field<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests;

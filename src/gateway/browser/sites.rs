//! The site that made a browser send a request: the gateway's own, a listed one, or any other.
//!
//! Knows which sites may cause which requests, and which requests are prefetches. A browser sends
//! cookies by itself, so a cookie does not prove that its owner wants the answer. Neither does a
//! bearer token that a proxy makes out of a cookie. A link in the request does. Pure.
//!
//! Sources: Fetch Metadata Request Headers (W3C), `Sec-Fetch-Site` and `Sec-Fetch-Mode`, which no
//! script can set; Fetch standard, `Origin`; RFC 6454 §6.2; WICG "Prefetch", `Sec-Purpose`, and
//! that only 2xx answers are kept.

use http::header::{HeaderName, ORIGIN};
use http::{HeaderMap, Method, request};
use url::Url;

use crate::auth::{Authenticated, Credential, Principal};
use crate::gateway::browser::navigation::{SEC_FETCH_MODE, is_for_a_person};
use crate::gateway::settings::cors::{CorsSettings, Origin};
use crate::gateway::settings::embed::Embed;

const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const PURPOSES: [HeaderName; 2] = [
    HeaderName::from_static("sec-purpose"),
    HeaderName::from_static("purpose"),
];

/// The trusted sites.
pub(crate) struct Sites {
    /// The gateway's own origin, if `server.public_url` is set.
    own: Option<String>,
    listed: Vec<Origin>,
    embed: Embed,
}

/// Another site caused a request with a cookie, and may not.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("another site caused the request with the cookie, or the request does not tell its site")]
pub(crate) struct CrossSite;

impl Sites {
    pub(crate) fn new(public_url: Option<&Url>, cors: CorsSettings, embed: Embed) -> Self {
        Self {
            own: public_url.map(|url| url.origin().ascii_serialization()),
            listed: cors.origins,
            embed,
        }
    }

    /// The kind of the session cookie, which decides for which pages a browser sends it.
    pub(in crate::gateway) fn embed(&self) -> Embed {
        self.embed
    }

    /// Releases the principal of a request that a trusted site, or no page at all, has caused.
    ///
    /// # Errors
    /// If another site caused it.
    pub(in crate::gateway) fn admit(
        &self,
        caller: Authenticated,
        head: &request::Parts,
    ) -> Result<Principal, CrossSite> {
        caller.admit(|principal| self.require_trusted_site(head, principal.credential()))
    }

    /// Checks a request whose credential is known. A link is in the address itself, so every site
    /// that has it may cause the request.
    fn require_trusted_site(
        &self,
        head: &request::Parts,
        credential: &Credential,
    ) -> Result<(), CrossSite> {
        let headers = &head.headers;
        let is_trusted = match (credential, is_read(&head.method)) {
            (Credential::Link(_), _) => true,
            // A proxy may have made the token out of a cookie, so the browser's own fields count. A
            // program sends none of them.
            (Credential::Bearer, true) if !headers.contains_key(SITE) => true,
            (Credential::Bearer, true) => self.may_read(headers, credential),
            (Credential::Bearer, false) => self.may_write_by_bearer(headers),
            (Credential::Session | Credential::Sso, true) => self.may_read(headers, credential),
            (Credential::Session | Credential::Sso, false) => self.may_write(headers),
        };
        if is_trusted { Ok(()) } else { Err(CrossSite) }
    }

    /// True if a request that changes something comes from a page of a trusted site.
    pub(in crate::gateway) fn may_write(&self, headers: &HeaderMap) -> bool {
        field(headers, SITE) == Some("same-origin") || self.is_from_trusted_site(headers)
    }

    /// The same, or from no page at all: a program, an extension, or an address typed by hand.
    fn may_write_by_bearer(&self, headers: &HeaderMap) -> bool {
        let says_nothing = !headers.contains_key(SITE) && !headers.contains_key(ORIGIN);
        says_nothing || field(headers, SITE) == Some("none") || self.may_write(headers)
    }

    fn may_read(&self, headers: &HeaderMap, credential: &Credential) -> bool {
        if self.is_from_trusted_site(headers) {
            return true;
        }
        match field(headers, SITE) {
            Some("same-origin" | "same-site" | "none") => true,
            Some(_) => is_navigating(headers),
            // A browser from before 2023, plain HTTP, or no browser. For the gateway's own cookie,
            // `SameSite` already stops requests of other sites. A partitioned cookie, or that of
            // single sign-on, has no such guard, so the site has to be known.
            None if headers.contains_key(SITE) => false,
            None => {
                !headers.contains_key(ORIGIN)
                    && *credential == Credential::Session
                    && self.embed == Embed::SameSite
            }
        }
    }

    fn is_from_trusted_site(&self, headers: &HeaderMap) -> bool {
        let listed = self.listed.iter().map(Origin::as_str);
        let mut ours = self.own.as_deref().into_iter().chain(listed);
        field(headers, ORIGIN).is_some_and(|origin| ours.any(|ours| ours == origin))
    }
}

/// True for a read by navigation: a person goes to a page, rather than a page loading something.
pub(in crate::gateway) fn is_visit(head: &request::Parts) -> bool {
    is_read(&head.method) && is_for_a_person(head)
}

/// True for a prefetch, which a person may never look at. Older browsers sent `Purpose` in place of
/// `Sec-Purpose`.
pub(in crate::gateway) fn is_prefetch(headers: &HeaderMap) -> bool {
    let asks_ahead = |name: HeaderName| {
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
    PURPOSES.into_iter().any(asks_ahead)
}

fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

fn is_navigating(headers: &HeaderMap) -> bool {
    field(headers, SEC_FETCH_MODE) == Some("navigate")
}

/// The value of a field, if the field is there exactly once.
fn field(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests;

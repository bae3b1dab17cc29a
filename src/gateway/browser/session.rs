//! `POST` and `DELETE /session`: a bearer token is exchanged for a cookie, and the cookie taken back.
//!
//! Knows how cookies are set and cleared. Does not know what the value of one says.
//!
//! Sources: draft-ietf-httpbis-rfc6265bis (`Set-Cookie`, `SameSite`, prefixes); CHIPS, "Partitioned".

use std::time::SystemTime;

use cookie::time::Duration;
use cookie::{Cookie, SameSite};
use http::header::{HeaderMap, HeaderValue, SET_COOKIE};

use super::sites::{CrossSite, Sites};
use crate::auth::cookies::SESSION_COOKIE;
use crate::auth::{Authenticator, Credential, Principal, SessionError, Sessions};
use crate::gateway::settings::embed::Embed;
use crate::limits::rate::Counted;

/// Both kinds. A browser keeps one of each beside the other.
const EMBEDS: [Embed; 2] = [Embed::SameSite, Embed::Partitioned];

/// The cookies that an answer sets and clears.
#[derive(Default)]
pub(in crate::gateway) struct SetCookies(Vec<HeaderValue>);

impl SetCookies {
    pub(in crate::gateway) fn write(self, headers: &mut HeaderMap) {
        for cookie in self.0 {
            headers.append(SET_COOKIE, cookie);
        }
    }

    /// Clears cookies that are of no use any more, by their names.
    pub(in crate::gateway) fn clear_useless(&mut self, names: &[&str]) {
        for name in names {
            match *name {
                SESSION_COOKIE => self.clear_own(),
                // Whoever set it may have given it another path or domain; then it stays, and counts as absent again.
                name => self.push(
                    &Cookie::build((name, ""))
                        .path("/")
                        .secure(true)
                        .max_age(Duration::ZERO)
                        .build(),
                ),
            }
        }
    }

    /// Clears our own, also one from before the setting changed.
    fn clear_own(&mut self) {
        for embed in EMBEDS {
            self.clear(embed);
        }
    }

    fn clear(&mut self, embed: Embed) {
        let mut cookie = own("", embed);
        cookie.set_max_age(Duration::ZERO);
        self.push(&cookie);
    }

    /// Sets our own. It has no age: it ends with the browser, and what it says earlier.
    fn set_own(&mut self, value: &str, embed: Embed) {
        // First, since a browser that knows no partitions takes both for one.
        for other in EMBEDS.into_iter().filter(|other| *other != embed) {
            self.clear(other);
        }
        self.push(&own(value, embed));
    }

    fn push(&mut self, cookie: &Cookie<'_>) {
        // Names are tokens and values JWTs, so this is always a field's value.
        if let Ok(mut field) = HeaderValue::try_from(cookie.to_string()) {
            field.set_sensitive(true);
            self.0.push(field);
        }
    }
}

fn own(value: &str, embed: Embed) -> Cookie<'_> {
    let cookie = Cookie::build((SESSION_COOKIE, value))
        .path("/")
        .secure(true)
        .http_only(true);
    match embed {
        Embed::SameSite => cookie.same_site(SameSite::Lax),
        Embed::Partitioned => cookie.same_site(SameSite::None).partitioned(true),
    }
    .build()
}

/// Why a session is neither opened nor ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoSession {
    #[error("session.key_file is not configured")]
    NotConfigured,
    #[error("only a bearer token is exchanged for a session")]
    NotBearer,
    #[error(transparent)]
    Session(#[from] SessionError),
}

/// Checks that there are sessions at all.
///
/// # Errors
/// When no key for them is configured.
pub(in crate::gateway) fn require(authenticator: &Authenticator) -> Result<&Sessions, NoSession> {
    authenticator.sessions().ok_or(NoSession::NotConfigured)
}

/// Exchanges a bearer token for a cookie.
///
/// # Errors
/// When the caller showed another kind of credential, or there are no sessions.
pub(in crate::gateway) fn open(
    authenticator: &Authenticator,
    embed: Embed,
    principal: &Counted<Principal>,
    now: SystemTime,
    cookies: &mut SetCookies,
) -> Result<(), NoSession> {
    if *principal.credential() != Credential::Bearer {
        return Err(NoSession::NotBearer);
    }
    let value = require(authenticator)?.issue(principal, now)?;
    cookies.set_own(&value, embed);
    Ok(())
}

/// Takes the cookie back, whatever it says: a wrong one, or one that is there twice, has to go as well. It is no secret
/// that it went, so nobody is authenticated. No other site may sign somebody out.
///
/// # Errors
/// When another site asks.
pub(in crate::gateway) fn end(
    sites: &Sites,
    headers: &HeaderMap,
    cookies: &mut SetCookies,
) -> Result<(), CrossSite> {
    let by_cookie = !headers.contains_key(http::header::AUTHORIZATION);
    if by_cookie && !sites.may_write(headers) {
        return Err(CrossSite);
    }
    cookies.clear_own();
    Ok(())
}

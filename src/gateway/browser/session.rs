//! `POST` and `DELETE /session`: exchanges a bearer token for a cookie, and clears the cookie.
//!
//! Knows how cookies are set and cleared. Does not know what the value of a cookie means.
//!
//! Sources: draft-ietf-httpbis-rfc6265bis (`Set-Cookie`, `SameSite`, prefixes); CHIPS,
//! "Partitioned".

use std::time::SystemTime;

use cookie::time::Duration;
use cookie::{Cookie, SameSite};
use http::header::{HeaderMap, HeaderValue, SET_COOKIE};

use super::sites::{CrossSite, Sites};
use crate::auth::cookies::SESSION_COOKIE;
use crate::auth::{Authenticator, Credential, Principal, SessionError, Sessions};
use crate::gateway::settings::embed::Embed;
use crate::limits::rate::Counted;

/// Both kinds of cookie. A browser can hold one of each.
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

    /// Clears useless cookies, by their names.
    pub(in crate::gateway) fn clear_useless(&mut self, names: &[&str]) {
        for name in names {
            match *name {
                SESSION_COOKIE => self.clear_own(),
                // The cookie of single sign-on may have another path or domain. Then it stays, and
                // counts as absent at the next request, too.
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

    /// Clears the gateway's own cookie, also one from before `session.embed` changed.
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

    /// Sets the gateway's own cookie. It has no age: it ends with the browser, and its token
    /// earlier.
    fn set_own(&mut self, value: &str, embed: Embed) {
        // Before the new one is set: a browser without partitions takes both for the same cookie.
        for other in EMBEDS.into_iter().filter(|other| *other != embed) {
            self.clear(other);
        }
        self.push(&own(value, embed));
    }

    fn push(&mut self, cookie: &Cookie<'_>) {
        // Names are tokens and values are JWTs, so the text is always valid as the value of a
        // field.
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

/// The reason why a bearer token is not exchanged for a session.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionExchangeError {
    #[error("session.key_file is not configured")]
    NotConfigured,
    #[error("only a bearer token can be exchanged for a session")]
    NotBearer,
    #[error(transparent)]
    Session(#[from] SessionError),
}

/// Returns the sessions.
///
/// # Errors
/// If no key for them is configured.
pub(in crate::gateway) fn require(
    authenticator: &Authenticator,
) -> Result<&Sessions, SessionExchangeError> {
    authenticator
        .sessions()
        .ok_or(SessionExchangeError::NotConfigured)
}

/// Exchanges a bearer token for a cookie.
///
/// # Errors
/// If the caller sent another kind of credential, or sessions are not configured.
pub(in crate::gateway) fn open(
    authenticator: &Authenticator,
    embed: Embed,
    principal: &Counted<Principal>,
    now: SystemTime,
    cookies: &mut SetCookies,
) -> Result<(), SessionExchangeError> {
    if *principal.credential() != Credential::Bearer {
        return Err(SessionExchangeError::NotBearer);
    }
    let value = require(authenticator)?.issue(principal, now)?;
    cookies.set_own(&value, embed);
    Ok(())
}

/// Clears the cookie. It need not be valid: a wrong cookie, or one sent twice, has to go as well,
/// so the caller is not authenticated. No other site may sign somebody out.
///
/// # Errors
/// If another site caused the request.
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

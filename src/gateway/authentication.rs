//! Who is asking, with what that takes beyond the request itself: newer keys, the list of what is revoked, cookies to clear.
//!
//! Knows when each is looked at. Does not know what makes a credential valid.

use std::net::IpAddr;
use std::time::SystemTime;

use http::{HeaderMap, request};

use super::Gateway;
use crate::auth::cookies::SESSION_COOKIE;
use crate::auth::{AuthError, CredentialError, Principal};
use crate::gateway::browser::session::SetCookies;
use crate::gateway::browser::sites;

impl Gateway {
    /// Who is asking. An issuer may have published a new key, with or without an id: it is asked for once, for all who show
    /// a token that no known key verifies.
    ///
    /// # Cancel safety
    /// Safe.
    pub(super) async fn authenticate(
        &self,
        head: &request::Parts,
        source: IpAddr,
        now: SystemTime,
        cookies: &mut SetCookies,
    ) -> Result<Principal, CredentialError> {
        let (headers, query) = (&head.headers, head.uri.query());
        let visits = sites::is_visit(head);
        let authenticator = &self.authenticator;
        let judge = || authenticator.authenticate_request(headers, query, visits, source, now);
        let mut judged = judge();
        if let Err(CredentialError::Bearer(reason) | CredentialError::Cookie(reason)) =
            &judged.principal
            && newer_keys_may_help(reason)
            && let Some(keys) = authenticator.keys_to_renew(headers, &judged.expired)
        {
            keys.renew().await;
            judged = judge();
        }
        let principal = judged.principal.and_then(|principal| {
            self.revocations.check(&principal)?;
            Ok(principal)
        });
        let mut useless = judged.expired;
        if visits && matches!(principal, Err(CredentialError::Cookie(_))) {
            self.note_own(headers, &mut useless);
        }
        cookies.clear_useless(&useless);
        principal
    }

    /// Our own cookie, where a cookie is wrong: it would be in the way of signing in until the browser is closed.
    fn note_own(&self, headers: &HeaderMap, useless: &mut Vec<&str>) {
        if !useless.contains(&SESSION_COOKIE) && self.authenticator.has_session_cookie(headers) {
            useless.push(SESSION_COOKIE);
        }
    }
}

fn newer_keys_may_help(reason: &AuthError) -> bool {
    matches!(
        reason,
        AuthError::UnknownKey(_) | AuthError::AlgorithmMismatch(_) | AuthError::Signature(_)
    )
}

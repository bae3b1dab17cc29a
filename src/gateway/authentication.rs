//! The second stage: who sent the request, with what that takes beyond the request itself: newer keys, revocations,
//! cookies to clear.
//!
//! Knows when each is looked at. Does not know what makes a credential valid.

use std::sync::Arc;

use http::HeaderMap;

use super::front::Addressed;
use crate::auth::cookies::SESSION_COOKIE;
use crate::auth::key_sets::KeySetRefresher;
use crate::auth::revocations::Revocations;
use crate::auth::{AuthError, Authenticated, Authenticator, CredentialError};
use crate::gateway::browser::session::SetCookies;

/// What tells who a caller is.
pub(crate) struct Callers {
    pub(crate) authenticator: Authenticator,
    /// They keep the keys that issuers publish.
    pub(crate) keepers: Vec<KeySetRefresher>,
    pub(crate) revocations: Arc<Revocations>,
}

impl Callers {
    /// Verifies the credential of a request. An issuer may have published a new key, with or without an id: where no known
    /// key verifies the token, the issuer is asked once, for all callers with such a token.
    ///
    /// # Errors
    /// When there is no credential, or it is wrong or revoked.
    ///
    /// # Cancel safety
    /// Safe.
    pub(super) async fn authenticate(
        &self,
        request: &Addressed<'_>,
        cookies: &mut SetCookies,
    ) -> Result<Authenticated, CredentialError> {
        let (headers, query) = (request.headers(), request.query());
        let (visits, source, now) = (request.is_visit(), request.source(), request.now());
        let authenticator = &self.authenticator;
        let judge = || authenticator.authenticate_request(headers, query, visits, source, now);
        let mut judged = judge();
        if let Err(CredentialError::Bearer(reason) | CredentialError::Cookie(reason)) =
            &judged.caller
            && newer_keys_may_help(reason)
            && let Some(keys) = authenticator.keys_to_renew(headers, &judged.expired)
        {
            keys.renew().await;
            judged = judge();
        }
        let caller = judged.caller.and_then(|caller| {
            self.revocations.check(caller.principal())?;
            Ok(caller)
        });
        let mut useless = judged.expired;
        if visits && matches!(caller, Err(CredentialError::Cookie(_))) {
            self.note_own_cookie(headers, &mut useless);
        }
        cookies.clear_useless(&useless);
        caller
    }

    /// Adds our own cookie to those to be cleared: a wrong one would be in the way of signing in until the browser closes.
    fn note_own_cookie(&self, headers: &HeaderMap, useless: &mut Vec<&str>) {
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

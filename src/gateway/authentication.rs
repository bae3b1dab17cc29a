//! The second stage: it authenticates the caller.
//!
//! Knows when newer keys are fetched, when the revocations are checked, and which cookies are
//! cleared. Does not know what makes a credential valid.

use std::sync::Arc;

use http::HeaderMap;

use super::front::Addressed;
use crate::auth::cookies::SESSION_COOKIE;
use crate::auth::key_sets::KeySetRefresher;
use crate::auth::revocations::Revocations;
use crate::auth::{AuthError, Authenticated, Authenticator, CredentialError};
use crate::gateway::browser::session::SetCookies;

/// The parts that authenticate a caller.
pub(crate) struct Callers {
    pub(crate) authenticator: Authenticator,
    /// Refresh the key sets that issuers publish.
    pub(crate) keepers: Vec<KeySetRefresher>,
    pub(crate) revocations: Arc<Revocations>,
}

impl Callers {
    /// Verifies the credential of a request. If no known key verifies the token, the issuer may
    /// have published a new one: its key set is fetched once, for all callers with such a token,
    /// and the token is verified again.
    ///
    /// # Errors
    /// If there is no credential, or it is invalid or revoked.
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

    /// Adds the gateway's own cookie to the cookies to clear: an invalid one would hinder the next
    /// sign-in until the browser closes.
    fn note_own_cookie(&self, headers: &HeaderMap, useless: &mut Vec<&str>) {
        if !useless.contains(&SESSION_COOKIE) && self.authenticator.has_session_cookie(headers) {
            useless.push(SESSION_COOKIE);
        }
    }
}

/// True if a key that the issuer has published since could verify the token.
fn newer_keys_may_help(reason: &AuthError) -> bool {
    matches!(
        reason,
        AuthError::UnknownKey(_) | AuthError::AlgorithmMismatch(_) | AuthError::Signature(_)
    )
}

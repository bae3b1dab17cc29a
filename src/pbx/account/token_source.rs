//! PBX tokens for requests, and the second try after one has failed.
//!
//! Knows when a failure means that the token is dead. Does not know how a token is got, or what a
//! request is for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;
use tracing::debug;

use super::pbx_token::PbxToken;
use super::token_keeper::TokenKeeper;
use crate::pbx::dialect::{Dialect, RefusalClass};
use crate::pbx::error::PbxError;
use crate::pbx::wire::attempts::{Attempts, TokenDeath};

/// The tokens of one PBX, as the requests of one configuration get them.
pub(in crate::pbx) struct TokenSource {
    pbx: Arc<str>,
    keeper: Arc<TokenKeeper>,
    dialect: Arc<dyn Dialect>,
    /// The pause before a PBX that reported an internal error is asked once more.
    retry_delay: Duration,
}

impl TokenSource {
    pub(in crate::pbx) fn new(
        pbx: Arc<str>,
        keeper: Arc<TokenKeeper>,
        dialect: Arc<dyn Dialect>,
        retry_delay: Duration,
    ) -> Self {
        Self {
            pbx,
            keeper,
            dialect,
            retry_delay,
        }
    }

    /// The token, after a login if there is none. A short pause between logins is waited for, until
    /// `deadline`.
    ///
    /// # Errors
    /// As for [`TokenKeeper::token`].
    ///
    /// # Cancel safety
    /// As for [`TokenKeeper::token`].
    pub(in crate::pbx) async fn token(&self, deadline: Instant) -> Result<Arc<PbxToken>, PbxError> {
        self.keeper.token(deadline).await
    }

    /// The pause of a few seconds in which no login is tried, where there is no token either.
    pub(in crate::pbx) fn short_pause(&self) -> Option<PbxError> {
        self.keeper.short_pause()
    }

    /// Waits, after a failed try, until the next one may begin.
    ///
    /// # Errors
    /// The same error, where no further try is worth it.
    pub(in crate::pbx) async fn recover(
        &self,
        error: PbxError,
        token: &Arc<PbxToken>,
        attempts: &mut Attempts,
    ) -> Result<(), PbxError> {
        let next = match self.death(&error, token) {
            Some(death) => {
                self.keeper.died(token);
                attempts.after_dead_token(death).then_some(Duration::ZERO)
            }
            None => attempts.next(&error, self.retry_delay),
        };
        let Some(pause) = next else {
            return Err(error);
        };
        debug!(pbx = &*self.pbx, %error, "asking the PBX once more");
        sleep(pause).await;
        Ok(())
    }

    /// The way in which the token died; `None` if the error says nothing about the token.
    fn death(&self, error: &PbxError, token: &PbxToken) -> Option<TokenDeath> {
        let is_told = error.refusal_class() == Some(RefusalClass::TokenDead);
        let is_shown = self.dialect.hides_dead_tokens() && error.looks_logged_out();
        // A page in place of an answer may have another cause, and a token that never worked was
        // never good: only a token that the PBX itself calls dead, after it had worked, is worn
        // out.
        let is_worn_out =
            is_told && token.has_worked() && (self.keeper.can_refresh() || token.is_of_another);
        (is_told || is_shown).then_some(if is_worn_out {
            TokenDeath::WornOut
        } else {
            TokenDeath::Other
        })
    }
}

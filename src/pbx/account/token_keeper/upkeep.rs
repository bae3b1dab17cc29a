//! Upkeep of the token: an unused one is kept alive, and one in use is exchanged before its end.
//!
//! Knows when. Does not know how a token is got.

use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, warn};

use super::{TokenKeeper, wait};
use crate::pbx::dialect::{AnswerError, RefusalClass};

/// The age at which an unused token is prolonged, well before its end.
const PROLONG_AFTER: Duration = Duration::from_secs(20 * 60);

/// A use that is older was told to the fleet before.
const USE_INTERVAL: Duration = Duration::from_secs(60);

impl TokenKeeper {
    /// Keeps an unused token alive, and exchanges one in use before its end. Called now and then.
    pub(in crate::pbx) async fn upkeep(self: &Arc<Self>) {
        let Some(token) = self.lock().token.clone() else {
            return;
        };
        if let Some(shared) = &self.shared
            && token.fence > 0
            && token.unused_for() < USE_INTERVAL
        {
            // Another instance that has not used it for long must not take it for dead.
            let _ = shared.note_use(token.fence, token.last_use()).await;
        }
        if token.wants_exchange() && self.can_refresh() {
            debug!(pbx = self.pbx, "the PBX token is exchanged before its end");
            // Bound on its own, so that the lock is free before the wait.
            let renewal = self.join_renewal(&mut self.lock());
            if let Ok(renewal) = renewal {
                let _ = wait(renewal).await;
            }
            return;
        }
        if token.unused_for() < PROLONG_AFTER {
            return;
        }
        let api = self.api.load_full();
        let Some(prolonged) = api.prolong(token.text()).await else {
            return;
        };
        match prolonged {
            Ok(Ok(())) => {
                token.touch();
                debug!(pbx = self.pbx, "the PBX token was prolonged");
            }
            Ok(Err(AnswerError::Refused(refusal))) if refusal.class == RefusalClass::TokenDead => {
                self.died(&token)
            }
            Ok(Err(error)) => warn!(
                pbx = self.pbx,
                ?error,
                "the PBX token could not be prolonged"
            ),
            Err(error) => warn!(pbx = self.pbx, %error, "the PBX token could not be prolonged"),
        }
    }
}

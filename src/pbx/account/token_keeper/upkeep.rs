//! How a token that nobody uses is kept alive, and one in use exchanged before its end.
//!
//! Knows when. Does not know how a token is had.

use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, warn};

use super::{TokenKeeper, wait};
use crate::pbx::dialect::{AnswerError, RefusalClass};

/// An unused token is prolonged at this age, well before its end.
const PROLONG_AFTER: Duration = Duration::from_secs(20 * 60);

impl TokenKeeper {
    /// Keeps an unused token alive. Called now and then.
    pub(in crate::pbx) async fn upkeep(self: &Arc<Self>) {
        let Some(token) = self.lock().token.clone() else {
            return;
        };
        if token.wants_exchange() && self.can_refresh() {
            debug!(pbx = self.pbx, "the PBX token is exchanged before its end");
            let renewal = self.join_renewal(&mut self.lock());
            if let Ok(renewal) = renewal {
                let _ = wait(renewal).await;
            }
            return;
        }
        if token.unused_for() < PROLONG_AFTER {
            return;
        }
        let way = self.way.load_full();
        let Some(call) = way.dialect.prolong(token.text()) else {
            return;
        };
        let answer = way.transport.call(&call).await;
        match answer.map(|answer| way.dialect.read_prolong(&answer.body)) {
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

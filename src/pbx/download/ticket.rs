//! A ticket: the one-time text that a PBX gives out for one download.
//!
//! Knows that a ticket works once, for how long, and with which token. Does not know where it comes
//! from.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::pbx::account::pbx_token::PbxToken;
use crate::secret::Secret;

/// A ticket dies 30 s after it was given out (Yeastar, "S-Series API Guide", "Acquire Global
/// Recording Files"). The rest is kept for the way to the PBX.
const MAX_TICKET_AGE: Duration = Duration::from_secs(25);

/// A ticket. Its use consumes it, so it cannot be used twice; it has no `Clone`.
pub(crate) struct Ticket {
    text: Secret,
    /// The token that the ticket was got with, and that its download needs, too.
    token: Arc<PbxToken>,
    /// A moment before the PBX made it.
    requested: Instant,
}

impl Ticket {
    /// A ticket whose request was sent at `requested`.
    pub(super) fn new(text: Secret, token: Arc<PbxToken>, requested: Instant) -> Self {
        Self {
            text,
            token,
            requested,
        }
    }

    /// The text and the token to send right now; `None` when the ticket may have died already.
    pub(super) fn spend(self, now: Instant) -> Option<(Secret, Arc<PbxToken>)> {
        let is_usable = now.saturating_duration_since(self.requested) < MAX_TICKET_AGE;
        is_usable.then_some((self.text, self.token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pbx::dialect::TokenLife;

    #[test]
    fn a_ticket_is_not_used_after_its_time() {
        let requested = Instant::now();
        let life = TokenLife::Fixed(Duration::from_secs(1800));
        let token = Arc::new(PbxToken::new(Secret::new("t"), life, 0));
        let ticket = || Ticket::new(Secret::new("r"), Arc::clone(&token), requested);
        let after = |seconds| requested + Duration::from_secs(seconds);
        assert!(ticket().spend(after(24)).is_some());
        assert!(ticket().spend(after(25)).is_none());
    }
}

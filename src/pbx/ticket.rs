//! A ticket: what the PBX gives out for one download.
//!
//! Knows that it works once and for how long. Does not know where it comes from or goes.

use std::time::{Duration, Instant};

use crate::secret::Secret;

/// A ticket dies 30 s after it was given out (Yeastar, "S-Series API Guide", "Acquire Global Recording Files"). What is
/// kept back is for the way to the PBX.
const USABLE: Duration = Duration::from_secs(25);

/// A ticket, consumed by its use, so that it cannot be used twice. Has no `Clone`.
pub(crate) struct Ticket {
    text: Secret,
    /// A moment before the PBX made it.
    asked: Instant,
}

impl Ticket {
    /// `asked` is when the request for it was sent.
    pub(crate) fn new(text: Secret, asked: Instant) -> Self {
        Self { text, asked }
    }

    /// The text to send right now; `None` when the ticket may have died already.
    pub(crate) fn spend(self, now: Instant) -> Option<Secret> {
        (now.saturating_duration_since(self.asked) < USABLE).then_some(self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_not_used_after_its_time() {
        let asked = Instant::now();
        let ticket = || Ticket::new(Secret::new("r"), asked);
        assert!(ticket().spend(asked + Duration::from_secs(24)).is_some());
        assert!(ticket().spend(asked + Duration::from_secs(25)).is_none());
    }
}

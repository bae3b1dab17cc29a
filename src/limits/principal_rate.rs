//! A rate for each principal, over all instances of a fleet.
//!
//! Knows the rate of this instance and that of the fleet. Does not know what is counted. The own
//! rate is looked at first, so that a caller who sends too many costs the store nothing.

use std::sync::Arc;
use std::time::Duration;

use super::rate::{Counted, RateLimit};
use crate::fleet::Fleet;
use crate::fleet::rates::SharedRate;
use crate::principal::PrincipalId;

/// A rate for each principal.
pub(crate) struct PrincipalRate {
    own: RateLimit<PrincipalId>,
    shared: Option<SharedRate>,
}

impl PrincipalRate {
    /// `max` per minute, all of them at once after a quiet minute.
    pub(crate) fn per_minute(max: usize, kind: &'static str, fleet: Option<&Arc<Fleet>>) -> Self {
        let period = Duration::from_secs(60);
        Self {
            own: RateLimit::per_minute(max),
            shared: fleet.map(|fleet| SharedRate::new(fleet, kind, (max, period), max)),
        }
    }

    /// `max` per second, and `burst` at once after a pause.
    pub(crate) fn per_second(
        max: usize,
        burst: usize,
        kind: &'static str,
        fleet: Option<&Arc<Fleet>>,
    ) -> Self {
        let period = Duration::from_secs(1);
        Self {
            own: RateLimit::per_second(max, burst),
            shared: fleet.map(|fleet| SharedRate::new(fleet, kind, (max, period), burst)),
        }
    }

    /// True if this is [`PrincipalRate::per_minute`] of `max`.
    pub(crate) fn is_per_minute(&self, max: usize) -> bool {
        self.own.is_per_minute(max)
    }

    /// Counts one more for a principal.
    ///
    /// # Errors
    /// The time to wait, if a limit is reached.
    ///
    /// # Cancel safety
    /// It may or may not have been counted.
    pub(crate) async fn check(&self, who: &PrincipalId) -> Result<(), Duration> {
        self.own.check(who)?;
        match &self.shared {
            None => Ok(()),
            Some(shared) => shared.check(&who.bytes()).await,
        }
    }
}

/// Counts `value` for a principal under `limit`. Without a limit, it always succeeds.
///
/// # Errors
/// The time to wait, if the limit is reached.
///
/// # Cancel safety
/// As for [`PrincipalRate::check`].
pub(crate) async fn count<T>(
    limit: Option<&PrincipalRate>,
    who: &PrincipalId,
    value: T,
) -> Result<Counted<T>, Duration> {
    if let Some(limit) = limit {
        limit.check(who).await?;
    }
    Ok(Counted::new(value))
}

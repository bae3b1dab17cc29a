//! Rates that the instances share: a number per time, over all of them.
//!
//! Knows how one more is counted. Does not know what is counted. While the store is away, nothing
//! is counted here: each instance has a limit of its own beside this one.

use std::sync::Arc;
use std::time::Duration;

use super::Fleet;

/// A rate for each key, over all instances.
#[derive(Clone)]
pub(crate) struct SharedRate {
    fleet: Arc<Fleet>,
    kind: &'static str,
    /// The time that one takes.
    each: Duration,
    /// The number at once after a pause.
    burst: usize,
}

impl SharedRate {
    /// `max` per `period`, and `burst` at once.
    pub(crate) fn new(
        fleet: &Arc<Fleet>,
        kind: &'static str,
        (max, period): (usize, Duration),
        burst: usize,
    ) -> Self {
        let max = u32::try_from(max).unwrap_or(u32::MAX).max(1);
        Self {
            fleet: Arc::clone(fleet),
            kind,
            each: period / max,
            burst: burst.max(1),
        }
    }

    /// Counts one more for `key`.
    ///
    /// # Errors
    /// The time to wait, if the limit is reached. It is not counted then.
    ///
    /// # Cancel safety
    /// It may or may not have been counted.
    pub(crate) async fn check(&self, key: &[u8]) -> Result<(), Duration> {
        let place = format!("rate:{}", self.fleet.seal.name(self.kind, key));
        let mut call = self.fleet.scripts.rate.key(self.fleet.key(&place));
        let each = u64::try_from(self.each.as_micros())
            .unwrap_or(u64::MAX)
            .max(1);
        call.arg(each).arg(self.burst);
        match self.fleet.store.run::<u64>(&call).await {
            Ok(0) | Err(_) => Ok(()),
            Ok(wait) => Err(Duration::from_micros(wait)),
        }
    }
}

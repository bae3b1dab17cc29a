//! What goes on of a PBX when its configuration is read again: who is served and who waits, how fast it is read, and how
//! it has been doing, in words and in numbers.
//!
//! Knows numbers. Does not know what is configured besides.

use std::sync::Arc;

use super::health::Health;
use super::listing::MAX_LISTS;
use crate::limits::bandwidth::Pace;
use crate::limits::concurrency::Permits;
use crate::limits::fair_queue::Queue;
use crate::metrics::{Metrics, PbxMetrics};
use crate::pbx::settings::PbxLimits;
use crate::pbx::settings::PbxSettings;

/// The part of a PBX that a reload passes on.
pub(super) struct Standing {
    /// Downloads that may run, and those who wait for one.
    pub(super) downloads: Arc<Queue>,
    /// Lists that may be read; they have no part in the limit of downloads.
    pub(super) lists: Permits,
    /// Requests that have not got their first byte: a PBX that hangs must not take every stream there is.
    pub(super) waiting: Permits,
    pub(super) pace: Arc<Pace>,
    pub(super) health: Health,
    pub(super) metrics: PbxMetrics,
}

impl Standing {
    pub(super) fn new(config: &PbxSettings, metrics: &Metrics) -> Self {
        let limits = &config.limits;
        Self {
            downloads: Queue::new(limits.max_downloads),
            lists: Permits::new(MAX_LISTS),
            waiting: Permits::new(limits.max_waiting),
            pace: Arc::new(Pace::new(limits.max_bytes_per_second)),
            health: Health::new(&config.name),
            metrics: metrics.pbx(&config.name),
        }
    }

    /// Takes over new limits; what runs and what waits goes on.
    pub(super) fn resize(&self, limits: &PbxLimits) {
        self.downloads.resize(limits.max_downloads);
        self.waiting.resize(limits.max_waiting);
        self.pace.set(limits.max_bytes_per_second);
    }
}

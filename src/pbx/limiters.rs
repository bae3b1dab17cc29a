//! The limits on the use of one PBX, as they stand.
//!
//! Knows numbers that a reload may change while downloads run and wait. Does not know who uses the
//! PBX.

use std::sync::Arc;

use crate::limits::bandwidth::Pace;
use crate::limits::concurrency::Permits;
use crate::limits::fair_queue::Queue;
use crate::pbx::listing::MAX_LISTS;
use crate::pbx::settings::PbxLimits;

/// The limits on the use of one PBX. They outlive a reload: downloads that run and requests that
/// wait go on within the new numbers.
#[derive(Clone)]
pub(in crate::pbx) struct PbxLimiters {
    /// Downloads that may run, and the requests that wait for one.
    pub(in crate::pbx) downloads: Arc<Queue>,
    /// Lists that may be read; they have no part in the limit of downloads.
    pub(in crate::pbx) lists: Arc<Permits>,
    /// Requests that have not got their first byte: a PBX that hangs must not take every stream
    /// there is.
    pub(in crate::pbx) waiting: Arc<Permits>,
    /// Bytes per second, all downloads and tables together.
    pub(in crate::pbx) bandwidth: Arc<Pace>,
}

impl PbxLimiters {
    pub(in crate::pbx) fn new(limits: &PbxLimits) -> Self {
        Self {
            downloads: Queue::new(limits.max_downloads),
            lists: Arc::new(Permits::new(MAX_LISTS)),
            waiting: Arc::new(Permits::new(limits.max_waiting)),
            bandwidth: Arc::new(Pace::new(limits.max_bytes_per_second)),
        }
    }

    /// Takes over new numbers.
    pub(in crate::pbx) fn resize(&self, limits: &PbxLimits) {
        self.downloads.resize(limits.max_downloads);
        self.waiting.resize(limits.max_waiting);
        self.bandwidth.set(limits.max_bytes_per_second);
    }
}

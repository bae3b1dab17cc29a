//! The limits on the use of one PBX, as they stand.
//!
//! Knows numbers that a reload may change while downloads run and wait. Does not know who uses the
//! PBX.

use std::sync::Arc;

use crate::limits::bandwidth::BandwidthLimit;
use crate::limits::concurrency::ConcurrencyLimit;
use crate::limits::fair_queue::FairQueue;
use crate::pbx::listing::MAX_LISTS;
use crate::pbx::settings::PbxLimits;

/// The limits on the use of one PBX. They outlive a reload: downloads that run and requests that
/// wait go on within the new numbers.
#[derive(Clone)]
pub(in crate::pbx) struct PbxLimiters {
    /// Downloads that may run, and the requests that wait for one.
    pub(in crate::pbx) downloads: Arc<FairQueue>,
    /// Lists that may be read; they have no part in the limit of downloads.
    pub(in crate::pbx) lists: Arc<ConcurrencyLimit>,
    /// Requests that have not got their first byte: a PBX that hangs must not take every stream
    /// there is.
    pub(in crate::pbx) waiting: Arc<ConcurrencyLimit>,
    /// Bytes per second, all downloads and tables together.
    pub(in crate::pbx) bandwidth: Arc<BandwidthLimit>,
}

impl PbxLimiters {
    pub(in crate::pbx) fn new(limits: &PbxLimits) -> Self {
        Self {
            downloads: FairQueue::new(limits.max_downloads),
            lists: Arc::new(ConcurrencyLimit::new(MAX_LISTS)),
            waiting: Arc::new(ConcurrencyLimit::new(limits.max_waiting)),
            bandwidth: Arc::new(BandwidthLimit::new(limits.max_bytes_per_second)),
        }
    }

    /// Takes over new numbers.
    pub(in crate::pbx) fn resize(&self, limits: &PbxLimits) {
        self.downloads.resize(limits.max_downloads);
        self.waiting.resize(limits.max_waiting);
        self.bandwidth.set(limits.max_bytes_per_second);
    }
}

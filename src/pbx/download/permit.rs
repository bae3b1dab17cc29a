//! The permit for one download of a PBX.
//!
//! Knows whose turn a download is. Does not know what is downloaded.

use std::sync::Arc;

use crate::limits::fair_queue::{FairQueue, FairQueuePlace};
use crate::principal::PrincipalId;

/// The permit for one of the downloads that a PBX serves at once. All that a download needs shares
/// it; the next principal gets it when the last of them has gone. No ticket for a recording is
/// asked for without a permit, and no recording is read without one.
#[derive(Clone)]
pub(in crate::pbx) struct DownloadPermit(Arc<FairQueuePlace>);

impl DownloadPermit {
    /// Waits until it is the turn of the `holder`.
    ///
    /// # Cancel safety
    /// Safe: the place in the queue is given up.
    pub(in crate::pbx) async fn take(queue: &Arc<FairQueue>, holder: &PrincipalId) -> Self {
        Self(Arc::new(queue.take(holder).await))
    }

    pub(in crate::pbx) fn holder(&self) -> &PrincipalId {
        self.0.holder()
    }
}

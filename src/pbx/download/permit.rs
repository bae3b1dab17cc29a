//! The permit for one download of a PBX.
//!
//! Knows whose turn a download is. Does not know what is downloaded.

use std::sync::Arc;

use crate::fleet::permits::{SharedPermit, SharedPermits};
use crate::limits::fair_queue::{FairQueue, FairQueuePlace};
use crate::principal::PrincipalId;

/// The permit for one of the downloads that a PBX serves at once. All that a download needs shares
/// it; the next principal gets it when the last of them has gone. No ticket for a recording is
/// asked for without a permit, and no recording is read without one.
#[derive(Clone)]
pub(in crate::pbx) struct DownloadPermit(Arc<Held>);

struct Held {
    place: FairQueuePlace,
    /// One of the downloads of all instances of a fleet.
    _shared: Option<SharedPermit>,
}

/// The downloads that a PBX serves at once.
pub(in crate::pbx) struct DownloadPermits {
    pub(in crate::pbx) queue: Arc<FairQueue>,
    /// Those of all instances of a fleet, and their number.
    pub(in crate::pbx) shared: Option<(SharedPermits, usize)>,
}

impl DownloadPermit {
    /// Waits until it is the turn of the `holder`, and then until the other instances of a fleet
    /// leave one to this instance.
    ///
    /// # Cancel safety
    /// Safe: the place in the queue is given up.
    pub(in crate::pbx) async fn take(permits: &DownloadPermits, holder: &PrincipalId) -> Self {
        let place = permits.queue.take(holder).await;
        let shared = match &permits.shared {
            None => None,
            Some((shared, max)) => Some(shared.take(*max).await),
        };
        Self(Arc::new(Held {
            place,
            _shared: shared,
        }))
    }

    pub(in crate::pbx) fn holder(&self) -> &PrincipalId {
        self.0.place.holder()
    }
}

//! How many recordings are answered at once.
//!
//! Knows one number for everybody. Does not know who asks.

use std::sync::Arc;

use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// All streams are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("as many recordings are being answered as relay.max_streams allows")]
pub(crate) struct Saturated;

/// The streams that may be open at once, those that still wait for the PBX included.
pub(crate) struct Admission(Arc<Semaphore>);

/// One stream; given back when dropped.
pub(crate) struct StreamPermit {
    _permit: OwnedSemaphorePermit,
}

impl Admission {
    pub(crate) fn new(max_streams: usize) -> Self {
        Self(Arc::new(Semaphore::new(max_streams)))
    }

    /// Takes a stream, without waiting.
    pub(crate) fn admit(&self) -> Result<StreamPermit, Saturated> {
        let permit = Arc::clone(&self.0)
            .try_acquire_owned()
            .map_err(|_| Saturated)?;
        Ok(StreamPermit { _permit: permit })
    }
}

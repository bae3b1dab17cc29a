//! How many recordings and lists are answered at once.
//!
//! Knows one number for everybody. Does not know who asks.

use thiserror::Error;
use tokio::sync::OwnedSemaphorePermit;

use crate::permits::Permits;

/// All streams are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("as many requests are being answered as relay.max_streams allows")]
pub(crate) struct Saturated;

/// The streams that may be open at once, those that still wait for the PBX included.
pub(crate) struct Admission(Permits);

/// One stream; given back when dropped.
pub(crate) struct StreamPermit {
    _permit: OwnedSemaphorePermit,
}

impl Admission {
    pub(crate) fn new(max_streams: usize) -> Self {
        Self(Permits::new(max_streams))
    }

    /// Changes how many there may be; those that are open stay.
    pub(crate) fn resize(&self, max_streams: usize) {
        self.0.resize(max_streams);
    }

    /// How many are open.
    pub(crate) fn open(&self) -> usize {
        self.0.taken()
    }

    /// Takes a stream, without waiting.
    pub(crate) fn admit(&self) -> Result<StreamPermit, Saturated> {
        let permit = self.0.try_take().ok_or(Saturated)?;
        Ok(StreamPermit { _permit: permit })
    }
}

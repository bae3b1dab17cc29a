//! The time limit on one step towards the PBX.
//!
//! Knows how a step that takes too long fails. Does not know the step.

use std::time::Duration;

use tokio::time::timeout;

use crate::pbx::dialect::Operation;
use crate::pbx::error::{PbxError, TransportError};

/// Waits for `step`, but no longer than `limit`. `name` tells the limit in the error.
///
/// # Errors
/// The error of the step, or [`TransportError::Timeout`].
///
/// # Cancel safety
/// As for the step.
pub(in crate::pbx) async fn within<T>(
    limit: Duration,
    operation: Operation,
    name: &'static str,
    step: impl Future<Output = Result<T, PbxError>>,
) -> Result<T, PbxError> {
    timeout(limit, step)
        .await
        .unwrap_or(Err(PbxError::Transport {
            operation,
            source: TransportError::Timeout(name),
        }))
}

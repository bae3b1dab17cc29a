//! The connections to one PBX: new ones, and a few that are kept for the next request.
//!
//! Knows how long an unused connection stays good, and whether the PBX lets a download follow its
//! ticket on one connection. Does not know tickets.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::attempts::Attempts;
use super::call_metrics;
use super::connection::PbxConnection;
use super::transport::Transport;
use crate::metrics::PbxMetrics;
use crate::pbx::dialect::Operation;
use crate::pbx::error::PbxError;

/// A connection unused for this long is closed. Embedded servers give up on a silent connection
/// after some 15 s or more.
const MAX_IDLE: Duration = Duration::from_secs(10);

/// The connections to one PBX.
pub(in crate::pbx) struct ConnectionPool {
    transport: Arc<Transport>,
    /// Connections whose last answer has ended and which the PBX did not close, each with the time
    /// when it came back.
    idle: Mutex<Vec<(PbxConnection, Instant)>>,
    max_idle: usize,
    /// The connection of a ticket carries its download, too. False once that has failed: some PBXs
    /// close a connection without saying so.
    shares_connections: AtomicBool,
    metrics: Arc<PbxMetrics>,
}

impl ConnectionPool {
    pub(in crate::pbx) fn new(
        transport: Arc<Transport>,
        max_idle: usize,
        metrics: Arc<PbxMetrics>,
    ) -> Self {
        Self {
            transport,
            idle: Mutex::new(Vec::new()),
            max_idle,
            shares_connections: AtomicBool::new(true),
            metrics,
        }
    }

    /// Begins a try with a connection. Returns true beside it if it is the first try.
    pub(in crate::pbx) async fn begin(
        &self,
        attempts: &mut Attempts,
        operation: Operation,
    ) -> Result<(PbxConnection, bool), PbxError> {
        let is_first = attempts.begin();
        // Only the first try gets a connection that was kept. The PBX may have closed that by now,
        // and the second try must not fail for the same reason.
        let kept = is_first.then(|| self.take()).flatten();
        attempts.note_kept(kept.is_some());
        let connection = match kept {
            Some(connection) => connection,
            None => {
                let opened = self.open(operation).await;
                opened.inspect_err(|error| {
                    call_metrics::count(&self.metrics, operation, Some(error));
                })?
            }
        };
        Ok((connection, is_first))
    }

    /// Opens a new connection.
    pub(in crate::pbx) async fn open(
        &self,
        operation: Operation,
    ) -> Result<PbxConnection, PbxError> {
        PbxConnection::open(&self.transport)
            .await
            .map_err(|source| PbxError::Transport { operation, source })
    }

    /// Counts a call that went over a connection, by its result. One whose connection could not
    /// begin is counted already.
    pub(in crate::pbx) fn count<T>(&self, operation: Operation, result: &Result<T, PbxError>) {
        call_metrics::count(&self.metrics, operation, result.as_ref().err());
    }

    /// Takes the connection that came back last, if it is still good.
    fn take(&self) -> Option<PbxConnection> {
        loop {
            let (mut connection, since) = self.lock().pop()?;
            if since.elapsed() < MAX_IDLE && connection.is_idle() {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection that can be used again; closes any other.
    pub(in crate::pbx) fn give_back(&self, mut connection: PbxConnection) {
        if !connection.is_idle() {
            return;
        }
        let mut idle = self.lock();
        if idle.len() < self.max_idle {
            idle.push((connection, Instant::now()));
        }
    }

    /// Closes the connections that were unused for too long.
    pub(in crate::pbx) fn sweep(&self) {
        self.lock().retain(|(_, since)| since.elapsed() < MAX_IDLE);
    }

    /// Returns true if a download may follow its ticket on one connection.
    pub(in crate::pbx) fn shares_connections(&self) -> bool {
        self.shares_connections.load(Relaxed)
    }

    /// Gives each download a connection of its own from now on.
    pub(in crate::pbx) fn stop_sharing(&self) {
        self.shares_connections.store(false, Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(PbxConnection, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

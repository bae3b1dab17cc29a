//! The places for connections: their number, and room for the next one when all are taken.
//!
//! Knows how many connections may be open, and that those without a request make way for new ones.
//! Does not know when a connection is idle.
//!
//! A caller who opens connections and sends no requests would else keep others out, until the limit
//! for request heads has passed, again and again.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tracing::warn;

/// Longest time that a connection may be without a request while another one waits for its place.
/// After twice this time it ends at once.
pub(super) const MAX_IDLE_IN_A_CROWD: Duration = Duration::from_secs(1);
/// Number of connections that are asked at once, and the pause before the next ones are.
const ASKED_AT_ONCE: usize = 64;
const PAUSE: Duration = Duration::from_millis(20);

/// The places for connections of all listeners.
pub(super) struct Places {
    free: Arc<Semaphore>,
    room: Notify,
}

impl Places {
    /// Makes `max_connections` places, or fewer if the process may not open so many files. A quarter
    /// of the files is left for connections to PBXs and for the disk.
    pub(super) fn new(max_connections: usize) -> Self {
        let files = max_open_files();
        let affordable = files.map_or(usize::MAX, |files| files / 4 * 3).max(1);
        if affordable < max_connections {
            warn!(
                open_files = files,
                max_connections,
                connections = affordable,
                advice = "raise the limit of open files (LimitNOFILE of systemd, ulimit -n)",
                "the limit of open files allows fewer connections than server.max_connections"
            );
        }
        Self {
            free: Arc::new(Semaphore::new(max_connections.min(affordable))),
            room: Notify::new(),
        }
    }

    /// Takes a place. While there is none, connections are asked to make room.
    pub(super) async fn take(&self) -> Option<OwnedSemaphorePermit> {
        let mut place = std::pin::pin!(Arc::clone(&self.free).acquire_owned());
        loop {
            if let Ok(place) = timeout(PAUSE, place.as_mut()).await {
                return place.ok();
            }
            self.ask_for_room();
        }
    }

    /// Asks some connections to make room: those that have waited longest to be asked.
    pub(super) fn ask_for_room(&self) {
        (0..ASKED_AT_ONCE).for_each(|_| self.room.notify_one());
    }

    /// Returns when this connection is asked to make room, if it has no request.
    pub(super) async fn room_wanted(&self) {
        self.room.notified().await;
    }
}

/// The number of files that this process may open, where the system tells it.
fn max_open_files() -> Option<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

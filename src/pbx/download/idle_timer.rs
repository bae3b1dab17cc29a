//! The time for which the PBX has sent nothing while somebody waits for it.
//!
//! Knows one limit. A timer is made only where the PBX is silent, and set anew only when it fires
//! too early.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// The idle time of one connection.
pub(in crate::pbx) struct IdleTimer {
    limit: Duration,
    /// The time when the silence began.
    since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl IdleTimer {
    pub(in crate::pbx) fn new(limit: Duration) -> Self {
        Self {
            limit,
            since: None,
            timer: None,
        }
    }

    /// Notes that something came.
    pub(in crate::pbx) fn reset(&mut self) {
        self.since = None;
    }

    /// Ready once nothing has come for as long as the limit. The first call after something came
    /// begins to count.
    pub(in crate::pbx) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let since = *self.since.get_or_insert_with(Instant::now);
        let until = since + self.limit;
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(sleep_until(until)));
        // The timer may be that of an earlier silence: it then fires too early, and is set anew.
        while timer.as_mut().poll(context).is_ready() {
            if Instant::now() >= until {
                return Poll::Ready(());
            }
            timer.as_mut().reset(until);
        }
        Poll::Pending
    }
}

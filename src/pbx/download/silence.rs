//! How long the PBX has been silent while somebody waits for it.
//!
//! Knows one limit. A timer is made only where there is silence, and set anew only when it fires too early.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// The silence of one connection.
pub(in crate::pbx) struct IdleTimer {
    limit: Duration,
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

    /// Something came.
    pub(in crate::pbx) fn end(&mut self) {
        self.since = None;
    }

    /// Ready once there has been nothing for as long as the limit; begins to count when first asked.
    pub(in crate::pbx) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let since = *self.since.get_or_insert_with(Instant::now);
        let until = since + self.limit;
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(sleep_until(until)));
        while timer.as_mut().poll(context).is_ready() {
            if Instant::now() >= until {
                return Poll::Ready(());
            }
            timer.as_mut().reset(until);
        }
        Poll::Pending
    }
}

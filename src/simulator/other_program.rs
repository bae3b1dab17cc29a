//! A simulated other program that uses the same API account.
//!
//! Knows when the program logs in, and that each of its logins ends all earlier tokens. Simulates
//! nothing else of it.
//!
//! Source: the issue trackers of published clients, where integrations end each other's tokens. The
//! vendor does not document whether a login ends earlier tokens.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::pbx::{PbxState, lock};

/// The running program. It stops when this is dropped.
pub(super) struct OtherProgram(JoinHandle<()>);

impl OtherProgram {
    /// Starts the program. It logs in now, and again after each `pause`.
    pub(super) fn start(pbx: Arc<PbxState>, pause: Duration) -> Self {
        Self(tokio::spawn(async move {
            let mut ticks = interval(pause);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                end_tokens(&pbx);
                pbx.ledger.note(|seen| seen.other_logins += 1);
            }
        }))
    }
}

impl Drop for OtherProgram {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Ends every token, on a box of any family.
fn end_tokens(pbx: &PbxState) {
    lock(&pbx.tokens).erase_all();
    let mut tokens = lock(&pbx.p_series.tokens);
    tokens.expire_all();
    tokens.expire_refresh();
}

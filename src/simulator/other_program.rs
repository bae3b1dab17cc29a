//! Another program that uses the same API account.
//!
//! Knows when it logs in, and that each of its logins ends the tokens before it. Does not know what it does besides.
//!
//! Whether a login ends earlier tokens is not documented; integrations that end each other's are known from published
//! clients' trackers.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::pbx::{PbxState, lock};

/// The program at work; it stops when this is dropped.
pub(super) struct OtherProgram(JoinHandle<()>);

impl OtherProgram {
    /// Lets it log in now, and then each time that `pause` has passed.
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

/// Ends every token there is, on a box of any family.
fn end_tokens(pbx: &PbxState) {
    lock(&pbx.tokens).erase_all();
    let mut tokens = lock(&pbx.p_series.tokens);
    tokens.expire_all();
    tokens.expire_refresh();
}

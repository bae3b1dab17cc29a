//! What the log is still to be told of a request that is allowed.
//!
//! Knows that the end of a request is written down however it comes: by a drop, which cannot wait. Does not know who writes it.

use std::sync::Arc;

use super::Handle;
use super::heard::AudioSpan;
use super::line::Delivery;
use super::queue::{DecisionLine, Item, QueuePlace};

/// What the log is still to be told of a request that was allowed: how it ended. Dropping it writes that, without waiting. The
/// default is of a request that stands in no log.
#[derive(Default)]
pub(crate) struct PendingDelivery {
    pub(super) open: Option<LoggedDecision>,
    /// 0 where the caller left before an answer.
    pub(crate) status: u16,
    /// As in the access log; empty where the caller left.
    pub(crate) outcome: &'static str,
    /// Bytes of the body handed to the connection.
    pub(crate) bytes: u64,
    /// Where in the recording they begin.
    pub(crate) first: Option<u64>,
    /// Where the audio stands in the recording.
    pub(crate) audio: Option<AudioSpan>,
    /// How long the recording is by its header; one that turns out to be longer was still being written when it got that header.
    pub(crate) told_length: Option<u64>,
    /// Nothing told where the recording ends, and two passes agreed on it.
    pub(crate) end_is_agreed: bool,
    /// Entries of a list.
    pub(crate) rows: Option<usize>,
}

/// A decision that is in the log, or on its way there.
pub(super) struct LoggedDecision {
    pub(super) handle: Arc<Handle>,
    pub(super) id: String,
    pub(super) decision: DecisionLine,
    pub(super) place: QueuePlace,
}

impl LoggedDecision {
    /// Waits until the decision is on disk. Returns whether it is.
    pub(super) async fn decided(&mut self) -> bool {
        if let DecisionLine::Awaited { seq, .. } = &mut self.decision {
            match seq.await {
                Ok(seq) => self.decision = DecisionLine::Known(seq),
                Err(_) => return false,
            }
        }
        true
    }
}

impl PendingDelivery {
    /// The request goes on although its decision is not on disk yet.
    pub(super) fn is_carried_out(&mut self) {
        let open = self.open.as_mut();
        if let Some(DecisionLine::Awaited { is_carried_out, .. }) =
            open.map(|open| &mut open.decision)
        {
            *is_carried_out = true;
        }
    }
}

impl Drop for PendingDelivery {
    fn drop(&mut self) {
        let Some(open) = self.open.take() else {
            return;
        };
        if let (Some(audio), Some(told), Some(first)) =
            (&mut self.audio, self.told_length, self.first)
            && first.saturating_add(self.bytes) > told
        {
            audio.end = None;
        }
        // The header says nothing, or more than there is.
        if let Some(audio) = self.audio.as_mut().filter(|_| self.end_is_agreed) {
            audio.end = None;
        }
        let heard = self.first.zip(self.audio);
        let outcome = match self.outcome {
            "" => "downstream-gone",
            outcome => outcome,
        };
        open.handle.shared.queue.push(Item::Delivery {
            delivery: Delivery {
                id: open.id,
                decision: 0,
                status: self.status,
                outcome: outcome.to_owned(),
                first: self.first,
                bytes: self.bytes,
                audio: self.audio,
                heard_ms: heard.and_then(|(first, audio)| audio.heard(first, self.bytes)),
                agreed_end: self.end_is_agreed,
                rows: self.rows,
            },
            decision: open.decision,
            place: open.place,
        });
    }
}

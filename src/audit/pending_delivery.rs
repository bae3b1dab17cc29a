//! The delivery line of a request, before it is written.
//!
//! Knows that the delivery line is written however the request ends: by a drop, which cannot wait.
//! Does not know the writer.

use std::sync::Arc;

use super::Handle;
use super::heard::AudioSpan;
use super::line::Delivery;
use super::queue::{DecisionLine, Item, QueuePlace};

/// The delivery of a request that was allowed. Dropping it gives its line to the writer, without
/// waiting. The default belongs to a request that is in no log, and writes nothing.
#[derive(Default)]
pub(crate) struct PendingDelivery {
    pub(super) open: Option<LoggedDecision>,
    /// Status of the answer; 0 where the caller left before it.
    pub(crate) status: u16,
    /// Outcome as in the access log; empty where the caller left.
    pub(crate) outcome: &'static str,
    /// Bytes of the body handed to the connection.
    pub(crate) bytes: u64,
    /// Offset in the recording of the first of these bytes.
    pub(crate) first: Option<u64>,
    /// The audio in the recording.
    pub(crate) audio: Option<AudioSpan>,
    /// The length that the header tells. A longer recording was still being written when it got
    /// that header.
    pub(crate) told_length: Option<u64>,
    /// The PBX and the header told no end, and two passes agreed on one.
    pub(crate) end_is_agreed: bool,
    /// Number of entries of a list.
    pub(crate) rows: Option<usize>,
}

/// A decision that is in the log, or on its way there.
pub(super) struct LoggedDecision {
    pub(super) handle: Arc<Handle>,
    pub(super) id: Arc<str>,
    pub(super) decision: DecisionLine,
    pub(super) place: QueuePlace,
}

impl LoggedDecision {
    /// Waits for the writer's answer. Returns whether the decision is on disk.
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
    /// Notes that the request goes on although its decision is not on disk yet.
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
        // The header tells no end of the audio, or one behind the end of the recording.
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
                outcome: outcome.into(),
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

//! The body of an answer: its transfer, its rate and its early end.
//!
//! Knows chunks, rates and early ends. Does not know the content of the bytes.

use std::io;
use std::time::Duration;

use tokio::time::Instant;

use crate::simulator::fault::{BodyBreak, FaultPlan};
use crate::simulator::observations::DownloadEnd;
use crate::simulator::pbx::PbxState;
use crate::simulator::reply::RenderedReply;
use crate::simulator::switch::Switch;
use crate::simulator::wire::Wire;

/// The bound on bytes written at once.
const CHUNK_BYTES: u64 = 64 * 1024;
/// A slow body is written in this number of pieces per second.
const CHUNKS_PER_SECOND: u64 = 20;

/// A body to send, with the faults that strike it.
pub(super) struct BodyDelivery<'a> {
    pub(super) pbx: &'a PbxState,
    pub(super) plan: &'a FaultPlan,
    pub(super) answer: &'a RenderedReply,
    /// True if the body is sent in chunks. A body that is sent to its end gets a last chunk.
    pub(super) is_chunked: bool,
}

impl BodyDelivery<'_> {
    /// Sends the body. Returns `Some` if a fault or a switch ended it early.
    ///
    /// # Errors
    ///
    /// When the peer breaks the connection.
    pub(super) async fn run(&self, wire: &mut Wire) -> io::Result<Option<BodyBreak>> {
        let delivered = self.counted(wire).await;
        let whole = matches!(delivered, Ok(None));
        if let Some(opened) = &self.answer.opened_by
            && !whole
            && self.pbx.has(Switch::CutDownloadSpendsNothing)
        {
            self.pbx.restore_ticket(&opened.random);
        }
        delivered
    }

    async fn counted(&self, wire: &mut Wire) -> io::Result<Option<BodyBreak>> {
        if let Some(row_ends) = &self.answer.row_ends {
            let mut counted = CountedRows::new(row_ends);
            return self.send(wire, |bytes| counted.sent(self.pbx, bytes)).await;
        }
        if self.answer.opened_by.is_none() {
            return self.send(wire, |_| {}).await;
        }
        let mut running = self.pbx.ledger.download();
        let ending = self.send(wire, |bytes| running.sent(bytes)).await?;
        running.ends(if ending.is_some() {
            DownloadEnd::Cut
        } else {
            DownloadEnd::Complete
        });
        Ok(ending)
    }

    async fn send(
        &self,
        wire: &mut Wire,
        mut sent: impl FnMut(usize),
    ) -> io::Result<Option<BodyBreak>> {
        let length = self.answer.body.len();
        let ending = self
            .plan
            .early_end
            .filter(|ending| breaks_after(*ending) < length);
        let end = ending.map_or(length, breaks_after);
        let start = Instant::now();
        let mut position = 0;
        while position < end {
            // Checked before each chunk, so that the end of a token cuts a running download.
            if self.is_token_dead() {
                wire.flush().await?;
                return Ok(Some(BodyBreak::Cut {
                    after: position,
                    with_length: false,
                }));
            }
            // A held download waits here. Its connection stays open.
            let free = self.until_free(wire, position).await?;
            let bytes = self.chunk_bytes().min(end - position).min(free);
            let chunk = self.answer.body.chunk(position, bytes);
            position += chunk.len() as u64;
            if self.is_chunked {
                // The last chunk before an early end announces one byte more than it sends, so that
                // the end falls inside a chunk.
                let more = usize::from(ending.is_some() && position == end);
                let size = format!("{:x}\r\n", chunk.len() + more);
                wire.write(size.as_bytes()).await?;
            }
            wire.write(&chunk).await?;
            if self.is_chunked && !(ending.is_some() && position == end) {
                wire.write(b"\r\n").await?;
            }
            sent(chunk.len());
            self.keep_pace(wire, start, position).await?;
        }
        if self.is_chunked && ending.is_none() {
            wire.write(b"0\r\n\r\n").await?;
        }
        wire.flush().await?;
        if let Some(BodyBreak::Stall { .. }) = ending {
            wire.until_peer_leaves().await;
        }
        Ok(ending)
    }

    /// Returns how many bytes of a recording may be sent after `position`. Waits while there are
    /// none, because the box holds downloads there.
    async fn until_free(&self, wire: &mut Wire, position: u64) -> io::Result<u64> {
        if self.answer.opened_by.is_none() {
            return Ok(u64::MAX);
        }
        let mut held_at = self.pbx.held_at.subscribe();
        loop {
            let end = held_at.borrow_and_update().unwrap_or(u64::MAX);
            if let Some(free @ 1..) = end.checked_sub(position) {
                return Ok(free);
            }
            wire.flush().await?;
            tokio::select! {
                // The box keeps the sender alive, so this cannot fail.
                _ = held_at.changed() => {}
                () = wire.until_peer_leaves() => return Err(io::ErrorKind::ConnectionAborted.into()),
            }
        }
    }

    fn chunk_bytes(&self) -> u64 {
        let rate = self.plan.bytes_per_s.unwrap_or(u64::MAX);
        (rate / CHUNKS_PER_SECOND).clamp(1, CHUNK_BYTES)
    }

    /// Waits until the rate of the plan allows more than the `sent` bytes.
    async fn keep_pace(&self, wire: &mut Wire, start: Instant, sent: u64) -> io::Result<()> {
        if let Some(rate) = self.plan.bytes_per_s {
            wire.flush().await?;
            let due = Duration::from_secs_f64(sent as f64 / rate as f64);
            tokio::time::sleep_until(start + due).await;
        }
        Ok(())
    }

    fn is_token_dead(&self) -> bool {
        let cuts = self.pbx.has(Switch::TokenDeathCutsDownload);
        let opened = self.answer.opened_by.as_ref().filter(|_| cuts);
        opened.is_some_and(|opened| !self.pbx.is_token_live(&opened.token))
    }
}

/// Counts the bytes and complete rows of a CDR that were sent.
struct CountedRows<'a> {
    row_ends: &'a [u64],
    bytes: u64,
    rows: u64,
}

impl<'a> CountedRows<'a> {
    fn new(row_ends: &'a [u64]) -> Self {
        Self {
            row_ends,
            bytes: 0,
            rows: 0,
        }
    }

    fn sent(&mut self, pbx: &PbxState, bytes: usize) {
        let bytes = bytes as u64;
        self.bytes += bytes;
        let rows = self.row_ends.partition_point(|end| *end <= self.bytes) as u64;
        let new_rows = rows - std::mem::replace(&mut self.rows, rows);
        pbx.ledger.note(|seen| {
            seen.cdr_bytes_sent += bytes;
            seen.cdr_rows_sent += new_rows;
        });
    }
}

fn breaks_after(ending: BodyBreak) -> u64 {
    match ending {
        BodyBreak::Cut { after, .. } | BodyBreak::Reset { after } | BodyBreak::Stall { after } => {
            after
        }
    }
}

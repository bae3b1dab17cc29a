//! A batch: lines that are written together.
//!
//! Knows which requests wait for a line, and which items must not be lost when the write fails.
//! Does not know files.

use std::io;

use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use crate::audit::chain::ChainLink;
use crate::audit::heads::{HeadKey, SignedHead};
use crate::audit::line::{FileRecord, LogRecord};
use crate::audit::queue::{DecisionLine, Item};

/// Lines that are written together.
pub(super) struct Batch {
    pub(super) lines: Vec<u8>,
    pub(super) count: u64,
    /// The link of the last line.
    pub(super) end: ChainLink,
    /// The links of all lines.
    pub(super) links: Vec<ChainLink>,
    /// The channels of the requests that wait, each with the number of its line.
    awaited: Vec<(oneshot::Sender<u64>, u64)>,
    /// Items that must be written again if this write fails, by the numbers of their lines.
    pub(super) written: Vec<(u64, Item)>,
    /// Items that cannot be written yet.
    pub(super) kept: Vec<Item>,
    /// Decisions that were carried out and have no line.
    pub(super) missed: u64,
}

impl Batch {
    /// An empty batch that continues the chain behind `end`.
    pub(super) fn behind(end: ChainLink) -> Self {
        Self {
            lines: Vec::new(),
            count: 0,
            end,
            links: Vec::new(),
            awaited: Vec::new(),
            written: Vec::new(),
            kept: Vec::new(),
            missed: 0,
        }
    }

    pub(super) fn begin_file(&mut self, previous: Option<String>, now: &str) -> io::Result<()> {
        self.append(&LogRecord::File(FileRecord { previous }), now)
    }

    /// Adds a head for the chain up to here. It is not kept if it cannot be written: behind another
    /// line it would be wrong.
    pub(super) fn sign(&mut self, key: &HeadKey, now: &str) -> io::Result<SignedHead> {
        let head = key.sign(self.end, now.to_owned());
        self.append(&LogRecord::Head(head.clone()), now)?;
        Ok(head)
    }

    /// Adds the line of an item, if it has one.
    pub(super) fn add(&mut self, item: Item, now: &str) -> io::Result<()> {
        match item {
            Item::Decision {
                decision, written, ..
            } => {
                self.append(&LogRecord::Decision(decision), now)?;
                self.awaited.push((written, self.end.seq));
                Ok(())
            }
            Item::SystemRead { read, written } => {
                self.append(&LogRecord::SystemRead(read), now)?;
                self.awaited.push((written, self.end.seq));
                Ok(())
            }
            Item::Own(record) => {
                self.append(&record, now)?;
                self.written.push((self.end.seq, Item::Own(record)));
                Ok(())
            }
            Item::Answered(mut seq) => {
                match seq.try_recv() {
                    Ok(_) => {}
                    Err(TryRecvError::Closed) => self.missed += 1,
                    Err(TryRecvError::Empty) => self.kept.push(Item::Answered(seq)),
                }
                Ok(())
            }
            Item::Delivery {
                mut delivery,
                decision,
                place,
            } => {
                delivery.decision = match decision {
                    DecisionLine::Known(seq) => seq,
                    DecisionLine::Awaited {
                        mut seq,
                        is_carried_out,
                    } => match seq.try_recv() {
                        Ok(seq) => seq,
                        // The decision was given up: it is not in the log.
                        Err(TryRecvError::Closed) => {
                            self.missed += u64::from(is_carried_out);
                            return Ok(());
                        }
                        // The decision is in this very batch, so it has no number yet. The delivery
                        // waits for the next batch.
                        Err(TryRecvError::Empty) => {
                            self.kept.push(Item::Delivery {
                                delivery,
                                decision: DecisionLine::Awaited {
                                    seq,
                                    is_carried_out,
                                },
                                place,
                            });
                            return Ok(());
                        }
                    },
                };
                let decision = DecisionLine::Known(delivery.decision);
                self.append(&LogRecord::Delivery(delivery.clone()), now)?;
                let item = Item::Delivery {
                    delivery,
                    decision,
                    place,
                };
                self.written.push((self.end.seq, item));
                Ok(())
            }
        }
    }

    fn append(&mut self, record: &LogRecord, now: &str) -> io::Result<()> {
        self.end.append(record, now, &mut self.lines)?;
        self.count += 1;
        self.links.push(self.end);
        Ok(())
    }

    /// Whether a request waits for one of the lines.
    pub(super) fn is_awaited(&self) -> bool {
        self.waiting() > 0
    }

    /// The number of requests that wait.
    pub(super) fn waiting(&self) -> usize {
        self.awaited.len()
    }

    /// Tells the requests that wait, and empties the batch. Call it when its lines are in the file,
    /// and on disk if a request waits for one.
    pub(super) fn is_written(&mut self) {
        for (written, seq) in self.awaited.drain(..) {
            // A request that has left has queued its delivery, which takes the number out of the
            // channel.
            let _ = written.send(seq);
        }
        self.written.clear();
        self.lines.clear();
        self.links.clear();
        self.count = 0;
    }

    /// Gives up the decisions that were not written, and keeps the `further` items that must not be
    /// lost.
    pub(super) fn set_aside(&mut self, further: impl Iterator<Item = Item>) {
        // Dropping the senders closes the channels: that tells the requests.
        self.awaited.clear();
        let lasting =
            further.filter(|item| !matches!(item, Item::Decision { .. } | Item::SystemRead { .. }));
        self.kept.extend(lasting);
    }
}

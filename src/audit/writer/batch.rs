//! Lines that are written together.
//!
//! Knows who waits for them, and what of them must not be lost. Does not know files.

use std::io;

use jiff::Timestamp;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use super::time;
use crate::audit::chain::Link;
use crate::audit::heads::{HeadKey, SignedHead};
use crate::audit::line::{FileBegins, Record};
use crate::audit::queue::{DecisionLine, Item};

/// Lines that are written together.
pub(super) struct Batch {
    pub(super) lines: Vec<u8>,
    pub(super) count: u64,
    /// The last of them.
    pub(super) end: Link,
    /// All of them.
    pub(super) links: Vec<Link>,
    /// Who waits for which line.
    awaited: Vec<(oneshot::Sender<u64>, u64)>,
    /// What must be written anew where this cannot be, by the numbers of the lines.
    pub(super) written: Vec<(u64, Item)>,
    /// What cannot be written yet.
    pub(super) kept: Vec<Item>,
    /// Decisions that were carried out and never got here.
    pub(super) missed: u64,
}

impl Batch {
    /// An empty one that goes on behind `end`.
    pub(super) fn behind(end: Link) -> Self {
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

    pub(super) fn begin_file(
        &mut self,
        previous: Option<String>,
        now: Timestamp,
    ) -> io::Result<()> {
        self.append(Record::File(FileBegins { previous }), now)
    }

    /// Adds a head of everything up to here. It is not kept where it cannot be written: it would be none behind another line.
    pub(super) fn sign(&mut self, key: &HeadKey, now: Timestamp) -> io::Result<SignedHead> {
        let head = key.sign(self.end, time(now));
        self.append(Record::Head(head.clone()), now)?;
        Ok(head)
    }

    /// Adds the line of an item, if it has one.
    pub(super) fn add(&mut self, item: Item, now: Timestamp) -> io::Result<()> {
        match item {
            Item::Decision {
                decision, written, ..
            } => {
                self.append(Record::Decision(decision), now)?;
                self.awaited.push((written, self.end.seq));
                Ok(())
            }
            Item::SystemRead { read, written } => {
                self.append(Record::SystemRead(read), now)?;
                self.awaited.push((written, self.end.seq));
                Ok(())
            }
            Item::Own(record) => {
                self.append(record.clone(), now)?;
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
                        // Its decision is not in the log.
                        Err(TryRecvError::Closed) => {
                            self.missed += u64::from(is_carried_out);
                            return Ok(());
                        }
                        // It stands in this very batch.
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
                self.append(Record::Delivery(delivery.clone()), now)?;
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

    fn append(&mut self, record: Record, now: Timestamp) -> io::Result<()> {
        self.end.append(record, time(now), &mut self.lines)?;
        self.count += 1;
        self.links.push(self.end);
        Ok(())
    }

    /// Whether anybody waits for a line of it.
    pub(super) fn is_awaited(&self) -> bool {
        !self.awaited.is_empty()
    }

    /// All of it is in the file, and on disk where somebody waits for that.
    pub(super) fn is_written(&mut self) {
        for (written, seq) in self.awaited.drain(..) {
            // Who does not wait any more has left a delivery, which finds the number in the channel.
            let _ = written.send(seq);
        }
        self.written.clear();
        self.lines.clear();
        self.links.clear();
        self.count = 0;
    }

    /// Gives up the decisions that were not written, and keeps of further items what must not be lost.
    pub(super) fn set_aside(&mut self, further: impl Iterator<Item = Item>) {
        self.awaited.clear();
        let lasting =
            further.filter(|item| !matches!(item, Item::Decision { .. } | Item::SystemRead { .. }));
        self.kept.extend(lasting);
    }
}

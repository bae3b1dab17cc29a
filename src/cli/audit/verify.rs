//! Whether a log is as it was written.
//!
//! Knows the chain and the heads, what they prove, and what they do not. Does not know where lines come from. Pure.
//!
//! Each line holds the hash of the one before, so whatever is changed, removed or swapped shows at the line behind it. That does
//! not hold for the end: a log that was cut there is a shorter log, and one that was made anew from some line on is another log,
//! unless a head from behind that line is kept elsewhere.

mod fault;

use std::collections::BTreeMap;
use std::io;

use super::read::{Place, Written};
use crate::audit::chain::Hash;
use crate::audit::heads::{Signature, SignedHead};
use crate::audit::line::{Line, Record};
pub(crate) use fault::{Fault, Wrong};

/// What is known to hold of a log.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) lines: u64,
    /// Number and time of the first line and of the last.
    pub(crate) first: Option<(u64, String)>,
    pub(crate) last: Option<(u64, String)>,
    /// The last line, and its place.
    end: Option<(Hash, Place)>,
    /// The last head that agrees: the number of its line, and when it was signed.
    pub(crate) last_head: Option<(u64, String)>,
    /// The last of those that were kept elsewhere.
    pub(crate) kept_head: Option<(u64, String)>,
    /// Heads that agree.
    pub(crate) heads: u64,
    /// Those of them that do not stand in the log itself.
    known_heads: u64,
    /// The last line that a head stands for, or that is itself the one behind such a line.
    signed: u64,
    /// Heads of lines that are not here any more.
    pub(crate) earlier_heads: u64,
    /// The keys of the heads, in the order they were seen.
    pub(crate) keys: Vec<String>,
    /// The place of an end that is no whole line.
    pub(crate) torn: Option<Place>,
}

/// A head to be compared, and whether it was kept elsewhere.
pub(crate) type Known = (SignedHead, bool);

/// Why no verdict could be reached.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stopped {
    /// The log is not as it was written.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A line that was read, and the hash of its bytes.
struct Read {
    line: Line,
    hash: Hash,
    place: Place,
}

/// Checks lines in their order against the chain, and against heads that are known besides. With a `key` all heads must be signed
/// with that, and one that is known besides must be of these lines.
///
/// # Errors
/// The first place that is not as it was written; or that something cannot be read.
pub(crate) fn verify(
    lines: impl Iterator<Item = io::Result<Written>>,
    heads: Vec<Known>,
    key: Option<&str>,
) -> Result<Verdict, Stopped> {
    let mut lines = lines.peekable();
    let mut verdict = Verdict::default();
    let mut heads = by_line(heads, key, &mut verdict)?;
    while let Some(written) = lines.next() {
        let written = written?;
        if !written.is_whole && lines.peek().is_none() {
            verdict.torn = Some(written.place);
            break;
        }
        let read = Read::new(written)?;
        let fault = verdict.fault(&read);
        if let Some(wrong) = fault {
            let next = lines
                .next()
                .transpose()?
                .and_then(|next| Read::new(next).ok());
            return Err(verdict.place(wrong, read, next.as_ref()).into());
        }
        verdict.check_own_head(&read, key)?;
        verdict.go_on(read, &mut heads)?;
    }
    verdict.finish(heads)?;
    if key.is_some() && verdict.known_heads == 0 {
        return Err(Fault::no_head().into());
    }
    Ok(verdict)
}

/// The heads by the number of their line, their signatures checked.
fn by_line(
    heads: Vec<Known>,
    key: Option<&str>,
    verdict: &mut Verdict,
) -> Result<BTreeMap<u64, Vec<Known>>, Fault> {
    let mut by_line: BTreeMap<u64, Vec<Known>> = BTreeMap::new();
    for (head, is_kept) in heads {
        let number = head.head;
        let fault = match head.judge(key) {
            Signature::Good => {
                verdict.note_key(&head.key);
                by_line.entry(number).or_default().push((head, is_kept));
                continue;
            }
            Signature::OtherKey => Wrong::KeyOfHead,
            Signature::Wrong => Wrong::Signature,
        };
        return Err(Fault::of_head(number, is_kept, fault));
    }
    Ok(by_line)
}

impl Read {
    fn new(written: Written) -> Result<Self, Fault> {
        let Written {
            place,
            bytes,
            is_whole,
        } = written;
        match Line::parse(&bytes) {
            Ok(line) if is_whole => Ok(Self {
                line,
                hash: Hash::of(&bytes),
                place,
            }),
            _ => Err(Fault::new(place, Wrong::NoLine)),
        }
    }
}

impl Verdict {
    /// What is wrong with a line, where something is.
    fn fault(&self, read: &Read) -> Option<Wrong> {
        let begins = matches!(read.line.record, Record::File(_));
        let Some(((last, _), (hash, place))) = self.last.as_ref().zip(self.end.as_ref()) else {
            return (!begins).then_some(Wrong::Beheaded);
        };
        let (seq, expected) = (read.line.seq, last + 1);
        if seq > expected {
            return Some(Wrong::Missing {
                first: expected,
                last: seq - 1,
            });
        }
        if seq < expected {
            return Some(Wrong::Repeated { seq, expected });
        }
        if read.line.prev != *hash {
            return Some(Wrong::Changed);
        }
        (begins != (place.file != read.place.file)).then_some(Wrong::FileMark)
    }

    /// The place of what is wrong, with a look at the line behind it.
    fn place(&self, wrong: Wrong, read: Read, next: Option<&Read>) -> Fault {
        let before = self.end.as_ref().map(|(_, place)| place.clone());
        match wrong {
            // Its own link is what was changed, where the next line was written for another content of it.
            Wrong::Changed if next.is_some_and(|next| next.line.prev != read.hash) => {
                Fault::new(read.place, Wrong::Changed)
            }
            Wrong::Changed => Fault::new(before.unwrap_or(read.place), Wrong::Changed),
            Wrong::Missing { first, last } if first == last => {
                let is_swapped = next.is_some_and(|next| next.line.seq == first);
                let wrong = if is_swapped { Wrong::Swapped } else { wrong };
                Fault::new(read.place, wrong)
            }
            wrong => Fault::new(read.place, wrong),
        }
    }

    /// A head in the log stands for the line before it.
    fn check_own_head(&mut self, read: &Read, key: Option<&str>) -> Result<(), Fault> {
        let Record::Head(head) = &read.line.record else {
            return Ok(());
        };
        let is_its_own = head.hash == read.line.prev && head.head + 1 == read.line.seq;
        let wrong = match head.judge(key) {
            Signature::Good if is_its_own => {
                self.note_key(&head.key);
                self.agrees(head, false);
                self.signed = read.line.seq;
                return Ok(());
            }
            Signature::Good => Wrong::HeadElsewhere,
            Signature::OtherKey => Wrong::KeyOfHead,
            Signature::Wrong => Wrong::Signature,
        };
        Err(Fault::new(read.place.clone(), wrong))
    }

    /// Moves on to a line that is in order.
    fn go_on(&mut self, read: Read, heads: &mut BTreeMap<u64, Vec<Known>>) -> Result<(), Fault> {
        let seq = read.line.seq;
        if self.first.is_none() {
            let later = heads.split_off(&seq);
            self.earlier_heads = std::mem::replace(heads, later).len() as u64;
            self.first = Some((seq, read.line.time.clone()));
        }
        for (head, is_kept) in heads.remove(&seq).into_iter().flatten() {
            if head.hash != read.hash {
                let wrong = Wrong::NotOfHead {
                    signed_at: head.signed_at,
                };
                return Err(Fault::new(read.place, wrong));
            }
            self.known_heads += 1;
            self.agrees(&head, is_kept);
        }
        self.lines += 1;
        self.last = Some((seq, read.line.time));
        self.end = Some((read.hash, read.place));
        Ok(())
    }

    fn agrees(&mut self, head: &SignedHead, is_kept: bool) {
        self.heads += 1;
        self.signed = self.signed.max(head.head);
        let told = (head.head, head.signed_at.clone());
        if is_kept {
            self.kept_head = Some(told.clone());
        }
        self.last_head = Some(told);
    }

    /// The first and the last line behind the last head, where there are any: nothing that is signed stands for them.
    pub(crate) fn behind_heads(&self) -> Option<(u64, u64)> {
        let (first, last) = (self.first.as_ref()?.0, self.last.as_ref()?.0);
        let begin = first.max(self.signed + 1);
        (begin <= last).then_some((begin, last))
    }

    fn note_key(&mut self, key: &str) {
        if !self.keys.iter().any(|known| known == key) {
            self.keys.push(key.to_owned());
        }
    }

    /// Heads that are left are of lines behind the end.
    fn finish(&self, heads: BTreeMap<u64, Vec<Known>>) -> Result<(), Fault> {
        let Some((head, _)) = heads
            .into_values()
            .next_back()
            .and_then(|mut of_line| of_line.pop())
        else {
            return Ok(());
        };
        let (last, place) = match (&self.last, &self.end) {
            (Some((last, _)), Some((_, place))) => (*last, Some(place.clone())),
            _ => (0, None),
        };
        Err(Fault::at_end(place, last, head))
    }
}

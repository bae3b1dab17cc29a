//! Verifies an audit log.
//!
//! Knows the chain and the heads, what they prove, and what they do not prove. Does not know where
//! lines come from. Pure.
//!
//! Each line holds the hash of the line before, so a line that is changed, removed or swapped shows
//! at the next line. The end is different: a log that was cut there is a valid shorter log, and a
//! log that was written anew from some line on is a valid other log, unless a later head is kept
//! elsewhere.

mod fault;

use std::collections::BTreeMap;
use std::io;

use super::read::{LinePosition, RawLine};
use crate::audit::chain::Hash;
use crate::audit::heads::{Signature, SignedHead};
use crate::audit::line::{Line, LogRecord};
pub(crate) use fault::{LogFault, Wrong};

/// The facts that were verified of a log.
#[derive(Debug, Default)]
pub(crate) struct LogVerdict {
    pub(crate) lines: u64,
    /// Number and time of the first line and of the last.
    pub(crate) first: Option<(u64, String)>,
    pub(crate) last: Option<(u64, String)>,
    /// Hash and position of the last line.
    end: Option<(Hash, LinePosition)>,
    /// The last head that agrees with the log: the number of its line, and when it was signed.
    pub(crate) last_head: Option<(u64, String)>,
    /// The last such head that was kept elsewhere.
    pub(crate) kept_head: Option<(u64, String)>,
    /// Number of heads that agree with the log.
    pub(crate) heads: u64,
    /// Those of them that are not lines of the log itself.
    known_heads: u64,
    /// The last line that a head stands for, or that is itself a head of the line before.
    signed: u64,
    /// Heads of lines that are not in the files any more.
    pub(crate) earlier_heads: u64,
    /// The keys that signed the heads, in order of their first use.
    pub(crate) keys: Vec<String>,
    /// The position of a last line without a line end.
    pub(crate) torn: Option<LinePosition>,
}

/// A head from outside the log, and whether it was kept elsewhere.
pub(crate) type ComparedHead = (SignedHead, bool);

/// Why the log could not be verified.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VerifyError {
    /// The log was changed.
    #[error(transparent)]
    Fault(#[from] LogFault),
    /// The log cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A parsed line, and the hash of its bytes.
struct ParsedLine {
    line: Line,
    hash: Hash,
    place: LinePosition,
}

/// Checks lines in their order: each against the line before, and against the heads from outside
/// the log. With a `key`, that key must have signed all heads, and at least one head from outside
/// must be of these lines.
///
/// # Errors
/// The first place that was changed, or the failure to read.
pub(crate) fn verify(
    lines: impl Iterator<Item = io::Result<RawLine>>,
    heads: Vec<ComparedHead>,
    key: Option<&str>,
) -> Result<LogVerdict, VerifyError> {
    let mut lines = lines.peekable();
    let mut verdict = LogVerdict::default();
    let mut heads = by_line(heads, key, &mut verdict)?;
    while let Some(written) = lines.next() {
        let written = written?;
        if !written.is_whole && lines.peek().is_none() {
            verdict.torn = Some(written.place);
            break;
        }
        let read = ParsedLine::new(written)?;
        let fault = verdict.fault(&read);
        if let Some(wrong) = fault {
            let next = lines
                .next()
                .transpose()?
                .and_then(|next| ParsedLine::new(next).ok());
            return Err(verdict.place(wrong, read, next.as_ref()).into());
        }
        verdict.check_own_head(&read, key)?;
        verdict.go_on(read, &mut heads)?;
    }
    verdict.finish(heads)?;
    if key.is_some() && verdict.known_heads == 0 {
        return Err(LogFault::no_head().into());
    }
    Ok(verdict)
}

/// Checks the signatures of heads, and sorts the heads by the number of their line.
fn by_line(
    heads: Vec<ComparedHead>,
    key: Option<&str>,
    verdict: &mut LogVerdict,
) -> Result<BTreeMap<u64, Vec<ComparedHead>>, LogFault> {
    let mut by_line: BTreeMap<u64, Vec<ComparedHead>> = BTreeMap::new();
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
        return Err(LogFault::of_head(number, is_kept, fault));
    }
    Ok(by_line)
}

impl ParsedLine {
    fn new(written: RawLine) -> Result<Self, LogFault> {
        let RawLine {
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
            _ => Err(LogFault::new(place, Wrong::NoLine)),
        }
    }
}

impl LogVerdict {
    /// The fault of a line, if it does not follow the line before.
    fn fault(&self, read: &ParsedLine) -> Option<Wrong> {
        let begins = matches!(read.line.record, LogRecord::File(_));
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

    /// The position of the changed line. The line behind it tells whether it is this line or the
    /// line before.
    fn place(&self, wrong: Wrong, read: ParsedLine, next: Option<&ParsedLine>) -> LogFault {
        let before = self.end.as_ref().map(|(_, place)| place.clone());
        match wrong {
            // If the next line holds another hash than this line has, this line was changed: its
            // `prev` is wrong because of that. Else the line before was.
            Wrong::Changed if next.is_some_and(|next| next.line.prev != read.hash) => {
                LogFault::new(read.place, Wrong::Changed)
            }
            Wrong::Changed => LogFault::new(before.unwrap_or(read.place), Wrong::Changed),
            Wrong::Missing { first, last } if first == last => {
                let is_swapped = next.is_some_and(|next| next.line.seq == first);
                let wrong = if is_swapped { Wrong::Swapped } else { wrong };
                LogFault::new(read.place, wrong)
            }
            wrong => LogFault::new(read.place, wrong),
        }
    }

    /// Checks a line that is a head: it must stand for the line before it.
    fn check_own_head(&mut self, read: &ParsedLine, key: Option<&str>) -> Result<(), LogFault> {
        let LogRecord::Head(head) = &read.line.record else {
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
        Err(LogFault::new(read.place.clone(), wrong))
    }

    /// Counts a correct line, and compares it with the heads of its number.
    fn go_on(
        &mut self,
        read: ParsedLine,
        heads: &mut BTreeMap<u64, Vec<ComparedHead>>,
    ) -> Result<(), LogFault> {
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
                return Err(LogFault::new(read.place, wrong));
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

    /// The first and the last line behind the last head, if there are any: no signature stands for
    /// them.
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

    /// Heads that are left are of lines behind the end, so the end was cut off.
    fn finish(&self, heads: BTreeMap<u64, Vec<ComparedHead>>) -> Result<(), LogFault> {
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
        Err(LogFault::at_end(place, last, head))
    }
}

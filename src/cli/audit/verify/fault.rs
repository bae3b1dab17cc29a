//! The faults of a log, as sentences.

use std::fmt;

use super::SignedHead;
use crate::cli::audit::read::LinePosition;

/// The first fault of a log, and its position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogFault {
    /// `None` where the fault is in no line of the files.
    pub(crate) place: Option<LinePosition>,
    pub(crate) wrong: Wrong,
}

/// The kinds of faults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// The line is not a line of an audit log.
    NoLine,
    /// The line has changed since the next line was written.
    Changed,
    /// Lines before this one are missing.
    Missing { first: u64, last: u64 },
    /// This line and the next one were swapped.
    Swapped,
    /// The line does not belong here.
    Repeated { seq: u64, expected: u64 },
    /// The first line of all does not begin a file.
    Beheaded,
    /// A file begins with a line of another kind, or a line that begins a file is not the first of
    /// its file.
    FileMark,
    /// The signature of a head is wrong.
    Signature,
    /// A head is signed with another key than that of `--key`.
    KeyOfHead,
    /// A head in the log does not stand for the line before it.
    HeadElsewhere,
    /// The line is not the one that was signed.
    NotOfHead { signed_at: String },
    /// The log ends before a line that was signed.
    Cut {
        last: u64,
        head: u64,
        signed_at: String,
    },
    /// `--key` was given, and no head from outside the log is of these lines.
    NoHead,
    /// The fault of a head from outside the log.
    KnownHead {
        head: u64,
        is_kept: bool,
        by: Box<Wrong>,
    },
}

impl LogFault {
    pub(super) fn new(place: LinePosition, wrong: Wrong) -> Self {
        Self {
            place: Some(place),
            wrong,
        }
    }

    pub(super) fn of_head(head: u64, is_kept: bool, wrong: Wrong) -> Self {
        Self {
            place: None,
            wrong: Wrong::KnownHead {
                head,
                is_kept,
                by: Box::new(wrong),
            },
        }
    }

    pub(super) fn no_head() -> Self {
        Self {
            place: None,
            wrong: Wrong::NoHead,
        }
    }

    pub(super) fn at_end(place: Option<LinePosition>, last: u64, head: SignedHead) -> Self {
        Self {
            place,
            wrong: Wrong::Cut {
                last,
                head: head.head,
                signed_at: head.signed_at,
            },
        }
    }
}

impl fmt::Display for LogFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(formatter, "{place}: ")?;
        }
        fmt::Display::fmt(&self.wrong, formatter)
    }
}

impl std::error::Error for LogFault {}

impl fmt::Display for Wrong {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLine => {
                formatter.write_str("this is not a line of an audit log: it was changed or cut")
            }
            Self::Changed => formatter.write_str(
                "this line was changed: the line behind it holds the hash of another one",
            ),
            Self::Missing { first, last } if first == last => {
                write!(
                    formatter,
                    "line {first} of the log, which stood in front of this one, was removed or moved"
                )
            }
            Self::Missing { first, last } => {
                write!(
                    formatter,
                    "lines {first} to {last} of the log, which stood in front of this one, were removed or moved"
                )
            }
            Self::Swapped => formatter.write_str("this line and the next one were swapped"),
            Self::Repeated { seq, expected } => {
                write!(
                    formatter,
                    "this is line {seq} of the log, and line {expected} belongs here"
                )
            }
            Self::FileMark => formatter.write_str("lines of one file were moved into another file here"),
            Self::Beheaded => formatter
                .write_str("this file does not begin here: lines at its start were removed"),
            Self::Signature => formatter.write_str("the signature of this head is wrong"),
            Self::KeyOfHead => {
                formatter.write_str("this head is signed with another key than that of --key")
            }
            Self::HeadElsewhere => {
                formatter.write_str("this head is not that of the line in front of it")
            }
            Self::NotOfHead { signed_at } => {
                write!(
                    formatter,
                    "this is not the line that was signed at {signed_at}: this line, or one before it, was changed, and the log was written anew from there on"
                )
            }
            Self::Cut {
                last,
                head,
                signed_at,
            } => {
                write!(
                    formatter,
                    "the log ends here, with line {last}, but line {head} was signed at {signed_at}: {} lines were cut off its end",
                    head - last
                )
            }
            Self::NoHead => formatter.write_str(
                "no head of these lines stands in heads.jsonl or in --head, so --key proves nothing about them: either the gateway has \
                 not signed yet (it does so within a minute), or the heads were removed, and lines may be missing at the end",
            ),
            Self::KnownHead { head, is_kept, by } => {
                let from = if *is_kept { "--head" } else { "heads.jsonl" };
                write!(formatter, "{from}, the head of line {head}: {by}")
            }
        }
    }
}

//! What can be wrong with a log, in sentences.

use std::fmt;

use super::SignedHead;
use crate::cli::audit::read::Place;

/// The first thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// None where it is about no line that is there.
    pub(crate) place: Option<Place>,
    pub(crate) wrong: Wrong,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// It is not a line of an audit log.
    NoLine,
    /// It is not as it was when the next one was written.
    Changed,
    /// Lines in front of it are not there.
    Missing { first: u64, last: u64 },
    /// It and the next one stand in each other's place.
    Swapped,
    /// It does not belong here.
    Repeated { seq: u64, expected: u64 },
    /// The first line of all is none that begins a file.
    Beheaded,
    /// A file begins with another line, or one that begins a file stands within one.
    FileMark,
    /// A head's signature is of no key.
    Signature,
    /// A head is signed with another key than the one that was named.
    KeyOfHead,
    /// A head in the log is not that of the line before it.
    HeadElsewhere,
    /// It is not the line that was signed.
    NotOfHead { signed_at: String },
    /// The log ends before a line that was signed.
    Cut {
        last: u64,
        head: u64,
        signed_at: String,
    },
    /// There is a key to check heads with, and no head beside the log.
    NoHead,
    /// As for a head in the log, but of one that is kept beside it or elsewhere.
    KnownHead {
        head: u64,
        is_kept: bool,
        by: Box<Wrong>,
    },
}

impl Fault {
    pub(super) fn new(place: Place, wrong: Wrong) -> Self {
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

    pub(super) fn at_end(place: Option<Place>, last: u64, head: SignedHead) -> Self {
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

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(formatter, "{place}: ")?;
        }
        fmt::Display::fmt(&self.wrong, formatter)
    }
}

impl std::error::Error for Fault {}

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
            Self::FileMark => formatter.write_str("here lines were put from one file into another"),
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
                    "this is not the line that was signed at {signed_at}: it, or one before it, was changed, and the log made anew from there on"
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
                "no head of these lines stands in heads.jsonl or in --head, so --key proves nothing of them: either the gateway has \
                 not signed yet (it does so within a minute), or the heads were removed, and lines may be missing at the end",
            ),
            Self::KnownHead { head, is_kept, by } => {
                let from = if *is_kept { "--head" } else { "heads.jsonl" };
                write!(formatter, "{from}, the head of line {head}: {by}")
            }
        }
    }
}

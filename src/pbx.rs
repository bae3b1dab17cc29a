//! One PBX: from a grant to a stream of audio.
//!
//! `Pbx` is a façade; each folder below is a part with fields of its own. Imports between the
//! folders go one way, from the bottom of this list to its top:
//!
//! | module | knows |
//! |---|---|
//! | `settings` | the configuration of one PBX |
//! | `content` | the kind, the format and the digest of bytes |
//! | `dialect` | the calls of each API, and the answers to them |
//! | `error` | the ways in which a PBX fails |
//! | `wire` | connections, answers, the end of a body, second tries |
//! | `account` | the PBX token, logins, the pauses before a login (`token_keeper/hold_off.rs`) |
//! | `download` | permit, ticket, answer, stream, reading |
//! | `listing` | tables and pages of recordings |
//! | `limiters`, `health`, `inspect` | what a reload passes on; what an operator sees |
//! | `client` | which part serves which request |
//!
//! The stages of a fetch. Each stage takes the value that the one before it made, and only that
//! stage can make the next one:
//!
//! | stage | takes | gives |
//! |---|---|---|
//! | `DownloadPermit::take` | the reader of a `RecordedRead` | `DownloadPermit` |
//! | `TokenSource::token` | a deadline | `PbxToken` |
//! | `RecordingRequest::new` | a recording, `DownloadPermit` | `RecordingRequest` |
//! | `TicketBroker::take_ticket` | `RecordingRequest`, `PbxToken` | `Ticket` |
//! | `TicketBroker::spend_ticket` | `Ticket` | `JudgedResponse` |
//! | `PbxStream::new` | `JudgedResponse`, `DownloadPermit` | `PbxStream`: one pass |
//! | `Downloads::open` | `RecordedRead`; all of the above, in order | `OpenRecording` |
//! | `Reading::new` | `OpenRecording` | `Reading`: the bytes, over as many passes as it takes |

mod account;
mod client;
mod content;
mod dialect;
mod download;
mod error;
mod health;
mod inspect;
mod limiters;
mod listing;
pub mod settings;
mod wire;

pub(crate) use account::login_report::end_of;
pub(crate) use client::Pbx;
pub(crate) use content::digest::ContentDigest;
pub(crate) use content::riff::{MAX_REACH, RiffHeader, Wave};
pub(crate) use content::sniff::AudioType;
#[cfg(test)]
pub(crate) use dialect::{Operation, Refusal, RefusalClass};
pub(crate) use download::excerpt::Excerpt;
pub(crate) use download::reading::{Reading, ReadingError, ResumePoint};
pub(crate) use error::PbxError;
#[cfg(test)]
pub(crate) use error::{HoldOff, TimeLimit, TransportError};
pub(crate) use inspect::{Inspection, RecordingSample};
pub(crate) use listing::ListKind;
pub(crate) use wire::body_end::{BodyEnd, StreamError};
pub(crate) use wire::pending_response::beginning;
pub(crate) use wire::probe::{Probe, ProbeConnection, ProbeError, ProbeLimits};

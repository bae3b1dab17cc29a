//! The lines of the audit log: what stands in each, and in which order.
//!
//! Knows the fields of every kind of line as JSON. Does not know files, hashes or who writes. The order of the fields is that
//! of the structs; what was written is read back as it was, whatever a later version adds.

use serde::{Deserialize, Serialize};

use super::chain::Hash;
use super::heads::SignedHead;
use super::heard::Audio;
use crate::auth::Principal;

/// The longest line that is read back; what is written is far shorter, since every text in it has a bound of its own.
pub(crate) const MAX_LINE_BYTES: usize = 64 * 1024;

/// Files that are told by name, so that the line is far shorter than that.
const MAX_NAMES: usize = 500;

/// One line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Line {
    /// Counts the lines over all files, from 1.
    pub(crate) seq: u64,
    /// The hash of the line before, which may stand in the file before; zeros for the first of all.
    pub(crate) prev: Hash,
    /// RFC 3339, UTC, to the millisecond: when it was written.
    pub(crate) time: String,
    #[serde(flatten)]
    pub(crate) record: Record,
}

/// What a line tells.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Record {
    /// A file begins.
    File(FileBegins),
    /// The gateway has started, or has taken over another configuration; or an issuer has published other keys.
    Start(Start),
    /// Somebody asked for something, and was or was not allowed it.
    Decision(Box<Decision>),
    /// What became of a request that was allowed.
    Delivery(Delivery),
    /// The gateway itself reads a recording, for no caller.
    SystemRead(SystemReadLine),
    /// Requests without a valid credential, of one address and one minute.
    Refused(Refused),
    /// What the log comes to up to the line before, signed.
    Head(SignedHead),
    /// The end of a file was no whole line, and was moved away.
    Repaired(Repaired),
    /// Nothing could be written for a while.
    Unwritten(Unwritten),
    /// Whole files were removed because of their age.
    Removed(Removed),
}

/// A file begins.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct FileBegins {
    /// The name of the file before, whose last line `prev` is the hash of; none for the first of all.
    pub(crate) previous: Option<String>,
}

/// What is in force from here on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Start {
    /// The program's version.
    pub(crate) version: String,
    /// SHA-256 of the policy's text, in hexadecimal.
    pub(crate) policy: String,
    /// SHA-256 of the set of keys by which callers are known: issuer, key id and algorithm of each, and the thumbprint (RFC 7638)
    /// of a public one. Nothing of a secret is in it.
    pub(crate) keys: String,
}

/// Who asked for what, and the answer to that.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Decision {
    /// The request's id, as in the access log and in the answer.
    pub(crate) id: String,
    /// The caller's address.
    pub(crate) source: String,
    pub(crate) issuer: String,
    pub(crate) subject: String,
    /// The kind: `bearer`, `link`, `session` or `sso`.
    pub(crate) credential: String,
    /// The claim `jti` of the credential, where it has one.
    pub(crate) jti: Option<String>,
    /// `listen`, `list` or `share`.
    pub(crate) action: String,
    pub(crate) method: String,
    pub(crate) pbx: String,
    /// The recording's name, as it is; none for a list.
    pub(crate) recording: Option<String>,
    /// The range that was asked for, cut where it is long.
    pub(crate) range: Option<String>,
    pub(crate) allowed: bool,
    /// The policies that made the decision.
    pub(crate) policies: Vec<String>,
    /// Why it was denied.
    pub(crate) reason: Option<String>,
    /// The claim `jti` of the link that is given out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) link: Option<String>,
}

impl Decision {
    /// Fills in the fields that tell who asks.
    pub(crate) fn tell_principal(&mut self, principal: &Principal) {
        principal.issuer().clone_into(&mut self.issuer);
        principal.subject().clone_into(&mut self.subject);
        let credential = principal.credential().kind().as_str();
        credential.clone_into(&mut self.credential);
        self.jti = principal.token_id().map(str::to_owned);
    }
}

/// How a request that was allowed ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Delivery {
    /// The request's id.
    pub(crate) id: String,
    /// The number of its decision line: an id that a proxy made need not be the only one of its kind.
    pub(crate) decision: u64,
    /// 0 where the caller left before an answer.
    pub(crate) status: u16,
    /// As in the access log.
    pub(crate) outcome: String,
    /// Where in the recording the delivered bytes begin; none where no body was sent.
    pub(crate) first: Option<u64>,
    /// Bytes of the body handed to the connection.
    pub(crate) bytes: u64,
    /// Where the audio stands in the recording; none where its header does not tell, and for MP3.
    pub(crate) audio: Option<Audio>,
    /// Milliseconds of audio in the delivered bytes.
    pub(crate) heard_ms: Option<u64>,
    /// Nothing told where the recording ends, and two readings of it agreed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) agreed_end: bool,
    /// Entries of a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rows: Option<usize>,
}

/// A read of a recording that no caller asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SystemReadLine {
    /// The reason: `doctor`.
    pub(crate) purpose: String,
    pub(crate) pbx: String,
    pub(crate) recording: String,
}

/// Requests without a valid credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refused {
    /// The address, or `others` for all those for which there was no room.
    pub(crate) source: String,
    /// The minute in which they came.
    pub(crate) minute: String,
    pub(crate) count: u64,
}

/// The end of a file was no whole line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Repaired {
    pub(crate) file: String,
    /// Bytes that were moved away.
    pub(crate) bytes: u64,
    /// Where to.
    pub(crate) moved_to: String,
}

/// Nothing could be written for a while.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Unwritten {
    pub(crate) since: String,
    /// How many decisions are missing: requests that were answered meanwhile, as `on_failure = "serve"` allows.
    pub(crate) decisions: u64,
}

/// Whole files were removed because of their age.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Removed {
    /// Their names, or the first [`MAX_NAMES`] of them.
    pub(crate) files: Vec<String>,
    /// How many more there were.
    #[serde(default)]
    pub(crate) further: usize,
}

impl Removed {
    /// Files of these names.
    pub(crate) fn of(mut files: Vec<String>) -> Self {
        let further = files.len().saturating_sub(MAX_NAMES);
        files.truncate(MAX_NAMES);
        Self { files, further }
    }
}

impl Line {
    /// Reads a line back, without its line end.
    ///
    /// # Errors
    /// When it is none.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }
}

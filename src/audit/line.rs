//! The lines of the audit log: their kinds and fields.
//!
//! Knows the fields of every kind of line as JSON. Does not know files, hashes or callers of the
//! log. The JSON fields stand in the order of the structs. Lines of an earlier version can be read
//! back: later versions only add fields.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::chain::Hash;
use super::heads::SignedHead;
use super::heard::AudioSpan;
use crate::auth::Principal;

/// Bound on a line that is read back. Written lines are far shorter, since every text in them has a
/// bound of its own.
pub(crate) const MAX_LINE_BYTES: usize = 64 * 1024;

/// Bound on the file names in one line.
const MAX_LISTED_FILES: usize = 500;

/// A word of a small set. It costs no memory unless it was read back.
type Word = Cow<'static, str>;

/// One line, as [`ChainLink::append`](super::chain::ChainLink::append) writes it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Line {
    /// Number of the line, counted over all files from 1.
    pub(crate) seq: u64,
    /// The hash of the line before, which may be in the file before; zeros for the first line of
    /// all.
    pub(crate) prev: Hash,
    /// When the line was written: RFC 3339, UTC, to the millisecond.
    pub(crate) time: String,
    #[serde(flatten)]
    pub(crate) record: LogRecord,
}

/// The kinds of lines.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum LogRecord {
    /// A file begins.
    File(FileRecord),
    /// The gateway has started or reloaded its configuration, or an issuer has published other
    /// keys.
    Start(StartRecord),
    /// A request was allowed or denied.
    Decision(Box<Decision>),
    /// A request that was allowed has ended.
    Delivery(Delivery),
    /// The gateway itself reads a recording, for no caller.
    SystemRead(SystemReadLine),
    /// Requests without a valid credential, from one address within one minute.
    Refused(RefusalCount),
    /// The signed hash of the line before.
    Head(SignedHead),
    /// The end of a file was no whole line, and was moved to another file.
    Repaired(RepairedEnd),
    /// Nothing could be written for a while.
    Unwritten(WriteGap),
    /// Whole files were removed because of their age.
    Removed(RemovedFiles),
}

/// A file begins.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct FileRecord {
    /// The name of the file before, whose last line has the hash `prev`; `None` for the first file
    /// of all.
    pub(crate) previous: Option<String>,
}

/// The policy and the keys that are in force from here on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StartRecord {
    /// The program's version.
    pub(crate) version: String,
    /// SHA-256 of the policy's text, in hexadecimal.
    pub(crate) policy: String,
    /// SHA-256 of the set of keys that verify callers: issuer, key id and algorithm of each, and
    /// the thumbprint (RFC 7638) of a public key. It contains nothing of a secret key.
    pub(crate) keys: String,
}

/// A request of a caller, and the decision.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Decision {
    /// The request's id, as in the access log and in the answer.
    pub(crate) id: Arc<str>,
    /// The caller's address.
    pub(crate) source: String,
    pub(crate) issuer: Arc<str>,
    pub(crate) subject: Arc<str>,
    /// The kind of credential: `bearer`, `link`, `session` or `sso`.
    pub(crate) credential: Word,
    /// The claim `jti` of the credential, where it has one.
    pub(crate) jti: Option<Arc<str>>,
    /// `listen`, `list` or `share`.
    pub(crate) action: Word,
    pub(crate) method: Word,
    pub(crate) pbx: Arc<str>,
    /// The recording's name, unmasked; `None` for a list.
    pub(crate) recording: Option<Arc<str>>,
    /// The `Range` header of the request, cut where it is long.
    pub(crate) range: Option<String>,
    pub(crate) allowed: bool,
    /// The policies that made the decision.
    pub(crate) policies: Vec<Arc<str>>,
    /// Why the request was denied.
    pub(crate) reason: Option<String>,
    /// The claim `jti` of the link that the answer contains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) link: Option<String>,
}

impl Decision {
    /// Fills in the fields about the caller.
    pub(crate) fn tell_principal(&mut self, principal: &Principal) {
        self.issuer = Arc::clone(principal.shared_issuer());
        self.subject = Arc::clone(principal.shared_subject());
        self.credential = principal.credential().kind().as_str().into();
        self.jti = principal.shared_token_id();
    }
}

/// How a request that was allowed ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Delivery {
    /// The request's id.
    pub(crate) id: Arc<str>,
    /// The number of its decision line. The id alone does not tell: a proxy may send one id twice.
    pub(crate) decision: u64,
    /// 0 where the caller left before an answer.
    pub(crate) status: u16,
    /// The outcome, as in the access log.
    pub(crate) outcome: Word,
    /// Offset in the recording of the first delivered byte; `None` where no body was sent.
    pub(crate) first: Option<u64>,
    /// Bytes of the body handed to the connection.
    pub(crate) bytes: u64,
    /// The audio in the recording; `None` where the header does not tell, and for MP3.
    pub(crate) audio: Option<AudioSpan>,
    /// Milliseconds of audio in the delivered bytes.
    pub(crate) heard_ms: Option<u64>,
    /// The PBX and the header told no end, and two readings agreed on one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) agreed_end: bool,
    /// Number of entries of a list.
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
pub(crate) struct RefusalCount {
    /// The address, or `others` for all addresses beyond the bound.
    pub(crate) source: String,
    /// The minute in which the requests came.
    pub(crate) minute: String,
    pub(crate) count: u64,
}

/// Bytes at the end of a file that were no whole line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RepairedEnd {
    pub(crate) file: String,
    /// Number of bytes that were moved.
    pub(crate) bytes: u64,
    /// The file that holds them now.
    pub(crate) moved_to: String,
}

/// Nothing could be written for a while.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct WriteGap {
    pub(crate) since: String,
    /// How many decisions have no line: requests that were answered meanwhile, as `on_failure =
    /// "serve"` allows.
    pub(crate) decisions: u64,
}

/// Whole files were removed because of their age.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RemovedFiles {
    /// Names of the files, or of the first [`MAX_LISTED_FILES`] of them.
    pub(crate) files: Vec<String>,
    /// How many more files were removed.
    #[serde(default)]
    pub(crate) further: usize,
}

impl RemovedFiles {
    /// The line for files of these names.
    pub(crate) fn of(mut files: Vec<String>) -> Self {
        let further = files.len().saturating_sub(MAX_LISTED_FILES);
        files.truncate(MAX_LISTED_FILES);
        Self { files, further }
    }
}

impl Line {
    /// Parses a line, given without its line end.
    ///
    /// # Errors
    /// When the bytes are no line.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }
}

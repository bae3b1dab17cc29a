//! The end of a body, and the sign that tells it.
//!
//! Knows the signs that HTTP gives (RFC 9112, section 6.3), the one in a recording's own header,
//! and the one that two passes over a recording give. Does not know bytes. Pure.

use bytes::Bytes;
use thiserror::Error;

/// The end of a body, by the sign that tells it. One type from the head of the answer to the
/// metadata of the recording, so that every part says the same about how sure an end is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyEnd {
    /// At this byte, by `Content-Length`. The connection counts the bytes and reports a body
    /// that is short.
    ContentLength(u64),
    /// At this byte, where an earlier reading of the same recording ended.
    EarlierLength(u64),
    /// At this byte, by the length in the RIFF header: the body ended on purpose, and just there.
    RiffLength(u64),
    /// At this byte, where two passes ended on purpose, with the same content.
    TwoPasses(u64),
    /// At the last chunk.
    LastChunk,
    /// At the end of the connection. With TLS, close_notify tells it; without close_notify, the
    /// answer of a process that died ends in the same way.
    Close { notified: bool },
}

impl BodyEnd {
    /// The byte at which the body ends. `None` for a sign that ends a cut body just as well as a
    /// whole one: a server that fails may send a last chunk or close the connection.
    pub(crate) fn length(self) -> Option<u64> {
        match self {
            Self::ContentLength(length)
            | Self::EarlierLength(length)
            | Self::RiffLength(length)
            | Self::TwoPasses(length) => Some(length),
            Self::LastChunk | Self::Close { .. } => None,
        }
    }

    /// The end of a part of a recording, counted from the start of the recording.
    pub(in crate::pbx) fn behind(self, start: u64) -> Self {
        match self {
            Self::ContentLength(length) => Self::ContentLength(start.saturating_add(length)),
            other => other,
        }
    }

    /// Returns true if HTTP or TLS tells the end, and not just a connection that closes.
    pub(in crate::pbx) fn is_told(self) -> bool {
        self != Self::Close { notified: false }
    }
}

/// The next part of a body.
pub(in crate::pbx) enum BodyPart {
    Bytes(Bytes),
    End(BodyEnd),
}

/// Why a body broke off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum StreamError {
    #[error("the PBX's connection broke")]
    Broken,
    #[error("the PBX ended the recording before its end")]
    Truncated,
    #[error("the PBX sent nothing for too long")]
    Stalled,
}

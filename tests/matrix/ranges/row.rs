//! One request for a recording, and its expected answer.
//!
//! Knows how the rows of the table are written. Does not send them, and does not check answers.

use std::sync::LazyLock;

use bytes::Bytes;
use http::Method;
use wavegate::simulator::wav;

/// The length of every recording in the table: several blocks of memory, and a piece of one.
pub(super) const LENGTH: u64 = 200_308;
pub(super) const LAST: u64 = LENGTH - 1;
/// The bytes that arrive of a recording whose end does not come.
pub(super) const HELD_AT: u64 = 100_000;

/// The bytes of each recording.
pub(super) fn recording() -> Bytes {
    static RECORDING: LazyLock<Bytes> =
        LazyLock::new(|| wav::pcm_of_size(usize::try_from(LENGTH).unwrap()));
    RECORDING.clone()
}

/// The start of the call of a recording whose name has a time.
pub(super) const SAME: &str = "Mon, 02 Mar 2026 09:14:05 GMT";

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub(super) how: How,
    /// Whether the recording's name has the start of its call.
    pub(super) is_dated: bool,
    /// The header fields, one per line, with the placeholders of [`Row::fields`].
    lines: &'static str,
    /// The answer where the length is known, or comes soon.
    pub(super) known: Answer,
    /// The answer while the length is not known and does not come.
    pub(super) unknown: Answer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    Get,
    Head,
    /// GET with HTTP/1.0.
    OldGet,
    /// HEAD with HTTP/1.0.
    OldHead,
}

/// The expected answer to a request.
#[derive(Debug, Clone, Copy)]
pub(super) enum Answer {
    /// 200 with all bytes.
    Whole,
    /// 200 without a body.
    Head,
    /// 206 with the bytes from the first to the last of these, and the length of the whole.
    Part(u64, u64),
    /// 206 from the first of these up to the second at most: as far as was read. The answer has the
    /// length of the whole only if all was read.
    Read(u64, u64),
    /// 304.
    NotModified,
    /// 412.
    Failed,
    /// 416 with the length.
    Beyond,
    /// 505: HTTP/1.0 cannot do without a length.
    NoLength,
    /// No answer until the PBX continues, and then this one.
    Late(&'static Answer),
}

pub(super) const fn get(lines: &'static str, known: Answer, unknown: Answer) -> Row {
    Row {
        how: How::Get,
        is_dated: true,
        lines,
        known,
        unknown,
    }
}

pub(super) const fn head(lines: &'static str, known: Answer, unknown: Answer) -> Row {
    Row {
        how: How::Head,
        ..get(lines, known, unknown)
    }
}

/// GET with HTTP/1.0.
pub(super) const fn old_get(lines: &'static str, known: Answer, unknown: Answer) -> Row {
    Row {
        how: How::OldGet,
        ..get(lines, known, unknown)
    }
}

/// HEAD with HTTP/1.0.
pub(super) const fn old_head(lines: &'static str, known: Answer, unknown: Answer) -> Row {
    Row {
        how: How::OldHead,
        ..get(lines, known, unknown)
    }
}

/// GET for a recording whose name has no time.
pub(super) const fn undated(lines: &'static str, known: Answer, unknown: Answer) -> Row {
    Row {
        is_dated: false,
        ..get(lines, known, unknown)
    }
}

impl Row {
    pub(super) fn method(&self) -> Method {
        match self.how {
            How::Get | How::OldGet => Method::GET,
            How::Head | How::OldHead => Method::HEAD,
        }
    }

    pub(super) fn is_old(&self) -> bool {
        matches!(self.how, How::OldGet | How::OldHead)
    }

    /// Names and values of its header fields, for a recording with this tag.
    pub(super) fn fields(&self, tag: &str) -> Vec<(String, String)> {
        let lines = [
            ("{tag}", tag.to_owned()),
            ("{bare}", tag.trim_matches('"').to_owned()),
            ("{before}", (LAST - 1).to_string()),
            ("{last}", LAST.to_string()),
            ("{length}", LENGTH.to_string()),
            ("{beyond}", (LENGTH + 1).to_string()),
            ("{other}", "\"other\"".to_owned()),
            ("{third}", "\"third\"".to_owned()),
            ("{older}", "Mon, 02 Mar 2026 09:14:04 GMT".to_owned()),
            ("{same}", SAME.to_owned()),
            ("{newer}", "Mon, 02 Mar 2026 09:14:06 GMT".to_owned()),
            // The other two forms of RFC 9110 §5.6.7.
            ("{older-850}", "Monday, 02-Mar-26 09:14:04 GMT".to_owned()),
            ("{same-850}", "Monday, 02-Mar-26 09:14:05 GMT".to_owned()),
            ("{same-asctime}", "Mon Mar  2 09:14:05 2026".to_owned()),
        ]
        .iter()
        .fold(self.lines.to_owned(), |lines, (name, value)| {
            lines.replace(name, value)
        });
        assert!(!lines.contains('{'), "{self:?}");
        let field = |line: &str| {
            let (name, value) = line.split_once(':').unwrap();
            let value = value.strip_prefix(' ').unwrap_or(value);
            (name.to_owned(), value.to_owned())
        };
        lines.lines().map(field).collect()
    }
}

impl Answer {
    /// Whether the answer contains bytes of the recording.
    pub(super) fn has_bytes(self) -> bool {
        match self {
            Self::Whole | Self::Part(..) | Self::Read(..) => true,
            Self::Late(answer) => answer.has_bytes(),
            Self::Head | Self::NotModified | Self::Failed | Self::Beyond | Self::NoLength => false,
        }
    }
}

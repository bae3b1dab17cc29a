//! Replies of the box, before they become bytes.
//!
//! Knows the body and header fields of each reply, and the switches that change them. Does not know
//! the reason for a reply, or connections.
//!
//! Source: Yeastar, "S-Series API Guide", "Acquire Auto Recording files" and "Download CDR". They
//! show no header fields of a download and no download that fails. So the type, the length and the
//! form of errors are assumptions, with switches.

use bytes::Bytes;

use super::csv::CdrTable;
use super::errno::Errno;
use super::range::RequestedPart;
use super::switch::{Switch, Switches};

mod text;

pub(super) use text::reason;
use text::{LOGIN_PAGE, boa_page, failed, success};

/// The bound on bytes that [`ReplyBody::chunk`] returns.
const CHUNK_BYTES: usize = 64 * 1024;
/// The length of the JSON that is never closed.
const HUGE_BYTES: u64 = 10 * 1024 * 1024;
/// Bytes that are neither JSON nor audio nor a page.
const GARBAGE: &[u8] =
    b"\x00\x7f\xfe\x01%%\x93 neither JSON nor audio \xc3\x28\x00\x00\x1b\xff\xff\x02\r\n\r\n\x00";

/// The reply of the box to a request.
pub(super) enum Reply {
    /// Success, with these fields after `status`.
    Success(Vec<(&'static str, String)>),
    Failed(Errno),
    /// A download failed. The form of this reply is not documented.
    DownloadFailed(Errno),
    /// A `cdr/download` failed.
    CdrFailed(Errno),
    /// The page of the web server for a status.
    Page(u16),
    /// The login page of the web interface.
    LoginPage,
    Empty(u16),
    /// A redirect, 302, to this URL.
    Redirect(String),
    Json(&'static str),
    /// JSON of the P-Series.
    Written(String),
    /// JSON of the P-Series in place of a file. The form of this reply is not documented.
    FileRefused(String),
    /// A file of the P-Series, and the media type that follows from its address.
    File(OutgoingRecording, &'static str),
    Garbage,
    HugeJson,
    Recording(OutgoingRecording),
    Cdr(CdrTable),
}

/// A recording, or a part of it, to send.
pub(super) struct OutgoingRecording {
    pub(super) name: String,
    pub(super) bytes: Bytes,
    pub(super) part: RequestedPart,
    pub(super) opened_by: DownloadSecrets,
}

/// The ticket and the token that opened a download.
pub(super) struct DownloadSecrets {
    pub(super) random: String,
    pub(super) token: String,
}

/// A reply with its status, header fields and body.
pub(super) struct RenderedReply {
    pub(super) status: u16,
    pub(super) content_type: Option<&'static str>,
    pub(super) fields: Vec<(&'static str, String)>,
    pub(super) body: ReplyBody,
    /// True if the head announces the length even if the connection closes afterwards.
    pub(super) with_length: bool,
    /// Set if the body is a recording.
    pub(super) opened_by: Option<DownloadSecrets>,
    /// Set if the body is a CDR: the position after each of its rows.
    pub(super) row_ends: Option<Vec<u64>>,
}

/// The bytes of a reply.
pub(super) enum ReplyBody {
    Bytes(Bytes),
    /// JSON of [`HUGE_BYTES`] that is never closed; the value is a chunk of its content.
    HugeJson(Bytes),
}

impl ReplyBody {
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::HugeJson(_) => HUGE_BYTES,
        }
    }

    /// Returns at most `limit` bytes from `position` on, without a copy.
    pub(super) fn chunk(&self, position: u64, limit: u64) -> Bytes {
        let (bytes, start) = match self {
            Self::Bytes(bytes) => (bytes, usize::try_from(position).unwrap_or(usize::MAX)),
            Self::HugeJson(_) if position == 0 => {
                (&Bytes::from_static(br#"{"status":"Success","random":""#), 0)
            }
            Self::HugeJson(filling) => (filling, 0),
        };
        let limit = usize::try_from(limit)
            .unwrap_or(usize::MAX)
            .min(CHUNK_BYTES);
        let end = start.saturating_add(limit).min(bytes.len());
        bytes.slice(start.min(end)..end)
    }
}

impl Reply {
    /// Moves the requested range one byte to the front, unless it begins at 0.
    pub(super) fn earlier(mut self) -> Self {
        if let Self::File(OutgoingRecording { part, .. }, _)
        | Self::Recording(OutgoingRecording { part, .. }) = &mut self
            && let RequestedPart::Range(first @ 1.., end) = *part
        {
            *part = RequestedPart::Range(first - 1, end - 1);
        }
        self
    }

    /// Gives the reply the form that the switches choose.
    pub(super) fn render(self, switches: &Switches) -> RenderedReply {
        match self {
            Self::Success(fields) => json(success(&fields, switches), switches),
            Self::Failed(errno) => json(failed(&errno, switches), switches),
            Self::DownloadFailed(errno) => download_failed(failed(&errno, switches), switches),
            Self::CdrFailed(_) if switches.has(Switch::CdrErrorsAreHtml) => {
                page(200, LOGIN_PAGE.to_owned())
            }
            Self::CdrFailed(errno) => json(failed(&errno, switches), switches),
            Self::FileRefused(text) => download_failed(text, switches),
            Self::Page(status) => page(status, boa_page(status)),
            Self::LoginPage => page(200, LOGIN_PAGE.to_owned()),
            Self::Empty(status) => RenderedReply::new(status, None, Bytes::new()),
            Self::Redirect(location) => {
                let mut answer = page(302, boa_page(302));
                answer.fields.push(("Location", location));
                answer
            }
            Self::Json(text) => json(text.to_owned(), switches),
            Self::Written(text) => json(text, switches),
            Self::Garbage => RenderedReply::new(200, None, Bytes::from_static(GARBAGE)),
            Self::HugeJson => {
                let mut answer = json(String::new(), switches);
                answer.body = ReplyBody::HugeJson(Bytes::from(vec![b'a'; CHUNK_BYTES]));
                answer
            }
            Self::Recording(playback) => playback.render(switches),
            Self::Cdr(table) => {
                let mut answer =
                    RenderedReply::new(200, Some("application/octet-stream"), table.bytes);
                answer.with_length = switches.has(Switch::CdrWithLength);
                answer.row_ends = Some(table.row_ends);
                answer
            }
            Self::File(playback, kind) => {
                let mut answer = playback.render(switches);
                let typed = [
                    Switch::DownloadTypeOctetStream,
                    Switch::DownloadTypeWav,
                    Switch::DownloadWithoutType,
                ];
                if !typed.iter().any(|switch| switches.has(*switch)) {
                    answer.content_type = Some(kind);
                }
                answer.with_length |= !switches.has(Switch::DownloadWithoutLength);
                answer
            }
        }
    }
}

impl RenderedReply {
    fn new(status: u16, content_type: Option<&'static str>, bytes: Bytes) -> Self {
        let body = ReplyBody::Bytes(bytes);
        Self {
            status,
            content_type,
            fields: Vec::new(),
            body,
            with_length: false,
            opened_by: None,
            row_ends: None,
        }
    }
}

fn json(text: String, switches: &Switches) -> RenderedReply {
    let mut answer = RenderedReply::new(200, Some("application/json"), Bytes::from(text));
    answer.with_length = switches.has(Switch::JsonWithLength);
    answer
}

fn page(status: u16, text: String) -> RenderedReply {
    RenderedReply::new(
        status,
        Some("text/html; charset=ISO-8859-1"),
        Bytes::from(text),
    )
}

fn download_failed(text: String, switches: &Switches) -> RenderedReply {
    if switches.has(Switch::DownloadErrorsAre404Html) {
        page(404, boa_page(404))
    } else if switches.has(Switch::DownloadErrorsAre403Html) {
        page(403, boa_page(403))
    } else if switches.has(Switch::DownloadErrorsAreEmpty) {
        RenderedReply::new(200, None, Bytes::new())
    } else {
        json(text, switches)
    }
}

impl OutgoingRecording {
    fn render(self, switches: &Switches) -> RenderedReply {
        let whole = self.bytes.len();
        let (status, bytes, range) = match self.part {
            RequestedPart::Whole => (200, self.bytes, None),
            RequestedPart::Range(first, end) => (
                206,
                self.bytes.slice(first..end),
                Some(format!("{first}-{}", end - 1)),
            ),
            RequestedPart::Unsatisfiable => (416, Bytes::new(), Some("*".to_owned())),
        };
        let mut answer = RenderedReply::new(status, recording_type(switches), bytes);
        if let Some(range) = range {
            answer
                .fields
                .push(("Content-Range", format!("bytes {range}/{whole}")));
            answer.with_length = true;
        }
        if switches.has(Switch::DownloadWithDisposition) {
            let value = format!("attachment; filename=\"{}\"", self.name);
            answer.fields.push(("Content-Disposition", value));
        }
        answer.with_length |= switches.has(Switch::DownloadWithLength);
        answer.opened_by = (status != 416).then_some(self.opened_by);
        answer
    }
}

fn recording_type(switches: &Switches) -> Option<&'static str> {
    if switches.has(Switch::DownloadWithoutType) {
        None
    } else if switches.has(Switch::DownloadTypeAudio) {
        Some("audio/x-wav")
    } else if switches.has(Switch::DownloadTypeWav) {
        Some("audio/wav")
    } else {
        Some("application/octet-stream")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_a_whole_body() {
        let body = ReplyBody::Bytes(Bytes::from(vec![7; 100_000]));
        assert_eq!(body.chunk(0, u64::MAX).len(), 65_536);
        assert_eq!(body.chunk(65_536, u64::MAX).len(), 34_464);
        assert_eq!(body.chunk(100, 10).len(), 10);
        assert!(body.chunk(100_000, 10).is_empty());
    }
}

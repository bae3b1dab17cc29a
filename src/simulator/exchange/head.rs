//! The head of an answer: status line and header fields.
//!
//! Knows which header fields a box sends, their order and their letter case. Does not know bodies.
//!
//! Source: the samples in Yeastar, "S-Series API 2.0" and "Cloud PBX API 2.0", "Heartbeat", have
//! the full set of fields. Those in Yeastar, "S-Series API Guide", "Acquire Auto Recording files",
//! have only the Access-control lines. Files of a P-Series have none of these, as its clients in
//! browsers report. The order is that of Boa 0.94.14, src/response.c. Boa's Date is left out,
//! because no sample has it.

use crate::simulator::generation::Api;
use crate::simulator::pbx::PbxState;
use crate::simulator::reply::{RenderedReply, reason};
use crate::simulator::switch::Switch;

/// The message framing of an answer, and whether the connection stays open after it.
#[derive(Clone, Copy)]
pub(super) struct ReplyFraming {
    pub(super) length: Option<u64>,
    /// The body is sent in chunks, so that the last chunk marks its end.
    pub(super) is_chunked: bool,
    pub(super) stays_open: bool,
}

/// Writes the head of an answer, with the fields in Boa's order.
pub(super) fn head(
    pbx: &PbxState,
    answer: &RenderedReply,
    minor: u8,
    framing: ReplyFraming,
) -> Vec<u8> {
    let mut text = format!(
        "HTTP/1.{minor} {} {}\r\n",
        answer.status,
        reason(answer.status)
    );
    let mut field = |name: &str, value: &str| {
        text.extend([name, ": ", value, "\r\n"]);
    };
    let by_default = match pbx.api {
        Api::SSeries200 | Api::Cloud110 | Api::Cloud200 => !pbx.has(Switch::MinimalHeaders),
        Api::SSeries101 | Api::SSeries110 | Api::PSeries => false,
    };
    let cross_origin = pbx.api != Api::PSeries;
    let full = by_default || pbx.has(Switch::FullBoaHeaders);
    if full {
        field("Server", "Boa/0.94.14rc21");
        field("Accept-Ranges", "bytes");
    }
    if framing.stays_open {
        field("Connection", "keep-alive");
    } else if !pbx.has(Switch::CloseUnannounced) {
        field("Connection", "close");
    }
    if let Some(length) = framing.length {
        field("Content-Length", &length.to_string());
    }
    if framing.is_chunked {
        field("Transfer-Encoding", "chunked");
    }
    // The samples with few fields give JSON no type. So only this type depends on the set of
    // fields; all other types are always sent.
    if let Some(kind) = answer
        .content_type
        .filter(|kind| full || !cross_origin || *kind != "application/json")
    {
        field("Content-Type", kind);
    }
    for (name, value) in &answer.fields {
        field(name, value);
    }
    if cross_origin {
        field("Access-control-allow-origin", "*");
        field(
            "Access-control-allow-methods",
            "GET, POST, OPTIONS, PUT, DELETE",
        );
    }
    text.push_str("\r\n");
    text.into_bytes()
}

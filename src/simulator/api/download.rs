//! `recording/download`: sends a recording for a ticket.
//!
//! Knows the conditions for the bytes. Does not know how they are sent.
//!
//! Source: Yeastar, "S-Series API Guide", "Acquire Auto Recording files". Not documented: the form
//! of errors, which of several errors is answered, and whether `Range` and HEAD work. Published
//! clients send `cdr/download` as POST as well as GET, so this call accepts both.

use std::net::IpAddr;

use crate::simulator::errno::Errno;
use crate::simulator::pbx::{PbxState, lock};
use crate::simulator::range::{self, RequestedPart};
use crate::simulator::reply::{DownloadSecrets, OutgoingRecording, Reply};
use crate::simulator::request::ParsedRequest;
use crate::simulator::switch::Switch;
use crate::simulator::tickets::{TicketClaim, TicketRefusal};

pub(super) fn answer(pbx: &PbxState, request: &ParsedRequest, peer: IpAddr) -> Reply {
    if !matches!(&*request.method, "GET" | "HEAD" | "POST") {
        return Reply::DownloadFailed(Errno::NOT_POST);
    }
    if request.field("range").is_some() {
        pbx.ledger.note(|seen| seen.range_headers_seen += 1);
    }
    let parameter = |name| request.parameter(name, &pbx.switches);
    let (name, random, token) = (
        parameter("recording"),
        parameter("random"),
        parameter("token"),
    );
    // The ticket is spent first, whatever else is wrong with the request.
    let spent = pbx.spend(
        &random,
        &TicketClaim {
            purpose: &name,
            token: &token,
            peer,
        },
    );
    if spent == Err(TicketRefusal::OtherAddress) && pbx.has(Switch::WrongAddressIs403Html) {
        return Reply::Page(403);
    }
    match recording(pbx, &name, &token, spent) {
        Ok(bytes) => {
            let part = requested_part(pbx, request, bytes.len());
            Reply::Recording(OutgoingRecording {
                name,
                bytes,
                part,
                opened_by: DownloadSecrets { random, token },
            })
        }
        Err(errno) => Reply::DownloadFailed(errno),
    }
}

fn recording(
    pbx: &PbxState,
    name: &str,
    token: &str,
    spent: Result<(), TicketRefusal>,
) -> Result<bytes::Bytes, Errno> {
    pbx.token(token, !pbx.has(Switch::DownloadDoesNotProlong))?;
    if name.trim().is_empty() {
        return Err(Errno::PARAMETER_BLANK);
    }
    spent.map_err(|_| Errno::BAD_RANDOM)?;
    let grows = pbx.has(Switch::GrowingFile);
    let bytes = lock(&pbx.recordings)
        .serve(name, grows)
        .ok_or(Errno::NO_SUCH_RECORDING)?;
    if pbx.has(Switch::FilesDeleted) {
        Err(Errno::DELETED)
    } else {
        Ok(bytes)
    }
}

/// Returns the part of a recording that a request gets: the whole recording, unless the box honors
/// ranges.
pub(in crate::simulator) fn requested_part(
    pbx: &PbxState,
    request: &ParsedRequest,
    length: usize,
) -> RequestedPart {
    match request.field("range") {
        Some(range) if pbx.has(Switch::HonoursRange) && request.field("if-range").is_none() => {
            range::requested_part(range, length)
        }
        _ => RequestedPart::Whole,
    }
}

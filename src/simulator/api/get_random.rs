//! `recording/get_random`: issues the ticket for one download.
//!
//! Knows which address and token the ticket is bound to, and the switches for files that do not
//! exist. Does not know how the ticket is used.
//!
//! Source: Yeastar, "S-Series API Guide", "Acquire Auto Recording files". API 1.0.1 does not define
//! `allowedip`: the field is ignored there, so only the requester may download.

use std::net::IpAddr;
use std::time::Instant;

use super::{ReplyFields, new_secret, object, text};
use crate::simulator::errno::Errno;
use crate::simulator::generation::Api;
use crate::simulator::pbx::{PbxState, lock};
use crate::simulator::request::ParsedRequest;
use crate::simulator::switch::Switch;
use crate::simulator::tickets::IssuedTicket;

/// The first request that finds a recording under [`Switch::LateFile`].
const REQUEST_THAT_FINDS_LATE_FILE: u32 = 3;

pub(super) fn answer(
    pbx: &PbxState,
    request: &ParsedRequest,
    peer: IpAddr,
) -> Result<ReplyFields, Errno> {
    let token = request.parameter("token", &pbx.switches);
    let login_peer = pbx.token(&token, true)?.login_peer;
    let body = object(&request.body)?;
    let allowed = body.get("allowedip").map(|_| text(&body, "allowedip"));
    pbx.ledger.allowed_ip(allowed.clone());
    let recording = text(&body, "recording");
    if recording.trim().is_empty() {
        return Err(blank_name(pbx));
    }
    if allowed.is_some() && pbx.has(Switch::AllowedIpIs30001) {
        return Err(Errno::INTERNAL);
    }
    check_present(pbx, &recording)?;

    let random = new_secret(pbx)?;
    let ticket = IssuedTicket {
        purpose: recording.clone(),
        requester: if pbx.has(Switch::RequesterIsLoginPeer) {
            login_peer
        } else {
            peer
        },
        allowed: allowed
            .filter(|_| pbx.api != Api::SSeries101)
            .and_then(|ip| ip.trim().parse().ok()),
        token: pbx.has(Switch::TokenBoundRandom).then_some(token),
        issued: Instant::now(),
    };
    lock(&pbx.tickets).add(&random, ticket);
    pbx.ledger.ticket(&recording);
    Ok(fields(pbx, recording, random))
}

/// Counts a request for its recording and returns true for the first one. Only the switches that
/// refuse first requests use it.
pub(super) fn is_first_request(pbx: &PbxState, request: &ParsedRequest) -> bool {
    let name = object(&request.body).map(|body| text(&body, "recording"));
    name.is_ok_and(|name| lock(&pbx.recordings).count_request(&name) == Some(1))
}

fn blank_name(pbx: &PbxState) -> Errno {
    if pbx.has(Switch::BlankNameIs20007) {
        Errno::DATA_BLANK
    } else {
        Errno::PARAMETER_BLANK
    }
}

fn check_present(pbx: &PbxState, recording: &str) -> Result<(), Errno> {
    let request_number = lock(&pbx.recordings).count_request(recording);
    let first = request_number == Some(1);
    if pbx.has(Switch::InternalError20010Always) || (first && pbx.has(Switch::InternalError20010)) {
        return Err(Errno::NOT_PASSED_ON);
    }
    if pbx.has(Switch::InternalError30001Always) || (first && pbx.has(Switch::InternalError30001)) {
        return Err(Errno::INTERNAL);
    }
    match request_number {
        Some(request_number)
            if request_number < REQUEST_THAT_FINDS_LATE_FILE && pbx.has(Switch::LateFile) =>
        {
            Err(Errno::NO_SUCH_RECORDING)
        }
        Some(_) if pbx.has(Switch::FilesDeleted) => Err(Errno::DELETED),
        None if !pbx.has(Switch::RandomForUnknownName) => Err(Errno::NO_SUCH_RECORDING),
        Some(_) | None => Ok(()),
    }
}

fn fields(pbx: &PbxState, recording: String, random: String) -> ReplyFields {
    let mut fields = Vec::new();
    if !pbx.has(Switch::NoRecordingEcho) {
        fields.push(("recording", recording));
    }
    if pbx.has(Switch::BlankRandomField) {
        fields.push(("random", String::new()));
    } else if !pbx.has(Switch::MissingRandomField) {
        fields.push(("random", random));
    }
    fields
}

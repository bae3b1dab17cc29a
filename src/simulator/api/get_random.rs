//! `recording/get_random`: the one-time string for one download.
//!
//! Knows whom it is made out to, and the switches for files that are not there. Does not know what
//! becomes of it.
//!
//! Source: Yeastar, "S-Series API Guide", "Acquire Auto Recording files". API 1.0.1 does not define
//! `allowedip`; it is ignored there, so that only the requester may download.

use std::net::IpAddr;
use std::time::Instant;

use super::{Fields, new_secret, object, text};
use crate::simulator::errno::Errno;
use crate::simulator::generation::Api;
use crate::simulator::pbx::{Pbx, lock};
use crate::simulator::request::Request;
use crate::simulator::switch::Switch;
use crate::simulator::tickets::Ticket;

const ASKS_UNTIL_THERE: u32 = 3;

pub(super) fn answer(pbx: &Pbx, request: &Request, peer: IpAddr) -> Result<Fields, Errno> {
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
    is_there(pbx, &recording)?;

    let random = new_secret(pbx)?;
    let ticket = Ticket {
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

/// Counts a request as the first for its recording, under the switch that refuses those.
pub(super) fn is_first_ask(pbx: &Pbx, request: &Request) -> bool {
    let name = object(&request.body).map(|body| text(&body, "recording"));
    name.is_ok_and(|name| lock(&pbx.shelf).ask(&name) == Some(1))
}

fn blank_name(pbx: &Pbx) -> Errno {
    if pbx.has(Switch::BlankNameIs20007) {
        Errno::DATA_BLANK
    } else {
        Errno::PARAMETER_BLANK
    }
}

fn is_there(pbx: &Pbx, recording: &str) -> Result<(), Errno> {
    let asked = lock(&pbx.shelf).ask(recording);
    let first = asked == Some(1);
    if pbx.has(Switch::InternalError20010Always) || (first && pbx.has(Switch::InternalError20010)) {
        return Err(Errno::NOT_PASSED_ON);
    }
    if pbx.has(Switch::InternalError30001Always) || (first && pbx.has(Switch::InternalError30001)) {
        return Err(Errno::INTERNAL);
    }
    match asked {
        Some(asked) if asked < ASKS_UNTIL_THERE && pbx.has(Switch::LateFile) => {
            Err(Errno::NO_SUCH_RECORDING)
        }
        Some(_) if pbx.has(Switch::FilesDeleted) => Err(Errno::DELETED),
        None if !pbx.has(Switch::RandomForUnknownName) => Err(Errno::NO_SUCH_RECORDING),
        Some(_) | None => Ok(()),
    }
}

fn fields(pbx: &Pbx, recording: String, random: String) -> Fields {
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

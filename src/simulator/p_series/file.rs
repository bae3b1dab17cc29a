//! The file behind an address, for an access token.
//!
//! Knows the conditions for the bytes. Does not know how they are sent.
//!
//! Source: Yeastar, "P-Series Developer Guide", "Download a Recording File". The answers to
//! failures are not documented. Published clients know JSON and, from remote-access hosts, the
//! login page; both have status 200.

use std::net::IpAddr;
use std::time::Instant;

use bytes::Bytes;

use super::errcode::{Errcode, PSeriesFailure};
use super::resources::media_type;
use super::{PSeriesCall, admit, authorized};
use crate::simulator::api::download::requested_part;
use crate::simulator::pbx::{PbxState, lock};
use crate::simulator::reply::{DownloadSecrets, OutgoingRecording, Reply};
use crate::simulator::request::ParsedRequest;
use crate::simulator::switch::Switch;
use crate::simulator::tickets::TicketRefusal;

pub(super) fn answer(pbx: &PbxState, request: &ParsedRequest, peer: IpAddr) -> Reply {
    if request.field("range").is_some() {
        pbx.ledger.note(|seen| seen.range_headers_seen += 1);
    }
    match fetch(pbx, request, peer) {
        Ok(playback) => Reply::File(playback, media_type(request.path())),
        Err(failure)
            if failure.errcode == Errcode::TOKEN_EXPIRED && pbx.has(Switch::RasLoginShell) =>
        {
            Reply::LoginPage
        }
        Err(failure) => Reply::FileRefused(failure.text(&pbx.switches)),
    }
}

fn fetch(
    pbx: &PbxState,
    request: &ParsedRequest,
    peer: IpAddr,
) -> Result<OutgoingRecording, PSeriesFailure> {
    admit(pbx, PSeriesCall::File, request, peer)?;
    let token = request.parameter("access_token", &pbx.switches);
    // The address is used first, whatever else is wrong with the request.
    let opened = open(pbx, request.path(), &token);
    authorized(pbx, request)?;
    let name = opened.map_err(|_| Errcode::NOT_FOUND)?;
    if pbx.has(Switch::TokenDiesBetween) && lock(&pbx.p_series.first_fetches).insert(name.clone()) {
        pbx.kill_token(&token);
        return Err(Errcode::TOKEN_EXPIRED.into());
    }
    let bytes = bytes(pbx, &name)?;
    let part = requested_part(pbx, request, bytes.len());
    let random = request.path().to_owned();
    Ok(OutgoingRecording {
        name,
        bytes,
        part,
        opened_by: DownloadSecrets { random, token },
    })
}

/// Uses an address and counts the result. Returns the name of the recording.
fn open(pbx: &PbxState, path: &str, token: &str) -> Result<String, TicketRefusal> {
    let once = pbx.has(Switch::ResourceUrlSingleUse);
    let address_use = lock(&pbx.p_series.resources).use_address(path, token, once, Instant::now());
    pbx.ledger.note(|seen| {
        seen.tickets_used_twice += u64::from(address_use.again);
        match &address_use.opened {
            Ok((_, age)) => {
                seen.tickets_used += 1;
                seen.oldest_ticket_used = seen.oldest_ticket_used.max(*age);
            }
            Err(_) => seen.tickets_refused += 1,
        }
    });
    address_use.opened.map(|(recording, _)| recording)
}

fn bytes(pbx: &PbxState, name: &str) -> Result<Bytes, PSeriesFailure> {
    let grows = pbx.has(Switch::GrowingFile);
    let bytes = lock(&pbx.recordings).serve(name, grows);
    let there = bytes.filter(|_| !pbx.has(Switch::FilesDeleted));
    there.ok_or_else(|| Errcode::NOT_FOUND.into())
}

//! `recording/download`: issues the address of a file.
//!
//! Knows how a request names a recording, and the switches for files that do not exist, or not yet.
//! Does not know how the address is used.
//!
//! Source: Yeastar, "P-Series Developer Guide", "Download a Recording File". A request needs
//! exactly one of `file` and `id`. The answer to a request with both is an assumption, and so is
//! the code for an unknown recording.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::errcode::{Errcode, PSeriesFailure, PSeriesFields, quoted, text};
use super::resources::{self, Resource};
use crate::simulator::calls::stamp;
use crate::simulator::pbx::{PbxState, lock};
use crate::simulator::reply::Reply;
use crate::simulator::request::ParsedRequest;
use crate::simulator::secret;
use crate::simulator::switch::Switch;

/// The first request that finds a recording under [`Switch::LateFile`].
const REQUEST_THAT_FINDS_LATE_FILE: u32 = 3;
/// The number of random characters in an address.
const TAIL_LENGTH: usize = 16;

/// Error codes, each with the switch that answers it to the first request for a recording, and the
/// switch that answers it to every request.
const TROUBLES: [(Switch, Switch, Errcode); 3] = [
    (
        Switch::InternalMinus2Once,
        Switch::InternalMinus2Always,
        Errcode::INTERNAL,
    ),
    (
        Switch::Processing2Once,
        Switch::Processing2Always,
        Errcode::PROCESSING,
    ),
    (
        Switch::Overload70082Once,
        Switch::Overload70082Always,
        Errcode::OVERLOADED,
    ),
];

pub(super) fn answer(
    pbx: &PbxState,
    request: &ParsedRequest,
    token: &str,
) -> Result<Reply, PSeriesFailure> {
    if pbx.has(Switch::AccessDenied10005) {
        return Err(Errcode::ACCESS_DENIED.into());
    }
    let name = name(pbx, request)?;
    let request_number = lock(&pbx.recordings).count_request(&name);
    let strikes = |once, always| pbx.has(always) || (request_number == Some(1) && pbx.has(once));
    if strikes(Switch::Overload503Once, Switch::Overload503Always) {
        return Ok(Reply::Page(503));
    }
    for (once, always, errcode) in TROUBLES {
        if strikes(once, always) {
            return Err(errcode.into());
        }
    }
    match request_number {
        Some(request_number)
            if request_number < REQUEST_THAT_FINDS_LATE_FILE && pbx.has(Switch::LateFile) =>
        {
            Err(unknown(pbx))
        }
        Some(_) if pbx.has(Switch::FilesDeleted) => Err(unknown(pbx)),
        Some(_) => address(pbx, request, name, token),
        None => Err(unknown(pbx)),
    }
}

/// Returns the name in the request, or the name that belongs to the id in the request.
fn name(pbx: &PbxState, request: &ParsedRequest) -> Result<String, PSeriesFailure> {
    let parameter = |name| request.parameter(name, &pbx.switches);
    let (file, id) = (parameter("file"), parameter("id"));
    match (file.trim().is_empty(), id.is_empty()) {
        (false, true) => Ok(file),
        (true, false) => name_of(pbx, &id),
        (true, true) | (false, false) => Err(PSeriesFailure::invalid(
            Errcode::BAD_PARAMETER,
            "file",
            file,
        )),
    }
}

fn name_of(pbx: &PbxState, id: &str) -> Result<String, PSeriesFailure> {
    let bad = || PSeriesFailure::invalid(Errcode::BAD_PARAMETER, "id", id);
    let number: usize = id.parse().map_err(|_| bad())?;
    let calls = lock(&pbx.calls);
    let call = number.checked_sub(1).and_then(|index| calls.get(index));
    let name = call.map(|call| call.recording.clone());
    name.filter(|name| !name.is_empty())
        .ok_or_else(|| unknown(pbx))
}

fn unknown(pbx: &PbxState) -> PSeriesFailure {
    if pbx.has(Switch::UnknownFileIs40002) {
        Errcode::BAD_PARAMETER.into()
    } else if pbx.has(Switch::UnknownFileIsMinus1) {
        Errcode::FAILURE.into()
    } else {
        Errcode::NOT_FOUND.into()
    }
}

/// Issues an address and answers it.
fn address(
    pbx: &PbxState,
    request: &ParsedRequest,
    recording: String,
    token: &str,
) -> Result<Reply, PSeriesFailure> {
    let tail = secret::alphanumeric(TAIL_LENGTH).map_err(|_| Errcode::INTERNAL)?;
    let path = resources::path(pbx, &recording, &local_time(pbx), &tail);
    let resource = Resource {
        recording: recording.clone(),
        token: pbx.has(Switch::TokenBoundRandom).then(|| token.to_owned()),
        issued: Instant::now(),
    };
    let number = lock(&pbx.p_series.resources).add(&path, resource);
    pbx.ledger.secret(&path);
    pbx.ledger.ticket(&recording);

    let mut fields = PSeriesFields::new();
    if !pbx.has(Switch::NoRecordingEcho) {
        fields.push(("file", quoted(&recording)));
    }
    let url = resources::spelled(pbx, request, &path, number);
    fields.extend(url.map(|url| ("download_resource_url", quoted(&url))));
    let errcode = if pbx.has(Switch::PartialSuccess1) {
        Errcode::PARTIAL_SUCCESS
    } else {
        Errcode::SUCCESS
    };
    Ok(Reply::Written(text(errcode, &fields, &pbx.switches)))
}

/// The current time of the box, `YYYYMMDDHHMMSS`.
fn local_time(pbx: &PbxState) -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let epoch = since.map_or(0, |since| since.as_secs());
    stamp(i64::try_from(epoch).unwrap_or(0), pbx.utc_offset_s)
}

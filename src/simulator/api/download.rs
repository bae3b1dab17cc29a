//! `recording/download`: a recording for a one-time string.
//!
//! Knows who gets the bytes. Does not know how they are sent.
//!
//! Source: Yeastar, "S-Series API Guide", "Acquire Auto Recording files". What errors look like, which
//! of several is named, and whether `Range` and HEAD are understood is not documented. `cdr/download`
//! is known to take POST as well as GET, so this does too.

use std::net::IpAddr;

use crate::simulator::errno::Errno;
use crate::simulator::pbx::{Pbx, lock};
use crate::simulator::range::{self, Wanted};
use crate::simulator::reply::{Opened, Playback, Reply};
use crate::simulator::request::Request;
use crate::simulator::switch::Switch;
use crate::simulator::tickets::{Refusal, Shown};

pub(super) fn answer(pbx: &Pbx, request: &Request, peer: IpAddr) -> Reply {
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
    // First of all: whatever is wrong besides, the string is spent.
    let spent = pbx.spend(
        &random,
        &Shown {
            purpose: &name,
            token: &token,
            peer,
        },
    );
    if spent == Err(Refusal::OtherAddress) && pbx.has(Switch::WrongAddressIs403Html) {
        return Reply::Page(403);
    }
    match recording(pbx, &name, &token, spent) {
        Ok(bytes) => {
            let wanted = wanted(pbx, request, bytes.len());
            Reply::Recording(Playback {
                name,
                bytes,
                wanted,
                opened_by: Opened { random, token },
            })
        }
        Err(errno) => Reply::DownloadFailed(errno),
    }
}

fn recording(
    pbx: &Pbx,
    name: &str,
    token: &str,
    spent: Result<(), Refusal>,
) -> Result<bytes::Bytes, Errno> {
    pbx.token(token, !pbx.has(Switch::DownloadDoesNotProlong))?;
    if name.trim().is_empty() {
        return Err(Errno::PARAMETER_BLANK);
    }
    spent.map_err(|_| Errno::BAD_RANDOM)?;
    let grows = pbx.has(Switch::GrowingFile);
    let bytes = lock(&pbx.shelf)
        .serve(name, grows)
        .ok_or(Errno::NO_SUCH_RECORDING)?;
    if pbx.has(Switch::FilesDeleted) {
        Err(Errno::DELETED)
    } else {
        Ok(bytes)
    }
}

/// What part of a recording a request gets; the whole, unless the box honours ranges.
pub(in crate::simulator) fn wanted(pbx: &Pbx, request: &Request, length: usize) -> Wanted {
    match request.field("range") {
        Some(range) if pbx.has(Switch::HonoursRange) && request.field("if-range").is_none() => {
            range::wanted(range, length)
        }
        _ => Wanted::Whole,
    }
}

//! `cdr/get_random` and `cdr/download`: the list of calls, for a ticket.
//!
//! Knows the parameters and the conditions for the list. Does not know the form of the list.
//!
//! Source: Yeastar, "S-Series API Guide", "CDR" and "Download CDR" (API 1.1.0 and later), and
//! published clients for the parameter `number` of 2.0.0 and for errors in a 200 body. Assumptions:
//! a ticket is bound to its parameters, word for word; a malformed time is 20007; an extension that
//! the box does not have has no calls; and which of several errors is answered.

use std::net::IpAddr;
use std::time::Instant;

use super::{ReplyFields, new_secret, object, required, text};
use crate::simulator::csv::{CallSelection, CdrTable, CdrVersion, read_clock, table};
use crate::simulator::errno::Errno;
use crate::simulator::generation::Api;
use crate::simulator::observations::CdrQuery;
use crate::simulator::pbx::{PbxState, lock};
use crate::simulator::reply::Reply;
use crate::simulator::request::ParsedRequest;
use crate::simulator::switch::Switch;
use crate::simulator::tickets::{IssuedTicket, TicketClaim, TicketRefusal};

/// The parameters of a request, as the request spelled them.
struct CdrParameters {
    version: CdrVersion,
    extensions: String,
    start: String,
    end: String,
}

impl CdrParameters {
    /// Collects the three parameters. `value` finds one by its key.
    fn from_request(
        request: &ParsedRequest,
        value: impl Fn(&'static str) -> Result<String, Errno>,
    ) -> Result<Self, Errno> {
        let version = version(request);
        Ok(Self {
            version,
            extensions: value(version.extensions_key())?,
            start: value("starttime")?,
            end: value("endtime")?,
        })
    }

    fn purpose(&self) -> String {
        format!("{}\n{}\n{}", self.extensions, self.start, self.end)
    }

    fn selection(&self, pbx: &PbxState) -> Result<CallSelection, Errno> {
        let time = |text| read_clock(text, pbx.utc_offset_s).ok_or(Errno::DATA_BLANK);
        let extensions = self.extensions.split(',').map(|one| one.trim().to_owned());
        Ok(CallSelection {
            extensions: (self.extensions.trim() != "all").then(|| extensions.collect()),
            start: time(&self.start)?,
            end: time(&self.end)?,
        })
    }
}

/// Returns the version of the path, which may be older than that of the box.
fn version(request: &ParsedRequest) -> CdrVersion {
    let newer = Api::SSeries200.segment();
    let mut segments = request.path().split('/');
    if segments.any(|segment| segment == newer) {
        CdrVersion::V200
    } else {
        CdrVersion::V110
    }
}

/// Answers `cdr/get_random`.
pub(super) fn random(
    pbx: &PbxState,
    request: &ParsedRequest,
    peer: IpAddr,
) -> Result<ReplyFields, Errno> {
    let token = request.parameter("token", &pbx.switches);
    let login_peer = pbx.token(&token, true)?.login_peer;
    let body = object(&request.body)?;
    let allowed = body.get("allowedip").map(|_| text(&body, "allowedip"));
    pbx.ledger.cdr_query(CdrQuery {
        extensions: text(&body, version(request).extensions_key()),
        start: text(&body, "starttime"),
        end: text(&body, "endtime"),
        allowedip: allowed.clone(),
    });
    let parameters = CdrParameters::from_request(request, |key| required(&body, key))?;
    parameters.selection(pbx)?;

    let random = new_secret(pbx)?;
    let login_decides = pbx.has(Switch::RequesterIsLoginPeer);
    let ticket = IssuedTicket {
        purpose: parameters.purpose(),
        requester: if login_decides { login_peer } else { peer },
        allowed: allowed.and_then(|ip| ip.trim().parse().ok()),
        token: pbx.has(Switch::TokenBoundRandom).then_some(token),
        issued: Instant::now(),
    };
    lock(&pbx.cdr_tickets).add(&random, ticket);
    pbx.ledger.note(|seen| seen.cdr_tickets_issued += 1);
    Ok(fields(pbx, parameters, random))
}

fn fields(pbx: &PbxState, parameters: CdrParameters, random: String) -> ReplyFields {
    let mut fields = vec![
        (parameters.version.extensions_key(), parameters.extensions),
        ("starttime", parameters.start),
        ("endtime", parameters.end),
    ];
    if pbx.has(Switch::BlankRandomField) {
        fields.push(("random", String::new()));
    } else if !pbx.has(Switch::MissingRandomField) {
        fields.push(("random", random));
    }
    fields
}

/// Answers `cdr/download`.
pub(super) fn download(pbx: &PbxState, request: &ParsedRequest, peer: IpAddr) -> Reply {
    if !matches!(&*request.method, "GET" | "HEAD" | "POST") {
        return Reply::CdrFailed(Errno::NOT_POST);
    }
    let parameter = |name| request.parameter(name, &pbx.switches);
    let given = |name| {
        let value = parameter(name);
        match value.trim().is_empty() {
            true => Err(Errno::PARAMETER_BLANK),
            false => Ok(value),
        }
    };
    let parameters = CdrParameters::from_request(request, given);
    let token = parameter("token");
    // The ticket is spent first, whatever else is wrong with the request.
    let spent = pbx.spend_for_cdr(
        &parameter("random"),
        &TicketClaim {
            purpose: &parameters
                .as_ref()
                .map(CdrParameters::purpose)
                .unwrap_or_default(),
            token: &token,
            peer,
        },
    );
    if spent == Err(TicketRefusal::OtherAddress) && pbx.has(Switch::WrongAddressIs403Html) {
        return Reply::Page(403);
    }
    let first = pbx.is_first_cdr_download();
    if pbx.has(Switch::Cdr504Always) || (first && pbx.has(Switch::Cdr504Once)) {
        return Reply::Page(504);
    }
    list(pbx, &token, parameters, spent).map_or_else(Reply::CdrFailed, Reply::Cdr)
}

fn list(
    pbx: &PbxState,
    token: &str,
    parameters: Result<CdrParameters, Errno>,
    spent: Result<(), TicketRefusal>,
) -> Result<CdrTable, Errno> {
    pbx.token(token, !pbx.has(Switch::DownloadDoesNotProlong))?;
    let parameters = parameters?;
    spent.map_err(|_| Errno::BAD_RANDOM)?;
    let selection = parameters.selection(pbx)?;
    let calls = lock(&pbx.calls);
    Ok(table(
        &calls,
        &pbx.odd_rows,
        &selection,
        parameters.version,
        pbx.utc_offset_s,
        &pbx.switches,
    ))
}

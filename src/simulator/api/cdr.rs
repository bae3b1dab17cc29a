//! `cdr/get_random` and `cdr/download`: the list of calls, for a one-time string.
//!
//! Knows what has to be asked for and who gets it. Does not know what the list looks like.
//!
//! Source: Yeastar, "S-Series API Guide", "CDR" and "Download CDR" (API 1.1.0 and later), and published clients for
//! the parameter `number` of 2.0.0 and for errors in a 200 body. Assumptions: a string is bound to what was asked
//! for, word for word; a malformed time is 20007; an extension that the box does not have has no calls; and which
//! of several errors is named.

use std::net::IpAddr;
use std::time::Instant;

use super::{Fields, new_secret, object, required, text};
use crate::simulator::csv::{Form, Period, Sheet, read_clock, sheet};
use crate::simulator::errno::Errno;
use crate::simulator::generation::Api;
use crate::simulator::pbx::{Pbx, lock};
use crate::simulator::reply::Reply;
use crate::simulator::request::Request;
use crate::simulator::seen::CdrQuery;
use crate::simulator::switch::Switch;
use crate::simulator::tickets::{Refusal, Shown, Ticket};

/// What was asked for, in the words of whoever asked.
struct Asked {
    form: Form,
    extensions: String,
    start: String,
    end: String,
}

impl Asked {
    /// Collects the three values; `value` finds one by its key.
    fn of(
        request: &Request,
        value: impl Fn(&'static str) -> Result<String, Errno>,
    ) -> Result<Self, Errno> {
        let form = form(request);
        Ok(Self {
            form,
            extensions: value(form.extensions_key())?,
            start: value("starttime")?,
            end: value("endtime")?,
        })
    }

    fn purpose(&self) -> String {
        format!("{}\n{}\n{}", self.extensions, self.start, self.end)
    }

    fn period(&self, pbx: &Pbx) -> Result<Period, Errno> {
        let time = |text| read_clock(text, pbx.utc_offset_s).ok_or(Errno::DATA_BLANK);
        let extensions = self.extensions.split(',').map(|one| one.trim().to_owned());
        Ok(Period {
            extensions: (self.extensions.trim() != "all").then(|| extensions.collect()),
            start: time(&self.start)?,
            end: time(&self.end)?,
        })
    }
}

/// The version is that of the path, which may be older than the box.
fn form(request: &Request) -> Form {
    let newer = Api::SSeries200.segment();
    let mut segments = request.path().split('/');
    if segments.any(|segment| segment == newer) {
        Form::V200
    } else {
        Form::V110
    }
}

/// Answers `cdr/get_random`.
pub(super) fn random(pbx: &Pbx, request: &Request, peer: IpAddr) -> Result<Fields, Errno> {
    let token = request.parameter("token", &pbx.switches);
    let login_peer = pbx.token(&token, true)?.login_peer;
    let body = object(&request.body)?;
    let allowed = body.get("allowedip").map(|_| text(&body, "allowedip"));
    pbx.ledger.cdr_query(CdrQuery {
        extensions: text(&body, form(request).extensions_key()),
        start: text(&body, "starttime"),
        end: text(&body, "endtime"),
        allowedip: allowed.clone(),
    });
    let asked = Asked::of(request, |key| required(&body, key))?;
    asked.period(pbx)?;

    let random = new_secret(pbx)?;
    let login_decides = pbx.has(Switch::RequesterIsLoginPeer);
    let ticket = Ticket {
        purpose: asked.purpose(),
        requester: if login_decides { login_peer } else { peer },
        allowed: allowed.and_then(|ip| ip.trim().parse().ok()),
        token: pbx.has(Switch::TokenBoundRandom).then_some(token),
        issued: Instant::now(),
    };
    lock(&pbx.cdr_tickets).add(&random, ticket);
    pbx.ledger.note(|seen| seen.cdr_tickets_issued += 1);
    Ok(fields(pbx, asked, random))
}

fn fields(pbx: &Pbx, asked: Asked, random: String) -> Fields {
    let mut fields = vec![
        (asked.form.extensions_key(), asked.extensions),
        ("starttime", asked.start),
        ("endtime", asked.end),
    ];
    if pbx.has(Switch::BlankRandomField) {
        fields.push(("random", String::new()));
    } else if !pbx.has(Switch::MissingRandomField) {
        fields.push(("random", random));
    }
    fields
}

/// Answers `cdr/download`.
pub(super) fn download(pbx: &Pbx, request: &Request, peer: IpAddr) -> Reply {
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
    let asked = Asked::of(request, given);
    let token = parameter("token");
    // First of all: whatever is wrong besides, the string is spent.
    let spent = pbx.spend_for_cdr(
        &parameter("random"),
        &Shown {
            purpose: &asked.as_ref().map(Asked::purpose).unwrap_or_default(),
            token: &token,
            peer,
        },
    );
    if spent == Err(Refusal::OtherAddress) && pbx.has(Switch::WrongAddressIs403Html) {
        return Reply::Page(403);
    }
    let first = pbx.is_first_cdr_download();
    if pbx.has(Switch::Cdr504Always) || (first && pbx.has(Switch::Cdr504Once)) {
        return Reply::Page(504);
    }
    list(pbx, &token, asked, spent).map_or_else(Reply::CdrFailed, Reply::Cdr)
}

fn list(
    pbx: &Pbx,
    token: &str,
    asked: Result<Asked, Errno>,
    spent: Result<(), Refusal>,
) -> Result<Sheet, Errno> {
    pbx.token(token, !pbx.has(Switch::DownloadDoesNotProlong))?;
    let asked = asked?;
    spent.map_err(|_| Errno::BAD_RANDOM)?;
    let period = asked.period(pbx)?;
    let calls = lock(&pbx.calls);
    Ok(sheet(
        &calls,
        &pbx.odd_rows,
        &period,
        asked.form,
        pbx.utc_offset_s,
        &pbx.switches,
    ))
}

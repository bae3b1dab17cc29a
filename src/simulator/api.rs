//! The calls of the API: from a request to a reply.
//!
//! Knows what each call demands and does, in the order the box looks at it: method, token, body.
//! Does not know sockets, header fields or scripted faults. Downloads are in [`download`], the CDR is in [`cdr`].
//!
//! Source: Yeastar, "S-Series API Guide", "API Authentication", "Acquire Auto Recording files" and
//! "Error Code Descriptions"; Yeastar, "S-Series API 2.0" and "Cloud PBX API", "Login" and "Token
//! Refresh". The order of the checks is an assumption.

use std::net::IpAddr;
use std::time::Instant;

use serde_json::{Map, Value};

use super::errno::Errno;
use super::generation::Api;
use super::p_series;
use super::pbx::{Pbx, lock};
use super::reply::Reply;
use super::request::Request;
use super::route::Call;
use super::secret;
use super::seen::LoginFields;
use super::switch::Switch;
use super::tokens::RefreshRules;

mod cdr;
pub(super) mod download;
mod get_random;

type Fields = Vec<(&'static str, String)>;

/// Carries out a call.
pub(super) fn answer(pbx: &Pbx, call: Call, request: &Request, peer: IpAddr) -> Reply {
    let outcome = match call {
        Call::Download => return download::answer(pbx, request, peer),
        Call::CdrDownload => return cdr::download(pbx, request, peer),
        Call::PSeries(call) => return p_series::answer(pbx, call, request, peer),
        Call::NoPage => return Reply::Page(404),
        Call::Unknown => Err(Errno::UNSUPPORTED),
        _ if request.method != "POST" => Err(Errno::NOT_POST),
        Call::Login => counted_login(pbx, &request.body, peer),
        Call::TokenRefresh => token_refresh(pbx, &request.body),
        Call::Heartbeat => heartbeat(pbx, request),
        Call::Logout => logout(pbx, request),
        Call::GetRandom => match page_instead(pbx, request) {
            Some(status) => return Reply::Page(status),
            None => get_random::answer(pbx, request, peer),
        },
        Call::CdrRandom => cdr::random(pbx, request, peer),
    };
    outcome.map_or_else(Reply::Failed, Reply::Success)
}

/// The status of the page that stands in for an answer to get_random, under the switches for that.
fn page_instead(pbx: &Pbx, request: &Request) -> Option<u16> {
    let once = pbx.has(Switch::Overload503Once) || pbx.has(Switch::GatewayTimeout504Once);
    let first = once && get_random::is_first_ask(pbx, request);
    if pbx.has(Switch::Overload503Always) || (first && pbx.has(Switch::Overload503Once)) {
        Some(503)
    } else if pbx.has(Switch::GatewayTimeout504Always) || first {
        Some(504)
    } else {
        None
    }
}

/// Reads a body that must hold a JSON object.
fn object(body: &[u8]) -> Result<Map<String, Value>, Errno> {
    if body.trim_ascii().is_empty() {
        return Err(Errno::REQUEST_BLANK);
    }
    serde_json::from_slice(body).map_err(|_| Errno::NOT_JSON)
}

/// The text of a field: strings and numbers are read alike, anything else is blank.
fn text(object: &Map<String, Value>, key: &str) -> String {
    match object.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

fn required(object: &Map<String, Value>, key: &str) -> Result<String, Errno> {
    let value = text(object, key);
    if value.trim().is_empty() {
        Err(Errno::PARAMETER_BLANK)
    } else {
        Ok(value)
    }
}

fn counted_login(pbx: &Pbx, body: &[u8], peer: IpAddr) -> Result<Fields, Errno> {
    let outcome = login(pbx, body, peer);
    pbx.ledger.note(|seen| match outcome {
        Ok(_) => seen.logins_ok += 1,
        Err(_) => seen.logins_refused += 1,
    });
    outcome
}

fn login(pbx: &Pbx, body: &[u8], peer: IpAddr) -> Result<Fields, Errno> {
    if lock(&pbx.account).is_locked_out(peer, Instant::now()) {
        return Err(Errno::LOCKED_OUT);
    }
    let body = object(body)?;
    pbx.ledger.login_fields(LoginFields {
        port: body.contains_key("port"),
        url: body.contains_key("url"),
        urltag: body.contains_key("urltag"),
        version: body.contains_key("version"),
    });
    let (username, password) = (required(&body, "username")?, required(&body, "password")?);
    check_port(pbx, &text(&body, "port"))?;
    lock(&pbx.account).login(&username, &password, peer, Instant::now())?;
    if pbx.has(Switch::SecondLoginErasesFirst) {
        lock(&pbx.tokens).erase_all();
    }
    let mut fields = new_token(pbx, peer, None)?;
    if pbx.api == Api::SSeries200 {
        fields.push(("transport", "HTTP".to_owned()));
    }
    Ok(fields)
}

/// Published clients log in with port 0 or none, so both pass unless a switch says otherwise.
fn check_port(pbx: &Pbx, port: &str) -> Result<(), Errno> {
    let demanding = pbx.has(Switch::PortRequired10004) || pbx.has(Switch::PortRequired20008);
    if port.trim().is_empty() {
        return match demanding {
            true if pbx.has(Switch::PortRequired10004) => Err(Errno::PARAMETER_BLANK),
            true => Err(Errno::BAD_PORT),
            false => Ok(()),
        };
    }
    match port.trim().parse::<u16>() {
        Ok(0) if demanding => Err(Errno::BAD_PORT),
        Ok(_) => Ok(()),
        Err(_) => Err(Errno::BAD_PORT),
    }
}

/// Gives out a token, and a refreshtoken where the box has those: a new one unless `refresh` stays good.
fn new_token(pbx: &Pbx, peer: IpAddr, refresh: Option<String>) -> Result<Fields, Errno> {
    let token = new_secret(pbx)?;
    let refresh = match refresh {
        None if pbx.switches.token_refresh(pbx.api) => Some(new_secret(pbx)?),
        other => other,
    };
    lock(&pbx.tokens).add(&token, refresh.clone(), peer, Instant::now());
    let mut fields = Vec::new();
    if pbx.has(Switch::BlankTokenField) {
        fields.push(("token", String::new()));
    } else if !pbx.has(Switch::MissingTokenField) {
        fields.push(("token", token));
    }
    if pbx.has(Switch::BlankRefreshTokenField) {
        fields.push(("refreshtoken", String::new()));
    } else if !pbx.has(Switch::NoRefreshTokenField) {
        fields.extend(refresh.map(|refresh| ("refreshtoken", refresh)));
    }
    Ok(fields)
}

fn new_secret(pbx: &Pbx) -> Result<String, Errno> {
    let secret = secret::fresh().map_err(|_| Errno::NOT_PASSED_ON)?;
    pbx.ledger.secret(&secret);
    Ok(secret)
}

fn token_refresh(pbx: &Pbx, body: &[u8]) -> Result<Fields, Errno> {
    let refresh = required(&object(body)?, "refreshtoken")?;
    if pbx.has(Switch::RefreshRefused) {
        return Err(Errno::NO_SUCH_TOKEN);
    }
    let rules = RefreshRules {
        even_timed_out: pbx.has(Switch::RefreshOutlivesToken),
        keeps_token: pbx.has(Switch::RefreshKeepsOldToken),
        keeps_refresh: pbx.has(Switch::RefreshRotatesNothing),
    };
    let taken = lock(&pbx.tokens).take_refresh(&refresh, rules, Instant::now());
    let peer = taken.ok_or(Errno::NO_SUCH_TOKEN)?;
    let fields = new_token(pbx, peer, rules.keeps_refresh.then_some(refresh))?;
    pbx.ledger.note(|seen| seen.refreshes += 1);
    Ok(fields)
}

/// Published clients send no body; one that is there must be JSON.
fn heartbeat(pbx: &Pbx, request: &Request) -> Result<Fields, Errno> {
    pbx.token(&request.parameter("token", &pbx.switches), true)?;
    if !request.body.trim_ascii().is_empty() {
        object(&request.body)?;
    }
    pbx.ledger.note(|seen| seen.heartbeats += 1);
    Ok(Vec::new())
}

fn logout(pbx: &Pbx, request: &Request) -> Result<Fields, Errno> {
    let token = request.parameter("token", &pbx.switches);
    pbx.token(&token, true)?;
    lock(&pbx.tokens).erase(&token);
    pbx.ledger.note(|seen| seen.logouts += 1);
    Ok(Vec::new())
}

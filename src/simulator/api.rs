//! The calls of the S-Series and Cloud PBX API: from a request to a reply.
//!
//! Knows the demands and effects of each call, and the order of the checks: method, token, body.
//! Does not know sockets, header fields or scripted faults. Downloads are in [`download`], the CDR
//! is in [`cdr`].
//!
//! Source: Yeastar, "S-Series API Guide", "API Authentication", "Acquire Auto Recording files" and
//! "Error Code Descriptions"; Yeastar, "S-Series API 2.0" and "Cloud PBX API", "Login" and "Token
//! Refresh". The order of the checks is an assumption.

use std::net::IpAddr;
use std::time::Instant;

use serde_json::{Map, Value};

use super::errno::Errno;
use super::generation::Api;
use super::observations::LoginFields;
use super::p_series;
use super::pbx::{PbxState, lock};
use super::reply::Reply;
use super::request::ParsedRequest;
use super::route::RoutedCall;
use super::secret;
use super::switch::Switch;
use super::tokens::RefreshRules;

mod cdr;
pub(super) mod download;
mod get_random;

type ReplyFields = Vec<(&'static str, String)>;

/// Carries out a call of the S-Series or Cloud PBX API, or passes it on to [`p_series`]. Faults are
/// applied by the caller.
pub(super) fn answer(
    pbx: &PbxState,
    call: RoutedCall,
    request: &ParsedRequest,
    peer: IpAddr,
) -> Reply {
    let outcome = match call {
        RoutedCall::Download => return download::answer(pbx, request, peer),
        RoutedCall::CdrDownload => return cdr::download(pbx, request, peer),
        RoutedCall::PSeries(call) => return p_series::answer(pbx, call, request, peer),
        RoutedCall::NoPage => return Reply::Page(404),
        RoutedCall::Unknown => Err(Errno::UNSUPPORTED),
        _ if request.method != "POST" => Err(Errno::NOT_POST),
        RoutedCall::Login => counted_login(pbx, &request.body, peer),
        RoutedCall::TokenRefresh => token_refresh(pbx, &request.body),
        RoutedCall::Heartbeat => heartbeat(pbx, request),
        RoutedCall::Logout => logout(pbx, request),
        RoutedCall::GetRandom => match page_instead(pbx, request) {
            Some(status) => return Reply::Page(status),
            None => get_random::answer(pbx, request, peer),
        },
        RoutedCall::CdrRandom => cdr::random(pbx, request, peer),
    };
    outcome.map_or_else(Reply::Failed, Reply::Success)
}

/// Returns the status of the page that a switch puts in place of the answer to get_random.
fn page_instead(pbx: &PbxState, request: &ParsedRequest) -> Option<u16> {
    let once = pbx.has(Switch::Overload503Once) || pbx.has(Switch::GatewayTimeout504Once);
    let first = once && get_random::is_first_request(pbx, request);
    if pbx.has(Switch::Overload503Always) || (first && pbx.has(Switch::Overload503Once)) {
        Some(503)
    } else if pbx.has(Switch::GatewayTimeout504Always) || first {
        Some(504)
    } else {
        None
    }
}

/// Reads a body that must be a JSON object.
fn object(body: &[u8]) -> Result<Map<String, Value>, Errno> {
    if body.trim_ascii().is_empty() {
        return Err(Errno::REQUEST_BLANK);
    }
    serde_json::from_slice(body).map_err(|_| Errno::NOT_JSON)
}

/// Returns the text of a field. Strings and numbers are accepted; anything else is blank.
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

fn counted_login(pbx: &PbxState, body: &[u8], peer: IpAddr) -> Result<ReplyFields, Errno> {
    let outcome = login(pbx, body, peer);
    pbx.ledger.note(|seen| match outcome {
        Ok(_) => seen.logins_ok += 1,
        Err(_) => seen.logins_refused += 1,
    });
    outcome
}

fn login(pbx: &PbxState, body: &[u8], peer: IpAddr) -> Result<ReplyFields, Errno> {
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

/// Checks the port of a login. Published clients log in with port 0 or without a port, so both are
/// good unless a switch says otherwise.
fn check_port(pbx: &PbxState, port: &str) -> Result<(), Errno> {
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

/// Issues a token and, on boxes that have them, a refreshtoken. If `refresh` is given, that one
/// stays good and is answered again.
fn new_token(pbx: &PbxState, peer: IpAddr, refresh: Option<String>) -> Result<ReplyFields, Errno> {
    let token = new_secret(pbx)?;
    let refresh = match refresh {
        None if pbx.switches.has_token_refresh(pbx.api) => Some(new_secret(pbx)?),
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

fn new_secret(pbx: &PbxState) -> Result<String, Errno> {
    let secret = secret::fresh().map_err(|_| Errno::NOT_PASSED_ON)?;
    pbx.ledger.secret(&secret);
    Ok(secret)
}

fn token_refresh(pbx: &PbxState, body: &[u8]) -> Result<ReplyFields, Errno> {
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

/// Answers a heartbeat. Published clients send no body; a body must be JSON.
fn heartbeat(pbx: &PbxState, request: &ParsedRequest) -> Result<ReplyFields, Errno> {
    pbx.token(&request.parameter("token", &pbx.switches), true)?;
    if !request.body.trim_ascii().is_empty() {
        object(&request.body)?;
    }
    pbx.ledger.note(|seen| seen.heartbeats += 1);
    Ok(Vec::new())
}

fn logout(pbx: &PbxState, request: &ParsedRequest) -> Result<ReplyFields, Errno> {
    let token = request.parameter("token", &pbx.switches);
    pbx.token(&token, true)?;
    lock(&pbx.tokens).erase(&token);
    pbx.ledger.note(|seen| seen.logouts += 1);
    Ok(Vec::new())
}

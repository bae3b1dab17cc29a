//! `get_token`, `refresh_token` and `del_token`.
//!
//! Knows what they demand and give. Does not know how long tokens live.
//!
//! Source: Yeastar, "P-Series Developer Guide", "Get Access Token", "Refresh Access Token" and the page on revoking.
//! The credentials are sent in clear. What answers a refresh token that is not good is not documented: here 10004, as
//! for an access token. Five failures block the address; for how long is not documented.

use std::net::IpAddr;
use std::time::Instant;

use serde_json::{Map, Value};

use super::errcode::{Errcode, Failure, Fields, quoted, text};
use super::tokens::{NoPair, Pair, Renewal};
use super::{Call, admit};
use crate::simulator::account::md5_hex;
use crate::simulator::errno::Errno;
use crate::simulator::pbx::{Pbx, lock};
use crate::simulator::reply::Reply;
use crate::simulator::request::Request;
use crate::simulator::secret;
use crate::simulator::switch::Switch;

const TOKEN_LENGTH: usize = 32;

pub(super) fn get_token(pbx: &Pbx, request: &Request, peer: IpAddr) -> Result<Reply, Failure> {
    let outcome =
        admit(pbx, Call::GetToken, request, peer).and_then(|()| login(pbx, request, peer));
    pbx.ledger.note(|seen| match outcome {
        Ok(_) => seen.logins_ok += 1,
        Err(_) => seen.logins_refused += 1,
    });
    outcome
}

fn login(pbx: &Pbx, request: &Request, peer: IpAddr) -> Result<Reply, Failure> {
    let body = object(&request.body)?;
    let (username, password) = (required(&body, "username")?, required(&body, "password")?);
    let checked = lock(&pbx.account).login(username, &md5_hex(password), peer, Instant::now());
    checked.map_err(|errno| {
        if errno == Errno::LOCKED_OUT {
            Errcode::IP_BLOCKED.into()
        } else {
            Failure::invalid(Errcode::FAILURE, "username or password", "error")
        }
    })?;
    let pair = new_pair()?;
    lock(&pbx.p_series.tokens)
        .add(&pair, Instant::now())
        .map_err(refused)?;
    Ok(given(pbx, &pair))
}

pub(super) fn refresh_token(pbx: &Pbx, request: &Request, peer: IpAddr) -> Result<Reply, Failure> {
    admit(pbx, Call::RefreshToken, request, peer)?;
    let body = object(&request.body)?;
    let refresh = required(&body, "refresh_token")?;
    if pbx.has(Switch::RefreshFails) {
        return Err(Errcode::FAILURE.into());
    }
    let pair = new_pair()?;
    let renewal = Renewal {
        old_lives_on: pbx.has(Switch::OldAccessTokenLivesOn),
        needs_slot: pbx.has(Switch::RefreshNeedsSlot),
    };
    lock(&pbx.p_series.tokens)
        .renew(refresh, &pair, renewal, Instant::now())
        .map_err(refused)?;
    pbx.ledger.note(|seen| seen.refreshes += 1);
    Ok(given(pbx, &pair))
}

pub(super) fn del_token(pbx: &Pbx, token: &str) -> Reply {
    lock(&pbx.p_series.tokens).revoke(token);
    pbx.ledger.note(|seen| seen.logouts += 1);
    Reply::Written(text(Errcode::SUCCESS, &Fields::new(), &pbx.switches))
}

fn refused(why: NoPair) -> Failure {
    match why {
        NoPair::Unknown => Errcode::TOKEN_EXPIRED.into(),
        NoPair::Full => Errcode::LIMIT_EXCEEDED.into(),
    }
}

/// Reads a body that must hold a JSON object; an empty one lacks every field.
fn object(body: &[u8]) -> Result<Map<String, Value>, Failure> {
    if body.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_slice(body).map_err(|_| Errcode::BAD_SYNTAX.into())
}

fn required<'a>(object: &'a Map<String, Value>, key: &'static str) -> Result<&'a str, Failure> {
    let value = object.get(key).and_then(Value::as_str).unwrap_or_default();
    if value.trim().is_empty() {
        Err(Failure::missing(key))
    } else {
        Ok(value)
    }
}

fn new_pair() -> Result<Pair, Failure> {
    let fresh = || secret::alphanumeric(TOKEN_LENGTH).map_err(|_| Errcode::INTERNAL);
    let (access, refresh) = (fresh()?, fresh()?);
    Ok(Pair { access, refresh })
}

/// Tells a pair that is good from now on.
fn given(pbx: &Pbx, pair: &Pair) -> Reply {
    pbx.ledger.secret(&pair.access);
    pbx.ledger.secret(&pair.refresh);
    let (access_life, refresh_life) = {
        let tokens = lock(&pbx.p_series.tokens);
        (tokens.access_life(), tokens.refresh_life())
    };
    let mut fields = Fields::new();
    let life = |key, seconds: u64| {
        (!pbx.has(Switch::LifetimesMissing)).then(|| (key, seconds.to_string()))
    };
    fields.extend(life("access_token_expire_time", access_life.as_secs()));
    if pbx.has(Switch::BlankTokenField) {
        fields.push(("access_token", quoted("")));
    } else if !pbx.has(Switch::MissingTokenField) {
        fields.push(("access_token", quoted(&pair.access)));
    }
    if !pbx.has(Switch::NoRefreshToken) {
        fields.extend(life("refresh_token_expire_time", refresh_life.as_secs()));
        fields.push(("refresh_token", quoted(&pair.refresh)));
    }
    Reply::Written(text(Errcode::SUCCESS, &fields, &pbx.switches))
}

//! `get_token`, `refresh_token` and `del_token`.
//!
//! Knows their parameters and answers. Does not know how long tokens live.
//!
//! Source: Yeastar, "P-Series Developer Guide", "Get Access Token", "Refresh Access Token" and the
//! page on revoking. The credentials are sent in clear text. Not documented: the answer to a
//! refresh token that is not good (10004 is assumed, as for an access token), and how long the
//! address is blocked after five failures.

use std::net::IpAddr;
use std::time::Instant;

use serde_json::{Map, Value};

use super::errcode::{Errcode, PSeriesFailure, PSeriesFields, quoted, text};
use super::tokens::{PSeriesTokenPair, PairRefusal, RenewalRules};
use super::{PSeriesCall, admit};
use crate::simulator::account::md5_hex;
use crate::simulator::errno::Errno;
use crate::simulator::pbx::{PbxState, lock};
use crate::simulator::reply::Reply;
use crate::simulator::request::ParsedRequest;
use crate::simulator::secret;
use crate::simulator::switch::Switch;

/// The number of characters of a token.
const TOKEN_LENGTH: usize = 32;

pub(super) fn get_token(
    pbx: &PbxState,
    request: &ParsedRequest,
    peer: IpAddr,
) -> Result<Reply, PSeriesFailure> {
    let outcome =
        admit(pbx, PSeriesCall::GetToken, request, peer).and_then(|()| login(pbx, request, peer));
    pbx.ledger.note(|seen| match outcome {
        Ok(_) => seen.logins_ok += 1,
        Err(_) => seen.logins_refused += 1,
    });
    outcome
}

fn login(pbx: &PbxState, request: &ParsedRequest, peer: IpAddr) -> Result<Reply, PSeriesFailure> {
    let body = object(&request.body)?;
    let (username, password) = (required(&body, "username")?, required(&body, "password")?);
    let checked = lock(&pbx.account).login(username, &md5_hex(password), peer, Instant::now());
    checked.map_err(|errno| {
        if errno == Errno::LOCKED_OUT {
            Errcode::IP_BLOCKED.into()
        } else {
            PSeriesFailure::invalid(Errcode::FAILURE, "username or password", "error")
        }
    })?;
    let pair = new_pair()?;
    lock(&pbx.p_series.tokens)
        .add(&pair, Instant::now())
        .map_err(refused)?;
    Ok(given(pbx, &pair))
}

pub(super) fn refresh_token(
    pbx: &PbxState,
    request: &ParsedRequest,
    peer: IpAddr,
) -> Result<Reply, PSeriesFailure> {
    admit(pbx, PSeriesCall::RefreshToken, request, peer)?;
    let body = object(&request.body)?;
    let refresh = required(&body, "refresh_token")?;
    if pbx.has(Switch::RefreshFails) {
        return Err(Errcode::FAILURE.into());
    }
    let pair = new_pair()?;
    let rules = RenewalRules {
        old_lives_on: pbx.has(Switch::OldAccessTokenLivesOn),
        needs_slot: pbx.has(Switch::RefreshNeedsSlot),
    };
    lock(&pbx.p_series.tokens)
        .renew(refresh, &pair, rules, Instant::now())
        .map_err(refused)?;
    pbx.ledger.note(|seen| seen.refreshes += 1);
    Ok(given(pbx, &pair))
}

pub(super) fn del_token(pbx: &PbxState, token: &str) -> Reply {
    lock(&pbx.p_series.tokens).revoke(token);
    pbx.ledger.note(|seen| seen.logouts += 1);
    Reply::Written(text(Errcode::SUCCESS, &PSeriesFields::new(), &pbx.switches))
}

fn refused(why: PairRefusal) -> PSeriesFailure {
    match why {
        PairRefusal::Unknown => Errcode::TOKEN_EXPIRED.into(),
        PairRefusal::Full => Errcode::LIMIT_EXCEEDED.into(),
    }
}

/// Reads a body that must be a JSON object. An empty body lacks every field.
fn object(body: &[u8]) -> Result<Map<String, Value>, PSeriesFailure> {
    if body.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_slice(body).map_err(|_| Errcode::BAD_SYNTAX.into())
}

fn required<'a>(
    object: &'a Map<String, Value>,
    key: &'static str,
) -> Result<&'a str, PSeriesFailure> {
    let value = object.get(key).and_then(Value::as_str).unwrap_or_default();
    if value.trim().is_empty() {
        Err(PSeriesFailure::invalid(Errcode::BAD_PARAMETER, key, value))
    } else {
        Ok(value)
    }
}

fn new_pair() -> Result<PSeriesTokenPair, PSeriesFailure> {
    let fresh = || secret::alphanumeric(TOKEN_LENGTH).map_err(|_| Errcode::INTERNAL);
    let (access, refresh) = (fresh()?, fresh()?);
    Ok(PSeriesTokenPair { access, refresh })
}

/// Answers a pair of tokens that is good from now on.
fn given(pbx: &PbxState, pair: &PSeriesTokenPair) -> Reply {
    pbx.ledger.secret(&pair.access);
    pbx.ledger.secret(&pair.refresh);
    let (access_life, refresh_life) = {
        let tokens = lock(&pbx.p_series.tokens);
        (tokens.access_life(), tokens.refresh_life())
    };
    let mut fields = PSeriesFields::new();
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

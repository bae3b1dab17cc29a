//! `[auth]` and `[[auth.issuer]]`: bearer tokens, and those who sign them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::key::{KeySection, read_key};
use super::key_source::{KeySourceSection, read_key_source};
use crate::auth::cookies::{SESSION_COOKIE, is_cookie_name};
use crate::auth::{AttributeClaims, RequiredClaims};
use crate::config::section::Section;
use crate::gateway::settings::login::LoginUrl;

/// The longest name of a claim, or path to one.
const MAX_CLAIM_BYTES: usize = 256;
/// Claims that say something else than for whom a token is, so that none can be the audience.
const NO_AUDIENCE: [&str; 6] = ["iss", "sub", "jti", "exp", "nbf", "iat"];
/// The most claims of `required_claims`, and the longest text of one in bytes: every token is searched for each.
const MAX_REQUIRED: usize = 16;
const MAX_TEXT_BYTES: usize = 256;

/// Bearer tokens, and those who sign them.
#[derive(Debug)]
pub struct AuthSection {
    /// How far clocks may disagree.
    pub skew: Duration,
    /// The list of what is revoked, where there is one.
    pub revocation_file: Option<PathBuf>,
    /// The name of the cookie that single sign-on sets, where it counts.
    pub sso_cookie: Option<String>,
    /// Where a browser without a credential is sent.
    pub login_url: Option<LoginUrl>,
    /// The issuers whose bearer tokens are accepted.
    pub issuers: Vec<IssuerSection>,
}

/// Somebody who signs bearer tokens.
#[derive(Debug)]
pub struct IssuerSection {
    /// What `iss` must be.
    pub name: Option<String>,
    /// The audiences that a token may name.
    pub audiences: Vec<String>,
    /// Further claims that its tokens must have.
    pub required: RequiredClaims,
    /// Which claims say what its subjects are.
    pub claims: AttributeClaims,
    /// The PBXs that its tokens are for; all when `None`.
    pub pbxs: Option<Arc<[String]>>,
    /// The keys that verify its tokens.
    pub keys: Vec<KeySection>,
    /// Where it publishes its keys, if it does.
    pub key_source: Option<KeySourceSection>,
}

pub(super) fn read_auth(section: &mut Section<'_>) -> AuthSection {
    let skew = section.seconds("skew_s", 0..=300, Duration::from_secs(10));
    if !section.has("issuer") {
        section.problem(
            "issuer",
            "missing; write [[auth.issuer]] for whoever signs your bearer tokens",
        );
    }
    let issuers = section.sections("issuer", read_issuer);
    AuthSection {
        skew,
        revocation_file: section.path("revocation_file"),
        login_url: section.parsed("login_url"),
        issuers,
        sso_cookie: read_sso_cookie(section),
    }
}

/// Reads `cookie`, the name of the cookie that single sign-on sets.
fn read_sso_cookie(section: &mut Section<'_>) -> Option<String> {
    let name = section.text("cookie")?;
    if !is_cookie_name(&name) {
        section.problem("cookie", format!("{name:?} cannot be the name of a cookie"));
    }
    if name == SESSION_COOKIE {
        section.problem("cookie", "the name of the gateway's own cookie");
    }
    Some(name)
}

fn read_issuer(section: &mut Section<'_>) -> IssuerSection {
    let name = section.required("name");
    if !section.has("audiences") {
        section.problem("audiences", "missing");
    }
    let audiences: Option<Vec<String>> = section.list("audiences");
    if audiences.as_ref().is_some_and(Vec::is_empty) {
        section.problem("audiences", "empty: no token would be accepted");
    }
    let audiences = audiences.unwrap_or_default();
    if audiences.iter().any(String::is_empty) {
        section.problem("audiences", "an audience is empty");
    }
    let claims = read_claims(section);
    let required = RequiredClaims {
        audience: read_audience_claim(section, &claims),
        texts: section.section("required_claims", read_required_texts),
    };
    if required.texts.len() > MAX_REQUIRED {
        let message = format!("more than {MAX_REQUIRED} claims");
        section.problem("required_claims", message);
    }
    let pbxs = read_reach(section);
    let keys = section.sections("key", read_key);
    let key_source = read_key_source(section);
    if keys.is_empty() && key_source.is_none() {
        section.problem(
            "key",
            "missing; write [[auth.issuer.key]], or jwks_file, jwks_url or discovery_url",
        );
    }
    IssuerSection {
        name,
        audiences,
        required,
        claims,
        pbxs,
        keys,
        key_source,
    }
}

/// The PBXs that an issuer's tokens are for.
fn read_reach(section: &mut Section<'_>) -> Option<Arc<[String]>> {
    let pbxs: Vec<String> = section.list("pbxs")?;
    if pbxs.is_empty() {
        section.problem("pbxs", "empty: no token of this issuer would be of any use");
    }
    Some(pbxs.into())
}

/// The claims that say what somebody is.
fn read_claims(section: &mut Section<'_>) -> AttributeClaims {
    let mut claims = AttributeClaims::default();
    for (key, claim) in [
        ("roles_claim", &mut claims.roles),
        ("extensions_claim", &mut claims.extensions),
        ("tenant_claim", &mut claims.tenant),
    ] {
        if let Some(text) = section.text(key) {
            check_claim(section, key, &text);
            *claim = text;
        }
    }
    claims
}

fn check_claim(section: &mut Section<'_>, key: &str, text: &str) {
    if text.split('.').any(str::is_empty) || text.len() > MAX_CLAIM_BYTES {
        section.problem(
            key,
            "not the name of a claim, or a path such as realm_access.roles",
        );
    }
}

/// The claim that says for whom a token is, where `aud` is absent. One that the subject can have a say in, or that says something
/// else already, must not let anybody in.
fn read_audience_claim(section: &mut Section<'_>, claims: &AttributeClaims) -> String {
    const KEY: &str = "audience_claim";
    let Some(text) = section.text("audience_claim") else {
        return RequiredClaims::default().audience;
    };
    check_claim(section, KEY, &text);
    let attributes = [&claims.roles, &claims.extensions, &claims.tenant];
    if NO_AUDIENCE.contains(&text.as_str()) || attributes.contains(&&text) {
        let message = format!("{text:?} says something else; name a claim that the issuer sets");
        section.problem(KEY, message);
    }
    text
}

/// Claims that are required, or whose value is no fixed text.
const DECIDED_ELSEWHERE: [&str; 6] = ["iss", "sub", "aud", "exp", "nbf", "iat"];

/// The further claims that tokens must have, each with its text.
fn read_required_texts(section: &mut Section<'_>) -> Vec<(String, String)> {
    let claims = section.keys();
    let texts = claims.into_iter().filter_map(|claim| {
        check_claim(section, &claim, &claim);
        if DECIDED_ELSEWHERE.contains(&claim.as_str()) {
            section.problem(&claim, "is checked anyway; name another claim");
        }
        let text = section.text(&claim)?;
        if !(1..=MAX_TEXT_BYTES).contains(&text.len()) {
            section.problem(&claim, "not a text of 1 to 256 bytes");
        }
        Some((claim, text))
    });
    texts.collect()
}

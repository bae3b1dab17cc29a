//! `[auth]` and `[[auth.issuer]]`: bearer tokens and their issuers.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::key;
use super::key::{KeySection, read_key};
use super::key_source::{KeySourceSection, read_key_source};
use crate::auth::cookies::{SESSION_COOKIE, is_cookie_name};
use crate::auth::{Algorithm, AttributeClaims, RequiredClaims};
use crate::config::kinds::*;
use crate::config::rows::{DefaultedKind, Setting, rows};
use crate::config::section::Section;
use crate::gateway::settings::login::LoginUrl;

/// The longest name of a claim, or path to one.
const MAX_CLAIM_BYTES: usize = 256;
/// Claims with another meaning, which cannot hold the audience.
const NO_AUDIENCE: [&str; 6] = ["iss", "sub", "jti", "exp", "nbf", "iat"];
/// The most claims of `required_claims`, and the longest text of one in bytes: every token is
/// searched for each.
const MAX_REQUIRED: usize = 16;
const MAX_TEXT_BYTES: usize = 256;
/// Claims that are checked elsewhere, or whose value is no fixed text.
const DECIDED_ELSEWHERE: [&str; 6] = ["iss", "sub", "aud", "exp", "nbf", "iat"];

/// Bearer tokens and their issuers.
#[derive(Debug)]
pub struct AuthSection {
    /// How far clocks may disagree.
    pub skew: Duration,
    /// The file of revoked credentials.
    pub revocation_file: Option<PathBuf>,
    /// The name of the cookie that single sign-on sets; `None` accepts none.
    pub sso_cookie: Option<String>,
    /// The page to which a browser without a credential is sent.
    pub login_url: Option<LoginUrl>,
    /// The issuers whose bearer tokens are accepted.
    pub issuers: Vec<IssuerSection>,
}

/// An issuer of bearer tokens.
#[derive(Debug)]
pub struct IssuerSection {
    /// The value that `iss` must have.
    pub name: Option<String>,
    /// The audiences that a token may name.
    pub audiences: Vec<String>,
    /// Further claims that its tokens must have.
    pub required: RequiredClaims,
    /// The claims with the attributes of its subjects.
    pub claims: AttributeClaims,
    /// The PBXs that its tokens are for; all when `None`.
    pub pbxs: Option<Arc<[String]>>,
    /// The keys that verify its tokens.
    pub keys: Vec<KeySection>,
    /// The place where it publishes its keys.
    pub key_source: Option<KeySourceSection>,
}

rows! {
    /// Bearer tokens, and the credentials that browsers have in their place.
    mod keys = "[auth]";

    /// How far the clocks of issuers may be off.
    skew_s: Number<Duration> = seconds(0..=300, 10);

    /// A file with credentials that are no longer valid although they have not expired. It is read
    /// again whenever it changes, and POST /revocations of the admin listener adds to it. One JSON
    /// object per line: {"jti": "…"}; {"issuer": "…", "subject": "…"}; {"issued_before":
    /// "2026-11-20T12:00:00Z"} for all, or with an "issuer", or with a "subject" of it as well. A
    /// token without iat counts as issued before any time.
    revocation_file: Free<PathBuf> = path("revocations.jsonl").absent("nothing is revoked");

    /// The name of a cookie that single sign-on sets for this host. Its value is a JWT of one of
    /// the issuers below, and counts as a bearer token if there is no other credential. Other sites
    /// must not use it unasked: see [cors].
    cookie: Free<String> = text("sso_token").absent("no such cookie counts");

    /// The page where people sign in. A browser that opens a recording without any credential is
    /// sent there; a browser with a wrong token never is. {return} is the value of the parameter for
    /// the address to come back to. Needs server.public_url. After the sign-in the request must
    /// bring a credential, for example by nginx with oauth2-proxy in front; otherwise the browser
    /// goes round in circles.
    login_url: Free<LoginUrl> = parsed("https://sso.example.com/oauth2/start?rd={return}")
        .absent("a page that says what to do");
}

rows! {
    /// The issuers of bearer tokens; one [[auth.issuer]] each.
    mod issuer_keys = "[[auth.issuer]]";

    /// The value that the claim iss must have.
    name: Required<Free<String>> = required(text("https://idp.example.com"));

    /// The claim aud must name one of these.
    audiences: Required<Free<Vec<String>>> = required(list(&["recordings"]));

    /// The claim with the audience of a token that has no aud: a name or a path, of a text or a
    /// list of texts. If there is an aud, it decides alone; one of the two must be there. Not for
    /// links and sessions.
    audience_claim: Word = word(RequiredClaims::AUDIENCE);

    /// Further claims that each token must have, with their texts; at most 16. Access tokens of
    /// Amazon Cognito have client_id in the place of aud, and its ID tokens, which are for other
    /// programs, have another token_use: for Cognito write audiences = ["the app client's id"],
    /// audience_claim = "client_id" and the line below.
    required_claims: Free<Vec<(String, String)>> =
        read_by(read_required_claims, "{ token_use = \"access\" }").absent("none");

    /// The claim with the roles of the subject, for the policies: a name, or a path through objects
    /// such as realm_access.roles. Its value is a text or a list of texts. If this claim or one of
    /// the next two is absent, null or empty, it says nothing. The token is refused if one of them
    /// has another form, a value of more than 256 bytes, or more values than one for each 16 bytes
    /// of server.max_header_bytes (1024).
    roles_claim: Word = word(AttributeClaims::ROLES);

    /// The claim with the extensions of the subject: a text or a list of texts, each pbx/number.
    /// The number alone is enough if pbxs names one PBX.
    extensions_claim: Word = word(AttributeClaims::EXTENSIONS);

    /// The claim with the tenant of the subject: a text.
    tenant_claim: Word = word(AttributeClaims::TENANT);

    /// The PBXs that tokens of this issuer are for.
    pbxs: Free<Vec<String>> = list(&["office"]).absent("all");

    /// An issuer that publishes its keys needs no [[auth.issuer.key]], but one of the next three
    /// keys. For an OpenID provider: the address of its metadata, https. The issuer there must be
    /// the name above, and the jwks_uri must be on the same origin or on one of jwks_origins.
    discovery_url: Free<Url> = web_address("https://idp.example.com/.well-known/openid-configuration").absent("none");

    /// The address of a JWK Set, https. No redirect is followed, and 256 KiB is the most.
    jwks_url: Free<Url> = web_address("https://idp.example.com/keys").absent("none");

    /// A file with a JWK Set.
    jwks_file: Free<PathBuf> = path("idp-keys.json").absent("none");

    /// Further origins that the jwks_uri of the metadata may be on.
    jwks_origins: Free<Vec<Url>> = list(&["https://keys.example.com"]).absent("none");

    /// A PEM file with the certificates of CAs that may have signed the certificate of the issuer.
    jwks_ca_file: Free<PathBuf> = path("idp-ca.pem").absent("the CAs of the system");

    /// The algorithms that its keys may have. By default an RSA key that names no algorithm is for
    /// RS256.
    algorithms: Free<Vec<Algorithm>> =
        list(&["RS256", "ES256"]).absent("all with public keys");

    /// How often the keys are fetched. While the issuer is down, the last keys stay in force.
    jwks_refresh_s: Number<Duration> = seconds(1..=7 * DAY_S, 3_600);

    /// How often at most the keys are fetched for a token whose kid is not known. So a new key is
    /// good at once, and made-up ones cost the issuer no more than this.
    jwks_min_interval_s: Number<Duration> = seconds(1..=3_600, 30);
}

pub(super) fn read_auth(section: &mut Section<'_>) -> AuthSection {
    let skew = keys::skew_s.get(section);
    if !section.has(issuer_keys::SECTION.name()) {
        section.problem(
            issuer_keys::SECTION.name(),
            "missing; write an [[auth.issuer]] for each system that signs your bearer tokens",
        );
    }
    let issuers = issuer_keys::SECTION.read_all(section, read_issuer);
    AuthSection {
        skew,
        revocation_file: keys::revocation_file.given(section),
        login_url: keys::login_url.given(section),
        issuers,
        sso_cookie: read_sso_cookie(section),
    }
}

/// The name of the cookie that single sign-on sets.
fn read_sso_cookie(section: &mut Section<'_>) -> Option<String> {
    let name = keys::cookie.given(section)?;
    if !is_cookie_name(&name) {
        let message = format!("{name:?} cannot be the name of a cookie");
        section.problem(keys::cookie.name, message);
    }
    if name == SESSION_COOKIE {
        section.problem(keys::cookie.name, "the name of the gateway's own cookie");
    }
    Some(name)
}

fn read_issuer(section: &mut Section<'_>) -> IssuerSection {
    let name = issuer_keys::name.given(section);
    let claims = read_claims(section);
    let issuer = IssuerSection {
        name,
        audiences: read_audiences(section),
        required: RequiredClaims {
            audience: read_audience_claim(section, &claims),
            texts: issuer_keys::required_claims
                .given(section)
                .unwrap_or_default(),
        },
        claims,
        pbxs: read_reach(section),
        keys: key::keys::SECTION.read_all(section, |section| read_key(section, &key::ISSUER)),
        key_source: read_key_source(section),
    };
    if issuer.keys.is_empty() && issuer.key_source.is_none() {
        section.problem(
            key::keys::SECTION.name(),
            "missing; write [[auth.issuer.key]], or jwks_file, jwks_url or discovery_url",
        );
    }
    issuer
}

fn read_audiences(section: &mut Section<'_>) -> Vec<String> {
    let key = issuer_keys::audiences.name;
    let Some(audiences) = issuer_keys::audiences.given(section) else {
        return Vec::new();
    };
    if audiences.is_empty() {
        section.problem(key, "empty: no token would be accepted");
    }
    if audiences.iter().any(String::is_empty) {
        section.problem(key, "an audience is empty");
    }
    audiences
}

/// The PBXs that an issuer's tokens are for.
fn read_reach(section: &mut Section<'_>) -> Option<Arc<[String]>> {
    let pbxs = issuer_keys::pbxs.given(section)?;
    if pbxs.is_empty() {
        section.problem(
            issuer_keys::pbxs.name,
            "empty: no token of this issuer would be of any use",
        );
    }
    Some(pbxs.into())
}

/// The claims with the attributes of a subject.
fn read_claims(section: &mut Section<'_>) -> AttributeClaims {
    let mut claim = |row: &Setting<Word>| {
        let claim = row.get(section);
        check_claim(section, row.name, &claim);
        claim
    };
    AttributeClaims {
        roles: claim(&issuer_keys::roles_claim),
        extensions: claim(&issuer_keys::extensions_claim),
        tenant: claim(&issuer_keys::tenant_claim),
    }
}

fn check_claim(section: &mut Section<'_>, key: &str, claim: &str) {
    if claim.split('.').any(str::is_empty) || claim.len() > MAX_CLAIM_BYTES {
        section.problem(
            key,
            "not the name of a claim, or a path such as realm_access.roles",
        );
    }
}

/// The claim with the audience of a token without `aud`. It must not be a claim that the subject
/// can influence, or that has another meaning.
fn read_audience_claim(section: &mut Section<'_>, claims: &AttributeClaims) -> String {
    let row = &issuer_keys::audience_claim;
    let Some(claim) = row.given(section) else {
        return row.kind.default();
    };
    check_claim(section, row.name, &claim);
    let attributes = [&claims.roles, &claims.extensions, &claims.tenant];
    if NO_AUDIENCE.contains(&claim.as_str()) || attributes.contains(&&claim) {
        let message = format!("{claim:?} says something else; name a claim that the issuer sets");
        section.problem(row.name, message);
    }
    claim
}

/// The further claims that tokens must have, each with its text.
fn read_required_claims(section: &mut Section<'_>, key: &str) -> Option<Vec<(String, String)>> {
    let texts = section.section(key, &[], |section| {
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
        texts.collect::<Vec<_>>()
    });
    if texts.len() > MAX_REQUIRED {
        section.problem(key, format!("more than {MAX_REQUIRED} claims"));
    }
    Some(texts)
}

//! `[auth]` and `[links]`: who signs, and with which keys.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::key_source::{publishes, read_key_source};
use super::policy::read_reach;
use super::session::read_sso_cookie;
use crate::auth::key_sets::source::KeySource;
use crate::auth::keys::VerifyingKey;
use crate::auth::link::{LinkKey, Links};
use crate::auth::mint::SigningKey;
use crate::auth::minter::Minter;
use crate::auth::{Algorithm, AttributeClaims, Cookies, Issuer, KeyRing, RequiredClaims};
use crate::config::section::Section;
use crate::config::{Auth, Server, Signer};

const LINK_TTL: Duration = Duration::from_secs(900);
/// The longest name of a claim, or path to one.
const MAX_CLAIM_BYTES: usize = 256;
/// Claims that say something else than for whom a token is, so that none can be the audience.
const NO_AUDIENCE: [&str; 6] = ["iss", "sub", "jti", "exp", "nbf", "iat"];
/// The most claims of `required_claims`, and the longest text of one in bytes: every token is searched for each.
const MAX_REQUIRED: usize = 16;
const MAX_TEXT_BYTES: usize = 256;
const MAX_LINK_TTL_S: RangeInclusive<u64> = 1..=30 * 86_400;

pub(super) fn read_auth(section: &mut Section<'_>) -> Auth {
    let skew = section.seconds("skew_s", 0..=300, Duration::from_secs(10));
    if !section.has("issuer") {
        section.problem(
            "issuer",
            "missing; write [[auth.issuer]] for whoever signs your bearer tokens",
        );
    }
    let (mut bearer_signers, mut key_sources) = (Vec::new(), Vec::new());
    let issuers = section.sections("issuer", |section| {
        read_issuer(section, &mut bearer_signers, &mut key_sources)
    });
    Auth {
        revocation_file: section.path("revocation_file"),
        login_url: section.parsed("login_url"),
        issuers: issuers.into_iter().flatten().collect(),
        key_sources,
        links: None,
        minter: None,
        cookies: Cookies {
            sessions: None,
            sso: read_sso_cookie(section),
        },
        skew,
        bearer_signers,
        link_signers: Vec::new(),
    }
}

/// People come back from where they sign in to the public address.
pub(super) fn check_login(root: &mut Section<'_>, auth: &Auth, server: &Server) {
    if auth.login_url.is_some() && server.public_url.is_none() {
        root.problem(
            "auth.login_url",
            "needs server.public_url, the address that people come back to",
        );
    }
}

fn read_issuer(
    section: &mut Section<'_>,
    signers: &mut Vec<Signer>,
    sources: &mut Vec<KeySource>,
) -> Option<Issuer> {
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
    let keys = section.sections("key", |section| {
        read_key(section).map(|(key, signer)| {
            signers.extend(signer.map(|signer| Signer {
                issuer: name.clone().unwrap_or_default(),
                ..signer
            }));
            key
        })
    });
    let publishes = publishes(section);
    if keys.is_empty() && !publishes {
        section.problem(
            "key",
            "missing; write [[auth.issuer.key]], or jwks_file, jwks_url or discovery_url",
        );
    }
    let keys = keys.into_iter().flatten().collect();
    let keys = if publishes {
        KeyRing::with_set(keys)
    } else {
        KeyRing::fixed(keys)
    };
    sources.extend(read_key_source(section, name.as_deref(), &keys));
    Some(Issuer {
        name: name?,
        audiences,
        required,
        keys,
        claims,
        pbxs,
    })
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

/// Reads a verification key; for a shared secret also what is needed to sign with it.
fn read_key(section: &mut Section<'_>) -> Option<(VerifyingKey, Option<Signer>)> {
    let id = section.text("id");
    let algorithm = section.required("algorithm");
    let algorithm: Option<Algorithm> = algorithm.and_then(|text| section.parse("algorithm", &text));
    let kind = match (section.has("secret_file"), section.has("public_key_file")) {
        (true, false) => "secret_file",
        (false, true) => "public_key_file",
        (true, true) => {
            section.problem(
                "secret_file",
                "give either secret_file or public_key_file, not both",
            );
            "secret_file"
        }
        (false, false) => {
            section.problem(
                "secret_file",
                "missing; HS algorithms need secret_file, all others public_key_file",
            );
            return None;
        }
    };
    if kind == "secret_file" {
        let secret = section.secret_file(kind);
        let (algorithm, secret) = (algorithm?, secret?);
        let key = VerifyingKey::secret(id.clone(), algorithm, &secret);
        let signer = Signer {
            issuer: String::new(),
            id,
            algorithm,
            secret,
        };
        Some((section.note(kind, key)?, Some(signer)))
    } else {
        let pem = section.public_file(kind);
        let key = VerifyingKey::public_pem(id, algorithm?, &pem?);
        Some((section.note(kind, key)?, None))
    }
}

pub(super) fn read_links(section: &mut Section<'_>, auth: &mut Auth) {
    if !section.has("key") {
        return;
    }
    let audience = section.required("audience").unwrap_or_default();
    let max_ttl = section.seconds("max_ttl_s", MAX_LINK_TTL_S, LINK_TTL);
    let signers = &mut auth.link_signers;
    let keys = section.sections("key", |section| {
        let pbxs = section.list("pbxs");
        let ttl = section
            .has("max_ttl_s")
            .then(|| section.seconds("max_ttl_s", MAX_LINK_TTL_S, LINK_TTL));
        let (key, signer) = read_key(section)?;
        signers.extend(signer);
        Some(LinkKey {
            key,
            pbxs,
            max_ttl: ttl,
        })
    });
    let links = Links {
        audience,
        max_ttl,
        keys: keys.into_iter().flatten().collect(),
    };
    auth.minter = read_signing_key(section, &links, signers);
    auth.links = Some(links);
}

/// The key that makes links for callers: one whose secret is here, and that nobody can mix up with another.
fn read_signing_key(
    section: &mut Section<'_>,
    links: &Links,
    signers: &[Signer],
) -> Option<Minter> {
    let id = section.text("signing_key")?;
    let mut keys = links.keys.iter().filter(|link| link.key.id() == Some(&id));
    let signer = signers
        .iter()
        .find(|signer| signer.id.as_ref() == Some(&id));
    let why = match (keys.next(), keys.next(), signer) {
        (Some(link), None, Some(signer)) => {
            let key = SigningKey::secret(signer.id.clone(), signer.algorithm, &signer.secret);
            return Some(Minter {
                key: section.note("signing_key", key)?,
                audience: links.audience.clone(),
                max_ttl: links.max_ttl_of(link),
                pbxs: link.pbxs.clone(),
            });
        }
        (None, ..) => "no [[links.key]] has this id",
        (_, Some(_), _) => "more than one [[links.key]] has this id",
        (_, _, None) => "that key has no secret_file, so the gateway cannot sign with it",
    };
    section.problem("signing_key", format!("{id:?}: {why}"));
    None
}

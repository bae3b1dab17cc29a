//! Issuers, links and sessions with their keys.

use super::AuthParts;
use crate::auth::key_sets::document;
use crate::auth::key_sets::source::{KeyPlace, KeySource};
use crate::auth::keys::VerifyingKey;
use crate::auth::link::{LinkKey, Links};
use crate::auth::link_minter::Minter;
use crate::auth::mint::SigningKey;
use crate::auth::{Cookies, Issuer, KeyRing, Sessions};
use crate::config::{
    Config, IssuerSection, KeyMaterial, KeySection, KeySourceSection, LinksSection, Problems,
    read_public,
};
use crate::tls::client::read_certificates;

pub(super) fn read_auth(config: &Config, problems: &mut Problems) -> AuthParts {
    let (mut issuers, mut key_sources) = (Vec::new(), Vec::new());
    for (index, issuer) in config.auth.issuers.iter().enumerate() {
        let place = format!("auth.issuer[{index}]");
        let keys = read_keys(&place, issuer, problems);
        let source = issuer.key_source.as_ref();
        let source = source.and_then(|source| {
            read_key_source(&place, issuer.name.as_deref(), source, &keys, problems)
        });
        key_sources.extend(source);
        let Some(name) = issuer.name.clone() else {
            continue;
        };
        issuers.push(Issuer {
            name,
            audiences: issuer.audiences.clone(),
            required: issuer.required.clone(),
            keys,
            claims: issuer.claims.clone(),
            pbxs: issuer.pbxs.clone(),
        });
    }
    let links = config.links.as_ref();
    let (links, minter) = links
        .map(|links| read_links(links, problems))
        .unwrap_or_default();
    AuthParts {
        issuers,
        key_sources,
        links,
        minter,
        cookies: Cookies {
            sessions: read_sessions(config, problems),
            sso: config.auth.sso_cookie.clone(),
        },
    }
}

fn read_keys(place: &str, issuer: &IssuerSection, problems: &mut Problems) -> KeyRing {
    let keys = issuer.keys.iter().enumerate();
    let keys = keys.filter_map(|(index, key)| {
        let place = format!("{place}.key[{index}]");
        read_key(&place, key, problems)
    });
    let keys = keys.collect();
    match issuer.key_source {
        Some(_) => KeyRing::with_set(keys),
        None => KeyRing::fixed(keys),
    }
}

fn read_key(place: &str, section: &KeySection, problems: &mut Problems) -> Option<VerifyingKey> {
    let id = section.id.clone();
    match section.material.as_ref()? {
        KeyMaterial::Secret(secret) => {
            let key = VerifyingKey::secret(id, section.algorithm?, secret);
            problems.note(&format!("{place}.secret_file"), key)
        }
        KeyMaterial::PublicKeyFile(path) => {
            let place = format!("{place}.public_key_file");
            let pem = read_public(path).map_err(|error| format!("{}: {error}", path.display()));
            let pem = problems.note(&place, pem)?;
            problems.note(
                &place,
                VerifyingKey::public_pem(id, section.algorithm?, &pem),
            )
        }
    }
}

/// The place where an issuer publishes its keys. Keys in a file are put into the ring.
fn read_key_source(
    place: &str,
    issuer: Option<&str>,
    section: &KeySourceSection,
    ring: &KeyRing,
    problems: &mut Problems,
) -> Option<KeySource> {
    let ca = section.ca_file.as_ref();
    let ca = ca
        .and_then(|path| problems.note(&format!("{place}.jwks_ca_file"), read_certificates(path)));
    let algorithms = &section.algorithms;
    if let Some(KeyPlace::File(path)) = &section.place {
        let read = read_public(path).map_err(|error| error.to_string());
        let read = read
            .and_then(|set| document::read(&set, algorithms).map_err(|error| error.to_string()));
        let read = read.map_err(|error| format!("{}: {error}", path.display()));
        ring.publish(problems.note(&format!("{place}.jwks_file"), read)?.keys);
    }
    Some(KeySource {
        issuer: issuer?.to_owned(),
        place: section.place.clone()?,
        origins: section.origins.clone(),
        ca,
        algorithms: algorithms.clone(),
        refresh: section.refresh,
        min_interval: section.min_interval,
    })
}

/// The links that are accepted, and the key that signs new ones.
fn read_links(section: &LinksSection, problems: &mut Problems) -> (Option<Links>, Option<Minter>) {
    let mut links = Links {
        audience: section.audience.clone(),
        max_ttl: section.max_ttl,
        keys: Vec::new(),
    };
    let mut minter = None;
    for (index, link) in section.keys.iter().enumerate() {
        let place = format!("links.key[{index}]");
        let Some(key) = read_key(&place, &link.key, problems) else {
            continue;
        };
        let verifier = LinkKey {
            key,
            pbxs: link.pbxs.clone(),
            max_ttl: link.max_ttl,
        };
        if section.signing_key.is_some() && section.signing_key == link.key.id {
            minter = read_minter(&links, &verifier, &link.key, problems);
        }
        links.keys.push(verifier);
    }
    (Some(links), minter)
}

fn read_minter(
    links: &Links,
    verifier: &LinkKey,
    section: &KeySection,
    problems: &mut Problems,
) -> Option<Minter> {
    let key = SigningKey::secret(section.id.clone(), section.algorithm?, section.secret()?);
    Some(Minter {
        key: problems.note("links.signing_key", key)?,
        audience: links.audience.clone(),
        max_ttl: links.max_ttl_of(verifier),
        pbxs: verifier.pbxs.clone(),
    })
}

fn read_sessions(config: &Config, problems: &mut Problems) -> Option<Sessions> {
    let secret = config.session.key.as_ref()?;
    let sessions = Sessions::new(secret, config.session.max_ttl);
    problems.note("session.key_file", sessions)
}

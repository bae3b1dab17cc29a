//! `jwks_file`, `jwks_url` and `discovery_url` of an issuer: the place where it publishes its keys.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::auth::issuer_keys as keys;
use crate::auth::Algorithm;
use crate::auth::key_sets::source::KeyPlace;
use crate::config::kinds::*;
use crate::config::rows::Setting;
use crate::config::section::Section;

/// The configuration keys that name the place of the published keys.
const PLACES: [&str; 3] = [
    keys::jwks_file.name,
    keys::jwks_url.name,
    keys::discovery_url.name,
];

/// The place where an issuer publishes its keys.
#[derive(Debug)]
pub struct KeySourceSection {
    /// The place of its JWK Set.
    pub place: Option<KeyPlace>,
    /// Further origins that a discovery document may name as the place of the JWK Set.
    pub origins: Vec<Url>,
    /// The file with the CA certificates that verify the issuer's; those of the system when `None`.
    pub ca_file: Option<PathBuf>,
    /// The algorithms that its keys may have; empty for all with public keys.
    pub algorithms: Vec<Algorithm>,
    /// The time between two fetches of the JWK Set.
    pub refresh: Duration,
    /// The least time between two fetches for tokens with an unknown key id.
    pub min_interval: Duration,
}

/// Reads the place of the published keys; `None` for an issuer that publishes none.
pub(super) fn read_key_source(section: &mut Section<'_>) -> Option<KeySourceSection> {
    let mut given = PLACES.iter().filter(|key| section.has(key));
    let (first, second) = (given.next().copied(), given.next().is_some());
    let Some(first) = first else {
        refuse_the_rest(section);
        return None;
    };
    if second {
        section.problem(
            first,
            "give one of jwks_file, jwks_url and discovery_url, not two",
        );
    }
    let file = keys::jwks_file.given(section).map(KeyPlace::File);
    let url = https(section, &keys::jwks_url).map(KeyPlace::Url);
    let discovery = https(section, &keys::discovery_url).map(KeyPlace::Discovery);
    let algorithms = keys::algorithms.given(section).unwrap_or_default();
    if algorithms.iter().any(|one| one.is_shared_secret()) {
        section.problem(
            keys::algorithms.name,
            "HS256, HS384 and HS512 have no public keys",
        );
    }
    Some(KeySourceSection {
        place: file.or(url).or(discovery),
        origins: keys::jwks_origins.given(section).unwrap_or_default(),
        ca_file: keys::jwks_ca_file.given(section),
        algorithms,
        refresh: keys::jwks_refresh_s.get(section),
        min_interval: keys::jwks_min_interval_s.get(section),
    })
}

/// Refuses the keys that say how published keys are read, where none are published.
fn refuse_the_rest(section: &mut Section<'_>) {
    for key in [
        keys::jwks_origins.name,
        keys::jwks_ca_file.name,
        keys::algorithms.name,
        keys::jwks_refresh_s.name,
        keys::jwks_min_interval_s.name,
    ] {
        if section.take_away(key) {
            section.problem(key, "needs jwks_file, jwks_url or discovery_url");
        }
    }
}

/// An https address: an attacker on the network cannot replace the keys that come from there.
fn https(section: &mut Section<'_>, row: &Setting<Free<Url>>) -> Option<Url> {
    let url = row.given(section)?;
    let problem = if url.scheme() != "https" {
        "not https: an attacker on the network could replace the keys"
    } else if !url.username().is_empty() || url.password().is_some() {
        "has a user name or a password, which are not sent"
    } else if url.fragment().is_some() {
        "has a fragment"
    } else {
        return Some(url);
    };
    section.problem(row.name, problem);
    None
}

//! `jwks_file`, `jwks_url` and `discovery_url` of an issuer: where it publishes its keys.

use std::ops::RangeInclusive;
use std::time::Duration;

use url::Url;

use crate::auth::key_sets::document;
use crate::auth::key_sets::source::{KeyPlace, KeySource};
use crate::auth::{Algorithm, KeyRing};
use crate::config::section::{Section, read_public};
use crate::tls::client::read_certificates;

const REFRESH: Duration = Duration::from_secs(3600);
const REFRESH_S: RangeInclusive<u64> = 1..=7 * 86_400;
const MIN_INTERVAL: Duration = Duration::from_secs(30);
const MIN_INTERVAL_S: RangeInclusive<u64> = 1..=3600;

/// Where an issuer may publish its keys.
const PLACES: [&str; 3] = ["jwks_file", "jwks_url", "discovery_url"];

/// Whether the issuer publishes its keys.
pub(super) fn publishes(section: &Section<'_>) -> bool {
    PLACES.iter().any(|key| section.has(key))
}

/// Reads where the keys are published; `None` where they are not. Those in a file are put into the ring.
pub(super) fn read_key_source(
    section: &mut Section<'_>,
    issuer: Option<&str>,
    ring: &KeyRing,
) -> Option<KeySource> {
    let mut given = PLACES.iter().filter(|key| section.has(key));
    let (first, second) = (given.next().copied()?, given.next().is_some());
    if second {
        section.problem(
            first,
            "give one of jwks_file, jwks_url and discovery_url, not two",
        );
    }
    let file = section.path("jwks_file");
    let url = https(section, "jwks_url").map(KeyPlace::Url);
    let discovery = https(section, "discovery_url").map(KeyPlace::Discovery);
    let algorithms: Vec<Algorithm> = section.list("algorithms").unwrap_or_default();
    if algorithms
        .iter()
        .any(|algorithm| algorithm.is_shared_secret())
    {
        section.problem("algorithms", "HS256, HS384 and HS512 have no public keys");
    }
    let origins = section.list("jwks_origins").unwrap_or_default();
    let ca = section.path("jwks_ca_file");
    let ca = ca.and_then(|path| section.note("jwks_ca_file", read_certificates(&path)));
    let refresh = section.seconds("jwks_refresh_s", REFRESH_S, REFRESH);
    let min_interval = section.seconds("jwks_min_interval_s", MIN_INTERVAL_S, MIN_INTERVAL);
    if let Some(path) = &file {
        let read = read_public(path).map_err(|error| error.to_string());
        let read = read
            .and_then(|set| document::read(&set, &algorithms).map_err(|error| error.to_string()));
        let read = read.map_err(|error| format!("{}: {error}", path.display()));
        ring.publish(section.note("jwks_file", read)?.keys);
    }
    Some(KeySource {
        issuer: issuer?.to_owned(),
        place: file.map(KeyPlace::File).or(url).or(discovery)?,
        origins,
        ca,
        algorithms,
        refresh,
        min_interval,
    })
}

/// An address that secrets may be fetched from: nobody on the way can change what it gives.
fn https(section: &mut Section<'_>, key: &str) -> Option<Url> {
    let url = section.url(key)?;
    let problem = if url.scheme() != "https" {
        "not https: whoever is on the way could put their own keys in"
    } else if !url.username().is_empty() || url.password().is_some() {
        "has a user name or a password, which are not sent"
    } else if url.fragment().is_some() {
        "has a fragment"
    } else {
        return Some(url);
    };
    section.problem(key, problem);
    None
}

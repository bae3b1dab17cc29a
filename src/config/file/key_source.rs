//! `jwks_file`, `jwks_url` and `discovery_url` of an issuer: where it publishes its keys.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::auth::Algorithm;
use crate::auth::key_sets::source::KeyPlace;
use crate::config::section::Section;

const REFRESH: Duration = Duration::from_secs(3600);
const REFRESH_S: RangeInclusive<u64> = 1..=7 * 86_400;
const MIN_INTERVAL: Duration = Duration::from_secs(30);
const MIN_INTERVAL_S: RangeInclusive<u64> = 1..=3600;

/// Where an issuer may publish its keys.
const PLACES: [&str; 3] = ["jwks_file", "jwks_url", "discovery_url"];

/// Where an issuer publishes its keys.
#[derive(Debug)]
pub struct KeySourceSection {
    /// Where its JWK Set is.
    pub place: Option<KeyPlace>,
    /// Where else a discovery document may say that it is; only the origins count.
    pub origins: Vec<Url>,
    /// The file with the certificates of CAs that the issuer's own is judged by; the system's where there is none.
    pub ca_file: Option<PathBuf>,
    /// The algorithms that its keys may have; none means every one with public keys.
    pub algorithms: Vec<Algorithm>,
    /// How often the set is got anew.
    pub refresh: Duration,
    /// How often at most that is done for a token whose key is not known.
    pub min_interval: Duration,
}

/// Reads where the keys are published; `None` where they are not.
pub(super) fn read_key_source(section: &mut Section<'_>) -> Option<KeySourceSection> {
    let mut given = PLACES.iter().filter(|key| section.has(key));
    let (first, second) = (given.next().copied()?, given.next().is_some());
    if second {
        section.problem(
            first,
            "give one of jwks_file, jwks_url and discovery_url, not two",
        );
    }
    let file = section.path("jwks_file").map(KeyPlace::File);
    let url = https(section, "jwks_url").map(KeyPlace::Url);
    let discovery = https(section, "discovery_url").map(KeyPlace::Discovery);
    let algorithms: Vec<Algorithm> = section.list("algorithms").unwrap_or_default();
    if algorithms
        .iter()
        .any(|algorithm| algorithm.is_shared_secret())
    {
        section.problem("algorithms", "HS256, HS384 and HS512 have no public keys");
    }
    Some(KeySourceSection {
        place: file.or(url).or(discovery),
        origins: section.list("jwks_origins").unwrap_or_default(),
        ca_file: section.path("jwks_ca_file"),
        algorithms,
        refresh: section.seconds("jwks_refresh_s", REFRESH_S, REFRESH),
        min_interval: section.seconds("jwks_min_interval_s", MIN_INTERVAL_S, MIN_INTERVAL),
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

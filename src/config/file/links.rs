//! `[links]` and `[[links.key]]`: tokens that open one recording.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::key::{KeySection, read_key};
use crate::config::section::Section;

const LINK_TTL: Duration = Duration::from_secs(900);
const MAX_LINK_TTL_S: RangeInclusive<u64> = 1..=30 * 86_400;

/// Link tokens.
#[derive(Debug)]
pub struct LinksSection {
    /// What `aud` must name.
    pub audience: String,
    /// The longest life of any link.
    pub max_ttl: Duration,
    /// The id of the key that signs the links of `POST /links`.
    pub signing_key: Option<String>,
    /// The keys that verify links.
    pub keys: Vec<LinkKeySection>,
}

/// A key that verifies links, with its limits.
#[derive(Debug)]
pub struct LinkKeySection {
    /// The key itself.
    pub key: KeySection,
    /// The PBXs whose recordings its links may name; all when `None`.
    pub pbxs: Option<Vec<String>>,
    /// The longest life of its links, where that is shorter than that of all.
    pub max_ttl: Option<Duration>,
}

pub(super) fn read_links(section: &mut Section<'_>) -> Option<LinksSection> {
    if !section.has("key") {
        return None;
    }
    let audience = section.required("audience").unwrap_or_default();
    let max_ttl = section.seconds("max_ttl_s", MAX_LINK_TTL_S, LINK_TTL);
    let keys = section.sections("key", |section| LinkKeySection {
        pbxs: section.list("pbxs"),
        max_ttl: section
            .has("max_ttl_s")
            .then(|| section.seconds("max_ttl_s", MAX_LINK_TTL_S, LINK_TTL)),
        key: read_key(section),
    });
    Some(LinksSection {
        audience,
        max_ttl,
        signing_key: read_signing_key(section, &keys),
        keys,
    })
}

/// The key that makes links for callers: its secret is here, and nobody can mix it up with another key.
fn read_signing_key(section: &mut Section<'_>, keys: &[LinkKeySection]) -> Option<String> {
    let id = section.text("signing_key")?;
    let mut fitting = keys.iter().filter(|link| link.key.id.as_ref() == Some(&id));
    let why = match (fitting.next(), fitting.next()) {
        (None, _) => "no [[links.key]] has this id",
        (_, Some(_)) => "more than one [[links.key]] has this id",
        (Some(link), None) if link.key.is_public() => {
            "that key has no secret_file, so the gateway cannot sign with it"
        }
        (Some(_), None) => return Some(id),
    };
    section.problem("signing_key", format!("{id:?}: {why}"));
    None
}

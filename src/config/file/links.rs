//! `[links]` and `[[links.key]]`: tokens that open one recording.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::key::{KeyRows, KeySection, read_key};
use crate::auth::Algorithm;
use crate::config::kinds::*;
use crate::config::rows::rows;
use crate::config::section::Section;
use crate::secret::Secret;

/// The range for the life of links.
const TTL_S: RangeInclusive<u64> = 1..=30 * 86_400;

/// Link tokens.
#[derive(Debug)]
pub struct LinksSection {
    /// The audience that `aud` must name.
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

rows! {
    /// Link tokens: a JWT in ?link= that opens one recording, for browsers and <audio> elements.
    /// Without a [[links.key]] there are none.
    mod keys = "[links]";

    /// The claim aud of links must name this. No issuer may have it.
    audience: Required<Free<String>> = required(text("wavegate-links"));

    /// The longest life of a link, counted from iat, or from now without one. Everyone who has a
    /// link can play it until it ends.
    max_ttl_s: Number<Duration> = seconds(TTL_S, 900);

    /// The id of the [[links.key]] that signs the links of POST /links. That key has a secret_file,
    /// and no other key has its id. Links are built from server.public_url.
    signing_key: Free<String> = text("crm").absent("none, and POST /links answers 501");
}

rows! {
    /// The keys that verify links; one [[links.key]] each. No issuer may have the same key.
    mod key_keys = "[[links.key]]";

    /// Key id. It counts as the issuer of the links that this key signed.
    id: Free<String> = text("crm").absent("none, and the issuer of its links is \"link\"").shown();

    /// As for the keys of issuers.
    algorithm: Required<Free<Algorithm>> = required(parsed("HS256"));

    /// As for the keys of issuers.
    secret_file: Free<Secret> = secret("secrets/link").shown();

    /// As for the keys of issuers.
    public_key_file: Free<PathBuf> = path("crm.pem").absent("none");

    /// The PBXs whose recordings the links of this key may open.
    pbxs: Free<Vec<String>> = list(&["office"]).absent("all");

    /// A shorter longest life for the links of this key.
    max_ttl_s: Optional<Number<Duration>> = optional(seconds(TTL_S, 900), "that of [links]");
}

/// The rows of a key of links.
const KEY: KeyRows = KeyRows {
    id: &key_keys::id,
    algorithm: &key_keys::algorithm,
    secret_file: &key_keys::secret_file,
    public_key_file: &key_keys::public_key_file,
};

pub(super) fn read_links(section: &mut Section<'_>) -> Option<LinksSection> {
    if !section.has(key_keys::SECTION.name()) {
        for row in [keys::audience.name, keys::max_ttl_s.name] {
            if section.take_away(row) {
                section.problem(row, "has no effect without a [[links.key]]");
            }
        }
        read_signing_key(section, &[]);
        return None;
    }
    let audience = keys::audience.given(section).unwrap_or_default();
    let max_ttl = keys::max_ttl_s.get(section);
    let link_keys = key_keys::SECTION.read_all(section, |section| LinkKeySection {
        pbxs: key_keys::pbxs.given(section),
        max_ttl: key_keys::max_ttl_s.given(section),
        key: read_key(section, &KEY),
    });
    Some(LinksSection {
        audience,
        max_ttl,
        signing_key: read_signing_key(section, &link_keys),
        keys: link_keys,
    })
}

/// The id of the key that signs links for callers. The gateway must have its secret, and no other
/// key may have its id.
fn read_signing_key(section: &mut Section<'_>, keys: &[LinkKeySection]) -> Option<String> {
    let id = keys::signing_key.given(section)?;
    let mut fitting = keys.iter().filter(|link| link.key.id.as_ref() == Some(&id));
    let why = match (fitting.next(), fitting.next()) {
        (None, _) => "no [[links.key]] has this id",
        (_, Some(_)) => "more than one [[links.key]] has this id",
        (Some(link), None) if link.key.is_public() => {
            "that key has no secret_file, so the gateway cannot sign with it"
        }
        (Some(_), None) => return Some(id),
    };
    section.problem(keys::signing_key.name, format!("{id:?}: {why}"));
    None
}

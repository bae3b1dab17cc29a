//! `[session]`: cookies in the place of bearer tokens, for browsers.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::config::section::Section;
use crate::gateway::settings::embed::Embed;
use crate::secret::Secret;

const MAX_TTL_S: RangeInclusive<u64> = 60..=30 * 86_400;

/// Sessions of browsers.
#[derive(Debug)]
pub struct SessionSection {
    /// The secret that signs them; `None` makes none.
    pub key: Option<Secret>,
    /// The longest life of a session.
    pub max_ttl: Duration,
    /// Which pages may have the session cookie sent.
    pub embed: Embed,
}

pub(super) fn read_session(section: &mut Section<'_>) -> SessionSection {
    SessionSection {
        max_ttl: section.seconds("max_ttl_s", MAX_TTL_S, Duration::from_secs(8 * 3600)),
        key: section.secret_file("key_file"),
        embed: section.choice("embed", &Embed::NAMES, Embed::default()),
    }
}

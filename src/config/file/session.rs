//! `[session]`: cookies in the place of bearer tokens, for browsers.

use std::time::Duration;

use crate::config::kinds::*;
use crate::config::rows::rows;
use crate::config::section::Section;
use crate::gateway::settings::embed::Embed;
use crate::secret::Secret;

/// Sessions of browsers.
#[derive(Debug)]
pub struct SessionSection {
    /// The secret that signs them; `None` for no sessions.
    pub key: Option<Secret>,
    /// The longest life of a session.
    pub max_ttl: Duration,
    /// The pages from which browsers send the session cookie.
    pub embed: Embed,
}

rows! {
    /// Sessions: POST /session exchanges a bearer token for the cookie __Host-wavegate, so that
    /// pages and players need no token. Browsers accept the cookie over https only, or from this
    /// machine.
    mod keys = "[session]";

    /// The secret that signs sessions: 32 bytes or more, and no key of an issuer or of links. A new
    /// secret ends all sessions.
    key_file: Free<Secret> = secret("secrets/session").absent("none, and there are no sessions");

    /// From which pages browsers send the cookie. same-site: pages of this site, and links that
    /// lead here. partitioned: also iframes in pages of other sites, such as a CRM; each of those
    /// sites has a session of its own.
    embed: OneOf<Embed> = one_of(&Embed::NAMES, Embed::SameSite);

    /// The longest life of a session. It ends with its bearer token at the latest.
    max_ttl_s: Number<Duration> = seconds(60..=30 * DAY_S, 28_800);
}

pub(super) fn read_session(section: &mut Section<'_>) -> SessionSection {
    SessionSection {
        max_ttl: keys::max_ttl_s.get(section),
        key: keys::key_file.given(section),
        embed: keys::embed.get(section),
    }
}

//! `[session]`, and what must not be mixed up with it.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::auth::Sessions;
use crate::auth::cookies::{SESSION_COOKIE, is_cookie_name};
use crate::config::Auth;
use crate::config::section::Section;
use crate::gateway::settings::embed::Embed;

const MAX_TTL_S: RangeInclusive<u64> = 60..=30 * 86_400;

pub(super) fn read_session(section: &mut Section<'_>, auth: &mut Auth) -> Embed {
    let max_ttl = section.seconds("max_ttl_s", MAX_TTL_S, Duration::from_secs(8 * 3600));
    let secret = section.secret_file("key_file");
    auth.cookies.sessions = secret.and_then(|secret| {
        let sessions = Sessions::new(&secret, max_ttl);
        section.note("key_file", sessions)
    });
    section.choice("embed", &Embed::NAMES, Embed::default())
}

/// Reads `cookie`, the name of the cookie that single sign-on sets.
pub(super) fn read_sso_cookie(section: &mut Section<'_>) -> Option<String> {
    let name = section.text("cookie")?;
    if !is_cookie_name(&name) {
        section.problem("cookie", format!("{name:?} cannot be the name of a cookie"));
    }
    if name == SESSION_COOKIE {
        section.problem("cookie", "the name of the gateway's own cookie");
    }
    Some(name)
}

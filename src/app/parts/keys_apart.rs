//! Keys that must differ: if one key stood in two places, a token of one kind could pass for a
//! token of the other.

use super::AuthParts;
use crate::auth::Sessions;
use crate::auth::link::{LinkKey, Links};
use crate::config::{AdminSettings, Config, Problems};

pub(super) fn check_keys_apart(config: &Config, auth: &AuthParts, problems: &mut Problems) {
    if let Some(links) = &auth.links {
        check_links(auth, links, problems);
    }
    if let Some(sessions) = &auth.cookies.sessions {
        check_sessions(auth, sessions, &config.admin, problems);
    }
}

/// Refuses one key, or one issuer, for links and bearer tokens.
fn check_links(auth: &AuthParts, links: &Links, problems: &mut Problems) {
    for issuer in &auth.issuers {
        let name = &issuer.name;
        let also_bearer = |link: &LinkKey| {
            let mut keys = issuer.keys.configured().iter();
            keys.any(|key| key.is_same_as(&link.key))
        };
        if links.keys.iter().any(also_bearer) {
            let message = format!("also a key of issuer {name:?}; links need keys of their own");
            problems.push("links.key", message);
        }
        if links.keys.iter().any(|key| Links::issuer_of(key) == name) {
            let message = format!("id: {name:?} is an issuer; subjects of the two would be one");
            problems.push("links.key", message);
        }
    }
}

/// Refuses a session key that is used elsewhere.
fn check_sessions(
    auth: &AuthParts,
    sessions: &Sessions,
    admin: &AdminSettings,
    problems: &mut Problems,
) {
    const KEY: &str = "session.key_file";
    for issuer in &auth.issuers {
        let mut keys = issuer.keys.configured().iter();
        if keys.any(|key| sessions.uses_key(key)) {
            let name = &issuer.name;
            let message = format!("also a key of issuer {name:?}; sessions need one of their own");
            problems.push(KEY, message);
        }
    }
    let mut link_keys = auth.links.iter().flat_map(|links| &links.keys);
    if link_keys.any(|link| sessions.uses_key(&link.key)) {
        let message = "also one of links.key; sessions need one of their own";
        problems.push(KEY, message);
    }
    let token = admin.token.as_ref();
    if token.is_some_and(|token| sessions.uses_secret(token)) {
        let message = "also admin.token_file; sessions need a key of their own";
        problems.push(KEY, message);
    }
}

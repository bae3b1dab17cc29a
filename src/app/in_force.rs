//! What is in force, in a form that can be compared later: for the audit log.
//!
//! Knows what belongs to it. Does not know keys themselves: their ids tell which there were.

use aws_lc_rs::digest;

use crate::audit::Start;
use crate::auth::keys::Key;
use crate::config::{Auth, Policy};

/// The program, the policy and the keys of a configuration.
pub(super) fn in_force(auth: &Auth, policy: &Policy) -> Start {
    Start {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        policy: hash(&policy.text),
        keys: hash(&key_lines(auth)),
    }
}

/// One line for each key: issuer, id and algorithm, in an order of their own.
fn key_lines(auth: &Auth) -> String {
    let line = |issuer: &str, key: &Key| {
        let id = key.id().unwrap_or_default();
        format!("{issuer:?} {id:?} {:?}\n", key.algorithm())
    };
    let issuers = auth.issuers.iter();
    let bearers = issuers.flat_map(|issuer| {
        issuer
            .keys
            .configured()
            .iter()
            .map(move |key| (&*issuer.name, key))
    });
    let links = auth.links.iter().flat_map(|links| links.keys.iter());
    let links = links.map(|link| ("", &link.key));
    let mut lines: Vec<String> = bearers
        .chain(links)
        .map(|(issuer, key)| line(issuer, key))
        .collect();
    lines.sort_unstable();
    lines.concat()
}

fn hash(text: &str) -> String {
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    let hexadecimal = |byte: &u8| format!("{byte:02x}");
    digest.as_ref().iter().map(hexadecimal).collect()
}

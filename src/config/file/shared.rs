//! `[shared]`: the store that the instances of a fleet share.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::has_user;
use crate::config::kinds::*;
use crate::config::rows::rows;
use crate::config::section::Section;
use crate::secret::Secret;

const MIN_KEY_BYTES: usize = 32;
const MAX_NAME_BYTES: usize = 64;

/// The store, as the file has it.
#[derive(Debug, Clone)]
pub struct SharedSection {
    /// Scheme, host, port and number of the database.
    pub url: Url,
    /// The name of the fleet.
    pub name: String,
    /// The user at the store.
    pub username: Option<String>,
    /// The password of that user.
    pub password: Option<Secret>,
    /// The secret that all instances have in common.
    pub key: Secret,
    /// The CAs that vouch for the store; those of the system when `None`.
    pub ca_file: Option<PathBuf>,
    /// The limit on one answer.
    pub timeout: Duration,
}

rows! {
    /// Several instances as one fleet: what they share lies in a Valkey or Redis (5.0 or later).
    /// They use one token of each PBX, count logins, downloads and the limits of principals
    /// together, and revoke together. Recordings, the audit log and the cache stay with each
    /// instance. While the store is away, each goes on alone. docs/fleet.md tells more. A change
    /// needs a restart.
    mod keys = "#[shared]";

    /// The address: redis://HOST:PORT, or rediss:// with TLS. A number as path chooses a database.
    url: Required<Free<Url>> = required(web_address("rediss://valkey.example.com:6379"));

    /// The name of the fleet. Fleets with different names may use one store.
    name: Word = word("wavegate");

    /// The user at the store.
    username: Free<String> = text("wavegate").absent("the default user of the store");

    /// A file with the password of that user.
    password_file: Free<Secret> = password("secrets/store-password").absent("none");

    /// A file with the secret that all instances of the fleet have in common: at least 32 bytes.
    /// Tokens and revocations lie in the store encrypted with it. Make it with: openssl rand -hex 32
    key_file: Required<Free<Secret>> = required(password("secrets/fleet-key"));

    /// A PEM file with the certificates of the CAs that vouch for the store.
    ca_file: Free<PathBuf> = path("store-ca.pem").absent("the CAs of the system");

    /// How long an answer of the store may take. A store that takes longer counts as away.
    timeout_ms: Number<Duration> = milliseconds(50..=10_000, 500);
}

pub(super) fn read_shared(section: &mut Section<'_>) -> Option<SharedSection> {
    let url = keys::url.given(section);
    if let Some(Err(message)) = url.as_ref().map(check_url) {
        section.problem(keys::url.name, message);
    }
    let name = keys::name.get(section);
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(is_plain) {
        section.problem(keys::name.name, "not 1 to 64 letters, digits, -, _ or .");
    }
    let ca_file = keys::ca_file.given(section);
    if ca_file.is_some() && url.as_ref().is_some_and(|url| url.scheme() == "redis") {
        section.problem(
            keys::ca_file.name,
            "has no meaning without TLS; write rediss:// in url",
        );
    }
    let key = keys::key_file.given(section);
    if key
        .as_ref()
        .is_some_and(|key| key.expose().len() < MIN_KEY_BYTES)
    {
        section.problem(keys::key_file.name, "shorter than 32 bytes");
    }
    let (username, password) = (
        keys::username.given(section),
        keys::password_file.given(section),
    );
    if password
        .as_ref()
        .is_some_and(|password| password.expose_str().is_none())
    {
        section.problem(keys::password_file.name, "not UTF-8");
    }
    let timeout = keys::timeout_ms.get(section);
    Some(SharedSection {
        url: url?,
        name,
        username,
        password,
        key: key?,
        ca_file,
        timeout,
    })
}

/// Refuses an address that is none of a store.
fn check_url(url: &Url) -> Result<(), &'static str> {
    if !matches!(url.scheme(), "redis" | "rediss") {
        return Err("not redis:// or rediss://");
    }
    if has_user(url) {
        return Err("a user or password does not belong here; write username and password_file");
    }
    let database = url.path().trim_start_matches('/');
    if url.host().is_none() || url.query().is_some() || url.fragment().is_some() {
        return Err("only host, port and the number of a database belong here");
    }
    if !database.is_empty() && database.parse::<u16>().is_err() {
        return Err("the path is not the number of a database");
    }
    Ok(())
}

//! The configuration file: its sections, and the keys above them.
//!
//! Knows the order of `config/wavegate.toml`. Each section has a file here with its rows and the
//! code that reads them. A mistake is noted and reading goes on, so that all mistakes are reported
//! together.

pub(super) mod admin;
mod apart;
pub(super) mod audit;
pub(super) mod auth;
mod cache;
mod cors;
pub(super) mod key;
pub(super) mod key_source;
mod limits;
pub(super) mod links;
mod log;
pub(super) mod pbx;
pub(super) mod policy;
mod relay;
mod secrets;
pub(super) mod server;
pub(super) mod session;
pub(super) mod shared;

use std::io;
use std::path::{Path, PathBuf};

use url::Url;

use super::kinds::*;
use super::rows::{SectionRows, rows};
use super::section::{Section, read_public};
use super::{Config, Problems};

rows! {
    /// The configuration of Wavegate: every key with its unit, range and default.
    ///
    /// A value that is commented out is the default, unless the line above it says another default,
    /// or that the key is required; then it is an example. Relative paths start at the folder of
    /// this file. Secrets are never in this file: each stands in a file of its own that other users
    /// cannot read (chmod 600), or comes from a container; see [secrets]. `wavegate check --config
    /// FILE` lists every mistake; an unknown key is a mistake.
    ///
    /// This file is read again when it changes, when a file that it names changes, and at SIGHUP;
    /// except state_dir, [audit], [shared], listen of [admin], level and format of [log], and the
    /// addresses and limits of [server], which need a restart. A file with mistakes changes nothing.
    mod keys = "", gone: [("tape", "renamed; write [cache] with the same keys")];

    /// The folder with the times of logins and refusals (no secrets), so that restarts do not add
    /// up to a lock-out on the PBX.
    state_dir: Free<PathBuf> = path("state")
        .absent("the StateDirectory of systemd, else the folder \"state\" beside this file")
        .shown();
}

/// The sections, in the order of the file.
pub(super) const SECTIONS: &[&SectionRows] = &[
    &keys::SECTION,
    &secrets::keys::SECTION,
    &server::keys::SECTION,
    &server::tls_keys::SECTION,
    &admin::keys::SECTION,
    &log::keys::SECTION,
    &audit::keys::SECTION,
    &auth::keys::SECTION,
    &auth::issuer_keys::SECTION,
    &key::keys::SECTION,
    &links::keys::SECTION,
    &links::key_keys::SECTION,
    &session::keys::SECTION,
    &policy::keys::SECTION,
    &policy::test_keys::SECTION,
    &cors::keys::SECTION,
    &limits::keys::SECTION,
    &relay::keys::SECTION,
    &cache::keys::SECTION,
    &cache::range_keys::SECTION,
    &shared::keys::SECTION,
    &pbx::rows::keys::SECTION,
    &pbx::rows::tls_keys::SECTION,
    &pbx::rows::groups_keys::SECTION,
];

pub(super) fn read(path: &Path, problems: &mut Problems) -> Option<Config> {
    let table = parse(path, problems)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut root = Section::root(table, folder, keys::SECTION.gone, problems);
    let config = read_root(&mut root, folder);
    root.finish();
    Some(config)
}

/// The place of a key in the file: the number of its section, or of the end for a section that
/// there is not.
pub(super) fn place_of(key: &str) -> usize {
    let section = key.split(['.', '[']).next().unwrap_or_default();
    let is_above = keys::SECTION.rows.iter().any(|row| row.name() == section);
    let mut sections = SECTIONS.iter();
    let place = sections.position(|known| !section.is_empty() && known.path() == section);
    match is_above {
        true => 0,
        false => place.unwrap_or(SECTIONS.len()),
    }
}

fn parse(path: &Path, problems: &mut Problems) -> Option<toml::Table> {
    let read = read_public(path)
        .and_then(|bytes| String::from_utf8(bytes).map_err(|_| io::Error::other("not UTF-8")));
    let text = match read {
        Ok(text) => text,
        Err(error) => {
            problems.push("", format!("{}: {error}", path.display()));
            return None;
        }
    };
    match text.parse() {
        Ok(table) => Some(table),
        Err(error) => {
            let error: toml::de::Error = error;
            let line = error.span().map_or(0, |span| {
                text.bytes()
                    .take(span.start)
                    .filter(|byte| *byte == b'\n')
                    .count()
                    + 1
            });
            // The error's own text shows the line itself, which may hold a secret somebody pasted.
            problems.push(
                "",
                format!("{}: line {line}: {}", path.display(), error.message()),
            );
            None
        }
    }
}

fn read_root(root: &mut Section<'_>, folder: &Path) -> Config {
    // Before any secret is read.
    let secrets =
        secrets::keys::SECTION.read(root, |section| secrets::read_secrets(section, folder));
    root.trust(secrets.clone());
    let pbx = &pbx::rows::keys::SECTION;
    let state_dir = keys::state_dir.given(root);
    let relay = relay::keys::SECTION.read(root, relay::read_relay);
    let mut pbxs = pbx.read_all(root, pbx::read_pbx);
    if pbxs.is_empty() {
        root.problem(pbx.name(), "missing; write [[pbx]] for each PBX");
    }
    pbx::share_streams(root, &mut pbxs, relay.max_streams);
    let config = Config {
        secrets,
        state_dir: state_dir.unwrap_or_else(|| default_state_dir(folder)),
        server: server::keys::SECTION.read(root, server::read_server),
        admin: admin::keys::SECTION.read(root, admin::read_admin),
        log: log::keys::SECTION.read(root, log::read_log),
        audit: audit::keys::SECTION.read(root, audit::read_audit),
        auth: auth::keys::SECTION.read(root, auth::read_auth),
        links: links::keys::SECTION.read(root, links::read_links),
        session: session::keys::SECTION.read(root, session::read_session),
        policy: policy::keys::SECTION.read(root, policy::read_policy),
        cors: cors::keys::SECTION.read(root, cors::read_cors),
        limits: limits::keys::SECTION.read(root, limits::read_limits),
        relay,
        cache: cache::keys::SECTION.read(root, cache::read_cache),
        range: cache::range_keys::SECTION.read(root, cache::read_range),
        shared: match root.has(shared::keys::SECTION.name()) {
            true => shared::keys::SECTION.read(root, shared::read_shared),
            false => None,
        },
        pbxs,
    };
    apart::check_apart(root, &config);
    config
}

fn default_state_dir(folder: &Path) -> PathBuf {
    match std::env::var_os("STATE_DIRECTORY") {
        Some(directory) if !directory.is_empty() => PathBuf::from(directory),
        _ => folder.join("state"),
    }
}

fn has_user(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

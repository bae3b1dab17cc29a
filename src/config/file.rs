//! The configuration file: which keys there are, their ranges and their defaults.
//!
//! Knows the names in `config/wavegate.toml`, which documents each of them. One function per section; a mistake is
//! noted and reading goes on, so that all of them are reported together.

mod apart;
pub(super) mod audit;
pub(super) mod auth;
mod cache;
mod cors;
pub(super) mod key;
pub(super) mod key_source;
mod limits;
pub(super) mod links;
pub(super) mod pbx;
pub(super) mod policy;
mod relay;
mod secrets;
pub(super) mod session;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use tracing::level_filters::LevelFilter;
use url::Url;

use super::network::Network;
use super::section::{Section, read_public};
use super::{AdminSettings, Config, PbxSection, Problems, ServerSettings};
use crate::log::{LogFormat, LogSettings, RecordingNames};
use crate::pbx::settings::PbxLimits;
use crate::secret::Secret;
use crate::tls::server::ServerTls;
use apart::check_apart;
use audit::read_audit;
use auth::read_auth;
use cache::{read_cache, read_range};
use cors::read_cors;
use limits::read_limits;
use links::read_links;
use pbx::read_pbx;
use policy::read_policy;
use relay::read_relay;
use secrets::read_secrets;
use session::read_session;

/// The name that `[cache]` had in an earlier version.
const OLD_CACHE: &str = "tape";

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

pub(super) fn read(path: &Path, problems: &mut Problems) -> Option<Config> {
    let table = parse(path, problems)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut root = Section::root(table, folder, problems);
    let config = read_root(&mut root, folder);
    root.finish();
    Some(config)
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
    let secrets = root.section("secrets", |section| read_secrets(section, folder));
    root.trust(secrets.clone());
    let state_dir = root.path("state_dir");
    let server = root.section("server", read_server);
    let admin = root.section("admin", read_admin);
    let log = root.section("log", read_log);
    let audit = root.section("audit", read_audit);
    let auth = root.section("auth", read_auth);
    let links = root.section("links", read_links);
    let session = root.section("session", read_session);
    let policy = root.section("policy", read_policy);
    let cors = root.section("cors", read_cors);
    let limits = root.section("limits", read_limits);
    let relay = root.section("relay", read_relay);
    if root.take_away(OLD_CACHE) {
        root.problem(OLD_CACHE, "renamed; write [cache] with the same keys");
    }
    let cache = root.section("cache", read_cache);
    let range = root.section("range", read_range);
    if !root.has("pbx") {
        root.problem("pbx", "missing; write [[pbx]] for each PBX");
    }
    let mut pbxs = root.sections("pbx", read_pbx);
    share_streams(root, &mut pbxs, relay.max_streams);
    let config = Config {
        secrets,
        state_dir: state_dir.unwrap_or_else(|| default_state_dir(folder)),
        server,
        admin,
        log,
        audit,
        auth,
        links,
        session,
        policy,
        cors,
        limits,
        relay,
        cache,
        range,
        pbxs,
    };
    check_apart(root, &config);
    config
}

fn default_state_dir(folder: &Path) -> PathBuf {
    match std::env::var_os("STATE_DIRECTORY") {
        Some(directory) if !directory.is_empty() => PathBuf::from(directory),
        _ => folder.join("state"),
    }
}

/// Sees to it that PBXs in trouble, whose requests wait, leave some of the streams to one that is well.
fn share_streams(root: &mut Section<'_>, pbxs: &mut [PbxSection], max_streams: usize) {
    let default = PbxLimits::default().max_waiting;
    let share = match pbxs.len() {
        0 | 1 => default,
        several => (max_streams / (several + 1)).clamp(1, default),
    };
    for pbx in pbxs.iter_mut() {
        if pbx.limits.max_waiting == 0 {
            pbx.limits.max_waiting = share;
        }
    }
    let waiting: usize = pbxs.iter().map(|pbx| pbx.limits.max_waiting).sum();
    if pbxs.len() > 1 && waiting >= max_streams {
        root.problem(
            "pbx",
            format!(
                "max_waiting: {waiting} for all PBXs together, and relay.max_streams is {max_streams}; those that hang could \
                 take every stream from one that is well"
            ),
        );
    }
}

fn read_server(section: &mut Section<'_>) -> ServerSettings {
    let default = ServerSettings::default();
    let tls = if section.has("tls") {
        section.section("tls", read_server_tls)
    } else {
        None
    };
    let plain_only = if tls.is_some() {
        Vec::new()
    } else {
        default.listen
    };
    let listen = section.list("listen").unwrap_or(plain_only);
    if listen.is_empty() && tls.is_none() {
        section.problem(
            "listen",
            "empty, and there is no [server.tls]: nothing would be served",
        );
    }
    ServerSettings {
        listen,
        tls,
        public_url: read_public_url(section),
        trusted_proxies: read_networks(section.list("trusted_proxies")),
        max_connections: section.size("max_connections", 1..=1_000_000, default.max_connections),
        max_header_bytes: section.size(
            "max_header_bytes",
            16_384..=1 << 20,
            default.max_header_bytes,
        ),
        header_timeout: section.milliseconds(
            "header_timeout_ms",
            100..=600_000,
            default.header_timeout,
        ),
        drain_delay: section.milliseconds("drain_delay_ms", 0..=600_000, default.drain_delay),
        drain_timeout: section.milliseconds("drain_timeout_ms", 0..=DAY_MS, default.drain_timeout),
    }
}

fn read_networks(networks: Option<Vec<Network>>) -> Vec<IpNet> {
    networks.into_iter().flatten().map(|one| one.0).collect()
}

fn read_server_tls(section: &mut Section<'_>) -> Option<ServerTls> {
    for key in ["listen", "certificate_file", "key_file"] {
        if !section.has(key) {
            section.problem(key, "missing");
        }
    }
    let listen = section.list("listen");
    let certificate_file = section.path("certificate_file");
    let key_file = section.path("key_file");
    let handshake_timeout = section.milliseconds(
        "handshake_timeout_ms",
        100..=600_000,
        Duration::from_secs(10),
    );
    Some(ServerTls {
        listen: listen?,
        certificate_file: certificate_file?,
        key_file: key_file?,
        handshake_timeout,
    })
}

fn read_public_url(section: &mut Section<'_>) -> Option<Url> {
    let url = section.url("public_url")?;
    section.note("public_url", check_public_url(&url))?;
    Some(url)
}

/// Whether callers can use this.
pub(crate) fn check_public_url(url: &Url) -> Result<(), &'static str> {
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err("not an http or https address");
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() || has_user(url) {
        return Err("only scheme, host and port belong here");
    }
    Ok(())
}

fn has_user(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

fn read_admin(section: &mut Section<'_>) -> AdminSettings {
    AdminSettings {
        listen: section
            .parsed("listen")
            .unwrap_or(AdminSettings::default().listen),
        token: read_admin_token(section),
    }
}

/// The bearer token of write calls, which must be hard to guess and fit into a header.
fn read_admin_token(section: &mut Section<'_>) -> Option<Secret> {
    let token = section.secret_file("token_file")?;
    if token.expose().len() < 32 {
        section.problem("token_file", "shorter than 32 bytes");
    }
    if !token.expose().iter().all(u8::is_ascii_graphic) {
        section.problem(
            "token_file",
            "only letters, digits and signs of ASCII, on one line, can be sent as a bearer token",
        );
    }
    Some(token)
}

fn read_log(section: &mut Section<'_>) -> LogSettings {
    let levels = [
        ("error", LevelFilter::ERROR),
        ("warn", LevelFilter::WARN),
        ("info", LevelFilter::INFO),
        ("debug", LevelFilter::DEBUG),
        ("trace", LevelFilter::TRACE),
    ];
    let names = [
        ("hashed", RecordingNames::Hashed),
        ("plain", RecordingNames::Plain),
    ];
    let default = LogSettings::default();
    LogSettings {
        level: section.choice("level", &levels, default.level),
        format: section.choice(
            "format",
            &[("json", LogFormat::Json), ("text", LogFormat::Text)],
            default.format,
        ),
        recording_names: section.choice("recording_names", &names, default.recording_names),
    }
}

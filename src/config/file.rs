//! The configuration file: which keys there are, their ranges and their defaults.
//!
//! Knows the names in `config/wavegate.toml`, which documents each of them. One function per section; a mistake is
//! noted and reading goes on, so that all of them are reported together.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tracing::level_filters::LevelFilter;
use url::Url;

use super::secret::Secret;
use super::section::Section;
use super::{
    Admin, AllowedIp, Auth, Config, Log, LogFormat, NotReady, Pbx, PbxAccount, PbxApi, PbxLimits,
    PbxPassword, PbxReport, PbxTrust, Pin, PolicyRule, Problems, Prolong, RecordingNames, Relay,
    Server, ServerTls, Signer,
};
use crate::auth::keys::Key;
use crate::auth::link::{LinkKey, Links};
use crate::auth::{Algorithm, Issuer};

/// A configuration file is text that people write; anything larger is a mistake.
const MAX_FILE_BYTES: u64 = 1 << 20;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;
const LINK_TTL: Duration = Duration::from_secs(900);
const MAX_LINK_TTL_S: RangeInclusive<u64> = 1..=30 * 86_400;

pub(super) fn load(path: &Path) -> Result<Config, Problems> {
    let mut problems = Problems::default();
    let Some(table) = parse(path, &mut problems) else {
        return Err(problems);
    };
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut root = Section::root(table, folder, &mut problems);
    let config = read_root(&mut root, folder);
    root.finish();
    match config {
        Some(config) if problems.is_empty() => Ok(config),
        _ => Err(problems),
    }
}

fn parse(path: &Path, problems: &mut Problems) -> Option<toml::Table> {
    use std::io::Read;

    let mut text = String::new();
    let read = std::fs::File::open(path)
        .and_then(|file| file.take(MAX_FILE_BYTES).read_to_string(&mut text));
    if let Err(error) = read {
        problems.push("", format!("{}: {error}", path.display()));
        return None;
    }
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

fn read_root(root: &mut Section<'_>, folder: &Path) -> Option<Config> {
    let state_dir = root
        .path("state_dir")
        .unwrap_or_else(|| default_state_dir(folder));
    let server = root.section("server", read_server);
    let admin = root.section("admin", read_admin);
    let log = root.section("log", read_log);
    let mut auth = root.section("auth", read_auth);
    let (links, link_signers) = root.section("links", read_links);
    auth.links = links;
    auth.link_signers = link_signers;
    let policy = root.section("policy", read_policy);
    let relay = root.section("relay", read_relay);
    if !root.has("pbx") {
        root.problem("pbx", "missing; write [[pbx]] for each PBX");
    }
    let pbxs = root.sections("pbx", read_pbx);
    if pbxs.len() > 1 {
        root.problem(
            "pbx",
            "this version serves one PBX; more than one is not supported yet",
        );
    }
    let pbxs: Vec<Pbx> = pbxs.into_iter().flatten().collect();
    check_names(root, &auth, &pbxs);
    Some(Config {
        state_dir: Some(state_dir),
        server,
        admin,
        log,
        auth,
        policy,
        relay,
        pbxs: if pbxs.is_empty() { return None } else { pbxs },
    })
}

fn default_state_dir(folder: &Path) -> PathBuf {
    match std::env::var_os("STATE_DIRECTORY") {
        Some(directory) if !directory.is_empty() => PathBuf::from(directory),
        _ => folder.join("state"),
    }
}

/// What must not be mixed up: two issuers of one name, links and bearer tokens of one audience, a link key for a PBX
/// that does not exist.
fn check_names(root: &mut Section<'_>, auth: &Auth, pbxs: &[Pbx]) {
    for (index, issuer) in auth.issuers.iter().enumerate() {
        if auth
            .issuers
            .iter()
            .take(index)
            .any(|other| other.name == issuer.name)
        {
            root.problem(
                "auth.issuer",
                format!("{:?} stands there twice", issuer.name),
            );
        }
    }
    let Some(links) = &auth.links else {
        return;
    };
    if auth
        .issuers
        .iter()
        .any(|issuer| issuer.audiences.contains(&links.audience))
    {
        root.problem(
            "links.audience",
            "also an audience of an issuer; links need one of their own",
        );
    }
    for name in links
        .keys
        .iter()
        .filter_map(|key| key.pbxs.as_ref())
        .flatten()
    {
        if !pbxs.iter().any(|pbx| pbx.name == *name) {
            root.problem("links.key", format!("pbxs: there is no PBX named {name:?}"));
        }
    }
}

fn read_server(section: &mut Section<'_>) -> Server {
    let default = Server::default();
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
    Server {
        listen,
        tls,
        public_url: read_public_url(section),
        trusted_proxies: section.list("trusted_proxies").unwrap_or_default(),
        max_connections: section.size("max_connections", 1..=1_000_000, default.max_connections),
        max_header_bytes: section.size(
            "max_header_bytes",
            8_192..=1 << 20,
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
    let tls = ServerTls {
        listen: listen?,
        certificate_file: certificate_file?,
        key_file: key_file?,
        handshake_timeout,
    };
    if let Err((key, message)) = crate::server::tls::check(&tls) {
        section.problem(key, message);
    }
    Some(tls)
}

fn read_public_url(section: &mut Section<'_>) -> Option<Url> {
    let url = section.url("public_url")?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        section.problem("public_url", "not an http or https address");
        return None;
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() || has_user(&url) {
        section.problem("public_url", "only scheme, host and port belong here");
    }
    Some(url)
}

fn has_user(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

fn read_admin(section: &mut Section<'_>) -> Admin {
    Admin {
        listen: section.parsed("listen").unwrap_or(Admin::default().listen),
    }
}

fn read_log(section: &mut Section<'_>) -> Log {
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
    let default = Log::default();
    Log {
        level: section.choice("level", &levels, default.level),
        format: section.choice(
            "format",
            &[("json", LogFormat::Json), ("text", LogFormat::Text)],
            default.format,
        ),
        recording_names: section.choice("recording_names", &names, default.recording_names),
    }
}

fn read_auth(section: &mut Section<'_>) -> Auth {
    let skew = section.seconds("skew_s", 0..=300, Duration::from_secs(10));
    if !section.has("issuer") {
        section.problem(
            "issuer",
            "missing; write [[auth.issuer]] for whoever signs your bearer tokens",
        );
    }
    let mut bearer_signers = Vec::new();
    let issuers = section.sections("issuer", |section| {
        read_issuer(section, &mut bearer_signers)
    });
    Auth {
        issuers: issuers.into_iter().flatten().collect(),
        links: None,
        skew,
        bearer_signers,
        link_signers: Vec::new(),
    }
}

fn read_issuer(section: &mut Section<'_>, signers: &mut Vec<Signer>) -> Option<Issuer> {
    let name = section.required("name");
    if !section.has("audiences") {
        section.problem("audiences", "missing");
    }
    let audiences: Option<Vec<String>> = section.list("audiences");
    if audiences.as_ref().is_some_and(Vec::is_empty) {
        section.problem("audiences", "empty: no token would be accepted");
    }
    let audiences = audiences.unwrap_or_default();
    if audiences.iter().any(String::is_empty) {
        section.problem("audiences", "an audience is empty");
    }
    let keys = section.sections("key", |section| {
        read_key(section).map(|(key, signer)| {
            signers.extend(signer.map(|signer| Signer {
                issuer: name.clone().unwrap_or_default(),
                ..signer
            }));
            key
        })
    });
    if keys.is_empty() {
        section.problem("key", "missing; write [[auth.issuer.key]]");
    }
    Some(Issuer {
        name: name?,
        audiences,
        keys: keys.into_iter().flatten().collect(),
    })
}

/// Reads a verification key; for a shared secret also what is needed to sign with it.
fn read_key(section: &mut Section<'_>) -> Option<(Key, Option<Signer>)> {
    let id = section.text("id");
    let algorithm = section.required("algorithm");
    let algorithm: Option<Algorithm> = algorithm.and_then(|text| section.parse("algorithm", &text));
    let kind = match (section.has("secret_file"), section.has("public_key_file")) {
        (true, false) => "secret_file",
        (false, true) => "public_key_file",
        (true, true) => {
            section.problem(
                "secret_file",
                "give either secret_file or public_key_file, not both",
            );
            "secret_file"
        }
        (false, false) => {
            section.problem(
                "secret_file",
                "missing; HS algorithms need secret_file, all others public_key_file",
            );
            return None;
        }
    };
    if kind == "secret_file" {
        let secret = section.secret_file(kind);
        let (algorithm, secret) = (algorithm?, secret?);
        let key = Key::secret(id.clone(), algorithm, &secret);
        let signer = Signer {
            issuer: String::new(),
            id,
            algorithm,
            secret,
        };
        Some((note(section, kind, key)?, Some(signer)))
    } else {
        let pem = section.public_file(kind);
        let key = Key::public_pem(id, algorithm?, &pem?);
        Some((note(section, kind, key)?, None))
    }
}

fn note<T, E: std::fmt::Display>(
    section: &mut Section<'_>,
    key: &str,
    result: Result<T, E>,
) -> Option<T> {
    result.map_err(|error| section.problem(key, error)).ok()
}

fn read_links(section: &mut Section<'_>) -> (Option<Links>, Vec<Signer>) {
    if !section.has("key") {
        return (None, Vec::new());
    }
    let audience = section.required("audience").unwrap_or_default();
    let max_ttl = section.seconds("max_ttl_s", MAX_LINK_TTL_S, LINK_TTL);
    let mut signers = Vec::new();
    let keys = section.sections("key", |section| {
        let pbxs = section.list("pbxs");
        let ttl = section
            .has("max_ttl_s")
            .then(|| section.seconds("max_ttl_s", MAX_LINK_TTL_S, LINK_TTL));
        let (key, signer) = read_key(section)?;
        signers.extend(signer);
        Some(LinkKey {
            key,
            pbxs,
            max_ttl: ttl,
        })
    });
    let links = Links {
        audience,
        max_ttl,
        keys: keys.into_iter().flatten().collect(),
    };
    (Some(links), signers)
}

fn read_policy(section: &mut Section<'_>) -> PolicyRule {
    if section.boolean("everyone", false) {
        return PolicyRule::Everyone;
    }
    section.problem(
        "everyone",
        "nobody could hear anything: this version knows one rule, everyone = true, by which everyone who is \
         authenticated may hear every recording",
    );
    PolicyRule::Nobody
}

fn read_relay(section: &mut Section<'_>) -> Relay {
    let default = Relay::default();
    Relay {
        max_streams: section.size("max_streams", 1..=1_000_000, default.max_streams),
        idle_timeout: section.milliseconds("idle_timeout_ms", 50..=DAY_MS, default.idle_timeout),
    }
}

fn read_pbx(section: &mut Section<'_>) -> Option<Pbx> {
    let name = read_pbx_name(section);
    let apis = [
        ("s-series-1.0.1", PbxApi::SSeries101),
        ("s-series-1.1.0", PbxApi::SSeries110),
        ("s-series-2.0.0", PbxApi::SSeries200),
    ];
    let api = section
        .required("api")
        .and_then(|text| section.chosen("api", &text, &apis));
    let url = read_pbx_url(section);
    let trust = read_trust(section, url.as_ref());
    let bind_address = section.parsed::<IpAddr>("bind_address");
    let allowed_ip = read_allowed_ip(section, api);
    let account = read_account(section);
    let limits = read_limits(section);
    let not_ready = read_not_ready(section);
    Some(Pbx {
        name: name?,
        api: api?,
        url: url?,
        trust,
        bind_address,
        allowed_ip,
        account: account?,
        limits,
        not_ready,
    })
}

fn read_pbx_name(section: &mut Section<'_>) -> Option<String> {
    let name = section.required("name")?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if name.len() > 64 || !name.bytes().all(allowed) {
        section.problem(
            "name",
            "at most 64 letters, digits, - and _: it stands in URLs",
        );
        return None;
    }
    Some(name)
}

fn read_pbx_url(section: &mut Section<'_>) -> Option<Url> {
    if !section.has("url") {
        section.problem("url", "missing");
    }
    let url = section.url("url");
    let plain_http = section.boolean("plain_http", false);
    let url = url?;
    if url.host().is_none()
        || url.path() != "/"
        || url.query().is_some()
        || url.fragment().is_some()
        || has_user(&url)
    {
        section.problem(
            "url",
            "only scheme, host and port belong here, such as https://192.168.5.150:8088",
        );
        return None;
    }
    match (url.scheme(), plain_http) {
        ("https", false) | ("http", true) => Some(url),
        ("http", false) => {
            section.problem(
                "url",
                "plain HTTP sends the PBX password and every recording readable over the network; if that is meant, \
                 set plain_http = true",
            );
            None
        }
        ("https", true) => {
            section.problem("plain_http", "true, but the address says https");
            None
        }
        _ => {
            section.problem("url", "not an https or http address");
            None
        }
    }
}

fn read_password(section: &mut Section<'_>) -> Option<PbxPassword> {
    match (
        section.has("password_file"),
        section.has("password_md5_file"),
    ) {
        (true, false) => section.secret_file("password_file").map(PbxPassword::Clear),
        (false, true) => {
            let secret = section.secret_file("password_md5_file")?;
            let hexadecimal = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            if secret.expose().len() != 32 || !secret.expose().iter().all(hexadecimal) {
                section.problem("password_md5_file", "not 32 lower-case hexadecimal digits");
                return None;
            }
            Some(PbxPassword::Md5(secret))
        }
        (true, true) => {
            section.problem(
                "password_file",
                "give either password_file or password_md5_file, not both",
            );
            section.text("password_file");
            section.text("password_md5_file");
            None
        }
        (false, false) => {
            section.problem("password_file", "missing");
            None
        }
    }
}

fn read_trust(section: &mut Section<'_>, url: Option<&Url>) -> Option<PbxTrust> {
    let written = section.has("tls");
    let trust = section.section("tls", |section| {
        let ca_file = section.path("ca_file");
        let pins: Option<Vec<Pin>> = section.list("pins");
        match (ca_file, pins) {
            (Some(_), Some(_)) => {
                section.problem("pins", "give either ca_file or pins, not both");
                PbxTrust::System
            }
            (Some(path), None) => {
                if let Err(message) = crate::pbx::tls::read_roots(&path) {
                    section.problem("ca_file", message);
                }
                PbxTrust::CaFile(path)
            }
            (None, Some(pins)) => {
                if pins.is_empty() && !section.noted("pins") {
                    section.problem("pins", "empty: no certificate would be accepted");
                }
                PbxTrust::Pins(pins)
            }
            (None, None) => PbxTrust::System,
        }
    });
    if url.is_some_and(|url| url.scheme() == "http") {
        if written {
            section.problem("tls", "has no meaning for plain HTTP");
        }
        return None;
    }
    Some(trust)
}

fn read_allowed_ip(section: &mut Section<'_>, api: Option<PbxApi>) -> AllowedIp {
    let Some(text) = section.text("allowed_ip") else {
        return AllowedIp::Absent;
    };
    if api == Some(PbxApi::SSeries101) {
        section.problem(
            "allowed_ip",
            "API 1.0.1 does not have it; remove it or use a newer API",
        );
    }
    match text.as_str() {
        "auto" => AllowedIp::Auto,
        address => match address.parse() {
            Ok(address) => AllowedIp::Fixed(address),
            Err(_) => {
                section.problem("allowed_ip", "neither \"auto\" nor an IPv4 address");
                AllowedIp::Absent
            }
        },
    }
}

fn read_account(section: &mut Section<'_>) -> Option<PbxAccount> {
    let username = section.required("username").map(Secret::new);
    let password = read_password(section);
    let report_port = section.integer("report_port", 1..=65_535);
    let prolong = [
        ("query", Prolong::Query),
        ("heartbeat", Prolong::Heartbeat),
        ("never", Prolong::Never),
    ];
    let report = PbxReport {
        port: report_port.and_then(|port| u16::try_from(port).ok()),
        url: section.text("report_url"),
        version: section.text("report_version"),
    };
    let prolong = section.choice("prolong", &prolong, Prolong::Query);
    let logout = section.boolean("logout", false);
    let login_retry = section.seconds("login_retry_s", 1..=86_400, PbxAccount::LOGIN_RETRY);
    Some(PbxAccount {
        username: username?,
        password: password?,
        report,
        prolong,
        logout,
        login_retry,
    })
}

fn read_limits(section: &mut Section<'_>) -> PbxLimits {
    let default = PbxLimits::default();
    PbxLimits {
        max_downloads: section.size("max_downloads", 1..=100_000, default.max_downloads),
        queue_timeout: section.milliseconds("queue_timeout_ms", 0..=600_000, default.queue_timeout),
        connect_timeout: section.milliseconds(
            "connect_timeout_ms",
            10..=25_000,
            default.connect_timeout,
        ),
        answer_timeout: section.milliseconds(
            "answer_timeout_ms",
            10..=600_000,
            default.answer_timeout,
        ),
        first_byte_timeout: section.milliseconds(
            "first_byte_timeout_ms",
            10..=600_000,
            default.first_byte_timeout,
        ),
        idle_timeout: section.milliseconds("idle_timeout_ms", 50..=600_000, default.idle_timeout),
        retry_delay: section.milliseconds("retry_delay_ms", 0..=60_000, default.retry_delay),
    }
}

fn read_not_ready(section: &mut Section<'_>) -> NotReady {
    let default = NotReady::default();
    let retries = section.milliseconds_list("not_ready_retry_ms", 0..=60_000, default.retries);
    if retries.len() > 5 {
        section.problem("not_ready_retry_ms", "more than five pauses");
    }
    NotReady {
        window: section.seconds("not_ready_window_s", 0..=86_400, default.window),
        retries,
    }
}

//! `[[pbx]]`: a PBX, how to reach it and its limits.

mod account;

use std::net::IpAddr;
use std::path::PathBuf;

use jiff::tz::TimeZone;
use url::Url;

use super::has_user;
use crate::config::section::Section;
use crate::pbx::settings::{
    AllowedIp, NotReady, PbxAccount, PbxApi, PbxLimits, READ_BUFFER_BYTES, UpstreamRanges,
};
use crate::recording::NameRange;
use crate::tls::pin::Pin;
use account::read_account;

/// The most groups of a PBX, and the most members of one.
const MAX_GROUPS: usize = 1_000;

/// One PBX.
#[derive(Debug)]
pub struct PbxSection {
    /// Its name in URLs and in the log.
    pub name: Option<String>,
    /// The API it speaks.
    pub api: Option<PbxApi>,
    /// Scheme, host and port of its web interface.
    pub url: Option<Url>,
    /// How its certificate is judged.
    pub trust: TrustSection,
    /// Source address of every connection to it.
    pub bind_address: Option<IpAddr>,
    /// The address sent as `allowedip`.
    pub allowed_ip: AllowedIp,
    /// The names that a request without a PBX's name means this one for.
    pub names: NameRange,
    /// The zone of its local time.
    pub time_zone: TimeZone,
    /// Its queues and ring groups: each number, and the extensions that it stands for.
    pub groups: Vec<(String, Vec<String>)>,
    /// Our account on it.
    pub account: Option<PbxAccount>,
    /// How much it is asked for, and how long it may take.
    pub limits: PbxLimits,
    /// What "not found" means for a young call.
    pub not_ready: NotReady,
    /// Whether it is asked for parts of a recording.
    pub upstream_ranges: UpstreamRanges,
}

/// How the certificate of a PBX is judged.
#[derive(Debug)]
pub enum TrustSection {
    /// There is none: the PBX is reached by plain HTTP.
    PlainHttp,
    /// By the operating system's roots.
    System,
    /// By the certificates in this PEM file.
    CaFile(PathBuf),
    /// By its SHA-256.
    Pins(Vec<Pin>),
}

pub(super) fn read_pbx(section: &mut Section<'_>) -> PbxSection {
    let groups = section.section("groups", read_groups);
    if groups.len() > MAX_GROUPS {
        section.problem("groups", format!("more than {MAX_GROUPS}"));
    }
    let name = read_pbx_name(section);
    let api = section
        .required("api")
        .and_then(|text| section.chosen("api", &text, &PbxApi::NAMES));
    let url = read_pbx_url(section);
    PbxSection {
        name,
        api,
        trust: read_trust(section, url.as_ref()),
        url,
        bind_address: section.parsed("bind_address"),
        allowed_ip: read_allowed_ip(section, api),
        names: read_names(section),
        time_zone: read_time_zone(section),
        groups,
        account: read_account(section, api),
        limits: read_limits(section, api),
        not_ready: read_not_ready(section),
        upstream_ranges: section.choice(
            "upstream_ranges",
            &UpstreamRanges::NAMES,
            UpstreamRanges::Never,
        ),
    }
}

/// Reads the numbers that stand for others.
fn read_groups(section: &mut Section<'_>) -> Vec<(String, Vec<String>)> {
    let numbers = section.keys();
    let groups = numbers.iter().map(|number| {
        let members: Vec<String> = section.list(number).unwrap_or_default();
        if members.len() > MAX_GROUPS {
            let message = format!("more than {MAX_GROUPS} members");
            section.problem(number, message);
        }
        if members
            .iter()
            .any(|member| member.is_empty() || member.contains('/'))
        {
            section.problem(number, "a member is not a number of this PBX");
        }
        if let Some(group) = members.iter().find(|member| numbers.contains(member)) {
            section.problem(
                number,
                format!("{group:?} is a group itself; write its members"),
            );
        }
        (number.clone(), members)
    });
    groups.collect()
}

fn read_pbx_name(section: &mut Section<'_>) -> Option<String> {
    let name = section.required("name")?;
    section.note("name", check_name(&name))?;
    Some(name)
}

/// Whether a PBX may have this name.
pub(crate) fn check_name(name: &str) -> Result<(), &'static str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if name.is_empty() || name.len() > 64 || !name.bytes().all(allowed) {
        return Err("at most 64 letters, digits, - and _: it stands in URLs");
    }
    Ok(())
}

fn read_pbx_url(section: &mut Section<'_>) -> Option<Url> {
    if !section.has("url") {
        section.problem("url", "missing");
    }
    let url = section.url("url");
    let plain_http = section.boolean("plain_http", false);
    let url = url?;
    match (check_url(&url), url.scheme(), plain_http) {
        (Err(message), _, _) => section.problem("url", message),
        (Ok(()), "https", false) | (Ok(()), "http", true) => return Some(url),
        (Ok(()), "http", false) => section.problem(
            "url",
            "plain HTTP sends the PBX password and every recording readable over the network; if that is meant, set \
             plain_http = true",
        ),
        (Ok(()), _, _) => section.problem("plain_http", "true, but the address says https"),
    }
    None
}

/// Whether this can be a PBX's address.
pub(crate) fn check_url(url: &Url) -> Result<(), &'static str> {
    if !matches!(url.scheme(), "https" | "http") {
        return Err("not an https or http address");
    }
    if url.host().is_none()
        || url.path() != "/"
        || url.query().is_some()
        || url.fragment().is_some()
        || has_user(url)
    {
        return Err("only scheme, host and port belong here, such as https://192.168.5.150:8088");
    }
    Ok(())
}

fn read_trust(section: &mut Section<'_>, url: Option<&Url>) -> TrustSection {
    let written = section.has("tls");
    let trust = section.section("tls", |section| {
        let ca_file = section.path("ca_file");
        let pins: Option<Vec<Pin>> = section.list("pins");
        match (ca_file, pins) {
            (Some(_), Some(_)) => {
                section.problem("pins", "give either ca_file or pins, not both");
                TrustSection::System
            }
            (Some(path), None) => TrustSection::CaFile(path),
            (None, Some(pins)) => {
                if pins.is_empty() {
                    section.problem("pins", "empty: no certificate would be accepted");
                }
                TrustSection::Pins(pins)
            }
            (None, None) => TrustSection::System,
        }
    });
    if url.is_some_and(|url| url.scheme() == "http") {
        if written {
            section.problem("tls", "has no meaning for plain HTTP");
        }
        return TrustSection::PlainHttp;
    }
    trust
}

fn read_allowed_ip(section: &mut Section<'_>, api: Option<PbxApi>) -> AllowedIp {
    let Some(text) = section.text("allowed_ip") else {
        return AllowedIp::Absent;
    };
    match api {
        Some(PbxApi::SSeries101) => section.problem(
            "allowed_ip",
            "API 1.0.1 does not have it; remove it or use a newer API",
        ),
        Some(PbxApi::PSeries) => section.problem("allowed_ip", "a P-Series does not have it"),
        _ => {}
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

fn read_names(section: &mut Section<'_>) -> NameRange {
    let names = NameRange {
        from: section.parsed("names_from"),
        until: section.parsed("names_until"),
    };
    if names.is_empty() {
        section.problem("names_until", "not later than names_from");
    }
    names
}

fn read_time_zone(section: &mut Section<'_>) -> TimeZone {
    let Some(name) = section.text("time_zone") else {
        return TimeZone::UTC;
    };
    TimeZone::get(&name).unwrap_or_else(|_| {
        section.problem(
            "time_zone",
            format!("{name:?} is not a name such as Europe/Berlin"),
        );
        TimeZone::UTC
    })
}

/// How many downloads there may be at once: one of MP3 files, which a P-Series converts while it sends them.
fn read_max_downloads(section: &mut Section<'_>, api: Option<PbxApi>) -> usize {
    let mp3 = section.boolean("mp3", false);
    let default = if mp3 {
        1
    } else {
        PbxLimits::default().max_downloads
    };
    let max = section.size("max_downloads", 1..=100_000, default);
    if mp3 && api.is_some_and(|api| api != PbxApi::PSeries) {
        section.problem("mp3", "only a P-Series records MP3");
    }
    if mp3 && max != 1 {
        section.problem(
            "max_downloads",
            "a P-Series that records MP3 allows one download at a time",
        );
    }
    max
}

/// A download that waits for its turn must not look like one that stands still.
fn check_pace(section: &mut Section<'_>, limits: &PbxLimits) {
    let Some(rate) = limits.max_bytes_per_second else {
        return;
    };
    let round = (limits.max_downloads as u64).saturating_mul(READ_BUFFER_BYTES as u64);
    let round_ms = round.saturating_mul(1000) / rate.max(1);
    if u128::from(round_ms) > limits.idle_timeout.as_millis() / 2 {
        section.problem(
            "max_bytes_per_second",
            "so little for max_downloads that one would stand still for half of idle_timeout_ms; allow more bytes or \
             fewer downloads",
        );
    }
}

fn read_limits(section: &mut Section<'_>, api: Option<PbxApi>) -> PbxLimits {
    let default = PbxLimits::default();
    let limits = PbxLimits {
        max_downloads: read_max_downloads(section, api),
        // Where none is given, it is what the streams leave for each.
        max_waiting: section.size("max_waiting", 1..=1_000_000, 0),
        max_bytes_per_second: section.integer("max_bytes_per_second", 1_024..=1 << 40),
        min_bytes_per_second: section
            .integer("min_bytes_per_second", 0..=1 << 20)
            .unwrap_or(default.min_bytes_per_second),
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
    };
    check_pace(section, &limits);
    limits
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

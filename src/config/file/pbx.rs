//! `[[pbx]]`: a PBX, how to reach it and its limits.

mod account;
pub(super) mod rows;

use std::net::IpAddr;
use std::path::PathBuf;

use jiff::tz::TimeZone;
use url::Url;

use self::rows::{groups_keys, keys, tls_keys};
use super::has_user;
use crate::config::rows::DefaultedKind;
use crate::config::section::Section;
use crate::pbx::ProbeLimits;
use crate::pbx::settings::{
    AllowedIp, NotReady, PbxAccount, PbxApi, PbxLimits, READ_BUFFER_BYTES, UpstreamRanges,
};
use crate::recording::NameRange;
use crate::tls::pin::Pin;
use account::read_account;

/// The most groups of a PBX, and the most members of one.
const MAX_GROUPS: usize = 1_000;
/// The most pauses of `not_ready_retry_ms`.
const MAX_RETRIES: usize = 5;
/// Stands for a `max_waiting` that is not given, until all PBXs are read.
const SHARE_OF_STREAMS: usize = 0;

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
    /// The recordings for which a request without a PBX's name means this PBX.
    pub names: NameRange,
    /// The zone of its local time.
    pub time_zone: TimeZone,
    /// Its queues and ring groups: each number, and the extensions that it stands for.
    pub groups: Vec<(String, Vec<String>)>,
    /// Our account on it.
    pub account: Option<PbxAccount>,
    /// The limits of requests to it.
    pub limits: PbxLimits,
    /// The time in which a call may still get its recording.
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
    let groups = groups_keys::SECTION.read(section, read_groups);
    if groups.len() > MAX_GROUPS {
        let message = format!("more than {MAX_GROUPS}");
        section.problem(groups_keys::SECTION.name(), message);
    }
    let name = read_pbx_name(section);
    let api = keys::api.given(section);
    let url = read_pbx_url(section);
    PbxSection {
        name,
        api,
        trust: read_trust(section, url.as_ref()),
        url,
        bind_address: keys::bind_address.given(section),
        allowed_ip: read_allowed_ip(section, api),
        names: read_names(section),
        time_zone: read_time_zone(section),
        groups,
        account: read_account(section, api),
        limits: read_limits(section, api),
        not_ready: read_not_ready(section),
        upstream_ranges: keys::upstream_ranges.get(section),
    }
}

/// Reads the queues and ring groups, each with its members.
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
    let name = keys::name.given(section)?;
    section.note(keys::name.name, check_name(&name))?;
    Some(name)
}

/// Refuses a name that cannot stand in a URL.
pub(crate) fn check_name(name: &str) -> Result<(), &'static str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if name.is_empty() || name.len() > 64 || !name.bytes().all(allowed) {
        return Err("at most 64 letters, digits, - and _: it stands in URLs");
    }
    Ok(())
}

fn read_pbx_url(section: &mut Section<'_>) -> Option<Url> {
    let url = keys::url.given(section);
    let plain_http = keys::plain_http.get(section);
    let url = url?;
    match (check_url(&url), url.scheme(), plain_http) {
        (Err(message), _, _) => section.problem(keys::url.name, message),
        (Ok(()), "https", false) | (Ok(()), "http", true) => return Some(url),
        (Ok(()), "http", false) => section.problem(
            keys::url.name,
            "plain HTTP sends the PBX password and every recording readable over the network; if that is meant, set \
             plain_http = true",
        ),
        (Ok(()), _, _) => section.problem(keys::plain_http.name, "true, but the address says https"),
    }
    None
}

/// Refuses an address that no PBX can have.
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
    let tls = tls_keys::SECTION.name();
    let is_written = section.has(tls);
    let trust = tls_keys::SECTION.read(section, |section| {
        let ca_file = tls_keys::ca_file.given(section);
        let pins = tls_keys::pins.given(section);
        match (ca_file, pins) {
            (Some(_), Some(_)) => {
                section.problem(tls_keys::pins.name, "give either ca_file or pins, not both");
                TrustSection::System
            }
            (Some(path), None) => TrustSection::CaFile(path),
            (None, Some(pins)) => {
                if pins.is_empty() {
                    section.problem(
                        tls_keys::pins.name,
                        "empty: no certificate would be accepted",
                    );
                }
                TrustSection::Pins(pins)
            }
            (None, None) => TrustSection::System,
        }
    });
    if url.is_some_and(|url| url.scheme() == "http") {
        if is_written {
            section.problem(tls, "has no meaning for plain HTTP");
        }
        return TrustSection::PlainHttp;
    }
    trust
}

fn read_allowed_ip(section: &mut Section<'_>, api: Option<PbxApi>) -> AllowedIp {
    let Some(text) = keys::allowed_ip.given(section) else {
        return AllowedIp::Absent;
    };
    match api {
        Some(PbxApi::SSeries101) => section.problem(
            keys::allowed_ip.name,
            "API 1.0.1 does not have it; remove it or use a newer API",
        ),
        Some(PbxApi::PSeries) => {
            section.problem(keys::allowed_ip.name, "a P-Series does not have it")
        }
        _ => {}
    }
    match text.as_str() {
        "auto" => AllowedIp::Auto,
        address => match address.parse() {
            Ok(address) => AllowedIp::Fixed(address),
            Err(_) => {
                section.problem(
                    keys::allowed_ip.name,
                    "neither \"auto\" nor an IPv4 address",
                );
                AllowedIp::Absent
            }
        },
    }
}

fn read_names(section: &mut Section<'_>) -> NameRange {
    let names = NameRange {
        from: keys::names_from.given(section),
        until: keys::names_until.given(section),
    };
    if names.is_empty() {
        section.problem(keys::names_until.name, "not later than names_from");
    }
    names
}

fn read_time_zone(section: &mut Section<'_>) -> TimeZone {
    let name = keys::time_zone.get(section);
    TimeZone::get(&name).unwrap_or_else(|_| {
        section.problem(
            keys::time_zone.name,
            format!("{name:?} is not a name such as Europe/Berlin"),
        );
        TimeZone::UTC
    })
}

/// The most downloads at once. One for a P-Series that records MP3, since it converts the file
/// while it sends it.
fn read_max_downloads(section: &mut Section<'_>, api: Option<PbxApi>) -> usize {
    let mp3 = keys::mp3.get(section);
    let default = match mp3 {
        true => 1,
        false => keys::max_downloads.kind.default(),
    };
    let max = keys::max_downloads.given(section).unwrap_or(default);
    if mp3 && api.is_some_and(|api| api != PbxApi::PSeries) {
        section.problem(keys::mp3.name, "only a P-Series records MP3");
    }
    if mp3 && max != 1 {
        section.problem(
            keys::max_downloads.name,
            "a P-Series that records MP3 allows one download at a time",
        );
    }
    max
}

/// Refuses so few bytes per second that a download that waits for its turn looks like a broken one.
fn check_pace(section: &mut Section<'_>, limits: &PbxLimits) {
    let Some(rate) = limits.max_bytes_per_second else {
        return;
    };
    let round = (limits.max_downloads as u64).saturating_mul(READ_BUFFER_BYTES as u64);
    let round_ms = round.saturating_mul(1000) / rate.max(1);
    if u128::from(round_ms) > limits.idle_timeout.as_millis() / 2 {
        section.problem(
            keys::max_bytes_per_second.name,
            "so little for max_downloads that one would stand still for half of idle_timeout_ms; allow more bytes or \
             fewer downloads",
        );
    }
}

/// The limits of a probe of a PBX that is not configured yet.
pub(crate) fn default_probe_limits() -> ProbeLimits {
    ProbeLimits {
        connect_timeout: keys::connect_timeout_ms.kind.default(),
        answer_timeout: keys::answer_timeout_ms.kind.default(),
    }
}

fn read_limits(section: &mut Section<'_>, api: Option<PbxApi>) -> PbxLimits {
    let limits = PbxLimits {
        max_downloads: read_max_downloads(section, api),
        max_waiting: keys::max_waiting.given(section).unwrap_or(SHARE_OF_STREAMS),
        max_bytes_per_second: keys::max_bytes_per_second.given(section),
        min_bytes_per_second: keys::min_bytes_per_second.get(section),
        queue_timeout: keys::queue_timeout_ms.get(section),
        connect_timeout: keys::connect_timeout_ms.get(section),
        answer_timeout: keys::answer_timeout_ms.get(section),
        first_byte_timeout: keys::first_byte_timeout_ms.get(section),
        idle_timeout: keys::idle_timeout_ms.get(section),
        retry_delay: keys::retry_delay_ms.get(section),
    };
    check_pace(section, &limits);
    limits
}

fn read_not_ready(section: &mut Section<'_>) -> NotReady {
    let retries = keys::not_ready_retry_ms.get(section);
    if retries.len() > MAX_RETRIES {
        section.problem(keys::not_ready_retry_ms.name, "more than five pauses");
    }
    NotReady {
        window: keys::not_ready_window_s.get(section),
        retries,
    }
}

/// Sets each `max_waiting` that is not given, and refuses too many in all: a PBX in trouble, whose
/// requests wait, must leave streams to the others.
pub(super) fn share_streams(root: &mut Section<'_>, pbxs: &mut [PbxSection], max_streams: usize) {
    let default = keys::max_waiting.kind.default();
    let share = match pbxs.len() {
        0 | 1 => default,
        several => (max_streams / (several + 1)).clamp(1, default),
    };
    for pbx in pbxs.iter_mut() {
        if pbx.limits.max_waiting == SHARE_OF_STREAMS {
            pbx.limits.max_waiting = share;
        }
    }
    let waiting: usize = pbxs.iter().map(|pbx| pbx.limits.max_waiting).sum();
    if pbxs.len() > 1 && waiting >= max_streams {
        root.problem(
            keys::SECTION.name(),
            format!(
                "max_waiting: {waiting} for all PBXs together, and relay.max_streams is {max_streams}; those that hang could \
                 take every stream from one that is well"
            ),
        );
    }
}

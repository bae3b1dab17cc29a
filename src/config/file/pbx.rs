//! `[[pbx]]`: a PBX, our account on it and its limits.

use std::net::IpAddr;

use url::Url;

use super::has_user;
use crate::config::secret::Secret;
use crate::config::section::Section;
use crate::config::{
    AllowedIp, NotReady, Pbx, PbxAccount, PbxApi, PbxLimits, PbxPassword, PbxReport, PbxTrust, Pin,
    Prolong,
};

pub(super) fn read_pbx(section: &mut Section<'_>) -> Option<Pbx> {
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
                let read = crate::pbx::tls::read_certificates(&path);
                PbxTrust::Ca(section.note("ca_file", read).unwrap_or_default())
            }
            (None, Some(pins)) => {
                if pins.is_empty() {
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

//! Our account on a PBX.

use crate::config::section::Section;
use crate::pbx::settings::{PbxAccount, PbxApi, PbxPassword, PbxReport, Prolong};
use crate::secret::Secret;

pub(super) fn read_account(section: &mut Section<'_>, api: Option<PbxApi>) -> Option<PbxAccount> {
    let username = section.required("username").map(Secret::new);
    let password = read_password(section, api);
    if api == Some(PbxApi::PSeries) {
        for key in ["report_port", "report_url", "report_version"] {
            if section.has(key) {
                section.problem(key, "a P-Series does not have it");
            }
        }
    }
    let report_port = section.integer("report_port", 1..=65_535);
    let report = PbxReport {
        port: report_port.and_then(|port| u16::try_from(port).ok()),
        url: section.text("report_url"),
        version: section.text("report_version"),
    };
    let prolong = read_prolong(section, api);
    // A token of a P-Series takes one of eight slots for as long as it lives.
    let logout = section.boolean("logout", api == Some(PbxApi::PSeries));
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

/// How a token that nobody uses is kept alive.
fn read_prolong(section: &mut Section<'_>, api: Option<PbxApi>) -> Prolong {
    let ways = [
        ("query", Prolong::Query),
        ("heartbeat", Prolong::Heartbeat),
        ("never", Prolong::Never),
    ];
    let exchanged = matches!(
        api,
        Some(PbxApi::Cloud110 | PbxApi::Cloud200 | PbxApi::PSeries)
    );
    if exchanged && section.has("prolong") {
        section.problem(
            "prolong",
            "tokens of this API are not prolonged: one in use is exchanged for a new one",
        );
    }
    let default = if exchanged {
        Prolong::Never
    } else {
        Prolong::Query
    };
    section.choice("prolong", &ways, default)
}

fn read_password(section: &mut Section<'_>, api: Option<PbxApi>) -> Option<PbxPassword> {
    match (
        section.has("password_file"),
        section.has("password_md5_file"),
    ) {
        (true, false) => {
            let secret = section.password_file("password_file")?;
            if api == Some(PbxApi::PSeries) && secret.expose_str().is_none() {
                section.problem(
                    "password_file",
                    "not in UTF-8, and a P-Series is sent a text",
                );
                return None;
            }
            Some(PbxPassword::Clear(secret))
        }
        (false, true) => {
            let secret = section.password_file("password_md5_file")?;
            if api == Some(PbxApi::PSeries) {
                section.problem(
                    "password_md5_file",
                    "a P-Series wants the secret itself; give password_file",
                );
            }
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

//! Our account on a PBX.

use super::rows::keys;
use crate::config::rows::DefaultedKind;
use crate::config::section::Section;
use crate::pbx::settings::{PbxAccount, PbxApi, PbxPassword, PbxReport, Prolong};
use crate::secret::Secret;

pub(super) fn read_account(section: &mut Section<'_>, api: Option<PbxApi>) -> Option<PbxAccount> {
    let username = keys::username.given(section).map(Secret::new);
    let password = read_password(section, api);
    if api == Some(PbxApi::PSeries) {
        for key in [
            keys::report_port.name,
            keys::report_url.name,
            keys::report_version.name,
        ] {
            if section.has(key) {
                section.problem(key, "a P-Series does not have it");
            }
        }
    }
    let report = PbxReport {
        port: keys::report_port.given(section),
        url: keys::report_url.given(section),
        version: keys::report_version.given(section),
    };
    let prolong = read_prolong(section, api);
    // A token of a P-Series takes one of eight slots for as long as it lives.
    let default = keys::logout.kind.default() || api == Some(PbxApi::PSeries);
    let logout = keys::logout.given(section).unwrap_or(default);
    let login_retry = keys::login_retry_s.get(section);
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
    let exchanged = matches!(
        api,
        Some(PbxApi::Cloud110 | PbxApi::Cloud200 | PbxApi::PSeries)
    );
    if exchanged && section.has(keys::prolong.name) {
        section.problem(
            keys::prolong.name,
            "tokens of this API are not prolonged: one in use is exchanged for a new one",
        );
    }
    let default = match exchanged {
        true => Prolong::Never,
        false => keys::prolong.kind.default(),
    };
    keys::prolong.given(section).unwrap_or(default)
}

fn read_password(section: &mut Section<'_>, api: Option<PbxApi>) -> Option<PbxPassword> {
    let (clear, md5) = (&keys::password_file, &keys::password_md5_file);
    match (section.has(clear.name), section.has(md5.name)) {
        (true, false) => {
            let secret = clear.given(section)?;
            if api == Some(PbxApi::PSeries) && secret.expose_str().is_none() {
                section.problem(clear.name, "not in UTF-8, and a P-Series is sent a text");
                return None;
            }
            Some(PbxPassword::Clear(secret))
        }
        (false, true) => {
            let secret = md5.given(section)?;
            if api == Some(PbxApi::PSeries) {
                section.problem(
                    md5.name,
                    "a P-Series wants the secret itself; give password_file",
                );
            }
            let hexadecimal = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            if secret.expose().len() != 32 || !secret.expose().iter().all(hexadecimal) {
                section.problem(md5.name, "not 32 lower-case hexadecimal digits");
                return None;
            }
            Some(PbxPassword::Md5(secret))
        }
        (true, true) => {
            section.problem(
                clear.name,
                "give either password_file or password_md5_file, not both",
            );
            section.take_away(clear.name);
            section.take_away(md5.name);
            None
        }
        (false, false) => {
            section.problem(clear.name, "missing");
            None
        }
    }
}

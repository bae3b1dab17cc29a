//! The policies, and the tests that they must pass.

use std::time::{Duration, SystemTime};

use super::GatewayParts;
use crate::auth::link::Links;
use crate::auth::{CredentialKind, Extension, Issuer};
use crate::config::{PolicySection, PolicyTest, Problems, read_public};
use crate::policy::{Context, Groups, Policy, Trial};
use crate::recording::RecordingName;

/// The subject of a test that names none.
const SOMEBODY: &str = "somebody";
/// The time between the beginning of the call and the request of a test that names no time.
const LATER: Duration = Duration::from_secs(3_600);

/// Reads the policies, and their text.
pub(super) fn read_policy(section: &PolicySection, problems: &mut Problems) -> (Policy, String) {
    const KEY: &str = "policy.file";
    let nobody = (Policy::nobody(), String::new());
    let Some(path) = &section.file else {
        return nobody;
    };
    let text = read_public(path).map_err(|error| error.to_string());
    let text = text.and_then(|bytes| String::from_utf8(bytes).map_err(|_| "not UTF-8".to_owned()));
    let text = text.map_err(|error| format!("{}: {error}", path.display()));
    let Some(text) = problems.note(KEY, text) else {
        return nobody;
    };
    match Policy::parse(&text, Groups::default()) {
        Ok(policy) => (policy, text),
        Err(flaws) => {
            for flaw in flaws {
                problems.push(KEY, format!("{}: {flaw}", path.display()));
            }
            nobody
        }
    }
}

/// Runs the tests. A test that fails is a mistake.
pub(super) fn run_tests(parts: &GatewayParts, problems: &mut Problems) {
    for (index, test) in parts.config.policy.tests.iter().enumerate() {
        let trial = trial(parts, test);
        let outcome = trial.and_then(|trial| trial.run(&parts.policy));
        problems.note(&format!("policy.test[{index}]"), outcome);
    }
}

fn trial(parts: &GatewayParts, test: &PolicyTest) -> Result<Trial, String> {
    let pbx = pbx_of(parts, test.pbx.as_deref(), &test.recording)?;
    let (issuer, pbxs) = match test.credential {
        CredentialKind::Link => (link_issuer(parts, test, pbx)?, None),
        CredentialKind::Bearer | CredentialKind::Session | CredentialKind::Sso => {
            let issuer = issuer_of(parts, test.issuer.as_deref())?;
            (issuer.name.clone(), issuer.pbxs.clone())
        }
    };
    let only_pbx = match pbxs.as_deref() {
        Some([pbx]) => Some(pbx.as_str()),
        _ => None,
    };
    let extensions = test.extensions.iter();
    let extensions = extensions.map(|text| Extension::read(text, only_pbx));
    let start = test.recording.call_started();
    let usual = start.map_or_else(SystemTime::now, |start| start + LATER);
    let subject = test.subject.as_deref().unwrap_or(SOMEBODY);
    Ok(Trial {
        issuer,
        subject: subject.to_owned(),
        roles: test.roles.clone(),
        extensions: extensions
            .collect::<Result<_, _>>()
            .map_err(|error| format!("extensions: {error}"))?,
        tenant: test.tenant.clone(),
        pbxs,
        credential: test.credential,
        action: test.action,
        pbx: pbx.to_owned(),
        recording: test.recording.clone(),
        context: Context {
            source: test.source.unwrap_or(std::net::Ipv4Addr::LOCALHOST.into()),
            now: test.now.map_or(usual, SystemTime::from),
        },
        expected: test.expected,
        by: test.by.clone(),
    })
}

/// The PBX of that name, or that a request without one would mean.
fn pbx_of<'p>(
    parts: &'p GatewayParts,
    name: Option<&str>,
    recording: &RecordingName,
) -> Result<&'p str, String> {
    let mut pbxs = parts.pbxs.iter();
    let pbx = match name {
        Some(name) => pbxs.find(|pbx| pbx.name == name),
        None => pbxs.find(|pbx| pbx.names.holds(recording)),
    };
    let missing = || match name {
        Some(name) => format!("pbx: there is no PBX named {name:?}"),
        None => "pbx: missing, and no PBX has recordings of that time".to_owned(),
    };
    pbx.map(|pbx| pbx.name.as_str()).ok_or_else(missing)
}

fn issuer_of<'p>(parts: &'p GatewayParts, name: Option<&str>) -> Result<&'p Issuer, String> {
    let mut issuers = parts.auth.issuers.iter();
    let issuer = match name {
        Some(name) => issuers.find(|issuer| issuer.name == name),
        None => issuers.next(),
    };
    issuer.ok_or_else(|| "issuer: no [[auth.issuer]] has this name".to_owned())
}

/// The issuer of the links of a key.
fn link_issuer(parts: &GatewayParts, test: &PolicyTest, pbx: &str) -> Result<String, String> {
    if !test.roles.is_empty() || !test.extensions.is_empty() || test.tenant.is_some() {
        return Err("a link has no roles, extensions or tenant".to_owned());
    }
    let mut keys = parts.auth.links.iter().flat_map(|links| &links.keys);
    let key = match &test.issuer {
        Some(id) => keys.find(|link| Links::issuer_of(link) == id),
        None => keys.next(),
    };
    let key = key.ok_or("issuer: no [[links.key]] has this id")?;
    if !key.reaches(pbx) {
        return Err("the key's links do not reach this PBX (pbxs in [[links.key]])".to_owned());
    }
    Ok(Links::issuer_of(key).to_owned())
}

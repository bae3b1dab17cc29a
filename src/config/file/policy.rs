//! `[policy]` and `[[policy.test]]`: the file of policies, and the decisions that are expected of them.

use std::net::IpAddr;
use std::path::PathBuf;

use jiff::Timestamp;

use crate::auth::CredentialKind;
use crate::config::section::Section;
use crate::policy::{Action, Expected};
use crate::recording::RecordingName;

/// The most rows of tests: each start and each reload runs all of them.
const MAX_TESTS: usize = 1_000;
/// The rule of the first version.
const GONE: &str = "everyone";

/// The policies.
#[derive(Debug)]
pub struct PolicySection {
    /// The file of policies; without one nobody may hear anything.
    pub file: Option<PathBuf>,
    /// Whether a recording that is denied is answered as one that does not exist.
    pub forbidden_as_not_found: bool,
    /// The decisions that are expected.
    pub tests: Vec<PolicyTest>,
}

/// A decision that is expected.
#[derive(Debug)]
pub struct PolicyTest {
    /// Who vouches for the subject; the first issuer, or the first link key, when `None`.
    pub issuer: Option<String>,
    /// The subject; somebody when `None`.
    pub subject: Option<String>,
    /// Their roles.
    pub roles: Vec<String>,
    /// Their extensions, each `pbx/number`; the number alone where the issuer is for one PBX only.
    pub extensions: Vec<String>,
    /// Their tenant.
    pub tenant: Option<String>,
    /// The kind of their credential.
    pub credential: CredentialKind,
    /// The action they ask for.
    pub action: Action,
    /// The PBX that has the recording; the one that the name alone means when `None`.
    pub pbx: Option<String>,
    /// The recording.
    pub recording: RecordingName,
    /// The time of the request; an hour after the call when `None`.
    pub now: Option<Timestamp>,
    /// The address of the request; loopback when `None`.
    pub source: Option<IpAddr>,
    /// The decision.
    pub expected: Expected,
    /// The policies that are to decide, and no others; any when `None`.
    pub by: Option<Vec<String>>,
}

pub(super) fn read_policy(section: &mut Section<'_>) -> PolicySection {
    if section.take_away(GONE) {
        section.problem(
            GONE,
            "is gone: write file = \"policy.cedar\", and into that file `permit(principal, action, resource);` for what \
             everyone = true meant; config/policy.cedar shows narrower policies",
        );
    }
    let file = section.path("file");
    let tests = section.sections("test", read_test);
    if tests.len() > MAX_TESTS {
        section.problem("test", format!("more than {MAX_TESTS} rows"));
    }
    PolicySection {
        file,
        forbidden_as_not_found: section.boolean("forbidden_as_not_found", false),
        tests: tests.into_iter().flatten().collect(),
    }
}

fn read_test(section: &mut Section<'_>) -> Option<PolicyTest> {
    let issuer = section.text("issuer");
    let subject = section.text("subject");
    let roles = section.list("roles");
    let extensions = section.list("extensions");
    let tenant = section.text("tenant");
    let kinds = &CredentialKind::NAMES;
    let credential = section.choice("credential", kinds, CredentialKind::Bearer);
    let action = section.choice("action", &Action::NAMES, Action::Listen);
    let pbx = section.text("pbx");
    let recording = section.required("recording");
    let recording = recording.and_then(|text| section.parse("recording", &text));
    let now = section.parsed("now");
    let source = section.parsed("source");
    let expected = section.required("expect");
    let expected = expected.and_then(|word| section.chosen("expect", &word, &Expected::NAMES));
    let by = section.list("by");
    Some(PolicyTest {
        issuer,
        subject,
        roles: roles.unwrap_or_default(),
        extensions: extensions.unwrap_or_default(),
        tenant,
        credential,
        action,
        pbx,
        recording: recording?,
        now,
        source,
        expected: expected?,
        by,
    })
}

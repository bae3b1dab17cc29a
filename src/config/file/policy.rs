//! `[policy]` and `[[policy.test]]`: the file of policies, and the decisions that are expected of
//! them.

use std::net::IpAddr;
use std::path::PathBuf;

use jiff::Timestamp;

use crate::auth::CredentialKind;
use crate::config::kinds::*;
use crate::config::rows::rows;
use crate::config::section::Section;
use crate::policy::{Action, ExpectedDecision};
use crate::recording::RecordingName;

/// The most rows of tests: each start and each reload runs all of them.
const MAX_TESTS: usize = 1_000;

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
    /// The issuer, or the id of a link key; the first one when `None`.
    pub issuer: Option<String>,
    /// The subject; any when `None`.
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
    pub expected: ExpectedDecision,
    /// The policies that are to decide, and no others; any when `None`.
    pub by: Option<Vec<String>>,
}

rows! {
    /// Rights: who may hear which recording.
    mod keys = "[policy]", gone: [(
        "everyone",
        "is gone: write file = \"policy.cedar\", and into that file `permit(principal, action, resource);` for what \
         everyone = true meant; config/policy.cedar shows narrower policies",
    )];

    /// A file of policies in Cedar. policy.cedar is one to begin with; docs/policies.md explains
    /// it.
    file: Free<PathBuf> = path("policy.cedar").absent("none, and nobody may hear anything").shown();

    /// true answers a recording that the caller may not hear as one that does not exist: 404
    /// instead of 403. The PBX is not asked, so this answer comes sooner than that for a recording
    /// that is missing.
    forbidden_as_not_found: Flag = flag(false);
}

rows! {
    /// Decisions that the policies must make; one [[policy.test]] each, at most 1000. Each start,
    /// each reload and `wavegate check` try them, and another decision is a mistake in the
    /// configuration.
    mod test_keys = "[[policy.test]]";

    /// The issuer of the caller. For a link: the id of its key.
    issuer: Free<String> = text("https://idp.example.com").absent("the first one").shown();

    /// The subject of the caller.
    subject: Free<String> = text("alice").absent("\"somebody\"").shown();

    /// The roles in its token; a link has none.
    roles: Free<Vec<String>> = list(&["agent"]).absent("none").shown();

    /// The extensions in its token; a link has none.
    extensions: Free<Vec<String>> = list(&["office/1001"]).absent("none").shown();

    /// The tenant in its token; a link has none.
    tenant: Free<String> = text("office").absent("none").shown();

    /// The kind of its credential.
    credential: OneOf<CredentialKind> = one_of(&CredentialKind::NAMES, CredentialKind::Bearer);

    /// The action it asks for. As for POST /links, the policies are asked about listen before
    /// share, and a link shares nothing.
    action: OneOf<Action> = one_of(&Action::NAMES, Action::Listen);

    /// The PBX that has the recording.
    pbx: Free<String> = text("office").absent("the PBX of a request without a PBX's name").shown();

    /// The name of the recording.
    recording: Required<Free<RecordingName>> =
        required(parsed("20260302104512-1772448301.1219-0205550147-1001-Inbound.wav"));

    /// The time of the request.
    now: Free<Timestamp> = parsed("2026-03-02T12:00:00Z")
        .absent("an hour after the call began, or now if the name does not tell that")
        .shown();

    /// The address of the request.
    source: Free<IpAddr> = parsed("127.0.0.1").absent("127.0.0.1").shown();

    /// The decision.
    expect: Required<OneOf<ExpectedDecision>> = required(one_of(&ExpectedDecision::NAMES, ExpectedDecision::Allow));

    /// The ids of all policies that must decide. If no policy permits it, these are none.
    by: Free<Vec<String>> = list(&["own-calls"]).absent("any").shown();
}

pub(super) fn read_policy(section: &mut Section<'_>) -> PolicySection {
    let file = keys::file.given(section);
    let tests = test_keys::SECTION.read_all(section, read_test);
    if tests.len() > MAX_TESTS {
        let message = format!("more than {MAX_TESTS} rows");
        section.problem(test_keys::SECTION.name(), message);
    }
    PolicySection {
        file,
        forbidden_as_not_found: keys::forbidden_as_not_found.get(section),
        tests: tests.into_iter().flatten().collect(),
    }
}

fn read_test(section: &mut Section<'_>) -> Option<PolicyTest> {
    let issuer = test_keys::issuer.given(section);
    let subject = test_keys::subject.given(section);
    let roles = test_keys::roles.given(section);
    let extensions = test_keys::extensions.given(section);
    let tenant = test_keys::tenant.given(section);
    let credential = test_keys::credential.get(section);
    let action = test_keys::action.get(section);
    let pbx = test_keys::pbx.given(section);
    let recording = test_keys::recording.given(section);
    let now = test_keys::now.given(section);
    let source = test_keys::source.given(section);
    let expected = test_keys::expect.given(section);
    let by = test_keys::by.given(section);
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

//! `[policy]`, `[[policy.test]]` and `[pbx.groups]`: who may hear what, and what is expected of that.
//!
//! A row of tests can be tried only once issuers and PBXs are known, so it is read first and run at the end.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;

use crate::auth::link::Links;
use crate::auth::{CredentialKind, Extension, Issuer};
use crate::config::section::{Section, read_public};
use crate::config::{Auth, Policy};
use crate::pbx::settings::PbxSettings;
use crate::policy;
use crate::policy::{Action, Context, ExpectedDecision, Groups, Trial};
use crate::recording::RecordingName;

/// The most rows of tests: each start and each reload runs all of them.
const MAX_TESTS: usize = 1_000;
/// The most groups of a PBX, and the most members of one.
const MAX_GROUPS: usize = 1_000;
/// The rule of the first version.
const GONE: &str = "everyone";
/// Who asks in a row that says nothing of it.
const SOMEBODY: &str = "somebody";
/// When, after the call began, a row is supposed to be asked that says nothing of it.
const LATER: Duration = Duration::from_secs(3_600);

/// `[policy]` as far as it can be read by itself.
pub(super) struct Draft {
    policy: Policy,
    rows: Vec<Option<Row>>,
}

/// A row of tests as it is written.
struct Row {
    issuer: Option<String>,
    subject: Option<String>,
    roles: Vec<String>,
    extensions: Vec<String>,
    tenant: Option<String>,
    credential: CredentialKind,
    action: Action,
    pbx: Option<String>,
    recording: RecordingName,
    now: Option<Timestamp>,
    source: Option<std::net::IpAddr>,
    expected: ExpectedDecision,
    by: Option<Vec<String>>,
}

/// The groups of a PBX: each number, and whom it stands for.
pub(super) type Members = Vec<(String, Vec<String>)>;

pub(super) fn read_policy(section: &mut Section<'_>) -> Draft {
    if section.take_away(GONE) {
        section.problem(
            GONE,
            "is gone: write file = \"policy.cedar\", and into that file `permit(principal, action, resource);` for what \
             everyone = true meant; config/policy.cedar shows narrower policies",
        );
    }
    let file = section.path("file");
    let mut written = String::new();
    let rules = match &file {
        None => Some(policy::Policy::nobody()),
        Some(path) => {
            let text = read_public(path).map_err(|error| error.to_string());
            let text =
                text.and_then(|bytes| String::from_utf8(bytes).map_err(|_| "not UTF-8".to_owned()));
            let parsed = text.map(|text| {
                written = text;
                policy::Policy::parse(&written, Groups::default())
            });
            match parsed {
                Ok(Ok(rules)) => Some(rules),
                Ok(Err(flaws)) => {
                    for flaw in flaws {
                        section.problem("file", format!("{}: {flaw}", path.display()));
                    }
                    None
                }
                Err(error) => {
                    section.problem("file", format!("{}: {error}", path.display()));
                    None
                }
            }
        }
    };
    let rows = section.sections("test", read_row);
    if rows.len() > MAX_TESTS {
        section.problem("test", format!("more than {MAX_TESTS} rows"));
    }
    Draft {
        policy: Policy {
            rules: rules.unwrap_or_else(policy::Policy::nobody),
            file,
            text: written,
            forbidden_as_not_found: section.boolean("forbidden_as_not_found", false),
        },
        rows,
    }
}

fn read_row(section: &mut Section<'_>) -> Option<Row> {
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
    let expected =
        expected.and_then(|word| section.chosen("expect", &word, &ExpectedDecision::NAMES));
    let by = section.list("by");
    Some(Row {
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

/// Reads the numbers that stand for others.
pub(super) fn read_groups(section: &mut Section<'_>) -> Members {
    let groups = section.section("groups", |section| {
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
        groups.collect::<Members>()
    });
    if groups.len() > MAX_GROUPS {
        section.problem("groups", format!("more than {MAX_GROUPS}"));
    }
    groups
}

/// Puts the policies together with what they are about, and tries them.
pub(super) fn finish_policy(
    root: &mut Section<'_>,
    draft: Draft,
    auth: &Auth,
    pbxs: &[PbxSettings],
    groups: Vec<(String, Members)>,
) -> Policy {
    for (index, issuer) in auth.issuers.iter().enumerate() {
        for name in issuer.pbxs.iter().flat_map(|names| names.iter()) {
            if !pbxs.iter().any(|pbx| pbx.name == *name) {
                root.problem(
                    &format!("auth.issuer[{index}].pbxs"),
                    format!("there is no PBX named {name:?}"),
                );
            }
        }
    }
    let Draft { policy, rows } = draft;
    let policy = Policy {
        rules: policy.rules.with_groups(Groups::new(groups)),
        ..policy
    };
    if root.has_problems() {
        // What is tried against half of a configuration comes out otherwise for that alone.
        return policy;
    }
    let setting = Setting { auth, pbxs };
    for (index, row) in rows.into_iter().flatten().enumerate() {
        let trial = setting.trial(row);
        if let Err(message) = trial.and_then(|trial| trial.run(&policy.rules)) {
            root.problem(&format!("policy.test[{index}]"), message);
        }
    }
    policy
}

/// What a row is about.
struct Setting<'c> {
    auth: &'c Auth,
    pbxs: &'c [PbxSettings],
}

impl Setting<'_> {
    fn trial(&self, row: Row) -> Result<Trial, String> {
        let pbx = self.pbx(row.pbx.as_deref(), &row.recording)?;
        let (issuer, pbxs) = match row.credential {
            CredentialKind::Link => (self.link_key(&row, pbx)?, None),
            CredentialKind::Bearer | CredentialKind::Session | CredentialKind::Sso => {
                let issuer = self.issuer(row.issuer.as_deref())?;
                (issuer.name.clone(), issuer.pbxs.clone())
            }
        };
        let only_pbx = match pbxs.as_deref() {
            Some([pbx]) => Some(pbx.as_str()),
            _ => None,
        };
        let extensions = row.extensions.iter();
        let extensions = extensions.map(|text| Extension::read(text, only_pbx));
        let start = row.recording.call_started();
        let usual = start.map_or_else(SystemTime::now, |start| start + LATER);
        Ok(Trial {
            issuer,
            subject: row.subject.unwrap_or_else(|| SOMEBODY.to_owned()),
            roles: row.roles,
            extensions: extensions
                .collect::<Result<_, _>>()
                .map_err(|error| format!("extensions: {error}"))?,
            tenant: row.tenant,
            pbxs,
            credential: row.credential,
            action: row.action,
            pbx: pbx.to_owned(),
            recording: row.recording,
            context: Context {
                source: row.source.unwrap_or(std::net::Ipv4Addr::LOCALHOST.into()),
                now: row.now.map_or(usual, SystemTime::from),
            },
            expected: row.expected,
            by: row.by,
        })
    }

    /// The PBX of that name, or that a request without one would mean.
    fn pbx(&self, name: Option<&str>, recording: &RecordingName) -> Result<&str, String> {
        let mut pbxs = self.pbxs.iter();
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

    fn issuer(&self, name: Option<&str>) -> Result<&Issuer, String> {
        let mut issuers = self.auth.issuers.iter();
        let issuer = match name {
            Some(name) => issuers.find(|issuer| issuer.name == name),
            None => issuers.next(),
        };
        issuer.ok_or_else(|| "issuer: no [[auth.issuer]] has this name".to_owned())
    }

    /// Whom the links of a key are from.
    fn link_key(&self, row: &Row, pbx: &str) -> Result<String, String> {
        if !row.roles.is_empty() || !row.extensions.is_empty() || row.tenant.is_some() {
            return Err("a link has no roles, extensions or tenant".to_owned());
        }
        let links = self
            .auth
            .links
            .as_ref()
            .map_or(&[][..], |links| &links.keys);
        let mut links = links.iter();
        let key = match &row.issuer {
            Some(id) => links.find(|link| Links::issuer_of(link) == id),
            None => links.next(),
        };
        let key = key.ok_or("issuer: no [[links.key]] has this id")?;
        if !key.reaches(pbx) {
            return Err("the key's links do not reach this PBX (pbxs in [[links.key]])".to_owned());
        }
        Ok(Links::issuer_of(key).to_owned())
    }
}

/// The PBXs that an issuer's tokens are for.
pub(super) fn read_reach(section: &mut Section<'_>) -> Option<Arc<[String]>> {
    let pbxs: Vec<String> = section.list("pbxs")?;
    if pbxs.is_empty() {
        section.problem("pbxs", "empty: no token of this issuer would be of any use");
    }
    Some(pbxs.into())
}

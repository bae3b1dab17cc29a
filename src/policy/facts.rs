//! The attributes of a principal and a recording that policies can look at, as plain values.
//!
//! Knows the attributes in the name of a recording, and the numbers that a group stands for. Does
//! not know Cedar. Decisions and explanations both read these values, so they agree.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

use super::Context;
use super::groups::{Groups, qualified_number};
use super::uses::UsedAttributes;
use crate::auth::principal::Principal;
use crate::recording::{Direction, Parties, RecordingName};

/// The attributes of a request that policies can look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    principal: Vec<(&'static str, Vec<String>)>,
    recording: Vec<(&'static str, Vec<String>)>,
    context: Vec<(&'static str, Vec<String>)>,
}

/// The attributes of a recording, as far as policies look at them; others are left empty. Rows with
/// equal attributes get the same decision.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct RecordingFacts {
    /// Identifies the recording.
    pub(super) id: Option<String>,
    pub(super) pbx: String,
    pub(super) name: Option<String>,
    pub(super) started: Option<SystemTime>,
    pub(super) direction: Option<Direction>,
    pub(super) caller: Option<String>,
    pub(super) callee: Option<String>,
    /// The internal numbers, without the members of groups; `None` if no policy looks at them.
    pub(super) inside: Option<Vec<String>>,
}

impl RecordingFacts {
    pub(super) fn of(pbx: &str, name: &RecordingName, uses: &UsedAttributes) -> Self {
        let asked = uses.direction || uses.caller || uses.callee || uses.internal_parties;
        let parties = asked.then(|| name.parties()).flatten();
        let non_empty = |number: &str| (!number.is_empty()).then(|| number.to_owned());
        let parties_if = |asked: bool| parties.filter(|_| asked);
        Self {
            id: uses.id.then(|| qualified_number(pbx, name.as_str())),
            pbx: pbx.to_owned(),
            name: uses.name.then(|| name.as_str().to_owned()),
            started: uses.start.then(|| name.call_started()).flatten(),
            direction: parties_if(uses.direction).map(|parties| parties.direction),
            caller: parties_if(uses.caller).and_then(|parties| non_empty(parties.caller)),
            callee: parties_if(uses.callee).and_then(|parties| non_empty(parties.callee)),
            inside: uses.internal_parties.then(|| {
                let inside = parties.iter().flat_map(Parties::internal);
                inside.map(str::to_owned).collect()
            }),
        }
    }

    /// The internal numbers of the call, each with the members that it stands for, as `pbx/number`.
    /// `None` if no policy looks at them.
    pub(super) fn internal_parties(&self, groups: &Groups) -> Option<Vec<String>> {
        let mut all = Vec::new();
        for number in self.inside.as_ref()? {
            all.push(qualified_number(&self.pbx, number));
            all.extend_from_slice(groups.members(&self.pbx, number));
        }
        Some(all)
    }
}

/// A time in the form that Cedar reads, to the second. `None` outside the years that it can read.
pub(super) fn to_rfc3339(time: SystemTime) -> Option<String> {
    let seconds = time.duration_since(UNIX_EPOCH).ok()?.as_secs();
    let time = Timestamp::from_second(i64::try_from(seconds).ok()?).ok()?;
    Some(time.to_string())
}

impl Facts {
    pub(super) fn of(
        principal: &Principal,
        pbx: &str,
        name: &RecordingName,
        groups: &Groups,
        context: &Context,
    ) -> Self {
        let recording = RecordingFacts::of(pbx, name, &UsedAttributes::ALL);
        let internal_parties = recording.internal_parties(groups);
        let attributes = principal.attributes();
        let extensions = attributes.extensions().iter();
        let one = |text: Option<&str>| text.map(str::to_owned).into_iter().collect();
        Self {
            principal: vec![
                ("issuer", one(Some(principal.issuer()))),
                ("subject", one(Some(principal.subject()))),
                ("roles", attributes.roles().to_vec()),
                (
                    "extensions",
                    extensions.map(|extension| extension.text()).collect(),
                ),
                ("tenant", one(attributes.tenant())),
            ],
            recording: vec![
                ("pbx", one(Some(pbx))),
                ("name", one(Some(name.as_str()))),
                (
                    "start",
                    one(recording.started.and_then(to_rfc3339).as_deref()),
                ),
                ("direction", one(recording.direction.map(Direction::as_str))),
                ("caller", one(recording.caller.as_deref())),
                ("callee", one(recording.callee.as_deref())),
                ("internal_parties", internal_parties.unwrap_or_default()),
            ],
            context: vec![
                (
                    "source",
                    one(Some(&context.source.to_canonical().to_string())),
                ),
                (
                    "credential",
                    one(Some(principal.credential().kind().as_str())),
                ),
                ("now", one(to_rfc3339(context.now).as_deref())),
            ],
        }
    }

    /// The principal's attributes, each with its values, if any.
    #[must_use]
    pub fn principal(&self) -> &[(&'static str, Vec<String>)] {
        &self.principal
    }

    /// The attributes of the circumstances, likewise.
    #[must_use]
    pub fn context(&self) -> &[(&'static str, Vec<String>)] {
        &self.context
    }

    /// The recording's attributes, likewise.
    #[must_use]
    pub fn recording(&self) -> &[(&'static str, Vec<String>)] {
        &self.recording
    }
}

//! What a policy can ask about a principal and a recording, in plain values.
//!
//! Knows what the name of a recording tells, and whom a number stands for. Does not know Cedar. Whatever is decided or
//! explained goes through here, so both see the same.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

use super::Context;
use super::groups::{Groups, inside};
use super::uses::Uses;
use crate::auth::principal::Principal;
use crate::recording::{Direction, Parties, RecordingName};

/// What policies are told of a principal and a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    principal: Vec<(&'static str, Vec<String>)>,
    recording: Vec<(&'static str, Vec<String>)>,
    context: Vec<(&'static str, Vec<String>)>,
}

/// What policies are told of a recording; of what they do not ask about, nothing. Rows that are alike in it are decided alike.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct RecordingFacts {
    /// Tells it from all others.
    pub(super) id: Option<String>,
    pub(super) pbx: String,
    pub(super) name: Option<String>,
    pub(super) started: Option<SystemTime>,
    pub(super) direction: Option<Direction>,
    pub(super) caller: Option<String>,
    pub(super) callee: Option<String>,
    /// The numbers inside, without those that they stand for; `None` where they are not asked about.
    inside: Option<Vec<String>>,
}

impl RecordingFacts {
    pub(super) fn of(pbx: &str, name: &RecordingName, uses: &Uses) -> Self {
        let asked = uses.direction || uses.caller || uses.callee || uses.internal_parties;
        let parties = asked.then(|| name.parties()).flatten();
        let told = |number: &str| (!number.is_empty()).then(|| number.to_owned());
        let parties_if = |asked: bool| parties.filter(|_| asked);
        Self {
            id: uses.id.then(|| inside(pbx, name.as_str())),
            pbx: pbx.to_owned(),
            name: uses.name.then(|| name.as_str().to_owned()),
            started: uses.start.then(|| name.call_started()).flatten(),
            direction: parties_if(uses.direction).map(|parties| parties.direction),
            caller: parties_if(uses.caller).and_then(|parties| told(parties.caller)),
            callee: parties_if(uses.callee).and_then(|parties| told(parties.callee)),
            inside: uses.internal_parties.then(|| {
                let inside = parties.iter().flat_map(Parties::internal);
                inside.map(str::to_owned).collect()
            }),
        }
    }

    /// The inside of the call, each number beside whom it stands for, as `pbx/number`; `None` where it is not asked about.
    pub(super) fn internal_parties(&self, groups: &Groups) -> Option<Vec<String>> {
        let mut all = Vec::new();
        for number in self.inside.as_ref()? {
            all.push(inside(&self.pbx, number));
            all.extend_from_slice(groups.members(&self.pbx, number));
        }
        Some(all)
    }
}

/// A time as Cedar reads it, to the second; `None` beyond the years that it can read.
pub(super) fn written(time: SystemTime) -> Option<String> {
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
        let recording = RecordingFacts::of(pbx, name, &Uses::ALL);
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
                ("start", one(recording.started.and_then(written).as_deref())),
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
                ("now", one(written(context.now).as_deref())),
            ],
        }
    }

    /// Of the principal: each attribute and its values, of which there may be none.
    #[must_use]
    pub fn principal(&self) -> &[(&'static str, Vec<String>)] {
        &self.principal
    }

    /// Of the circumstances, likewise.
    #[must_use]
    pub fn context(&self) -> &[(&'static str, Vec<String>)] {
        &self.context
    }

    /// Of the recording, likewise.
    #[must_use]
    pub fn recording(&self) -> &[(&'static str, Vec<String>)] {
        &self.recording
    }
}

//! What policies ask about a recording and the circumstances.
//!
//! Knows which attributes stand anywhere in the policies, so that no others are made for each decision, and rows of a list that
//! are alike in these are decided once. Does not know what is asked about them: too much is safe, too little is not.
//!
//! Source: docs.cedarpolicy.com, "JSON policy format": attributes and the types of entities stand there as texts, with all escapes
//! of the notation undone.

use std::collections::BTreeSet;

use cedar_policy::PolicySet;
use serde_json::Value;

/// Which attributes policies ask about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Uses {
    /// A single recording is written out.
    pub(super) id: bool,
    pub(super) name: bool,
    pub(super) start: bool,
    pub(super) direction: bool,
    pub(super) caller: bool,
    pub(super) callee: bool,
    pub(super) internal_parties: bool,
    /// Of the circumstances, where the request comes from.
    pub(super) source: bool,
    /// And when.
    pub(super) now: bool,
}

impl Uses {
    /// Whatever there is.
    pub(super) const ALL: Self = Self {
        id: true,
        name: true,
        start: true,
        direction: true,
        caller: true,
        callee: true,
        internal_parties: true,
        source: true,
        now: true,
    };

    pub(super) fn of(policies: &PolicySet) -> Self {
        let mut texts = BTreeSet::new();
        for policy in policies.policies() {
            match policy.to_json() {
                Ok(policy) => collect(&policy, &mut texts),
                Err(_) => return Self::ALL,
            }
        }
        let stands = |text: &str| texts.contains(text);
        Self {
            id: stands("Wavegate::Recording"),
            name: stands("name"),
            start: stands("start"),
            direction: stands("direction"),
            caller: stands("caller"),
            callee: stands("callee"),
            internal_parties: stands("internal_parties"),
            source: stands("source"),
            now: stands("now"),
        }
    }
}

/// Takes every text of a document, wherever it stands.
fn collect(value: &Value, texts: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            texts.insert(text.clone());
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, texts)),
        Value::Object(members) => {
            for (key, value) in members {
                texts.insert(key.clone());
                collect(value, texts);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

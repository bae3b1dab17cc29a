//! The attributes of a recording and of the circumstances that policies look at.
//!
//! Knows which attributes appear anywhere in the policies. Others are not made for a decision, and
//! rows of a list that are equal in these share one decision. Does not know how an attribute is
//! used: one too many is safe, one too few is not.
//!
//! Source: docs.cedarpolicy.com, "JSON policy format": attributes and entity types appear there as
//! texts without escapes.

use std::collections::BTreeSet;

use cedar_policy::PolicySet;
use serde_json::Value;

/// Flags for the attributes that policies look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UsedAttributes {
    /// A policy names a single recording.
    pub(super) id: bool,
    pub(super) name: bool,
    pub(super) start: bool,
    pub(super) direction: bool,
    pub(super) caller: bool,
    pub(super) callee: bool,
    pub(super) internal_parties: bool,
    /// The source address of the request.
    pub(super) source: bool,
    /// The time of the request.
    pub(super) now: bool,
}

impl UsedAttributes {
    /// All attributes.
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

/// Collects every text of a document, wherever it is.
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

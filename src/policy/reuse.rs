//! Decisions that are used again: the same question to the same policies has the same answer.
//!
//! Knows which values a decision depends on, and the bound on what is remembered. Does not know
//! Cedar. Only permissions are remembered; a denial is always decided anew, and so is everything
//! where a policy looks at the time. What is no matter of policies is checked before, each time:
//! the validity of the credential, the PBXs of its issuer, the scope of a link.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use quick_cache::sync::Cache;

use super::facts::RecordingFacts;
use super::{Action, Context};
use crate::auth::attributes::Attributes;
use crate::auth::principal::Principal;

/// The most decisions that are remembered.
const MAX_DECISIONS: usize = 10_000;
/// The most policies of a decision that is remembered.
const MAX_POLICIES: usize = 16;
/// The last second that Cedar can read: the end of the year 9999.
const LAST_SECOND: u64 = 253_402_300_799;

/// The ids of the policies that permit something, in alphabetical order.
pub(super) type PolicyIds = Arc<[Arc<str>]>;

/// The permissions of one set of policies and groups. Clones share them.
#[derive(Clone)]
pub(super) struct ReusedDecisions(Arc<Cache<Question, PolicyIds>>);

/// Everything that a decision depends on, as the SHA-256 of an encoding without ambiguity. Nobody
/// can make two questions with one hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Question([u8; 32]);

impl ReusedDecisions {
    pub(super) fn new() -> Self {
        Self(Arc::new(Cache::new(MAX_DECISIONS)))
    }

    pub(super) fn find(&self, question: &Question) -> Option<PolicyIds> {
        self.0.get(question)
    }

    pub(super) fn remember(&self, question: Question, policies: PolicyIds) {
        if policies.len() <= MAX_POLICIES {
            self.0.insert(question, policies);
        }
    }
}

impl Question {
    /// The question of a principal; `None` if its answer must not be used again. A new attribute
    /// does not compile until it is part of the question. `source` is the address of the caller, if
    /// policies look at it.
    pub(super) fn new(
        principal: &Principal,
        action: Action,
        facts: &RecordingFacts,
        context: &Context,
        looks_at_source: bool,
    ) -> Option<Self> {
        let RecordingFacts {
            id,
            pbx,
            name,
            started,
            direction,
            caller,
            callee,
            inside,
        } = facts;
        let Context { source, now } = context;
        let Attributes {
            roles,
            extensions,
            tenant,
        } = principal.attributes();
        // Cedar cannot express other times, and then every decision is a denial.
        seconds(*now).filter(|now| *now <= LAST_SECOND)?;
        let started = match started {
            Some(started) => Some(seconds(*started)?.to_string()),
            None => None,
        };
        let source = looks_at_source.then(|| source.to_canonical().to_string());
        let mut encoded = Encoding::default();
        encoded.text(match action {
            Action::Listen => "listen",
            Action::Share => "share",
        });
        encoded.text(principal.credential().kind().as_str());
        encoded.text(principal.issuer());
        encoded.text(principal.subject());
        encoded.optional(tenant.as_deref());
        encoded.list(roles.iter().map(String::as_str));
        let numbers = extensions.iter().flat_map(|one| [one.pbx(), one.number()]);
        encoded.list(numbers);
        encoded.optional(source.as_deref());
        encoded.text(pbx);
        let texts = [id, name, caller, callee, &started];
        for text in texts {
            encoded.optional(text.as_deref());
        }
        encoded.optional(direction.map(|direction| direction.as_str()));
        encoded.list(inside.iter().flatten().map(String::as_str));
        encoded.digest()
    }
}

fn seconds(time: SystemTime) -> Option<u64> {
    Some(time.duration_since(UNIX_EPOCH).ok()?.as_secs())
}

/// Texts one behind the other, each behind its length.
struct Encoding(Vec<u8>);

impl Default for Encoding {
    fn default() -> Self {
        Self(Vec::with_capacity(512))
    }
}

impl Encoding {
    fn length(&mut self, length: usize) {
        self.0.extend_from_slice(&length.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.length(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }

    fn optional(&mut self, text: Option<&str>) {
        self.list(text.into_iter());
    }

    fn list<'t>(&mut self, texts: impl Iterator<Item = &'t str> + Clone) {
        self.length(texts.clone().count());
        texts.for_each(|text| self.text(text));
    }

    fn digest(&self) -> Option<Question> {
        let digest = digest(&SHA256, &self.0);
        Some(Question(digest.as_ref().try_into().ok()?))
    }
}

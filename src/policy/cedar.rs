//! Policies in Cedar: parsing, checking, evaluation.
//!
//! Knows how a file becomes policies with ids, the mistakes in it, and how a decision is read. Does
//! not know the meaning of a policy. Policies and schema are parsed once; a decision parses
//! nothing.
//!
//! Cedar skips a policy that cannot be evaluated, even a `forbid`, and could then allow a request
//! that should be denied. So any such error is a denial here.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use cedar_policy::{
    AuthorizationError, Authorizer, Decision, Entities, EntityUid, EvaluationError, PolicyId,
    PolicySet, Request, Response, Schema, ValidationError, ValidationMode, Validator,
};
use miette::Diagnostic;

use super::denial::{EvaluationFailure, PolicyError};
use super::entities::{self, Vocabulary};
use super::facts::RecordingFacts;
use super::groups::Groups;
use super::reuse::Question;
use super::source::{self, Flaw, flaw};
use super::tenantless::forbids_only_with_tenant;
use super::uses::UsedAttributes;
use super::{Action, Context, SCHEMA};
use crate::auth::principal::Principal;
use crate::recording::RecordingName;

/// The most policies. Every decision evaluates all of them.
const MAX_POLICIES: usize = 1_000;
/// The longest id of a policy, which appears in logs.
const MAX_ID_BYTES: usize = 64;

/// Parsed policies, ready for evaluation.
pub(super) struct Engine {
    authorizer: Authorizer,
    policies: PolicySet,
    /// The line on which each policy starts.
    lines: BTreeMap<Arc<str>, usize>,
    vocabulary: Vocabulary,
    /// The attributes that the policies look at.
    uses: UsedAttributes,
}

/// A principal with the circumstances of one request. It is made once and used for any number of
/// recordings.
pub(super) struct Requester {
    principal: EntityUid,
    entities: Entities,
    context: cedar_policy::Context,
}

impl Engine {
    pub(super) fn parse(text: &str) -> Result<Self, Vec<Flaw>> {
        let built_in = |error: &dyn Display| vec![flaw("", 0, format!("the schema: {error}"))];
        let schema = Schema::from_str(SCHEMA).map_err(|error| built_in(&error))?;
        let vocabulary = Vocabulary::new().ok_or_else(|| built_in(&"a name"))?;
        let parsed = PolicySet::from_str(text).map_err(|errors| {
            let errors = errors.iter();
            errors
                .map(|error| located(text, error, 0))
                .collect::<Vec<_>>()
        })?;
        let (policies, places) = named(text, &parsed)?;
        let flaws = check(text, schema, &policies, &places);
        if !flaws.is_empty() {
            return Err(flaws);
        }
        let line = |(id, at)| (id, source::place(text, at).0);
        Ok(Self {
            authorizer: Authorizer::new(),
            uses: UsedAttributes::of(&policies),
            policies,
            lines: places.into_iter().map(line).collect(),
            vocabulary,
        })
    }

    /// Makes all attributes, for comparison in tests.
    #[cfg(test)]
    pub(super) fn use_all_attributes(&mut self) {
        self.uses = UsedAttributes::ALL;
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        self.lines.keys().map(AsRef::as_ref)
    }

    /// The ids, in alphabetical order.
    pub(super) fn forbidding_only_with_tenant(&self) -> impl Iterator<Item = &str> {
        self.ids().filter(|id| {
            let policy = self.policies.policy(&PolicyId::new(id));
            policy.is_some_and(forbids_only_with_tenant)
        })
    }

    pub(super) fn line_of(&self, policy: &str) -> Option<usize> {
        self.lines.get(policy).copied()
    }

    pub(super) fn requester(
        &self,
        principal: &Principal,
        context: &Context,
    ) -> Result<Requester, &'static str> {
        let kind = principal.credential().kind();
        let principal = self.vocabulary.principal(principal)?;
        Ok(Requester {
            context: entities::context(kind, context, &self.uses)?,
            principal: principal.uid(),
            entities: Entities::from_entities([principal], None)
                .map_err(|_| "the principal cannot be expressed")?,
        })
    }

    /// The attributes of a recording that the policies look at.
    pub(super) fn facts(&self, pbx: &str, name: &RecordingName) -> RecordingFacts {
        RecordingFacts::of(pbx, name, &self.uses)
    }

    /// The question whose answer may be used again, if policies look at nothing that changes.
    pub(super) fn question(
        &self,
        principal: &Principal,
        action: Action,
        facts: &RecordingFacts,
        context: &Context,
    ) -> Option<Question> {
        let question = || Question::new(principal, action, facts, context, self.uses.source);
        (!self.uses.now).then(question).flatten()
    }

    /// The ids of the policies that allow it.
    pub(super) fn decide(
        &self,
        requester: &Requester,
        action: Action,
        facts: &RecordingFacts,
        groups: &Groups,
    ) -> Result<Vec<Arc<str>>, PolicyError> {
        let response = self.ask(requester, action, facts, groups)?;
        let reasons = response.diagnostics().reason();
        let mut policies: Vec<_> = reasons.map(|id| self.id(id)).collect();
        policies.sort_unstable();
        let errors = response.diagnostics().errors();
        let mut failures: Vec<_> = errors.map(|error| self.failure(error)).collect();
        failures.sort_unstable_by(|one, other| one.policy.cmp(&other.policy));
        match response.decision() {
            Decision::Allow if failures.is_empty() => Ok(policies),
            Decision::Allow => Err(PolicyError::Denied {
                policies: Vec::new(),
                failures,
            }),
            Decision::Deny => Err(PolicyError::Denied { policies, failures }),
        }
    }

    /// Returns true if [`Engine::decide`] would allow it.
    pub(super) fn allows(
        &self,
        requester: &Requester,
        action: Action,
        facts: &RecordingFacts,
        groups: &Groups,
    ) -> bool {
        let response = self.ask(requester, action, facts, groups);
        response.is_ok_and(|response| {
            let failed = response.diagnostics().errors().next().is_some();
            response.decision() == Decision::Allow && !failed
        })
    }

    fn ask(
        &self,
        requester: &Requester,
        action: Action,
        facts: &RecordingFacts,
        groups: &Groups,
    ) -> Result<Response, &'static str> {
        let resource = self.vocabulary.recording(facts, groups)?;
        let request = Request::new(
            requester.principal.clone(),
            self.vocabulary.action(action),
            resource.uid(),
            requester.context.clone(),
            None,
        );
        let request = request.map_err(|_| "the request cannot be expressed")?;
        let entities = requester.entities.clone().add_entities([resource], None);
        let entities = entities.map_err(|_| "the recording cannot be expressed")?;
        Ok(self
            .authorizer
            .is_authorized(&request, &self.policies, &entities))
    }

    fn id(&self, id: &PolicyId) -> Arc<str> {
        let id: &str = id.as_ref();
        let known = self.lines.get_key_value(id);
        known.map_or_else(|| id.into(), |(id, _)| Arc::clone(id))
    }

    fn failure(&self, error: &AuthorizationError) -> EvaluationFailure {
        let AuthorizationError::PolicyEvaluationError(error) = error;
        EvaluationFailure {
            policy: Some(self.id(error.policy_id())),
            reason: failure_reason(error.inner()),
        }
    }
}

/// The reason of the failure, without the values: they hold telephone numbers.
fn failure_reason(error: &EvaluationError) -> &'static str {
    match error {
        EvaluationError::EntityDoesNotExist(_) => "it refers to an entity that does not exist",
        EvaluationError::EntityAttrDoesNotExist(_) | EvaluationError::RecordAttrDoesNotExist(_) => {
            "it reads an attribute that is absent"
        }
        EvaluationError::TypeError(_) => "a value is of another type",
        EvaluationError::IntegerOverflow(_) => "a number is too large",
        EvaluationError::FailedExtensionFunctionExecution(_) => {
            "an address, a time or a duration is out of range"
        }
        EvaluationError::RecursionLimit(_) => "it is nested too deeply",
        _ => "an error in its condition",
    }
}

/// The policies by id, and the byte at which each starts. Cedar itself numbers them and ignores
/// `@id`.
type NamedPolicies = (PolicySet, BTreeMap<Arc<str>, usize>);

fn named(text: &str, parsed: &PolicySet) -> Result<NamedPolicies, Vec<Flaw>> {
    let starts = source::policies(text);
    if starts.len() > MAX_POLICIES {
        let message =
            format!("more than {MAX_POLICIES} policies: each decision evaluates all of them");
        return Err(vec![flaw(text, 0, message)]);
    }
    let (mut policies, mut places, mut flaws) = (PolicySet::new(), BTreeMap::new(), Vec::new());
    for (index, start) in starts.into_iter().enumerate() {
        let Some(policy) = parsed.policy(&PolicyId::new(format!("policy{index}"))) else {
            flaws.push(flaw(
                text,
                start,
                "a template: write principal and resource without ?",
            ));
            continue;
        };
        let line = format!("line-{}", source::place(text, start).0);
        let id = policy.annotation("id").unwrap_or(&line);
        if !is_id(id) {
            let message = "@id: not 1 to 64 letters, digits, - _ and .: it appears in logs";
            flaws.push(flaw(text, start, message));
        } else if places.insert(Arc::from(id), start).is_some() {
            flaws.push(flaw(text, start, format!("@id: {id:?} is repeated")));
        } else if let Err(error) = policies.add(policy.new_id(PolicyId::new(id))) {
            flaws.push(flaw(text, start, error));
        }
    }
    if flaws.is_empty() {
        Ok((policies, places))
    } else {
        Err(flaws)
    }
}

fn is_id(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=MAX_ID_BYTES).contains(&id.len()) && id.bytes().all(allowed)
}

/// All mistakes that the schema check finds. Warnings count, too: a `forbid` that never applies is
/// a mistake.
fn check(
    text: &str,
    schema: Schema,
    policies: &PolicySet,
    places: &BTreeMap<Arc<str>, usize>,
) -> Vec<Flaw> {
    let result = Validator::new(schema).validate(policies, ValidationMode::Strict);
    let start = |id: &PolicyId| places.get(AsRef::<str>::as_ref(id)).copied().unwrap_or(0);
    let located = |error: &dyn Diagnostic, id| located(text, error, start(id));
    let mut causes = Vec::new();
    let mut consequences = Vec::new();
    for error in result.validation_errors() {
        let flaws = match error {
            ValidationError::InvalidActionApplication(_) => &mut consequences,
            _ => &mut causes,
        };
        flaws.push(located(error, error.policy_id()));
    }
    for warning in result.validation_warnings() {
        consequences.push(located(warning, warning.policy_id()));
    }
    // A name that does not exist also makes a policy that never applies. This consequence is not
    // reported as a second mistake.
    let mut flaws = if causes.is_empty() {
        consequences
    } else {
        causes
    };
    flaws.sort_by_key(|flaw| (flaw.line, flaw.column));
    flaws
}

/// Adds a place to an error of Cedar: its own, or `otherwise` if it has none.
fn located(text: &str, error: &dyn Diagnostic, otherwise: usize) -> Flaw {
    let label = error.labels().and_then(|mut labels| labels.next());
    let offset = label.map_or(otherwise, |label| label.offset());
    let help = error
        .help()
        .map_or_else(String::new, |help| format!("; {help}"));
    flaw(text, offset, format!("{error}{help}"))
}

//! Principals, recordings and requests in Cedar's terms.
//!
//! Knows the types and attributes of the schema. Does not know policies. Only addresses and times
//! are passed as text, because Cedar takes them that way.

use std::collections::{HashMap, HashSet};
use std::str::FromStr;

use cedar_policy::{
    Context as CedarContext, Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression,
};

use super::facts::{RecordingFacts, to_rfc3339};
use super::groups::Groups;
use super::uses::UsedAttributes;
use super::{Action, Context};
use crate::auth::principal::{CredentialKind, Principal};
use crate::recording::Direction;

type Attribute = (String, RestrictedExpression);

/// The names of the schema, parsed once.
pub(super) struct Vocabulary {
    principal: EntityTypeName,
    recording: EntityTypeName,
    listen: EntityUid,
    share: EntityUid,
}

impl Vocabulary {
    pub(super) fn new() -> Option<Self> {
        let kind = |name| EntityTypeName::from_str(name).ok();
        let action = kind("Wavegate::Action")?;
        let action = |name| EntityUid::from_type_name_and_id(action.clone(), EntityId::new(name));
        Some(Self {
            principal: kind("Wavegate::Principal")?,
            recording: kind("Wavegate::Recording")?,
            listen: action("listen"),
            share: action("share"),
        })
    }

    pub(super) fn action(&self, action: Action) -> EntityUid {
        match action {
            Action::Listen => self.listen.clone(),
            Action::Share => self.share.clone(),
        }
    }

    /// Makes the entity of a principal. Its id is unique: the part before the first bar is the
    /// issuer, and bars within the issuer are escaped.
    pub(super) fn principal(&self, principal: &Principal) -> Result<Entity, &'static str> {
        let issuer = principal.issuer().replace('%', "%25").replace('|', "%7C");
        let id = format!("{issuer}|{}", principal.subject());
        let attributes = principal.attributes();
        let extensions = attributes.extensions().iter();
        let mut all = vec![
            text("issuer", principal.issuer()),
            text("subject", principal.subject()),
            texts("roles", attributes.roles().iter().cloned()),
            texts("extensions", extensions.map(|extension| extension.text())),
        ];
        all.extend(attributes.tenant().map(|tenant| text("tenant", tenant)));
        entity(&self.principal, id, all)
    }

    /// Makes the entity of a recording, with the attributes that the policies look at.
    pub(super) fn recording(
        &self,
        facts: &RecordingFacts,
        groups: &Groups,
    ) -> Result<Entity, &'static str> {
        let start = facts
            .started
            .map(|time| to_rfc3339(time).ok_or("its start is beyond the year 9999"));
        let start = start.transpose()?.map(RestrictedExpression::new_datetime);
        let direction = facts.direction.map(Direction::as_str);
        let mut all = vec![text("pbx", &facts.pbx)];
        all.extend(start.map(|start| ("start".to_owned(), start)));
        let optional = [
            ("name", facts.name.as_deref()),
            ("direction", direction),
            ("caller", facts.caller.as_deref()),
            ("callee", facts.callee.as_deref()),
        ];
        all.extend(
            optional
                .into_iter()
                .filter_map(|(key, value)| Some(text(key, value?))),
        );
        let inside = facts.internal_parties(groups);
        all.extend(inside.map(|parties| texts("internal_parties", parties)));
        entity(&self.recording, facts.id.clone().unwrap_or_default(), all)
    }
}

/// Makes the context of a request, with the attributes that the policies look at. A v4-mapped
/// address becomes the IPv4 address.
pub(super) fn context(
    kind: CredentialKind,
    context: &Context,
    uses: &UsedAttributes,
) -> Result<CedarContext, &'static str> {
    let now = to_rfc3339(context.now).ok_or("the clock is before 1970, or beyond the year 9999")?;
    let mut all = vec![text("credential", kind.as_str())];
    if uses.source {
        let source = context.source.to_canonical().to_string();
        all.push(("source".to_owned(), RestrictedExpression::new_ip(source)));
    }
    if uses.now {
        all.push(("now".to_owned(), RestrictedExpression::new_datetime(now)));
    }
    CedarContext::from_pairs(all).map_err(|_| "its address or time cannot be expressed")
}

fn entity(
    kind: &EntityTypeName,
    id: String,
    attributes: Vec<Attribute>,
) -> Result<Entity, &'static str> {
    let uid = EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id));
    let attributes: HashMap<_, _> = attributes.into_iter().collect();
    Entity::new(uid, attributes, HashSet::new()).map_err(|_| "an attribute cannot be expressed")
}

fn text(key: &str, value: &str) -> Attribute {
    let value = RestrictedExpression::new_string(value.to_owned());
    (key.to_owned(), value)
}

fn texts(key: &str, values: impl IntoIterator<Item = String>) -> Attribute {
    let values = values.into_iter().map(RestrictedExpression::new_string);
    (key.to_owned(), RestrictedExpression::new_set(values))
}

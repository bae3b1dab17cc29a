//! The members of an answer, which is a JSON object in every dialect.
//!
//! Knows which member has a name. Does not know what one means. A value is read when it is asked
//! for, so that a long list is never in memory twice. Pure.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// The members of an object, by name; of several with one name, the last.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Members<'a> {
    #[serde(borrow)]
    by_name: BTreeMap<Text<'a>, &'a RawValue>,
}

/// A text, which mostly needs no copy.
#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Members<'a> {
    /// Reads an object; `None` if the bytes are none.
    pub(super) fn read(body: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }

    /// A member as it stands there.
    pub(super) fn raw(&self, name: &str) -> Option<&'a RawValue> {
        self.find(|is| is == name)
    }

    /// The value of a member; `None` if there is none.
    pub(super) fn value(&self, name: &str) -> Option<Value> {
        Some(value(self.raw(name)?))
    }

    /// The text of a member; `None` if it is no text.
    pub(super) fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        text(self.raw(name)?)
    }

    /// The same for a name whose spelling varies in upper and lower case.
    pub(super) fn text_of_any_case(&self, name: &str) -> Option<Cow<'a, str>> {
        text(self.find(|is| is.eq_ignore_ascii_case(name))?)
    }

    /// The elements of a list, to be read one after the other; `None` if the member is no list.
    pub(super) fn list(&self, name: &str) -> Option<Vec<&'a RawValue>> {
        serde_json::from_str(self.raw(name)?.get()).ok()
    }

    fn find(&self, fits: impl Fn(&str) -> bool) -> Option<&'a RawValue> {
        let mut members = self.by_name.iter();
        let (_, value) = members.find(|(Text(name), _)| fits(name))?;
        Some(value)
    }
}

/// A value; null if it has an escape that stands for no character.
pub(super) fn value(raw: &RawValue) -> Value {
    serde_json::from_str(raw.get()).unwrap_or_default()
}

fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    let Text(text) = serde_json::from_str(raw.get()).ok()?;
    Some(text)
}

//! The value of one claim.
//!
//! Knows the JSON types that a claim can have and which of their values are accepted. Does not know
//! which claim it is.
//!
//! Source: RFC 7519 §2: a NumericDate is a number of seconds that may have a fraction.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The last second of the year 9999. A later time is a mistake, such as milliseconds.
const MAX_SECONDS: u64 = 253_402_300_799;
/// The longest subject, token id or PBX name, in bytes.
const MAX_NAME_BYTES: usize = 256;

/// The value of one claim: one of the types that matter here, another type, or none.
#[derive(Default)]
pub(in crate::auth) enum ClaimValue<'t> {
    #[default]
    Absent,
    Null,
    Text(Cow<'t, str>),
    Seconds(u64),
    List(Vec<ClaimValue<'t>>),
    Other,
}

impl ClaimValue<'_> {
    /// Returns true for an absent claim and for `null`, which some issuers write when they have no
    /// value. A required claim is read with [`ClaimValue::text`] or [`ClaimValue::time`], which
    /// fail for both.
    pub(in crate::auth) fn is_null_or_absent(&self) -> bool {
        matches!(self, Self::Absent | Self::Null)
    }

    pub(in crate::auth) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A text that may be logged, compared and stored: 1 to 256 bytes without control characters.
    pub(in crate::auth) fn name(&self) -> Option<&str> {
        self.text().filter(|text| {
            (1..=MAX_NAME_BYTES).contains(&text.len()) && !text.contains(|c: char| c.is_control())
        })
    }

    /// Returns true if the text, or one of a list of texts, is accepted. `None` for any other type.
    pub(in crate::auth) fn names_one_of(&self, accepted: &[impl AsRef<str>]) -> Option<bool> {
        let named = match self {
            Self::List(named) => named.as_slice(),
            named => std::slice::from_ref(named),
        };
        let mut is_accepted = false;
        for name in named {
            let name = name.text()?;
            is_accepted |= accepted.iter().any(|accepted| accepted.as_ref() == name);
        }
        Some(is_accepted)
    }

    pub(super) fn time(&self) -> Option<Duration> {
        match self {
            Self::Seconds(seconds) if *seconds <= MAX_SECONDS => {
                Some(Duration::from_secs(*seconds))
            }
            _ => None,
        }
    }
}

/// The name of a member, borrowed if its JSON has no escapes.
#[derive(Deserialize)]
pub(super) struct MemberName<'t>(#[serde(borrow)] Cow<'t, str>);

impl MemberName<'_> {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de: 't, 't> Deserialize<'de> for ClaimValue<'t> {
    fn deserialize<D: Deserializer<'de>>(value: D) -> Result<Self, D::Error> {
        value.deserialize_any(ClaimValueVisitor)
    }
}

struct ClaimValueVisitor;

impl<'de> Visitor<'de> for ClaimValueVisitor {
    type Value = ClaimValue<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a claim")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(ClaimValue::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(ClaimValue::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(ClaimValue::Seconds(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(u64::try_from(number).map_or(ClaimValue::Other, ClaimValue::Seconds))
    }

    /// Rounds down: the conversion drops the fraction, and the range check keeps it exact.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the fraction is meant to go, and the range holds no negative number"
    )]
    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        let in_range = (0.0..=MAX_SECONDS as f64).contains(&number);
        Ok(if in_range {
            ClaimValue::Seconds(number as u64)
        } else {
            ClaimValue::Other
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        Ok(ClaimValue::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        IgnoredAny.visit_map(map).map(|_| ClaimValue::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(ClaimValue::Other)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(ClaimValue::Null)
    }
}

//! Finds a claim by its name, or by a path through objects such as `realm_access.roles`.
//!
//! Knows how to find it without reading anything else, and that it must not be repeated. Does not
//! know its meaning.
//!
//! Source: RFC 7519 §4: claim names within an object must be unique.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::value::{self, ClaimValue};

/// The value at a path. `None` if it is repeated, or if the claims are not an object.
///
/// A name may itself hold dots, as `https://example.com/roles` does. So at each level a member
/// matches if its name is the whole rest of the path, or the rest up to one of its dots.
pub(in crate::auth) fn find<'t>(json: &'t [u8], path: &str) -> Option<ClaimValue<'t>> {
    let mut json = serde_json::Deserializer::from_slice(json);
    let found = PathSeed { rest: path }.deserialize(&mut json).ok()?;
    json.end().ok()?;
    Some(found)
}

/// Reads an object, in which `rest` of a path begins.
struct PathSeed<'p> {
    rest: &'p str,
}

impl<'de> DeserializeSeed<'de> for PathSeed<'_> {
    type Value = ClaimValue<'de>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<ClaimValue<'de>, D::Error> {
        json.deserialize_any(self)
    }
}

/// A value that is not an object ends the path: the claim is then not absent, but of another form
/// than the path says. `null` ends the path, too, and counts as no value.
impl<'de> Visitor<'de> for PathSeed<'_> {
    type Value = ClaimValue<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a claim")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ClaimValue<'de>, A::Error> {
        let mut found = None;
        while let Some(member) = map.next_key::<value::MemberName<'de>>()? {
            let rest = self.rest.strip_prefix(member.as_str());
            let value = match rest.map(|rest| (rest, rest.strip_prefix('.'))) {
                Some(("", _)) => map.next_value()?,
                Some((_, Some(rest))) => map.next_value_seed(PathSeed { rest })?,
                Some((_, None)) | None => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            if found.replace(value).is_some() {
                return Err(A::Error::custom("stands there twice"));
            }
        }
        Ok(found.unwrap_or_default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<ClaimValue<'de>, A::Error> {
        IgnoredAny.visit_seq(list).map(|_| ClaimValue::Other)
    }

    fn visit_str<E>(self, _: &str) -> Result<ClaimValue<'de>, E> {
        Ok(ClaimValue::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<ClaimValue<'de>, E> {
        Ok(ClaimValue::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<ClaimValue<'de>, E> {
        Ok(ClaimValue::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<ClaimValue<'de>, E> {
        Ok(ClaimValue::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<ClaimValue<'de>, E> {
        Ok(ClaimValue::Other)
    }

    fn visit_unit<E>(self) -> Result<ClaimValue<'de>, E> {
        Ok(ClaimValue::Null)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(json: &str, path: &str, expected: Option<&str>) {
        let found = find(json.as_bytes(), path).map(|value| match &value {
            ClaimValue::Absent => "absent".to_owned(),
            ClaimValue::Null => "null".to_owned(),
            ClaimValue::Text(text) => text.to_string(),
            ClaimValue::List(values) => format!("{} values", values.len()),
            ClaimValue::Seconds(_) | ClaimValue::Other => "other".to_owned(),
        });
        assert_eq!(found.as_deref(), expected, "{json} {path}");
    }

    #[test]
    fn a_claim_is_found_by_its_name_or_its_path() {
        check(r#"{"roles":"a"}"#, "roles", Some("a"));
        check(r#"{"x":{"roles":"a"}}"#, "roles", Some("absent"));
        check(r#"{"x":{"roles":["a","b"]}}"#, "x.roles", Some("2 values"));
        check(r#"{"x.roles":"a"}"#, "x.roles", Some("a"));
        check(r#"{"x":{"y.z":{"r":"a"}}}"#, "x.y.z.r", Some("a"));
        check(
            r#"{"https://e.com/roles":"a"}"#,
            "https://e.com/roles",
            Some("a"),
        );
        check(r#"{"\u0072oles":"a"}"#, "roles", Some("a"));
        check("{}", "roles", Some("absent"));
        check(r#"{"role":"a","rolesx":"b"}"#, "roles", Some("absent"));
        check(r#"{"":"a"}"#, "roles", Some("absent"));
        // A member on the path must be an object.
        for value in ["1", "-1", "1.5", "true", "\"a\"", "[{}]", "[null]"] {
            check(&format!(r#"{{"x":{value}}}"#), "x.roles", Some("other"));
        }
        // Or it is `null`, which counts as no value.
        check(r#"{"x":null}"#, "x.roles", Some("null"));
        check(r#"{"x":{"y":null}}"#, "x.y.roles", Some("null"));
        check(r#"{"roles":null}"#, "roles", Some("null"));
        check(r#"{"roles":{"a":1}}"#, "roles", Some("other"));
    }

    #[test]
    fn a_repeated_claim_is_not_found() {
        check(r#"{"roles":"a","roles":"a"}"#, "roles", None);
        check(r#"{"roles":"a","\u0072oles":"b"}"#, "roles", None);
        check(r#"{"x":{"r":"a"},"x":{"r":"b"}}"#, "x.r", None);
        check(r#"{"x":{"r":"a"},"x.r":"b"}"#, "x.r", None);
        check(r#"{"x":{"r":"a","r":"b"}}"#, "x.r", None);
        check(r#"{"x":{},"x":{"r":"b"}}"#, "x.r", None);
        check(r#"{"x":null,"x":{"r":"b"}}"#, "x.r", None);
        check(r#"{"x":null,"x.r":"b"}"#, "x.r", None);
        check(r#"{"r":null,"r":"b"}"#, "r", None);
        check("[]", "x", Some("other"));
        check("{", "x", None);
        check("{} {}", "x", None);
    }

    proptest! {
        #[test]
        fn nothing_panics(json in "[{}\\[\\]\",:a.1 ]{0,40}", path in "[a.]{1,5}") {
            let _ = find(json.as_bytes(), &path);
        }
    }
}

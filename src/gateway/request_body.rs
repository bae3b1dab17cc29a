//! The body of a request: a small JSON object.
//!
//! Knows its bounds in length and time, and the types of members. Does not know what any member
//! means. A known member that is `null` counts as absent, since programs write it for no value.
//!
//! Sources: RFC 8259 §4 (members; names should be unique); RFC 9110 §15.5.14 and §15.5.16 (413,
//! 415).

use std::fmt;
use std::net::AddrParseError;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::Value;
use thiserror::Error;
use tokio::time::timeout;

use crate::auth::link_minter::LinkKeyScopeError;
use crate::http::error_row::ErrorRow;
use crate::http::problem;
use crate::recording::NameError;

/// The longest body, in bytes.
const MAX_BYTES: usize = 4 * 1024;
/// The longest time until it is here.
const TIME_LIMIT: Duration = Duration::from_secs(10);
/// The longest name of an unknown member that is repeated, in bytes.
const MAX_NAME_BYTES: usize = 32;

/// The error of a body that cannot be used. No text repeats what the caller sent.
#[derive(Debug, PartialEq, Eq, Error)]
pub(crate) enum BodyError {
    #[error("the body is not application/json")]
    NotJson,
    #[error("the body is longer than 4096 bytes")]
    TooLong,
    #[error("the body did not come in time")]
    TooSlow,
    #[error("the body did not come whole")]
    Broken,
    #[error("not a JSON object whose members are there once each")]
    NotAnObject,
    #[error("{name}: {fault}")]
    Member {
        name: &'static str,
        #[source]
        fault: MemberFault,
    },
    #[error("a member that is not known here")]
    Unknown(Option<UnknownMember>),
}

/// The fault of a member that cannot be used.
#[derive(Debug, PartialEq, Eq, Error)]
pub(crate) enum MemberFault {
    #[error("missing")]
    Missing,
    #[error("not a text")]
    NotText,
    #[error("neither true nor false")]
    NotBoolean,
    #[error("not a whole number from {} to {}", .0.start(), .0.end())]
    NotInRange(RangeInclusive<u64>),
    #[error(transparent)]
    Recording(#[from] NameError),
    #[error(transparent)]
    Address(#[from] AddrParseError),
    #[error("no PBX of this name is configured")]
    UnknownPbx,
    #[error(transparent)]
    LinkKeyScope(#[from] LinkKeyScopeError),
}

impl MemberFault {
    /// The error of a body whose member `name` has this fault.
    pub(super) fn of_member(self, name: &'static str) -> BodyError {
        BodyError::Member { name, fault: self }
    }
}

/// The name of an unknown member, safe to repeat: it is short, and has only letters, digits and
/// `_`, so that it is no secret that got into the wrong place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UnknownMember(String);

impl UnknownMember {
    fn new(name: String) -> Option<Self> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let fits = (1..=MAX_NAME_BYTES).contains(&name.len()) && name.bytes().all(is_plain);
        fits.then_some(Self(name))
    }
}

impl BodyError {
    /// The row of each error.
    #[deny(
        clippy::wildcard_enum_match_arm,
        reason = "a new variant must not get an answer that nobody thought about"
    )]
    pub(super) fn row(&self) -> ErrorRow {
        let problem = match self {
            Self::NotJson => &problem::JSON_REQUIRED,
            Self::TooLong => &problem::REQUEST_TOO_LARGE,
            Self::TooSlow => &problem::REQUEST_TIMEOUT,
            Self::Broken | Self::NotAnObject | Self::Member { .. } | Self::Unknown(_) => {
                &problem::REQUEST_BODY_INVALID
            }
        };
        ErrorRow::caller(problem).explain(self.reason())
    }

    /// The text for the caller. It has the name of an unknown member, which the log has not.
    fn reason(&self) -> String {
        match self {
            Self::Unknown(Some(UnknownMember(name))) => format!("{name}: not known here"),
            error => error.to_string(),
        }
    }
}

/// The members of an object that no one has taken yet.
#[derive(Debug)]
pub(super) struct JsonMembers(Vec<(String, Value)>);

impl JsonMembers {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// If it is not such an object, too long or too slow.
    ///
    /// # Cancel safety
    /// Not safe: the bytes that were read are lost.
    pub(super) async fn read<B>(headers: &HeaderMap, body: B) -> Result<Self, BodyError>
    where
        B: Body<Error: std::error::Error + Send + Sync + 'static>,
    {
        Self::read_within(TIME_LIMIT, headers, body).await
    }

    async fn read_within<B>(
        limit: Duration,
        headers: &HeaderMap,
        body: B,
    ) -> Result<Self, BodyError>
    where
        B: Body<Error: std::error::Error + Send + Sync + 'static>,
    {
        if !is_json(headers) {
            return Err(BodyError::NotJson);
        }
        // Refused at once if its own length says that it is too long.
        if body.size_hint().lower() > MAX_BYTES as u64 {
            return Err(BodyError::TooLong);
        }
        let collected = timeout(limit, Limited::new(body, MAX_BYTES).collect());
        let collected = collected.await.map_err(|_| BodyError::TooSlow)?;
        let body = collected.map_err(|error| match error.is::<LengthLimitError>() {
            true => BodyError::TooLong,
            false => BodyError::Broken,
        })?;
        Self::parse(&body.to_bytes())
    }

    fn parse(json: &[u8]) -> Result<Self, BodyError> {
        serde_json::from_slice(json).map_err(|_| BodyError::NotAnObject)
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        let index = self.0.iter().position(|(known, _)| known == name)?;
        let (_, value) = self.0.swap_remove(index);
        Some(value).filter(|value| !value.is_null())
    }

    /// Takes a text.
    pub(super) fn text(&mut self, name: &'static str) -> Result<Option<String>, BodyError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(MemberFault::NotText.of_member(name)),
        }
    }

    /// Takes a text that parses as `T`.
    pub(super) fn parsed<T>(&mut self, name: &'static str) -> Result<Option<T>, BodyError>
    where
        T: FromStr<Err: Into<MemberFault>>,
    {
        let text = self.text(name)?;
        let parsed = text.map(|text| text.parse::<T>()).transpose();
        parsed.map_err(|error| {
            let fault: MemberFault = error.into();
            fault.of_member(name)
        })
    }

    /// Takes a whole number within `range`.
    pub(super) fn whole(
        &mut self,
        name: &'static str,
        range: RangeInclusive<u64>,
    ) -> Result<Option<u64>, BodyError> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let number = value.as_u64().filter(|number| range.contains(number));
        let fault = || MemberFault::NotInRange(range.clone()).of_member(name);
        number.map(Some).ok_or_else(fault)
    }

    /// Takes a boolean; an absent one is false.
    pub(super) fn flag(&mut self, name: &'static str) -> Result<bool, BodyError> {
        let value = self.take(name).map(|value| value.as_bool());
        value
            .unwrap_or(Some(false))
            .ok_or_else(|| MemberFault::NotBoolean.of_member(name))
    }

    /// Checks that every member was taken.
    ///
    /// # Errors
    /// If an unknown member is left.
    pub(super) fn finish(self) -> Result<(), BodyError> {
        match self.0.into_iter().next() {
            None => Ok(()),
            Some((name, _)) => Err(BodyError::Unknown(UnknownMember::new(name))),
        }
    }
}

/// True for the media type of JSON. Its parameters do not matter: JSON is UTF-8.
fn is_json(headers: &HeaderMap) -> bool {
    let mut fields = headers.get_all(CONTENT_TYPE).iter();
    let field = fields.next().and_then(|field| field.to_str().ok());
    let essence = field.and_then(|field| field.split(';').next());
    let is_json = essence.is_some_and(|name| name.trim().eq_ignore_ascii_case("application/json"));
    is_json && fields.next().is_none()
}

impl<'de> Deserialize<'de> for JsonMembers {
    fn deserialize<D: Deserializer<'de>>(object: D) -> Result<Self, D::Error> {
        object.deserialize_map(JsonMembersVisitor)
    }
}

struct JsonMembersVisitor;

impl<'de> Visitor<'de> for JsonMembersVisitor {
    type Value = JsonMembers;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<JsonMembers, A::Error> {
        let mut members: Vec<(String, Value)> = Vec::new();
        while let Some((name, value)) = object.next_entry()? {
            if members.iter().any(|(known, _)| *known == name) {
                return Err(A::Error::custom("a member is there twice"));
            }
            members.push((name, value));
        }
        Ok(JsonMembers(members))
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use http_body::Frame;
    use proptest::prelude::*;

    use super::*;

    /// Reads a body with a text, a number up to 9 and a flag.
    fn read(json: &str) -> Result<(Option<String>, Option<u64>, bool), BodyError> {
        let mut members = JsonMembers::parse(json.as_bytes())?;
        let read = (
            members.text("t")?,
            members.whole("n", 1..=9)?,
            members.flag("f")?,
        );
        members.finish()?;
        Ok(read)
    }

    #[track_caller]
    fn refused(json: &str, why: &str) {
        assert_eq!(read(json).unwrap_err().reason(), why, "{json}");
    }

    #[test]
    fn unknown_members_and_wrong_types_are_refused() {
        assert_eq!(read("{}"), Ok((None, None, false)));
        let all = r#" {"f": true, "n": 9, "t": "a\u00e9"} "#;
        assert_eq!(read(all), Ok((Some("a\u{e9}".to_owned()), Some(9), true)));
        let no_object = "not a JSON object whose members are there once each";
        for json in [
            "",
            "[]",
            "null",
            "\"t\"",
            "{",
            "{}{}",
            "{} x",
            r#"{"t":"a","t":"a"}"#,
            r#"{"t":"a","\u0074":"b"}"#,
            "{'t':1}",
            "{\"t\":\u{1}}",
        ] {
            refused(json, no_object);
        }
        refused(r#"{"t":1}"#, "t: not a text");
        let nothing = r#"{"t":null,"n":null,"f":null}"#;
        assert_eq!(read(nothing), Ok((None, None, false)));
        refused(r#"{"t":""}{"t":null}"#, no_object);
        refused(r#"{"t":"a","t":null}"#, no_object);
        refused(r#"{"x":null}"#, "x: not known here");
        for n in [
            "0",
            "10",
            "-1",
            "1.5",
            "1e0",
            "\"1\"",
            "\"\"",
            "99999999999999999999",
        ] {
            refused(
                &format!("{{\"n\":{n}}}"),
                "n: not a whole number from 1 to 9",
            );
        }
        refused(r#"{"f":1}"#, "f: neither true nor false");
        refused(r#"{"f":"true"}"#, "f: neither true nor false");
        refused(r#"{"T":"a"}"#, "T: not known here");
        refused(r#"{"ttl":1,"t":"a"}"#, "ttl: not known here");
        for odd in ["", "a b", "a.b", "a\\n", &"x".repeat(33)] {
            let unknown = "a member that is not known here";
            refused(&format!("{{\"{odd}\":0}}"), unknown);
        }
    }

    /// A body that never arrives.
    struct SilentBody;

    impl Body for SilentBody {
        type Data = bytes::Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
            Poll::Pending
        }
    }

    #[tokio::test]
    async fn a_body_that_does_not_arrive_times_out() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, "application/json".parse().unwrap());
        let limit = Duration::from_millis(1);
        let read = JsonMembers::read_within(limit, &headers, SilentBody).await;
        assert_eq!(read.unwrap_err(), BodyError::TooSlow);
    }

    #[test]
    fn deep_nesting_is_refused() {
        let deep = format!("{{\"t\":{}{}}}", "[".repeat(2000), "]".repeat(2000));
        refused(&deep, "not a JSON object whose members are there once each");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(mut members) = JsonMembers::parse(&bytes) {
                let _ = members.text("t");
                let _ = members.finish();
            }
        }
    }
}

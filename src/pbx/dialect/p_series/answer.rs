//! Answers of the P-Series: `{"errcode":0,"errmsg":"SUCCESS",…}`, always with HTTP status 200.
//!
//! Knows the vendor's numbers. Does not know which call was made. Pure.
//!
//! Source: Yeastar, "P-Series Developer Guide", "Error Code and Error Message". `errcode` is a
//! number; one published client was given a text, so both are read.

use serde_json::Value;
use serde_json::value::RawValue;

use crate::pbx::dialect::members::Members;
use crate::pbx::dialect::{AnswerError, Refusal, RefusalClass};
use crate::secret::Secret;

/// The fields of a success.
pub(super) struct AnswerFields<'a>(Members<'a>);

/// Reads an answer.
pub(super) fn answer(body: &[u8]) -> Result<AnswerFields<'_>, AnswerError> {
    let unreadable = AnswerError::Unreadable("it is not a JSON object");
    let members = Members::read(body).ok_or(unreadable)?;
    let code = match members.value("errcode") {
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::String(text)) => text.trim().to_owned(),
        _ => return Err(AnswerError::Unreadable("it has no errcode")),
    };
    if code == "0" {
        return Ok(AnswerFields(members));
    }
    let digits = code.strip_prefix('-').unwrap_or(&code);
    if digits.is_empty() || digits.len() > 10 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(AnswerError::Unreadable("its errcode is not a number"));
    }
    let class = class(&code);
    Err(AnswerError::Refused(Refusal { class, code }))
}

/// The classes of the vendor's numbers. That 10005 means a missing permission and 70082 a second
/// MP3 at a time is not in the table; published clients met the first, the second is an assumption.
fn class(code: &str) -> RefusalClass {
    match code {
        "10004" => RefusalClass::TokenDead,
        "60002" => RefusalClass::TokenLimit,
        "70004" => RefusalClass::LockedOut,
        "70087" => RefusalClass::AddressForbidden,
        "70123" => RefusalClass::ApiOff,
        "10005" | "10009" | "70084" => RefusalClass::PermissionMissing,
        "2" | "70082" => RefusalClass::Busy,
        "60001" => RefusalClass::NotFound,
        "-2" => RefusalClass::Internal,
        "10001" | "10002" | "10003" | "70132" => RefusalClass::Unsupported,
        "40001" | "40002" => RefusalClass::Request,
        _ => RefusalClass::Other,
    }
}

impl<'a> AnswerFields<'a> {
    /// A text that is there and not blank. An empty value is a single space in some answers.
    pub(super) fn text(&self, name: &str) -> Result<String, AnswerError> {
        let text = self.0.text(name).unwrap_or_default();
        match text.trim() {
            "" => Err(AnswerError::Unreadable(
                "it reports success without the field that was asked for",
            )),
            text => Ok(text.to_owned()),
        }
    }

    /// A token. It goes into URLs, so only what the vendor's samples hold is taken: letters and
    /// digits.
    pub(super) fn token(&self, name: &str) -> Result<Secret, AnswerError> {
        let text = self.text(name)?;
        if text.len() > 256 || !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(AnswerError::Unreadable(
                "the field that was asked for holds something else",
            ));
        }
        Ok(Secret::new(text))
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        number(&self.0.value(name)?)
    }

    /// The elements of a list.
    pub(super) fn list(&self, name: &str) -> Option<Vec<&'a RawValue>> {
        self.0.list(name)
    }
}

/// Some firmware writes numbers as texts.
pub(super) fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(body: &str, expected: Result<(), AnswerError>) {
        assert_eq!(answer(body.as_bytes()).map(drop), expected, "{body}");
    }

    fn refused(class: RefusalClass, code: &str) -> Result<(), AnswerError> {
        let code = code.to_owned();
        Err(AnswerError::Refused(Refusal { class, code }))
    }

    #[test]
    fn the_number_decides() {
        check(r#"{"errcode":0,"errmsg":"SUCCESS"}"#, Ok(()));
        check(r#"{"errcode":"0"}"#, Ok(()));
        check(
            r#"{"errcode":10004,"errmsg":"TOKEN EXPIRED"}"#,
            refused(RefusalClass::TokenDead, "10004"),
        );
        check(
            r#"{"errcode":"10005"}"#,
            refused(RefusalClass::PermissionMissing, "10005"),
        );
        check(r#"{"errcode":-2}"#, refused(RefusalClass::Internal, "-2"));
        check(
            r#"{"errcode":1,"errmsg":"PARTIAL SUCCESS"}"#,
            refused(RefusalClass::Other, "1"),
        );
        check(
            r#"{"errcode":20004}"#,
            refused(RefusalClass::Other, "20004"),
        );
        for body in [
            "",
            "[]",
            "{}",
            r#"{"errcode":null}"#,
            r#"{"errcode":"<b>"}"#,
            r#"{"errcode":1.5}"#,
            r#"{"status":"Success"}"#,
        ] {
            let read = answer(body.as_bytes()).map(drop);
            assert!(matches!(read, Err(AnswerError::Unreadable(_))), "{body}");
        }
    }

    #[test]
    fn a_blank_field_is_none() {
        let fields = answer(br#"{"errcode":0,"a":" ","b":"x y","c":"Xy0","n":"7"}"#).unwrap();
        assert!(fields.text("a").is_err() && fields.text("z").is_err());
        assert_eq!(fields.text("b").as_deref(), Ok("x y"));
        assert!(fields.token("b").is_err());
        assert_eq!(fields.token("c"), Ok(Secret::new("Xy0")));
        assert_eq!(fields.number("n"), Some(7));
    }

    proptest! {
        #[test]
        fn no_answer_makes_the_reader_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = answer(&body).map(|fields| fields.text("file"));
        }

        #[test]
        fn no_code_makes_the_reader_panic(code in ".{0,12}") {
            let _ = answer(serde_json::json!({ "errcode": code }).to_string().as_bytes());
        }
    }
}

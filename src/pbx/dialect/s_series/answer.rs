//! Answers of the S-Series and the Cloud PBX: `{"status":"Success",…}`, always with HTTP status
//! 200.
//!
//! Knows the vendor's numbers. Does not know which call was made. Pure.
//!
//! Source: Yeastar, "S-Series API Guide", "Appendix A: Error Code Descriptions" (API 1.0.1), and
//! "S-Series Developer Guide", "API Error Code" (1.1.0), whole in the Chinese guide of the S1000.
//! Read 2026-11; `tests/fixtures` holds both tables.

use serde_json::Value;

use crate::pbx::dialect::members::Members;
use crate::pbx::dialect::{AnswerError, Refusal, RefusalClass};
use crate::secret::Secret;

/// Reads an answer: `"status":"Success"`, or `"status":"Failed"` with a five-digit `errno`.
///
/// The status key stands as `Status` in one place of the documents and the failure word as
/// `Failure` in another; `errno` is a string. So case is ignored, and a number is taken for a
/// string.
pub(super) fn answer(body: &[u8]) -> Result<Members<'_>, AnswerError> {
    let unreadable = AnswerError::Unreadable("it is not a JSON object");
    let members = Members::read(body).ok_or(unreadable)?;
    match (members.text_of_any_case("status"), members.value("errno")) {
        (Some(status), _) if status.eq_ignore_ascii_case("success") => Ok(members),
        (None, None) => Err(AnswerError::Unreadable("it has no status")),
        (_, errno) => Err(AnswerError::Refused(refusal(errno))),
    }
}

/// Success means: the status says so and the needed field is there. The value goes into URLs, so
/// only what the vendor's samples hold is taken: letters and digits (32 hexadecimal digits in all
/// of them).
pub(super) fn field(body: &[u8], name: &str) -> Result<Secret, AnswerError> {
    let value = answer(body)?.text(name).unwrap_or_default();
    if value.is_empty() {
        return Err(AnswerError::Unreadable(
            "it reports success without the field that was asked for",
        ));
    }
    if value.len() > 256 || !value.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(AnswerError::Unreadable(
            "the field that was asked for holds something else",
        ));
    }
    Ok(Secret::new(value.as_bytes()))
}

fn refusal(errno: Option<Value>) -> Refusal {
    let code = match errno {
        Some(Value::String(text)) => text.trim().to_owned(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    let digits = code.len() <= 10 && code.bytes().all(|byte| byte.is_ascii_digit());
    Refusal {
        class: class(&code),
        code: if digits { code } else { String::new() },
    }
}

/// The classes of the vendor's error numbers: those of API 1.0.1 ("Appendix A: Error Code
/// Descriptions"), and those that 1.1.0 added ("API Error Code" of the S1000). That 20013, "wrong
/// verification code", is what a bad ticket gets is not written anywhere; nothing else in the older
/// table fits.
///
/// The S1000 table gives 20012 to a ticket that is not good, and 20014 to a recording that does not
/// exist. The older meaning is kept in every version: after 20012 a new ticket is tried, which is
/// right for both, and `Dialect::deleted_may_be_missing` tells of 20014.
fn class(code: &str) -> RefusalClass {
    match code {
        "20004" | "20005" | "20006" => RefusalClass::TokenDead,
        "20003" => RefusalClass::LoginRefused,
        "20002" => RefusalClass::LockedOut,
        "20013" | "20020" => RefusalClass::TicketRefused,
        "20012" => RefusalClass::NotFound,
        "20014" => RefusalClass::Deleted,
        "20010" | "30001" | "30003" => RefusalClass::Internal,
        "10002" | "10003" => RefusalClass::Unsupported,
        "10004" | "20000" | "20001" | "20007" | "20008" | "20009" | "20015" | "20019" => {
            RefusalClass::Request
        }
        _ => RefusalClass::Other,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(body: &str, expected: Result<&str, AnswerError>) {
        let expected = expected.map(Secret::new);
        assert_eq!(field(body.as_bytes(), "token"), expected, "{body}");
    }

    pub(crate) fn refused(class: RefusalClass, code: &str) -> Result<&'static str, AnswerError> {
        Err(AnswerError::Refused(Refusal {
            class,
            code: code.to_owned(),
        }))
    }

    #[test]
    fn answers_are_read_as_leniently_as_the_documents_vary() {
        check(r#"{"status":"Success","token":"48a7"}"#, Ok("48a7"));
        check(
            r#"{"Status":"SUCCESS","token":"48a7","transport":"TCP"}"#,
            Ok("48a7"),
        );
        check(
            r#"{"status":"Failed","errno":"20003"}"#,
            refused(RefusalClass::LoginRefused, "20003"),
        );
        check(
            r#"{"status":"Failure","errno":20002}"#,
            refused(RefusalClass::LockedOut, "20002"),
        );
        check(
            r#"{"errno":"20006"}"#,
            refused(RefusalClass::TokenDead, "20006"),
        );
        check(r#"{"status":"Failed"}"#, refused(RefusalClass::Other, ""));
        check(
            r#"{"status":"Failed","errno":"<b>"}"#,
            refused(RefusalClass::Other, ""),
        );
    }

    #[test]
    fn an_answer_without_its_required_field_is_no_success() {
        for body in [
            "",
            "[]",
            "<html>",
            "{}",
            r#"{"status":1}"#,
            r#"{"status":"Success"}"#,
            r#"{"status":"Success","token":""}"#,
            r#"{"status":"Success","token":"a&b=c"}"#,
            r#"{"status":"Success","token":["48a7"]}"#,
        ] {
            assert!(
                matches!(
                    field(body.as_bytes(), "token"),
                    Err(AnswerError::Unreadable(_))
                ),
                "{body}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_answer_makes_the_reader_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = field(&body, "random");
        }

        #[test]
        fn no_object_makes_the_reader_panic(status in ".{0,12}", errno in ".{0,12}") {
            let _ = field(json!({ "status": status, "errno": errno }).to_string().as_bytes(), "random");
        }
    }
}

//! The text of a reply: JSON objects and pages.
//!
//! Knows the spelling, which some switches change. Does not know which reply a request gets.
//!
//! Source: Yeastar, "S-Series API Guide", "API Response Structure", for `status` and for `errno`, a
//! string of five digits. Pages and reason phrases are close to those of Boa 0.94.14,
//! src/response.c.

use serde_json::Value;

use crate::simulator::errno::Errno;
use crate::simulator::switch::{Switch, Switches};

/// The login page of the web interface, in short.
pub(super) const LOGIN_PAGE: &str = "<!DOCTYPE html>\n<html><head><title>Login</title></head>\
    <body><form method=\"post\"><input name=\"username\"></form></body></html>\n";

/// Returns the page of the web server for a status.
pub(super) fn boa_page(status: u16) -> String {
    let reason = reason(status);
    format!(
        "<HTML><HEAD><TITLE>{status} {reason}</TITLE></HEAD>\n\
         <BODY><H1>{status} {reason}</H1>\nThe request could not be served.\n</BODY></HTML>\n"
    )
}

/// Writes a successful answer with these fields.
pub(super) fn success(fields: &[(&'static str, String)], switches: &Switches) -> String {
    let word = match () {
        () if switches.has(Switch::StatusLowerCase) => "success",
        () if switches.has(Switch::StatusUpperCase) => "SUCCESS",
        () => "Success",
    };
    let fields = fields
        .iter()
        .map(|(key, value)| (*key, Value::from(value.as_str())));
    object(word, fields, switches)
}

/// Writes a failed answer with this error number.
pub(super) fn failed(errno: &Errno, switches: &Switches) -> String {
    let word = if switches.has(Switch::FailureWord) {
        "Failure"
    } else {
        "Failed"
    };
    let word = match () {
        () if switches.has(Switch::StatusLowerCase) => word.to_lowercase(),
        () if switches.has(Switch::StatusUpperCase) => word.to_uppercase(),
        () => word.to_owned(),
    };
    let number = errno
        .as_str()
        .parse::<u64>()
        .ok()
        .filter(|_| switches.has(Switch::ErrnoAsNumber));
    let value = number.map_or_else(|| Value::from(errno.as_str()), Value::from);
    object(&word, [("errno", value)].into_iter(), switches)
}

/// Writes a JSON object. As on a box, `status` comes first.
fn object(
    word: &str,
    fields: impl Iterator<Item = (&'static str, Value)>,
    switches: &Switches,
) -> String {
    let key = if switches.has(Switch::StatusKeyCapital) {
        "Status"
    } else {
        "status"
    };
    let all = std::iter::once((key, Value::from(word))).chain(fields);
    let pairs: Vec<_> = all
        .map(|(key, value)| format!("{}:{value}", Value::from(key)))
        .collect();
    if switches.has(Switch::UnsolicitedExtras) {
        let extras =
            r#""sn" : null , "extra" : { "status" : "Failed", "list" : [ 1, 2.5, true ] }"#;
        return format!(
            " \r\n{{\r\n\t{extras} ,\r\n\t{}\r\n}}\r\n\r\n",
            pairs.join(" ,\r\n\t")
        );
    }
    format!("{{{}}}", pairs.join(","))
}

/// Boa's reason phrase for a status.
pub(in crate::simulator) fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        206 => "Partial Content",
        302 => "Moved Temporarily",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        416 => "Requested Range Not Satisfiable",
        500 => "Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(switch: Switch, good: &str, bad: &str) {
        let mut switches = Switches::default();
        switches.set(switch);
        assert_eq!(success(&[("random", "r\"".to_owned())], &switches), good);
        assert_eq!(failed(&Errno::DELETED, &switches), bad);
    }

    #[test]
    fn a_switch_changes_the_spelling_of_json() {
        let good = r#"{"status":"Success","random":"r\""}"#;
        let bad = r#"{"status":"Failed","errno":"20014"}"#;
        check(Switch::KeepAlive, good, bad);
        check(
            Switch::StatusLowerCase,
            &good.replace("Success", "success"),
            &bad.replace("Failed", "failed"),
        );
        check(
            Switch::StatusUpperCase,
            &good.replace("Success", "SUCCESS"),
            &bad.replace("Failed", "FAILED"),
        );
        check(
            Switch::StatusKeyCapital,
            &good.replace("status", "Status"),
            &bad.replace("status", "Status"),
        );
        check(Switch::FailureWord, good, &bad.replace("Failed", "Failure"));
        check(
            Switch::ErrnoAsNumber,
            good,
            &bad.replace("\"20014\"", "20014"),
        );
    }

    #[test]
    fn json_with_unknown_fields_is_valid() {
        let mut switches = Switches::default();
        switches.set(Switch::UnsolicitedExtras);
        let text = success(&[("token", "t".to_owned())], &switches);
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (&value["status"], &value["token"]),
            (&Value::from("Success"), &Value::from("t"))
        );
    }
}

//! The text of the answers of the P-Series: `errcode`, `errmsg` and the fields after them.
//!
//! Knows the codes that the simulator answers, their messages, and the spelling of an answer, which
//! some switches change. Does not know which request gets which code.
//!
//! Source: Yeastar, "P-Series Developer Guide", "Error Code and Error Message". The content of
//! `invalid_param_list` is known only from the sample of a failed get_token.

use serde_json::Value;

use crate::simulator::switch::{Switch, Switches};

/// The `errcode` of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Errcode(i64);

impl Errcode {
    pub(super) const INTERNAL: Self = Self(-2);
    pub(super) const FAILURE: Self = Self(-1);
    pub(super) const SUCCESS: Self = Self(0);
    pub(super) const PARTIAL_SUCCESS: Self = Self(1);
    pub(super) const PROCESSING: Self = Self(2);
    pub(super) const NO_INTERFACE: Self = Self(10_001);
    pub(super) const TOKEN_EXPIRED: Self = Self(10_004);
    pub(super) const ACCESS_DENIED: Self = Self(10_005);
    pub(super) const BAD_SYNTAX: Self = Self(40_001);
    pub(super) const BAD_PARAMETER: Self = Self(40_002);
    pub(super) const NOT_FOUND: Self = Self(60_001);
    pub(super) const LIMIT_EXCEEDED: Self = Self(60_002);
    pub(super) const IP_BLOCKED: Self = Self(70_004);
    pub(super) const OVERLOADED: Self = Self(70_082);
    pub(super) const IP_FORBIDDEN: Self = Self(70_087);
    pub(super) const API_UNAVAILABLE: Self = Self(70_123);

    /// Returns another code, for a scripted fault; -1 if the text is not a number.
    pub(super) fn other(digits: &str) -> Self {
        Self(digits.parse().unwrap_or(Self::FAILURE.0))
    }

    fn message(self) -> &'static str {
        match self.0 {
            -2 => "INTERNAL SERVER ERROR",
            0 => "SUCCESS",
            1 => "PARTIAL SUCCESS",
            2 => "PROCESSING",
            10_001 => "INTERFACE NOT EXISTED",
            10_002 => "API VERSION OUT OF MAINTENANCE",
            10_003 => "API VERSION UNSUPPORTED",
            10_004 => "TOKEN EXPIRED",
            10_005 => "ACCESS DENIED",
            10_009 => "OPERATION FAILED",
            40_001 => "PARAMETER SYNTAX ERROR",
            40_002 => "PARAMETER ERROR",
            60_001 => "DATA NOT FOUND",
            60_002 => "MAX LIMITATION EXCEEDED",
            70_004 => "ACCOUNT IP BLOCKED",
            70_082 => "OVERLOAD_TASK_RUNNING",
            70_084 => "ACTION FORBIDDEN",
            70_087 => "IP FORBIDDEN",
            70_120 => "ORGANIZATION DISABLED",
            70_123 => "API UNAVAILABLE",
            70_132 => "OPERATION NOT SUPPORTED",
            _ => "FAILURE",
        }
    }
}

/// The error code of a failed call, and the parameter at fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PSeriesFailure {
    pub(super) errcode: Errcode,
    /// The parameter at fault, and its value.
    invalid: Option<(&'static str, String)>,
}

impl From<Errcode> for PSeriesFailure {
    fn from(errcode: Errcode) -> Self {
        let invalid = None;
        Self { errcode, invalid }
    }
}

impl PSeriesFailure {
    pub(super) fn invalid(errcode: Errcode, field: &'static str, value: impl Into<String>) -> Self {
        let invalid = Some((field, value.into()));
        Self { errcode, invalid }
    }

    /// Writes the answer to the failed call.
    pub(super) fn text(&self, switches: &Switches) -> String {
        let list = self.invalid.as_ref().map(|(field, value)| {
            let (field, value) = (quoted(field), quoted(value));
            format!(r#"[{{"field":{field},"value":{value}}}]"#)
        });
        let fields: PSeriesFields = list
            .map(|list| ("invalid_param_list", list))
            .into_iter()
            .collect();
        text(self.errcode, &fields, switches)
    }
}

/// The fields after `errmsg`: keys, and their values as JSON.
pub(super) type PSeriesFields = Vec<(&'static str, String)>;

/// Writes a string as JSON.
pub(super) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// Writes an answer. As on a box, `errcode` comes first.
pub(super) fn text(errcode: Errcode, fields: &PSeriesFields, switches: &Switches) -> String {
    let mut code = errcode.0.to_string();
    if switches.has(Switch::ErrcodeAsString) {
        code = quoted(&code);
    }
    let mut pairs = vec![format!(r#""errcode":{code}"#)];
    if !switches.has(Switch::WithoutMessage) {
        pairs.push(format!(r#""errmsg":"{}""#, errcode.message()));
    }
    pairs.extend(
        fields
            .iter()
            .map(|(key, value)| format!("\"{key}\":{value}")),
    );
    if switches.has(Switch::UnsolicitedExtras) {
        let extras = r#""sn" : null , "extra" : { "errcode" : -1, "list" : [ 1, 2.5, true ] }"#;
        return format!(
            " \r\n{{\r\n\t{extras} ,\r\n\t{}\r\n}}\r\n\r\n",
            pairs.join(" ,\r\n\t")
        );
    }
    format!("{{{}}}", pairs.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(switch: Option<Switch>, expected: &str) {
        let mut switches = Switches::default();
        switch.into_iter().for_each(|switch| switches.set(switch));
        let failure = PSeriesFailure::invalid(Errcode::FAILURE, "username or password", "error");
        assert_eq!(failure.text(&switches), expected);
    }

    #[test]
    fn a_failed_answer_is_spelled_as_in_the_sample() {
        let list = r#""invalid_param_list":[{"field":"username or password","value":"error"}]"#;
        check(
            None,
            &format!(r#"{{"errcode":-1,"errmsg":"FAILURE",{list}}}"#),
        );
        check(
            Some(Switch::ErrcodeAsString),
            &format!(r#"{{"errcode":"-1","errmsg":"FAILURE",{list}}}"#),
        );
        check(
            Some(Switch::WithoutMessage),
            &format!(r#"{{"errcode":-1,{list}}}"#),
        );
    }

    #[test]
    fn json_with_unknown_fields_is_valid() {
        let mut switches = Switches::default();
        switches.set(Switch::UnsolicitedExtras);
        let fields = vec![("file", quoted("a\".wav"))];
        let text = text(Errcode::SUCCESS, &fields, &switches);
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (&value["errcode"], &value["errmsg"], &value["file"]),
            (
                &Value::from(0),
                &Value::from("SUCCESS"),
                &Value::from("a\".wav")
            )
        );
    }
}

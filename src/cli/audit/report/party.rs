//! The outside number of a call, from the name of its recording.
//!
//! Knows where the name has it: an inbound call comes from outside, so it is the caller's number;
//! for an outbound call it is the callee's; an internal call has none. The network reports the
//! number of a caller, and it can be forged.

use std::convert::Infallible;
use std::str::FromStr;

use crate::recording::{Direction, RecordingName};

/// A telephone number, in a form that can be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OutsideNumber(String);

impl FromStr for OutsideNumber {
    type Err = Infallible;

    /// Leaves out blanks and punctuation, and writes a leading `+` as `00`.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        let text = text.trim();
        let (prefix, rest) = match text.strip_prefix('+') {
            Some(rest) => ("00", rest),
            None => ("", text),
        };
        let is_written = |character: &char| !" ()/.-".contains(*character);
        let number: String = rest.chars().filter(is_written).collect();
        Ok(Self(format!("{prefix}{number}")))
    }
}

impl OutsideNumber {
    /// Whether this is the outside number of the recording's call.
    pub(crate) fn is_outside(&self, name: &RecordingName) -> bool {
        let outside = outside(name).and_then(|number| number.parse::<Self>().ok());
        outside.is_some_and(|outside| outside == *self)
    }
}

fn outside(name: &RecordingName) -> Option<&str> {
    let parties = name.parties()?;
    match parties.direction {
        Direction::Inbound => Some(parties.caller),
        Direction::Outbound => Some(parties.callee),
        Direction::Internal => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(party: &str, name: &str, expected: bool) {
        let Ok(party) = party.parse::<OutsideNumber>();
        assert_eq!(party.is_outside(&name.parse().unwrap()), expected);
    }

    #[test]
    fn the_outside_number_is_found_and_no_other() {
        let inbound = "20260302091407-1772442845.1203-+49301234-1003-Inbound.wav";
        let outbound = "20260302091407-1772442845.1203-1003-0049301234-Outbound.wav";
        let internal = "20260302091407-1772442845.1203-1001-1003-Internal.wav";
        for party in [
            "+49301234",
            "0049 30 12-34",
            "+49 (30) 1234",
            "0049/30.1234",
        ] {
            check(party, inbound, true);
            check(party, outbound, true);
        }
        check("49301234", inbound, false);
        check("1003", inbound, false);
        check("1003", outbound, false);
        check("1001", internal, false);
        check("1003", internal, false);
        check(
            "1",
            "20260302091407-1772442845.1203-1-2-3-Inbound.wav",
            false,
        );
        check("1", "20260302091407-1772442845.1203-1-Inbound.wav", false);
        check("", "a.wav", false);
    }
}

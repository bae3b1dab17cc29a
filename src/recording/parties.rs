//! The parties of a call, by the name of its recording.
//!
//! Knows where caller, callee and direction stand, and which of the two parties is internal. Does
//! not know whose number it is. Pure.
//!
//! Source: the samples named in [`super`]: `stamp-unique-caller-callee-direction.suffix`. A number
//! may hold the separator of the fields, and then the end of the field is unclear. So only a name
//! of exactly five fields has parties.

use super::RecordingName;

/// The direction of a call, seen from the PBX.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From outside to an extension, a queue or a menu.
    Inbound,
    /// From an extension to the outside.
    Outbound,
    /// Between two numbers of the PBX.
    Internal,
}

impl Direction {
    const ALL: [Self; 3] = [Self::Inbound, Self::Outbound, Self::Internal];

    /// Reads the word in any case. Other kinds of call, such as a callback, have no direction.
    pub(crate) fn of(word: &str) -> Option<Self> {
        let word = word.trim();
        let mut all = Self::ALL.into_iter();
        all.find(|one| one.as_str().eq_ignore_ascii_case(word))
    }

    /// The word for it, in lower case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
            Self::Internal => "internal",
        }
    }

    /// Reads the last field of a name: the word as the PBX writes it, and perhaps one suffix.
    fn of_field(field: &str) -> Option<Self> {
        let (word, suffix) = field.split_once('.').unwrap_or((field, "wav"));
        let plain = (1..=MAX_SUFFIX_BYTES).contains(&suffix.len())
            && suffix.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let direction = match word {
            "Inbound" => Self::Inbound,
            "Outbound" => Self::Outbound,
            "Internal" => Self::Internal,
            _ => return None,
        };
        plain.then_some(direction)
    }
}

/// The longest suffix accepted. The longest one in the samples is `yswav`.
const MAX_SUFFIX_BYTES: usize = 8;

/// The two parties of a call. A party that the name leaves empty is an empty text and belongs to
/// nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parties<'n> {
    /// The number of the caller.
    pub caller: &'n str,
    /// The number of the callee.
    pub callee: &'n str,
    /// The direction of the call.
    pub direction: Direction,
}

impl<'n> Parties<'n> {
    /// The numbers that the PBX itself vouches for: the callee of an inbound call, the caller of an
    /// outbound one, both of an internal one. The outside number is claimed by the other side, and
    /// may equal any extension's.
    pub fn internal(&self) -> impl Iterator<Item = &'n str> + use<'n> {
        let (caller, callee) = match self.direction {
            Direction::Inbound => ("", self.callee),
            Direction::Outbound => (self.caller, ""),
            Direction::Internal => (self.caller, self.callee),
        };
        let inside = [caller, callee].into_iter();
        inside.filter(|number| !number.is_empty())
    }
}

impl RecordingName {
    /// The parties of the call. `None` unless the name has exactly five fields and the last is one
    /// of the three directions.
    #[must_use]
    pub fn parties(&self) -> Option<Parties<'_>> {
        let mut fields = self.as_str().split('-');
        let (_stamp, _unique) = (fields.next()?, fields.next()?);
        let (caller, callee, last) = (fields.next()?, fields.next()?, fields.next()?);
        if fields.next().is_some() {
            return None;
        }
        Some(Parties {
            caller,
            callee,
            direction: Direction::of_field(last)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(name: &str, expected: Option<(&str, &str, &str, &[&str])>) {
        let name: RecordingName = name.parse().unwrap();
        let parties = name.parties();
        let inside: Vec<&str> = parties.iter().flat_map(Parties::internal).collect();
        let found = parties.map(|found| (found.caller, found.callee, found.direction.as_str()));
        let (expected, internal) = match expected {
            Some((caller, callee, direction, inside)) => {
                (Some((caller, callee, direction)), inside.to_vec())
            }
            None => (None, Vec::new()),
        };
        assert_eq!((found, inside), (expected, internal), "{name}");
    }

    #[test]
    fn internal_numbers_are_those_that_the_pbx_vouches_for() {
        let start = "20170914093038-1505352615.274";
        check(
            &format!("{start}-1001-1003-Internal.wav"),
            Some(("1001", "1003", "internal", &["1001", "1003"])),
        );
        check(
            &format!("{start}-1000-91000-Outbound.wav"),
            Some(("1000", "91000", "outbound", &["1000"])),
        );
        check(
            &format!("{start}-+4930123-6400-Inbound.mp3"),
            Some(("+4930123", "6400", "inbound", &["6400"])),
        );
        // An outside caller who shows the number 1001.
        check(
            &format!("{start}-1001-1000-Inbound.wav"),
            Some(("1001", "1000", "inbound", &["1000"])),
        );
        check(
            "20251104173706-1762252614_105999-104-0819979336-Outbound.wav",
            Some(("104", "0819979336", "outbound", &["104"])),
        );
        check(
            "20180315201242-1521173562.46-203-201-Internal.yswav",
            Some(("203", "201", "internal", &["203", "201"])),
        );
        check(
            &format!("{start}--1000-Inbound"),
            Some(("", "1000", "inbound", &["1000"])),
        );
        check(
            &format!("{start}-1000--Internal.wav"),
            Some(("1000", "", "internal", &["1000"])),
        );
    }

    #[test]
    fn a_name_of_another_form_has_no_parties() {
        let start = "20170914093038-1505352615.274";
        for rest in [
            "1001-1003-Internal-1.wav",
            "555-1001-1000-Inbound.wav",
            "1001-Internal.wav",
            "1001-1003-internal.wav",
            "1001-1003-Callback.wav",
            "1001-1003-Internal.wav.old",
            "1001-1003-Internal.",
            "1001-1003-Internal .wav",
            "1001-1003-XInternal.wav",
            "1001-1003-",
        ] {
            check(&format!("{start}-{rest}"), None);
        }
        check("20251211-201-Inbound-0501234567.wav", None);
        check("exten-101-106-20200505-042135-1588641695.1772.wav", None);
        check("hello001", None);
        check("----", None);
    }

    proptest! {
        #[test]
        fn no_outside_number_is_internal(
            caller in "[0-9+*# a-z]{0,12}", callee in "[0-9+*# a-z]{0,12}", way in 0..3_usize,
        ) {
            let word = ["Inbound", "Outbound", "Internal"][way];
            let name: RecordingName = format!("0-1.2-{caller}-{callee}-{word}.wav").parse().unwrap();
            let parties = name.parties().unwrap();
            prop_assert_eq!((parties.caller, parties.callee), (caller.as_str(), callee.as_str()));
            let inside: Vec<&str> = parties.internal().collect();
            prop_assert!(way != 0 || !inside.contains(&caller.as_str()) || caller == callee);
            prop_assert!(way != 1 || !inside.contains(&callee.as_str()) || caller == callee);
        }

        #[test]
        fn only_five_fields_make_parties(name in "[0-9-]{0,20}(-(Inbound|Internal)(\\.wav)?)?") {
            if let Ok(name) = name.parse::<RecordingName>() {
                let five = name.as_str().split('-').count() == 5;
                prop_assert!(five || name.parties().is_none());
            }
        }
    }
}

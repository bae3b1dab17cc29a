//! Ranges of time, and the names that they contain.
//!
//! Knows the time stamp at the start of a name, in the local time of the PBX that wrote it. Does
//! not know PBXs. Pure.
//!
//! Source of the stamp: the samples named in [`super`]. It is the start of the recording in local
//! time: this is derived from the epoch beside it.

use std::fmt;
use std::str::FromStr;

use jiff::civil::DateTime;

use super::RecordingName;

/// A time in the local time of a PBX: `2024-03-01` or `2024-03-01T12:30:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp(DateTime);

/// The text is not a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a date such as 2024-03-01, or 2024-03-01T12:30:00 in the PBX's local time")]
pub struct StampError;

/// A range of time stamps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NameRange {
    /// The first stamp in the range; `None` for no limit.
    pub from: Option<Stamp>,
    /// The first stamp after the range; `None` for no limit.
    pub until: Option<Stamp>,
}

impl RecordingName {
    /// The start of the recording in the PBX's local time, if the name begins with 14 digits that
    /// are a time.
    #[must_use]
    pub fn stamp(&self) -> Option<DateTime> {
        let (digits, _) = self.as_str().split_once('-')?;
        if digits.len() != 14 || !super::is_digits(digits) {
            return None;
        }
        DateTime::strptime("%Y%m%d%H%M%S", digits).ok()
    }
}

impl Stamp {
    /// Returns true if the name has an earlier stamp.
    #[must_use]
    pub fn is_after(&self, name: &RecordingName) -> bool {
        name.stamp().is_some_and(|stamp| stamp < self.0)
    }
}

impl NameRange {
    /// Returns true if the name is in the range. A name without a stamp is only in the range
    /// without limits.
    #[must_use]
    pub fn holds(&self, name: &RecordingName) -> bool {
        match name.stamp() {
            Some(stamp) => self.holds_time(stamp),
            None => *self == Self::default(),
        }
    }

    /// Returns true if a local time of the PBX is in the range.
    #[must_use]
    pub fn holds_time(&self, time: DateTime) -> bool {
        self.from.is_none_or(|from| from.0 <= time) && self.until.is_none_or(|until| time < until.0)
    }

    /// Returns true if this range contains every name that `other` contains.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.from.is_none_or(|from| other.from >= Some(from))
            && self
                .until
                .is_none_or(|until| other.until.is_some_and(|other| other <= until))
    }

    /// Returns true if the range contains nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!((self.from, self.until), (Some(from), Some(until)) if until.0 <= from.0)
    }
}

impl FromStr for Stamp {
    type Err = StampError;

    fn from_str(text: &str) -> Result<Self, StampError> {
        text.parse().map(Self).map_err(|_| StampError)
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(from: &str, until: &str) -> NameRange {
        let stamp = |text: &str| (!text.is_empty()).then(|| text.parse().unwrap());
        NameRange {
            from: stamp(from),
            until: stamp(until),
        }
    }

    #[track_caller]
    fn check(from: &str, until: &str, name: &str, expected: bool) {
        let name: RecordingName = name.parse().unwrap();
        assert_eq!(range(from, until).holds(&name), expected, "{name}");
    }

    #[test]
    fn a_range_includes_its_start_and_not_its_end() {
        let name = "20240301000000-1709251200.7-1001-1003-Internal.wav";
        check("", "", name, true);
        check("2024-03-01", "", name, true);
        check("2024-03-01T00:00:01", "", name, false);
        check("", "2024-03-01", name, false);
        check("", "2024-03-01 00:00:01", name, true);
        check("2020-01-01", "2024-03-02", name, true);
    }

    #[test]
    fn a_name_without_a_time_is_only_in_the_unlimited_range() {
        for name in [
            "hello001",
            "20241399000000-1-2-3-Internal.wav",
            "2024030100000-1-2.wav",
            "exten-101-106-20200505-042135-1588641695.1772.wav",
        ] {
            check("", "", name, true);
            check("2020-01-01", "", name, false);
            check("", "2030-01-01", name, false);
        }
    }

    #[test]
    fn a_range_covers_what_is_within_it() {
        let covers = |(from, until), (inner_from, inner_until)| {
            range(from, until).covers(&range(inner_from, inner_until))
        };
        let (old, new) = (("", "2024-03-01"), ("2024-03-01", ""));
        for all in [("", ""), old, new, ("2024-03-01", "2024-03-02")] {
            assert!(covers(("", ""), all));
            assert!(covers(all, all));
        }
        // Names without a stamp are only in the range without limits.
        assert!(!covers(old, ("", "")) && !covers(new, ("", "")));
        assert!(!covers(old, new) && !covers(new, old));
        assert!(covers(new, ("2024-03-01", "2025-01-01")) && !covers(new, ("2024-02-29", "")));
        assert!(covers(old, ("2023-01-01", "2024-03-01")) && !covers(old, ("", "2024-03-02")));
    }

    #[test]
    fn a_range_that_ends_before_it_begins_is_empty() {
        assert!(range("2024-03-01", "2024-03-01").is_empty());
        assert!(!range("2024-03-01", "2024-03-01T00:00:01").is_empty());
        assert!("yesterday".parse::<Stamp>().is_err());
        assert!("2024-03-01T00:00:00Z".parse::<Stamp>().is_err());
    }
}

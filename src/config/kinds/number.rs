//! Whole numbers: counts, sizes, times, and lists of times.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::config::rows::{DefaultedKind, SettingKind};
use crate::config::section::Section;

/// A day, for ranges.
pub(in crate::config) const DAY_S: u64 = 24 * 60 * 60;
/// The same in milliseconds.
pub(in crate::config) const DAY_MS: u64 = DAY_S * 1000;

/// A whole number within a range.
pub(in crate::config) struct Number<T> {
    /// The word for the unit, as it begins a sentence; empty for a count.
    unit: &'static str,
    range: RangeInclusive<u64>,
    default: u64,
    make: fn(u64) -> T,
}

/// A number of things.
pub(in crate::config) const fn count(range: RangeInclusive<u64>, default: u64) -> Number<usize> {
    number("", range, default, to_usize)
}

/// A size in memory.
pub(in crate::config) const fn size(range: RangeInclusive<u64>, default: u64) -> Number<usize> {
    number("Bytes", range, default, to_usize)
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

pub(in crate::config) const fn port(example: u64) -> Number<u16> {
    let make = |number| u16::try_from(number).unwrap_or(u16::MAX);
    number("", 1..=65_535, example, make)
}

pub(in crate::config) const fn days(range: RangeInclusive<u64>, default: u64) -> Number<u64> {
    number("Days", range, default, |number| number)
}

pub(in crate::config) const fn bytes(range: RangeInclusive<u64>, default: u64) -> Number<u64> {
    number("Bytes", range, default, |number| number)
}

pub(in crate::config) const fn seconds(
    range: RangeInclusive<u64>,
    default: u64,
) -> Number<Duration> {
    number("Seconds", range, default, Duration::from_secs)
}

pub(in crate::config) const fn milliseconds(
    range: RangeInclusive<u64>,
    default: u64,
) -> Number<Duration> {
    number("Milliseconds", range, default, Duration::from_millis)
}

const fn number<T>(
    unit: &'static str,
    range: RangeInclusive<u64>,
    default: u64,
    make: fn(u64) -> T,
) -> Number<T> {
    Number {
        unit,
        range,
        default,
        make,
    }
}

impl<T> SettingKind for Number<T> {
    type Value = T;

    fn read(&self, section: &mut Section<'_>, key: &str) -> Option<T> {
        section.integer(key, &self.range).map(self.make)
    }

    fn limits(&self) -> String {
        let (start, end) = (self.range.start(), self.range.end());
        match self.unit {
            "" => format!("{start} to {end}."),
            unit => format!("{unit}, {start} to {end}."),
        }
    }

    fn example(&self) -> String {
        self.default.to_string()
    }
}

impl<T> DefaultedKind for Number<T> {
    fn default(&self) -> T {
        (self.make)(self.default)
    }
}

/// A list of times in milliseconds.
pub(in crate::config) struct Pauses {
    range: RangeInclusive<u64>,
    default: &'static [u64],
}

pub(in crate::config) const fn pauses(
    range: RangeInclusive<u64>,
    default: &'static [u64],
) -> Pauses {
    Pauses { range, default }
}

impl SettingKind for Pauses {
    type Value = Vec<Duration>;

    fn read(&self, section: &mut Section<'_>, key: &str) -> Option<Vec<Duration>> {
        section.milliseconds_list(key, &self.range)
    }

    fn limits(&self) -> String {
        format!(
            "Milliseconds, each {} to {}.",
            self.range.start(),
            self.range.end()
        )
    }

    fn example(&self) -> String {
        format!("{:?}", self.default)
    }
}

impl DefaultedKind for Pauses {
    fn default(&self) -> Vec<Duration> {
        let pauses = self.default.iter();
        pauses.map(|pause| Duration::from_millis(*pause)).collect()
    }
}

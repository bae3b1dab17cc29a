//! The calls in the lists of the box, each with its recording.
//!
//! Knows the facts of a call, and the box's local time. Does not know how a list of calls is
//! written: that differs between the families.
//!
//! Source of the grammar of names: the samples in Yeastar, "S-Series API Guide", "Acquire Auto
//! Recording files", and "P-Series Developer Guide", "Query Recording List": local time of the
//! recording, UTC epoch of the call and a counter, caller, callee, direction.

use std::fmt::Write as _;

/// One call, recorded or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallRecord {
    /// The name of its recording; empty if it was not recorded.
    pub recording: String,
    /// The start of the call, in seconds of the Unix epoch.
    pub started: i64,
    /// The number of the caller.
    pub caller: String,
    /// The number of the callee.
    pub callee: String,
    /// `Inbound`, `Outbound` or `Internal`.
    pub direction: String,
    /// The duration of the call, in seconds.
    pub duration_s: u32,
    /// The size of its recording, in bytes.
    pub size: u64,
}

impl CallRecord {
    /// Makes up call number `number`. Call 0 begins at 2026-01-01 00:00 UTC, and each next one a
    /// minute later. The names of recordings follow the vendor's samples. `utc_offset_s` is the
    /// offset of the box's local time.
    pub fn numbered(number: u32, utc_offset_s: i64) -> Self {
        let started = 1_767_225_600 + 60 * i64::from(number);
        let (caller, callee) = (1_000 + number % 50, 2_000 + number % 70);
        let (stamp, direction) = (stamp(started + 2, utc_offset_s), "Internal");
        Self {
            recording: format!("{stamp}-{started}.{number}-{caller}-{callee}-{direction}.wav"),
            started,
            caller: caller.to_string(),
            callee: callee.to_string(),
            direction: direction.to_owned(),
            duration_s: 30 + number % 90,
            size: 16_000 * u64::from(30 + number % 90) + 308,
        }
    }

    /// Makes up a call from 1001 to 1003 that began at `started`, in seconds of the Unix epoch, and
    /// was recorded from its beginning. `utc_offset_s` is the offset of the box's local time.
    pub fn beginning_at(started: i64, utc_offset_s: i64) -> Self {
        let stamp = stamp(started, utc_offset_s);
        Self {
            recording: format!("{stamp}-{started}.1-1001-1003-Internal.wav"),
            started,
            caller: "1001".to_owned(),
            callee: "1003".to_owned(),
            direction: "Internal".to_owned(),
            duration_s: 0,
            size: 0,
        }
    }

    /// Reads a call from the name of its recording. Returns `None` if the name does not follow the
    /// vendor's samples.
    pub(super) fn from_name(name: &str, size: u64) -> Option<Self> {
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        let fields: Vec<&str> = stem.split('-').collect();
        let [_, unique, caller, callee, direction] = *fields.as_slice() else {
            return None;
        };
        Some(Self {
            recording: name.to_owned(),
            started: unique.split_once('.')?.0.parse().ok()?,
            caller: caller.to_owned(),
            callee: callee.to_owned(),
            direction: direction.to_owned(),
            duration_s: u32::try_from(size / 16_000).unwrap_or(u32::MAX),
            size,
        })
    }

    /// The call id, `epoch.counter`.
    pub(super) fn call_id(&self) -> String {
        let unique = self.recording.split('-').nth(1).unwrap_or_default();
        if unique.contains('.') {
            unique.to_owned()
        } else {
            format!("{}.0", self.started)
        }
    }
}

/// Writes a time as `YYYYMMDDHHMMSS` in the box's local time.
pub(super) fn stamp(epoch: i64, utc_offset_s: i64) -> String {
    let time = LocalTime::from_epoch(epoch, utc_offset_s);
    let mut text = String::new();
    for (value, width) in [
        (time.year, 4),
        (time.month, 2),
        (time.day, 2),
        (time.hour, 2),
        (time.minute, 2),
        (time.second, 2),
    ] {
        let _ = write!(text, "{value:0width$}"); // writing to a String cannot fail
    }
    text
}

/// A date and time of day in the box's local time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LocalTime {
    pub(super) year: i64,
    pub(super) month: i64,
    pub(super) day: i64,
    pub(super) hour: i64,
    pub(super) minute: i64,
    pub(super) second: i64,
}

impl LocalTime {
    pub(super) fn from_epoch(epoch: i64, utc_offset_s: i64) -> Self {
        let local = epoch + utc_offset_s;
        let (days, seconds) = (local.div_euclid(86_400), local.rem_euclid(86_400));
        let (year, month, day) = civil(days);
        Self {
            year,
            month,
            day,
            hour: seconds / 3_600,
            minute: seconds / 60 % 60,
            second: seconds % 60,
        }
    }

    /// Converts back to seconds of the Unix epoch.
    pub(super) fn to_epoch(self, utc_offset_s: i64) -> i64 {
        let day = days(self.year, self.month, self.day) * 86_400;
        day + self.hour * 3_600 + self.minute * 60 + self.second - utc_offset_s
    }
}

/// Converts days since 1970-01-01 to year, month and day of the Gregorian calendar.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468; // days since 0000-03-01: a leap day is the last day of a year
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let leaps = day_of_era / 1_460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leaps) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// Converts a date of the Gregorian calendar to days since 1970-01-01.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_time_converts_to_the_epoch_and_back() {
        assert_eq!(stamp(1_504_261_084, 8 * 3_600), "20170901181804");
        assert_eq!(stamp(951_782_399, 0), "20000228235959");
        for epoch in [0, 951_782_400, 951_868_800, 1_772_442_845, 4_107_542_399] {
            for offset in [-5 * 3_600, 0, 5 * 3_600 + 1_800] {
                assert_eq!(LocalTime::from_epoch(epoch, offset).to_epoch(offset), epoch);
            }
        }
    }

    #[test]
    fn a_name_of_a_recording_gives_its_call() {
        let call = CallRecord::numbered(61, 3_600);
        let name = "20260101020102-1767229260.61-1011-2061-Internal.wav";
        assert_eq!(call.recording, name);
        let read = CallRecord::from_name(name, call.size).unwrap();
        assert_eq!(
            (read.started, &*read.caller, &*read.callee, read.call_id()),
            (1_767_229_260, "1011", "2061", "1767229260.61".to_owned())
        );
        assert_eq!(CallRecord::from_name("hello001", 0), None);
    }
}

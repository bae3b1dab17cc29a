//! The call of a recording, by its name: its start, and the id that the PBX gave it.
//!
//! Knows the second field of a name, and when that field is trusted. Does not know the parties.
//! Pure.
//!
//! Sources: the samples named in [`super`]. The second field is the call's id: this follows from
//! the call records of the same samples. A `_` instead of the dot is in a sample of a P-Series,
//! after an export. Further fields are documented nowhere; a number may hold a hyphen.

use std::time::{Duration, SystemTime};

use super::{RecordingName, is_digits};

impl RecordingName {
    /// The start of the call, in UTC, if the name tells it: the second field is an epoch and a
    /// counter.
    ///
    /// A name that does not have five fields is trusted only if it begins with a time stamp. The
    /// PBX writes both fields before anything that a caller can choose, so nothing after them moves
    /// them. Nine digits are accepted besides ten, because a PBX whose clock was never set starts
    /// in the year 2000.
    #[must_use]
    pub fn call_started(&self) -> Option<SystemTime> {
        let (epoch, _) = self.epoch_and_counter()?;
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(epoch.parse().ok()?))
    }

    /// The PBX's id of the call in the form of its other documents, `epoch.counter`, if the name
    /// has it; see [`RecordingName::call_started`].
    #[must_use]
    pub fn call_id(&self) -> Option<String> {
        let (epoch, counter) = self.epoch_and_counter()?;
        Some(format!("{epoch}.{counter}"))
    }

    /// Splits the second field. An export writes `_` instead of the dot.
    fn epoch_and_counter(&self) -> Option<(&str, &str)> {
        let mut fields = self.0.split('-');
        let unique = fields.nth(1)?;
        let (epoch, counter) = unique.split_once(['.', '_'])?;
        let (counter, further) = match fields.count() {
            // The name has only the two fields, and perhaps a suffix.
            0 => (without_suffix(counter), 0),
            further => (counter, further),
        };
        let is_epoch = matches!(epoch.len(), 9 | 10) && is_digits(epoch);
        let is_usual = further == 3 && unique.contains('.');
        (is_epoch && is_digits(counter) && (is_usual || self.stamp().is_some()))
            .then_some((epoch, counter))
    }
}

/// Removes a suffix: the last dot and the characters after it, unless these are digits only.
fn without_suffix(text: &str) -> &str {
    match text.rsplit_once('.') {
        Some((stem, suffix)) if !is_digits(suffix) => stem,
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check_start(name: &str, expected: Option<u64>) {
        let started = name.parse::<RecordingName>().unwrap().call_started();
        assert_eq!(
            started,
            expected.map(|epoch| SystemTime::UNIX_EPOCH + Duration::from_secs(epoch))
        );
    }

    #[test]
    fn the_start_of_the_call_stands_in_the_second_of_five_fields() {
        check_start(
            "20170901181806-1504261084.7-1001-1003-Internal.wav",
            Some(1_504_261_084),
        );
        check_start(
            "20251211160749-1765454864.23722-201-0556195159-Outbound.wav",
            Some(1_765_454_864),
        );
        check_start(
            "20000101000110-946684870.1-201-202-Internal.wav",
            Some(946_684_870),
        );
        check_start("x-1504261084.7-+49 30-*97-y", Some(1_504_261_084));
        check_start("20251211-201-Inbound-0501234567.wav", None);
        check_start("exten-101-106-20200505-042135-1588641695.1772.wav", None);
        check_start("20170901181806-1504261084-1001-1003-Internal.wav", None);
        check_start("20170901181806-1504261084.-1001-1003-Internal.wav", None);
        check_start("20170901181806-+504261084.7-1001-1003-Internal.wav", None);
        check_start(
            "20170901181806-99999999999999999999.7-1001-1003-Internal.wav",
            None,
        );
        check_start("----", None);
        check_start("hello001", None);
    }

    #[test]
    fn after_a_time_stamp_the_call_is_found_whatever_follows() {
        let known = Some(1_767_226_140);
        for rest in [
            "1767226140.9-+44-20-5550147-1001-Inbound.wav",
            "1767226140.9-1001-1003-Inbound-1.wav",
            "1767226140.9-1001-1003-Inbound_1.wav",
            "1767226140_9-1001-1003-Inbound.wav",
            "1767226140_9-+44-20-5550147-1001-Inbound-1.MP3",
            "1767226140.9-1001-Internal.yswav",
            "1767226140.9-Internal",
            "1767226140.9-",
            "1767226140.9.wav",
            "1767226140_9.mp3",
            "1767226140.9",
        ] {
            let name: RecordingName = format!("20260101000900-{rest}").parse().unwrap();
            check_start(name.as_str(), known);
            assert_eq!(name.call_id().as_deref(), Some("1767226140.9"), "{name}");
        }
        check_start("20240229000000-946684870.1-a-b-c-d.wav", Some(946_684_870));
        check_start(
            "20990101000000-4070908800.1-a-b-c-d.wav",
            Some(4_070_908_800),
        );
        let further = "a-b-c-d-Inbound.wav";
        for front in [
            // Names without a time stamp at the start.
            "x-1767226140.9",
            "0-1767226140.9",
            "2026010100090-1767226140.9",
            "202601010009000-1767226140.9",
            "20261301000900-1767226140.9",
            "20230229000000-1767226140.9",
            "2026-01-01-1767226140.9",
            "-1767226140.9",
            // Names whose first two fields are others.
            "x-20260101000900-1767226140.9",
            "20260101000900-20260101000900-1767226140.9",
            "20260101000900--1767226140.9",
            // Names without an epoch and a counter.
            "20260101000900-17672261400.9",
            "20260101000900-17672261.9",
            "20260101000900-1767226140",
            "20260101000900-1767226140.",
            "20260101000900-1767226140.9.9",
            "20260101000900-1767226140._9",
            "20260101000900-1767226140,9",
            "20260101000900-+767226140.9",
            "20260101000900-1767226140.+9",
            "20260101000900-\u{661}767226140.9",
            "20260101000900-1767226140.9x",
            "20260101000900- 1767226140.9",
        ] {
            check_start(&format!("{front}-{further}"), None);
        }
        for two in [
            "1767226140.9.9",
            "1767226140.x.wav",
            "1767226140.wav",
            "1767226140.9.x.wav",
        ] {
            check_start(&format!("20260101000900-{two}"), None);
        }
        check_start("x-1767226140.9.wav", None);
    }

    proptest! {
        #[test]
        fn a_start_is_found_wherever_there_is_one(epoch in 100_000_000_u64..10_000_000_000, caller in "[0-9+*# a-z]{1,12}") {
            let name: RecordingName = format!("0-{epoch}.7-{caller}-1000-Inbound.wav").parse().unwrap();
            prop_assert_eq!(name.call_started(), Some(SystemTime::UNIX_EPOCH + Duration::from_secs(epoch)));
        }

        #[test]
        fn nothing_behind_the_first_two_fields_moves_them(rest in "[0-9a-zA-Z+_.-]{0,60}", dot in "[._]") {
            let name: RecordingName = format!("20260101000900-1767226140{dot}9-{rest}").parse().unwrap();
            prop_assert_eq!(name.call_id(), Some("1767226140.9".to_owned()));
        }
    }
}

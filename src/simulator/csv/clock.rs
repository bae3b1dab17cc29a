//! Times as the box writes them: `YYYY-MM-DD HH:MM:SS`, in local time.
//!
//! Knows how to write a time, and which texts are not a time. Does not know where times are used.
//!
//! Source: the samples in Yeastar, "S-Series API Guide", "CDR".

use crate::simulator::calls::LocalTime;

/// Writes a time given in seconds of the Unix epoch.
pub(in crate::simulator) fn write_clock(epoch: i64, utc_offset_s: i64) -> String {
    let time = LocalTime::from_epoch(epoch, utc_offset_s);
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
        time.year, time.month, time.day, time.hour, time.minute, time.second
    )
}

/// Reads a time into seconds of the Unix epoch. Returns `None` for every text that [`write_clock`]
/// does not write.
pub(in crate::simulator) fn read_clock(text: &str, utc_offset_s: i64) -> Option<i64> {
    let (date, clock) = text.split_once(' ')?;
    let [year, month, day] = three(date, '-')?;
    let [hour, minute, second] = three(clock, ':')?;
    let time = LocalTime {
        year,
        month,
        day,
        hour,
        minute,
        second,
    };
    let plausible = (1..=12).contains(&month) && year <= 9_999;
    let epoch = plausible.then(|| time.to_epoch(utc_offset_s))?;
    // Writing the time again finds dates that do not exist (30 February becomes another day) and a
    // wrong number of digits.
    (write_clock(epoch, utc_offset_s) == text).then_some(epoch)
}

fn three(text: &str, separator: char) -> Option<[i64; 3]> {
    let mut numbers = text.split(separator).map(|digits| {
        let number = digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<u16>().ok().filter(|_| number).map(i64::from)
    });
    let three = [numbers.next()??, numbers.next()??, numbers.next()??];
    numbers.next().is_none().then_some(three)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<i64>) {
        assert_eq!(read_clock(text, 3_600), expected);
    }

    #[test]
    fn a_text_that_is_not_a_time_is_refused() {
        check("1970-01-01 01:00:00", Some(0));
        check("2026-01-01 00:00:00", Some(1_767_222_000));
        check("2024-02-29 23:59:59", Some(1_709_247_599));
        check("2026-02-29 00:00:00", None);
        check("2026-13-01 00:00:00", None);
        check("2026-01-01 24:00:00", None);
        check("2026-01-01 00:60:00", None);
        check("2026-01-01T00:00:00", None);
        check("2026-01-01 0:00:00", None);
        check("2026-01-01  00:00:00", None);
        check("2026-01-01 00:00:00 ", None);
        check("+026-01-01 00:00:00", None);
        check("2026-01-01 00:00", None);
        check("2026-01-01", None);
        check("01/01/2026 00:00:00", None);
    }
}

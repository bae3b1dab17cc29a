//! Ranges, for boxes that honour them.
//!
//! Knows a single byte range (RFC 9110, section 14.1.2). Does not know conditions: with `If-Range`,
//! or more than one range, the whole recording is sent.

/// Which part of a recording a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Whole,
    /// From the first to before the second.
    Part(usize, usize),
    Nothing,
}

/// Reads the value of a `Range` field for a recording of `length` bytes.
pub(super) fn wanted(range: &str, length: usize) -> Wanted {
    let Some((first, last)) = range
        .trim()
        .strip_prefix("bytes=")
        .and_then(|range| range.split_once('-'))
    else {
        return Wanted::Whole;
    };
    match (first.parse::<usize>(), last.parse::<usize>()) {
        (Ok(first), _) if first >= length && (last.is_empty() || last.parse::<usize>().is_ok()) => {
            Wanted::Nothing
        }
        (Ok(first), Ok(last)) if first <= last => {
            Wanted::Part(first, length.min(last.saturating_add(1)))
        }
        (Ok(first), Err(_)) if last.is_empty() => Wanted::Part(first, length),
        (Err(_), Ok(0)) if first.is_empty() => Wanted::Nothing,
        (Err(_), Ok(last)) if first.is_empty() && length > 0 => {
            Wanted::Part(length.saturating_sub(last), length)
        }
        _ => Wanted::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(range: &str, expected: Wanted) {
        assert_eq!(wanted(range, 100), expected);
    }

    #[test]
    fn single_ranges_are_understood() {
        check("bytes=0-", Wanted::Part(0, 100));
        check("bytes=10-19", Wanted::Part(10, 20));
        check("bytes=90-500", Wanted::Part(90, 100));
        check("bytes=-5", Wanted::Part(95, 100));
        check("bytes=-500", Wanted::Part(0, 100));
        check("bytes=-0", Wanted::Nothing);
        check("bytes=100-", Wanted::Nothing);
        check("bytes=5-4", Wanted::Whole);
        check("bytes=0-1,3-4", Wanted::Whole);
        check("lines=0-1", Wanted::Whole);
    }
}

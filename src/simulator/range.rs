//! The byte ranges of requests, for boxes that honor them.
//!
//! Knows a single byte range (RFC 9110, section 14.1.2). Does not know conditions: the
//! caller sends the whole recording to a request with `If-Range`. So does this module if there are
//! several ranges.

/// The part of a recording that a request gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestedPart {
    Whole,
    /// The bytes from the first position to before the second.
    Range(usize, usize),
    /// No byte, because the range lies outside the recording.
    Unsatisfiable,
}

/// Reads the value of a `Range` field, for a recording of `length` bytes.
pub(super) fn requested_part(range: &str, length: usize) -> RequestedPart {
    let Some((first, last)) = range
        .trim()
        .strip_prefix("bytes=")
        .and_then(|range| range.split_once('-'))
    else {
        return RequestedPart::Whole;
    };
    match (first.parse::<usize>(), last.parse::<usize>()) {
        (Ok(first), _) if first >= length && (last.is_empty() || last.parse::<usize>().is_ok()) => {
            RequestedPart::Unsatisfiable
        }
        (Ok(first), Ok(last)) if first <= last => {
            RequestedPart::Range(first, length.min(last.saturating_add(1)))
        }
        (Ok(first), Err(_)) if last.is_empty() => RequestedPart::Range(first, length),
        (Err(_), Ok(0)) if first.is_empty() => RequestedPart::Unsatisfiable,
        (Err(_), Ok(last)) if first.is_empty() && length > 0 => {
            RequestedPart::Range(length.saturating_sub(last), length)
        }
        _ => RequestedPart::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(range: &str, expected: RequestedPart) {
        assert_eq!(requested_part(range, 100), expected);
    }

    #[test]
    fn a_single_range_is_read_and_several_are_ignored() {
        check("bytes=0-", RequestedPart::Range(0, 100));
        check("bytes=10-19", RequestedPart::Range(10, 20));
        check("bytes=90-500", RequestedPart::Range(90, 100));
        check("bytes=-5", RequestedPart::Range(95, 100));
        check("bytes=-500", RequestedPart::Range(0, 100));
        check("bytes=-0", RequestedPart::Unsatisfiable);
        check("bytes=100-", RequestedPart::Unsatisfiable);
        check("bytes=5-4", RequestedPart::Whole);
        check("bytes=0-1,3-4", RequestedPart::Whole);
        check("lines=0-1", RequestedPart::Whole);
    }
}

//! Ranges, for boxes that honour them.
//!
//! Knows a single byte range (RFC 9110, section 14.1.2). Does not know conditions: with `If-Range`,
//! or more than one range, the whole recording is sent.

/// Which part of a recording a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestedPart {
    Whole,
    /// From the first to before the second.
    Range(usize, usize),
    Unsatisfiable,
}

/// Reads the value of a `Range` field for a recording of `length` bytes.
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
    fn single_ranges_are_understood() {
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

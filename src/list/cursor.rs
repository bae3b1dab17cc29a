//! The cursor: the end of a page, as a text that the caller sends back for the next page.
//!
//! Knows its bytes and the query that it belongs to. Does not know how the position is found again.
//! Pure.
//!
//! A cursor is not a secret and gives no right: a made-up one gets a page of the list that the
//! caller may see anyway. It has a hash of its query, so that a cursor of another query is an error
//! and not a wrong page.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{ListFilter, Order, Second};
use crate::recording::RecordingName;

const VERSION: u8 = 1;
const START_KIND: u8 = 0;
const ID_KIND: u8 = 1;

/// The last entry of a page. The next page begins after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Position {
    /// In a list that the gateway sorts.
    Start(SortKey),
    /// In a list that the PBX sorts by its own ids. `place` is the number of entries up to this one
    /// when the page was made.
    Id { last: u64, place: u64 },
}

/// The sort key of an entry: its start, then its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SortKey {
    pub(crate) start: Second,
    /// A text and not a [`RecordingName`], which has no order.
    pub(crate) name: String,
}

/// Identifies the query of a cursor.
pub(super) type Fingerprint = [u8; 8];

/// The text is not a cursor, or is one of another query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CursorError;

/// The hash of everything that determines the order and the choice of entries. The page size may
/// change between pages.
pub(super) fn fingerprint(pbx: &str, filter: &ListFilter, order: Order) -> Fingerprint {
    let direction = filter.direction.map(super::Direction::as_str);
    let all = (
        (pbx, order.as_str(), direction),
        (filter.from, filter.to),
        (&filter.caller, &filter.callee),
    );
    // In JSON, different queries always have different texts.
    let text = serde_json::to_string(&all).unwrap_or_default();
    let hash = digest(&SHA256, text.as_bytes());
    let first = hash.as_ref().first_chunk();
    first.copied().unwrap_or_default()
}

pub(super) fn encode(position: &Position, fingerprint: Fingerprint) -> String {
    let mut bytes = vec![VERSION];
    bytes.extend(fingerprint);
    match position {
        Position::Start(SortKey { start, name }) => {
            bytes.push(START_KIND);
            bytes.extend(start.to_be_bytes());
            bytes.extend(name.as_bytes());
        }
        Position::Id { last, place } => {
            bytes.push(ID_KIND);
            bytes.extend(last.to_be_bytes());
            bytes.extend(place.to_be_bytes());
        }
    }
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(super) fn decode(text: &str, fingerprint: Fingerprint) -> Result<Position, CursorError> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| CursorError)?;
    read(&bytes, fingerprint).ok_or(CursorError)
}

fn read(bytes: &[u8], fingerprint: Fingerprint) -> Option<Position> {
    let rest = bytes.strip_prefix(&[VERSION])?;
    let rest = rest.strip_prefix(&fingerprint)?;
    let (kind, rest) = rest.split_first()?;
    let (number, rest) = rest.split_first_chunk::<8>()?;
    match *kind {
        START_KIND => {
            let name: RecordingName = str::from_utf8(rest).ok()?.parse().ok()?;
            Some(Position::Start(SortKey {
                start: Second::from_be_bytes(*number),
                name: name.as_str().to_owned(),
            }))
        }
        ID_KIND => Some(Position::Id {
            last: u64::from_be_bytes(*number),
            place: Some(u64::from_be_bytes(rest.try_into().ok()?)).filter(|place| *place > 0)?,
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mark() -> Fingerprint {
        fingerprint("office", &ListFilter::default(), Order::Ascending)
    }

    #[track_caller]
    fn check(position: &Position) {
        let text = encode(position, mark());
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        assert!(text.bytes().all(plain), "{text}");
        assert_eq!(decode(&text, mark()).as_ref(), Ok(position));
        let other = fingerprint("office", &ListFilter::default(), Order::Descending);
        assert_eq!(decode(&text, other), Err(CursorError));
    }

    #[test]
    fn a_cursor_comes_back_as_it_went() {
        for name in ["a.wav", "Jörg +49*.wav", &"x".repeat(255)] {
            for start in [i64::MIN, -1, 0, 1_772_442_845] {
                let name = name.to_owned();
                check(&Position::Start(SortKey { start, name }));
            }
        }
        for (last, place) in [(0, 1), (u64::MAX, u64::MAX)] {
            check(&Position::Id { last, place });
        }
    }

    #[test]
    fn a_text_that_is_not_a_cursor_is_refused() {
        let good = encode(&Position::Id { last: 7, place: 1 }, mark());
        let no_place = encode(&Position::Id { last: 7, place: 0 }, mark());
        let no_name = encode(
            &Position::Start(SortKey {
                start: 0,
                name: "../x".to_owned(),
            }),
            mark(),
        );
        for text in [
            "",
            "A",
            "====",
            &good[1..],
            &good[..good.len() - 2],
            &format!("{good}AA"),
            &no_place,
            &no_name,
        ] {
            assert_eq!(decode(text, mark()), Err(CursorError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = read(&bytes, mark());
            let _ = read(&[&[VERSION], &mark()[..], &bytes].concat(), mark());
        }
    }
}

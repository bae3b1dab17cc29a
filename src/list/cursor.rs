//! The cursor: where a page ended, in a text that a caller hands back.
//!
//! Knows its bytes and which query it belongs to. Does not know how the place is found again. Pure.
//!
//! A cursor is no secret and gives no right: whoever makes one up gets a page of the list that they may see anyway. It
//! has a hash of its query, so that one that was put to another query is a mistake and not a wrong page.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{ListFilter, Order, Second};
use crate::recording::RecordingName;

const VERSION: u8 = 1;
const START_KIND: u8 = 0;
const ID_KIND: u8 = 1;

/// The last entry of a page: the next one begins behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Position {
    /// In a list that is put in order by the gateway.
    Start(SortKey),
    /// In a list that the PBX keeps in the order of its own ids; `place` is how many
    /// entries stood up to this one when it was seen.
    Id { last: u64, place: u64 },
}

/// The place of an entry: its start, then its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SortKey {
    pub(crate) start: Second,
    /// Text and not a name, which has no order.
    pub(crate) name: String,
}

/// What the cursors of one query have in common.
pub(super) type Fingerprint = [u8; 8];

/// A text is no cursor, or not of this query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CursorError;

/// The hash of all that decides about the order and the choice of entries. The size of pages may change on the way.
pub(super) fn fingerprint(pbx: &str, filter: &ListFilter, order: Order) -> Fingerprint {
    let direction = filter.direction.map(super::Direction::as_str);
    let all = (
        (pbx, order.as_str(), direction),
        (filter.from, filter.to),
        (&filter.caller, &filter.callee),
    );
    // As JSON, no two different queries read the same.
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
    fn a_text_that_is_no_cursor_is_refused() {
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

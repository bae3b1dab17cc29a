//! A page as callers receive it: a JSON document, and the address of the next page.
//!
//! Knows the fields and how addresses are made. Does not know where entries come from. Pure.
//!
//! Sources: RFC 3339 (times), RFC 8288 (`Link`). Addresses are made from `server.public_url`, never
//! from a request's `Host`. Without it they begin with the path.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Serialize, Serializer};
use url::Url;

use super::{ListEntry, Query, Second, UnreadableRows};

/// More than most rows have.
const USUAL_ROW_BYTES: usize = 384;

#[derive(Serialize)]
struct ListDocument<'a, R> {
    recordings: R,
    next: Option<&'a str>,
    /// Absent if there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    unreadable: Option<u64>,
}

#[derive(Serialize)]
struct RecordingMember<'a> {
    name: &'a str,
    url: String,
    pbx: &'a str,
    started_at: Option<String>,
    caller: Option<&'a str>,
    callee: Option<&'a str>,
    direction: Option<&'static str>,
    duration_s: Option<u64>,
    size_bytes: Option<u64>,
    call_id: Option<&'a str>,
}

/// The rows, each made when it is written: together they would take as much memory as the document.
struct Members<'e, M> {
    entries: &'e [ListEntry],
    member: M,
}

impl<'e, M: Fn(&'e ListEntry) -> RecordingMember<'e>> Serialize for Members<'e, M> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.entries.iter().map(&self.member))
    }
}

/// Writes a page of the list of `pbx`, whose clocks are in `zone`.
pub(crate) fn write<'e>(
    entries: &'e [ListEntry],
    next: Option<&str>,
    unreadable: &UnreadableRows,
    pbx: &'e str,
    zone: &TimeZone,
    public_url: Option<&Url>,
) -> Vec<u8> {
    let base = base(public_url);
    let member = |entry: &'e ListEntry| RecordingMember {
        name: entry.name.as_str(),
        url: format!("{base}/pbx/{pbx}/recordings/{}", entry.name.encoded()),
        pbx,
        started_at: entry.started.and_then(|start| with_offset(start, zone)),
        caller: entry.caller.as_deref(),
        callee: entry.callee.as_deref(),
        direction: entry.direction.map(super::Direction::as_str),
        duration_s: entry.duration_s,
        size_bytes: entry.size_bytes,
        call_id: entry.call_id.as_deref(),
    };
    let document = ListDocument {
        recordings: Members { entries, member },
        next,
        unreadable: Some(unreadable.rows).filter(|rows| *rows > 0),
    };
    let mut text = Vec::with_capacity((entries.len() + 1) * USUAL_ROW_BYTES);
    // Texts and numbers under names can always be written as JSON.
    let written = serde_json::to_writer(&mut text, &document);
    written.map_or_else(|_| Vec::new(), |()| text)
}

/// The value of a `Link` field for the next page. It names the PBX, since a path without one may
/// mean another PBX later.
pub(crate) fn next_link(
    query: &Query,
    cursor: &str,
    pbx: &str,
    public_url: Option<&Url>,
) -> String {
    let base = base(public_url);
    format!(
        "<{base}/pbx/{pbx}/recordings?{}>; rel=\"next\"",
        query.with_cursor(cursor)
    )
}

fn base(public_url: Option<&Url>) -> &str {
    public_url.map_or("", |url| url.as_str().trim_end_matches('/'))
}

fn with_offset(start: Second, zone: &TimeZone) -> Option<String> {
    let time = Timestamp::from_second(start).ok()?.to_zoned(zone.clone());
    Some(time.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::ListRow;
    use super::*;

    const NAME: &str = "20260302091407-1772442845.1203-+49 30-1003-Inbound.wav";

    fn written(row: ListRow, public_url: Option<&str>) -> Value {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let entry = ListEntry::from_row(row, &zone).unwrap();
        let public_url = public_url.map(|url| url.parse().unwrap());
        let none = UnreadableRows::default();
        let text = write(
            &[entry],
            Some("c"),
            &none,
            "office",
            &zone,
            public_url.as_ref(),
        );
        serde_json::from_slice(&text).unwrap()
    }

    #[test]
    fn an_entry_has_every_known_value() {
        let row = ListRow {
            name: NAME.to_owned(),
            local_start: None,
            caller: "Jo<+49 30>".to_owned(),
            callee: "1003".to_owned(),
            direction: "Inbound".to_owned(),
            duration_s: Some(12),
            size_bytes: Some(192_308),
            call_id: "1772442845.1203".to_owned(),
        };
        let path =
            "/pbx/office/recordings/20260302091407-1772442845.1203-%2B49%2030-1003-Inbound.wav";
        let expected = json!({
            "recordings": [{
                "name": NAME,
                "url": format!("https://calls.test:8443{path}"),
                "pbx": "office",
                "started_at": "2026-03-02T10:14:05+01:00",
                "caller": "+49 30",
                "callee": "1003",
                "direction": "inbound",
                "duration_s": 12,
                "size_bytes": 192_308,
                "call_id": "1772442845.1203",
            }],
            "next": "c",
        });
        assert_eq!(
            written(row.clone(), Some("https://calls.test:8443")),
            expected
        );
        assert_eq!(written(row, None)["recordings"][0]["url"], path);
    }

    #[test]
    fn an_absent_value_is_null() {
        let row = ListRow {
            name: "hello001".to_owned(),
            ..ListRow::default()
        };
        let document = written(row, None);
        let entry = document["recordings"][0].as_object().unwrap();
        let nulls = entry.values().filter(|value| value.is_null()).count();
        assert_eq!((entry.len(), nulls), (10, 7));
        let empty = |unreadable| write(&[], None, &unreadable, "office", &TimeZone::UTC, None);
        let mut unreadable = UnreadableRows::default();
        assert_eq!(empty(unreadable), br#"{"recordings":[],"next":null}"#);
        unreadable.add(2, "odd");
        let odd = br#"{"recordings":[],"next":null,"unreadable":2}"#;
        assert_eq!(empty(unreadable), odd);
    }

    #[test]
    fn the_next_page_has_an_address() {
        let query = Query::parse(Some("order=asc"), "office", &TimeZone::UTC).unwrap();
        let url = "http://127.0.0.1:8080".parse().unwrap();
        let link = |url| next_link(&query, "AbC", "office", url);
        let path = "/pbx/office/recordings?order=asc&cursor=AbC>; rel=\"next\"";
        assert_eq!(link(None), format!("<{path}"));
        assert_eq!(link(Some(&url)), format!("<http://127.0.0.1:8080{path}"));
    }
}

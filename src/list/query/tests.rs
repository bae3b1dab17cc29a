//! Parameters that are accepted, and those that are refused.

use proptest::prelude::*;

use super::*;

fn zone() -> TimeZone {
    TimeZone::get("Europe/Berlin").unwrap()
}

fn parse(query: &str) -> Result<Query, QueryError> {
    Query::parse(Some(query), "office", &zone())
}

#[track_caller]
fn check_from(text: &str, expected: Result<Second, QueryError>) {
    let query = parse(&format!("from={text}"));
    assert_eq!(
        query.map(|query| query.filter.from),
        expected.map(Some),
        "{text}"
    );
}

#[test]
fn a_time_without_an_offset_is_the_pbxs_local_time() {
    let nine = 1_772_442_000; // 2026-03-02T09:00:00Z
    check_from("2026-03-02T09:00:00Z", Ok(nine));
    check_from("2026-03-02T10:00:00+01:00", Ok(nine));
    check_from("2026-03-02T10:00:00%2B01:00", Ok(nine));
    check_from("2026-03-02T04:00:00-05:00", Ok(nine));
    check_from("2026-03-02T09:00:00.25Z", Ok(nine + 1));
    check_from("2026-03-02T10:00:00", Ok(nine));
    check_from("2026-03-02%2010:00", Ok(nine));
    check_from("2026-03-02T09:59:59.5", Ok(nine));
    check_from("2026-03-02", Ok(nine - 10 * 3_600));
    check_from("1969-12-31T23:59:59Z", Ok(-1));
    for wrong in [
        "",
        "yesterday",
        "1772442000",
        "2026-02-30",
        "2026-03-02T25:00:00Z",
        "2026-03-02+01:00",
        "2026-03-02T10:00:00[Europe/Berlin]",
        "2026-03-02T10:00:00+01:00[Europe/Berlin]",
        "2026-03",
        "%FF",
    ] {
        check_from(wrong, Err(QueryError::Value("from")));
    }
}

#[track_caller]
fn refused(query: &str, error: QueryError) {
    assert_eq!(parse(query), Err(error), "{query}");
}

#[test]
fn an_unknown_or_wrong_parameter_is_refused() {
    refused("form=2026-03-02", QueryError::Unknown);
    refused("FROM=2026-03-02", QueryError::Unknown);
    refused("download=1", QueryError::Unknown);
    refused("order=asc&order=asc", QueryError::Repeated("order"));
    refused("caller=1&link=x&caller=2", QueryError::Repeated("caller"));
    refused("from=2026-03-02&to=2026-03-02", QueryError::Empty);
    refused("from=2026-03-03&to=2026-03-02", QueryError::Empty);
    for name in [
        "from",
        "to",
        "caller",
        "callee",
        "direction",
        "order",
        "page_size",
        "cursor",
    ] {
        refused(&format!("{name}="), QueryError::Value(name));
        refused(name, QueryError::Value(name));
    }
    refused("caller=%20", QueryError::Value("caller"));
    refused("callee=1%0A", QueryError::Value("callee"));
    refused("direction=Inbound", QueryError::Value("direction"));
    refused("order=newest", QueryError::Value("order"));
    for size in ["0", "1001", "-1", "+1", "1.0", "99999999999999999999"] {
        refused(&format!("page_size={size}"), QueryError::Value("page_size"));
    }
    refused("cursor=AAAA", QueryError::Cursor);
}

#[test]
fn an_absent_parameter_has_its_default() {
    let query = Query::parse(None, "office", &zone()).unwrap();
    assert_eq!(query, parse("").unwrap());
    assert_eq!(query, parse("&link=x.y.z&").unwrap());
    assert_eq!(query.filter, ListFilter::default());
    assert_eq!((query.order, query.page_size), (Order::Descending, 100));
    let query = parse("page_size=1000&order=asc&caller=+49%2030&direction=inbound").unwrap();
    assert_eq!((query.order, query.page_size), (Order::Ascending, 1_000));
    assert_eq!(query.filter.caller.as_deref(), Some("+49 30"));
    assert_eq!(query.filter.direction, Some(Direction::Inbound));
}

fn position() -> Position {
    Position::Id { last: 7, place: 3 }
}

#[test]
fn a_cursor_works_for_its_own_query_only() {
    let first = "from=2026-03-02&to=2026-04-01&order=asc";
    let cursor = parse(first).unwrap().cursor(&position());
    let again = parse(&format!("cursor={cursor}&{first}&page_size=7")).unwrap();
    assert_eq!(again.after, Some(position()));
    for other in [
        "from=2026-03-02&to=2026-04-01",
        "from=2026-03-02&to=2026-04-02&order=asc",
        "from=2026-03-02&to=2026-04-01&order=asc&caller=1",
        "order=asc",
    ] {
        refused(&format!("{other}&cursor={cursor}"), QueryError::Cursor);
    }
    let elsewhere = format!("{first}&cursor={cursor}");
    let elsewhere = Query::parse(Some(&elsewhere), "branch", &zone());
    assert_eq!(elsewhere, Err(QueryError::Cursor));
}

#[test]
fn the_next_page_keeps_all_parameters_but_the_credential() {
    let query = parse("caller=+49%2630&link=x.y.z&page_size=7").unwrap();
    let next = query.with_cursor("AbC-_");
    assert_eq!(next, "caller=%2B49%2630&page_size=7&cursor=AbC-_");
}

fn entry(started: Option<Second>, caller: &str) -> ListEntry {
    ListEntry {
        name: "a.wav".parse().unwrap(),
        started,
        start_is_named: true,
        caller: Some(caller.to_owned()),
        callee: None,
        direction: Some(Direction::Inbound),
        duration_s: None,
        size_bytes: None,
        call_id: None,
    }
}

#[test]
fn a_window_includes_its_start_and_not_its_end() {
    let filter = |query: &str| parse(query).unwrap().filter;
    let window = filter("from=1970-01-01T00:00:10Z&to=1970-01-01T00:00:20Z");
    let wanted = [9, 10, 19, 20].map(|second| window.matches(&entry(Some(second), "1")));
    assert_eq!(wanted, [false, true, true, false]);
    assert!(!window.matches(&entry(None, "1")));
    let caller = filter("caller=100");
    assert!(caller.matches(&entry(None, "100")) && !caller.matches(&entry(None, "1001")));
    assert!(!filter("callee=100").matches(&entry(None, "100")));
    assert!(!filter("direction=internal").matches(&entry(None, "100")));
}

proptest! {
    #[test]
    fn no_query_makes_the_reader_panic(query in "(from|to|caller|page_size|cursor|order)=[-0-9a-zA-Z%+:.T ]{0,30}(&.{0,20})?") {
        let _ = parse(&query);
    }
}

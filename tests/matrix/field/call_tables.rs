//! One odd row in a table of calls.
//!
//! The kind: a list with many good rows and one row that a PBX, or a name typed by a person, has
//! spoilt. In the table (CSV) of an S-Series from 1.1.0 on and of a Cloud PBX these are: an
//! unquoted comma or quotation mark anywhere before or after the name of the recording; missing
//! empty fields at the end; line breaks, quoted or not; a line that is not a row; a name that no
//! address can hold. In the pages (JSON) of a P-Series they are an entry that is not an object, an
//! entry without a member, or one whose member has another type. Every good row is listed, and
//! every unreadable row is counted: in the answer (`unreadable`), in the log and in a metric.
//!
//! The rule must not permit the following. A table that was cut, or that an error interrupts, looks
//! whole. A row whose values have slipped into other columns lists something that is not a
//! recording, or disappears without being counted. A caller learns more about a row that they may
//! not hear than that an unreadable row exists.
//!
//! Other tests cover the pieces in which a table arrives, UTF-8 in names, and properties:
//! `src/pbx/dialect/csv.rs`, `s_series/columns.rs`, `p_series/list.rs`.

use http::{Method, StatusCode};
use serde_json::{Value, json};
use wavegate::simulator::{
    Api, Builder, CallKind, CallRecord, Misbehavior, ScriptedFault, Simulator, Switch,
};

use crate::harness::list::{WINDOW, page};
use crate::harness::metrics::Numbers;
use crate::harness::programs::{lines, serve};
use crate::harness::{Call, Gateway, PBX, gateway, jwt};

const TABLES: [Api; 4] = [
    Api::SSeries110,
    Api::SSeries200,
    Api::Cloud110,
    Api::Cloud200,
];
const CALLS: u32 = 12;

fn call(number: u32) -> CallRecord {
    CallRecord::numbered(number, 0)
}

fn name(number: u32) -> String {
    call(number).recording
}

/// A PBX with calls of which some have exactly these rows.
fn with_rows(api: Api, rows: &[(u32, String)]) -> Builder {
    let builder = Simulator::builder(api).calls((0..CALLS).map(call));
    rows.iter().fold(builder, |builder, (number, text)| {
        builder.odd_row(name(*number), text)
    })
}

/// A page of a list as a JSON document.
async fn document(gateway: &Gateway, target: &str) -> Value {
    let asked = gateway.request(Method::GET, target);
    let answer = asked.bearer(&jwt("alice")).send().await;
    assert_eq!(answer.status(), StatusCode::OK);
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
}

/// All pages of a list: the names in it, and each page's number of unreadable rows.
async fn pages(gateway: &Gateway, query: &str) -> (Vec<String>, Vec<u64>) {
    let (mut names, mut unreadable) = (Vec::new(), Vec::new());
    let mut cursor = String::new();
    loop {
        let page = document(gateway, &format!("/recordings?{WINDOW}&{query}{cursor}")).await;
        for entry in page["recordings"].as_array().unwrap() {
            names.push(entry["name"].as_str().unwrap().to_owned());
        }
        let rows = page.get("unreadable").map(|rows| rows.as_u64().unwrap());
        assert_ne!(rows, Some(0), "what is not there is not told");
        unreadable.push(rows.unwrap_or_default());
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return (names, unreadable),
        }
    }
}

/// Lists in both orders and in pages of several sizes. Checks that all calls but those in
/// `left_out` are there, and that each page states `unreadable`.
async fn check(api: Api, what: &str, rows: &[(u32, String)], left_out: &[u32], unreadable: u64) {
    let pbx = with_rows(api, rows).start().await.unwrap();
    let gateway = gateway(&pbx).start().await;
    let mut expected: Vec<String> = (0..CALLS)
        .filter(|number| !left_out.contains(number))
        .map(name)
        .collect();
    for order in ["asc", "desc"] {
        for size in [5, 100] {
            let query = format!("order={order}&page_size={size}");
            let (names, told) = pages(&gateway, &query).await;
            assert_eq!(names, expected, "{api} {what} {query}");
            assert!(
                told.iter().all(|rows| *rows == unreadable),
                "{what} {told:?}"
            );
        }
        expected.reverse();
    }
}

/// The column of the recording's name, in either form of the table.
const RECORDING: usize = 11;
const CALLER: usize = 2;
const CALLEE: usize = 3;

/// The fields of a call as a PBX writes them. The last two are empty.
fn fields(api: Api, call: &CallRecord) -> Vec<String> {
    let started = jiff::Timestamp::from_second(call.started).unwrap();
    let time = started.strftime("%Y-%m-%d %H:%M:%S").to_string();
    let id = call.recording.split('-').nth(1).unwrap();
    let common = [id, &time, &call.caller, &call.callee, "31", "29", "", ""];
    let rest: &[&str] = match api {
        Api::SSeries110 | Api::Cloud110 => &["ANSWERED", "Internal", "", &call.recording, "", ""],
        _ => &["", "ANSWERED", "Internal", &call.recording, "", "", ""],
    };
    let all = common.iter().chain(rest);
    all.map(|field| (*field).to_owned()).collect()
}

/// The row of a call after `change` of its fields.
fn row(api: Api, number: u32, change: impl Fn(&mut Vec<String>)) -> (u32, String) {
    let mut fields = fields(api, &call(number));
    change(&mut fields);
    (number, fields.join(","))
}

fn with(index: usize, value: &str) -> impl Fn(&mut Vec<String>) {
    move |fields| fields[index] = value.to_owned()
}

#[tokio::test]
async fn an_unquoted_comma_costs_only_its_own_row() {
    for api in TABLES {
        let serial = fields(api, &call(0)).len() - 1;
        for (what, value) in [
            ("one", "Doe, Jo<0205550147>"),
            ("two", "Doe, Jo, Dr.<0205550147>"),
            ("nothing behind it", "Doe,"),
        ] {
            for field in [CALLER, CALLEE] {
                let odd = row(api, 5, with(field, value));
                check(api, what, &[odd], &[5], 1).await;
                // If the last field is not empty, or is missing, the row still has the right width.
                let odd = row(api, 5, |fields| {
                    with(field, value)(fields);
                    with(serial, "36")(fields);
                });
                check(api, what, &[odd], &[5], 1).await;
                let odd = row(api, 5, |fields| {
                    with(field, value)(fields);
                    fields.pop();
                });
                check(api, what, &[odd], &[5], 1).await;
            }
        }
        // A comma after the name puts no value into a column that is read, but the reader cannot
        // know that.
        let odd = row(api, 5, with(serial, "3,6"));
        check(api, "behind the name", &[odd], &[5], 1).await;
        let all: Vec<_> = (0..CALLS)
            .map(|number| row(api, number, with(CALLER, "Doe, Jo")))
            .collect();
        let numbers: Vec<u32> = (0..CALLS).collect();
        check(api, "every row", &all, &numbers, CALLS.into()).await;
    }
}

#[tokio::test]
async fn a_row_without_its_last_empty_fields_is_read() {
    for api in TABLES {
        let short = |length: usize| move |fields: &mut Vec<String>| fields.truncate(length);
        let width = fields(api, &call(0)).len();
        for length in RECORDING + 1..width {
            let rows = [0, 5, CALLS - 1].map(|number| row(api, number, short(length)));
            check(api, "recorded", &rows, &[], 0).await;
        }
        // A call without a recording does not count as unreadable if its type is there. After the
        // type only empty fields are missing; before it the row may have been cut.
        for (length, unreadable) in [(2, 1), (RECORDING, 0), (RECORDING + 1, 0), (width, 0)] {
            let unrecorded = row(api, 5, |fields| {
                with(RECORDING, "")(fields);
                fields.truncate(length);
            });
            check(api, "unrecorded", &[unrecorded], &[5], unreadable).await;
        }
        // With one field less before the name, the name would be in another column.
        let slipped = row(api, 5, |fields| drop(fields.remove(CALLEE)));
        check(api, "one field less", &[slipped], &[5], 1).await;
        let stump = row(api, 5, short(1));
        check(api, "a stump", &[stump], &[5], 1).await;
    }
}

#[tokio::test]
async fn an_unclosed_quotation_mark_costs_only_its_own_row() {
    for api in TABLES {
        for stray in ["\"Doe<0205550147>", "\"", "\"Doe, Jo<1>", "\"\"\""] {
            let odd = |number| row(api, number, with(CALLER, stray));
            check(api, stray, &[odd(3)], &[3], 1).await;
            check(api, stray, &[odd(3), odd(8)], &[3, 8], 2).await;
            check(api, stray, &[odd(3), odd(4)], &[3, 4], 2).await;
            check(api, stray, &[odd(0), odd(CALLS - 1)], &[0, CALLS - 1], 2).await;
            let short = |number| {
                row(api, number, |fields| {
                    with(CALLER, stray)(fields);
                    fields.truncate(RECORDING + 1);
                })
            };
            check(api, stray, &[short(3), short(8)], &[3, 8], 2).await;
        }
        // A quotation mark in the middle of a field, or closed in its line, is harmless.
        for harmless in [
            "Jo \"the\" Doe<1>",
            "Jo \"Doe<1>",
            "\"Jo\" Doe<1>",
            "\"Doe, \"\"Jo\"\"<1>\"",
        ] {
            let rows = [3, 8].map(|number| row(api, number, with(CALLER, harmless)));
            check(api, harmless, &rows, &[], 0).await;
        }
    }
}

#[tokio::test]
async fn a_line_break_is_part_of_a_field_only_in_quotation_marks() {
    for api in TABLES {
        for quoted in ["\"Doe\nJo<1>\"", "\"Doe,\r\n\"\"Jo\"\"<1>\""] {
            let rows = [3, 8].map(|number| row(api, number, with(CALLER, quoted)));
            check(api, quoted, &rows, &[], 0).await;
        }
        // Neither half is a row: the first lacks its end, and the second has a recording in a wrong
        // column.
        for caller in ["Doe\nJo<1>", "Doe\n<1>"] {
            let broken = row(api, 5, with(CALLER, caller));
            check(api, "unquoted", &[broken], &[5], 2).await;
        }
    }
}

#[tokio::test]
async fn text_that_is_no_row_is_counted_and_blank_lines_are_not() {
    for api in TABLES {
        let (number, good) = row(api, 5, |_| ());
        for (behind, unreadable) in [
            ("", 0),
            ("\n\n   \n\r\n", 0),
            (&*"\n".repeat(70_000), 0),
            ("\n,,,", 0),
            ("\nTotal: 12", 1),
            ("\nTotal, in all, of this day: 12", 1),
            ("\nhello001\nhello002", 2),
        ] {
            let rows = [(number, format!("{good}{behind}"))];
            check(api, "behind a row", &rows, &[], unreadable).await;
        }
        for unnamable in ["../x.wav", "a/b.wav", ".hidden", &"1".repeat(300)] {
            let odd = row(api, 5, with(RECORDING, unnamable));
            check(api, "no address", &[odd], &[5], 1).await;
        }
    }
}

#[tokio::test]
async fn a_table_of_no_byte_is_an_empty_list_where_its_length_says_so() {
    for api in TABLES {
        for clear in [false, true] {
            let mut builder = with_rows(api, &[]).switch(Switch::CsvEmptyBody);
            if clear {
                builder = builder.switch(Switch::PlainHttp);
            }
            let told = builder.switch(Switch::CdrWithLength).start().await.unwrap();
            let gateway = gateway(&told).start().await;
            let nothing = document(&gateway, &format!("/recordings?{WINDOW}")).await;
            assert_eq!(nothing, json!({ "recordings": [], "next": null }), "{api}");
            assert_eq!(told.seen().requests.cdr_download, 1);
        }
        // A connection that ends before the first byte may also mean that the PBX died.
        let untold = with_rows(api, &[]).switch(Switch::CsvEmptyBody);
        let untold = untold.start().await.unwrap();
        let gateway = gateway(&untold).start().await;
        let problem = page(&gateway, &format!("/recordings?{WINDOW}")).await;
        assert_eq!(problem.err().unwrap().slug, "pbx-protocol", "{api}");
    }
}

#[tokio::test]
async fn a_cut_or_interrupted_table_of_odd_rows_is_a_problem() {
    for api in TABLES {
        let odd = || {
            vec![
                row(api, 0, with(CALLER, "Doe, Jo")),
                row(api, 1, with(CALLER, "\"Doe")),
                row(api, 2, |fields| fields.truncate(RECORDING + 1)),
            ]
        };
        for (what, rest) in [
            ("an object", "{\"status\":\"Failed\",\"errno\":\"20010\"}"),
            ("a page", "<html><body>504, gateway timeout</body></html>"),
        ] {
            let mut rows = odd();
            rows.push((8, rest.to_owned()));
            let pbx = with_rows(api, &rows).start().await.unwrap();
            let gateway = gateway(&pbx).set("pbx.retry_delay_ms", 1).start().await;
            let problem = page(&gateway, &format!("/recordings?{WINDOW}")).await;
            assert_eq!(problem.err().unwrap().slug, "pbx-protocol", "{api} {what}");
        }
        // Within the first row, and anywhere before the announced length.
        for (after_bytes, with_length) in [(200, false), (900, true), (1_150, true)] {
            let pbx = with_rows(api, &odd()).start().await.unwrap();
            let what = Misbehavior::Cut {
                after_bytes,
                with_length,
            };
            pbx.inject(ScriptedFault::forever(CallKind::CdrDownload, what));
            let gateway = gateway(&pbx).set("pbx.retry_delay_ms", 1).start().await;
            let problem = page(&gateway, &format!("/recordings?{WINDOW}")).await;
            let slug = problem.err().unwrap().slug;
            assert_eq!(slug, "pbx-unreachable", "{api} {after_bytes}");
        }
    }
}

/// Entries of a P-Series that cannot be listed. `ID` stands for the id of the entry.
const STRANGERS: [&str; 12] = [
    "7",
    "null",
    "true",
    "\"x\"",
    "[]",
    "{}",
    r#"{"id":null,"file":"FILE"}"#,
    r#"{"id":"x","file":"FILE"}"#,
    r#"{"file":"FILE"}"#,
    r#"{"id":ID}"#,
    r#"{"id":ID,"file":null}"#,
    r#"{"id":ID,"file":{"name":"FILE"}}"#,
];

/// The entry of a call in this form; its id is its place in the list.
fn entry(number: u32, form: &str) -> (u32, String) {
    let id = (number + 1).to_string();
    (
        number,
        form.replace("ID", &id).replace("FILE", &name(number)),
    )
}

#[tokio::test]
async fn an_odd_entry_of_a_p_series_is_counted_once() {
    let check = |rows: Vec<(u32, String)>, switches: &'static [Switch]| async move {
        let left_out: Vec<u32> = rows.iter().map(|(number, _)| *number).collect();
        let mut builder = with_rows(Api::PSeries, &rows);
        for switch in switches {
            builder = builder.switch(*switch);
        }
        let pbx = builder.start().await.unwrap();
        let gateway = gateway(&pbx).start().await;
        let good = (0..CALLS).filter(|number| !left_out.contains(number));
        let mut expected: Vec<String> = good.map(name).collect();
        for order in ["asc", "desc"] {
            for size in [1, 5, 100] {
                let query = format!("order={order}&page_size={size}");
                let (names, told) = pages(&gateway, &query).await;
                assert_eq!(names, expected, "{left_out:?} {query}");
                let sum: u64 = told.iter().sum();
                assert_eq!(sum, left_out.len() as u64, "{rows:?} {query} {told:?}");
            }
            expected.reverse();
        }
    };
    for form in STRANGERS {
        check(vec![entry(5, form)], &[]).await;
        check(vec![entry(0, form), entry(CALLS - 1, form)], &[]).await;
    }
    let mixed = || STRANGERS.iter().zip([1, 2, 5, 6, 7, 9]);
    let mixed = |step: usize| mixed().skip(step).map(|(form, number)| entry(number, form));
    for switches in [
        &[][..],
        &[Switch::ListTotalMissing],
        &[Switch::ListNumbersAsStrings],
    ] {
        check(mixed(0).collect(), switches).await;
        check(mixed(3).collect(), switches).await;
    }
    // Only odd entries.
    check((0..CALLS).map(|number| entry(number, "7")).collect(), &[]).await;
    let unnamed = (0..CALLS).map(|number| entry(number, r#"{"id":ID}"#));
    check(unnamed.collect(), &[]).await;
}

#[tokio::test]
async fn odd_entries_do_not_lose_the_place_in_a_long_list() {
    // Every seventh entry has no id, also at the end of pages.
    for switch in [
        None,
        Some(Switch::ListPageCapped),
        Some(Switch::ListTotalMissing),
    ] {
        let mut builder = Simulator::builder(Api::PSeries).calls((0..400).map(call));
        let is_odd = |number: &u32| number.is_multiple_of(7) || (98..=101).contains(number);
        for number in (0..400).filter(is_odd) {
            builder = builder.odd_row(name(number), "7");
        }
        if let Some(switch) = switch {
            builder = builder.switch(switch);
        }
        let pbx = builder.start().await.unwrap();
        let gateway = gateway(&pbx).start().await;
        let mut expected: Vec<String> = (0..400).filter(|n| !is_odd(n)).map(name).collect();
        for order in ["asc", "desc"] {
            for size in [37, 100, 1_000] {
                let query = format!("order={order}&page_size={size}");
                let (names, told) = pages(&gateway, &query).await;
                assert_eq!(names, expected, "{switch:?} {query}");
                let sum: u64 = told.iter().sum();
                assert_eq!(sum, 400 - expected.len() as u64, "{switch:?} {query}");
            }
            expected.reverse();
        }
    }
}

#[tokio::test]
async fn a_member_of_another_type_that_decides_nothing_costs_nothing() {
    let odd = r#"{"id":ID,"file":"FILE","uid":7,"call_from_number":1005,"call_to_number":null,"call_to":[2005],"size":"x",
        "duration":null,"call_type":1,"time":{},"more":[1]}"#;
    let pbx = with_rows(Api::PSeries, &[entry(5, odd)])
        .start()
        .await
        .unwrap();
    let gateway = gateway(&pbx).start().await;
    let all = document(&gateway, "/recordings?page_size=100").await;
    assert_eq!(all.get("unreadable"), None);
    let entries = all["recordings"].as_array().unwrap();
    assert_eq!(entries.len(), CALLS as usize);
    let entry = entries.iter().find(|entry| entry["name"] == *name(5));
    let entry = entry.unwrap();
    assert_eq!(entry["caller"], "1005");
    for field in ["callee", "direction", "duration_s", "size_bytes"] {
        assert!(entry[field].is_null(), "{field}");
    }
    let found = document(&gateway, "/recordings?caller=1005").await;
    assert_eq!(found["recordings"][0]["name"], *name(5));
}

/// A list with one odd row, for either kind of API.
fn with_an_odd_row(api: Api) -> Builder {
    let odd = match api {
        Api::PSeries => entry(5, r#"{"id":ID,"call_from":"Hunter<0205550147>"}"#),
        _ => row(api, 5, with(CALLER, "Hunter, Jo<0205550147>")),
    };
    with_rows(api, &[odd])
}

#[tokio::test]
async fn without_rights_a_list_shows_only_the_unreadable_count() {
    for api in [Api::SSeries110, Api::PSeries] {
        let pbx = with_an_odd_row(api).start().await.unwrap();
        let gateway = gateway(&pbx).policies("").start().await;
        let nothing = document(&gateway, &format!("/recordings?{WINDOW}")).await;
        let expected = json!({ "recordings": [], "next": null, "unreadable": 1 });
        assert_eq!(nothing, expected, "{api}");
    }
}

#[tokio::test]
async fn an_unreadable_row_is_counted_and_logged_without_its_text() {
    for api in [Api::Cloud200, Api::PSeries] {
        let pbx = with_an_odd_row(api).start().await.unwrap();
        let target = format!("/recordings?{WINDOW}&page_size=100");
        let counted = gateway(&pbx).start().await;
        let sample = format!("pbx_rows_unreadable_total{{pbx=\"{PBX}\"}}");
        for expected in [0, 1, 2] {
            assert_eq!(Numbers::of(&counted).await.at(&sample), expected, "{api}");
            document(&counted, &target).await;
        }
        let (running, addr) = serve(&gateway(&pbx).write()).await;
        let call = Call::new(addr, Method::GET, &target).bearer(&jwt("alice"));
        assert_eq!(call.send().await.status(), 200);
        let log = running.stop().await.err;
        let warnings: Vec<Value> = lines(&log).filter(|line| line["level"] == "WARN").collect();
        let of_rows = |line: &&Value| line.get("rows").is_some();
        let told: Vec<&Value> = warnings.iter().filter(of_rows).collect();
        let [line] = &*told else {
            panic!("{log}");
        };
        assert_eq!((&line["pbx"], &line["rows"]), (&json!(PBX), &json!(1)));
        assert!(line["first"].as_str().is_some_and(|why| !why.is_empty()));
        assert!(
            !log.contains("Hunter") && !log.contains("0205550147"),
            "{log}"
        );
    }
}

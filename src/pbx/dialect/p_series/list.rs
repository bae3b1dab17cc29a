//! The list of recordings of a P-Series: how a page is asked for, and what its entries say.
//!
//! Knows parameters and fields. Does not know how pages follow on each other, or sockets.
//!
//! Source: Yeastar, "P-Series Developer Guide", "Query Recording List" and "Search Recordings".
//! `time` is in the PBX's display format, which its administrator chooses, so it is not read: the
//! name tells the start, else `uid`, which begins with 14 digits of local time. `duration` is 0 in
//! some documented samples and `size` may be, so 0 says nothing. Newer firmware has the parties'
//! numbers in fields of their own.
//!
//! Assumed of odd entries: one without an id, or whose file's name is no text, cannot be listed,
//! and is counted. Any other member that is missing or of another type says nothing; a number is as
//! good as its digits in quotes.

use std::fmt::Write as _;

use jiff::civil::DateTime;
use percent_encoding::utf8_percent_encode;
use serde_json::Value;

use super::answer::{answer, number};
use super::{PSeries, get};
use crate::list::{ListFilter, ListRow, Order};
use crate::pbx::dialect::members::value;
use crate::pbx::dialect::{AnswerError, Operation, PbxCall, RefusalClass};
use crate::recording::{RESERVED, RecordingName};
use crate::secret::Secret;

/// A page, in the PBX's order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::pbx) struct PbxPage {
    /// The number of entries of the list, where the PBX tells it.
    pub(in crate::pbx) total: Option<u64>,
    /// Entries of the page, those that it repeats and those without an id too.
    pub(in crate::pbx) rows: u64,
    /// Entries without an id behind the last one that has one.
    pub(in crate::pbx) behind: u64,
    /// The PBX knows of nothing here. It says the same of a list that is empty, and of a fault.
    pub(in crate::pbx) is_refusal: bool,
    /// The entries that have an id, in the PBX's order.
    pub(in crate::pbx) entries: Vec<PageEntry>,
}

/// An entry of a page.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::pbx) struct PageEntry {
    pub(in crate::pbx) id: u64,
    /// `None` where its recording cannot be named.
    pub(in crate::pbx) row: Option<ListRow>,
    /// Entries without an id between this one and the one before.
    pub(in crate::pbx) before: u64,
}

impl PSeries {
    /// Asks for a page of a list cut into pages of `size`; they are numbered from 1. The filter is
    /// passed on as far as the API has one.
    pub(in crate::pbx) fn list_page(
        &self,
        token: &Secret,
        (page, size): (u64, u64),
        order: Order,
        filter: &ListFilter,
    ) -> PbxCall {
        let mut conditions = String::new();
        let times = [("start_time", filter.from), ("end_time", filter.to)];
        for (name, time) in times {
            if let Some(time) = time {
                let _ = write!(conditions, "&{name}={}", time.max(0));
            }
        }
        for (name, party) in [("caller", &filter.caller), ("callee", &filter.callee)] {
            if let Some(party) = party {
                let _ = write!(
                    conditions,
                    "&{name}={}",
                    utf8_percent_encode(party, RESERVED)
                );
            }
        }
        let endpoint = if conditions.is_empty() {
            "list"
        } else {
            "search"
        };
        let order = order.as_str();
        let path = format!(
            "/openapi/v1.0/recording/{endpoint}?page={page}&page_size={size}&sort_by=id&order_by={order}{conditions}"
        );
        get(Operation::ListPage, path.as_bytes(), token)
    }

    pub(in crate::pbx) fn read_list_page(&self, body: &[u8]) -> Result<PbxPage, AnswerError> {
        let fields = match answer(body) {
            // DATA NOT FOUND: nothing is a list, too.
            Err(AnswerError::Refused(refusal)) if refusal.class == RefusalClass::NotFound => {
                let is_refusal = true;
                return Ok(PbxPage {
                    is_refusal,
                    ..PbxPage::default()
                });
            }
            other => other?,
        };
        let total = fields.number("total_number");
        let entries = match fields.list("data") {
            Some(entries) => entries,
            None if total == Some(0) => Vec::new(),
            None => return Err(AnswerError::Unreadable("it reports success without a list")),
        };
        let mut page = PbxPage {
            total,
            rows: entries.len() as u64,
            ..PbxPage::default()
        };
        for entry in entries {
            let entry = value(entry);
            let Some(id) = entry.get("id").and_then(number) else {
                page.behind += 1;
                continue;
            };
            if page.entries.last().is_some_and(|last| last.id == id) {
                continue;
            }
            page.entries.push(PageEntry {
                id,
                row: row(&entry),
                before: std::mem::take(&mut page.behind),
            });
        }
        Ok(page)
    }
}

fn row(entry: &Value) -> Option<ListRow> {
    let text = |name: &str| match entry.get(name) {
        Some(Value::String(text)) => text.trim().to_owned(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    let amount = |name: &str| {
        entry
            .get(name)
            .and_then(number)
            .filter(|amount| *amount > 0)
    };
    let party = |number: &str, both: &str| match text(number) {
        number if number.is_empty() => text(both),
        number => number,
    };
    let name = entry.get("file")?.as_str()?.trim().to_owned();
    Some(ListRow {
        local_start: time_in(&text("uid")),
        caller: party("call_from_number", "call_from"),
        callee: party("call_to_number", "call_to"),
        direction: text("call_type"),
        duration_s: amount("duration"),
        size_bytes: amount("size"),
        call_id: call_id(&name).unwrap_or_default(),
        name,
    })
}

/// The list does not have the id that events and the calls of other families have; the name does.
fn call_id(name: &str) -> Option<String> {
    let name: RecordingName = name.parse().ok()?;
    name.call_id()
}

fn time_in(uid: &str) -> Option<DateTime> {
    let digits = uid.get(..14)?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    DateTime::strptime("%Y%m%d%H%M%S", digits).ok()
}

#[cfg(test)]
mod tests {
    use http::Method;
    use proptest::prelude::*;

    use super::super::tests::{dialect, sends};
    use super::*;

    #[test]
    fn a_page_is_listed_or_searched() {
        let token = Secret::new("T0");
        let ask =
            |filter: &ListFilter| dialect().list_page(&token, (3, 99), Order::Descending, filter);
        let order = "page=3&page_size=99&sort_by=id&order_by=desc";
        let target = format!("/openapi/v1.0/recording/list?{order}&access_token=T0");
        let mut filter = ListFilter {
            direction: crate::list::Direction::of("inbound"),
            ..ListFilter::default()
        };
        sends(&ask(&filter), &Method::GET, &target, None);
        filter.caller = Some("+49 30".to_owned());
        filter.callee = Some("1003".to_owned());
        filter.from = Some(-5);
        filter.to = Some(1_772_442_845);
        let target = format!(
            "/openapi/v1.0/recording/search?{order}&start_time=0&end_time=1772442845&caller=%2B49%2030&callee=1003\
             &access_token=T0"
        );
        sends(&ask(&filter), &Method::GET, &target, None);
    }

    fn read(body: &str) -> Result<PbxPage, AnswerError> {
        dialect().read_list_page(body.as_bytes())
    }

    const NAME: &str = "20220112173629-1641980184.14-5566-5556-Internal.wav";

    #[test]
    fn an_entry_is_read_from_old_and_new_firmware() {
        let expected = ListRow {
            name: NAME.to_owned(),
            local_start: "2022-01-12T17:36:24".parse().ok(),
            caller: "5566".to_owned(),
            callee: "Jo<5556>".to_owned(),
            direction: "Internal".to_owned(),
            duration_s: None,
            size_bytes: Some(825_588),
            call_id: "1641980184.14".to_owned(),
        };
        let page = read(&format!(
            r#"{{"errcode":0,"errmsg":"SUCCESS","total_number":"184","data":[
                {{"id":"7","time":"01/12/2022 17:36:24","uid":"202201121736243E81A","call_from":"Al<1>","call_to":"Jo<5556>",
                "call_from_number":"5566","call_to_number":" ","duration":0,"size":825588,"call_type":"Internal",
                "file":"{NAME}"}},{{"id":7,"file":"x"}},{{"id":8}}]}}"#
        ));
        let page = page.unwrap();
        assert_eq!((page.total, page.rows), (Some(184), 3));
        let entry = |id, row| PageEntry { id, row, before: 0 };
        assert_eq!(page.entries, [entry(7, Some(expected)), entry(8, None)]);
    }

    /// The ids, each with the entries without one before it; and those behind the last.
    type Shape = (Vec<(u64, u64)>, u64);

    #[track_caller]
    fn check_shape(data: &str, (ids, behind): Shape) {
        let page = read(&format!(r#"{{"errcode":0,"data":[{data}]}}"#)).unwrap();
        let found: Vec<_> = page
            .entries
            .iter()
            .map(|one| (one.id, one.before))
            .collect();
        assert_eq!((found, page.behind), (ids, behind), "{data}");
    }

    #[test]
    fn an_entry_without_an_id_is_counted_where_it_stands() {
        check_shape(r#"{"id":1}"#, (vec![(1, 0)], 0));
        check_shape("7", (vec![], 1));
        check_shape(
            r#"null,"x",[],{"file":"x"},{"id":null},{"id":"x"},{"id":-1},{"id":1.5}"#,
            (vec![], 8),
        );
        check_shape(
            r#"{},{"id":1},{},{},{"id":"2"},{"id":2},{}"#,
            (vec![(1, 1), (2, 2)], 1),
        );
    }

    #[test]
    fn a_member_of_another_type_is_ignored_unless_it_is_the_name() {
        let read = |entry: &str| {
            let page = read(&format!(r#"{{"errcode":0,"data":[{entry}]}}"#));
            page.unwrap().entries.pop().unwrap().row
        };
        let odd = format!(
            r#"{{"id":1,"file":"{NAME}","uid":7,"call_from_number":1001,"call_to":[1],"call_type":null,"duration":"x",
            "size":1.5,"time":{{}}}}"#
        );
        let expected = ListRow {
            name: NAME.to_owned(),
            caller: "1001".to_owned(),
            call_id: "1641980184.14".to_owned(),
            ..ListRow::default()
        };
        assert_eq!(read(&odd), Some(expected));
        for file in ["null", "7", "[]", "{}", "true"] {
            assert_eq!(
                read(&format!(r#"{{"id":1,"file":{file}}}"#)),
                None,
                "{file}"
            );
        }
        assert_eq!(read(r#"{"id":1,"name":"x"}"#), None);
    }

    #[test]
    fn an_empty_answer_is_a_list_and_an_error_is_none() {
        for body in [
            r#"{"errcode":60001,"errmsg":"DATA NOT FOUND"}"#,
            r#"{"errcode":0,"total_number":0}"#,
            r#"{"errcode":0,"data":[]}"#,
        ] {
            let page = read(body).unwrap();
            assert_eq!(page.entries, []);
            assert_eq!(page.is_refusal, body.contains("60001"));
        }
        for body in [
            r#"{"errcode":0}"#,
            r#"{"errcode":0,"total_number":1}"#,
            r#"{"errcode":0,"data":{"id":7}}"#,
            r#"{"errcode":10005}"#,
            "<html>",
        ] {
            assert!(read(body).is_err(), "{body}");
        }
        for uid in ["", "2022011217362", "2022011217362é", "20229912173624AAAAA"] {
            assert_eq!(time_in(uid), None);
        }
    }

    proptest! {
        #[test]
        fn no_entry_makes_the_reader_panic(uid in ".{0,20}", file in ".{0,20}", id in ".{0,6}") {
            let body = serde_json::json!({ "errcode": 0, "data": [{ "id": id, "uid": uid, "file": file }] });
            let _ = read(&body.to_string());
        }
    }
}

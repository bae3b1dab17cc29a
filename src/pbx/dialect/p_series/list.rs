//! The list of recordings of a P-Series: how a page is asked for, and what its entries say.
//!
//! Knows parameters and fields. Does not know how pages follow on each other, or sockets.
//!
//! Source: Yeastar, "P-Series Developer Guide", "Query Recording List" and "Search Recordings". `time` is in the
//! PBX's display format, which its administrator chooses, so it is not read: the name tells the start, else `uid`, which
//! begins with 14 digits of local time. `duration` is 0 in every documented sample and `size` may be, so 0 says nothing.
//! Newer firmware has the parties' numbers in fields of their own.

use std::fmt::Write as _;

use jiff::civil::DateTime;
use percent_encoding::utf8_percent_encode;
use serde_json::Value;

use super::answer::{answer, number};
use super::{PSeries, get};
use crate::config::secret::Secret;
use crate::list::{Filter, Order, Row};
use crate::pbx::dialect::{AnswerError, Call, Operation, RefusalClass};
use crate::recording::{RESERVED, RecordingName};

/// A page, in the PBX's order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::pbx) struct FoundPage {
    /// How many entries the list has, where the PBX says so.
    pub(in crate::pbx) total: Option<u64>,
    /// Entries of the page, those that it repeats too.
    pub(in crate::pbx) rows: u64,
    /// The PBX knows of nothing here. It says the same of a list that is empty, and of a fault.
    pub(in crate::pbx) is_refusal: bool,
    /// The PBX's own id of each entry, and the entry.
    pub(in crate::pbx) entries: Vec<(u64, Row)>,
}

impl PSeries {
    /// Asks for a page of a list cut into pages of `size`; they are numbered from 1. The filter is passed on as far as the API has one.
    pub(in crate::pbx) fn list_page(
        &self,
        token: &Secret,
        (page, size): (u64, u64),
        order: Order,
        filter: &Filter,
    ) -> Call {
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

    pub(in crate::pbx) fn read_list_page(&self, body: &[u8]) -> Result<FoundPage, AnswerError> {
        let fields = match answer(body) {
            // DATA NOT FOUND: nothing is a list, too.
            Err(AnswerError::Refused(refusal)) if refusal.class == RefusalClass::NotFound => {
                let is_refusal = true;
                return Ok(FoundPage {
                    is_refusal,
                    ..FoundPage::default()
                });
            }
            other => other?,
        };
        let total = fields.number("total_number");
        let entries = match fields.list("data") {
            Some(entries) => entries,
            None if total == Some(0) => &[],
            None => return Err(AnswerError::Unreadable("it reports success without a list")),
        };
        let entries = entries.iter().map(entry).collect::<Option<Vec<_>>>();
        let mut entries = entries.ok_or(AnswerError::Unreadable("an entry has no id"))?;
        let rows = entries.len() as u64;
        entries.dedup_by_key(|(id, _)| *id);
        Ok(FoundPage {
            total,
            rows,
            is_refusal: false,
            entries,
        })
    }
}

fn entry(entry: &Value) -> Option<(u64, Row)> {
    let text = |name: &str| {
        let text = entry.get(name).and_then(Value::as_str).unwrap_or_default();
        text.trim().to_owned()
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
    let id = entry.get("id").and_then(number)?;
    let name = text("file");
    let row = Row {
        local_start: time_in(&text("uid")),
        caller: party("call_from_number", "call_from"),
        callee: party("call_to_number", "call_to"),
        direction: text("call_type"),
        duration_s: amount("duration"),
        size_bytes: amount("size"),
        call_id: call_id(&name).unwrap_or_default(),
        name,
    };
    Some((id, row))
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
        let ask = |filter: &Filter| dialect().list_page(&token, (3, 99), Order::Descending, filter);
        let order = "page=3&page_size=99&sort_by=id&order_by=desc";
        let target = format!("/openapi/v1.0/recording/list?{order}&access_token=T0");
        let mut filter = Filter {
            direction: crate::list::Direction::of("inbound"),
            ..Filter::default()
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

    fn read(body: &str) -> Result<FoundPage, AnswerError> {
        dialect().read_list_page(body.as_bytes())
    }

    const NAME: &str = "20220112173629-1641980184.14-5566-5556-Internal.wav";

    #[test]
    fn an_entry_is_read_from_old_and_new_firmware() {
        let expected = Row {
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
        let empty = (8, Row::default());
        assert_eq!(page.entries, [(7, expected), empty]);
    }

    #[test]
    fn nothing_is_a_list_too_and_an_error_is_none() {
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
            r#"{"errcode":0,"data":[{"file":"x"}]}"#,
            r#"{"errcode":0,"data":[7]}"#,
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

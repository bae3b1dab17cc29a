//! `recording/list` and `recording/search`.
//!
//! Knows their parameters, and which recordings are on a page. Does not know how a row is written.
//!
//! Source: Yeastar, "P-Series Developer Guide", "Query Recording List" and "Search Recordings":
//! pages count from 1, times are Unix seconds, unknown parameters are ignored. The greatest page
//! size is not documented. The pages on CDR name 10 000 as default and maximum, so this is the
//! default here. Assumptions: the order without `sort_by` and `order_by` is ascending by id,
//! numbers are compared exactly, and a value that cannot be read is answered 40002.

use std::collections::HashSet;
use std::str::FromStr;

use super::errcode::{Errcode, PSeriesFailure, PSeriesFields, text};
use crate::simulator::calls::CallRecord;
use crate::simulator::pbx::{PbxState, lock};
use crate::simulator::reply::Reply;
use crate::simulator::request::ParsedRequest;
use crate::simulator::switch::Switch;

mod row;

use row::ListRowWriter;

/// The page size of a request without `page_size`.
const DEFAULT_PAGE_SIZE: usize = 10_000;
/// The page size under [`Switch::ListPageCapped`]. It neither divides nor is a multiple of page
/// sizes that clients use.
const CAPPED_PAGE_SIZE: usize = 37;

/// The id of a recording in the list, and its call.
type NumberedCall<'a> = (usize, &'a CallRecord);

pub(super) fn list(pbx: &PbxState, request: &ParsedRequest) -> Result<Reply, PSeriesFailure> {
    answer(pbx, request, &SearchFilter::default())
}

pub(super) fn search(pbx: &PbxState, request: &ParsedRequest) -> Result<Reply, PSeriesFailure> {
    let filter = SearchFilter::from_request(pbx, request)?;
    if pbx.has(Switch::SearchIgnoresFilters) {
        return list(pbx, request);
    }
    answer(pbx, request, &filter)
}

fn answer(
    pbx: &PbxState,
    request: &ParsedRequest,
    filter: &SearchFilter,
) -> Result<Reply, PSeriesFailure> {
    if pbx.has(Switch::ListDenied10005) {
        return Err(Errcode::ACCESS_DENIED.into());
    }
    let page = PageSelection::from_request(pbx, request)?;
    let writer = ListRowWriter::new(pbx);
    let (total, rows) = {
        let calls = lock(&pbx.calls);
        let ids = (1..).zip(calls.iter());
        let recorded =
            ids.filter(|(id, call)| !call.recording.is_empty() && filter.matches(*id, call));
        let mut rows: Vec<NumberedCall<'_>> = recorded.collect();
        page.sort(&mut rows);
        (rows.len(), writer.rows(page.cut(&rows)))
    };
    let mut fields = PSeriesFields::new();
    if !pbx.has(Switch::ListTotalMissing) {
        fields.push(("total_number", writer.number(total)));
    }
    fields.push(("data", rows));
    Ok(Reply::Written(text(
        Errcode::SUCCESS,
        &fields,
        &pbx.switches,
    )))
}

/// The page of a list, and the order of its rows.
struct PageSelection {
    page: usize,
    page_size: usize,
    by_time: bool,
    descending: bool,
}

impl PageSelection {
    fn from_request(pbx: &PbxState, request: &ParsedRequest) -> Result<Self, PSeriesFailure> {
        let page = parameter(pbx, request, "page")?.unwrap_or(1);
        let page_size = parameter(pbx, request, "page_size")?.unwrap_or(DEFAULT_PAGE_SIZE);
        for (name, value) in [("page", page), ("page_size", page_size)] {
            if value == 0 {
                return Err(PSeriesFailure::invalid(Errcode::BAD_PARAMETER, name, "0"));
            }
        }
        let capped = pbx.has(Switch::ListPageCapped);
        Ok(Self {
            page,
            page_size: page_size.min(if capped { CAPPED_PAGE_SIZE } else { usize::MAX }),
            by_time: is_second(pbx, request, "sort_by", ["id", "time"])?,
            descending: is_second(pbx, request, "order_by", ["asc", "desc"])?,
        })
    }

    fn sort(&self, rows: &mut [NumberedCall<'_>]) {
        if self.by_time {
            rows.sort_by_key(|(id, call)| (call.started, *id));
        }
        if self.descending {
            rows.reverse();
        }
    }

    fn cut<'a, 'b>(
        &self,
        rows: &'b [NumberedCall<'a>],
    ) -> impl Iterator<Item = &'b NumberedCall<'a>> + use<'a, 'b> {
        let before = (self.page - 1).saturating_mul(self.page_size);
        rows.iter().skip(before).take(self.page_size)
    }
}

/// The conditions of a search. The default includes every recording.
#[derive(Default)]
struct SearchFilter {
    start: Option<i64>,
    end: Option<i64>,
    caller: Option<String>,
    callee: Option<String>,
    ids: Option<HashSet<usize>>,
}

impl SearchFilter {
    fn from_request(pbx: &PbxState, request: &ParsedRequest) -> Result<Self, PSeriesFailure> {
        Ok(Self {
            start: parameter(pbx, request, "start_time")?,
            end: parameter(pbx, request, "end_time")?,
            caller: parameter(pbx, request, "caller")?,
            callee: parameter(pbx, request, "callee")?,
            ids: ids(pbx, request)?,
        })
    }

    fn matches(&self, id: usize, call: &CallRecord) -> bool {
        self.start.is_none_or(|start| call.started >= start)
            && self.end.is_none_or(|end| call.started <= end)
            && self
                .caller
                .as_ref()
                .is_none_or(|caller| *caller == call.caller)
            && self
                .callee
                .as_ref()
                .is_none_or(|callee| *callee == call.callee)
            && self.ids.as_ref().is_none_or(|ids| ids.contains(&id))
    }
}

fn ids(pbx: &PbxState, request: &ParsedRequest) -> Result<Option<HashSet<usize>>, PSeriesFailure> {
    let list: Option<String> = parameter(pbx, request, "ids")?;
    let read = |list: String| {
        let ids: Result<_, _> = list.split(',').map(|id| id.trim().parse()).collect();
        ids.map_err(|_| PSeriesFailure::invalid(Errcode::BAD_PARAMETER, "ids", list.clone()))
    };
    list.map(read).transpose()
}

/// Returns the value of a parameter. An empty value counts as absent.
fn parameter<T: FromStr>(
    pbx: &PbxState,
    request: &ParsedRequest,
    name: &'static str,
) -> Result<Option<T>, PSeriesFailure> {
    let value = request.parameter(name, &pbx.switches);
    if value.is_empty() {
        return Ok(None);
    }
    let bad = |_| PSeriesFailure::invalid(Errcode::BAD_PARAMETER, name, value.clone());
    value.parse().map(Some).map_err(bad)
}

/// True if a parameter has the second of two values. The first value is the default.
fn is_second(
    pbx: &PbxState,
    request: &ParsedRequest,
    name: &'static str,
    [first, second]: [&str; 2],
) -> Result<bool, PSeriesFailure> {
    match parameter::<String>(pbx, request, name)? {
        None => Ok(false),
        Some(value) if value == first => Ok(false),
        Some(value) if value == second => Ok(true),
        Some(value) => Err(PSeriesFailure::invalid(Errcode::BAD_PARAMETER, name, value)),
    }
}

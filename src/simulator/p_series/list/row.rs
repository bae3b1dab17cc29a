//! The JSON text of one recording in a list.
//!
//! Knows the fields and their forms, which some switches change. Does not know which recordings are
//! in the list.
//!
//! Source: Yeastar, "P-Series Developer Guide", "Query Recording List". The 12 h form of times,
//! sizes of 0 and the fields of older firmware are known from published clients. Made up: the
//! number of an extension as its name, and the paths of files.

use super::NumberedCall;
use crate::simulator::calls::{CallRecord, LocalTime, stamp};
use crate::simulator::p_series::errcode::quoted;
use crate::simulator::pbx::PbxState;
use crate::simulator::switch::Switch;

/// Writes rows in the form that the switches of a box choose.
pub(super) struct ListRowWriter<'a> {
    pbx: &'a PbxState,
}

impl<'a> ListRowWriter<'a> {
    pub(super) fn new(pbx: &'a PbxState) -> Self {
        Self { pbx }
    }

    /// Writes rows as a JSON array.
    pub(super) fn rows<'r, 'c: 'r>(
        &self,
        rows: impl Iterator<Item = &'r NumberedCall<'c>>,
    ) -> String {
        let rows: Vec<String> = rows.map(|(id, call)| self.row(*id, call)).collect();
        format!("[{}]", rows.join(","))
    }

    pub(super) fn number(&self, number: impl ToString) -> String {
        let text = number.to_string();
        if self.pbx.has(Switch::ListNumbersAsStrings) {
            quoted(&text)
        } else {
            text
        }
    }

    fn row(&self, id: usize, call: &CallRecord) -> String {
        if let Some(text) = self.pbx.odd_rows.get(&call.recording) {
            return text.clone();
        }
        let zero = |switch, value: u64| if self.pbx.has(switch) { 0 } else { value };
        let local = stamp(call.started, self.pbx.utc_offset_s);
        let (caller, callee) = (&*call.caller, &*call.callee);
        let mut fields = vec![
            ("id", self.number(id)),
            ("time", quoted(&self.time(call))),
            ("uid", quoted(&format!("{local}{:05X}", id % 0x10_0000))),
            ("call_from", quoted(&format!("{caller}<{caller}>"))),
            ("call_to", quoted(&format!("{callee}<{callee}>"))),
            (
                "duration",
                self.number(zero(Switch::ListDurationZero, call.duration_s.into())),
            ),
            ("size", self.number(zero(Switch::ListSizeZero, call.size))),
            ("call_type", quoted(&call.direction)),
            ("file", quoted(&call.recording)),
        ];
        if !self.pbx.has(Switch::OldListFields) {
            fields.extend([
                ("call_from_number", quoted(caller)),
                ("call_from_name", quoted(caller)),
                ("call_to_number", quoted(callee)),
                ("call_to_name", quoted(callee)),
            ]);
        }
        fields.extend([
            ("archive_status", quoted("")),
            ("archive_path", quoted("")),
            ("archive_type", quoted("")),
            (
                "file_path",
                quoted(&format!("autorecord/{}", call.recording)),
            ),
        ]);
        let pairs: Vec<String> = fields
            .iter()
            .map(|(key, value)| format!("\"{key}\":{value}"))
            .collect();
        format!("{{{}}}", pairs.join(","))
    }

    /// The start of the call, as the box displays it.
    fn time(&self, call: &CallRecord) -> String {
        let time = LocalTime::from_epoch(call.started, self.pbx.utc_offset_s);
        let LocalTime {
            year,
            month,
            day,
            hour,
            minute,
            second,
        } = time;
        if self.pbx.has(Switch::ListTime12h) {
            let half = if hour < 12 { "AM" } else { "PM" };
            let hour = (hour + 11) % 12 + 1;
            format!("{month:02}/{day:02}/{year} {hour:02}:{minute:02}:{second:02} {half}")
        } else {
            format!("{day:02}/{month:02}/{year} {hour:02}:{minute:02}:{second:02}")
        }
    }
}

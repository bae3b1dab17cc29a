//! The columns of the CDR: their names, their order and their values.
//!
//! Knows the columns of both API versions, and the switches for columns. Does not know how values
//! are written.
//!
//! Source: published clients that import `cdr/download` have the columns of 1.1.0 in this order.
//! Another one knows `dsttrcunkname`, `agentringtime` and a `pincode` before `status`; they are
//! assumed to be those of 2.0.0. The misspellings are the vendor's. The form of calls without an
//! answer is an assumption.

use std::borrow::Cow;

use super::clock::write_clock;
use crate::simulator::calls::CallRecord;
use crate::simulator::switch::{Switch, Switches};

/// The serial number of the box, the same in every row.
const SERIAL_NUMBER: &str = "3692B0000001";

/// The API version of a table, which decides about its columns and their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::simulator) enum CdrVersion {
    V110,
    V200,
}

/// One row: a call, and the start that the row tells, in seconds of the Unix epoch.
#[derive(Clone, Copy)]
pub(super) struct CdrRow<'a> {
    pub(super) time: i64,
    pub(super) call: &'a CallRecord,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    CallId,
    TimeStart,
    CallFrom,
    CallTo,
    CallDuration,
    TalkDuration,
    SourceTrunk,
    DestinationTrunk,
    Status,
    Type,
    PinCode,
    Recording,
    DidNumber,
    AgentRingTime,
    SerialNumber,
    UnknownFirst,
    UnknownLast,
}

/// The columns of API 1.1.0, in order.
const V110: &[Column] = &[
    Column::CallId,
    Column::TimeStart,
    Column::CallFrom,
    Column::CallTo,
    Column::CallDuration,
    Column::TalkDuration,
    Column::SourceTrunk,
    Column::DestinationTrunk,
    Column::Status,
    Column::Type,
    Column::PinCode,
    Column::Recording,
    Column::DidNumber,
    Column::SerialNumber,
];
/// The columns of API 2.0.0, in order.
const V200: &[Column] = &[
    Column::CallId,
    Column::TimeStart,
    Column::CallFrom,
    Column::CallTo,
    Column::CallDuration,
    Column::TalkDuration,
    Column::SourceTrunk,
    Column::DestinationTrunk,
    Column::PinCode,
    Column::Status,
    Column::Type,
    Column::Recording,
    Column::DidNumber,
    Column::AgentRingTime,
    Column::SerialNumber,
];

impl CdrVersion {
    /// The name of the field and parameter with the extensions.
    pub(in crate::simulator) fn extensions_key(self) -> &'static str {
        match self {
            Self::V110 => "extid",
            Self::V200 => "number",
        }
    }

    pub(super) fn columns(self, switches: &Switches) -> Vec<Column> {
        let known = match self {
            Self::V110 => V110,
            Self::V200 => V200,
        };
        let mut columns = known.to_vec();
        if switches.has(Switch::CsvWithoutRecordingColumn) {
            columns.retain(|column| *column != Column::Recording);
        }
        if switches.has(Switch::CsvColumnsReordered) {
            columns.reverse();
        }
        if switches.has(Switch::CsvExtraColumns) {
            columns.insert(0, Column::UnknownFirst);
            columns.push(Column::UnknownLast);
        }
        columns
    }
}

impl Column {
    pub(super) fn title(self, version: CdrVersion, switches: &Switches) -> Cow<'static, str> {
        let title = match self {
            Self::CallId => "callid",
            Self::TimeStart => "timestart",
            Self::CallFrom => "callfrom",
            Self::CallTo => "callto",
            Self::CallDuration => "callduraction",
            Self::TalkDuration => "talkduraction",
            Self::SourceTrunk => "srctrunkname",
            Self::DestinationTrunk if version == CdrVersion::V200 => "dsttrcunkname",
            Self::DestinationTrunk => "dsttrunkname",
            Self::Status => "status",
            Self::Type => "type",
            Self::PinCode => "pincode",
            Self::Recording => "recording",
            Self::DidNumber => "didnumber",
            Self::AgentRingTime => "agentringtime",
            Self::SerialNumber => "sn",
            Self::UnknownFirst => "no",
            Self::UnknownLast => "remark",
        };
        if switches.has(Switch::CsvCapitalHeader) {
            title.to_uppercase().into()
        } else {
            title.into()
        }
    }

    pub(super) fn value<'a>(
        self,
        row: &CdrRow<'a>,
        utc_offset_s: i64,
        switches: &Switches,
    ) -> Cow<'a, str> {
        let call = row.call;
        match self {
            Self::CallId => call.call_id().into(),
            Self::TimeStart => write_clock(row.time, utc_offset_s).into(),
            Self::CallFrom if switches.has(Switch::CsvNameWithCommaAndQuote) => {
                format!("Doe, \"Jo\"<{}>", call.caller).into()
            }
            Self::CallFrom => (&*call.caller).into(),
            Self::CallTo => (&*call.callee).into(),
            Self::CallDuration | Self::TalkDuration => call.duration_s.to_string().into(),
            Self::SourceTrunk if call.direction == "Inbound" => "trunk".into(),
            Self::DestinationTrunk if call.direction == "Outbound" => "trunk".into(),
            Self::Status if call.duration_s > 0 || !call.recording.is_empty() => "ANSWERED".into(),
            Self::Status => "NO ANSWER".into(),
            Self::Type => (&*call.direction).into(),
            Self::Recording => (&*call.recording).into(),
            Self::SerialNumber => SERIAL_NUMBER.into(),
            Self::AgentRingTime | Self::UnknownFirst => "0".into(),
            Self::UnknownLast => "none".into(),
            Self::SourceTrunk | Self::DestinationTrunk | Self::PinCode | Self::DidNumber => {
                "".into()
            }
        }
    }
}

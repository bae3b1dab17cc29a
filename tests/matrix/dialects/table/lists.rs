//! The rows of the lists: the CDR of S-Series and Cloud PBX, and the lists of the P-Series.
//!
//! The list has one call, that of the recording. For a switch that does not change it, the words of
//! the PBX are the sign.

use wavegate::simulator::Switch;

use super::super::case::Case;

/// The cases of a switch that concerns lists; none for any other.
pub(super) fn cases(switch: Switch) -> Vec<Case> {
    let list = Case::list;
    let clear = Case::list_in_clear;
    match switch {
        // The CDR request.
        Switch::Cdr504Once => vec![list().seen(|seen| seen.cdr_tickets_used == 2)],
        Switch::Cdr504Always => {
            let case = list().problem("pbx-timeout");
            vec![case.seen(|seen| seen.cdr_tickets_used == 2)]
        }
        Switch::CdrRandomForNobody => {
            let case = list().problem("pbx-ticket-refused");
            vec![case.seen(|seen| seen.cdr_tickets_issued == 2)]
        }
        Switch::CdrErrorsAreHtml => {
            let stale = clear().stale_tickets().problem("pbx-protocol");
            vec![list(), stale.said("<html")]
        }
        Switch::CdrWithLength => {
            // Over plain HTTP only the length shows that the table is whole, so it is read once
            // instead of twice.
            let once = clear().said("Content-Length: ");
            vec![list(), once.seen(|seen| seen.requests.cdr_download == 1)]
        }

        // The CDR table.
        Switch::CsvBom => vec![list(), clear().said("\u{FEFF}callid")],
        Switch::CsvQuoted => vec![list(), clear().said("\"callid\",")],
        Switch::CsvBlanks => vec![list(), clear().never_said("callid,timestart")],
        Switch::CsvCrlf => vec![list(), clear().said("sn\r\n")],
        Switch::CsvColumnsReordered => vec![list(), clear().said(",callid\n")],
        Switch::CsvCapitalHeader => vec![list(), clear().said("CALLID,")],
        Switch::CsvNewestFirst => vec![list()],
        Switch::CsvRowsRepeat => vec![list().seen(|seen| seen.cdr_rows_sent == 2)],
        Switch::CsvExtraColumns => vec![list(), clear().never_said("\ncallid,")],
        Switch::CsvWithoutRecordingColumn => vec![list().problem("pbx-protocol")],
        Switch::CsvHeaderOnly => vec![list().nothing()],
        Switch::CsvEmptyBody => vec![list().problem("pbx-protocol")],
        Switch::CsvNameWithCommaAndQuote => vec![list(), clear().said("\"\"")],

        // recording/list and recording/search.
        Switch::ListDenied10005 => vec![list().problem("pbx-permission-missing")],
        Switch::ListPageCapped => vec![list()],
        Switch::ListTotalMissing => vec![list(), clear().never_said("total_number")],
        Switch::ListNumbersAsStrings => vec![list(), clear().said(r#""id":"1""#)],
        Switch::ListTime12h => vec![list(), clear().said(" AM\"")],
        Switch::ListSizeZero => vec![list(), clear().said(r#""size":0"#)],
        Switch::ListDurationZero => vec![list(), clear().said(r#""duration":0"#)],
        Switch::OldListFields => vec![list(), clear().never_said("call_from_number")],
        Switch::SearchIgnoresFilters => vec![list()],
        _ => vec![],
    }
}

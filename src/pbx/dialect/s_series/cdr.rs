//! The table of calls (CDR) of an S-Series from 1.1.0 on and of a Cloud PBX: how it is asked for, and what its rows say.
//!
//! Knows parameters and columns. Does not know pages, filters or sockets.
//!
//! Sources: Yeastar, "S-Series Developer Guide", "CDR" and "Download CDR": a one-time string for a span of time, then
//! the table; blanks in times must be written `%20`. Columns are found by their names, since published clients know
//! different orders of them; the misspelt names are the vendor's. That values may be quoted, and that a byte order mark
//! and blanks may stand around them, is known from published clients, too.

use std::net::Ipv4Addr;

use http::Method;
use jiff::civil::DateTime;
use serde_json::json;
use thiserror::Error;

use super::{SSeries, answer, field};
use crate::config::secret::Secret;
use crate::list::Row;
use crate::pbx::dialect::csv::{Record, TooLong};
use crate::pbx::dialect::{AnswerError, Call, Operation, RefusalClass};

/// A span of time on the PBX's clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pbx) struct Span {
    pub(in crate::pbx) start: DateTime,
    pub(in crate::pbx) end: DateTime,
}

impl Span {
    fn start(&self) -> String {
        written(self.start)
    }

    fn end(&self) -> String {
        written(self.end)
    }
}

fn written(time: DateTime) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

impl SSeries {
    /// The key under which extensions are named: published clients of 2.0.0 send another one than the guide has.
    fn extensions_key(&self) -> &'static str {
        match self.version {
            "v2.0.0" => "number",
            _ => "extid",
        }
    }

    /// Asks for a ticket for the calls of everybody.
    pub(in crate::pbx) fn table_ticket(
        &self,
        token: &Secret,
        span: &Span,
        allowed_ip: Option<Ipv4Addr>,
    ) -> Call {
        let mut body = json!({
            self.extensions_key(): "all",
            "starttime": span.start(),
            "endtime": span.end(),
        });
        if let (Some(address), Some(fields)) = (allowed_ip, body.as_object_mut()) {
            fields.insert("allowedip".into(), json!(address.to_string()));
        }
        let path = "cdr/get_random";
        self.post(Operation::ListTicket, path, Some(token), Some(body))
    }

    pub(in crate::pbx) fn read_table_ticket(&self, body: &[u8]) -> Result<Secret, AnswerError> {
        field(body, "random").map_err(about_no_recording)
    }

    pub(in crate::pbx) fn table(&self, token: &Secret, span: &Span, ticket: &Secret) -> Call {
        let (version, key) = (self.version, self.extensions_key());
        let query = format!(
            "{key}=all&starttime={}&endtime={}",
            span.start(),
            span.end()
        );
        let query = query.replace(' ', "%20");
        let target = format!("/api/{version}/cdr/download?{query}&random=");
        let parts: [&[u8]; 4] = [
            target.as_bytes(),
            ticket.expose(),
            b"&token=",
            token.expose(),
        ];
        Call {
            operation: Operation::ListDownload,
            method: Method::GET,
            target: Secret::new(parts.concat()),
            body: None,
            range: None,
        }
    }

    /// What an object says that came in place of the table.
    pub(in crate::pbx) fn read_table_refusal(&self, body: &[u8]) -> AnswerError {
        match answer(body) {
            Err(error) => about_no_recording(error),
            Ok(_) => AnswerError::Unreadable("it reports success in place of a table"),
        }
    }
}

/// No recording was named, so none can be missing.
fn about_no_recording(error: AnswerError) -> AnswerError {
    match error {
        AnswerError::Refused(mut refusal)
            if matches!(
                refusal.class,
                RefusalClass::NotFound | RefusalClass::Deleted
            ) =>
        {
            refusal.class = RefusalClass::Other;
            AnswerError::Refused(refusal)
        }
        other => other,
    }
}

/// Why a table cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(in crate::pbx) enum RowError {
    #[error(transparent)]
    TooLong(#[from] TooLong),
    #[error("there is no column with the names of recordings")]
    NoRecordings,
    #[error("a row has not as many fields as there are columns")]
    Ragged,
}

/// Where the columns are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::pbx) struct Columns {
    count: usize,
    recording: usize,
    call_id: Option<usize>,
    start: Option<usize>,
    caller: Option<usize>,
    callee: Option<usize>,
    direction: Option<usize>,
    /// How long the parties talked, which is what is recorded; else how long the call was.
    duration: Option<usize>,
}

impl Columns {
    /// Reads the first record.
    pub(in crate::pbx) fn of(header: Record<'_>) -> Result<Self, RowError> {
        let names: Vec<String> = header.fields().map(column_name).collect();
        let find = |wanted: &[&str]| {
            let place = |wanted: &&str| names.iter().position(|name| name == wanted);
            wanted.iter().find_map(place)
        };
        Ok(Self {
            count: names.len(),
            recording: find(&["recording"]).ok_or(RowError::NoRecordings)?,
            call_id: find(&["callid"]),
            start: find(&["timestart"]),
            caller: find(&["callfrom"]),
            callee: find(&["callto"]),
            direction: find(&["type"]),
            duration: find(&[
                "talkduraction",
                "talkduration",
                "callduraction",
                "callduration",
            ]),
        })
    }

    /// Reads any other record. One of another number of fields is a row that was cut, or whose values slipped into the
    /// wrong columns.
    pub(in crate::pbx) fn row(&self, record: Record<'_>) -> Result<Row, RowError> {
        let surplus = record.fields().skip(self.count);
        if record.len() < self.count || surplus.map(text).any(|field| !field.is_empty()) {
            return Err(RowError::Ragged);
        }
        let at = |index: Option<usize>| {
            let field = index.and_then(|index| record.field(index));
            field.map(text).unwrap_or_default()
        };
        Ok(Row {
            name: at(Some(self.recording)),
            local_start: at(self.start).parse().ok(),
            caller: at(self.caller),
            callee: at(self.callee),
            direction: at(self.direction),
            duration_s: at(self.duration).parse().ok(),
            size_bytes: None,
            call_id: at(self.call_id),
        })
    }
}

/// A field without blanks around it, and without quotation marks that blanks before them have hidden from the reader.
fn text(field: &[u8]) -> String {
    let field = String::from_utf8_lossy(field);
    let field = field.trim();
    let quoted = field
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    match quoted {
        Some(inner) => inner.replace("\"\"", "\"").trim().to_owned(),
        None => field.to_owned(),
    }
}

fn column_name(field: &[u8]) -> String {
    let field = field.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(field);
    text(field).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::answer::tests::refused;
    use super::super::tests::account;
    use super::*;
    use crate::config::PbxPassword;
    use crate::pbx::dialect::csv::Records;

    fn dialect(version: &'static str) -> SSeries {
        SSeries::office(version, account(PbxPassword::Clear(Secret::new("x"))))
    }

    fn span() -> Span {
        let time = |text: &str| text.parse().unwrap();
        Span {
            start: time("2026-03-01T00:00:00"),
            end: time("2026-03-02T09:05:07"),
        }
    }

    #[test]
    fn a_table_is_asked_for_as_the_version_wants() {
        for (version, key) in [("v1.1.0", "extid"), ("v2.0.0", "number")] {
            let dialect = dialect(version);
            let call = dialect.table_ticket(&Secret::new("t0"), &span(), None);
            let target = format!("/api/{version}/cdr/get_random?token=t0");
            assert_eq!(call.target.expose_str(), Some(&*target));
            let body: Value = serde_json::from_slice(call.body.unwrap().expose()).unwrap();
            let (start, end) = ("2026-03-01 00:00:00", "2026-03-02 09:05:07");
            assert_eq!(
                body,
                json!({ key: "all", "starttime": start, "endtime": end })
            );
            let call = dialect.table(&Secret::new("t0"), &span(), &Secret::new("r0"));
            let target = format!(
                "/api/{version}/cdr/download?{key}=all&starttime=2026-03-01%2000:00:00\
                 &endtime=2026-03-02%2009:05:07&random=r0&token=t0"
            );
            assert_eq!(call.target.expose_str(), Some(&*target));
        }
        let address = "192.0.2.1".parse().ok();
        let call = dialect("v1.1.0").table_ticket(&Secret::new("t0"), &span(), address);
        let body: Value = serde_json::from_slice(call.body.unwrap().expose()).unwrap();
        assert_eq!(body["allowedip"], "192.0.2.1");
    }

    #[test]
    fn no_recording_is_missing_where_none_was_named() {
        let body = br#"{"status":"Failed","errno":"20012"}"#;
        let error = dialect("v1.1.0").read_table_ticket(body).map(|_| "");
        assert_eq!(error, refused(RefusalClass::Other, "20012"));
        let body = br#"{"status":"Failed","errno":"20013"}"#;
        let error = Err(dialect("v1.1.0").read_table_refusal(body));
        assert_eq!(error, refused(RefusalClass::TicketRefused, "20013"));
    }

    fn rows(table: &str) -> Result<Vec<Row>, RowError> {
        let (mut rows, mut columns) = (Vec::new(), None);
        let mut take = |record: Record<'_>| -> Result<(), RowError> {
            match &columns {
                None => columns = Some(Columns::of(record)?),
                Some(columns) => rows.push(columns.row(record)?),
            }
            Ok(())
        };
        let mut records = Records::new();
        records.push(table.as_bytes(), &mut take)?;
        records.finish(&mut take)?;
        Ok(rows)
    }

    const NAME: &str = "20170914093038-1505352615.274-1000-91000-Outbound.wav";

    fn expected() -> Row {
        Row {
            name: NAME.to_owned(),
            local_start: "2017-09-14T09:30:15".parse().ok(),
            caller: "1000".to_owned(),
            callee: "91000".to_owned(),
            direction: "Outbound".to_owned(),
            duration_s: Some(29),
            size_bytes: None,
            call_id: "1505352615.274".to_owned(),
        }
    }

    #[track_caller]
    fn check(table: &str) {
        assert_eq!(rows(table), Ok(vec![expected()]), "{table}");
    }

    #[test]
    fn columns_are_found_by_name() {
        check(&format!(
            "callid,timestart,callfrom,callto,callduraction,talkduraction,srctrunkname,dsttrunkname,status,type,pincode,\
             recording,didnumber,sn\n1505352615.274,2017-09-14 09:30:15,1000,91000,31,29,,t,ANSWERED,Outbound,,{NAME},,36\n"
        ));
        check(&format!(
            "\u{feff}\"SN\", Recording ,\" TYPE \",CallTo,CallFrom,TimeStart,CallId,Talkduration\r\n\
             1,{NAME},Outbound, 91000 ,\"1000\",2017-09-14 09:30:15,1505352615.274, \"29\""
        ));
        check(&format!(
            "recording,type,callto,callfrom,timestart,callid,callduraction\n\
             {NAME},Outbound,91000,1000,2017-09-14 09:30:15,1505352615.274,29,,\n"
        ));
        let bare = rows(&format!("recording\n{NAME}\n")).unwrap();
        let name = NAME.to_owned();
        assert_eq!(
            bare,
            [Row {
                name,
                ..Row::default()
            }]
        );
    }

    #[test]
    fn a_table_that_is_none_is_an_error() {
        assert_eq!(rows("callid,sn\n1,2\n"), Err(RowError::NoRecordings));
        let head = "callid,recording,sn\n";
        for row in ["1,a.wav", "1,a", "1,Doe, Jo,a.wav,36"] {
            assert_eq!(
                rows(&format!("{head}{row}")),
                Err(RowError::Ragged),
                "{row}"
            );
        }
        assert_eq!(rows(head), Ok(Vec::new()));
        // Not a number and not a time are nothing.
        let odd = rows("recording,timestart,talkduraction\na.wav,yesterday,-1\n").unwrap();
        assert_eq!((odd[0].local_start, odd[0].duration_s), (None, None));
    }
}

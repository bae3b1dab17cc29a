//! The table of calls (CDR) of an S-Series from 1.1.0 on and of a Cloud PBX: how it is asked for.
//!
//! Knows parameters. Does not know rows (those are in `columns.rs`), pages, filters or sockets.
//!
//! Sources: Yeastar, "S-Series Developer Guide", "CDR" and "Download CDR": a one-time string for a
//! span of time, then the table; blanks in times must be written `%20`.

use std::net::Ipv4Addr;

use http::Method;
use jiff::civil::DateTime;
use serde_json::json;

use super::{SSeries, answer, field};
use crate::pbx::dialect::{AnswerError, Operation, PbxCall, RefusalClass};
use crate::secret::Secret;

/// A span of time on the PBX's clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pbx) struct TableSpan {
    pub(in crate::pbx) start: DateTime,
    pub(in crate::pbx) end: DateTime,
}

impl TableSpan {
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
    /// The key under which extensions are named: published clients of 2.0.0 send another one than
    /// the guide has.
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
        span: &TableSpan,
        allowed_ip: Option<Ipv4Addr>,
    ) -> PbxCall {
        let mut body = json!({
            self.extensions_key(): "all",
            "starttime": span.start(),
            "endtime": span.end(),
        });
        if let (Some(address), Some(fields)) = (allowed_ip, body.as_object_mut()) {
            fields.insert("allowedip".into(), json!(address.to_string()));
        }
        let path = "cdr/get_random";
        self.post(
            Operation::ListTicket,
            path,
            Some(token),
            Some(body.to_string()),
        )
    }

    pub(in crate::pbx) fn read_table_ticket(&self, body: &[u8]) -> Result<Secret, AnswerError> {
        field(body, "random").map_err(about_no_recording)
    }

    pub(in crate::pbx) fn table(
        &self,
        token: &Secret,
        span: &TableSpan,
        ticket: &Secret,
    ) -> PbxCall {
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
        PbxCall {
            operation: Operation::ListDownload,
            method: Method::GET,
            target: Secret::new(parts.concat()),
            body: None,
            range: None,
        }
    }

    /// Reads an object that came in place of the table.
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

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::answer::tests::refused;
    use super::super::tests::account;
    use super::*;
    use crate::pbx::settings::PbxPassword;

    fn dialect(version: &'static str) -> SSeries {
        SSeries::office(version, account(PbxPassword::Clear(Secret::new("x"))))
    }

    fn span() -> TableSpan {
        let time = |text: &str| text.parse().unwrap();
        TableSpan {
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
}

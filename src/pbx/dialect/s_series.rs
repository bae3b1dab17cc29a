//! S-Series API, versions 1.0.1, 1.1.0 and 2.0.0, also of K2, S1000 and boxes sold as "IPPBX"; and
//! the Cloud PBX, whose API is the same but for its tokens.
//!
//! Knows the paths, parameters and error numbers. Does not know sockets, retries or time.
//!
//! Sources, all Yeastar: "S-Series API Guide" (API 1.0.x), pages "API Authentication", "Acquire
//! Global Recording Files" and "Appendix A: Error Code Descriptions"; "S-Series Developer Guide"
//! (1.1.0), pages "Login", "Heartbeat", "Get Recording Files" and "API Error Code"; "S-Series
//! Developer Guide v2" (2.0.0), "Login" and "Error Code". Read 2026-11. Where they are silent, the
//! reading here is tolerant and says so.

mod answer;
mod cdr;
mod columns;

use std::net::Ipv4Addr;
use std::time::Duration;

use http::Method;
use md5::{Digest, Md5};
use serde::Serialize;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use self::answer::{answer, field};
use super::{AnswerError, Dialect, Lists, Operation, PbxCall, RefusalClass, TokenLife, Tokens};
use crate::pbx::settings::{PbxAccount, PbxPassword, Prolong};
use crate::recording::RecordingName;
use crate::secret::Secret;
pub(in crate::pbx) use cdr::TableSpan;
pub(in crate::pbx) use columns::{TableColumns, TableError, TableRow};

/// An unused token is erased after 30 minutes; any call prolongs it ("API Authentication").
const TOKEN_LIFE: Duration = Duration::from_secs(30 * 60);

/// The name of a recording that does not exist: to ask for its ticket is an interaction like any
/// other, and changes nothing.
const NO_RECORDING: &str = "wavegate-keeps-the-token-alive.wav";

/// The body of the call that asks for a ticket.
#[derive(Serialize)]
struct TicketRequest<'a> {
    recording: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowedip: Option<Ipv4Addr>,
}

/// One version of the S-Series API, with our account on the PBX.
pub(in crate::pbx) struct SSeries {
    /// Path segment of the version. The versions differ in little else that the gateway uses: 1.0.1
    /// has no `allowedip`, which the configuration refuses there, and no list of calls.
    version: &'static str,
    /// The way in which tokens end. Those of the Cloud PBX are not prolonged by use but exchanged
    /// ("Cloud PBX API", "Login"). For 2.0.0 the guide says that a heartbeat prolongs them, too;
    /// the exchange is good for both.
    life: TokenLife,
    account: PbxAccount,
}

impl SSeries {
    /// A box in an office.
    pub(super) fn office(version: &'static str, account: PbxAccount) -> Self {
        Self {
            version,
            life: TokenLife::Sliding(TOKEN_LIFE),
            account,
        }
    }

    /// A Cloud PBX.
    pub(super) fn cloud(version: &'static str, account: PbxAccount) -> Self {
        Self {
            version,
            life: TokenLife::Fixed(TOKEN_LIFE),
            account,
        }
    }

    /// A POST with a JSON body, as every call but the download is.
    fn post(
        &self,
        operation: Operation,
        path: &str,
        token: Option<&Secret>,
        body: Option<String>,
    ) -> PbxCall {
        let mut target = format!("/api/{}/{path}", self.version).into_bytes();
        if let Some(token) = token {
            target.extend_from_slice(b"?token=");
            target.extend_from_slice(token.expose());
        }
        PbxCall {
            operation,
            method: Method::POST,
            target: Secret::new(target),
            body: body.map(Secret::new),
            range: None,
        }
    }

    /// The password as the login call wants it: MD5 in lower-case hexadecimal.
    fn password(&self) -> Zeroizing<String> {
        let text = match &self.account.password {
            PbxPassword::Md5(hash) => hash.expose_str().unwrap_or_default().to_owned(),
            PbxPassword::Clear(password) => {
                let hash = Md5::digest(password.expose());
                hash.iter().map(|byte| format!("{byte:02x}")).collect()
            }
        };
        Zeroizing::new(text)
    }
}

impl Dialect for SSeries {
    fn login(&self) -> PbxCall {
        let mut fields = Map::new();
        let username = self.account.username.expose_str().unwrap_or_default();
        fields.insert("username".into(), json!(username));
        fields.insert("password".into(), json!(*self.password()));
        let report = &self.account.report;
        // Numbers are strings in this API; clients send both and are understood.
        let port = report.port.map(|port| port.to_string());
        for (key, value) in [
            ("port", &port),
            ("url", &report.url),
            ("version", &report.version),
        ] {
            if let Some(value) = value {
                fields.insert(key.into(), json!(value));
            }
        }
        let body = Value::Object(fields).to_string();
        self.post(Operation::Login, "login", None, Some(body))
    }

    /// K2 and S1000 give a `refreshtoken` too ("Token Refresh" of their 2.0.0); it is used where
    /// there is one.
    fn refresh(&self, refresh: &Secret) -> Option<PbxCall> {
        let body = json!({ "refreshtoken": refresh.expose_str()? }).to_string();
        Some(self.post(Operation::Refresh, "token/refresh", None, Some(body)))
    }

    fn read_tokens(&self, body: &[u8]) -> Result<Tokens, AnswerError> {
        Ok(Tokens {
            access: field(body, "token")?,
            // Not every box has one, so none is needed.
            refresh: field(body, "refreshtoken").ok(),
            life: self.life,
        })
    }

    fn prolong(&self, token: &Secret) -> Option<PbxCall> {
        match self.account.prolong {
            Prolong::Never => None,
            Prolong::Heartbeat => {
                Some(self.post(Operation::Prolong, "heartbeat", Some(token), None))
            }
            Prolong::Query => {
                let body = json!({ "recording": NO_RECORDING }).to_string();
                Some(self.post(
                    Operation::Prolong,
                    "recording/get_random",
                    Some(token),
                    Some(body),
                ))
            }
        }
    }

    fn read_prolong(&self, body: &[u8]) -> Result<(), AnswerError> {
        match answer(body).map(|_| ()) {
            // The recording does not exist, and the PBX may say so: the call was an interaction all
            // the same.
            Err(AnswerError::Refused(refusal))
                if matches!(
                    refusal.class,
                    RefusalClass::NotFound | RefusalClass::Deleted
                ) =>
            {
                Ok(())
            }
            other => other,
        }
    }

    fn logout(&self, token: &Secret) -> Option<PbxCall> {
        self.account
            .logout
            .then(|| self.post(Operation::Logout, "logout", Some(token), None))
    }

    fn ticket(
        &self,
        token: &Secret,
        recording: &RecordingName,
        allowed_ip: Option<Ipv4Addr>,
    ) -> PbxCall {
        let body = TicketRequest {
            recording: recording.as_str(),
            allowedip: allowed_ip,
        };
        self.post(
            Operation::Ticket,
            "recording/get_random",
            Some(token),
            // Two texts are always JSON.
            serde_json::to_string(&body).ok(),
        )
    }

    fn read_ticket(&self, body: &[u8], _: &RecordingName) -> Result<Secret, AnswerError> {
        field(body, "random")
    }

    fn download(&self, token: &Secret, recording: &RecordingName, ticket: &Secret) -> PbxCall {
        let mut target = format!(
            "/api/{}/recording/download?recording={}&random=",
            self.version,
            recording.encoded()
        )
        .into_bytes();
        target.extend_from_slice(ticket.expose());
        target.extend_from_slice(b"&token=");
        target.extend_from_slice(token.expose());
        PbxCall {
            operation: Operation::Download,
            method: Method::GET,
            target: Secret::new(target),
            body: None,
            range: None,
        }
    }

    fn read_refusal(&self, body: &[u8]) -> AnswerError {
        match answer(body) {
            Err(error) => error,
            Ok(_) => AnswerError::Unreadable("it reports success in place of audio"),
        }
    }

    /// Version 1.0.1 has none ("API Format and Update Record").
    fn lists(&self) -> Lists<'_> {
        match self.version {
            "v1.0.1" => Lists::Absent,
            _ => Lists::Table(self),
        }
    }

    fn hides_dead_tokens(&self) -> bool {
        false
    }

    /// 20014 is "the recording file has been deleted" in API 1.0.1 ("Appendix A: Error Code
    /// Descriptions" of the S-Series), and "the recording file does not exist" in 1.1.0 ("API Error
    /// Code" of the S1000). Nothing tells which of the two a newer box follows.
    fn deleted_may_be_missing(&self) -> bool {
        self.version != "v1.0.1"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn account(password: PbxPassword) -> PbxAccount {
        PbxAccount {
            username: Secret::new("api"),
            password,
            report: crate::pbx::settings::PbxReport::default(),
            prolong: Prolong::Query,
            logout: false,
            login_retry: Duration::from_secs(60),
        }
    }

    #[test]
    fn the_password_goes_out_as_lower_case_md5() {
        let expected = "d41e98d1eafa6d6011d3a70f1a5b92f0";
        for password in [
            PbxPassword::Clear(Secret::new("Passw0rd")),
            PbxPassword::Md5(Secret::new(expected)),
        ] {
            let login = SSeries::office("v1.1.0", account(password)).login();
            assert_eq!(login.target.expose_str(), Some("/api/v1.1.0/login"));
            let body: Value = serde_json::from_slice(login.body.unwrap().expose()).unwrap();
            assert_eq!(body, json!({ "username": "api", "password": expected }));
        }
    }

    #[test]
    fn names_are_percent_encoded_on_their_way_to_the_pbx() {
        let account = account(PbxPassword::Clear(Secret::new("x")));
        let dialect = SSeries::office("v2.0.0", account);
        let name: RecordingName = "a+b &c#.wav".parse().unwrap();
        let call = dialect.download(&Secret::new("t0"), &name, &Secret::new("r0"));
        let expected =
            "/api/v2.0.0/recording/download?recording=a%2Bb%20%26c%23.wav&random=r0&token=t0";
        assert_eq!(call.target.expose_str(), Some(expected));
    }
}

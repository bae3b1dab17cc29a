//! P-Series API `openapi/v1.0`: Appliance, Software and Cloud editions.
//!
//! Knows the paths, parameters and error numbers, which mean other things than those of an
//! S-Series. Does not know sockets, retries or time. The ticket is the address of the file here,
//! which the PBX makes up.
//!
//! Sources, all Yeastar, "P-Series Developer Guide": "Authorization Rule", "Get Access Token",
//! "Refresh Access Token", "Revoke Access Token", "Download a Recording File", "Error Code and
//! Error Message". Read 2026-11. Every request needs a `User-Agent` ("Get Access Token"); the
//! transport sends one. Where the guide is silent, the reading here is tolerant and says so.

mod answer;
mod list;
mod resource;

use std::net::Ipv4Addr;
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use url::Url;

use self::answer::answer;
use super::{AnswerError, Dialect, Lists, Operation, PbxCall, RefusalClass, TokenLife, Tokens};
use crate::pbx::settings::{PbxAccount, PbxPassword};
use crate::recording::RecordingName;
use crate::secret::Secret;
pub(in crate::pbx) use list::{PageEntry, PbxPage};

/// The life of an access token, whatever its use ("Authorization Rule"), where the answer that
/// brings it does not tell.
const TOKEN_LIFE: Duration = Duration::from_secs(30 * 60);
/// The longest life of a token that is believed; a larger number is a mistake.
const MAX_TOKEN_LIFE_S: u64 = 24 * 60 * 60;

/// The API, with our account on the PBX: client id and client secret.
pub(in crate::pbx) struct PSeries {
    account: PbxAccount,
    /// The PBX's own address. An address of a file that leads elsewhere is not followed.
    origin: Url,
}

impl PSeries {
    pub(super) fn new(account: PbxAccount, origin: Url) -> Self {
        Self { account, origin }
    }

    /// A POST without a token: the two calls that bring one are made like this.
    fn post(operation: Operation, path: &str, body: &Value) -> PbxCall {
        PbxCall {
            operation,
            method: Method::POST,
            target: Secret::new(format!("/openapi/v1.0/{path}")),
            body: Some(Secret::new(body.to_string())),
            range: None,
        }
    }
}

/// A GET of `path_and_query`, with the token behind it.
fn get(operation: Operation, path_and_query: &[u8], token: &Secret) -> PbxCall {
    let joint: &[u8] = if path_and_query.contains(&b'?') {
        b"&access_token="
    } else {
        b"?access_token="
    };
    PbxCall {
        operation,
        method: Method::GET,
        target: Secret::new([path_and_query, joint, token.expose()].concat()),
        body: None,
        range: None,
    }
}

impl Dialect for PSeries {
    fn login(&self) -> PbxCall {
        // The secret goes out in clear: there is no other way ("Get Access Token").
        let (PbxPassword::Clear(secret) | PbxPassword::Md5(secret)) = &self.account.password;
        let body = json!({
            "username": self.account.username.expose_str().unwrap_or_default(),
            "password": secret.expose_str().unwrap_or_default(),
        });
        Self::post(Operation::Login, "get_token", &body)
    }

    fn refresh(&self, refresh: &Secret) -> Option<PbxCall> {
        let body = json!({ "refresh_token": refresh.expose_str()? });
        Some(Self::post(Operation::Refresh, "refresh_token", &body))
    }

    fn read_tokens(&self, body: &[u8]) -> Result<Tokens, AnswerError> {
        let fields = answer(body).map_err(as_login)?;
        let life = fields.number("access_token_expire_time");
        let life = life.filter(|seconds| (1..=MAX_TOKEN_LIFE_S).contains(seconds));
        Ok(Tokens {
            access: fields.token("access_token")?,
            refresh: fields.token("refresh_token").ok(),
            life: TokenLife::Fixed(life.map_or(TOKEN_LIFE, Duration::from_secs)),
        })
    }

    /// Use does not prolong a token; it is exchanged.
    fn prolong(&self, _: &Secret) -> Option<PbxCall> {
        None
    }

    fn read_prolong(&self, body: &[u8]) -> Result<(), AnswerError> {
        answer(body).map(drop)
    }

    fn logout(&self, token: &Secret) -> Option<PbxCall> {
        let path = b"/openapi/v1.0/del_token";
        self.account
            .logout
            .then(|| get(Operation::Logout, path, token))
    }

    /// There is no `allowedip` here; the configuration refuses it.
    fn ticket(&self, token: &Secret, recording: &RecordingName, _: Option<Ipv4Addr>) -> PbxCall {
        let path = format!(
            "/openapi/v1.0/recording/download?file={}",
            recording.encoded()
        );
        get(Operation::Ticket, path.as_bytes(), token)
    }

    fn read_ticket(&self, body: &[u8], recording: &RecordingName) -> Result<Secret, AnswerError> {
        let fields = answer(body).map_err(|error| about(error, recording))?;
        resource::path(&fields.text("download_resource_url")?, &self.origin)
    }

    fn download(&self, token: &Secret, _: &RecordingName, ticket: &Secret) -> PbxCall {
        get(Operation::Download, ticket.expose(), token)
    }

    fn read_refusal(&self, body: &[u8]) -> AnswerError {
        match answer(body) {
            Err(error) => error,
            Ok(_) => AnswerError::Unreadable("it reports success in place of audio"),
        }
    }

    fn lists(&self) -> Lists<'_> {
        Lists::Pages(self)
    }

    /// True: hosts of remote access and of the Cloud edition answer with their log-in page, status
    /// 200 (seen in published clients); other clients check for 401 as a precaution.
    fn hides_dead_tokens(&self) -> bool {
        true
    }
}

/// At a login, FAILURE means the credentials ("Get Access Token").
fn as_login(error: AnswerError) -> AnswerError {
    reclassify(error, "-1", RefusalClass::LoginRefused)
}

/// Reads a refusal to give a ticket. The answer to an unknown name is not documented: DATA NOT
/// FOUND is likely, FAILURE and PARAMETER ERROR are possible. The last two say nothing about a name
/// that is not in the PBX's own grammar.
fn about(error: AnswerError, recording: &RecordingName) -> AnswerError {
    let class = match recording.call_started() {
        Some(_) => RefusalClass::NotFound,
        None => RefusalClass::Name,
    };
    reclassify(reclassify(error, "-1", class), "40002", class)
}

fn reclassify(error: AnswerError, code: &str, class: RefusalClass) -> AnswerError {
    match error {
        AnswerError::Refused(mut refusal) if refusal.code == code => {
            refusal.class = class;
            AnswerError::Refused(refusal)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Refusal;
    use super::*;
    use crate::pbx::settings::{PbxReport, Prolong};

    const NAME: &str = "20220113140906-1642054144.17-5555-5556-Internal.wav";

    pub(super) fn dialect() -> PSeries {
        let account = PbxAccount {
            username: Secret::new("id"),
            password: PbxPassword::Clear(Secret::new("secret")),
            report: PbxReport::default(),
            prolong: Prolong::Never,
            logout: true,
            login_retry: Duration::from_secs(60),
        };
        PSeries::new(account, "https://192.0.2.1:8088".parse().unwrap())
    }

    #[track_caller]
    pub(super) fn sends(call: &PbxCall, method: &Method, target: &str, body: Option<Value>) {
        assert_eq!(call.method, *method);
        assert_eq!(call.target.expose_str(), Some(target));
        let sent = call.body.as_ref();
        let sent = sent.map(|sent| serde_json::from_slice::<Value>(sent.expose()).unwrap());
        assert_eq!(sent, body);
    }

    #[test]
    fn calls_are_those_of_the_guide() {
        let (dialect, token) = (dialect(), Secret::new("T0"));
        let name: RecordingName = "a+b.wav".parse().unwrap();
        let login = json!({ "username": "id", "password": "secret" });
        let (get, post) = (&Method::GET, &Method::POST);
        sends(
            &dialect.login(),
            post,
            "/openapi/v1.0/get_token",
            Some(login),
        );
        let refresh = dialect.refresh(&Secret::new("R0")).unwrap();
        let body = json!({ "refresh_token": "R0" });
        sends(&refresh, post, "/openapi/v1.0/refresh_token", Some(body));
        let logout = dialect.logout(&token).unwrap();
        sends(
            &logout,
            get,
            "/openapi/v1.0/del_token?access_token=T0",
            None,
        );
        let target = "/openapi/v1.0/recording/download?file=a%2Bb.wav&access_token=T0";
        sends(&dialect.ticket(&token, &name, None), get, target, None);
        for (ticket, target) in [
            ("/api/download/x.wav", "/api/download/x.wav?access_token=T0"),
            (
                "/api/download/x.wav?a=b",
                "/api/download/x.wav?a=b&access_token=T0",
            ),
        ] {
            let call = dialect.download(&token, &name, &Secret::new(ticket));
            sends(&call, get, target, None);
        }
    }

    #[test]
    fn tokens_come_with_their_life() {
        let read = |body: &str| dialect().read_tokens(body.as_bytes());
        let pair = |life| Tokens {
            access: Secret::new("A"),
            refresh: Some(Secret::new("R")),
            life: TokenLife::Fixed(Duration::from_secs(life)),
        };
        let body = r#"{"errcode":0,"errmsg":"SUCCESS","access_token_expire_time":900,"access_token":"A",
            "refresh_token_expire_time":86400,"refresh_token":"R"}"#;
        assert_eq!(read(body), Ok(pair(900)));
        let body = r#"{"errcode":"0","access_token_expire_time":0,"access_token":"A","refresh_token":"R"}"#;
        assert_eq!(read(body), Ok(pair(1800)));
        let alone = read(r#"{"errcode":0,"access_token":"A"}"#).unwrap();
        assert_eq!(alone.refresh, None);
        assert!(read(r#"{"errcode":0,"access_token":" "}"#).is_err());
    }

    #[track_caller]
    fn refused<T: std::fmt::Debug>(result: Result<T, AnswerError>, class: RefusalClass) {
        match result {
            Err(AnswerError::Refused(Refusal { class: found, .. })) => assert_eq!(found, class),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn one_number_means_different_things_in_different_places() {
        let failure = br#"{"errcode":-1,"errmsg":"FAILURE"}"#;
        let dialect = dialect();
        refused(dialect.read_tokens(failure), RefusalClass::LoginRefused);
        let known: RecordingName = NAME.parse().unwrap();
        let odd: RecordingName = "hello001".parse().unwrap();
        refused(dialect.read_ticket(failure, &known), RefusalClass::NotFound);
        refused(dialect.read_ticket(failure, &odd), RefusalClass::Name);
        let parameter = br#"{"errcode":40002,"errmsg":"PARAMETER ERROR"}"#;
        refused(
            dialect.read_ticket(parameter, &known),
            RefusalClass::NotFound,
        );
        let AnswerError::Refused(refusal) = dialect.read_refusal(failure) else {
            panic!("no refusal");
        };
        assert_eq!(refusal.class, RefusalClass::Other);
    }
}

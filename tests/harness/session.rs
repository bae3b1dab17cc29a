//! Sessions of browsers: a gateway that has them, and cookies.

use http::{Method, StatusCode};
use wavegate::simulator::{Api, Simulator, wav};

use super::{Answer, Builder, Call, Gateway, NAME, gateway, write_secret};

pub(crate) const HOST: &str = "recordings.test";
pub(crate) const ORIGIN: &str = "https://recordings.test";
pub(crate) const CRM: &str = "https://crm.test";
pub(crate) const SESSION_SECRET: &str = "a-secret-of-the-tests-for-sessions-0123456";
pub(crate) const COOKIE: &str = "__Host-wavegate";

pub(crate) async fn pbx() -> Simulator {
    let builder = Simulator::builder(Api::SSeries200).recording(NAME, wav::music(1));
    builder.start().await.unwrap()
}

/// A gateway with a public address, sessions, and a CRM on another site.
pub(crate) fn with_sessions(pbx: &Simulator, lines: &str) -> Builder {
    let builder = gateway(pbx)
        .set("server.public_url", ORIGIN)
        .set("links.signing_key", "crm")
        .set("session.key_file", "session")
        .lines("[session]", lines)
        .set("cors.origins", [CRM]);
    write_secret(&builder.folder().join("session"), SESSION_SECRET);
    builder
}

/// A request to the gateway's public address.
pub(crate) fn call(gateway: &Gateway, method: Method, target: &str) -> Call {
    gateway.request(method, target).header("host", HOST)
}

pub(crate) fn recording() -> String {
    format!("/recordings/{NAME}")
}

/// Exchanges a bearer token for a cookie; returns its value.
pub(crate) async fn open(gateway: &Gateway, token: &str) -> String {
    let answer = call(gateway, Method::POST, "/session").bearer(token);
    let answer = answer.send().await;
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    value(&set_cookies(&answer).pop().unwrap()).to_owned()
}

pub(crate) fn set_cookies(answer: &Answer) -> Vec<String> {
    let fields = answer.headers().get_all("set-cookie").iter();
    fields
        .map(|field| field.to_str().unwrap().to_owned())
        .collect()
}

pub(crate) fn value(cookie: &str) -> &str {
    let pair = cookie.split(';').next().unwrap();
    pair.strip_prefix(COOKIE)
        .unwrap()
        .strip_prefix('=')
        .unwrap()
}

pub(crate) fn own(value: &str) -> String {
    format!("{COOKIE}={value}")
}

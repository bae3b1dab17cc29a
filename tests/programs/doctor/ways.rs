//! Addresses that lead to no PBX, or to the wrong port of one.

use tokio::net::{TcpListener, TcpSocket};
use wavegate::simulator::{Api, Simulator, Switch};

use super::{diagnose, simulator};
use crate::harness::{Builder, gateway};

async fn pbx() -> Simulator {
    simulator(Api::SSeries200).start().await.unwrap()
}

/// Checks the findings for an address, and that there was no login.
async fn check(pbx: &Simulator, builder: Builder, step: &str, said: &str, advised: &str) {
    let builder = builder
        .set("pbx.connect_timeout_ms", 500)
        .set("pbx.answer_timeout_ms", 500);
    diagnose(&builder, &[]).await.fails_at(step, said, advised);
    assert_eq!(pbx.seen().requests.login, 0, "{said}");
}

/// A gateway for an address whose certificate does not matter.
fn at(pbx: &Simulator, url: String) -> Builder {
    gateway(pbx).pbx_url(url).without_pin()
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_told() {
    let pbx = pbx().await;
    // The resolver itself refuses a label this long, without a query.
    let name = "x".repeat(64);
    let url = format!("http://{name}.invalid:8088");
    check(
        &pbx,
        at(&pbx, url),
        "resolve",
        "cannot be resolved",
        "/etc/hosts",
    )
    .await;
}

#[tokio::test]
async fn a_port_where_nothing_listens_is_told() {
    let pbx = pbx().await;
    // Bound, so that no other program gets it, but not listening.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("https://{}", socket.local_addr().unwrap());
    check(&pbx, at(&pbx, url), "connect", "nothing listens", "8088").await;
}

#[tokio::test]
async fn a_peer_that_says_nothing_is_told() {
    let pbx = pbx().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = silent.local_addr().unwrap();
    let said = "takes the connection, but does not answer";
    for (scheme, step) in [("https", "tls"), ("http", "http")] {
        let url = format!("{scheme}://{addr}");
        check(&pbx, at(&pbx, url), step, said, "load").await;
    }
}

#[tokio::test]
async fn an_address_that_is_not_allowed_is_told() {
    for (switch, step) in [(None, "tls"), (Some(Switch::PlainHttp), "http")] {
        let mut pbx = simulator(Api::SSeries200).allowed_peers(["192.0.2.1".parse().unwrap()]);
        if let Some(switch) = switch {
            pbx = pbx.switch(switch);
        }
        let pbx = pbx.start().await.unwrap();
        let said = "closes it without a word";
        check(&pbx, gateway(&pbx), step, said, "Web Access Control").await;
    }
}

#[tokio::test]
async fn port_80_is_told_from_the_web_interface() {
    let pbx = simulator(Api::SSeries200).switch(Switch::RedirectFromPort80);
    let pbx = pbx.start().await.unwrap();
    check(
        &pbx,
        gateway(&pbx),
        "http",
        "redirect to https (status 302)",
        "port 8088",
    )
    .await;
}

#[tokio::test]
async fn http_and_https_are_told_apart() {
    let plain = simulator(Api::SSeries200).switch(Switch::PlainHttp);
    let plain = plain.start().await.unwrap();
    let url = plain.url().replace("http:", "https:");
    check(
        &plain,
        at(&plain, url),
        "tls",
        "does not speak TLS",
        "plain HTTP",
    )
    .await;

    let tls = pbx().await;
    let url = tls.url().replace("https:", "http:");
    check(
        &tls,
        at(&tls, url),
        "http",
        "this port speaks TLS",
        "write https",
    )
    .await;
}

#[tokio::test]
async fn plain_http_that_is_meant_works() {
    let pbx = simulator(Api::SSeries200).switch(Switch::PlainHttp);
    let pbx = pbx.start().await.unwrap();
    let found = diagnose(&gateway(&pbx), &[]).await;
    assert!(found.ok, "{}", found.text);
    let steps = ["resolve", "connect", "http", "login", "list", "recording"];
    assert_eq!(found.steps(), steps);
    assert!(found.step("recording").0.contains("not tried"));
    assert!(found.step("http").0.contains("in plain text"));
}

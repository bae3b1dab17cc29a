//! Request heads as long as a token with many groups makes them pass each proxy. Longer ones get the
//! gateway's own answer.

use http::StatusCode;
use serde_json::json;

use super::instances::{Instance, behind};
use super::process::{PROTOCOLS, Protocol, Proxy};
use super::shipped::Kind;
use super::{in_front_of, pbx};
use crate::harness::{Answer, NAME, PBX, jwt_with, link};

/// A token with this many groups of 36 characters.
pub(crate) fn token(groups: usize) -> String {
    let groups = (0..groups).map(|number| format!("6f9619ff-8b86-d011-b42d-{number:012}"));
    let groups: Vec<String> = groups.collect();
    jwt_with("alice", json!({ "groups": groups }))
}

async fn get(proxy: &Proxy, protocol: Protocol, token: &str) -> Answer {
    let call = proxy.call(protocol, &format!("/recordings/{NAME}"));
    proxy.send(call.bearer(token), protocol).await
}

pub(super) async fn a_token_with_two_hundred_groups_passes(kind: Kind) {
    let long = token(200);
    assert!((10_500..11_000).contains(&long.len()), "{}", long.len());
    let pbx = pbx(1, &[]).await;
    let Some((_gateway, proxy)) = in_front_of(kind, &pbx).await else {
        return;
    };
    for protocol in PROTOCOLS {
        let answer = get(&proxy, protocol, &long).await;
        assert_eq!(answer.status(), StatusCode::OK, "{protocol:?}");
        // Also in a query, whatever else it contains.
        let target = format!(
            "/pbx/{PBX}/recordings/{NAME}?x={}&link={}",
            "x".repeat(10_000),
            link(PBX, NAME)
        );
        let answer = proxy.get(protocol, &target).await;
        assert_eq!(answer.status(), StatusCode::OK, "{protocol:?}");
    }
}

pub(super) async fn a_head_that_is_too_long_gets_the_gateways_answer(kind: Kind) {
    let pbx = pbx(1, &[]).await;
    let Some((_gateway, proxy)) = in_front_of(kind, &pbx).await else {
        return;
    };
    for protocol in PROTOCOLS {
        // Longer than the gateway permits, and shorter than what the proxy permits.
        let problem = get(&proxy, protocol, &token(500)).await.problem().await;
        assert_eq!(problem.slug, "request-head-too-large", "{protocol:?}");
        assert!(
            problem
                .text
                .contains("the 16384 bytes of server.max_header_bytes"),
            "{}",
            problem.text
        );
    }
    // With the limit of the gateway raised it passes.
    let raised = behind(&pbx)
        .set("server.max_header_bytes", 65536)
        .start()
        .await;
    let proxy = Proxy::start(kind, &[Instance::of(&raised)]).await.unwrap();
    for protocol in PROTOCOLS {
        let answer = get(&proxy, protocol, &token(500)).await;
        assert_eq!(answer.status(), StatusCode::OK, "{protocol:?}");
    }
}

//! Request heads as long as a token with many groups makes them pass nginx. Longer ones get the
//! gateway's own answer.

use http::StatusCode;
use serde_json::json;

use super::process::{Nginx, PROTOCOLS, Protocol};
use super::{behind, in_front_of, pbx, sso};
use crate::harness::{Answer, NAME, PBX, jwt_with, link};

/// A token with this many groups of 36 characters.
fn token(groups: usize) -> String {
    let groups = (0..groups).map(|number| format!("6f9619ff-8b86-d011-b42d-{number:012}"));
    let groups: Vec<String> = groups.collect();
    jwt_with("alice", json!({ "groups": groups }))
}

async fn get(nginx: &Nginx, protocol: Protocol, token: &str) -> Answer {
    let call = nginx.call(protocol, &format!("/recordings/{NAME}"));
    nginx.send(call.bearer(token), protocol).await
}

#[tokio::test]
async fn a_token_with_two_hundred_groups_passes() {
    let long = token(200);
    assert!((10_500..11_000).contains(&long.len()), "{}", long.len());
    let pbx = pbx(1, &[]).await;
    let Some((_gateway, nginx)) = in_front_of(&pbx).await else {
        return;
    };
    for protocol in PROTOCOLS {
        let answer = get(&nginx, protocol, &long).await;
        assert_eq!(answer.status(), StatusCode::OK, "{protocol:?}");
        // Also in a query, whatever else it contains.
        let target = format!(
            "/pbx/{PBX}/recordings/{NAME}?x={}&link={}",
            "x".repeat(10_000),
            link(PBX, NAME)
        );
        let answer = nginx.get(protocol, &target).await;
        assert_eq!(answer.status(), StatusCode::OK, "{protocol:?}");
    }
    // Also in the form in which oauth2-proxy passes it on.
    sso::run(long, async |nginx| {
        for protocol in PROTOCOLS {
            let answer = sso::get(nginx, protocol, &[("cookie", sso::COOKIE)]).await;
            assert_eq!(answer.status(), StatusCode::OK, "{protocol:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_head_that_is_too_long_gets_the_gateways_answer() {
    let pbx = pbx(1, &[]).await;
    let Some((_gateway, nginx)) = in_front_of(&pbx).await else {
        return;
    };
    for protocol in PROTOCOLS {
        // Longer than the gateway permits, and shorter than a line that nginx permits.
        let problem = get(&nginx, protocol, &token(500)).await.problem().await;
        assert_eq!(problem.slug, "request-head-too-large", "{protocol:?}");
        assert!(
            problem
                .text
                .contains("the 16384 bytes of server.max_header_bytes"),
            "{}",
            problem.text
        );
    }
    // With both limits raised it passes.
    let raised = behind(&pbx)
        .set("server.max_header_bytes", 65536)
        .start()
        .await;
    let nginx = Nginx::start([raised.addr(); 2]).unwrap();
    for protocol in PROTOCOLS {
        let answer = get(&nginx, protocol, &token(500)).await;
        assert_eq!(answer.status(), StatusCode::OK, "{protocol:?}");
    }
}

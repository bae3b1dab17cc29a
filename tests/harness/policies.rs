//! Policies: the shipped ones, agents with extensions, and the answers that they get.

use http::StatusCode;
use serde_json::{Value, json};
use wavegate::simulator::{Api, Simulator, wav};

use super::session::HOST;
use super::{Gateway, jwt_with};

/// The shipped policies.
pub(crate) const STARTERS: &str = include_str!("../../config/policy.cedar");

pub(crate) async fn pbx<'n>(names: impl IntoIterator<Item = &'n str>) -> Simulator {
    let mut builder = Simulator::builder(Api::SSeries200);
    for name in names {
        builder = builder.recording(name, wav::music(1));
    }
    builder.start().await.unwrap()
}

/// The token of an agent with extensions.
pub(crate) fn agent(subject: &str, extensions: &[&str]) -> String {
    jwt_with(
        subject,
        json!({"roles": ["agent"], "extensions": extensions}),
    )
}

/// The answer to a request for a recording: 200, or the slug of the problem.
pub(crate) async fn outcome(gateway: &Gateway, token: &str, name: &str) -> String {
    let answer = gateway.get(name).bearer(token).send().await;
    if answer.status() == StatusCode::OK {
        answer.bytes().await.expect("whole");
        return "200".to_owned();
    }
    answer.problem().await.slug
}

/// The names in a list of the PBX `office`.
pub(crate) async fn listed(gateway: &Gateway, token: &str, query: &str) -> Vec<String> {
    let target = format!("/pbx/office/recordings?{query}");
    let call = gateway.request(http::Method::GET, &target);
    // A gateway with a public address answers only under that name.
    let answer = call.bearer(token).header("host", HOST).send().await;
    assert_eq!(answer.status(), StatusCode::OK);
    let document: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    let entries = document["recordings"].as_array().unwrap().iter();
    entries
        .map(|entry| entry["name"].as_str().unwrap().to_owned())
        .collect()
}

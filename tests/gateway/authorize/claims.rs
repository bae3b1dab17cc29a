//! The claims of a token about its subject: their names, their permitted values, and the refusal of
//! all other values.

use http::StatusCode;
use serde_json::{Value, json};

use super::{STARTERS, agent, outcome, pbx};
use crate::harness::programs::{lines, serve};
use crate::harness::{Gateway, NAME, gateway, jwt_with};

const OWN: &str = "20260302104512-1772448301.1219-0205550147-1001-Inbound.wav";

async fn ask(gateway: &Gateway, claims: Value) -> String {
    outcome(gateway, &jwt_with("alice", claims), OWN).await
}

#[tokio::test]
async fn an_absent_claim_is_ignored_and_a_malformed_one_refused() {
    let pbx = pbx([OWN]).await;
    let gateway = gateway(&pbx).policies(STARTERS).start().await;
    let mine = json!(["office/1001"]);
    assert_eq!(ask(&gateway, json!({})).await, "recording-denied");
    assert_eq!(ask(&gateway, json!({ "extensions": mine })).await, "200");
    assert_eq!(
        ask(&gateway, json!({"extensions": "office/1001"})).await,
        "200"
    );
    assert_eq!(
        ask(&gateway, json!({"extensions": []})).await,
        "recording-denied"
    );
    let long = "x".repeat(257);
    let many: Vec<String> = (0..1_025).map(|number| format!("r{number}")).collect();
    for nothing in [
        json!({"roles": null}),
        json!({"roles": ""}),
        json!({"tenant": ""}),
    ] {
        let mut claims = nothing.clone();
        claims["extensions"] = mine.clone();
        assert_eq!(ask(&gateway, claims).await, "200", "{nothing}");
    }
    for wrong in [
        json!({"roles": 7}),
        json!({"roles": {"supervisor": true}}),
        json!({"roles": ["supervisor", null]}),
        json!({"roles": ["supervisor", 7]}),
        json!({"roles": [["supervisor"]]}),
        json!({"roles": [""]}),
        json!({"roles": ["a\nb"]}),
        json!({ "roles": [long] }),
        json!({ "roles": many }),
        json!({"tenant": ["a", "b"]}),
        json!({"tenant": true}),
        json!({"tenant": [""]}),
        // A number without its PBX, which could belong to any PBX.
        json!({"extensions": ["1001"]}),
        json!({"extensions": ["/1001"]}),
        json!({"extensions": ["office/"]}),
        json!({"extensions": ["office/1001/2"]}),
        json!({"extensions": [1001]}),
    ] {
        let mut claims = wrong.clone();
        if claims.get("extensions").is_none() {
            claims["extensions"] = mine.clone();
        }
        let slug = ask(&gateway, claims).await;
        assert_eq!(slug, "bearer-token-invalid", "{wrong}");
    }
    assert_eq!(pbx.seen().requests.download, 5);
}

#[tokio::test]
async fn an_issuer_configures_its_claim_names_and_its_pbx() {
    let pbx = pbx([OWN]).await;
    let gateway = gateway(&pbx)
        .policies(STARTERS)
        .set("auth.issuer.roles_claim", "realm_access.roles")
        .set(
            "auth.issuer.extensions_claim",
            "https://idp.test/ext.numbers",
        )
        .set("auth.issuer.pbxs", ["office"])
        .start()
        .await;
    for (claims, expected) in [
        (json!({"realm_access": {"roles": ["supervisor"]}}), "200"),
        (json!({"realm_access.roles": ["supervisor"]}), "200"),
        (json!({"https://idp.test/ext.numbers": ["1001"]}), "200"),
        (
            json!({"https://idp.test/ext": {"numbers": "office/1001"}}),
            "200",
        ),
        (
            json!({"https://idp.test/ext.numbers": ["branch/1001"]}),
            "recording-denied",
        ),
        (json!({"roles": ["supervisor"]}), "recording-denied"),
        (json!({"realm_access": {}}), "recording-denied"),
        (
            json!({"realm_access": "supervisor"}),
            "bearer-token-invalid",
        ),
        (
            json!({"realm_access": {"roles": []}, "realm_access.roles": ["supervisor"]}),
            "bearer-token-invalid",
        ),
    ] {
        assert_eq!(ask(&gateway, claims.clone()).await, expected, "{claims}");
    }
}

#[tokio::test]
async fn the_log_names_the_wrong_claim_or_the_deciding_policies() {
    let pbx = pbx([OWN]).await;
    let builder = gateway(&pbx).policies(&format!(
        "{STARTERS}\n@id(\"not-dave\") forbid(principal, action, resource) when {{ principal.subject == \"dave\" }};"
    ));
    let (running, address) = serve(&builder.write()).await;
    let get = async |token: &str| {
        let target = format!("/recordings/{OWN}");
        let call = crate::harness::Call::new(address, http::Method::GET, &target);
        call.bearer(token).send().await.status()
    };
    let wrong = jwt_with("alice", json!({"roles": 7}));
    assert_eq!(get(&wrong).await, StatusCode::UNAUTHORIZED);
    assert_eq!(
        get(&agent("bob", &["office/1002"])).await,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        get(&agent("dave", &["office/1001"])).await,
        StatusCode::FORBIDDEN
    );
    let log = running
        .err
        .until(|log| log.matches("\"status\":40").count() == 3)
        .await;
    let reasons: Vec<String> = lines(&log)
        .filter_map(|line| line["reason"].as_str().map(str::to_owned))
        .filter(|reason| !reason.is_empty())
        .collect();
    assert_eq!(
        reasons,
        [
            "bearer token: the claim that roles_claim names: neither a text nor a list of texts",
            "no policy permits it",
            "forbidden by not-dave",
        ]
    );
    assert!(!log.contains("0205550147"));
    running.stop().await;
}

#[tokio::test]
async fn an_issuer_for_another_pbx_is_refused_on_this_one() {
    let (office, branch) = (pbx([NAME]).await, pbx([NAME]).await);
    let gateway = gateway(&office)
        .set("auth.issuer.pbxs", ["branch"])
        .beside("branch", &branch)
        .start()
        .await;
    let token = jwt_with("alice", json!({}));
    for (path, status) in [
        (format!("/recordings/{NAME}"), StatusCode::FORBIDDEN),
        (
            format!("/pbx/office/recordings/{NAME}"),
            StatusCode::FORBIDDEN,
        ),
        (
            "/pbx/office/recordings?from=2026-01-01&to=2026-02-01".to_owned(),
            StatusCode::FORBIDDEN,
        ),
        (format!("/pbx/branch/recordings/{NAME}"), StatusCode::OK),
    ] {
        let call = gateway.request(http::Method::GET, &path);
        assert_eq!(call.bearer(&token).send().await.status(), status, "{path}");
    }
    assert_eq!(office.seen().requests.total(), 0);
}
